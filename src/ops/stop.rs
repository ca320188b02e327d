//! Has the API stop working on a job.

use super::App;
use super::gone::explained;
use crate::error::{Error, Result};
use crate::job::Handle;
use crate::ledger::JobRecord;

/// Has every part stopped that the API works on. What went wrong counts only where the part goes on all the same: it may
/// have ended meanwhile, or be there no more.
pub(super) async fn stop(app: &App, job: &JobRecord) -> Result<Vec<(u32, Error)>> {
    let mut troubles = Vec::new();
    for part in job.parts.iter().filter(|part| part.is_active()) {
        let Some(name) = part.remote_name.as_deref() else { continue };
        let gemini = app.gemini().await?;
        if let Err(e) = gemini.cancel_batch(name).await {
            troubles.push((part.number, explained(e, job, &gemini.owner())));
        }
    }
    Ok(troubles)
}

/// A job that was cancelled while a create of it was under way is stopped once that is found to have arrived. What fails
/// here is left to whoever cancels it again.
pub(super) async fn stop_if_cancelled(app: &App, handle: &Handle) {
    if let Err(e) = stop_cancelled(app, handle).await {
        tracing::warn!("{handle} was cancelled and may go on: {e}");
    }
}

async fn stop_cancelled(app: &App, handle: &Handle) -> Result<()> {
    let job = app.ledger()?.job(handle)?;
    let troubles = if job.cancelled && !app.config().read_only { stop(app, &job).await? } else { Vec::new() };
    troubles.into_iter().next().map_or(Ok(()), |(_, e)| Err(e))
}
