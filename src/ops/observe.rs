//! Asks the API where a job stands and takes note of it.

use std::time::Duration;

use super::App;
use super::lookup::{self, Known};
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::{RemoteBatch, RemoteOutput};
use crate::job::JobState;
use crate::ledger::steps::Observation;
use crate::ledger::{JobRecord, PartId};

/// The job as it stands now. What has ended, or was never sent to the API, is not asked for; a create without a
/// clear outcome is looked up.
pub(super) async fn refresh(app: &App, job: JobRecord) -> Result<JobRecord> {
    if job.unclear().is_some() && app.can_connect() {
        let known = Known::of(app, &job).await?;
        lookup::adopt_what_is_there(app, &job, &known)?;
    }
    for part in job.parts.iter().filter(|part| part.is_active()) {
        let Some(name) = part.remote_name.as_deref() else { continue };
        let gemini = app.gemini().await?;
        let remote = tokio::time::timeout(PATIENCE, gemini.get_batch(name)).await.map_err(|_| too_slow(name))??;
        record(app, job.part_id(part), &remote)?;
    }
    app.ledger()?.job(&job.handle)
}

/// The same, asked for anew however short a time ago somebody asked.
pub(super) async fn refresh_now(app: &App, job: JobRecord) -> Result<JobRecord> {
    refresh(app, job).await
}

/// An agent gives up on its call after about a minute.
const PATIENCE: Duration = Duration::from_secs(40);

fn too_slow(name: &str) -> Error {
    let cause = format!("no answer within {} s", PATIENCE.as_secs());
    Error::new(ErrorKind::Unavailable, format!("asking for {name}"), cause).hint(
        "try again in a minute; a job with very large inline results may never answer: use files for images and audio",
    )
}

/// Writes down what the API said.
pub(super) fn record(app: &App, part: PartId<'_>, remote: &RemoteBatch) -> Result<JobRecord> {
    let counts = &remote.counts;
    let failed = counts.failed.unwrap_or(0);
    let seen = Observation {
        state: settled_state(remote),
        wire_state: remote.wire_state.clone(),
        done: counts.succeeded.unwrap_or(0) + failed,
        failed,
        error: remote.error.as_ref().map(|error| format!("{} (code {})", error.message, error.code)),
        ended_at: remote.end_time,
    };
    let ledger = app.ledger()?;
    ledger.observe(part, &seen)?;
    ledger.job(part.handle)
}

/// A success is one only when its output is there: the API has been seen to say so earlier
/// (API reference §3.3), and the job is polled on until then.
fn settled_state(remote: &RemoteBatch) -> JobState {
    match (remote.state, &remote.output) {
        (JobState::Succeeded, RemoteOutput::None) => JobState::Running,
        (state, _) => state,
    }
}
