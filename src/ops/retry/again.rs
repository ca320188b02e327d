//! Whether a job may be repeated once more, and on which model.

use crate::error::{Error, ErrorKind, Result};
use crate::job::models::{Availability, bare_name};
use crate::ledger::JobRecord;
use crate::ops::App;

/// Successors of successors that are followed.
const MOST_SUCCESSORS: usize = 5;

/// Refuses a retry of a retry of a retry…: what still does not answer then never will, and each is paid.
pub(super) fn refuse_too_many(app: &App, job: &JobRecord) -> Result<()> {
    let most = app.config().max_generations;
    let before = generation(app, job)?;
    if before < most {
        return Ok(());
    }
    let cause = format!("it is the retry number {before} of its requests, and {most} is the most");
    Err(Error::new(ErrorKind::WrongState, format!("retrying {}", job.handle), cause).hint(
        "get_results with outcomes shows what is left and why: change the prompts, the schema or the model and submit \
         those rows with build_jsonl and create_batch; or let the user raise GEMINI_BATCH_MAX_GENERATIONS. Nothing was sent",
    ))
}

/// Whether a retry of this job would be one too many.
pub(in crate::ops) fn is_last(app: &App, job: &JobRecord) -> Result<bool> {
    Ok(generation(app, job)? >= app.config().max_generations)
}

/// How many jobs stand before this one: 0 for one that is no retry.
fn generation(app: &App, job: &JobRecord) -> Result<u32> {
    let (ledger, most) = (app.ledger()?, app.config().max_generations);
    let (mut before, mut parent) = (0, job.retry_of.clone());
    while let Some(handle) = parent.filter(|_| before < most) {
        before += 1;
        parent = ledger.job(&handle)?.retry_of;
    }
    Ok(before)
}

/// The model to ask, and what is to be said of it if it is another one: the one that the caller wants, else that of the
/// job, else its successor where it is off or about to be.
pub(super) fn model_of(app: &App, job: &JobRecord, asked: Option<&str>) -> (String, Option<String>) {
    if let Some(asked) = asked.map(bare_name) {
        let change = (asked != job.model).then(|| format!("model {asked} in place of {}, as asked for", job.model));
        return (asked.to_owned(), change);
    }
    let (models, today) = (app.models(), app.today());
    let mut name = job.model.clone();
    let mut why = None;
    for _ in 0..MOST_SUCCESSORS {
        let Some(known) = models.get(&name) else { break };
        let (Availability::Closed(closed), Some(successor)) = (known.availability(today), &known.successor) else {
            break;
        };
        why = why.or(Some(closed));
        name = successor.clone();
    }
    let change = why.map(|why| format!("model {name} in place of {}: {why}", job.model));
    (name, change)
}
