//! Brings the results of a job home, once, whole.

use std::io::{BufWriter, Write};

use super::App;
use super::vault::Vault;
use crate::error::{Error, Result};
use crate::gemini::RemoteOutput;
use crate::ledger::JobRecord;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

const BUFFER: usize = 256 * 1024;

/// The job's result lines on this machine: downloaded now, unless that was done before.
///
/// The API keeps results for a limited time, so they are kept here from the first call on. A job that
/// ended without results gives an empty file.
pub(super) async fn collect(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<AllowedPath> {
    let kept = Vault::open(app, &job.handle)?.results()?;
    if job.collected_at.is_some() && kept.exists() {
        return Ok(kept);
    }
    let temporary = kept.temporary()?;
    let complete = match job.remote_name.as_deref() {
        None => false,
        Some(name) => fetch(app, name, temporary.as_file(), monitor).await?,
    };
    kept.persist(temporary, true)?;
    if complete {
        app.ledger()?.collected(&job.handle)?;
    }
    Ok(kept)
}

/// Writes the batch's results to the file; `false` if it has none.
async fn fetch(app: &App, name: &str, file: &std::fs::File, monitor: &dyn Monitor) -> Result<bool> {
    let gemini = app.gemini().await?;
    let output = gemini.get_batch(name).await?.output;
    let mut sink = BufWriter::with_capacity(BUFFER, file);
    match &output {
        RemoteOutput::None => return Ok(false),
        RemoteOutput::File(results) => drop(gemini.download(results, &mut sink, monitor).await?),
        RemoteOutput::Inline => drop(gemini.inline_results(name, &mut sink).await?),
    }
    sink.flush().map_err(|e| Error::io(format!("keeping the results of {name}"), e))?;
    Ok(true)
}
