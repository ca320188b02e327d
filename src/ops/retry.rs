//! `retry_batch`: the requests of a job that have no usable answer become a job of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::App;
use super::create::{CreateArgs, CreateReply, Submission};
use super::lease::Lease;
use super::off_thread::off_thread;
use super::results::{Family, Keys, Member, checker_of};
use super::vault::Vault;
use crate::answers::Checker;
use crate::error::{Error, ErrorKind, Result};
use crate::job::id::hex;
use crate::job::models::bare_name;
use crate::job::{Outcome, OutcomeCounts};
use crate::jsonl::keys::KeySet;
use crate::jsonl::lines::LineReader;
use crate::jsonl::result::key_of;
use crate::jsonl::writer::RequestWriter;
use crate::ledger::JobRecord;
use crate::ledger::builds::BuildOrigin;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// Which job, which of its requests, and what to do otherwise this time.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryArgs {
    /// Handle of the job that ended.
    pub job: String,
    /// Repeat requests with these outcomes. Default: all but answered.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// Another model.
    #[serde(default)]
    pub model: Option<String>,
    /// generationConfig fields to change, e.g. {"maxOutputTokens": 4096} after truncation.
    #[serde(default)]
    pub generation_config: Option<Map<String, Value>>,
    /// Check and estimate only; nothing is sent.
    #[serde(default)]
    pub dry_run: bool,
    /// Refuse if the high estimate is above this, or the price unknown.
    #[serde(default)]
    pub max_cost_usd: Option<f64>,
}

/// The new job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RetryReply {
    /// Job whose requests are repeated.
    pub retry_of: String,
    /// Requests repeated, by the outcome they had.
    #[schemars(with = "BTreeMap<String, i64>")]
    pub repeated: OutcomeCounts,
    /// The new job.
    #[serde(flatten)]
    pub created: CreateReply,
}

impl fmt::Display for RetryReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated = Outcome::ALL.into_iter().filter(|outcome| self.repeated.get(*outcome) > 0);
        let repeated: Vec<_> = repeated.map(|outcome| format!("{} {outcome}", self.repeated.get(outcome))).collect();
        writeln!(f, "repeats {} of {}", repeated.join(", "), self.retry_of)?;
        self.created.fmt(f)
    }
}

/// Submits the requests without a usable answer again, as a new job linked to the old one.
pub async fn retry(app: &App, args: RetryArgs, monitor: &dyn Monitor) -> Result<RetryReply> {
    if !args.dry_run {
        app.allow_changes("retrying a batch job")?;
    }
    let job = super::find::job(app, &args.job).await?;
    let job = super::observe::refresh_now(app, job).await?;
    if !job.state().is_terminal() {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("retrying {}", job.handle),
            format!("it is {}", job.state()),
        )
        .hint("wait until it has ended, or cancel_batch it first: what is done by then is kept"));
    }
    let origin = app.ledger()?.origin_of(&job)?;
    input_of(app, &job)?;
    // One after the other: two calls with different settings would not see each other's job, and pay twice.
    let _turn = if args.dry_run { None } else { Some(Lease::of_job(app, &job.handle, monitor).await?) };
    let family = Family::gather(app, &job, true, monitor).await?;
    family.refuse_unread()?;
    let is_lacking = family.misses_results() && args.outcomes.is_empty();
    let model = args.model.clone().unwrap_or_else(|| job.model.clone());
    let chosen = write_requests(app, &args, family, origin.as_ref(), &model, monitor).await?;
    if let Some(origin) = origin.filter(|_| job.input_sha256.as_ref() != Some(&chosen.sha256)) {
        // The rows are the same: the answers of the retry can be joined to them as well.
        app.ledger()?
            .remember_build(&chosen.sha256, &BuildOrigin { model: None, counted: None, sample_of: None, ..origin })?;
    }
    let create = CreateArgs {
        model: Some(model),
        name: Some(job.handle.slug().to_owned()),
        dry_run: args.dry_run,
        max_cost_usd: args.max_cost_usd,
        ..CreateArgs::default()
    };
    let mut created = super::create::submit_file(app, chosen.path, Some(&job), &create, monitor).await?;
    if is_lacking {
        created.warnings.push(STILL_TO_COME.to_owned());
    }
    if created.submission == Submission::Found && chosen.ended.contains(&created.job) {
        created.warnings.push(format!(
            "these requests were repeated in that job already; to repeat what it left unanswered without any change, \
             retry_batch {{\"job\": \"{}\"}}",
            created.job
        ));
    }
    Ok(RetryReply { retry_of: job.handle.to_string(), repeated: chosen.repeated, created })
}

