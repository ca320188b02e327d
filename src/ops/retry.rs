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
use super::create::{CreateArgs, CreateReply};
use super::off_thread::off_thread;
use super::vault::Vault;
use crate::answers::{Answer, ResultIndex, Spill, Window};
use crate::error::{Error, ErrorKind, Result};
use crate::job::id::hex;
use crate::job::{Outcome, OutcomeCounts};
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
    let job = super::observe::refresh(app, job).await?;
    if !job.state.is_terminal() {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("retrying {}", job.handle),
            format!("it is {}", job.state),
        )
        .hint("wait until it has ended, or cancel_batch it first: what is done by then is kept"));
    }
    let origin = match &job.input_sha256 {
        Some(sha256) => app.ledger()?.build_origin(sha256)?,
        None => None,
    };
    let expects_json = origin.as_ref().is_some_and(|origin| origin.expects_json);
    let (input, repeated) = write_requests(app, &job, &args, expects_json, monitor).await?;
    if let Some(origin) = origin {
        // The rows are the same: the answers of the retry can be joined to them as well.
        app.ledger()?
            .remember_build(&input.1, &BuildOrigin { model: None, counted: None, sample_of: None, ..origin })?;
    }
    let create = CreateArgs {
        model: Some(args.model.unwrap_or_else(|| job.model.clone())),
        name: Some(job.handle.slug().to_owned()),
        dry_run: args.dry_run,
        max_cost_usd: args.max_cost_usd,
        ..CreateArgs::default()
    };
    let created = super::create::submit_file(app, input.0, Some(&job), &create, monitor).await?;
    Ok(RetryReply { retry_of: job.handle.to_string(), repeated, created })
}

/// The request file of the retry, and its SHA-256.
type Requests = (AllowedPath, String);

async fn write_requests(
    app: &App,
    job: &JobRecord,
    args: &RetryArgs,
    expects_json: bool,
    monitor: &dyn Monitor,
) -> Result<(Requests, OutcomeCounts)> {
    let results = super::collect::collect(app, job, monitor).await?.path;
    let wanted: Vec<_> = if args.outcomes.is_empty() {
        Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Answered).collect()
    } else {
        args.outcomes.clone()
    };
    // Other settings are another file: a retry of the retry finds its own.
    let settings = serde_json::to_vec(&(&wanted, &args.generation_config)).unwrap_or_default();
    let output = Vault::open(app, &job.handle)?.file(&format!("retry-{:016x}.requests.jsonl", xxh3_64(&settings)))?;
    let task = Task {
        handle: job.handle.to_string(),
        requests: job.requests.unsigned_abs(),
        input: input_of(app, job)?,
        sha256: job.input_sha256.clone().unwrap_or_default(),
        results,
        wanted,
        changes: args.generation_config.clone(),
        expects_json,
        output: output.clone(),
    };
    let (sha256, repeated) = off_thread(monitor, move |monitor| select(task, monitor)).await?;
    Ok(((output, sha256), repeated))
}

/// The file that the job was made from. Where the job was made, by a person or for another folder, more may
/// have been allowed than here.
fn input_of(app: &App, job: &JobRecord) -> Result<AllowedPath> {
    let act = || format!("reading the requests of {}", job.handle);
    let path = job.input_path.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, act(), "the job was made elsewhere, its request file is not known here")
            .hint("submit the requests with create_batch from the file they came from")
    })?;
    Vault::or_roots(app)?.existing(path)
}

struct Task {
    handle: String,
    requests: u64,
    input: AllowedPath,
    sha256: String,
    results: AllowedPath,
    wanted: Vec<Outcome>,
    changes: Option<Map<String, Value>>,
    expects_json: bool,
    output: AllowedPath,
}

/// Copies the wanted requests. Heavy: runs on a thread of its own.
fn select(task: Task, monitor: &dyn Monitor) -> Result<(String, OutcomeCounts)> {
    let act = format!("reading the requests of {}", task.handle);
    refuse_changed(&task, &act)?;
    let spill = Spill::beside(&task.results);
    let mut index = ResultIndex::bounded(vec![task.results.open()?], task.requests, spill, monitor)?;
    let mut lines = LineReader::new(task.input.open()?);
    let mut writer = RequestWriter::create(task.output, true)?;
    let mut window = Window::new();
    let mut repeated = OutcomeCounts::default();
    while let Some(line) = lines.next_line().map_err(|e| Error::io(act.clone(), e))? {
        let Some(key) = key_of(line.bytes).ok().flatten() else { continue };
        let result = index.get(&key, &mut window)?;
        let outcome = result.map_or(Outcome::Missing, |result| Answer::read(result, task.expects_json).outcome);
        if task.wanted.contains(&outcome) {
            match &task.changes {
                None => writer.push(line.bytes)?,
                Some(changes) => writer.push(&changed(line.bytes, changes, &act)?)?,
            }
            repeated.add(outcome, 1);
        }
        if line.number % 4096 == 0 {
            monitor.check(&act)?;
        }
    }
    if repeated.total() == 0 {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("retrying {}", task.handle),
            "no request has such an outcome",
        )
        .hint("get_results shows how many have which outcome"));
    }
    Ok((writer.finish()?.sha256, repeated))
}

/// A request file that was changed meanwhile is not what was asked.
fn refuse_changed(task: &Task, act: &str) -> Result<()> {
    if sha256_of(&mut task.input.open()?).map_err(|e| Error::io(act, e))? == task.sha256 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, act, format!("{} was changed since the job was submitted", task.input))
        .hint("build the file anew and submit it with create_batch"))
}

fn sha256_of(file: &mut impl Read) -> std::io::Result<String> {
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
