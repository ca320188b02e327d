//! What can be done only with a job that has ended.

use crate::error::{Error, ErrorKind, Result};
use crate::job::JobState;
use crate::ledger::JobRecord;

/// Refuses what a job that has not ended would make wrong, with the next step. `act`: "retrying".
pub(super) fn refuse_unfinished(job: &JobRecord, act: &str) -> Result<()> {
    if job.unclear().is_some() {
        return Err(super::send::still_unclear(&job.handle, act));
    }
    if job.state().is_terminal() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::WrongState, format!("{act} {}", job.handle), cause(job)).hint(next_step(job)))
}

/// "it is JOB_STATE_RUNNING, and 2 of its 3 parts wait to be sent".
fn cause(job: &JobRecord) -> String {
    let state = job.state();
    match (job.waiting().count(), job.parts.len()) {
        (0, _) => format!("it is {state}"),
        (_, 1) => format!("it is {state}, and waits to be sent"),
        (waiting, parts) => format!("it is {state}, and {waiting} of its {parts} parts wait to be sent"),
    }
}

fn next_step(job: &JobRecord) -> String {
    let handle = &job.handle;
    if job.state() == JobState::Unsubmitted && job.waiting().next().is_none() {
        return "nothing of it is at the API and nothing was paid: the create_batch call that made it submits it"
            .to_owned();
    }
    format!(
        "wait until it has ended (check_status {{\"jobs\": [\"{handle}\"], \"wait\": true}}), or \
         cancel_batch {{\"job\": \"{handle}\"}} first: what is done by then is kept"
    )
}
