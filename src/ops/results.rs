//! `get_results`: the answers of a job, whole, in a file.

mod account;
mod answer_file;
mod budget;
mod family;
mod manifest;
mod settle;
mod words;

pub use crate::answers::Format;
pub(super) use account::Keys;
pub(super) use answer_file::{NextStage, write_rows};
pub(super) use family::{Family, Member, checker_of};
pub(super) use manifest::{job_of, kind_told, last_written, origin_told, part_told};
pub(super) use settle::{Costs, settle};
pub use words::{Failure, ResultsArgs, ResultsReply, Sample};

use serde_json::{Map, Value, json};

use super::App;
use super::bounds::at_most;
use super::dataset::made_of;
use super::next::call;
use super::off_thread::off_thread;
use super::schema_file::schema_file;
use crate::answers::{FailureGroup, Filter, Summary, Tally, refuse_misnamed};
use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::{counted, grouped};
use crate::job::text::{clip, one_line};
use crate::job::{Cost, Handle, JobState, Kind, Outcome, OutcomeCounts, Usage};
use crate::jsonl::notes::Fault;
use crate::jsonl::response_schema;
use crate::ledger::JobRecord;
use crate::paths::{AllowedFolder, AllowedPath};
use crate::progress::Monitor;
use account::{Counted, Unasked, Wanted};
use answer_file::{Done, Join, View, account, join, prepare};

const USUAL_SAMPLES: i64 = 3;
const MOST_SAMPLES: i64 = 50;
/// Bytes of the error of a job.
const MOST_ERROR_BYTES: usize = 400;
/// Bytes of a call named as the next one.
const MOST_CALL_BYTES: usize = 600;

/// Brings the answers home and writes them down, accounting for every request.
pub async fn results(app: &App, args: ResultsArgs, monitor: &dyn Monitor) -> Result<ResultsReply> {
    let wanted = wanted(&args)?;
    let schema = args.schema.as_ref().map(|schema| schema_of(app, schema)).transpose()?;
    let is_whole = wanted.filter.is_empty() && args.merge_retries != Some(false);
    let view = View { alone: args.merge_retries == Some(false), schema };
    super::rebuild::if_incomplete(app, monitor).await;
    let job = super::find::job(app, &args.job).await?;
    let job = super::observe::refresh_now(app, job).await?;
    if !job.state().is_terminal() {
        let here = super::collect::what_has_ended(app, &job, monitor).await?;
        return Ok(not_yet(&job, here));
    }
    // Nothing is downloaded for a call that could not write its file.
    let format = args.format.as_deref().map(Format::parse).transpose()?;
    let join = match args.join || format == Some(Format::Source) {
        true => Some(join(app, &job, monitor).await?),
        false => None,
    };
    let output = output_file(app, &args, &job, format, join.as_ref())?;
    if let Some((path, format)) = &output {
        refuse_input(app, &job, path, monitor).await?;
        let written = join.as_ref().filter(|_| *format == Format::Source);
        refuse_misnamed(path, written.map_or(format.as_str(), Join::answered_in))?;
    }
    let media = output.is_some().then(|| media_folder(app, &args, &job)).transpose()?;
    let task = prepare(app, &job, output, join, wanted, &view, monitor).await?.with_media(media);
    let overwrite = args.overwrite;
    let done = off_thread(monitor, move |monitor| account(task, overwrite, monitor)).await?;
    settle(app, &done.family.members, &done.counted.costs)?;
    // A batch that was taken for gone may have turned up.
    let job = app.ledger()?.job(&job.handle)?;
    let manifest = manifest::write(app, &args, &done, monitor).await?;
    let whole = super::sample::whole(app, &job, &done.counted.summary)?;
    let mut reply = reply(app, &args, &job, done)?;
    if let Some(path) = reply.path.as_ref().filter(|_| is_whole) {
        app.ledger()?.written(&job.handle, path)?;
    }
    reply.error = job.error().map(|error| one_line(&clip(error, MOST_ERROR_BYTES)));
    reply.manifest = manifest.path;
    reply.warnings.extend(manifest.warning);
    if let Some(whole) = whole {
        if reply.outcomes.answered == reply.requests {
            reply.next = whole.next_step();
        }
        reply.whole = Some(whole.to_string());
    }
    if reply.path.is_none()
        && !is_about_answers(&args)
        && let Some(path) = last_written(app, &job.handle)?
    {
        reply.warnings.push(format!("the answers were last written to {path}"));
    }
    budget::fit(&mut reply, &args.outcomes);
    if let Some(next) = next_page(&args, &reply) {
        reply.next = next;
    }
    if reply.selected == Some(0) {
        nothing_selected(&args, job.kind, &mut reply);
    } else if args.limit.is_some() && reply.path.is_some() {
        reply
            .warnings
            .push("limit is how many answers are shown here: the file holds all that were selected".to_owned());
    }
    if args.limit.is_some_and(|limit| limit > MOST_SAMPLES) {
        reply.warnings.push(format!(
            "a reply shows at most {MOST_SAMPLES} answers; the same call with output writes all of them"
        ));
    }
    if let Some(selected) = reply.selected.filter(|selected| args.offset >= *selected && args.offset > 0) {
        reply.warnings.push(format!("offset {} is beyond the last of {} selected", args.offset, grouped(selected)));
    }
    Ok(reply)
}

