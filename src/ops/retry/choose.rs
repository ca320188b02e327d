//! The request file of a retry: the lines whose outcome is wanted, with other settings where there are any.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::RetryArgs;
use super::settings::Settings;
use crate::answers::Checker;
use crate::answers::summary::Summary;
use crate::error::{Error, ErrorKind, Result};
use crate::job::id::hex;
use crate::job::{Handle, JobState, Outcome, OutcomeCounts};
use crate::jsonl::keys::KeySet;
use crate::jsonl::lines::LineReader;
use crate::jsonl::result::key_of;
use crate::jsonl::writer::RequestWriter;
use crate::ledger::JobRecord;
use crate::ledger::builds::BuildOrigin;
use crate::ops::App;
use crate::ops::off_thread::off_thread;
use crate::ops::requests::{as_submitted, reading};
use crate::ops::results::{Costs, Family, Keys, Member, checker_of, settle};
use crate::ops::runs::is_retry_of;
use crate::ops::vault::Vault;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// The request file of a retry.
pub(super) struct Chosen {
    pub(super) path: AllowedPath,
    pub(super) sha256: String,
    /// The mark of the call.
    pub(super) call: String,
    /// The model to ask: that of the very same retry, if there is one.
    pub(super) model: String,
    /// The requests in it, by the outcome they had.
    pub(super) repeated: OutcomeCounts,
    /// What is asked otherwise than before.
    pub(super) changes: Vec<String>,
    pub(super) warning: Option<String>,
    /// Requests without a limit that were cut off by that of the model.
    pub(super) to_the_limit: i64,
    /// Earlier retries that have ended.
    pub(super) ended: Vec<String>,
    /// Requests without a result were left out: they may be billed, and it may still come.
    pub(super) may_come: bool,
    /// Requests left out because another retry of this first job has answered them since.
    pub(super) elsewhere: Option<(i64, Handle)>,
}

/// Writes it, and settles what the job and its earlier retries cost: every line of theirs is read.
pub(super) async fn write_requests(
    app: &App,
    args: &RetryArgs,
    (family, root): (Family, &Handle),
    origin: Option<&BuildOrigin>,
    model: &str,
    monitor: &dyn Monitor,
) -> Result<Chosen> {
    let wanted = wanted(args, &family);
    let Some(job) = family.members.first().map(|member| member.job.clone()) else {
        return Err(Error::internal("choosing requests", "there is no job"));
    };
    let call = mark(args);
    if let Some(earlier) = made_by(app, &family, &job, &call)? {
        return as_before(family, earlier, (call, checker_of(origin)?.0), monitor).await;
    }
    let ended: Vec<_> = family.retries().map(|retry| retry.job.handle.to_string()).collect();
    // Other settings, or more that answered meanwhile, are another file: a retry of the retry finds its own.
    let settings = serde_json::to_vec(&(&wanted, &args.generation_config, &ended)).unwrap_or_default();
    let vault = Vault::open(app, &job.handle)?;
    let path = vault.file(&format!("retry-{:016x}.requests.jsonl", xxh3_64(&settings)))?;
    let own = family.unfinished.iter().map(|retry| (retry, &job.handle));
    let others = family.others.iter().map(|retry| (retry, root));
    let running = own.chain(others).map(|(retry, by)| {
        let keys = Vault::open(app, &retry.handle)?.keys()?;
        Ok(Running { job: retry.clone(), by: by.clone(), keys })
    });
    let running = running.collect::<Result<Vec<_>>>()?;
    let (checker, _) = checker_of(origin)?;
    let task = Task {
        input: as_submitted(app, &job)?,
        job,
        members: family.members,
        elsewhere: family.elsewhere,
        root: root.clone(),
        running,
        wanted,
        outcomes_are_asked: !args.outcomes.is_empty(),
        asked: args.generation_config.clone(),
        most_output: app.models().most_output(model),
        model: model.to_owned(),
        model_is_asked: args.model.is_some(),
        checker,
        output: path.clone(),
    };
    let (task, copied) =
        off_thread(monitor, move |monitor| choose(&task, monitor).map(|copied| (task, copied))).await?;
    settle(app, &task.members, &copied.costs)?;
    Ok(Chosen {
        path,
        call,
        sha256: copied.sha256,
        model: copied.model.unwrap_or(task.model),
        repeated: copied.repeated,
        changes: copied.settings.changes(),
        warning: copied.settings.warning(),
        to_the_limit: copied.settings.without_limit(),
        ended,
        may_come: copied.may_come,
        elsewhere: (copied.elsewhere > 0).then_some((copied.elsewhere, task.root)),
    })
}

