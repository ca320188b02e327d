//! `statusline`: what the ledger knows in one short line, at once, without network and without waiting.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::job::{Cost, JobState};
use crate::ledger::glance::{self, Glance};
use crate::ledger::spend::Spending;

/// The line, and what it says in numbers.
#[derive(Debug, Serialize)]
pub struct StatusLine {
    /// An empty one where there is no ledger.
    line: String,
    /// None where the ledger is not there, or cannot be read.
    #[serde(flatten)]
    numbers: Option<Numbers>,
}

#[derive(Debug, Serialize)]
struct Numbers {
    running: i64,
    waiting: i64,
    requests: i64,
    done: i64,
    succeeded: usize,
    failed: usize,
    today_usd: f64,
    /// Batches of today whose price is unknown, and not in it.
    today_unknown: i64,
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// Glances at the ledger.
pub fn statusline(config: &Config) -> StatusLine {
    let name = if config.simulate { "batch (simulated)" } else { "batch" };
    let glance = glance::glance(&config.home);
    let line = match &glance {
        Ok(None) => String::new(),
        Ok(Some(glance)) => format!("{name}: {}", words(glance)),
        Err(_) => format!("{name}: the ledger cannot be read, see gemini-batch-mcp doctor"),
    };
    StatusLine { line, numbers: glance.ok().flatten().map(Numbers::from) }
}

impl From<Glance> for Numbers {
    fn from(glance: Glance) -> Self {
        let Glance { running, waiting, requests, done, succeeded, failed, today } = glance;
        let today_usd = Cost::Usd(today.sent_usd).usd().unwrap_or(today.sent_usd);
        Self { running, waiting, requests, done, succeeded, failed, today_usd, today_unknown: today.unknown }
    }
}

fn words(glance: &Glance) -> String {
    let mut words = Vec::new();
    if glance.running > 0 {
        let percent = glance.done.saturating_mul(100).checked_div(glance.requests).unwrap_or(0);
        words.push(format!("{} running {percent} %", glance.running));
    }
    if glance.waiting > 0 {
        words.push(format!("{} waiting", glance.waiting));
    }
    if glance.succeeded > 0 {
        words.push(format!("{} done", glance.succeeded));
    }
    if glance.failed > 0 {
        words.push(format!("{} failed", glance.failed));
    }
    words.extend(money(&glance.today));
    if words.is_empty() { "idle".to_owned() } else { words.join(", ") }
}

fn money(today: &Spending) -> Option<String> {
    match (today.sent_usd > 0.0, today.unknown > 0) {
        (true, false) => Some(format!("{} today", Cost::Usd(today.sent_usd))),
        (true, true) => Some(format!("{} and unknown today", Cost::Usd(today.sent_usd))),
        (false, true) => Some("unknown cost today".to_owned()),
        (false, false) => None,
    }
}

/// Notes that somebody reads this reply of a verb: the ends in it are no news to the next line of the ledger in `folder`.
pub fn told(folder: &Path, reply: &Value) {
    if let Err(e) = glance::told(folder, &ended(reply)) {
        tracing::warn!("the status line will call known ends news: {e}");
    }
}

/// Notes that answers of a job are fetched for nobody in particular: its end stays news.
pub(super) fn fetched_unseen(folder: &Path, handle: &str) {
    if let Err(e) = glance::fetched_unseen(folder, handle) {
        tracing::warn!("the status line will not tell of {handle}: {e}");
    }
}

/// The jobs that a reply says have ended: the one that it is about, those that it lists, and the retries whose answers it
/// holds.
fn ended(reply: &Value) -> Vec<&str> {
    let list = |name| reply.get(name).and_then(Value::as_array).into_iter().flatten();
    let retries = list("retries").filter_map(Value::as_str);
    std::iter::once(reply).chain(list("jobs")).filter_map(ended_job).chain(retries).collect()
}

/// Jobs made elsewhere have no handle, and are no news to begin with.
fn ended_job(job: &Value) -> Option<&str> {
    let word = |name| job.get(name).and_then(Value::as_str);
    word("job")
        .filter(|job| !job.starts_with("batches/") && JobState::parse(word("state").unwrap_or_default()).is_terminal())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reply_tells_of_its_own_job_and_of_those_that_it_lists() {
        let job = |job: &str, state: &str| json!({"job": job, "state": state});
        let (failed, runs) = (job("a-1", "JOB_STATE_FAILED"), job("b-2", "JOB_STATE_RUNNING"));
        assert_eq!(ended(&failed), ["a-1"]);
        assert!(ended(&runs).is_empty() && ended(&json!({"jobs": 3})).is_empty() && ended(&json!(null)).is_empty());
        let elsewhere = job("batches/c", "JOB_STATE_SUCCEEDED");
        assert_eq!(ended(&json!({"jobs": [runs, failed, elsewhere]})), ["a-1"]);
        let merged = json!({"job": "a-1", "state": "JOB_STATE_FAILED", "retries": ["a-2", "a-3"]});
        assert_eq!(ended(&merged), ["a-1", "a-2", "a-3"]);
    }

    #[test]
    fn the_line_says_what_there_is_and_no_more() {
        let today = |sent_usd, unknown| Spending { sent_usd, waiting_usd: 0.0, unknown };
        let all =
            Glance { running: 2, waiting: 4, requests: 300, done: 100, succeeded: 3, failed: 1, today: today(2.5, 0) };
        assert_eq!(words(&all), "2 running 33 %, 4 waiting, 3 done, 1 failed, $2.50 today");
        assert_eq!(words(&Glance::default()), "idle");
        assert_eq!(words(&Glance { running: 1, ..Glance::default() }), "1 running 0 %");
        assert_eq!(words(&Glance { today: today(0.0, 1), ..Glance::default() }), "unknown cost today");
        assert_eq!(words(&Glance { today: today(1.0, 1), ..Glance::default() }), "$1.00 and unknown today");
    }
}
