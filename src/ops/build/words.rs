//! What a caller says and hears of a build.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::job::Kind;
use crate::job::outcome::{counted, grouped};
use crate::ops::estimate::Estimate;

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
