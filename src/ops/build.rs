//! `build_jsonl`: a request file out of a data set and a template.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::estimate::Estimate;
use crate::job::Kind;

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
    /// Where to write. Default: <source>.requests.jsonl
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
    #[serde(skip_serializing_if = "is_zero")]
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl fmt::Display for BuildReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::job::outcome::grouped;
        let there = if self.unchanged { " (was there already, identical)" } else { "" };
        writeln!(f, "{} requests in {} ({} bytes){there}", grouped(self.requests), self.path, grouped(self.bytes))?;
        writeln!(f, "{}", self.estimate)?;
        for request in &self.first_requests {
            writeln!(f, "first: {request}")?;
        }
        if self.skipped > 0 {
            writeln!(f, "{} bad rows left out", grouped(self.skipped))?;
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

/// To come.
pub async fn build(
    _app: &super::App,
    _args: BuildArgs,
    _monitor: &dyn crate::progress::Monitor,
) -> crate::error::Result<BuildReply> {
    Err(crate::error::Error::internal("build", "not there yet"))
}
