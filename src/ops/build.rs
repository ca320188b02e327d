//! `build_jsonl`: a request file out of a data set and a template.

mod attach;
mod compose;
mod count_tokens;
mod kinds;
mod media_life;
mod problems;
mod ready;
mod repeats;
mod request;
mod rows;
mod survey;
mod uploads;
mod watch;

pub(super) use media_life::media_life;
pub(super) use ready::hint;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::dataset::is_made_of;
use super::estimate::Estimate;
use super::model::{availability, input_limit, suits};
use super::off_thread::off_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::job::outcome::{counted, grouped};
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

/// What to build, out of what.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BuildArgs {
    /// Data set: a file (CSV, TSV, JSON, JSONL, Parquet, text; .gz and .zst too), a folder or glob of files, or `job:HANDLE`.
    pub source: Option<String>,
    /// Format, if `source` does not tell: csv, tsv, json, jsonl, parquet, text, files.
    pub format: Option<String>,
    /// What separates CSV fields, if not found.
    pub delimiter: Option<String>,
    /// false: CSV without a header; columns are column_1, column_2…
    pub header: Option<bool>,
    /// Rows given here, instead of `source`.
    pub rows: Option<Vec<Map<String, Value>>>,
    /// Finished prompts, one request each, instead of `source` and `template`.
    pub prompts: Option<Vec<String>>,
    /// Prompt for each row, Jinja over its columns: `Describe {{name}}: {{tags | join(", ")}}`.
    pub template: Option<String>,
    /// System instruction, a template too.
    pub system: Option<String>,
    /// Column or template that names each request, e.g. `id` or `{{email | lower}}`. Default: row-1, row-2…
    pub key: Option<String>,
    /// Model the requests are meant for.
    pub model: Option<String>,
    /// `generate` (default) text, `embed` vectors, `image` or `speech`; `template` is then what to embed, draw or say: `A photo of {{name}}`.
    pub kind: Option<BuildKind>,
    /// For speech: voice, e.g. `Kore`, or one per speaker, `Ann=Kore,Bob=Puck`.
    pub voice: Option<String>,
    /// Media sent along: columns or templates that give the path or URL of a picture, PDF, sound or video, e.g. `photos/{{sku}}.png`.
    pub attach: Vec<String>,
    /// Gemini generationConfig, e.g. {"maxOutputTokens": 300}.
    pub generation_config: Option<Map<String, Value>>,
    /// JSON Schema every answer must follow, or {"$ref": "schema.json"}; asks for JSON.
    pub response_schema: Option<Map<String, Value>>,
    /// Further fields of the Gemini request (tools, safetySettings, contents, taskType…), e.g. {"outputDimensionality": 768}; strings in it are templates.
    pub request: Option<Map<String, Value>>,
    /// Use only the first so many rows, for a trial.
    pub limit: Option<i64>,
    /// Count the tokens of a few requests at the API, for a better estimate. Free.
    pub count_tokens: bool,
    /// `fail` (default): one bad row and nothing is written. `skip`: leave bad rows out and report them.
    pub on_bad_row: OnBadRow,
    /// Where to write. Default: `SOURCE.requests.jsonl`.
    pub output: Option<String>,
    /// Replace an existing output file.
    pub overwrite: bool,
}

/// What to do with a row of which no request can be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OnBadRow {
    /// Write nothing and report.
    #[default]
    Fail,
    /// Leave it out and report.
    Skip,
}

/// What the requests ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum BuildKind {
    /// Text.
    #[default]
    Generate,
    /// Vectors.
    Embed,
    /// Pictures.
    Image,
    /// Sound.
    Speech,
}

impl BuildKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Generate, Self::Embed, Self::Image, Self::Speech];

    /// The kind as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Embed => "embed",
            Self::Image => "image",
            Self::Speech => "speech",
        }
    }

    /// Which of the API's two kinds of batch that is.
    pub fn of_batch(self) -> Kind {
        match self {
            Self::Generate | Self::Image | Self::Speech => Kind::Generate,
            Self::Embed => Kind::Embed,
        }
    }
}