/// Of how many parts the results are here, nothing is counted before all have ended.
fn not_yet(job: &JobRecord, here: usize) -> ResultsReply {
    let mut warnings = vec!["the job has not ended: there are no results yet, and nothing was written".to_owned()];
    if here > 0 {
        warnings.push(format!("the answers of {here} of its {} parts are safe on this machine", job.parts.len()));
    }
    let mut outcomes = OutcomeCounts::default();
    outcomes.add(Outcome::Pending, job.requests);
    let next = match job.state() {
        JobState::Unsubmitted if job.waiting().next().is_none() => {
            "the job did not reach the API: repeat the create_batch call that made it".to_owned()
        }
        _ => format!("check_status {{\"jobs\": [\"{}\"], \"wait\": true}}", job.handle),
    };
    ResultsReply {
        job: job.handle.to_string(),
        state: job.state().to_string(),
        error: None,
        path: None,
        format: None,
        bytes: None,
        requests: job.requests,
        outcomes,
        selected: None,
        counts: Map::new(),
        media: None,
        manifest: None,
        retries: Vec::new(),
        whole: None,
        usage: Usage::default(),
        cost_usd: None,
        saved_usd: None,
        samples: Vec::new(),
        failures: Vec::new(),
        warnings,
        next,
    }
}

/// The schema that a call gives to hold the answers against.
fn schema_of(app: &App, given: &Map<String, Value>) -> Result<Value> {
    let given = Value::Object(schema_file(app.roots(), given)?);
    let refused = |fault: Fault| {
        Error::new(ErrorKind::InvalidArgument, "reading the schema of the answers", fault.cause).hint(fault.hint)
    };
    response_schema::itself(&given).cloned().map_err(refused)
}

fn wanted(args: &ResultsArgs) -> Result<Wanted> {
    const ACT: &str = "choosing answers";
    let filter = Filter::new(&args.outcomes, &args.keys).holding(args.search.as_deref())?.with_fields(&args.fields)?;
    Ok(Wanted {
        look: is_look(args) || !filter.is_empty(),
        filter,
        keys: args.keys.clone(),
        offset: at_most(ACT, ("offset", args.offset), 0..=i64::MAX)?,
        limit: at_most(ACT, ("limit", args.limit.unwrap_or(USUAL_SAMPLES)), 0..=MOST_SAMPLES)?,
        tally: args.count_by.as_deref().map(Tally::of).transpose()?,
    })
}

/// Whether somebody wants to see answers rather than to have them all.
fn is_look(args: &ResultsArgs) -> bool {
    is_about_answers(args) || args.limit.is_some()
}

/// Whether it is answers of a kind that somebody looks at: why others have none is not the question.
fn is_about_answers(args: &ResultsArgs) -> bool {
    !args.keys.is_empty()
        || args.search.is_some()
        || !args.fields.is_empty()
        || args.count_by.is_some()
        || args.offset > 0
}

