//! A notice that something happened to a job at the API: reason to look, nothing more.

use super::App;
use crate::error::Result;

/// Looks at the job that a notice names, if it is one of ours and has not ended as far as is known; where one has ended
/// there may be room for what waits. The name is a hint from outside (API reference §9): only what the API then says itself is written down.
pub async fn notified(app: &App, named: &str) -> Result<()> {
    let id = named.strip_prefix("batches/").unwrap_or(named);
    let well_formed = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let known = if well_formed { app.ledger()?.by_remote_name(&format!("batches/{id}"))? } else { None };
    match known {
        Some(job) => {
            super::observe::refresh_now(app, job).await?;
            super::queue::nudge(app);
            Ok(())
        }
        None => {
            tracing::debug!("a notice of a batch that no job here is: {named:?}");
            Ok(())
        }
    }
}
