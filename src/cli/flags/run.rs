//! `run`: everything moved on, by a person or a timer.

use std::time::Duration;

use clap::Args;

use super::status::went_well;
use crate::cli::Exit;
use crate::cli::output::Output;
use crate::error::Result;
use crate::ops::App;
use crate::ops::run::{RunArgs, RunReply, run};
use crate::progress::{Monitor, Progress};
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = "\
Examples:
  Send what there is room for, look at every job, and stop; from a timer, say every ten minutes:
    run --collect answers
  Over night, until everything has ended, with the answers of each job in a file of its own:
    run --watch --collect answers
  For eight hours at most:
    run --watch --timeout 28800
Files in the folder are never replaced. Exit code 0: all is done; 1: an error, or answers could not be written;
3: something has not ended; 4: a job ended badly, or some requests have no usable answer.";

/// `run`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct RunFlags {
    /// Go on until every job has ended and nothing waits to be sent
    #[arg(long)]
    watch: bool,
    /// Write the answers of jobs that end, or have ended unseen, to FOLDER/HANDLE.results.jsonl
    #[arg(long, value_name = "FOLDER")]
    collect: Option<String>,
    /// Stop after this long; jobs go on
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

impl RunFlags {
    pub(in crate::cli) async fn run(&self, app: &App, output: Output, monitor: &dyn Monitor) -> Result<Exit> {
        let timeout = self.timeout.map(Duration::from_secs);
        let args = RunArgs { watch: self.watch, collect: self.collect.clone(), timeout };
        let tell = |line: &str| {
            if !output.quiet {
                output.tell(line);
            }
        };
        let reply = if output.bar.is_hidden() {
            // Where no bar is drawn, the lines of changes are enough.
            run(app, args, &tell, &Unseen(monitor)).await?
        } else {
            run(app, args, &tell, monitor).await?
        };
        output.reply(&reply)?;
        Ok(exit(&reply))
    }
}

/// Passes on the order to stop, and no progress.
struct Unseen<'a>(&'a dyn Monitor);

impl Monitor for Unseen<'_> {
    fn report(&self, _progress: &Progress) {}

    fn cancellation(&self) -> &CancellationToken {
        self.0.cancellation()
    }
}

fn exit(reply: &RunReply) -> Exit {
    let is_whole = reply.collected.iter().all(|one| one.answered == one.requests);
    if !reply.not_collected.is_empty() {
        Exit::Error
    } else if !reply.all_ended {
        Exit::Unfinished
    } else if is_whole && reply.jobs.iter().all(went_well) {
        Exit::Success
    } else {
        Exit::Incomplete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::run::Collected;
    use crate::ops::status::JobStatus;

    #[test]
    fn the_exit_code_tells_unfinished_from_ended_badly() {
        let job = |state: &str| JobStatus { state: state.to_owned(), ..JobStatus::default() };
        let reply = |all_ended, state| RunReply { jobs: vec![job(state)], all_ended, ..RunReply::default() };
        assert_eq!(exit(&RunReply { all_ended: true, ..RunReply::default() }), Exit::Success);
        assert_eq!(exit(&reply(true, "JOB_STATE_SUCCEEDED")), Exit::Success);
        assert_eq!(exit(&reply(true, "JOB_STATE_EXPIRED")), Exit::Incomplete);
        assert_eq!(exit(&reply(false, "JOB_STATE_RUNNING")), Exit::Unfinished);
        let collected = |answered| Collected { job: String::new(), path: String::new(), requests: 3, answered };
        let lacking = RunReply { collected: vec![collected(3), collected(2)], ..reply(true, "JOB_STATE_SUCCEEDED") };
        assert_eq!(exit(&lacking), Exit::Incomplete);
        let not_written = RunReply { not_collected: vec![String::new()], ..reply(true, "JOB_STATE_SUCCEEDED") };
        assert_eq!(exit(&not_written), Exit::Error);
    }
}
