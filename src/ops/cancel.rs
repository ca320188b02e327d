//! `cancel_batch`: asks the API to stop a job.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use crate::error::Result;
use crate::ledger::JobRecord;
use crate::progress::Monitor;

/// Which job.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelArgs {
    /// Handle, its unique beginning, or a batches/… name.
    pub job: String,
}

/// What was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CancelReply {
    /// The job.
    pub job: String,
    /// Its state now.
    pub state: String,
    /// What was done, what remains.
    pub done: String,
    /// What to call next.
    pub next: String,
}

impl fmt::Display for CancelReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} {}: {}\nnext: {}", self.job, self.state, self.done, self.next)
    }
}

/// Asks the API to stop the job. What is done by then is billed, and kept where the API keeps it.
pub async fn cancel(app: &App, args: CancelArgs, monitor: &dyn Monitor) -> Result<CancelReply> {
    app.allow_changes("cancelling a batch job")?;
    super::rebuild::if_incomplete(app, monitor).await;
    let job = super::find::job(app, &args.job).await?;
    let job = super::observe::refresh_now(app, job).await?;
    if job.is_withdrawn() {
        return Ok(withdrawn(&job));
    }
    if job.state().is_terminal() {
        return Ok(reply(&job, "it had ended before; nothing was cancelled"));
    }
    let ledger = app.ledger()?;
    if job.waiting().next().is_some() {
        // First what is not sent, so that nobody sends it meanwhile.
        ledger.cancel_waiting(&job.handle)?;
    }
    if job.unclear().is_some() {
        return Err(super::send::still_unclear(&job.handle, "cancelling"));
    }
    if !job.is_sent() {
        ledger.cancel_waiting(&job.handle)?;
        return Ok(withdrawn(&ledger.job(&job.handle)?));
    }
    let gemini = app.gemini().await?;
    for part in job.parts.iter().filter(|part| part.is_active()) {
        if let Some(name) = part.remote_name.as_deref() {
            gemini.cancel_batch(name).await?;
        }
    }
    let job = super::observe::refresh_now(app, ledger.job(&job.handle)?).await?;
    let done = if job.state().is_terminal() {
        "cancelled; requests finished before are billed"
    } else {
        "cancelling was asked for; the API takes a moment, and requests finished before are billed"
    };
    Ok(reply(&job, done))
}

/// Nothing of it had reached the API.
fn withdrawn(job: &JobRecord) -> CancelReply {
    CancelReply {
        job: job.handle.to_string(),
        state: job.state().to_string(),
        done: "it had not reached the API and will not be sent; nothing was spent".to_owned(),
        next: "nothing; the create_batch call that made it would send it after all".to_owned(),
    }
}

fn reply(job: &JobRecord, done: &str) -> CancelReply {
    let next = if job.state().is_terminal() {
        format!("get_results {{\"job\": \"{}\"}} keeps what was finished", job.handle)
    } else {
        format!("check_status {{\"jobs\": [\"{}\"]}} in 10 s", job.handle)
    };
    CancelReply { job: job.handle.to_string(), state: job.state().to_string(), done: done.to_owned(), next }
}
