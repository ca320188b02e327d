//! `build_jsonl`: a request file out of a data set and a template.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::compose::{Task, write};
use super::dataset::Dataset;
use super::estimate::Estimate;
use super::model::availability;
use super::off_thread::off_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::job::models::bare_name;
use crate::job::outcome::{counted, grouped};
use crate::ledger::builds::BuildOrigin;
use crate::paths::AllowedPath;
use crate::progress::Monitor;
use crate::source::{Source, embed_request, generate_request};

/// What to build, out of what.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BuildArgs {
    /// Data set: a CSV, TSV, JSON (array of objects) or JSONL file; or `job:HANDLE`, the answers of an earlier job.
    pub source: Option<String>,
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
    /// `embed` makes embedding requests of the template's text.
    pub kind: Option<Kind>,
    /// Gemini generationConfig, e.g. {"maxOutputTokens": 300}.
    pub generation_config: Option<Map<String, Value>>,
    /// Schema every answer must follow, in the Gemini dialect of OpenAPI; asks for JSON.
    pub response_schema: Option<Map<String, Value>>,
    /// Further fields of the Gemini request (tools, safetySettings, contents, taskType…); strings in it are templates.
    pub request: Option<Map<String, Value>>,
    /// Use only the first so many rows, for a trial.
    pub limit: Option<i64>,
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
    /// Tokens and price, before anything is spent.
    pub estimate: Estimate,
    /// The first requests as they will be sent, clipped.
    pub first_requests: Vec<String>,
    /// Rows left out.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub skipped: i64,
    /// Bad rows, the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
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
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// Makes a request of each row and writes them to a file, whole or not at all.
pub async fn build(app: &App, args: BuildArgs, monitor: &dyn Monitor) -> Result<BuildReply> {
    let rows = rows(app, &args, monitor).await?;
    let kind = args.kind.unwrap_or(Kind::Generate);
    let request = request_skeleton(&args, &rows, kind)?;
    let model = bare_name(args.model.as_deref().unwrap_or(app.models().default_for(kind))).to_owned();
    let model_warning = availability(app, &model)?;
    let output = output_file(app, &args, &rows)?;
    let key = args.key.clone().or_else(|| rows.default_key());
    let origin = BuildOrigin {
        source: rows.text(),
        format: rows.format(),
        source_hash: rows.hash(monitor).await?,
        key: key.clone(),
        model: args.model.is_some().then(|| model.clone()),
        kind,
        expects_json: expects_json(&request),
    };
    let task = Task {
        key,
        source: rows.open()?,
        request,
        limit: args.limit.map_or(u64::MAX, i64::unsigned_abs),
        on_bad_row: args.on_bad_row,
        output: output.clone(),
        overwrite: args.overwrite,
    };
    let built = off_thread(monitor, move |monitor| write(task, monitor)).await?;
    app.ledger()?.remember_build(&built.written.sha256, &origin)?;

    let mut warnings = built.warnings;
    warnings.extend(model_warning);
    let estimate = Estimate::new(&built.load, &model, kind, app.models(), app.today());
    let next = format!("create_batch {{\"input\": \"{output}\", \"model\": \"{model}\"}}");
    Ok(BuildReply {
        path: output.to_string(),
        requests: built.load.requests,
        bytes: i64::try_from(built.written.bytes).unwrap_or(i64::MAX),
        sha256: built.written.sha256,
        unchanged: built.written.unchanged,
        kind,
        estimate,
        first_requests: built.first,
        skipped: built.bad.count,
        problems: built.bad.listed(),
        warnings,
        next,
    })
}

/// Where the rows come from.
enum Rows {
    Dataset(Dataset),
    Given(Vec<Map<String, Value>>),
    Prompts(Vec<String>),
}

async fn rows(app: &App, args: &BuildArgs, monitor: &dyn Monitor) -> Result<Rows> {
    match (&args.source, &args.rows, &args.prompts) {
        (Some(source), None, None) => Ok(Rows::Dataset(Dataset::find(app, source, None, monitor).await?)),
        (None, Some(rows), None) => Ok(Rows::Given(rows.clone())),
        (None, None, Some(prompts)) => Ok(Rows::Prompts(prompts.clone())),
        _ => Err(wrong("give one of source (a file or job:HANDLE), rows or prompts")
            .hint("for a few finished prompts: prompts; for a data set: source and template")),
    }
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, "building requests", cause)
}

