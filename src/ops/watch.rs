//! Jobs that are watched: what is new in the ledger, and looks at the API when they are due.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::App;
use super::observe::{AT_ONCE, When, look, open_parts};
use super::trouble::may_pass;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Handle;
use crate::ledger::JobRecord;
use crate::progress::{Monitor, Progress};

/// How often what other processes heard is read, and how long a watcher sleeps at least.
const TICK: Duration = Duration::from_secs(2);
const SHORTEST_TICK: Duration = Duration::from_millis(100);
/// So long nothing is asked when no look succeeds; it doubles from time to time.
const FIRST_SILENCE: Duration = Duration::from_secs(10);
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// A job, and why the last look at it failed, if it did.
pub(super) struct Watched {
    pub(super) job: JobRecord,
    pub(super) trouble: Option<Error>,
}

impl Watched {
    fn new(job: JobRecord) -> Self {
        Self { job, trouble: None }
    }

    /// Whether it may still change by waiting. Not so a job that the API refuses to show, one that nobody sends, or
    /// whose create has an unknown outcome when nobody looks it up.
    pub(super) fn is_open(&self, app: &App) -> bool {
        let at_the_api = self.job.parts.iter().any(|part| part.is_active());
        let on_the_way = self.job.waiting().next().is_some() || self.job.unclear().is_some();
        let is_moved = app.can_connect() && !app.config().read_only;
        (at_the_api || (on_the_way && is_moved)) && self.trouble.as_ref().is_none_or(may_pass)
    }

    /// Takes over what is known now. News from anybody ends an earlier trouble.
    fn renew(&mut self, job: JobRecord) {
        let newest = |job: &JobRecord| job.parts.iter().filter_map(|part| part.polled_at).max();
        if newest(&job) > newest(&self.job) {
            self.trouble = None;
        }
        self.job = job;
    }
}

/// Some jobs under watch.
pub(super) struct Watch {
    app: App,
    pub(super) jobs: Vec<Watched>,
    /// Until when nothing is asked, because no look succeeded, and for how long the next time.
    silent_until: Option<Instant>,
    silence: Duration,
}

impl Watch {
    pub(super) fn new(app: &App, jobs: Vec<JobRecord>) -> Self {
        let jobs = jobs.into_iter().map(Watched::new).collect();
        Self { app: app.clone(), jobs, silent_until: None, silence: FIRST_SILENCE }
    }

    /// Watches these as well, unless it does.
    pub(super) fn take_in(&mut self, jobs: Vec<JobRecord>) {
        let known: HashSet<&str> = self.jobs.iter().map(|watched| watched.job.handle.as_str()).collect();
        let new: Vec<_> = jobs.into_iter().filter(|job| !known.contains(job.handle.as_str())).collect();
        self.jobs.extend(new.into_iter().map(Watched::new));
    }

    /// The error of a look that showed nothing at all, unless it passes by itself and somebody waited for that.
    pub(super) fn all_in_trouble(&mut self, waited: bool) -> Option<Error> {
        let passes = |trouble: &Error| waited && may_pass(trouble);
        let is_hopeless = |watched: &Watched| watched.trouble.as_ref().is_some_and(|trouble| !passes(trouble));
        if self.jobs.iter().all(is_hopeless) { self.jobs.first_mut()?.trouble.take() } else { None }
    }

    /// Whether anything may still change by waiting.
    pub(super) fn is_open(&self) -> bool {
        self.jobs.iter().any(|watched| watched.is_open(&self.app))
    }

    /// Whether something of them is on its way to the API.
    pub(super) fn is_on_the_way(&self) -> bool {
        self.jobs.iter().any(|Watched { job, .. }| job.waiting().next().is_some() || job.unclear().is_some())
    }

    /// Reads what is new and looks at what is due, some at a time, until `patience` is at its end. One that cannot be
    /// looked at does not hide the others.
    pub(super) async fn round(&mut self, patience: Instant, monitor: &dyn Monitor) -> Result<()> {
        self.reread()?;
        if self.silent_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let looked = self.look(patience, monitor).await?;
        self.silent_until = None;
        if looked.is_outage {
            self.silent_until = Some(Instant::now() + self.silence);
            self.silence = LONGEST_SILENCE.min(self.silence * 2);
        } else if looked.heard {
            self.silence = FIRST_SILENCE;
        }
        self.reread()?;
        for (number, error) in looked.troubles {
            if let Some(watched) = self.jobs.get_mut(number) {
                watched.trouble = Some(error);
            }
        }
        Ok(())
    }

