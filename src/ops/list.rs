//! `list_batches`: the jobs remembered here and those at the API, merged.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which jobs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListArgs {
    /// Only jobs in this state, e.g. RUNNING; or `unfinished`.
    pub state: Option<String>,
    /// Jobs a page: 20 unless asked, 100 at most.
    pub limit: Option<i64>,
    /// `cursor` of the page before.
    pub cursor: Option<String>,
    /// Ask the API too (default, where a key is set), and so see jobs made elsewhere.
    pub remote: Option<bool>,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListReply {
    /// The jobs.
    pub jobs: Vec<ListedJob>,
    /// Pass it to get the next page. Left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
}

/// One job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ListedJob {
    /// Handle, or batches/… name of a job made elsewhere.
    pub job: String,
    /// State, as last seen.
    pub state: String,
    /// Model.
    pub model: String,
    /// Requests in it, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<i64>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Name at the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_name: Option<String>,
    /// Where it is known: `both`, `here` (not at the API any more, or not asked), `api` (made elsewhere).
    pub known: String,
}

impl fmt::Display for ListReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.jobs.is_empty() {
            writeln!(f, "no jobs")?;
        }
        for job in &self.jobs {
            let requests = job
                .requests
                .map_or("? requests".to_owned(), |n| format!("{} requests", crate::job::outcome::grouped(n)));
            writeln!(f, "{} {} {requests} {} {} ({})", job.job, job.state, job.model, job.created, job.known)?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// To come.
pub async fn list(
    _app: &super::App,
    _args: ListArgs,
    _monitor: &dyn crate::progress::Monitor,
) -> crate::error::Result<ListReply> {
    Err(crate::error::Error::internal("list", "not there yet"))
}
