//! `status`: at the shell, waiting means waiting to the end.

use std::time::{Duration, Instant};

use clap::Args;

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::error::Result;
use crate::job::JobState;
use crate::ops::App;
use crate::ops::status::{StatusArgs, StatusReply, status};
use crate::progress::Monitor;

/// The longest single wait asked of the verb, whose waits are bounded.
const ROUND: Duration = Duration::from_secs(600);
/// A round that comes back sooner than this without an end is followed by a pause.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);

/// `status`.
#[derive(Debug, Args)]
pub struct StatusFlags {
    /// Handles, their unique beginnings, or batches/… names [default: all jobs that have not ended]
    #[arg(value_name = "JOB")]
    jobs: Vec<String>,
    /// Wait until all of them have ended
    #[arg(long, short)]
    wait: bool,
    /// Wait at most this long
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
}

impl StatusFlags {
    pub(in crate::cli) async fn run(&self, app: &App, output: Output, monitor: &dyn Monitor) -> Result<Exit> {
        let reply = if self.wait { self.wait(app, monitor).await? } else { self.round(app, None, monitor).await? };
        output.reply(&reply)?;
        Ok(exit(&reply))
    }

    /// Bounded waits, one after another, until all jobs have ended or the time is up.
    async fn wait(&self, app: &App, monitor: &dyn Monitor) -> Result<StatusReply> {
        let started = Instant::now();
        loop {
            let left = self.timeout.map(|timeout| Duration::from_secs(timeout).saturating_sub(started.elapsed()));
            let round = Instant::now();
            let reply = self.round(app, Some(left.map_or(ROUND, |left| left.min(ROUND))), monitor).await?;
            let is_up = self.timeout.is_some_and(|timeout| started.elapsed().as_secs() >= timeout);
            // Without a next check there is nothing to wait for: the rest never reached the API.
            if reply.next_check_after_s.is_none() || is_up {
                return Ok(reply);
            }
            monitor.check("waiting for jobs")?;
            if round.elapsed() < SHORTEST_ROUND {
                tokio::time::sleep(SHORTEST_ROUND).await;
            }
        }
    }

    async fn round(&self, app: &App, wait: Option<Duration>, monitor: &dyn Monitor) -> Result<StatusReply> {
        let seconds = wait.map(|wait| i64::try_from(wait.as_secs()).unwrap_or(i64::MAX).max(1));
        let args = StatusArgs { jobs: self.jobs.clone(), wait: wait.is_some(), timeout_seconds: seconds };
        status(app, args, monitor).await
    }
}

fn exit(reply: &StatusReply) -> Exit {
    let went_well = |state: &str, failed: i64| JobState::parse(state) == JobState::Succeeded && failed == 0;
    if !reply.all_ended {
        Exit::Unfinished
    } else if reply.jobs.iter().all(|job| went_well(&job.state, job.failed)) {
        Exit::Success
    } else {
        Exit::Incomplete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::status::JobStatus;

    fn reply(all_ended: bool, jobs: &[(&str, i64)]) -> StatusReply {
        let job = |&(state, failed): &(&str, i64)| JobStatus { state: state.to_owned(), failed, ..Default::default() };
        StatusReply { jobs: jobs.iter().map(job).collect(), all_ended, next_check_after_s: None, next: String::new() }
    }

    #[test]
    fn the_exit_code_is_success_only_if_every_job_went_well() {
        let good = ("JOB_STATE_SUCCEEDED", 0);
        assert_eq!(exit(&reply(true, &[])), Exit::Success);
        assert_eq!(exit(&reply(true, &[good, good])), Exit::Success);
        assert_eq!(exit(&reply(true, &[good, ("JOB_STATE_SUCCEEDED", 1)])), Exit::Incomplete);
        assert_eq!(exit(&reply(true, &[good, ("JOB_STATE_CANCELLED", 0)])), Exit::Incomplete);
        assert_eq!(exit(&reply(false, &[good, ("JOB_STATE_RUNNING", 0)])), Exit::Unfinished);
    }
}