    /// What is known of the jobs that are not over, whoever heard it.
    pub(super) fn reread(&mut self) -> Result<()> {
        let open = || self.jobs.iter().map(|watched| &watched.job).filter(|job| !job.state().is_terminal());
        let handles: Vec<&Handle> = open().map(|job| &job.handle).collect();
        if handles.is_empty() {
            return Ok(());
        }
        let known = self.app.ledger()?.jobs(&handles)?;
        let mut known: HashMap<_, _> = known.into_iter().map(|job| (job.handle.to_string(), job)).collect();
        for watched in &mut self.jobs {
            if let Some(job) = known.remove(watched.job.handle.as_str()) {
                watched.renew(job);
            }
        }
        Ok(())
    }

    async fn look(&self, patience: Instant, monitor: &dyn Monitor) -> Result<Looked> {
        let now = self.app.now();
        let open = self.jobs.iter().enumerate().filter(|(_, watched)| watched.trouble.as_ref().is_none_or(may_pass));
        let parts = open
            .flat_map(|(number, Watched { job, .. })| open_parts(&self.app, job).map(move |part| (number, job, part)));
        let mut due: Vec<_> = parts.filter(|(.., part)| part.until_poll(now).is_zero()).collect();
        due.sort_by_key(|(.., part)| part.next_poll_at);
        let mut waiting: Vec<usize> = due.iter().map(|(number, ..)| *number).collect();
        let looks = due
            .into_iter()
            .map(|(number, job, part)| async move { (number, look(&self.app, job, part, When::Due).await) });
        let looks: Vec<_> = looks.collect();
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        let mut looked = Looked::default();
        let why = loop {
            let outcome = tokio::select! {
                biased;
                outcome = looks.next() => outcome,
                () = tokio::time::sleep_until(patience.into()) => break "the API did not answer in time",
                () = monitor.cancellation().cancelled() => {
                    monitor.check("checking jobs; they go on at the API")?;
                    break "the call was cancelled";
                }
            };
            let Some((number, outcome)) = outcome else { return Ok(looked) };
            if let Some(at) = waiting.iter().position(|waiting| *waiting == number) {
                waiting.swap_remove(at);
            }
            looked.note(number, outcome);
            if looked.is_outage {
                break "the API does not answer other looks either";
            }
        };
        drop(looks);
        let unanswered = waiting.into_iter().map(|number| (number, unanswered(why)));
        looked.troubles.extend(unanswered);
        Ok(looked)
    }

    /// How long to sleep until something is due.
    pub(super) fn pause(&self) -> Duration {
        if let Some(until) = self.silent_until {
            return until.saturating_duration_since(Instant::now()).clamp(SHORTEST_TICK, TICK);
        }
        let now = self.app.now();
        let open = self.jobs.iter().filter(|watched| watched.is_open(&self.app));
        let parts = open.flat_map(|watched| open_parts(&self.app, &watched.job));
        let soonest = parts.map(|part| part.until_poll(now)).min();
        soonest.map_or(TICK, |soonest| soonest.to_std().unwrap_or_default().clamp(SHORTEST_TICK, TICK))
    }

    /// Tells how far they are, all together.
    pub(super) fn report(&self, monitor: &dyn Monitor) {
        let stage = match self.jobs.as_slice() {
            [Watched { job, .. }] => format!("waiting for {}, {}", job.handle, job.state()),
            jobs => format!("waiting for {} jobs", jobs.len()),
        };
        let done = self.jobs.iter().map(|watched| watched.job.done().unsigned_abs()).sum();
        let total = self.jobs.iter().map(|watched| watched.job.requests.unsigned_abs()).sum();
        monitor.report(&Progress { stage, done, total: Some(total), unit: "requests" });
    }
}

/// What a round of looks brought.
#[derive(Default)]
struct Looked {
    /// Some look was answered.
    heard: bool,
    /// The first looks all failed: the others are spared.
    is_outage: bool,
    /// Which job could not be looked at, and why.
    troubles: Vec<(usize, Error)>,
}

impl Looked {
    fn note(&mut self, number: usize, outcome: Result<bool>) {
        match outcome {
            Ok(asked) => self.heard |= asked,
            Err(error) => self.troubles.push((number, error)),
        }
        let passing = self.troubles.iter().filter(|(_, error)| error.kind() == ErrorKind::Unavailable).count();
        self.is_outage = !self.heard && passing >= AT_ONCE;
    }
}

fn unanswered(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "checking jobs", why).hint("try again later; the jobs go on meanwhile")
}
