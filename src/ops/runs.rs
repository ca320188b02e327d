//! Which run of a content a call means: the newest, or one more that is paid again.

use super::App;
use crate::error::Result;
use crate::job::{ContentHash, Handle, Kind};
use crate::ledger::{JobRecord, Step};

/// What makes a job the job it is: what it asks, of which model. The same requests repeated for two jobs are two retries,
/// each of which belongs to the answers of its own job.
pub(super) fn content_of(
    sha256: &str,
    retry_of: Option<&Handle>,
    (model, kind): (&str, Kind),
    run: u32,
) -> ContentHash {
    match retry_of {
        None => ContentHash::of_job(sha256, model, kind, run),
        Some(job) => ContentHash::of_job(&format!("{sha256} for {}", job.hash()), model, kind, run),
    }
}

/// Whether this is the retry that such requests make.
pub(super) fn is_retry_of(retry: &JobRecord, sha256: &str, job: &Handle) -> bool {
    let content = content_of(sha256, Some(job), (&retry.model, retry.kind), 1);
    retry.handle.hash() == Handle::new("", &content).hash()
}

/// The newest run; one more only when the caller wants to pay again, and the newest one is wholly at the API. Until it is,
/// the same call made again goes on with the run that it began.
pub(super) fn run_to_use(app: &App, of_run: impl Fn(u32) -> ContentHash, new_run: bool) -> Result<u32> {
    let ledger = app.ledger()?;
    let mut newest = ledger.newest_run(&of_run(1))?.map(|job| (job.run, job));
    if !new_run {
        return Ok(newest.map_or(1, |(run, _)| run));
    }
    // Of a job that came back from the API after the ledger was lost, the content is known by the hash in its handle.
    loop {
        let next = newest.as_ref().map_or(1, |(run, _)| run + 1);
        let Some(job) = ledger.by_hash(Handle::new("", &of_run(next)).hash())? else { break };
        newest = Some((next, job));
    }
    Ok(match newest {
        None => 1,
        Some((run, job)) if is_over(app, &job)? => run + 1,
        Some((run, _)) => run,
    })
}

/// Whether a run is at the API, whole or as far as it ever will be.
fn is_over(app: &App, job: &JobRecord) -> Result<bool> {
    if job.parts.iter().all(|part| part.step == Step::Created) {
        return Ok(true);
    }
    let is_given_up = job.is_sent() && job.unclear().is_none() && job.held;
    Ok(is_given_up && (job.cancelled || !app.ledger()?.retries_of(&job.handle)?.is_empty()))
}
