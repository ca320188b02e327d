//! What a caller says and hears of where jobs stand.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::job::JobState;
use crate::job::outcome::grouped;
use crate::ops::next::call;

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct JobStatus {
    /// Its handle, or its batches/… name.
    pub job: String,
    /// JOB_STATE_PENDING, _RUNNING, _SUCCEEDED, _FAILED, _CANCELLED, _EXPIRED; _UNSUBMITTED before the API has it.
    pub state: String,
    /// Requests in it.
    pub requests: i64,
    /// Requests done.
    pub done: i64,
    /// Of those, with an error.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub failed: i64,
    /// Percent done.
    pub percent: f64,
    /// Since it was submitted.
    pub age_s: i64,
    /// Age of this news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_s_ago: Option<i64>,
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<f64>,
    /// Seconds left, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<i64>,
    /// What such jobs took before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_s: Option<i64>,
    /// normal, slow, stuck, near_expiry, waiting, held, refused or ended.
    pub verdict: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Calls that save it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

/// What a model is told of at once: so many jobs, in so many bytes of text.
const MOST_SHOWN: usize = 20;
const SHOWN_BYTES: usize = 6_000;

impl StatusReply {
    /// The same for a model: of many jobs those that ended or need something first, then the newest. What is left out is
    /// counted, with the call that shows it.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        let mut room = SHOWN_BYTES;
        let all = self.jobs.len();
        let (mut shown, goes_on): (Vec<_>, Vec<_>) = self.jobs.into_iter().partition(JobStatus::is_of_interest);
        let of_interest = shown.len();
        shown.extend(goes_on);
        let fit = shown.iter().take(MOST_SHOWN).take_while(|job| take(&mut room, job.to_string().len())).count();
        let left: Vec<_> = shown.split_off(fit.max(1).min(all)).into_iter().map(|job| job.job).collect();
        if !left.is_empty() {
            let kind = if shown.len() < of_interest { "" } else { ", which go on as they should" };
            let named: Vec<_> = left.iter().take(MOST_SHOWN).collect();
            self.next.push_str(&format!(
                "; {} of {} jobs are not shown here{kind}: {} shows {}",
                grouped(signed(left.len())),
                grouped(signed(all)),
                call("check_status", json!({ "jobs": named })),
                if named.len() < left.len() { "the first of them, list_batches all" } else { "them" }
            ));
        }
        self.jobs = shown;
        self
    }
}

fn take(room: &mut usize, bytes: usize) -> bool {
    let left = room.checked_sub(bytes);
    *room = left.unwrap_or(0);
    left.is_some()
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl JobStatus {
    /// Somebody has to do something, or can.
    fn is_of_interest(&self) -> bool {
        JobState::parse(&self.state).is_terminal() || !self.next.is_empty() || self.evidence.is_some()
    }
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
    /// "products-3f9a… JOB_STATE_RUNNING 31,200 of 40,000 (78 %), about 4 min left, age 14 min, normal".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, requests) = (grouped(self.done), grouped(self.requests));
        write!(f, "{} {} {done} of {requests} ({:.0} %)", self.job, self.state, self.percent)?;
        if self.failed > 0 {
            write!(f, ", {} failed", grouped(self.failed))?;
        }
        if let Some(eta) = self.eta_s {
            write!(f, ", about {} left", span(eta))?;
        }
        if let Some(usual) = self.usual_s {
            write!(f, " (usually {} in all with this model)", span(usual))?;
        }
        write!(f, ", age {}", span(self.age_s))?;
        if let Some(seen) = self.seen_s_ago {
            write!(f, ", seen {} ago", span(seen))?;
        }
        write!(f, ", {}", self.verdict)?;
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
