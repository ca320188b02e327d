//! Batches that the API does not know, or does not show to this key.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind};
use crate::job::JobState;
use crate::ledger::steps::Observation;
use crate::ledger::{JobRecord, PartRecord};

/// A batch of this age that the API does not know is gone; a younger one may only not show up yet.
const SHOWS_UP_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Whether the API has a batch of that age no more: it says so to the key that submitted it. To another key it would
/// say the same of one that runs (API reference §0.12).
pub(super) fn is_gone(error: &Error, job: &JobRecord, owner: &str, age: Duration) -> bool {
    error.kind() == ErrorKind::NotFound && job.owner.as_deref() == Some(owner) && age >= SHOWS_UP_WITHIN
}

/// What that makes of the part: its requests get no answer any more, and waiting for it is over.
pub(super) fn seen(part: &PartRecord, now: DateTime<Utc>) -> Observation {
    let why = "the API has this batch no more: it was deleted elsewhere, or is older than the API keeps. What it \
               answered until then is billed, and cannot be had";
    Observation {
        state: JobState::Failed,
        wire_state: "NOT_FOUND".to_owned(),
        done: part.done,
        failed: part.failed,
        error: Some(why.to_owned()),
        ended_at: Some(now),
    }
}

/// A job that is not there, or not to be seen: whose it is may be why.
pub(super) fn explained(error: Error, job: &JobRecord, owner: &str) -> Error {
    let is_foreign = job.owner.as_deref().is_some_and(|submitter| submitter != owner);
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Auth if is_foreign => {
            let cause =
                format!("it was submitted with another key, or at another address, than is set now: {}", error.cause());
            Error::new(error.kind(), error.act(), cause)
                .hint("a job is seen only with keys of its own project: start this program with one; the job goes on meanwhile")
        }
        ErrorKind::NotFound => Error::new(error.kind(), error.act(), error.cause()).hint(format!(
            "it was deleted elsewhere, is older than the API keeps, or does not show up yet: check_status {{\"jobs\": \
             [\"{}\"]}} {} minutes after it was submitted settles that",
            job.handle,
            SHOWS_UP_WITHIN.as_secs() / 60
        )),
        _ => error,
    }
}
