//! How fast a job is and how long it still takes, by its own progress and by how others like it went.
//!
//! No number is made up: without progress and without history there is none.

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::JobState;
use crate::ledger::history::Past;
use crate::ledger::{JobRecord, PartRecord};

/// A wait until then is for a day's budget, not for room: nobody knows what comes after it.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// How fast a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Speed {
    /// Requests a minute, while it runs.
    pub(super) per_minute: Option<f64>,
    /// Seconds left.
    pub(super) eta_s: Option<f64>,
}

/// What batches like those of a job took before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Usual {
    /// How many of them there were.
    pub(super) batches: usize,
    /// Median seconds from submission to end.
    pub(super) took_s: f64,
    /// Median seconds until one ran, and median requests a minute from then on; where enough were seen starting.
    running: Option<(f64, f64)>,
}

impl Usual {
    /// What these tell, and the parts of the job itself that went well; `None` without any.
    pub(super) fn of(past: &[Past], job: &JobRecord) -> Option<Self> {
        let of_the_job = if job.state().is_terminal() { &[] } else { job.parts.as_slice() };
        let all: Vec<Past> = past.iter().copied().chain(of_the_job.iter().filter_map(as_past)).collect();
        let took_s = median(all.iter().map(|past| seconds(past.took)).collect())?;
        let started: Vec<_> = all.iter().filter_map(|past| Some((past, past.waited?))).collect();
        let rates = started.iter().map(|(past, waited)| per_minute(past.requests, past.took - *waited));
        let waits = median(started.iter().map(|(_, waited)| seconds(*waited)).collect());
        let running = waits.zip(median(rates.collect())).filter(|_| started.len() * 2 > all.len());
        Some(Self { batches: all.len(), took_s, running })
    }

    /// How long a batch of so many requests takes from its submission, in seconds.
    pub(super) fn expected_s(&self, requests: i64) -> f64 {
        match self.running {
            Some((waits, rate)) if rate > 0.0 => waits + float(requests) * 60.0 / rate,
            _ => self.took_s,
        }
    }

    fn waits_s(&self) -> f64 {
        self.running.map_or(0.0, |(waits, _)| waits)
    }
}

fn as_past(part: &PartRecord) -> Option<Past> {
    let took = part.ended_at? - part.submitted_at?;
    let went_well = part.state == JobState::Succeeded && took > TimeDelta::zero();
    went_well.then_some(Past { requests: part.requests, took, waited: None })
}

/// How fast the job is, and how long it takes from now on.
pub(super) fn speed(job: &JobRecord, usual: Option<&Usual>, now: DateTime<Utc>) -> Speed {
    if job.state().is_terminal() {
        return Speed::default();
    }
    Speed { per_minute: job_per_minute(job, now), eta_s: eta_s(job, usual, now) }
}

/// Requests done since the job was submitted, over the time until they were last counted.
fn job_per_minute(job: &JobRecord, now: DateTime<Utc>) -> Option<f64> {
    let counted = job.parts.iter().filter_map(|part| part.polled_at).max().unwrap_or(now);
    let age = counted - job.began()?;
    (job.state() == JobState::Running && job.done() > 0 && age > TimeDelta::zero()).then(|| per_minute(job.done(), age))
}

/// The part that takes longest, and after it those that are not sent yet: as many at a time as run now.
fn eta_s(job: &JobRecord, usual: Option<&Usual>, now: DateTime<Utc>) -> Option<f64> {
    if job.unclear().is_some() {
        return None;
    }
    let active: Vec<_> = job.parts.iter().filter(|part| part.is_active()).collect();
    let waiting: Vec<_> = job.waiting().collect();
    let left = active.iter().map(|part| part_eta_s(part, usual, now)).collect::<Option<Vec<_>>>()?;
    let longest = left.into_iter().reduce(f64::max);
    let Some(first) = waiting.first() else { return longest };
    let until = first.not_before.map_or(TimeDelta::zero(), |at| at - now);
    let at_a_time = active.len().max(1);
    let rounds = float(i64::try_from(waiting.len().div_ceil(at_a_time)).ok()?);
    let each = usual?.expected_s(first.requests);
    (until <= LONGEST_WAIT).then(|| longest.unwrap_or(0.0).max(seconds(until)) + rounds * each)
}

/// By its own progress, and by how others went; the further it is, the more its own counts.
fn part_eta_s(part: &PartRecord, usual: Option<&Usual>, now: DateTime<Utc>) -> Option<f64> {
    let submitted = part.began()?;
    let by_others = usual.map(|usual| usual.expected_s(part.requests) - seconds(now - submitted));
    // Past what is usual, others tell nothing of what is left.
    let by_others = by_others.filter(|left| *left > 0.0);
    match (own_eta_s(part, submitted, usual, now), by_others) {
        (Some(own), Some(others)) => {
            let progress = float(part.done) / float(part.requests.max(1));
            Some(progress * own + (1.0 - progress) * others)
        }
        (own, others) => own.or(others),
    }
}

fn own_eta_s(part: &PartRecord, submitted: DateTime<Utc>, usual: Option<&Usual>, now: DateTime<Utc>) -> Option<f64> {
    if part.state != JobState::Running || part.done == 0 || part.requests == 0 {
        return None;
    }
    let counted = part.polled_at.unwrap_or(now);
    let age = seconds(counted - submitted);
    // What it waited is no part of its speed, as far as that is known of others.
    let ran = age - usual.map_or(0.0, Usual::waits_s).min(age / 2.0);
    let left = float(part.requests - part.done) * ran / float(part.done) - seconds(now - counted);
    (ran > 0.0).then(|| left.max(0.0))
}

fn per_minute(requests: i64, time: TimeDelta) -> f64 {
    float(requests) * 60.0 / seconds(time)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[expect(clippy::cast_precision_loss, reason = "times and counts are far below 2^52")]
fn seconds(time: TimeDelta) -> f64 {
    time.num_milliseconds() as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "times and counts are far below 2^52")]
fn float(count: i64) -> f64 {
    count as f64
}
