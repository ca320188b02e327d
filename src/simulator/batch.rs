//! A batch as it is remembered, and what has become of it by a given time.
//!
//! Nothing runs: the state of a batch is computed from when it was created, how fast it goes, and
//! whether it was cancelled.

use std::io;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pace::Pace;
use super::refusal::Refusal;
use super::route::Kind;
use super::server::{Ask, Service};
use super::store::{Shelf, Store, is_id, read_record};

/// A batch that has not ended by then expires.
const LIFETIME: TimeDelta = TimeDelta::hours(48);

/// What does not change while a batch runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) kind: Kind,
    /// Without `models/`.
    pub(super) model: String,
    pub(super) display_name: Option<String>,
    /// The input file; `None` where the requests came inside the call.
    pub(super) file_name: Option<String>,
    pub(super) created: DateTime<Utc>,
    pub(super) pace: Pace,
    pub(super) census: Census,
    pub(super) priority: Option<String>,
    pub(super) webhook: Option<Value>,
}

/// What was seen when the requests were checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Census {
    pub(super) requests: u64,
    /// Input tokens, as `countTokens` estimates them.
    #[serde(default)]
    pub(super) tokens: u64,
    /// Requests that will end in an error.
    pub(super) failing: u64,
    pub(super) fate: Fate,
    /// If it does not succeed, half of it has answers.
    #[serde(default)]
    pub(super) partial: bool,
}

/// How a batch is going to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fate {
    #[default]
    Succeeds,
    Fails,
    /// Runs, and no request gets through.
    NeverEnds,
    /// Stays pending.
    NeverStarts,
    /// Runs until half of the requests are through.
    Stalls,
}

/// A batch, and when it was cancelled.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) batch: Batch,
    pub(super) cancelled: Option<DateTime<Utc>>,
}

/// The states of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
}

/// What has become of a batch by a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: State,
    /// Requests that are through.
    pub(super) finished: u64,
    pub(super) updated: DateTime<Utc>,
    pub(super) ended: Option<DateTime<Utc>>,
}

impl State {
    /// The state as the wire spells it.
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Pending => "BATCH_STATE_PENDING",
            Self::Running => "BATCH_STATE_RUNNING",
            Self::Succeeded => "BATCH_STATE_SUCCEEDED",
            Self::Failed => "BATCH_STATE_FAILED",
            Self::Cancelled => "BATCH_STATE_CANCELLED",
            Self::Expired => "BATCH_STATE_EXPIRED",
        }
    }
}

impl Standing {
    /// A batch at the moment of its creation.
    pub(super) fn fresh(created: DateTime<Utc>) -> Self {
        Self { state: State::Pending, finished: 0, updated: created, ended: None }
    }
}

impl Known {
    /// What has become of it by `now`.
    pub(super) fn standing(&self, now: DateTime<Utc>) -> Standing {
        let (end, last) = self.end();
        let started = self.batch.created + self.batch.pace.pending;
        if now >= end {
            let finished = self.finished(started, end, last);
            return Standing { state: last, finished, updated: end, ended: Some(end) };
        }
        let finished = self.finished_so_far(started, now, last);
        let waits = now < started || self.batch.census.fate == Fate::NeverStarts;
        let (state, updated) = if waits { (State::Pending, self.batch.created) } else { (State::Running, now) };
        Standing { state, finished, updated, ended: None }
    }

    /// When and how it ends.
    fn end(&self) -> (DateTime<Utc>, State) {
        let batch = &self.batch;
        let expiry = batch.created + LIFETIME;
        let done = batch.created + batch.pace.pending + self.running();
        let (end, state) = match batch.census.fate {
            Fate::Succeeds if done <= expiry => (done, State::Succeeded),
            Fate::Fails if done <= expiry => (done, State::Failed),
            _ => (expiry, State::Expired),
        };
        match self.cancelled {
            Some(cancelled) if cancelled < end => (cancelled, State::Cancelled),
            _ => (end, state),
        }
    }

    fn finished(&self, started: DateTime<Utc>, end: DateTime<Utc>, last: State) -> u64 {
        let census = &self.batch.census;
        match last {
            State::Succeeded => census.requests,
            _ if census.partial => self.half(),
            _ => self.finished_so_far(started, end, last),
        }
    }

    fn finished_so_far(&self, started: DateTime<Utc>, until: DateTime<Utc>, last: State) -> u64 {
        let requests = self.batch.census.requests;
        let running = self.running().as_micros();
        let passed = u128::try_from((until - started).num_microseconds().unwrap_or_default()).unwrap_or(0);
        let through = match running {
            0 if until < started => 0,
            0 => requests,
            _ => u64::try_from(u128::from(requests) * passed / running).unwrap_or(requests).min(requests),
        };
        match (last, self.batch.census.fate) {
            (State::Failed, _) | (_, Fate::NeverEnds | Fate::NeverStarts | Fate::Fails) => 0,
            (_, Fate::Stalls) => through.min(self.half()),
            _ => through,
        }
    }

