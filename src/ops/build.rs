//! `build_jsonl`: a request file out of a data set and a template.

mod attach;
mod blanks;
mod compose;
mod count_tokens;
mod foreign;
mod kinds;
mod media_life;
mod problems;
mod ready;
mod repeats;
mod request;
mod rows;
mod speakers;
mod survey;
mod uploads;
mod watch;
mod words;

pub use crate::source::Format;
pub(super) use media_life::media_life;
pub(super) use ready::Lines;
pub use words::{BuildArgs, BuildKind, BuildReply, OnBadRow};

use serde_json::{Value, json};

use super::App;
use super::bounds::at_most;
use super::dataset::is_made_of;
use super::estimate::{Estimate, Load};
use super::model::{availability, input_limit, suits};
use super::next::call;
use super::off_thread::off_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::builds::BuildOrigin;
use crate::paths::{AllowedPath, Roots};
use crate::progress::Monitor;
use attach::Attach;
use compose::{Task, write};
use ready::Ready;
use request::Asked;
use rows::Rows;
use survey::Survey;
use uploads::place;

/// Makes a request of each row and writes them to a file, whole or not at all.
pub async fn build(app: &App, args: BuildArgs, monitor: &dyn Monitor) -> Result<BuildReply> {
    kinds::refuse_stray(&args)?;
    let limit = limit(&args)?;
    let mut rows = Rows::find(app, &args, monitor).await?;
    let output = output_file(app, &args, &rows)?;
    let problems = refuse_source(&rows, problems_file(app.roots(), &output)?)?;
    rows.leave_out(&[&output, &problems]);
    let asked = Asked::of(app, &args, &rows)?;
    let kind = asked.kind;
    let model = kinds::model(app, &args, kind);
    let model_warning = availability(app, &model)?;
    suits(app, &model, kind)?;
    let own_key = || asked.ready.as_ref().and_then(Ready::key);
    let key = args.key.clone().or_else(|| rows.default_key()).or_else(own_key);
    let kind_warnings = kinds::warnings(app, &model, &asked.request);
    let attach = attach(app, &args, &rows, &asked.request, key.clone(), monitor).await?;
    let mut origin = BuildOrigin {
        source: rows.text(),
        reading: serde_json::to_value(rows.reading()).unwrap_or_default(),
        source_hash: rows.hash(monitor).await?,
        key: key.clone(),
        // Pictures and speech have a model of their own, which create_batch cannot tell from the requests.
        model: (args.model.is_some() || matches!(args.kind, Some(BuildKind::Image | BuildKind::Speech)))
            .then(|| model.clone()),
        kind,
        expects_json: asked.expects_json,
        response_schema: asked.response_schema,
        media_expires: attach.placed.expires(),
        counted: None,
        sample_of: None,
        retry_call: None,
    };
    let is_ready = asked.ready.is_some();
    let mut warnings = rows.warnings();
    let unfinished = rows.unfinished().map(str::to_owned);
    let explain = rows.explain(&args.attach);
    let task = Task {
        key,
        source: rows.open()?,
        rows,
        problems,
        request: asked.request,
        ready: asked.ready,
        input_limit: input_limit(app, &model, kind),
        limit,
        on_bad_row: args.on_bad_row,
        output: output.clone(),
        overwrite: args.overwrite,
        attach,
    };
    let source_format = task.source.described();
    let built = off_thread(monitor, move |monitor| write(task, monitor)).await;
    let mut built = built.map_err(|e| if e.kind() == ErrorKind::InvalidInput { explain(e) } else { e })?;
    if let Some(expected) = built.expected {
        (origin.expects_json, origin.response_schema) = (expected.json, expected.schema);
    }
    warnings.extend(of_another_name(&output));
    warnings.extend(asked.warnings);
    warnings.extend(built.warnings);
    warnings.extend(model_warning);
    warnings.extend(kind_warnings);
    warnings.extend(media_life(Some(&origin), app.now()).unwrap_or_default());
    if args.count_tokens {
        match count_tokens::count(app, &output, built.written.requests, &model, kind, monitor).await {
            Ok(counted) => origin.counted = Some(counted),
            Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
            Err(e) => warnings.push(format!("the tokens are estimated here, not counted by the API: {e}")),
        }
    }
    remember(app, &built.written.sha256, &origin, is_ready)?;
    built.load.counted = origin.counted;
    let estimate = |load: &Load| Estimate::new(load, &model, kind, app.models(), app.today());
    let told = estimate(&built.load);
    warnings.extend(told.unsuited.as_ref().map(|unsuited| kinds::unsuited(app, &args, is_ready, unsuited)));
    let next = match unfinished {
        Some(retry) => format!(
            "{} until that retry has ended, then the same call again with overwrite: true",
            call("check_status", json!({"jobs": [retry], "wait": true}))
        ),
        // create_batch counts all requests, and may find more tokens in them.
        None => next_step(&output, origin.model.as_deref(), estimate(&built.load.at_most()).high_usd),
    };
    Ok(BuildReply {
        path: output.to_string(),
        requests: built.load.requests,
        bytes: i64::try_from(built.written.bytes).unwrap_or(i64::MAX),
        sha256: built.written.sha256,
        unchanged: built.written.unchanged,
        kind,
        source_format,
        estimate: told,
        first_requests: built.first,
        skipped: built.bad.count,
        problems: built.bad.listed(),
        problems_file: built.problems_file,
        fixes: [asked.fixes, built.fixes].concat(),
        warnings,
        next,
    })
}

