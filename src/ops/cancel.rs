//! `cancel_batch`: asks the API to stop a job.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::lease::Lease;
use super::send::still_unclear;
use super::stop::stop;
use super::submit::send_under_lease;
use crate::error::Result;
use crate::job::Handle;
use crate::ledger::{JobRecord, Step};
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
    if job.parts.iter().any(|part| part.step != Step::Created) {
        // First what is not sent, or may turn out not to be, so that nobody sends it meanwhile.
        app.ledger()?.cancel_waiting(&job.handle)?;
    }
    let job = app.ledger()?.job(&job.handle)?;
    let mut troubles = stop(app, &job).await?;
    if job.unclear().is_some() {
        settle(app, &job.handle, monitor).await?;
        troubles.extend(stop(app, &app.ledger()?.job(&job.handle)?).await?);
    }
    let job = as_it_stands(app, job).await?;
    let goes_on = |number: u32| job.parts.iter().any(|part| part.number == number && part.is_active());
    if let Some((_, e)) = troubles.into_iter().find(|(number, _)| goes_on(*number)) {
        return Err(e);
    }
    if job.is_withdrawn() {
        return Ok(withdrawn(&job));
    }
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
        tracing::debug!("looking at {handle} while it is cancelled: {e}");
    }
    app.ledger()?.job(&handle)
}

/// Finds out whether a create arrived, as far as that can be told yet: what did not is not sent any more.
async fn settle(app: &App, handle: &Handle, monitor: &dyn Monitor) -> Result<()> {
    match Lease::of_job_if_free(app, handle)? {
        Some(lease) => send_under_lease(app, handle, &lease, monitor).await.map(drop),
        None => Err(still_unclear(handle, "cancelling")),
    }
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