/// Tells calls apart that choose requests of the same job.
fn mark(args: &RetryArgs) -> String {
    let asked = serde_json::to_vec(&(&args.outcomes, &args.generation_config, &args.model)).unwrap_or_default();
    format!("{:016x}", xxh3_64(&asked))
}

/// The retry that has ended and that the very same call made: made again, it finds that one, whatever was left unanswered.
fn made_by(app: &App, family: &Family, job: &JobRecord, call: &str) -> Result<Option<Earlier>> {
    for retry in family.retries().filter(|retry| retry.job.retry_of.as_ref() == Some(&job.handle)) {
        // Calls that choose the same requests make the same retry: the first one and the last one are known.
        let sha256 = retry.job.input_sha256.as_deref().unwrap_or_default();
        let origins = [app.ledger()?.origin_of(&retry.job)?, app.ledger()?.build_origin(sha256)?];
        let made_it = origins.iter().flatten().any(|origin| origin.retry_call.as_deref() == Some(call));
        if let (true, Some(keys), Ok(path)) = (made_it, &retry.keys, as_submitted(app, &retry.job)) {
            return Ok(Some(Earlier { number: retry.number, job: retry.job.clone(), keys: keys.clone(), path }));
        }
    }
    Ok(None)
}

/// A retry that is found again.
struct Earlier {
    number: u32,
    job: JobRecord,
    keys: AllowedPath,
    path: AllowedPath,
}

/// Its requests, by the outcome that they had when they were chosen.
async fn as_before(
    family: Family,
    Earlier { number, job, keys, path }: Earlier,
    (call, checker): (String, Checker),
    monitor: &dyn Monitor,
) -> Result<Chosen> {
    let ended = family.retries().map(|retry| retry.job.handle.to_string()).collect();
    let before: Vec<_> = family.members.into_iter().filter(|member| member.number < number).collect();
    let repeated = off_thread(monitor, move |monitor| {
        let (mut merged, _) = Family::open(&before, checker, monitor)?;
        let (mut repeated, mut keys) = (OutcomeCounts::default(), Keys::new(keys.open()?));
        while let Some(key) = keys.next_key()? {
            repeated.add(merged.get(&key, |_, _| ())?.answer.outcome, 1);
        }
        Ok(repeated)
    });
    Ok(Chosen {
        path,
        sha256: job.input_sha256.unwrap_or_default(),
        call,
        model: job.model,
        repeated: repeated.await?,
        changes: Vec::new(),
        warning: None,
        to_the_limit: 0,
        ended,
        may_come: false,
        elsewhere: None,
    })
}

/// The outcomes to repeat.
fn wanted(args: &RetryArgs, family: &Family) -> Vec<Outcome> {
    if !args.outcomes.is_empty() {
        return args.outcomes.clone();
    }
    // Results that the API says to have may still come.
    let may_come = |outcome: &Outcome| *outcome == Outcome::Missing && family.misses_results();
    Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Answered && !may_come(outcome)).collect()
}

struct Task {
    job: JobRecord,
    /// The job and its retries that have ended.
    members: Vec<Member>,
    /// Other retries of the first job that have ended since.
    elsewhere: Vec<Member>,
    root: Handle,
    running: Vec<Running>,
    input: AllowedPath,
    wanted: Vec<Outcome>,
    /// The caller chose the outcomes.
    outcomes_are_asked: bool,
    asked: Option<Map<String, Value>>,
    /// The longest answer of the model, in tokens.
    most_output: i64,
    model: String,
    /// The caller chose the model.
    model_is_asked: bool,
    checker: Checker,
    output: AllowedPath,
}

/// A retry that has not ended.
struct Running {
    job: JobRecord,
    /// The job whose retries it is among: this one, or the first of the line.
    by: Handle,
    keys: AllowedPath,
}

