//! `create_batch`: a request file becomes one job at the API, once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::estimate::Estimate;

/// Which requests to submit, and how.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreateArgs {
    /// Request file: JSONL with a `{"key", "request"}` object a line, as build_jsonl writes it.
    pub input: Option<String>,
    /// A few requests given here instead, each {"key", "request"}.
    pub requests: Option<Vec<Map<String, Value>>>,
    /// Model. Default: the one the file was built for.
    pub model: Option<String>,
    /// Readable start of the job's handle. Default: the file's name.
    pub name: Option<String>,
    /// Check and estimate only; nothing is sent.
    pub dry_run: bool,
    /// Refuse if the high estimate is above this, or the price unknown.
    pub max_cost_usd: Option<f64>,
    /// Submit again although the same content was submitted before, and pay again.
    pub new_run: bool,
    /// Queue priority among your own jobs, higher first.
    pub priority: Option<i64>,
    /// HTTPS addresses that Google notifies when the job ends.
    pub webhook_urls: Vec<String>,
}

/// How a call came to its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Submission {
    /// The job was submitted by this call.
    Created,
    /// The same content was submitted before: this is that job, nothing new was paid.
    Found,
    /// The job was at the API without being recorded here, and is now.
    Adopted,
    /// Nothing was sent.
    DryRun,
}

impl Submission {
    /// What it means, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Found => "found: the same content was submitted before, nothing new is paid",
            Self::Adopted => "adopted: it was at the API already, nothing new is paid",
            Self::DryRun => "dry run: nothing was sent",
        }
    }
}

/// The job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreateReply {
    /// Handle for all further calls. In a dry run: the handle it would get.
    pub job: String,
    /// State at the API.
    pub state: String,
    /// Whether the job was created, found or adopted.
    pub submission: Submission,
    /// Requests in it.
    pub requests: i64,
    /// Name at the API, batches/…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_name: Option<String>,
    /// Tokens and price.
    pub estimate: Estimate,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
}

impl fmt::Display for CreateReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::job::outcome::grouped;
        writeln!(f, "job {} {} ({})", self.job, self.state, self.submission.as_str())?;
        writeln!(f, "{} requests, {}", grouped(self.requests), self.estimate)?;
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// To come.
pub async fn create(
    _app: &super::App,
    _args: CreateArgs,
    _monitor: &dyn crate::progress::Monitor,
) -> crate::error::Result<CreateReply> {
    Err(crate::error::Error::internal("create", "not there yet"))
}
