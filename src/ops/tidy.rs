//! Uploaded requests are removed from the API once their part has ended and its results are safe here: storage is 20 GB
//! for a whole project, and would hold each file for 48 hours.

use std::time::Duration;

use super::App;
use crate::error::Result;
use crate::ledger::{JobRecord, PartRecord};

/// Nobody waits longer for what only tidies up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes the uploads of a job that are of no more use. What cannot be removed now is left to the next call, or to
/// the API: whoever wanted results gets them all the same.
pub(super) async fn tidy(app: &App, job: &JobRecord) {
    let config = app.config();
    if config.keep_uploads || config.read_only || !app.can_connect() {
        return;
    }
    for part in job.parts.iter().filter(|part| part.is_all_here() && has_upload(app, part)) {
        match tokio::time::timeout(PATIENCE, remove(app, job, part)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return tracing::info!("the upload of {} was not removed: {e}", part.display_name),
            Err(_) => return tracing::info!("the upload of {} was not removed: no answer", part.display_name),
        }
    }
}

/// Whether its requests are at the API, as far as is known here.
pub(super) fn has_upload(app: &App, part: &PartRecord) -> bool {
    part.remote_file.is_some() && part.file_expires.is_none_or(|expires| expires > app.now())
}

async fn remove(app: &App, job: &JobRecord, part: &PartRecord) -> Result<()> {
    let gemini = app.gemini().await?;
    // To another project's key it would look as if it were gone.
    let is_ours = !job.is_foreign_to(&gemini.owner());
    let Some(name) = part.remote_file.as_deref().filter(|_| is_ours) else { return Ok(()) };
    super::delete::gone_is_fine(gemini.delete_file(name).await)?;
    app.ledger()?.upload_removed(job.part_id(part))
}
