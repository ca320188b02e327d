//! A job to the API: once, in as many parts as it has, now or when there is room.
//!
//! What a caller asks for is written down first, then sent part by part (`ops/send.rs`). A caller who cannot wait
//! gets an answer in time; the work goes on behind it, and in any other process that shares the ledger
//! (`ops/queue.rs`).

use tempfile::NamedTempFile;

use super::App;
use super::background::in_background;
use super::call_log::for_job;
use super::create::Submission;
use super::lease::Lease;
use super::lookup;
use super::queue;
use super::rebuild::{mind_what_was_lost, rebuild};
use super::relay::Relay;
use super::requests;
use super::send::{Sent, refuse_foreign, send};
use super::stop::stop_if_cancelled;
use super::unfinished::refuse_unfinished;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::counted;
use crate::job::{Cost, Handle};
use crate::ledger::spend::Spending;
use crate::ledger::{Intended, JobRecord, NewJob, Step};
use crate::progress::Monitor;

/// Brings the job to the API, or finds it there.
pub(super) async fn submit(
    app: &App,
    job: NewJob,
    keys: NamedTempFile,
    monitor: &dyn Monitor,
) -> Result<(JobRecord, Submission)> {
    // Without a key nothing is recorded either.
    let owner = app.gemini().await?.owner();
    let job = NewJob { owner: Some(owner), ..job };
    let known = app.ledger()?.by_hash(job.handle.hash())?;
    if let Some(known) = &known {
        refuse_half_sent(app, known).await?;
    }
    let budget = app.config().daily_budget_usd;
    if is_unknown_day(app, known.as_ref())? {
        rebuild(app, monitor).await.map_err(|e| unknown_day(&job, &e))?;
    }
    // Nobody who moves the queue on is quicker than who makes the job.
    let lease = if known.is_none() { Lease::of_job_if_free(app, &job.handle)? } else { None };
    let (job, is_new) = granted(&job, app.ledger()?.intend(&job, budget)?, budget)?;
    let lease = lease.filter(|_| is_new);
    let job = if is_new { mind_what_was_lost(app, job)? } else { job };
    keep_keys(app, &job.handle, &keys)?;
    if job.waiting().next().is_some() {
        requests::hold_on(app, &job);
    }
    if job.waiting().next().is_none() && job.unclear().is_none() {
        return found(app, job).await;
    }
    let (working, handle, is_wanted) = (app.clone(), job.handle.clone(), !job.held);
    let work = in_background(app.ending(), app.config().patience, monitor, move |monitor| async move {
        send_parts(&working, &handle, (is_wanted, lease), &monitor).await
    });
    let submission = work.await?.unwrap_or(Submission::Queued);
    Ok((app.ledger()?.job(&job.handle)?, submission))
}

/// Refuses the rest of a job of which some was sent with another key.
async fn refuse_half_sent(app: &App, job: &JobRecord) -> Result<()> {
    let is_half_sent = job.is_sent() && job.parts.iter().any(|part| part.step != Step::Created);
    if is_half_sent { refuse_foreign(job, &app.gemini().await?.owner()) } else { Ok(()) }
}

/// What is to be sent of a job is sent with this key from now on, as it is asked for with it. Only whoever holds its lease
/// may do that: nobody else is sending it.
async fn take_over(app: &App, handle: &Handle) -> Result<()> {
    let ledger = app.ledger()?;
    ledger.owned_by(handle, &app.gemini().await?.owner())?;
    refuse_half_sent(app, &ledger.job(handle)?).await
}

/// The job as it would be remembered, about to be submitted. Fails as [`submit`] would.
pub(super) fn rehearse(app: &App, job: &NewJob) -> Result<JobRecord> {
    let budget = app.config().daily_budget_usd;
    granted(job, app.ledger()?.would_intend(job, budget)?, budget).map(|(job, _)| job)
}

/// The job as it is remembered, and whether it is a new one.
fn granted(wanted: &NewJob, intended: Intended, budget: Option<f64>) -> Result<(JobRecord, bool)> {
    match intended {
        Intended::New(job) => Ok((job, true)),
        Intended::Known(job) => Ok((job, false)),
        Intended::TooEarly(first) => refuse_unfinished(&first, "retrying").and(Err(Error::internal(
            format!("retrying {}", first.handle),
            "some of it is under way although it has ended",
        ))),
        Intended::CutOtherwise(known) => Err(lookup::lacking(&known, wanted.requests())),
        Intended::OverBudget(today) => Err(over_budget(wanted, today, budget.unwrap_or_default())),
    }
}

async fn found(app: &App, job: JobRecord) -> Result<(JobRecord, Submission)> {
    let job = super::observe::refresh(app, job).await?;
    Ok((job, Submission::Found))
}

