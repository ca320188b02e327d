//! Has the API stop working on a job.

use super::App;
use super::gone::explained;
use crate::error::{Error, Result};
use crate::job::Handle;
use crate::ledger::{JobRecord, PartId, PartRecord};

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

/// A job that was cancelled while a create of it was under way is stopped once that is found to have arrived. Where that
/// fails, the next look at the part does it.
pub(super) async fn stop_if_cancelled(app: &App, handle: &Handle) {
    tell(handle, stop_cancelled(app, handle, |_| true).await);
}

/// The same for one part.
pub(super) async fn stop_part_if_cancelled(app: &App, part: PartId<'_>) {
    tell(part.handle, stop_cancelled(app, part.handle, |other| other.number == part.number).await);
}

async fn stop_cancelled(app: &App, handle: &Handle, is_meant: impl Fn(&PartRecord) -> bool) -> Result<()> {
    let mut job = app.ledger()?.job(handle)?;
    if !job.cancelled || app.config().read_only {
        return Ok(());
    }
    job.parts.retain(is_meant);
    stop(app, &job).await?.into_iter().next().map_or(Ok(()), |(_, e)| Err(e))
}

fn tell(handle: &Handle, stopped: Result<()>) {
    if let Err(e) = stopped {
        tracing::warn!("{handle} was cancelled and may go on: {e}");
    }
}
