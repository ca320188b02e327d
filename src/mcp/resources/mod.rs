//! Resources: jobs, their answers, models and formats, for clients that read rather than call.
//!
//! Reading spends nothing. It asks the API what `check_status` and `get_results` would ask, and no more.

mod address;
mod skill;

pub(super) use address::{Address, outcome_words};
pub(super) use skill::{get as get_skill, list as list_skills};

use rmcp::model::{
    ErrorData, ListResourcesResult, PaginatedRequestParams, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::reply::clip_data;
use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::grouped;
use crate::job::{JobState, Outcome};
use crate::ops::answer_lines::{AnswerLines, answer_lines};
use crate::ops::list::{self, ListArgs, ListedJob};
use crate::ops::results::{self, ResultsArgs};
use crate::ops::status::{self, StatusArgs};
use crate::ops::{App, manifest, models};
use crate::progress::Monitor;

const REQUEST_LINE: &str = include_str!("request-line.md");
const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown";
const LINES: &str = "application/jsonl";
const PLAIN: &str = "text/plain";
/// Jobs on a page of the list of resources.
const LISTED_JOBS: i64 = 25;
/// Jobs in the resource that lists them.
pub(super) const NEWEST_JOBS: u8 = 30;
/// Answers on a page.
pub(super) const PAGE: i64 = 10;
/// Prices change on announced days: an hour, in milliseconds.
const MODELS_FRESH_MS: u64 = 3600 * 1000;

/// A page of what there is, newest jobs first.
pub(super) async fn list(
    app: &App,
    request: Option<PaginatedRequestParams>,
    monitor: &dyn Monitor,
) -> Result<ListResourcesResult, ErrorData> {
    let cursor = request.and_then(|request| request.cursor);
    let mut resources = if cursor.is_none() { fixed() } else { Vec::new() };
    let args = ListArgs { limit: Some(LISTED_JOBS), cursor, remote: Some(false), ..ListArgs::default() };
    let page = list::list(app, args, monitor).await.map_err(|e| match e.kind() {
        ErrorKind::InvalidArgument => ErrorData::invalid_params(told(&e), None),
        _ => ErrorData::internal_error(told(&e), None),
    })?;
    resources.extend(page.jobs.iter().flat_map(of_job));
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = page.cursor;
    Ok(result)
}

/// What is there without any job.
fn fixed() -> Vec<Resource> {
    let resource = |address: Address, title: &str, description: &str, mime_type: &str| {
        Resource::new(address.to_string(), title.to_lowercase())
            .with_title(title)
            .with_description(description)
            .with_mime_type(mime_type)
    };
    vec![
        resource(Address::Jobs, "Jobs", "The newest jobs and where they stand, as last seen", JSON),
        resource(
            Address::Models,
            "Models",
            "Models that take batches, their batch prices in USD, and when they end",
            JSON,
        ),
        resource(Address::RequestLine, "Request line", "What a line of a request file is, with examples", MARKDOWN),
        skill::resource(),
    ]
}

/// What there is of a job: always its status, and its answers once it has ended.
fn of_job(job: &ListedJob) -> Vec<Resource> {
    let requests = job.requests.map_or(String::new(), |n| format!("{}, ", crate::job::outcome::counted(n, "request")));
    let about = format!("{}, {requests}{}, made {}", job.state, job.model, job.created);
    let resource = |address: Address, what: &str, mime_type: &str| {
        Resource::new(address.to_string(), format!("{} {what}", job.job))
            .with_description(about.clone())
            .with_mime_type(mime_type)
    };
    let mut resources = vec![resource(Address::Status(job.job.clone()), "status", JSON)];
    if JobState::parse(&job.state).is_terminal() {
        resources.push(resource(Address::results(job.job.clone()), "results", JSON));
        resources.push(resource(Address::answers(job.job.clone()), "answers", LINES));
    }
    resources
}

/// What there is of every job, by its handle.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = |path: &str, title: &str, description: &str, mime_type: &str| {
        ResourceTemplate::new(format!("batch://jobs/{{handle}}/{path}"), title.to_lowercase())
            .with_title(title)
            .with_description(description)
            .with_mime_type(mime_type)
    };
    vec![
        template("status", "Job status", "State, counts, speed, time left, and whether that is normal", JSON),
        template(
            "manifest",
            "Job manifest",
            "What the job is of: data set, key, model, schema, its retries; and its cost",
            JSON,
        ),
        template("results", "Job results", "Counts by outcome, tokens, cost, and the first answers", JSON),
        template(
            "answers/{offset}",
            "Lines of answers",
            "All answers whole, as JSON lines, some at a time: from byte 0 on, then from where the second content says",
            LINES,
        ),
        template(
            "results/{outcome}/{offset}",
            "Page of results",
            "Answers with an outcome (all, answered, failed, …), from an offset on; next_page names the page behind",
            JSON,
        ),
    ]
}