/// A model that nobody chose is not named: the user may be asked.
fn next_step(output: &AllowedPath, model: Option<&str>, high_usd: Option<f64>) -> String {
    // Text first: a whole number is then written as one.
    let cap = high_usd.map(|usd| ((usd * 100.0).ceil().max(1.0) / 100.0).to_string());
    let cap = cap.and_then(|cap| cap.parse::<Value>().ok());
    call("create_batch", json!({"input": output.to_string(), "model": model, "max_cost_usd": cap}))
}

/// Notes what the requests were made of, unless that is known better: a copy of requests that were made of rows, or
/// the very requests of a job out of its own answers, tell nothing new.
fn remember(app: &App, sha256: &str, origin: &BuildOrigin, is_ready: bool) -> Result<()> {
    let ledger = app.ledger()?;
    let is_circle = match &origin.source {
        Some(source) => is_made_of(app, source, sha256)?,
        None => false,
    };
    let is_copy = is_ready && ledger.build_origin(sha256)?.is_some();
    if is_circle || is_copy { Ok(()) } else { ledger.remember_build(sha256, origin) }
}

/// What is attached, large files at the API already.
async fn attach(
    app: &App,
    args: &BuildArgs,
    rows: &Rows,
    request: &Value,
    key: Option<String>,
    monitor: &dyn Monitor,
) -> Result<Attach> {
    let skip_bad = args.on_bad_row == OnBadRow::Skip;
    let attach = Attach { is_must: skip_bad, ..Attach::new(args.attach.clone(), app.roots().clone()) };
    if attach.rules.is_empty() {
        return Ok(attach);
    }
    let stage = "looking for attached files";
    let survey = Survey { request: request.clone(), key, limit: limit(args)?, skip_bad, attach, stage };
    place(app, rows, survey, monitor).await
}

fn limit(args: &BuildArgs) -> Result<u64> {
    let Some(limit) = args.limit else { return Ok(u64::MAX) };
    at_most("building requests", ("limit", limit), 1..=i64::MAX).map(|limit| limit as u64)
}

fn output_file(app: &App, args: &BuildArgs, rows: &Rows) -> Result<AllowedPath> {
    let output = match &args.output {
        Some(output) => app.roots().writable(output)?,
        None => app.roots().writable(&format!("{}.requests.jsonl", rows.stem()))?,
    };
    refuse_source(rows, output)
}

/// What answers are called is no name for requests: somebody mixed up the two calls.
fn of_another_name(output: &AllowedPath) -> Option<String> {
    let extension = output.as_path().extension()?.to_str()?.to_ascii_lowercase();
    let is_of_answers = ["npy", "parquet", "csv", "tsv", "md"].contains(&extension.as_str());
    is_of_answers.then(|| {
        format!(
            "{output} holds requests, as JSON lines, whatever its name says: the answers get a .{extension} by the output of \
             get_results"
        )
    })
}

/// `products.requests.problems.jsonl` for products.requests.jsonl.
pub(super) fn problems_file(roots: &Roots, output: &AllowedPath) -> Result<AllowedPath> {
    roots.writable(&output.as_path().with_extension("problems.jsonl").to_string_lossy())
}

/// The source is not written over, whatever else may be.
fn refuse_source(rows: &Rows, file: AllowedPath) -> Result<AllowedPath> {
    if rows.is_file(&file) {
        let cause = "it is the source itself, and would be lost";
        return Err(
            Error::new(ErrorKind::InvalidArgument, format!("writing {file}"), cause).hint("name another output")
        );
    }
    Ok(file)
}
