//! Jobs that are watched: what is new in the ledger, and looks at the API when they are due.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::App;
use super::observe::{AT_ONCE, When, look, open_parts};
use super::trouble::may_pass;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Handle;
use crate::ledger::{JobRecord, PartRecord};
use crate::progress::{Monitor, Progress};

/// How often what other processes heard is read, and how long a watcher sleeps at least.
const TICK: Duration = Duration::from_secs(2);
const SHORTEST_TICK: Duration = Duration::from_millis(100);
/// So long nothing is asked when no look succeeds; it doubles from time to time.
const FIRST_SILENCE: Duration = Duration::from_secs(10);
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// So often a batch is asked for that the API does not show: until it shows up, or is known to be gone.
const UNSEEN_PAUSE: Duration = Duration::from_secs(20);

/// A job, and why the last looks at its parts failed, where they did.
pub(super) struct Watched {
    pub(super) job: JobRecord,
    troubles: BTreeMap<u32, Trouble>,
}

/// Why a look failed, and when.
struct Trouble {
    error: Error,
    at: Instant,
}

impl Watched {
    fn new(job: JobRecord) -> Self {
        Self { job, troubles: BTreeMap::new() }
    }

    /// Why the last look at one of its parts failed.
    pub(super) fn trouble(&self) -> Option<&Error> {
        self.troubles.values().next().map(|trouble| &trouble.error)
    }

    /// Whether it may still change by waiting. Not so a job that the API refuses to show, one that nobody sends, or
    /// whose create has an unknown outcome when nobody looks it up.
    pub(super) fn is_open(&self, app: &App) -> bool {
        let at_the_api = self.job.parts.iter().any(|part| part.is_active() && !self.is_refused(app, part));
        let on_the_way = self.job.waiting().next().is_some() || self.job.unclear().is_some();
        let is_moved = app.can_connect() && !app.config().read_only && !app.is_foreign(&self.job);
        // A key that is refused sends nothing.
        let can_be_sent = || self.errors().all(may_pass);
        at_the_api || (on_the_way && is_moved && can_be_sent())
    }

    fn parts_to_look_at<'w>(&'w self, app: &'w App) -> impl Iterator<Item = &'w PartRecord> {
        open_parts(app, &self.job).filter(|part| match self.troubles.get(&part.number) {
            Some(trouble) if !may_pass(&trouble.error) => {
                !self.is_refused(app, part) && trouble.at.elapsed() >= UNSEEN_PAUSE
            }
            _ => true,
        })
    }

    /// Whether asking for the part again brings the same. One that the key knows no more may show up, or is known to be
    /// gone in a while.
    fn is_refused(&self, app: &App, part: &PartRecord) -> bool {
        let settles = |error| may_pass(error) || (is_of_one_part(error) && !app.is_foreign(&self.job));
        self.troubles.get(&part.number).is_some_and(|trouble| !settles(&trouble.error))
    }

    fn errors(&self) -> impl Iterator<Item = &Error> {
        self.troubles.values().map(|trouble| &trouble.error)
    }

    /// Whether no look at it was answered, for a reason that `passes` does not take for a passing one.
    fn shows_nothing(&self, app: &App, passes: impl Fn(&Error) -> bool) -> bool {
        let in_vain = |part: &PartRecord| self.troubles.contains_key(&part.number);
        match self.errors().find(|error| !passes(error)) {
            None => false,
            Some(error) if is_of_one_part(error) => self.job.parts.iter().all(in_vain),
            Some(_) => open_parts(app, &self.job).all(in_vain),
        }
    }

    /// Takes over what is known now. News from anybody ends an earlier trouble.
    fn renew(&mut self, job: JobRecord) {
        let before = |number| self.job.parts.iter().find(|part| part.number == number).and_then(|part| part.polled_at);
        for part in job.parts.iter().filter(|part| part.polled_at > before(part.number)) {
            self.troubles.remove(&part.number);
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
        let hopeless = self.jobs.iter().all(|watched| watched.shows_nothing(&self.app, passes));
        if hopeless { self.jobs.first_mut()?.troubles.pop_first().map(|(_, trouble)| trouble.error) } else { None }
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
        for ((job, part), error) in looked.troubles {
            if let Some(watched) = self.jobs.get_mut(job) {
                watched.troubles.insert(part, Trouble { error, at: Instant::now() });
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
        let parts = self.jobs.iter().enumerate().flat_map(|(number, watched)| {
            watched.parts_to_look_at(&self.app).map(move |part| ((number, part.number), &watched.job, part))
        });
        let mut due: Vec<_> = parts.filter(|(.., part)| part.until_poll(now).is_zero()).collect();
        due.sort_by_key(|(.., part)| part.next_poll_at);
        let mut waiting: Vec<Place> = due.iter().map(|(place, ..)| *place).collect();
        let looks = due
            .into_iter()
            .map(|(place, job, part)| async move { (place, look(&self.app, job, part, When::Due).await) });
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
            let Some((place, outcome)) = outcome else { return Ok(looked) };
            if let Some(at) = waiting.iter().position(|waiting| *waiting == place) {
                waiting.swap_remove(at);
            }
            looked.note(place, outcome);
            if looked.is_outage {
                break "the API does not answer other looks either";
            }
        };
        drop(looks);
        let unanswered = waiting.into_iter().map(|place| (place, unanswered(why)));
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
        let parts = open.flat_map(|watched| watched.parts_to_look_at(&self.app));
        let soonest = parts.map(|part| part.until_poll(now)).min();
        soonest.map_or(TICK, |soonest| soonest.to_std().unwrap_or_default().clamp(SHORTEST_TICK, TICK))
    }

    /// Tells how far they are, all together.
    pub(super) fn report(&self, monitor: &dyn Monitor) {
        let stage = match self.jobs.as_slice() {
            [watched @ Watched { job, .. }] => match watched.trouble() {
                None => format!("waiting for {}, {}", job.handle, job.state()),
                Some(error) => format!("waiting for {}, {} when last seen: {}", job.handle, job.state(), error.cause()),
            },
            jobs => format!("waiting for {} jobs", jobs.len()),
        };
        let done = self.jobs.iter().map(|watched| watched.job.done().unsigned_abs()).sum();
        let total = self.jobs.iter().map(|watched| watched.job.requests.unsigned_abs()).sum();
        monitor.report(&Progress { stage, done, total: Some(total), unit: "requests" });
    }
}

/// The key knows this batch no more; of the others it says nothing.
fn is_of_one_part(trouble: &Error) -> bool {
    trouble.kind() == ErrorKind::NotFound
}

/// A part of a watched job: which job, and the number of the part.
type Place = (usize, u32);

/// What a round of looks brought.
#[derive(Default)]
struct Looked {
    /// Some look was answered.
    heard: bool,
    /// The first looks all failed: the others are spared.
    is_outage: bool,
    /// What could not be looked at, and why.
    troubles: Vec<(Place, Error)>,
}

impl Looked {
    fn note(&mut self, place: Place, outcome: Result<bool>) {
        match outcome {
            Ok(asked) => self.heard |= asked,
            Err(error) => self.troubles.push((place, error)),
        }
        let passing = self.troubles.iter().filter(|(_, error)| error.kind() == ErrorKind::Unavailable).count();
        self.is_outage = !self.heard && passing >= AT_ONCE;
    }
}

fn unanswered(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "checking jobs", why).hint("try again later; the jobs go on meanwhile")
}