/// What was copied.
struct Copied {
    sha256: String,
    repeated: OutcomeCounts,
    /// Left out: answered since by another retry of the first job.
    elsewhere: i64,
    settings: Settings,
    costs: Costs,
    /// Requests without a result may be billed, and it may still come.
    may_come: bool,
    /// The model of the retry that this is, if it is one.
    model: Option<String>,
}

/// Copies the wanted requests. Heavy: runs on a thread of its own.
fn choose(task: &Task, monitor: &dyn Monitor) -> Result<Copied> {
    refuse_changed(task)?;
    let mut copied = copy(task, &task.wanted, &task.members, &task.running, monitor)?;
    if copied.may_come && copied.repeated.missing > 0 && !task.outcomes_are_asked {
        let certain: Vec<_> = task.wanted.iter().copied().filter(|outcome| *outcome != Outcome::Missing).collect();
        copied = copy(task, &certain, &task.members, &task.running, monitor)?;
    }
    if copied.repeated.total() > 0 {
        return Ok(copied);
    }
    // The same call again, after its retry has answered: that retry is what was asked for.
    let itself = task.members.get(..1).unwrap_or_default();
    let again = copy(task, &task.wanted, itself, &[], monitor)?;
    let is_it = |retry: &&Member| {
        let same_model = !task.model_is_asked || retry.job.model == task.model;
        same_model && is_retry_of(&retry.job, &again.sha256, &task.job.handle)
    };
    match task.members.iter().skip(1).find(is_it) {
        Some(retry) if again.repeated.total() > 0 => {
            Ok(Copied { model: Some(retry.job.model.clone()), costs: copied.costs, ..again })
        }
        _ => Err(nothing_to_repeat(task, &copied)),
    }
}

fn nothing_to_repeat(task: &Task, copied: &Copied) -> Error {
    let job = &task.job.handle;
    let error = |cause| Error::new(ErrorKind::WrongState, format!("retrying {job}"), cause);
    if copied.elsewhere > 0 {
        return error("what it left unanswered was answered since by its first job, or by other retries of that")
            .hint(format!("get_results {{\"job\": \"{}\"}} writes the answers of all of them", task.root));
    }
    if task.outcomes_are_asked {
        return error("no request has such an outcome, its retries counted in")
            .hint("get_results shows how many have which outcome");
    }
    if task.wanted.contains(&Outcome::Missing) && !copied.may_come {
        return error("every request has an answer, its retries counted in")
            .hint(format!("get_results {{\"job\": \"{job}\"}} writes them"));
    }
    let all_the_same = Family::repeat_missing(job);
    error("the requests without a result may be billed, and their answers may still come")
        .hint(format!("get_results {{\"job\": \"{job}\"}} looks for them again; {all_the_same}"))
}