/// The file to write, none when somebody looks at answers.
fn output_file(
    app: &App,
    args: &ResultsArgs,
    job: &JobRecord,
    asked: Option<Format>,
    join: Option<&Join>,
) -> Result<Option<(AllowedPath, Format)>> {
    let path = match &args.output {
        Some(output) => app.roots().writable(one_file(output)?)?,
        None if is_look(args) && args.media_dir.is_none() => return Ok(None),
        None => {
            let name = match (asked.unwrap_or_default(), join) {
                (Format::Source, Some(join)) => answered_name(app, job, join)?,
                (Format::Raw, _) => format!("{}.results.raw.jsonl", file_name(job)),
                (format, _) => format!("{}.results.{}{}", file_name(job), only(&args.outcomes), format.as_str()),
            };
            app.roots().writable(&name)?
        }
    };
    let format = match asked {
        Some(format) => format,
        None => Format::of_file(&path)?,
    };
    Ok(Some((path, format)))
}

/// Refuses what names a folder, or a file for each answer.
fn one_file(output: &str) -> Result<&str> {
    if !output.ends_with(std::path::is_separator) && !output.contains("{{") {
        return Ok(output);
    }
    let cause = "all answers go into one file, and this does not name one";
    Err(Error::new(ErrorKind::InvalidArgument, format!("writing {output}"), cause).hint(
        "name one file, such as answers.csv: it has a row for each answer. A file for each answer is not offered",
    ))
}

/// `products.answered.csv`, and where another job's answers have that name, with the handle in it.
fn answered_name(app: &App, job: &JobRecord, join: &Join) -> Result<String> {
    let usual = join.answered_name();
    let there = app.roots().writable(&usual)?;
    let is_free = !there.exists() || manifest::job_of(app, &there).as_deref() == Some(job.handle.as_str());
    let (before, extension) = usual.rsplit_once('.').unwrap_or((&usual, ""));
    Ok(if is_free { usual } else { format!("{before}.{}.{extension}", file_name(job)) })
}

/// "failed." where a file holds nothing else: it does not stand in the place of all answers.
fn only(outcomes: &[Outcome]) -> String {
    outcomes.iter().map(|outcome| format!("{outcome}.")).collect()
}

/// What a job was made of is not written over, whatever else may be.
async fn refuse_input(app: &App, job: &JobRecord, path: &AllowedPath, monitor: &dyn Monitor) -> Result<()> {
    if !path.exists() || !made_of(app, job, path, monitor).await? {
        return Ok(());
    }
    let cause = "the job was made of that file (its data set or its requests), which would be lost";
    Err(Error::new(ErrorKind::InvalidArgument, format!("writing {path}"), cause).hint("name another output"))
}

/// The folder for pictures and sounds.
fn media_folder(app: &App, args: &ResultsArgs, job: &JobRecord) -> Result<AllowedFolder> {
    let usual = format!("{}.media", file_name(job));
    app.roots().writable_folder(args.media_dir.as_deref().unwrap_or(&usual))
}

/// The handle as part of a file's name: names of jobs made elsewhere hold a slash.
pub(super) fn file_name(job: &JobRecord) -> String {
    job.handle.as_str().replace('/', "-")
}

