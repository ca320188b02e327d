//! What waits to be sent goes out as the API has room for it, whoever is running.
//!
//! Every process that shares the ledger moves the queue on: a server behind each of its calls, `status` and `run` at a
//! shell. The lease of a job keeps two from sending it at once.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::App;
use super::collect::what_has_ended;
use super::create::Submission;
use super::lease::Lease;
use super::stop::stop_if_cancelled;
use super::submit::send_under_lease;
use super::trouble::{may_pass, retry_after};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Handle;
use crate::ledger::JobRecord;
use crate::progress::{Monitor, Silent};

/// How soon something that failed in passing is tried again.
const AGAIN: TimeDelta = TimeDelta::minutes(1);
/// The pauses of a server between two looks at the queue.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Sends what there is room for, in the order in which it was wanted. Returns how many jobs had something sent.
///
/// One job that cannot be sent does not keep back the others; but what waits for room of a model keeps its place
/// before later jobs of that model.
pub async fn advance(app: &App, monitor: &dyn Monitor) -> Result<usize> {
    if app.config().read_only || !app.can_connect() {
        return Ok(0);
    }
    app.gemini().await?;
    if app.config().daily_budget_usd.is_some() && app.ledger()?.is_incomplete() {
        // It is not known what was sent today: that is looked up by the verbs.
        return Ok(0);
    }
    let mut sent = 0;
    let mut full = BTreeSet::new();
    let jobs = to_be_sent(app)?;
    for job in &jobs {
        monitor.check("sending what waits")?;
        if full.contains(&job.model) {
            continue;
        }
        if !is_due(job, app.now()) {
            full.insert(job.model.clone());
            continue;
        }
        match send_one(app, &job.handle, monitor).await {
            Ok(Some(Submission::Created)) => sent += 1,
            Ok(Some(Submission::Queued)) => drop(full.insert(job.model.clone())),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
            Err(e) => tracing::info!("{} was not sent: {e}", job.handle),
        }
    }
    // It may take days until the last part has ended.
    for job in jobs.iter().filter(|job| job.is_sent()) {
        what_has_ended(app, job, monitor).await?;
    }
    Ok(sent)
}

/// What waits to be sent with this key. Who asked for it with another one is to pay for it, too.
fn to_be_sent(app: &App) -> Result<Vec<JobRecord>> {
    let mut jobs = app.ledger()?.to_be_sent()?;
    jobs.retain(|job| !app.is_foreign(job));
    Ok(jobs)
}

fn is_due(job: &JobRecord, now: DateTime<Utc>) -> bool {
    // A time further away than any wait is of a clock that was set back.
    let later = |at: DateTime<Utc>| at > now && at - now <= TimeDelta::hours(25);
    !job.waiting().next().is_some_and(|part| part.not_before.is_some_and(later))
}

/// Sends what can be sent of one job, unless another process is at it.
async fn send_one(app: &App, handle: &Handle, monitor: &dyn Monitor) -> Result<Option<Submission>> {
    let Some(lease) = Lease::of_job_if_free(app, handle)? else { return Ok(None) };
    // It may have been asked for with another key since the queue was read.
    if app.is_foreign(&app.ledger()?.job(handle)?) {
        return Ok(None);
    }
    let sent = send_under_lease(app, handle, &lease, monitor).await;
    stop_if_cancelled(app, handle).await;
    match sent {
        Ok(submission) => Ok(Some(submission)),
        Err(e) if matches!(e.kind(), ErrorKind::Cancelled | ErrorKind::UnclearOutcome) => Err(e),
        Err(e) => set_back(app, handle, &lease, &e).and(Err(e)),
    }
}

/// After a failure that nobody is told of: what may pass is tried again later, anything else waits for the user.
pub(super) fn set_back(app: &App, handle: &Handle, lease: &Lease, error: &Error) -> Result<()> {
    let ledger = app.ledger()?;
    let is_local = matches!(error.kind(), ErrorKind::Io | ErrorKind::Ledger);
    if !is_local && !may_pass(error) {
        return ledger.give_up(handle, lease.holder(), &error.to_string());
    }
    let job = ledger.job(handle)?;
    let asked = retry_after(error).and_then(|wait| TimeDelta::from_std(wait).ok());
    let until = app.now() + asked.unwrap_or_default().max(AGAIN);
    job.waiting().try_for_each(|part| ledger.wait(job.part_id(part), until, &error.to_string()))
}

/// Moves the queue on behind a call of a server, for as long as something waits and the server is to go on. One at a time.
pub fn nudge(app: &App) {
    let Some(turn) = app.turn_at_the_queue() else { return };
    let (app, ending) = (app.clone(), app.ending().clone());
    ending.clone().spawn(async move {
        let _until_the_end = turn;
        let monitor = Silent::until(ending.stop().clone());
        while let Some(pause) = next_pause(&app).filter(|_| !ending.closing().is_cancelled()) {
            if let Err(e) = advance(&app, &monitor).await {
                tracing::warn!("the queue could not be moved on: {e}");
            }
            ending.closing().run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    });
}

/// How long to wait before the next look; `None` when nothing waits.
pub(super) fn next_pause(app: &App) -> Option<Duration> {
    if app.config().read_only || !app.can_connect() {
        return None;
    }
    let jobs = to_be_sent(app).ok()?;
    let now = app.now();
    let soonest = jobs.iter().flat_map(JobRecord::waiting).map(|part| part.not_before.unwrap_or(now)).min();
    let soonest = soonest.or_else(|| jobs.iter().any(|job| job.unclear().is_some()).then_some(now + AGAIN))?;
    Some((soonest - now).to_std().unwrap_or_default().clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}
