//! Asks the API where a job stands and takes note of it.
//!
//! A part is asked for by one process at a time, and no more often than its age says
//! ([`schedule`]); everybody else reads in the ledger what that one heard.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::lookup::{self, Known};
use super::stop::{stop_if_cancelled, stop_part_if_cancelled};
use super::trouble::{may_pass, retry_after};
use super::{App, gone};
use crate::error::{Error, Result};
use crate::gemini::{RemoteBatch, RemoteOutput, undeliverable};
use crate::job::{JobState, schedule};
use crate::ledger::steps::Observation;
use crate::ledger::{JobRecord, PartId, PartRecord};

/// Looks under way at once.
pub(super) const AT_ONCE: usize = 4;
/// An agent gives up on its call after about a minute.
const PATIENCE: Duration = Duration::from_secs(40);
/// A batch that succeeded gets so long to show its output.
const OUTPUT_PATIENCE: TimeDelta = TimeDelta::minutes(30);

/// When a part is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// When it is time, by its age, and nobody else asks.
    Due,
    /// Now: a decision hangs on it.
    Now,
}

/// The job as it was last seen, seen anew where that is due.
pub(super) async fn refresh(app: &App, job: JobRecord) -> Result<JobRecord> {
    refreshed(app, job, When::Due).await
}

/// The job as it stands now, however short a time ago somebody asked.
pub(super) async fn refresh_now(app: &App, job: JobRecord) -> Result<JobRecord> {
    refreshed(app, job, When::Now).await
}

async fn refreshed(app: &App, job: JobRecord, when: When) -> Result<JobRecord> {
    let looks = open_parts(app, &job).map(|part| look(app, &job, part, when));
    let looks: Vec<_> = looks.collect();
    stream::iter(looks).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    app.ledger()?.job(&job.handle)
}

/// What of a job can be asked for: batches that have not ended, and a create whose outcome is not known.
pub(super) fn open_parts<'j>(app: &App, job: &'j JobRecord) -> impl Iterator<Item = &'j PartRecord> + use<'j> {
    let unclear = job.unclear().filter(|_| app.can_connect());
    let active = job.parts.iter().filter(|part| part.is_active() && part.remote_name.is_some());
    unclear.into_iter().chain(active)
}

/// Looks at one part, if it is time. Says whether the API was asked.
pub(super) async fn look(app: &App, job: &JobRecord, part: &PartRecord, when: When) -> Result<bool> {
    // Without a key nobody is kept from asking.
    let owner = app.gemini().await?.owner();
    let Some(mut turn) = Turn::take(app, job.part_id(part), age(part, app.now()), when)? else { return Ok(false) };
    let started = Instant::now();
    let Err(error) = ask(app, job, part).await else { return Ok(true) };
    if gone::is_gone(app, &error, job, part, &owner)? {
        app.ledger()?.observe(job.part_id(part), &gone::seen(part, app.now()))?;
        return Ok(true);
    }
    // What does not pass by itself is told to everybody who asks.
    turn.next = may_pass(&error).then(|| {
        let pause = schedule::pause_after_failure(turn.age, started.elapsed());
        app.now() + jittered(retry_after(&error).map_or(pause, |asked| asked.clamp(pause, schedule::LONGEST)))
    });
    Err(gone::explained(error, job, &owner))
}

/// The turn of asking for a part: nobody else asks while it lasts. With it goes when the next one is.
struct Turn<'a> {
    app: &'a App,
    part: PartId<'a>,
    age: Duration,
    next: Option<DateTime<Utc>>,
}

impl<'a> Turn<'a> {
    fn take(app: &'a App, part: PartId<'a>, age: Duration, when: When) -> Result<Option<Self>> {
        let (ledger, now) = (app.ledger()?, app.now());
        let pause = jittered(schedule::pause(age));
        // A process that dies is overtaken after the longest time a look may take.
        let until = pause.max(TimeDelta::from_std(PATIENCE).unwrap_or_default());
        match when {
            When::Due if !ledger.claim_poll(part, now, until)? => return Ok(None),
            When::Due => {}
            When::Now => ledger.plan_poll(part, Some(now + until))?,
        }
        Ok(Some(Self { app, part, age, next: Some(now + pause) }))
    }
}

