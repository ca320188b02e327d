//! `OUTPUT.manifest.json`: what a results file is of, enough to audit it or to do it again.

use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::answer_file::Done;
use super::words::ResultsArgs;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Handle;
use crate::job::models::Makes;
use crate::ledger::JobRecord;
use crate::ledger::builds::BuildOrigin;
use crate::ops::App;
use crate::ops::build::BuildKind;
use crate::ops::off_thread::off_thread;
use crate::ops::retry::sha256_of;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// Names what a manifest is of; tells ours from other files.
const OF: &str = "manifest_of";
/// No manifest of ours is longer.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// The manifest, or why there is none.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) path: Option<String>,
    pub(super) warning: Option<String>,
}

/// Writes the manifest of a file that was just written. A file of that name that is not the manifest of this
/// output is kept, unless everything may be replaced.
pub(super) async fn write(app: &App, args: &ResultsArgs, done: &Done, monitor: &dyn Monitor) -> Result<Written> {
    let Some((output, ..)) = &done.file else { return Ok(Written::default()) };
    let path = match app.roots().writable(&format!("{output}.manifest.json")) {
        Ok(path) => path,
        Err(e) => return Ok(not_written(&e)),
    };
    if path.exists() && !args.overwrite && !is_ours(&path, output) {
        let e = Error::new(ErrorKind::AlreadyExists, "", format!("{path} is there and not a manifest of this file"));
        return Ok(not_written(&e));
    }
    let file = output.clone();
    let sha256 =
        off_thread(monitor, move |_| sha256_of(&mut file.open()?).map_err(|e| Error::io(format!("reading {file}"), e)))
            .await?;
    let manifest = manifest(app, args, done, &sha256)?;
    match put(&path, &manifest) {
        Ok(()) => Ok(Written { path: Some(path.to_string()), warning: None }),
        Err(e) => Ok(not_written(&e)),
    }
}

/// The file that all answers of a job were written to last, if it is still there.
pub(in crate::ops) fn last_written(app: &App, job: &Handle) -> Result<Option<String>> {
    let path = app.ledger()?.last_written(job)?;
    Ok(path.and_then(|path| app.roots().existing(&path).ok()).map(|path| path.to_string()))
}

/// The answers are there: that is told rather than a failure.
fn not_written(error: &Error) -> Written {
    Written { path: None, warning: Some(format!("the manifest was not written: {}", error.cause())) }
}

/// The job whose answers are in a file, by its manifest.
pub(in crate::ops) fn job_of(app: &App, output: &AllowedPath) -> Option<String> {
    let there = read(&app.roots().existing(&format!("{output}.manifest.json")).ok()?)?;
    there.get("job").and_then(Value::as_str).map(str::to_owned)
}

fn read(path: &AllowedPath) -> Option<Value> {
    let mut text = String::new();
    let read = path.open().map(|file| file.take(MOST_BYTES).read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok())
}

fn is_ours(path: &AllowedPath, output: &AllowedPath) -> bool {
    let there = read(path);
    there.is_some_and(|there| there.get(OF).and_then(Value::as_str) == Some(output.to_string().as_str()))
}

fn put(path: &AllowedPath, manifest: &Value) -> Result<()> {
    let mut file = path.temporary()?;
    writeln!(file, "{manifest:#}").map_err(|e| Error::io(format!("writing {path}"), e))?;
    // Whether it may be replaced was decided before.
    path.persist_if_new(file, true).map(drop)
}

fn manifest(app: &App, args: &ResultsArgs, done: &Done, sha256: &str) -> Result<Value> {
    let Done { counted, family, file, .. } = done;
    let itself = family.members.first().ok_or_else(|| Error::internal("writing the manifest", "there is no job"))?;
    let origin = app.ledger()?.origin_of(&itself.job)?;
    let output = file.as_ref().map(|(path, format, written)| {
        json!({
            "path": path.to_string(),
            "sha256": sha256,
            "bytes": written.bytes,
            "format": format.as_str(),
            "rows": counted.selected + counted.unasked.written,
        })
    });
    Ok(json!({
        OF: file.as_ref().map(|(path, ..)| path.to_string()),
        "program": format!("gemini-batch-mcp {}", env!("CARGO_PKG_VERSION")),
        "job": itself.job.handle.as_str(),
        "kind": kind_told(app, &itself.job),
        "model": itself.job.model,
        "model_versions": counted.versions,
        "requests": counted.summary.outcomes.total(),
        "outcomes": counted.summary.outcomes,
        "usage": counted.summary.usage,
        "cost_usd": counted.summary.cost.usd(),
        "prices_as_of": app.models().as_of.to_string(),
        "output": output,
        "source": origin.as_ref().map(origin_told),
        "parts": family.members.iter().map(|member| part_told(&member.job, member.number)).collect::<Vec<_>>(),
        "options": options(args),
    }))
}

/// What was asked for, in the word of a build.
pub(in crate::ops) fn kind_told(app: &App, job: &JobRecord) -> &'static str {
    let kind = match app.models().get(&job.model).map(|model| model.makes) {
        Some(Makes::Images) => BuildKind::Image,
        Some(Makes::Speech) => BuildKind::Speech,
        _ => return job.kind.as_str(),
    };
    kind.as_str()
}

/// What the requests were built from.
pub(in crate::ops) fn origin_told(origin: &BuildOrigin) -> Value {
    json!({
        "path": origin.source,
        "xxh3_128": origin.source_hash,
        "reading": origin.reading,
        "key": origin.key,
        "response_schema": origin.response_schema,
    })
}

/// One job whose answers are in the file: 0 is the job itself, then come its retries.
pub(in crate::ops) fn part_told(job: &JobRecord, number: u32) -> Value {
    let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339());
    json!({
        "generation": number,
        "job": job.handle.as_str(),
        "retry_of": job.retry_of.as_ref().map(|handle| handle.as_str()),
        "remote_names": job.remote_names().collect::<Vec<_>>(),
        "model": job.model,
        "state": job.state().to_string(),
        "requests": job.requests,
        "created_at": time(Some(job.created_at)),
        "submitted_at": time(job.submitted_at()),
        "ended_at": time(job.ended_at()),
        "collected_at": time(job.collected_at),
        "input": {"path": job.input_path, "sha256": job.input_sha256},
    })
}

/// How the file was asked for.
fn options(args: &ResultsArgs) -> Value {
    json!({
        "join": args.join,
        "outcomes": args.outcomes,
        "keys": args.keys,
        "search": args.search,
        "where": args.fields,
        "schema": args.schema,
        "merge_retries": args.merge_retries.unwrap_or(true),
    })
}
