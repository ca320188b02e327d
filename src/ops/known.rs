//! What is known of jobs here, without asking anybody: names to choose from, and whether anything has changed.

use super::App;
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

/// A text that is another one whenever what is known of the job is. None: it is not known here.
pub fn mark(app: &App, job: &str) -> Result<Option<String>> {
    Ok(app.ledger()?.find(job)?.map(|job| mark_of(&job)))
}

/// The same for the newest jobs together.
pub fn mark_of_newest(app: &App, jobs: usize) -> Result<String> {
    let jobs = app.ledger()?.list(&[], None, jobs)?;
    Ok(jobs.iter().map(|job| format!("{} {}\n", job.handle, job.state())).collect())
}

fn mark_of(job: &JobRecord) -> String {
    let steps: Vec<_> = job.parts.iter().map(|part| (part.step, part.state)).collect();
    let (counts, times) = ((job.done(), job.failed()), (job.collected_at, job.deleted_at));
    format!("{} {steps:?} {counts:?} {times:?} {:?} {}", job.state(), job.error(), job.held)
}