impl Drop for Turn<'_> {
    /// Also of a call that was given up.
    fn drop(&mut self) {
        let planned = self.app.ledger().and_then(|ledger| ledger.plan_poll(self.part, self.next));
        if let Err(e) = planned {
            tracing::warn!("the next look at {} could not be planned: {e}", self.part.handle);
        }
    }
}

async fn ask(app: &App, job: &JobRecord, part: &PartRecord) -> Result<()> {
    let Some(name) = part.remote_name.as_deref() else {
        let known = Known::of(app, job).await?;
        lookup::adopt_what_is_there(app, job, &known)?;
        stop_if_cancelled(app, &job.handle).await;
        return Ok(());
    };
    let gemini = app.gemini().await?;
    let remote = tokio::time::timeout(PATIENCE, gemini.get_batch(name)).await.map_err(|_| too_slow(name))??;
    let settled = settled_state(&remote).or_else(|| given_up(&remote, part.at_the_api(app.now())));
    note(app, job.part_id(part), &remote, settled)?;
    if job.cancelled {
        stop_part_if_cancelled(app, job.part_id(part)).await;
    }
    Ok(())
}

/// Since it was submitted, or since its create was sent.
fn age(part: &PartRecord, now: DateTime<Utc>) -> Duration {
    (now - part.began().unwrap_or(part.step_at)).to_std().unwrap_or_default()
}

fn jittered(pause: Duration) -> TimeDelta {
    let factor = 1.0 + schedule::JITTER * (2.0 * fastrand::f64() - 1.0);
    TimeDelta::from_std(pause.mul_f64(factor).min(schedule::LONGEST)).unwrap_or_default()
}

fn too_slow(name: &str) -> Error {
    undeliverable(&format!("asking for {name}"), &format!("no answer within {} s", PATIENCE.as_secs()))
}

/// Writes down what the API said in passing, in a list or to a create, and returns the job as it is then.
pub(super) fn record(app: &App, part: PartId<'_>, remote: &RemoteBatch) -> Result<JobRecord> {
    note(app, part, remote, settled_state(remote))?;
    app.ledger()?.job(part.handle)
}

fn note(app: &App, part: PartId<'_>, remote: &RemoteBatch, settled: Option<Settled>) -> Result<()> {
    let counts = &remote.counts;
    let failed = counts.failed.unwrap_or(0);
    let error = remote.error.as_ref().map(|error| format!("{} (code {})", error.message, error.code));
    let (state, lack) = settled.unwrap_or((JobState::Running, None));
    let seen = Observation {
        state,
        wire_state: remote.wire_state.clone(),
        done: counts.succeeded.unwrap_or(0) + failed,
        failed,
        error: error.or(lack),
        ended_at: remote.end_time,
    };
    app.ledger()?.observe(part, &seen)
}

/// A state that can be relied on, and what is wrong with it.
type Settled = (JobState, Option<String>);

/// A success is one only when its output is there: the API has been seen to say so earlier
/// (API reference §3.3), and the job is polled on until then.
fn settled_state(remote: &RemoteBatch) -> Option<Settled> {
    let is_early = remote.state == JobState::Succeeded && remote.output == RemoteOutput::None;
    (!is_early).then_some((remote.state, None))
}

/// The success of a batch whose output did not come in all that time.
fn given_up(remote: &RemoteBatch, now: DateTime<Utc>) -> Option<Settled> {
    let ended = remote.end_time.or(remote.update_time)?;
    let lack = format!("it succeeded, and after {} min its output is not there", OUTPUT_PATIENCE.num_minutes());
    (now - ended >= OUTPUT_PATIENCE).then_some((JobState::Succeeded, Some(lack)))
}