fn reply(app: &App, args: &ResultsArgs, job: &JobRecord, done: Done) -> Result<ResultsReply> {
    let Done { counted: tallied, family, file, mut warnings, .. } = done;
    if file.is_some() {
        warnings.extend(unasked_told(tallied.unasked));
    }
    let summary = &tallied.summary;
    warnings.extend(least_told(summary));
    let selected = (is_look(args) || !args.outcomes.is_empty()).then_some(tallied.selected);
    let media = file.as_ref().and_then(|(.., written)| written.media.as_ref()).filter(|media| media.count > 0);
    let media = media.map(|media| format!("{} ({})", media.folder, counted(media.count.cast_signed(), "file")));
    let next = match &file {
        _ if summary.outcomes.answered < summary.outcomes.total() => {
            let (newest, outcomes) = (to_be_retried(job, &family, &tallied), &summary.outcomes);
            if family.unfinished.is_empty() && super::retry::is_last(app, newest)? {
                no_more_retries(app, &family)
            } else {
                unanswered_step(&newest.handle, &family, outcomes, file.is_some())
            }
        }
        None => "done; the same call with output writes what was selected to a file".to_owned(),
        Some(_) if job.kind == Kind::Embed => "done".to_owned(),
        Some((path, format, _)) if media.is_some() && format.is_table() => {
            // With a join the columns are those of the data set, and so is the key.
            let key = match args.join {
                true => app.ledger()?.origin_of(job)?.and_then(|origin| origin.key),
                false => Some("key".to_owned()),
            };
            let arguments = json!({"source": path.to_string(), "key": key, "attach": ["media"], "template": "…"});
            format!("done; {} asks about these files", call("build_jsonl", arguments))
        }
        Some(_) if media.is_some() => {
            "done; the same call with output NAME.csv makes a table whose column media build_jsonl can attach"
                .to_owned()
        }
        Some(_) => format!(
            "done; {} makes these answers the input of a next stage",
            call("build_jsonl", json!({"source": format!("job:{}", job.handle), "template": "…{{ answer }}…"}))
        ),
    };
    let most = if is_about_answers(args) { 0 } else { MOST_FAILURES };
    let is_wanted = |failure: &FailureGroup| args.outcomes.is_empty() || args.outcomes.contains(&failure.outcome);
    let failures = summary.failures().into_iter().filter(is_wanted).take(most).map(Failure::from);
    let mut failures: Vec<_> = failures.collect();
    if family.misses_results() {
        failures.iter_mut().for_each(Failure::may_still_come);
    }
    Ok(ResultsReply {
        job: job.handle.to_string(),
        state: job.state().to_string(),
        error: None,
        path: file.as_ref().map(|(path, ..)| path.to_string()),
        format: file.as_ref().map(|(_, _, written)| written.format.to_owned()),
        bytes: file.as_ref().and_then(|(.., written)| i64::try_from(written.bytes).ok()),
        // Of a job made elsewhere the API may not say how many there were.
        requests: summary.outcomes.total(),
        outcomes: summary.outcomes,
        selected,
        counts: tallied.tally.map(|tally| tally.most_frequent(one_line)).unwrap_or_default(),
        media,
        manifest: None,
        retries: family.retries().map(|member| member.job.handle.to_string()).collect(),
        whole: None,
        usage: summary.usage,
        cost_usd: summary.cost.usd(),
        saved_usd: summary.live_cost.minus(summary.cost).usd(),
        samples: tallied.shown,
        failures,
        warnings,
        next,
    })
}

/// Why nothing may have been selected, and what to do in place of going on with it.
fn nothing_selected(args: &ResultsArgs, kind: Kind, reply: &mut ResultsReply) {
    let is_done = reply.outcomes.answered == reply.requests;
    let mut warn = |warning: &str| reply.warnings.push(warning.to_owned());
    if reply.path.is_some() {
        warn("nothing was selected: the file has no answers");
    }
    match (&args.search, kind) {
        (None, _) => {}
        (Some(_), Kind::Embed) => {
            warn("search looks for text in the answers, and these are vectors; what was asked is not looked at")
        }
        (Some(_), Kind::Generate) => warn("search looks for text in the answers; what was asked is not looked at"),
    }
    if let Some(field) = args.fields.keys().next() {
        warn("no answer has these values in where; columns of the data set are not looked at");
        let call = call("get_results", json!({"job": reply.job, "count_by": field}));
        reply.next = format!("{call} shows which values it has in the answers");
    } else if is_done {
        "done: every request has its answer, and none was selected".clone_into(&mut reply.next);
    }
}

/// What is known of a cost that is not.
fn least_told(summary: &Summary) -> Option<String> {
    let is_known = summary.cost != Cost::Unknown || summary.least_usd <= 0.0;
    (!is_known).then(|| format!("what it cost is unknown, but at least {}", Cost::Usd(summary.least_usd)))
}

/// What became of rows that are in the data set and not in the job.
fn unasked_told(Unasked { written, left_out, unreadable }: Unasked) -> Option<String> {
    let whose = "of the data set made no request (bad, beyond a limit, or added since)";
    let rows = |count: i64, fate: &str| (count > 0).then(|| format!("{} {whose}{fate}", counted(count, "row")));
    let told = [
        rows(written, ": their answer columns are empty"),
        rows(left_out, ": not in the file; format source keeps them"),
        (unreadable > 0).then(|| format!("{} of it that cannot be read: not in the file", counted(unreadable, "row"))),
    ];
    Some(told.into_iter().flatten().collect::<Vec<_>>().join("; ")).filter(|told| !told.is_empty())
}

/// Reasons listed in a reply.
const MOST_FAILURES: usize = 10;