/// What was built.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BuildReply {
    /// The request file.
    pub path: String,
    /// Requests in it.
    pub requests: i64,
    /// Its size.
    pub bytes: i64,
    /// Its SHA-256.
    pub sha256: String,
    /// An identical file was there already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
    /// What the requests ask for.
    pub kind: Kind,
    /// How the source was read, e.g. `csv, gzip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_format: Option<String>,
    /// Tokens and price, before anything is spent.
    pub estimate: Estimate,
    /// The first requests as they will be sent, clipped.
    pub first_requests: Vec<String>,
    /// Rows left out.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub skipped: i64,
    /// Bad rows by cause, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// File that lists all bad rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems_file: Option<String>,
    /// Mistakes in the requests that were mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
    /// Things to know before spending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
}

impl fmt::Display for BuildReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = if self.unchanged { " (was there already, identical)" } else { "" };
        writeln!(f, "{} in {} ({} bytes){there}", counted(self.requests, "request"), self.path, grouped(self.bytes))?;
        if let Some(format) = &self.source_format {
            writeln!(f, "source read as {format}")?;
        }
        writeln!(f, "{}", self.estimate)?;
        for request in &self.first_requests {
            writeln!(f, "first: {request}")?;
        }
        if self.skipped > 0 {
            writeln!(f, "{} left out", counted(self.skipped, "bad row"))?;
        }
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        if let Some(list) = &self.problems_file {
            writeln!(f, "all bad rows in {list}")?;
        }
        for fix in &self.fixes {
            writeln!(f, "mended: {fix}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// Makes a request of each row and writes them to a file, whole or not at all.
pub async fn build(app: &App, args: BuildArgs, monitor: &dyn Monitor) -> Result<BuildReply> {
    kinds::refuse_stray_voice(&args)?;
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
    let kind_warnings = kinds::warnings(app, &args, &model, &asked.request);
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
    };
    let is_ready = asked.ready.is_some();
    let mut warnings = rows.warnings();
    let task = Task {
        key,
        source: rows.open()?,
        rows,
        problems,
        request: asked.request,
        ready: asked.ready,
        input_limit: input_limit(app, &model, kind),
        limit: limit(&args),
        on_bad_row: args.on_bad_row,
        output: output.clone(),
        overwrite: args.overwrite,
        attach,
    };
    let source_format = task.source.described();
    let mut built = off_thread(monitor, move |monitor| write(task, monitor)).await?;
    if let Some(expected) = built.expected {
        (origin.expects_json, origin.response_schema) = (expected.json, expected.schema);
    }
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
    let estimate = Estimate::new(&built.load, &model, kind, app.models(), app.today());
    let next = format!("create_batch {{\"input\": \"{output}\", \"model\": \"{model}\"}}");
    Ok(BuildReply {
        path: output.to_string(),
        requests: built.load.requests,
        bytes: i64::try_from(built.written.bytes).unwrap_or(i64::MAX),
        sha256: built.written.sha256,
        unchanged: built.written.unchanged,
        kind,
        source_format,
        estimate,
        first_requests: built.first,
        skipped: built.bad.count,
        problems: built.bad.listed(),
        problems_file: built.problems_file,
        fixes: [asked.fixes, built.fixes].concat(),
        warnings,
        next,
    })
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
    let attach = Attach::new(args.attach.clone(), app.roots().clone());
    if attach.rules.is_empty() {
        return Ok(attach);
    }
    let skip_bad = args.on_bad_row == OnBadRow::Skip;
    let stage = "looking for attached files";
    let survey = Survey { request: request.clone(), key, limit: limit(args), skip_bad, attach, stage };
    place(app, rows, survey, monitor).await
}

fn limit(args: &BuildArgs) -> u64 {
    args.limit.map_or(u64::MAX, i64::unsigned_abs)
}

fn output_file(app: &App, args: &BuildArgs, rows: &Rows) -> Result<AllowedPath> {
    let output = match &args.output {
        Some(output) => app.roots().writable(output)?,
        None => app.roots().writable(&format!("{}.requests.jsonl", rows.stem()))?,
    };
    refuse_source(rows, output)
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
