//! Batches that the API does not know, or does not show to this key.

use chrono::{DateTime, TimeDelta, Utc};

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobState;
use crate::ledger::record::GONE;
use crate::ledger::steps::Observation;
use crate::ledger::{JobRecord, PartRecord};

/// A batch that the API does not know for so long is gone; before, it may only not show up.
const SHOWS_UP_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// Whether the API has a batch no more, as this answer says again, to the key that submitted it. To another key it would
/// say the same of one that runs (API reference §0.12). Once is not enough, and no clock but this machine's counts.
pub(super) fn is_gone(app: &App, error: &Error, job: &JobRecord, part: &PartRecord, owner: &str) -> Result<bool> {
    let says_so = error.kind() == ErrorKind::NotFound && part.remote_name.is_some();
    if !says_so || job.owner.as_deref() != Some(owner) {
        return Ok(false);
    }
    let since = app.ledger()?.missing(job.part_id(part))?;
    Ok(app.now() - since >= SHOWS_UP_WITHIN)
}

/// What that makes of the part: its requests get no answer any more, and waiting for it is over.
pub(super) fn seen(part: &PartRecord, now: DateTime<Utc>) -> Observation {
    let why = "the API has this batch no more: it was deleted elsewhere, or is older than the API keeps. What it \
               answered is billed, and cannot be had";
    Observation {
        state: JobState::Failed,
        wire_state: GONE.to_owned(),
        done: part.done,
        failed: part.failed,
        error: Some(why.to_owned()),
        ended_at: Some(now),
    }
}

/// A job that is not there, or not to be seen: whose it is may be why.
pub(super) fn explained(error: Error, job: &JobRecord, owner: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Auth if job.is_foreign_to(owner) => {
            let cause =
                format!("it was submitted with another key, or at another address, than is set now: {}", error.cause());
            error
                .with_cause(cause)
                .hint("a job is seen only with keys of its own project: start this program with one; the job goes on meanwhile")
        }
        ErrorKind::NotFound => error.hint(format!(
            "it was deleted elsewhere, is older than the API keeps, or does not show up: check_status {{\"jobs\": \
             [\"{}\"]}} in {} minutes settles that",
            job.handle,
            SHOWS_UP_WITHIN.num_minutes()
        )),
        _ => error,
    }
}