/// Reads one of them; without `shows_files` it names no files of this machine.
pub(super) async fn read(
    app: &App,
    uri: &str,
    shows_files: bool,
    monitor: &dyn Monitor,
) -> Result<ReadResourceResult, ErrorData> {
    #[cfg(feature = "_conformance")]
    if let Some(resource) = super::fixtures::resource(uri) {
        return Ok(resource);
    }
    let address = Address::parse(uri).ok_or_else(|| not_here(uri))?;
    if let Address::Answers { job, offset, of } = &address {
        let lines = answer_lines(app, job, (*offset, *of), monitor).await.map_err(|e| unreadable(uri, &e))?;
        return Ok(ReadResourceResult::new(lines_told(uri, lines)));
    }
    let (text, mime_type) = match &address {
        Address::RequestLine => (REQUEST_LINE.to_owned(), MARKDOWN),
        Address::Skill => (skill::TEXT.to_owned(), MARKDOWN),
        _ => {
            let mut data = data(app, &address, monitor).await.map_err(|e| unreadable(uri, &e))?;
            if !shows_files && matches!(address, Address::Manifest(_)) {
                leave_out_files(&mut data);
            }
            (data.to_string(), JSON)
        }
    };
    let result = ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(mime_type)]);
    Ok(if address == Address::Models { result.with_ttl_ms(MODELS_FRESH_MS) } else { result })
}

/// The resources that are data, small enough for a model.
async fn data(app: &App, address: &Address, monitor: &dyn Monitor) -> Result<Value> {
    let data = match address {
        Address::Jobs => {
            let args = ListArgs { limit: Some(NEWEST_JOBS.into()), remote: Some(false), ..ListArgs::default() };
            value(&list::list(app, args, monitor).await?)?
        }
        Address::Status(job) => {
            let args = StatusArgs { jobs: vec![job.clone()], ..StatusArgs::default() };
            value(&status::status(app, args, monitor).await?)?
        }
        Address::Manifest(job) => manifest::manifest(app, job, monitor).await?,
        Address::Results { job, outcome, offset } => results_page(app, job, *outcome, *offset, monitor).await?,
        Address::Models => value(&models::models(app).await?)?,
        Address::RequestLine | Address::Skill | Address::Answers { .. } => {
            return Err(Error::internal("reading a resource", "it is a text"));
        }
    };
    Ok(clip_data(data))
}

/// Takes the paths out of a manifest: of the data set, and of each request file.
fn leave_out_files(manifest: &mut Value) {
    let leave_out = |of: Option<&mut Value>| {
        if let Some(told) = of.and_then(Value::as_object_mut) {
            told.remove("path");
        }
    };
    leave_out(manifest.get_mut("source"));
    let parts = manifest.get_mut("parts").and_then(Value::as_array_mut);
    parts.into_iter().flatten().for_each(|part| leave_out(part.get_mut("input")));
}

async fn results_page(
    app: &App,
    job: &str,
    outcome: Option<Outcome>,
    offset: i64,
    monitor: &dyn Monitor,
) -> Result<Value> {
    let args = ResultsArgs {
        job: job.to_owned(),
        outcomes: outcome.into_iter().collect(),
        offset,
        limit: Some(PAGE),
        ..ResultsArgs::default()
    };
    let reply = results::results(app, args, monitor).await?;
    let (shown, selected) = (reply.samples.len().cast_signed() as i64, reply.selected.unwrap_or(0));
    let mut page = value(&reply)?;
    if let Some(page) = page.as_object_mut().filter(|_| shown > 0 && offset + shown < selected) {
        let next = Address::Results { job: reply.job.clone(), outcome, offset: offset + shown };
        page.insert("next_page".to_owned(), next.to_string().into());
    }
    Ok(page)
}

/// The lines, and where those behind them are.
fn lines_told(uri: &str, lines: AnswerLines) -> Vec<ResourceContents> {
    let AnswerLines { job, text, bytes, next } = lines;
    let next = next.map(|offset| {
        let address = Address::Answers { job, offset, of: Some(bytes) }.to_string();
        let told =
            format!("more lines are at {address}: {} bytes of {}", grouped_bytes(bytes - offset), grouped_bytes(bytes));
        ResourceContents::text(told, address).with_mime_type(PLAIN)
    });
    [ResourceContents::text(text, uri).with_mime_type(LINES)].into_iter().chain(next).collect()
}

fn grouped_bytes(bytes: u64) -> String {
    grouped(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn value(reply: &impl Serialize) -> Result<Value> {
    serde_json::to_value(reply).map_err(|e| Error::internal("writing a resource", e.to_string()))
}

/// A file that a reply links to is on this machine, and too large for a message.
fn not_here(uri: &str) -> ErrorData {
    let hint = match uri.strip_prefix("file://") {
        Some(path) => format!(
            "it is a file on this machine: open {path}; from elsewhere, batch://jobs/HANDLE/answers has the lines of a job's answers"
        ),
        None => "resources/list and resources/templates/list name what there is".to_owned(),
    };
    not_found(uri, format!("there is no resource {uri}; {hint}"))
}

fn unreadable(uri: &str, error: &Error) -> ErrorData {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidArgument => not_found(uri, told(error)),
        kind => {
            tracing::debug!("reading {uri}: {error:?}");
            ErrorData::internal_error(format!("{kind}: {}", told(error)), None)
        }
    }
}

/// The address is named for clients, too (MCP 2026-07-28, resources, error handling).
fn not_found(uri: &str, text: String) -> ErrorData {
    ErrorData::resource_not_found(text, Some(json!({"uri": uri})))
}

/// The failure, and what to do about it.
fn told(error: &Error) -> String {
    error.next_step().map_or(error.to_string(), |hint| format!("{error}; {hint}"))
}