/// Copies the requests whose outcome is wanted, as these jobs left them.
fn copy(
    task: &Task,
    wanted: &[Outcome],
    members: &[Member],
    running: &[Running],
    monitor: &dyn Monitor,
) -> Result<Copied> {
    let act = reading(&task.job);
    let (mut merged, _) = Family::open(members, task.checker.clone(), monitor)?;
    let (mut others, _) = Family::open(&task.elsewhere, task.checker.clone(), monitor)?;
    let mut is_answered_elsewhere = |key: &str| -> Result<bool> {
        let others = others.get(key, |_, _| ())?;
        Ok(others.answer.outcome == Outcome::Answered && !wanted.contains(&Outcome::Answered))
    };
    let under_way = running.iter().map(|retry| keys_of(&retry.keys)).collect::<Result<Vec<_>>>()?;
    let mut taken = None;
    let mut lines = LineReader::new(task.input.open()?);
    let mut writer = RequestWriter::create(task.output.clone(), true)?;
    let (mut repeated, mut elsewhere) = (OutcomeCounts::default(), 0);
    let mut settings = Settings::new(task.asked.clone(), task.most_output);
    let (mut paid, mut costs, mut is_missing) = (Summary::new(0), Costs::default(), false);
    // Requests that were done, by whose line tells it.
    let mut here = BTreeMap::<u32, i64>::new();
    while let Some(line) = lines.next_line().map_err(|e| Error::io(act.clone(), e))? {
        let Some(key) = key_of(line.bytes).ok().flatten() else { continue };
        let found = merged.get(&key, |answer, price| {
            costs.add(answer.generation, paid.pay(answer, price));
            *here.entry(answer.generation).or_default() += i64::from(answer.outcome != Outcome::Failed);
        })?;
        is_missing |= found.answer.outcome == Outcome::Missing;
        if wanted.contains(&found.answer.outcome) && is_answered_elsewhere(&key)? {
            elsewhere += 1;
        } else if wanted.contains(&found.answer.outcome) {
            let times = times_repeated(members, found.answer.generation);
            match settings.change(line.bytes, (&found.answer, times), &act)? {
                None => writer.push(line.bytes)?,
                Some(changed) => writer.push(&changed)?,
            }
            repeated.add(found.answer.outcome, 1);
            taken = taken.or_else(|| under_way.iter().position(|keys| keys.contains(key.as_bytes())));
        }
        if line.number % 4096 == 0 {
            monitor.check(&act)?;
        }
    }
    // Where other lines stand in the place of those that are missing, these may be billed as well: as many as the API
    // says to have done more than are here.
    let is_short = |member: &&Member| succeeded(&member.job) > here.get(&member.number).copied().unwrap_or_default();
    let short: Vec<_> = members.iter().filter(is_short).map(|member| member.number).collect();
    let may_come = is_missing && merged.unclear(true).any(|number| short.contains(&number));
    costs.leave_out(merged.unclear(is_missing));
    let sha256 = writer.finish()?.sha256;
    // The very same retry is found, not made again.
    let is_it = |retry: &Running| retry.job.model == task.model && is_retry_of(&retry.job, &sha256, &task.job.handle);
    let is_known = running.iter().any(is_it);
    match taken.and_then(|number| running.get(number)).filter(|_| !is_known) {
        Some(retry) => Err(still_running(&task.job, retry)),
        None => Ok(Copied { sha256, repeated, elsewhere, settings, costs, may_come, model: None }),
    }
}

/// Requests that the API did well, as it counts them. A success of which it counts nothing is of all.
fn succeeded(job: &JobRecord) -> i64 {
    if job.state() == JobState::Succeeded && job.done() == 0 { job.requests } else { job.done() - job.failed() }
}

/// How many retries, one of the other, led to this generation.
fn times_repeated(members: &[Member], generation: u32) -> u32 {
    let mut next = members.iter().find(|member| member.number == generation).filter(|member| member.number > 0);
    let mut times = 0;
    while let Some(member) = next {
        times += 1;
        // A retry is numbered after what it repeats.
        let is_parent = |other: &&Member| member.job.retry_of.as_ref() == Some(&other.job.handle);
        next = members.iter().filter(|other| (1..member.number).contains(&other.number)).find(is_parent);
    }
    times
}

fn keys_of(file: &AllowedPath) -> Result<KeySet> {
    let mut set = KeySet::new();
    let mut keys = Keys::new(file.open()?);
    while let Some(key) = keys.next_key()? {
        set.insert(key.as_bytes());
    }
    Ok(set)
}

fn still_running(job: &JobRecord, Running { job: retry, by, .. }: &Running) -> Error {
    let retry = &retry.handle;
    let whose = if *by == job.handle { "its retry".to_owned() } else { format!("a retry of {by},") };
    let then = match *by == job.handle {
        true => "make the same call again".to_owned(),
        // Its answers are among those of the first job, not of this one.
        false => format!("retry_batch {{\"job\": \"{by}\"}}"),
    };
    Error::new(
        ErrorKind::WrongState,
        format!("retrying {}", job.handle),
        format!("{whose} {retry} has not ended and asks for the same keys"),
    )
    .hint(format!("check_status {{\"jobs\": [\"{retry}\"], \"wait\": true}}, then {then}"))
}

/// A request file that was changed meanwhile is not what was asked.
fn refuse_changed(task: &Task) -> Result<()> {
    let act = reading(&task.job);
    let sha256 = sha256_of(&mut task.input.open()?).map_err(|e| Error::io(act.clone(), e))?;
    if task.job.input_sha256.as_deref() == Some(sha256.as_str()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, act, format!("{} was changed since the job was submitted", task.input))
        .hint("put the file back as it was; or submit it as it is now with create_batch, as a job of its own"))
}

/// The SHA-256 of a file.
pub(in crate::ops) fn sha256_of(file: &mut impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; 256 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(block.get(..count).unwrap_or_default()),
        }
    }
}
