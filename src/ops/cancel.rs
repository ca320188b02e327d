//! `cancel_batch`: asks the API to stop a job.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::gone::explained;
use crate::error::{ErrorKind, Result};
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
    let job = as_it_stands(app, job).await?;
    if job.is_withdrawn() {
        return Ok(withdrawn(&job));
    }
    if job.state().is_terminal() {
        return Ok(reply(&job, "it had ended before; nothing was cancelled"));
    }
    let ledger = app.ledger()?;
    if job.waiting().next().is_some() || job.unclear().is_some() {
        // First what is not sent, or may turn out not to be, so that nobody sends it meanwhile.
        ledger.cancel_waiting(&job.handle)?;
    }
    if job.unclear().is_some() {
        return Err(super::send::still_unclear(&job.handle, "cancelling"));
    }
    if !job.is_sent() {
        ledger.cancel_waiting(&job.handle)?;
        return Ok(withdrawn(&ledger.job(&job.handle)?));
    }
    cancel_parts(app, &job).await?;
    let job = as_it_stands(app, ledger.job(&job.handle)?).await?;
    let done = if job.state().is_terminal() {
        "cancelled; requests finished before are billed"
    } else {
        "cancelling was asked for; the API takes a moment, and requests finished before are billed"
    };
    Ok(reply(&job, done))
}

/// The job as it stands, or as it was last seen: trouble with one part keeps no other from being stopped.
async fn as_it_stands(app: &App, job: JobRecord) -> Result<JobRecord> {
    let handle = job.handle.clone();
    if let Err(e) = super::observe::refresh_now(app, job).await {
        tracing::debug!("looking at {handle} before it is cancelled: {e}");
    }
    app.ledger()?.job(&handle)
}

/// Has every part stopped that the API still works on, and then tells what went wrong with any of them.
async fn cancel_parts(app: &App, job: &JobRecord) -> Result<()> {
    let gemini = app.gemini().await?;
    let is_theirs = job.is_foreign_to(&gemini.owner());
    let mut trouble = None;
    for name in job.parts.iter().filter(|part| part.is_active()).filter_map(|part| part.remote_name.as_deref()) {
        match gemini.cancel_batch(name).await {
            // It has ended meanwhile, or is there no more.
            Err(e) if e.kind() == ErrorKind::WrongState || (e.kind() == ErrorKind::NotFound && !is_theirs) => {}
            Err(e) => trouble = trouble.or(Some(explained(e, job, &gemini.owner()))),
            Ok(()) => {}
        }
    }
    trouble.map_or(Ok(()), Err)
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