/// Sends what there is room for. What cannot be sent now waits, with its requests beside the ledger.
async fn send_parts(
    app: &App,
    handle: &Handle,
    (is_wanted, lease): (bool, Option<Lease>),
    monitor: &Relay,
) -> Result<Submission> {
    // A call that gives up while another one sends the job leaves it to that one.
    let lease = match lease {
        Some(lease) => lease,
        None => Lease::of_job(app, handle, monitor).await?,
    };
    if is_wanted {
        // Who held the lease before may have given up after this call was made.
        app.ledger()?.want_still(handle)?;
        take_over(app, handle).await?;
    }
    let sent = send_under_lease(app, handle, &lease, monitor).await;
    stop_if_cancelled(app, handle).await;
    match sent {
        Err(e) if e.kind() == ErrorKind::UnclearOutcome => Err(e),
        // The server ends: whoever runs next sends it.
        Err(e) if app.ending().stop().is_cancelled() => Err(e),
        // The caller is told that it failed: it goes out when it is asked for again, and not before.
        Err(e) if !monitor.is_alone() => app.ledger()?.give_up(handle, lease.holder(), e.cause()).and(Err(e)),
        Err(e) => queue::set_back(app, handle, &lease, &e).and(Err(e)),
        sent => sent,
    }
}

/// Sends the parts of a job that are not at the API, in their order, until one has to wait.
pub(super) async fn send_under_lease(
    app: &App,
    handle: &Handle,
    lease: &Lease,
    monitor: &dyn Monitor,
) -> Result<Submission> {
    // Another process may have finished it while this one waited for the lease.
    let job = app.ledger()?.job(handle)?;
    // Of what is held, only what may be at the API already is looked for.
    let open = job.parts.iter().filter(|part| part.is_unclear() || (part.is_unsent() && !job.held));
    let open: Vec<u32> = open.map(|part| part.number).collect();
    if open.is_empty() {
        return Ok(Submission::Found);
    }
    if open.len() > 1 {
        requests::keep(app, &job, monitor).await?;
    }
    // Unless somebody cancels it meanwhile.
    let mut submission = Submission::Found;
    for number in open {
        // As it is now: the parts before are sent, and somebody may have cancelled the rest.
        let job = app.ledger()?.job(handle)?;
        match for_job(handle, send(app, &job, number, lease, monitor)).await? {
            Sent::Held => {}
            Sent::Adopted if submission == Submission::Found => submission = Submission::Adopted,
            Sent::Adopted => {}
            Sent::Created => submission = Submission::Created,
            Sent::Waits(_) => {
                requests::keep(app, &job, monitor).await?;
                return Ok(if submission == Submission::Created { submission } else { Submission::Queued });
            }
        }
    }
    requests::let_go(app, &job)?;
    Ok(submission)
}

/// Whether something is to be sent under a budget for the day, and it is not known what was sent before the ledger was lost.
fn is_unknown_day(app: &App, known: Option<&JobRecord>) -> Result<bool> {
    let is_sent = known.is_some_and(|known| known.parts.iter().all(|part| part.step == Step::Created));
    Ok(!is_sent && app.config().daily_budget_usd.is_some() && app.ledger()?.is_incomplete())
}

fn unknown_day(job: &NewJob, e: &Error) -> Error {
    let cause = format!(
        "the ledger was lost, and what was sent today cannot be looked up ({}), so the daily budget cannot be kept",
        e.cause()
    );
    Error::new(ErrorKind::Budget, format!("submitting {}", job.handle), cause)
        .hint("make the same call again in a while. Nothing was sent")
}

fn over_budget(job: &NewJob, today: Spending, budget: f64) -> Error {
    let act = format!("submitting {}", job.handle);
    let sums =
        format!("{} is sent and {} waits to be sent today", Cost::Usd(today.sent_usd), Cost::Usd(today.waiting_usd));
    let cause = match job.high_usd() {
        _ if today.unknown > 0 => format!(
            "the price of {} of today's is unknown, so the daily budget of {} cannot be kept ({sums} beside it)",
            counted(today.unknown, "batch"),
            Cost::Usd(budget)
        ),
        None => format!(
            "the price of {} is unknown, or not all can be counted beforehand (files by their address, caches, searches), so the \
             daily budget of {} cannot be kept",
            job.model,
            Cost::Usd(budget)
        ),
        Some(usd) => {
            let (usd, budget) = (Cost::Usd(usd), Cost::Usd(budget));
            format!("{sums}, this adds up to {}, and the daily budget is {}", usd.beside(budget), budget.beside(usd))
        }
    };
    Error::new(ErrorKind::Budget, act, cause).hint(
        "get_results of jobs that have ended puts what they cost in place of their estimates; else submit fewer requests, \
         choose a cheaper model, wait until tomorrow (UTC), or let the user raise GEMINI_BATCH_DAILY_BUDGET_USD. Nothing was sent",
    )
}

/// The keys stay with the job, so that its answers can be accounted for when the file is gone.
fn keep_keys(app: &App, handle: &Handle, keys: &NamedTempFile) -> Result<()> {
    let kept = Vault::open(app, handle)?.keys()?;
    if kept.exists() {
        return Ok(());
    }
    let temporary = kept.temporary()?;
    std::fs::copy(keys.path(), temporary.path()).map_err(|e| Error::io(format!("keeping the keys of {handle}"), e))?;
    kept.persist(temporary, true)
}