impl Rows {
    fn open(self) -> Result<Source> {
        match self {
            Self::Dataset(dataset) => dataset.open(),
            Self::Given(rows) => Ok(Source::inline(rows)),
            Self::Prompts(prompts) => Ok(Source::prompts(prompts)),
        }
    }

    /// What finds the rows again for a join.
    fn text(&self) -> Option<String> {
        match self {
            Self::Dataset(dataset) => Some(dataset.text()),
            Self::Given(_) | Self::Prompts(_) => None,
        }
    }

    /// What tells whether the rows are still the same then.
    async fn hash(&self, monitor: &dyn Monitor) -> Result<Option<String>> {
        match self {
            Self::Dataset(dataset) => dataset.hash(monitor).await,
            Self::Given(_) | Self::Prompts(_) => Ok(None),
        }
    }

    fn format(&self) -> Option<String> {
        match self {
            Self::Dataset(dataset) => dataset.format(),
            Self::Given(_) | Self::Prompts(_) => None,
        }
    }

    /// The answers of a job keep their keys.
    fn default_key(&self) -> Option<String> {
        matches!(self, Self::Dataset(Dataset::Answers { .. })).then(|| "key".to_owned())
    }

    /// The start of the output's name; for rows given in the call their hash, so that two lists do not collide.
    fn stem(&self) -> String {
        let hashed = |name: &str, json: serde_json::Result<Vec<u8>>| {
            let hash = xxhash_rust::xxh3::xxh3_64(&json.unwrap_or_default());
            format!("{name}-{:08x}", hash >> 32)
        };
        match self {
            Self::Dataset(dataset) => dataset.stem().to_owned(),
            Self::Given(rows) => hashed("rows", serde_json::to_vec(rows)),
            Self::Prompts(prompts) => hashed("prompts", serde_json::to_vec(prompts)),
        }
    }
}

fn output_file(app: &App, args: &BuildArgs, rows: &Rows) -> Result<AllowedPath> {
    match &args.output {
        Some(output) => app.roots().writable(output),
        None => app.roots().writable(&format!("{}.requests.jsonl", rows.stem())),
    }
}

/// The request in which every string is a template.
fn request_skeleton(args: &BuildArgs, rows: &Rows, kind: Kind) -> Result<Value> {
    let mut request = args.request.clone().unwrap_or_default();
    let template = match (&args.template, rows) {
        (Some(template), _) => Some(template.as_str()),
        (None, Rows::Prompts(_)) => Some("{{ prompt }}"),
        (None, _) => None,
    };
    let has_content = request.contains_key("contents") || request.contains_key("content");
    match template {
        Some(_) if has_content => {
            return Err(wrong("both template and request.contents say what to ask").hint("give one of them"));
        }
        None if !has_content => {
            return Err(wrong("nothing says what to ask")
                .hint("give a template such as \"Describe {{name}}\" over the columns of the source"));
        }
        _ => {}
    }
    let made = match kind {
        Kind::Embed => embed_request(template.unwrap_or_default(), None, None, None),
        Kind::Generate => {
            // Settings given twice are merged, those named by their own argument win.
            let mut config = request.shift_remove("generationConfig").unwrap_or(Value::Object(Map::new()));
            if let (Value::Object(config), Some(given)) = (&mut config, &args.generation_config) {
                config.extend(given.clone());
            }
            let schema = args.response_schema.clone().map(Value::Object);
            generate_request(template.unwrap_or_default(), args.system.as_deref(), Some(&config), schema.as_ref())?
        }
    };
    if let Value::Object(made) = made {
        for (name, value) in made {
            let empty_prompt = template.is_none() && (name == "contents" || name == "content");
            if !empty_prompt {
                request.insert(name, value);
            }
        }
    }
    Ok(Value::Object(request))
}

fn expects_json(request: &Value) -> bool {
    let config = request.get("generationConfig").or_else(|| request.get("generation_config"));
    let mime = config.and_then(|config| config.get("responseMimeType").or_else(|| config.get("response_mime_type")));
    mime.and_then(Value::as_str) == Some("application/json")
}