/// The job whose retry asks for all that is left and may get an answer: the newest retry, if all of that was asked by it.
/// A retry of the first job would only find it, or ask with settings that were not enough already.
fn to_be_retried<'j>(job: &'j JobRecord, family: &'j Family, counted: &Counted) -> &'j JobRecord {
    let outcomes = &counted.summary.outcomes;
    // What may still come is left out of a retry.
    let may_come = if family.misses_results() { outcomes.missing } else { 0 };
    let left = outcomes.total() - outcomes.answered - outcomes.blocked - may_come;
    let has_all = |retry: &&Member| {
        let told = counted.by_generation.get(&retry.number).copied().unwrap_or_default();
        let lacks = told.total() - told.answered - told.blocked;
        left > 0 && (lacks == left || retry.job.requests - told.answered - told.blocked == left)
    };
    let newest = family.retries().last().filter(has_all);
    newest.map_or(job, |retry| &retry.job)
}

/// What to do about requests without an answer.
fn unanswered_step(job: &Handle, family: &Family, outcomes: &OutcomeCounts, is_written: bool) -> String {
    if let Some(retry) = family.unfinished.first() {
        // The file of this call is another one then.
        let over_it = if is_written { " with overwrite: true" } else { "" };
        return format!(
            "check_status {{\"jobs\": [\"{}\"], \"wait\": true}} until that retry has ended, then the same call again{over_it}",
            retry.handle
        );
    }
    if family.misses_results() && outcomes.answered + outcomes.missing == outcomes.total() {
        let all_the_same = Family::repeat_missing(job);
        return format!("the same call later looks for the missing answers again; {all_the_same}");
    }
    let hopeless = "what was blocked rarely gets an answer unchanged: other prompts or another model may help";
    let is_another = |outcome: &Outcome| match outcome {
        Outcome::Answered | Outcome::Blocked => false,
        // What may still come is not named: who names it pays for it again.
        Outcome::Missing if family.misses_results() => false,
        outcome => outcomes.get(*outcome) > 0,
    };
    let others = Outcome::ALL.into_iter().filter(is_another);
    let others: Vec<_> = others.map(Outcome::as_str).collect();
    // A retry that names no outcome leaves it out as well.
    let but = if family.misses_results() { " (those missing are left out)" } else { "" };
    match (outcomes.blocked, others.as_slice()) {
        (0, _) => format!(
            "retry_batch {{\"job\": \"{job}\"}} submits the requests without an answer again{but}, as a new job that is paid; see failures for what to change first"
        ),
        (_, []) => {
            format!("done, as far as can be: {hopeless} (retry_batch {{\"job\": \"{job}\", \"model\": \"…\"}})")
        }
        _ => format!(
            "{} submits the others without an answer again, as a new job that is paid; {hopeless}",
            call("retry_batch", json!({"job": job.as_str(), "outcomes": others}))
        ),
    }
}

/// What is left where a further retry would be refused.
fn no_more_retries(app: &App, family: &Family) -> String {
    let later = if family.misses_results() { "the same call later looks for the missing answers again; " } else { "" };
    format!(
        "{later}these were retried {} times, which is the most: change their prompts, the schema or the model, and submit those \
         rows with build_jsonl and create_batch; or let the user raise GEMINI_BATCH_MAX_GENERATIONS",
        app.config().max_generations
    )
}

/// How to see what was selected and is not shown, if anything is.
fn next_page(args: &ResultsArgs, reply: &ResultsReply) -> Option<String> {
    let (shown, selected) = (i64::try_from(reply.samples.len()).unwrap_or(0), reply.selected?);
    let end = args.offset.max(0) + shown;
    if shown == 0 || end >= selected {
        return None;
    }
    // What is null is not given.
    let page = json!({
        "job": reply.job,
        "outcomes": (!args.outcomes.is_empty()).then_some(&args.outcomes),
        "keys": (!args.keys.is_empty()).then_some(&args.keys),
        "search": args.search,
        "where": (!args.fields.is_empty()).then_some(&args.fields),
        "count_by": args.count_by,
        "schema": args.schema,
        "merge_retries": args.merge_retries,
        "limit": args.limit,
        "offset": end,
    });
    let page = call("get_results", page);
    let left = grouped(selected - end);
    Some(if page.len() <= MOST_CALL_BYTES {
        format!("{page} shows more: {left} of {} selected are left", grouped(selected))
    } else {
        format!("the same call with offset {end} shows more: {left} of {} selected are left", grouped(selected))
    })
}