    fn half(&self) -> u64 {
        self.batch.census.requests.div_ceil(2)
    }

    fn running(&self) -> Duration {
        self.batch.pace.running(self.batch.census.requests)
    }

    /// Whether there are answers to be had.
    pub(super) fn has_results(&self, standing: &Standing) -> bool {
        standing.state == State::Succeeded || (standing.ended.is_some() && self.batch.census.partial)
    }

    /// Whether the answers are a file.
    pub(super) fn has_result_file(&self) -> bool {
        self.batch.file_name.is_some()
    }
}

/// The project's own batch of that id.
pub(super) fn load(service: &Service, ask: &Ask, id: &str) -> Result<Known, Refusal> {
    let known = if is_id(id) { read(&service.store, id)? } else { None };
    known.filter(|known| known.batch.owner == ask.project).ok_or_else(Refusal::not_found)
}

/// The batch of that id, whose ever it is.
pub(super) fn read(store: &Store, id: &str) -> io::Result<Option<Known>> {
    let place = store.place(Shelf::Batches, id);
    let Some(batch) = read_record(&place.join("batch.json"))? else { return Ok(None) };
    Ok(Some(Known { batch, cancelled: read_record(&place.join("cancelled.json"))? }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::simulator::{Clock, ManualClock};

    /// A batch of 60 requests.
    pub(in crate::simulator) fn sample() -> Batch {
        Batch {
            id: "sample".into(),
            owner: "owner".into(),
            kind: Kind::Generate,
            model: "gemini-3.8-flash".into(),
            display_name: None,
            file_name: None,
            created: ManualClock::default().now(),
            pace: Pace::instant(),
            census: Census { requests: 60, ..Census::default() },
            priority: None,
            webhook: None,
        }
    }

    fn known(pace: Pace, fate: Fate) -> Known {
        let census = Census { requests: 60, fate, ..Census::default() };
        Known { batch: Batch { pace, census, ..sample() }, cancelled: None }
    }

    fn after(known: &Known, seconds: i64) -> (State, u64) {
        let standing = known.standing(known.batch.created + TimeDelta::seconds(seconds));
        (standing.state, standing.finished)
    }

    #[test]
    fn a_batch_waits_then_runs_then_succeeds() {
        let known = known(Pace::demo(), Fate::Succeeds);
        let seen: Vec<_> = [0, 1, 2, 3, 4, 100].map(|seconds| after(&known, seconds)).into();
        let expected = [
            (State::Pending, 0),
            (State::Running, 0),
            (State::Running, 20),
            (State::Running, 40),
            (State::Succeeded, 60),
            (State::Succeeded, 60),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_cancelled_batch_stays_at_what_it_had_finished() {
        let mut known = known(Pace::demo(), Fate::Succeeds);
        known.cancelled = Some(known.batch.created + TimeDelta::seconds(2));
        assert_eq!(after(&known, 1), (State::Running, 0));
        assert_eq!(after(&known, 2), (State::Cancelled, 20));
        assert_eq!(after(&known, 5000), (State::Cancelled, 20));
    }

    #[test]
    fn a_cancel_after_the_end_changes_nothing() {
        let mut known = known(Pace::instant(), Fate::Succeeds);
        known.cancelled = Some(known.batch.created + TimeDelta::seconds(2));
        assert_eq!(after(&known, 3), (State::Succeeded, 60));
    }

    #[test]
    fn a_batch_that_stalls_stays_half_done_and_expires() {
        let known = known(Pace::demo(), Fate::Stalls);
        let seen: Vec<_> = [0, 2, 3, 48 * 3600 - 1].map(|seconds| after(&known, seconds)).into();
        assert_eq!(seen, [(State::Pending, 0), (State::Running, 20), (State::Running, 30), (State::Running, 30)]);
        assert_eq!(after(&known, 48 * 3600), (State::Expired, 30));
    }

    #[test]
    fn a_batch_that_never_starts_stays_pending_and_expires() {
        let known = known(Pace::instant(), Fate::NeverStarts);
        assert_eq!(after(&known, 48 * 3600 - 1), (State::Pending, 0));
        assert_eq!(after(&known, 48 * 3600), (State::Expired, 0));
    }

    #[test]
    fn a_batch_that_never_ends_expires_after_48_hours() {
        let known = known(Pace::demo(), Fate::NeverEnds);
        assert_eq!(after(&known, 48 * 3600 - 1), (State::Running, 0));
        assert_eq!(after(&known, 48 * 3600), (State::Expired, 0));
    }
}
