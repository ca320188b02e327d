//! `statusline`: what the ledger knows in one short line, at once, without network and without waiting.

use super::App;
use super::list::ListReply;
use super::results::ResultsReply;
use super::status::StatusReply;
use crate::config::Config;
use crate::job::{Cost, JobState};
use crate::ledger::glance::{self, Glance};
use crate::ledger::spend::Spending;

/// The line; an empty one where there is no ledger.
pub fn statusline(config: &Config) -> String {
    let name = if config.simulate { "batch (simulated)" } else { "batch" };
    match glance::glance(&config.home) {
        Ok(None) => String::new(),
        Ok(Some(glance)) => format!("{name}: {}", words(&glance)),
        Err(_) => format!("{name}: the ledger cannot be read, see gemini-batch-mcp doctor"),
    }
}

fn words(glance: &Glance) -> String {
    let mut words = Vec::new();
    if glance.running > 0 {
        let percent = glance.done.saturating_mul(100).checked_div(glance.requests).unwrap_or(0);
        words.push(format!("{} running {percent} %", glance.running));
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

/// A reply that tells its reader where jobs stand.
pub trait TellsOfJobs {
    /// Each job and its state.
    fn jobs(&self) -> Vec<(&str, &str)>;
}

impl TellsOfJobs for StatusReply {
    fn jobs(&self) -> Vec<(&str, &str)> {
        self.jobs.iter().map(|job| (job.job.as_str(), job.state.as_str())).collect()
    }
}

impl TellsOfJobs for ListReply {
    fn jobs(&self) -> Vec<(&str, &str)> {
        self.jobs.iter().map(|job| (job.job.as_str(), job.state.as_str())).collect()
    }
}

impl TellsOfJobs for ResultsReply {
    fn jobs(&self) -> Vec<(&str, &str)> {
        vec![(&self.job, &self.state)]
    }
}

/// Notes that somebody reads this reply: the ends in it are no news to the next line.
pub fn told(app: &App, reply: &impl TellsOfJobs) {
    // Jobs made elsewhere have no handle, and are no news to begin with.
    let is_news = |(job, state): &(&str, &str)| JobState::parse(state).is_terminal() && !job.starts_with("batches/");
    let ended: Vec<&str> = reply.jobs().into_iter().filter(is_news).map(|(job, _)| job).collect();
    if let Err(e) = glance::told(&app.config().home, &ended) {
        tracing::warn!("the status line will call known ends news: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_there_is_and_no_more() {
        let today = |sent_usd, unknown| Spending { sent_usd, waiting_usd: 0.0, unknown };
        let all = Glance { running: 2, requests: 300, done: 100, succeeded: 3, failed: 1, today: today(2.5, 0) };
        assert_eq!(words(&all), "2 running 33 %, 3 done, 1 failed, $2.50 today");
        assert_eq!(words(&Glance::default()), "idle");
        assert_eq!(words(&Glance { running: 1, ..Glance::default() }), "1 running 0 %");
        assert_eq!(words(&Glance { today: today(0.0, 1), ..Glance::default() }), "unknown cost today");
        assert_eq!(words(&Glance { today: today(1.0, 1), ..Glance::default() }), "$1.00 and unknown today");
    }
}
