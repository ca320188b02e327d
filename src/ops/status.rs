//! `check_status`: where jobs stand, now or after a bounded wait.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which jobs, and whether to wait for them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StatusArgs {
    /// Handles, their unique beginnings, or batches/… names. None: all jobs that have not ended.
    pub jobs: Vec<String>,
    /// Wait until all have ended, at most `timeout_seconds`.
    pub wait: bool,
    /// Longest wait: 45 unless asked, 3600 at most. Most clients give up on a call after 60.
    pub timeout_seconds: Option<i64>,
}

/// Where the jobs stand.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatusReply {
    /// One entry a job.
    pub jobs: Vec<JobStatus>,
    /// Whether all of them have ended.
    pub all_ended: bool,
    /// Look again after so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_check_after_s: Option<i64>,
    /// What to call next.
    pub next: String,
}

/// Where one job stands.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct JobStatus {
    /// Its handle, or its batches/… name if it was made elsewhere.
    pub job: String,
    /// JOB_STATE_PENDING, _RUNNING, _SUCCEEDED, _FAILED, _CANCELLED, _EXPIRED; _UNSUBMITTED before the API has it.
    pub state: String,
    /// Requests in it.
    pub requests: i64,
    /// Requests done so far.
    pub done: i64,
    /// Requests done with an error.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i64,
    /// Percent done.
    pub percent: f64,
    /// Since it was submitted.
    pub age_s: i64,
    /// Requests a minute, while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<f64>,
    /// Seconds left at this rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<i64>,
    /// normal, slow, stuck or ended.
    pub verdict: String,
    /// What the verdict rests on, when it is not normal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl fmt::Display for StatusReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.jobs.is_empty() {
            writeln!(f, "no unfinished jobs")?;
        }
        for job in &self.jobs {
            writeln!(f, "{job}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

impl fmt::Display for JobStatus {
    /// "products-3f9a… JOB_STATE_RUNNING 31,200 of 40,000 (78 %), about 4 min left, normal".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::job::outcome::grouped;
        write!(
            f,
            "{} {} {} of {} ({:.0} %)",
            self.job,
            self.state,
            grouped(self.done),
            grouped(self.requests),
            self.percent
        )?;
        if self.failed > 0 {
            write!(f, ", {} failed", grouped(self.failed))?;
        }
        if let Some(eta) = self.eta_s {
            write!(f, ", about {} left", span(eta))?;
        }
        write!(f, ", age {}, {}", span(self.age_s), self.verdict)?;
        if let Some(evidence) = &self.evidence {
            write!(f, ": {evidence}")?;
        }
        if let Some(error) = &self.error {
            write!(f, "; error: {error}")?;
        }
        Ok(())
    }
}

/// A time span as a person says it: "45 s", "4 min", "3.5 h".
pub fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{}.{} h", seconds / 3600, seconds % 3600 / 360),
    }
}

/// To come.
pub async fn status(
    _app: &super::App,
    _args: StatusArgs,
    _monitor: &dyn crate::progress::Monitor,
) -> crate::error::Result<StatusReply> {
    Err(crate::error::Error::internal("status", "not there yet"))
}
