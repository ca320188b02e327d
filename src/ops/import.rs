//! Batches at the API that the ledger does not know, recorded there.

use super::App;
use super::vault::{Vault, lines};
use crate::error::Result;
use crate::gemini::RemoteBatch;
use crate::job::models::bare_name;
use crate::job::{Handle, JobState, Kind};
use crate::ledger::Adoption;
use crate::ledger::import::Found;

/// Records each as the job, or the part of one, whose name it carries, the first one made of each name. Those whose
/// place is another's are left alone. How many were recorded.
pub(super) async fn as_ours(app: &App, batches: &[RemoteBatch]) -> Result<i64> {
    let named = batches.iter().filter_map(|batch| {
        let (handle, number, of) = Handle::parse_part(batch.display_name.as_deref()?)?;
        Some((handle, number, of, batch))
    });
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|(.., batch)| batch.create_time);
    let found = named.iter().map(|(handle, number, of, batch)| found(app, handle, *number, *of, batch));
    record(app, &found.collect::<Vec<_>>()).await
}

/// Records it as a job of the name that it has at the API.
pub(super) async fn as_a_strangers(app: &App, batch: &RemoteBatch) -> Result<i64> {
    record(app, &[found(app, &Handle::from_ledger(batch.name.clone()), 1, 1, batch)]).await
}

async fn record(app: &App, found: &[Found<'_>]) -> Result<i64> {
    app.ledger()?.import(found, &app.gemini().await?.owner())
}

fn found<'a>(app: &App, handle: &'a Handle, number: u32, of: u32, batch: &'a RemoteBatch) -> Found<'a> {
    // Lists leave results out: an end is noted only when the job itself is asked for.
    let state = if batch.state.is_terminal() { JobState::Running } else { batch.state };
    let by_keys = || lines(&Vault::open(app, handle).ok()?.keys().ok()?).filter(|_| of == 1);
    Found {
        handle,
        number,
        of,
        model: bare_name(&batch.model),
        kind: batch.kind.unwrap_or(Kind::Generate),
        requests: batch.counts.total.or_else(by_keys).unwrap_or(0),
        batch: Adoption { remote_name: &batch.name, state, submitted_at: batch.create_time },
    }
}
