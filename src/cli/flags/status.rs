//! `status`: at the shell, waiting means waiting to the end.

use std::time::Duration;

use clap::Args;

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::error::Result;
use crate::job::JobState;
use crate::ops::App;
use crate::ops::status::{JobStatus, StatusArgs, StatusReply, status, wait};
use crate::progress::Monitor;

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
        let reply = if self.wait {
            wait(app, &self.jobs, self.timeout.map(Duration::from_secs), monitor).await?
        } else {
            status(app, StatusArgs { jobs: self.jobs.clone(), ..StatusArgs::default() }, monitor).await?
        };
        output.reply(&reply)?;
        Ok(exit(&reply))
    }
}

fn exit(reply: &StatusReply) -> Exit {
    if !reply.all_ended {
        Exit::Unfinished
    } else if reply.jobs.iter().all(went_well) {
        Exit::Success
    } else {
        Exit::Incomplete
    }
}

/// The job succeeded, and so did every request of it.
pub(super) fn went_well(job: &JobStatus) -> bool {
    JobState::parse(&job.state) == JobState::Succeeded && job.failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

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