const STILL_TO_COME: &str = "the API counts more finished requests than the results it gave: requests without a result are \
    billed and left out here, as their answers may still come; outcomes [\"missing\"] repeats them all the same";

/// The request file of the retry.
struct Chosen {
    path: AllowedPath,
    sha256: String,
    /// The requests in it, by the outcome they had.
    repeated: OutcomeCounts,
    /// Earlier retries that have ended.
    ended: Vec<String>,
}

async fn write_requests(
    app: &App,
    args: &RetryArgs,
    family: Family,
    origin: Option<&BuildOrigin>,
    model: &str,
    monitor: &dyn Monitor,
) -> Result<Chosen> {
    let wanted: Vec<_> = if args.outcomes.is_empty() {
        // Results that the API says to have may still come.
        let may_come = |outcome: &Outcome| *outcome == Outcome::Missing && family.misses_results();
        Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Answered && !may_come(outcome)).collect()
    } else {
        args.outcomes.clone()
    };
    let Some(job) = family.members.first().map(|member| member.job.clone()) else {
        return Err(Error::internal("choosing requests", "there is no job"));
    };
    let ended: Vec<_> = family.retries().map(|retry| retry.job.handle.to_string()).collect();
    // Other settings, or more that answered meanwhile, are another file: a retry of the retry finds its own.
    let settings = serde_json::to_vec(&(&wanted, &args.generation_config, &ended)).unwrap_or_default();
    let vault = Vault::open(app, &job.handle)?;
    let path = vault.file(&format!("retry-{:016x}.requests.jsonl", xxh3_64(&settings)))?;
    let mut running = Vec::new();
    for retry in &family.unfinished {
        let keys = Vault::open(app, &retry.handle)?.keys()?;
        let sha256 = retry.input_sha256.clone().filter(|_| retry.model == bare_name(model));
        running.push(Running { handle: retry.handle.to_string(), keys, sha256 });
    }
    let (checker, _) = checker_of(origin)?;
    let task = Task {
        input: input_of(app, &job)?,
        job,
        members: family.members,
        running,
        wanted,
        changes: args.generation_config.clone(),
        checker,
        output: path.clone(),
    };
    let (sha256, repeated) = off_thread(monitor, move |monitor| choose(task, monitor)).await?;
    Ok(Chosen { path, sha256, repeated, ended })
}

/// The file that the job was made from. Where the job was made, by a person or for another folder, more may
/// have been allowed than here.
fn input_of(app: &App, job: &JobRecord) -> Result<AllowedPath> {
    let act = || reading(job);
    let path = job.input_path.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, act(), "the job was made elsewhere, its request file is not known here")
            .hint("submit the requests with create_batch from the file they came from")
    })?;
    Vault::or_roots(app)?.existing(path)
}

struct Task {
    job: JobRecord,
    /// The job and its retries that have ended.
    members: Vec<Member>,
    running: Vec<Running>,
    input: AllowedPath,
    wanted: Vec<Outcome>,
    changes: Option<Map<String, Value>>,
    checker: Checker,
    output: AllowedPath,
}

/// A retry that has not ended.
struct Running {
    handle: String,
    keys: AllowedPath,
    /// Hash of its request file, if it asks the same model.
    sha256: Option<String>,
}

/// Copies the wanted requests. Heavy: runs on a thread of its own.
fn choose(task: Task, monitor: &dyn Monitor) -> Result<(String, OutcomeCounts)> {
    refuse_changed(&task)?;
    let (sha256, repeated) = copy(&task, &task.members, &task.running, monitor)?;
    if repeated.total() > 0 {
        return Ok((sha256, repeated));
    }
    // The same call again, after its retry has answered: that retry is what was asked for.
    let itself = task.members.get(..1).unwrap_or_default();
    let (sha256, repeated) = copy(&task, itself, &[], monitor)?;
    let known = task.members.iter().skip(1).any(|retry| retry.job.input_sha256.as_deref() == Some(sha256.as_str()));
    if repeated.total() > 0 && known {
        return Ok((sha256, repeated));
    }
    Err(Error::new(
        ErrorKind::WrongState,
        format!("retrying {}", task.job.handle),
        "no request has such an outcome, its retries counted in",
    )
    .hint("get_results shows how many have which outcome"))
}

