//! The manifest of a job: what it is of, enough to audit it or to do it again.
//!
//! What `get_results` writes beside a file says this of the file; here it is said of the job, with no file written.

use serde_json::{Value, json};

use super::App;
use super::results::{self, ResultsArgs, kind_told, last_written, origin_told, part_told};
use crate::error::Result;
use crate::ledger::JobRecord;
use crate::progress::Monitor;

/// Retries that are told of.
const MOST_RETRIES: usize = 20;

/// What is known of a job here; and what it came to, once its results are on this machine.
pub async fn manifest(app: &App, job: &str, monitor: &dyn Monitor) -> Result<Value> {
    let job = super::find::job(app, job).await?;
    let job = super::observe::refresh(app, job).await?;
    let ledger = app.ledger()?;
    let (origin, retries) = (ledger.origin_of(&job)?, ledger.retries_of(&job.handle)?);
    let parts = std::iter::once(&job).chain(retries.iter().take(MOST_RETRIES));
    let mut manifest = json!({
        "job": job.handle.as_str(),
        "state": job.state().to_string(),
        "kind": kind_told(app, &job),
        "model": job.model,
        "requests": job.requests,
        "run": job.run,
        "prices_as_of": app.models().as_of.to_string(),
        "source": origin.as_ref().map(origin_told),
        "written": last_written(app, &job.handle)?,
        "parts": (0..).zip(parts).map(|(number, job)| part_told(job, number)).collect::<Vec<_>>(),
    });
    if let Some(fields) = manifest.as_object_mut().filter(|_| job.state().is_terminal() && job.collected_at.is_some()) {
        fields.extend(came_to(app, &job, monitor).await?);
    }
    Ok(manifest)
}

/// Outcomes, tokens and cost, its retries counted in.
async fn came_to(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<Vec<(String, Value)>> {
    let args = ResultsArgs { job: job.handle.to_string(), limit: Some(0), ..ResultsArgs::default() };
    let reply = results::results(app, args, monitor).await?;
    Ok(vec![
        ("outcomes".to_owned(), json!(reply.outcomes)),
        ("usage".to_owned(), json!(reply.usage)),
        ("cost_usd".to_owned(), json!(reply.cost_usd)),
        ("saved_usd".to_owned(), json!(reply.saved_usd)),
    ])
}
