//! What is known of jobs here, without asking anybody: names to choose from, and whether anything has changed.

use super::{App, list};
use crate::error::Result;
use crate::ledger::JobRecord;

/// Jobs that are looked through; older ones are found by `list_batches`.
const MOST_JOBS: usize = 10_000;

/// The handles that begin so, newest first.
pub fn handles(app: &App, beginning: &str) -> Result<Vec<String>> {
    let jobs = app.ledger()?.list(&[], None, MOST_JOBS)?;
    let handles = jobs.into_iter().map(|job| job.handle.to_string());
    Ok(handles.filter(|handle| handle.starts_with(beginning)).collect())
}

/// How many requests a job has. None: it is not known here.
pub fn requests(app: &App, job: &str) -> Result<Option<i64>> {
    Ok(app.ledger()?.find(job)?.map(|job| job.requests))
}

/// A job as it is known here.
#[derive(Debug)]
pub struct Known {
    /// Its handle.
    pub handle: String,
    /// A text that is another one whenever what is known of it is.
    pub mark: String,
}

/// The job, and its retries behind it, whose answers are among its own. Empty: it is not known here.
pub fn with_retries(app: &App, job: &str) -> Result<Vec<Known>> {
    let ledger = app.ledger()?;
    let Some(job) = ledger.find(job)? else { return Ok(Vec::new()) };
    let retries = ledger.retries_of(&job.handle)?;
    let known = |job: &JobRecord| Known { handle: job.handle.to_string(), mark: mark_of(job) };
    Ok(std::iter::once(&job).chain(&retries).map(known).collect())
}

/// A text that is another one whenever the list of the newest jobs is.
pub fn mark_of_newest(app: &App, jobs: usize) -> Result<String> {
    let jobs = app.ledger()?.list(&[], None, jobs)?;
    let listed: Vec<_> = jobs.iter().map(list::remembered).collect();
    Ok(format!("{listed:?} {:?}", list::today(app)?))
}

fn mark_of(job: &JobRecord) -> String {
    let steps: Vec<_> = job.parts.iter().map(|part| (part.step, part.state)).collect();
    let (counts, times) = ((job.done(), job.failed()), (job.collected_at, job.deleted_at));
    format!(
        "{} {} {steps:?} {counts:?} {times:?} {:?} {:?} {}\n",
        job.handle,
        job.state(),
        job.settled_usd,
        job.error(),
        job.held
    )
}