/// Copies the requests whose outcome is wanted, as these jobs left them.
fn copy(
    task: &Task,
    members: &[Member],
    running: &[Running],
    monitor: &dyn Monitor,
) -> Result<(String, OutcomeCounts)> {
    let act = reading(&task.job);
    let (mut merged, _) = Family::open(members, task.checker.clone(), monitor)?;
    let under_way = running.iter().map(|retry| keys_of(&retry.keys)).collect::<Result<Vec<_>>>()?;
    let mut taken = None;
    let mut lines = LineReader::new(task.input.open()?);
    let mut writer = RequestWriter::create(task.output.clone(), true)?;
    let mut repeated = OutcomeCounts::default();
    while let Some(line) = lines.next_line().map_err(|e| Error::io(act.clone(), e))? {
        let Some(key) = key_of(line.bytes).ok().flatten() else { continue };
        let outcome = merged.get(&key, |_, _| {})?.answer.outcome;
        if task.wanted.contains(&outcome) {
            match &task.changes {
                None => writer.push(line.bytes)?,
                Some(changes) => writer.push(&changed(line.bytes, changes, &act)?)?,
            }
            repeated.add(outcome, 1);
            taken = taken.or_else(|| under_way.iter().position(|keys| keys.contains(key.as_bytes())));
        }
        if line.number % 4096 == 0 {
            monitor.check(&act)?;
        }
    }
    let sha256 = writer.finish()?.sha256;
    // The very same retry is found, not made again.
    let is_known = running.iter().any(|retry| retry.sha256.as_ref() == Some(&sha256));
    match taken.and_then(|number| running.get(number)).filter(|_| !is_known) {
        Some(retry) => Err(still_running(&task.job, &retry.handle)),
        None => Ok((sha256, repeated)),
    }
}

fn reading(job: &JobRecord) -> String {
    format!("reading the requests of {}", job.handle)
}

fn keys_of(file: &AllowedPath) -> Result<KeySet> {
    let mut set = KeySet::new();
    let mut keys = Keys::new(file.open()?);
    while let Some(key) = keys.next_key()? {
        set.insert(key.as_bytes());
    }
    Ok(set)
}

fn still_running(job: &JobRecord, retry: &str) -> Error {
    Error::new(
        ErrorKind::WrongState,
        format!("retrying {}", job.handle),
        format!("its retry {retry} has not ended and asks for the same keys"),
    )
    .hint(format!("check_status {{\"jobs\": [\"{retry}\"], \"wait\": true}}, then make the same call again"))
}

/// A request file that was changed meanwhile is not what was asked.
fn refuse_changed(task: &Task) -> Result<()> {
    let act = reading(&task.job);
    let sha256 = sha256_of(&mut task.input.open()?).map_err(|e| Error::io(act.clone(), e))?;
    if task.job.input_sha256.as_deref() == Some(sha256.as_str()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, act, format!("{} was changed since the job was submitted", task.input))
        .hint("build the file anew and submit it with create_batch"))
}

/// The SHA-256 of a file.
pub(super) fn sha256_of(file: &mut impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; 256 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(block.get(..count).unwrap_or_default()),
        }
    }
}

/// The same request with other settings, in the spelling it had.
fn changed(line: &[u8], changes: &Map<String, Value>, act: &str) -> Result<Vec<u8>> {
    let bad = |e: serde_json::Error| Error::new(ErrorKind::InvalidInput, act, e.to_string());
    let mut line: Value = serde_json::from_slice(line).map_err(bad)?;
    if let Some(Value::Object(request)) = line.get_mut("request") {
        let name = if request.contains_key("generation_config") { "generation_config" } else { "generationConfig" };
        let config = request.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(config) = config {
            config.extend(changes.clone());
        }
    }
    serde_json::to_vec(&line).map_err(bad)
}
