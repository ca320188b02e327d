//! `run`: moves the queue on, looks at all jobs, brings results home; once, or until everything is done.
//!
//! What servers do beside their calls, for machines on which none runs: a shell, a timer, a night.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::App;
use super::mover::Mover;
use super::results::{ResultsArgs, file_name, job_of, results};
use super::status::{JobStatus, UNFINISHED, describe, sleep};
use super::statusline;
use super::trouble::may_pass;
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobState;
use crate::job::outcome::{counted, grouped};
use crate::ledger::JobRecord;
use crate::paths::AllowedFolder;
use crate::progress::Monitor;

/// More jobs than anybody has under way at once.
const MOST_JOBS: usize = 100_000;
/// How long a round of looks may take where nobody has set a limit.
const ROUND: Duration = Duration::from_secs(60);
/// Results that cannot be had are asked for so often, that far apart.
const TRIES: u32 = 3;
const AGAIN: Duration = Duration::from_secs(30);

const ENDED: [JobState; 4] = [JobState::Succeeded, JobState::Failed, JobState::Cancelled, JobState::Expired];

/// How far to go.
#[derive(Debug, Clone, Default)]
pub struct RunArgs {
    /// Go on until every job has ended and nothing waits.
    pub watch: bool,
    /// Where results go, `HANDLE.results.jsonl` each.
    pub collect: Option<String>,
    /// Stop after this long; jobs go on.
    pub timeout: Option<Duration>,
}

/// What has become of the jobs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunReply {
    /// Jobs that had not ended when it began, or came since.
    pub jobs: Vec<JobStatus>,
    /// Whether all of them have ended and nothing waits.
    pub all_ended: bool,
    /// Results written.
    pub collected: Vec<Collected>,
    /// Jobs that have ended and whose results were to be written, and could not be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_collected: Vec<String>,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
}

/// The results of a job, in a file.
#[derive(Debug, Clone, Serialize)]
pub struct Collected {
    /// The job.
    pub job: String,
    /// The file.
    pub path: String,
    /// Requests in it.
    pub requests: i64,
    /// Those with a usable answer.
    pub answered: i64,
}

impl fmt::Display for RunReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.jobs.iter().filter(|job| !JobState::parse(&job.state).is_terminal());
        let open: Vec<_> = open.collect();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let ended = count(self.jobs.len() - open.len());
        writeln!(f, "{} ended, {} not", counted(ended, "job"), grouped(count(open.len())))?;
        for job in open {
            writeln!(f, "{job}")?;
        }
        for one in &self.collected {
            writeln!(
                f,
                "{}: {} of {} answered, in {}",
                one.job,
                grouped(one.answered),
                grouped(one.requests),
                one.path
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// Moves everything on. `tell` is given a line for each change of a job.
pub async fn run(app: &App, args: RunArgs, tell: &(dyn Fn(&str) + Sync), monitor: &dyn Monitor) -> Result<RunReply> {
    super::rebuild::if_incomplete(app, monitor).await;
    if app.can_connect() {
        app.gemini().await?;
    }
    let deadline = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut run = Run::start(app, &args, tell)?;
    let mut mover = Mover::new(app);
    let outcome = run.go_on(&args, &mut mover, deadline, monitor).await;
    mover.end().await;
    outcome?;
    run.reply(args.watch)
}

struct Run<'a> {
    app: &'a App,
    watch: Watch,
    tell: &'a (dyn Fn(&str) + Sync),
    /// What was last told of each job, in the order of the watch.
    told: Vec<Option<Told>>,
    folder: Option<AllowedFolder>,
    /// Results to be had, how often that was tried, and when it is tried again.
    wanted: Vec<(JobRecord, u32, Instant)>,
    collected: Vec<Collected>,
    not_collected: Vec<String>,
    warnings: Vec<String>,
}

/// What of a job makes a line when it changes.
type Told = (String, i64, i64, String);

impl<'a> Run<'a> {
    fn start(app: &'a App, args: &RunArgs, tell: &'a (dyn Fn(&str) + Sync)) -> Result<Self> {
        let folder = args.collect.as_deref().map(|folder| app.roots().writable_folder(folder)).transpose()?;
        let mut run = Self {
            app,
            watch: Watch::new(app, Vec::new()),
            tell,
            told: Vec::new(),
            folder,
            wanted: Vec::new(),
            collected: Vec::new(),
            not_collected: Vec::new(),
            warnings: Vec::new(),
        };
        if let Some(folder) = &run.folder {
            folder.create()?;
            // What ended while nobody was there, or whose results could not be written so far.
            let ended = app.ledger()?.list(&ENDED, None, MOST_JOBS)?;
            let written = app.ledger()?.written_jobs()?;
            let left = ended.into_iter().filter(|job| has_answers(app, job) && !written.contains(&job.handle));
            run.wanted.extend(left.map(|job| (job, 0, Instant::now())));
        }
        Ok(run)
    }

    /// Rounds until everything is done, or time is up; one round unless the jobs are watched.
    async fn go_on(
        &mut self,
        args: &RunArgs,
        mover: &mut Mover,
        deadline: Option<Instant>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        loop {
            self.watch.take_in(self.unfinished()?);
            mover.go();
            while !args.watch && mover.is_at_it() && !is_over(deadline) {
                mover.report(monitor);
                sleep(Duration::from_millis(50), monitor).await?;
            }
            let round = Instant::now() + ROUND;
            self.watch.round(deadline.map_or(round, |deadline| round.min(deadline)), monitor).await?;
            self.tell_changes()?;
            if !mover.report(monitor) {
                self.watch.report(monitor);
            }
            self.collect(deadline, monitor).await?;
            let is_done = !self.watch.is_open() && !mover.is_at_it() && self.wanted.is_empty();
            if is_done || !args.watch || is_over(deadline) {
                return Ok(());
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            sleep(left.map_or(self.watch.pause(), |left| left.min(self.watch.pause())), monitor).await?;
        }
    }

    /// Jobs under way. One that was held before, or refused, waits for a person and not for this.
    fn unfinished(&self) -> Result<Vec<JobRecord>> {
        let mut jobs = self.app.ledger()?.list(&UNFINISHED, None, MOST_JOBS)?;
        jobs.retain(|job| job.is_sent() || (job.waiting().next().is_some() && !self.app.is_foreign(job)));
        jobs.reverse();
        Ok(jobs)
    }

    fn tell_changes(&mut self) -> Result<()> {
        let now = self.app.now();
        self.told.resize(self.watch.jobs.len(), None);
        for (watched, told) in self.watch.jobs.iter().zip(&mut self.told) {
            if told.as_ref().is_some_and(|told| JobState::parse(&told.0).is_terminal()) {
                continue;
            }
            let status = describe(self.app, watched, now)?;
            let seen = (status.state.clone(), status.done, status.failed, status.verdict.clone());
            if told.as_ref() == Some(&seen) {
                continue;
            }
            (self.tell)(&status.to_string());
            *told = Some(seen);
            if self.folder.is_some() && watched.job.state().is_terminal() && has_answers(self.app, &watched.job) {
                self.wanted.push((watched.job.clone(), 0, Instant::now()));
            }
        }
        Ok(())
    }

    /// Writes the results of jobs that have ended, as far as there is time.
    async fn collect(&mut self, deadline: Option<Instant>, monitor: &dyn Monitor) -> Result<()> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        for (job, tries, due) in std::mem::take(&mut self.wanted) {
            if is_over(deadline) || Instant::now() < due {
                self.wanted.push((job, tries, due));
                continue;
            }
            match self.collect_one(&folder, &job, monitor).await {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
                Err(e) if may_pass(&e) && tries + 1 < TRIES => {
                    self.wanted.push((job, tries + 1, Instant::now() + AGAIN))
                }
                Err(e) => {
                    self.warn(not_collected(&job, &e));
                    self.not_collected.push(job.handle.to_string());
                }
            }
        }
        Ok(())
    }

    async fn collect_one(&mut self, folder: &AllowedFolder, job: &JobRecord, monitor: &dyn Monitor) -> Result<()> {
        let file = folder.file(&format!("{}.results.jsonl", file_name(job)))?;
        if file.exists() && job_of(self.app, &file).as_deref() == Some(job.handle.as_str()) {
            // By another run, or before the ledger was lost.
            return self.app.ledger()?.written(&job.handle, &file.to_string());
        }
        let output = Some(file.to_string());
        let args = ResultsArgs { job: job.handle.to_string(), output, ..ResultsArgs::default() };
        statusline::fetched_unseen(&self.app.config().home, job.handle.as_str());
        let reply = results(self.app, args, monitor).await?;
        let path = reply.path.unwrap_or_default();
        (self.tell)(&format!("{}: results in {path}", job.handle));
        let (requests, answered) = (reply.requests, reply.outcomes.answered);
        self.collected.push(Collected { job: reply.job, path, requests, answered });
        Ok(())
    }

    fn warn(&mut self, warning: String) {
        (self.tell)(&warning);
        self.warnings.push(warning);
    }

    fn reply(mut self, watched: bool) -> Result<RunReply> {
        if let Some(error) = self.watch.all_in_trouble(watched) {
            return Err(error);
        }
        let now = self.app.now();
        for (job, ..) in std::mem::take(&mut self.wanted) {
            self.warnings.push(format!("the results of {} are not written yet", job.handle));
            self.not_collected.push(job.handle.to_string());
        }
        let jobs =
            self.watch.jobs.iter().map(|watched| describe(self.app, watched, now)).collect::<Result<Vec<_>>>()?;
        // What was refused ended as well, if badly.
        let is_over = |job: &JobRecord| job.state().is_terminal() || (!job.is_sent() && job.waiting().next().is_none());
        let all_ended = self.watch.jobs.iter().all(|watched| is_over(&watched.job));
        let next = next_step(&jobs, all_ended, self.folder.is_some());
        let Self { collected, not_collected, warnings, .. } = self;
        Ok(RunReply { jobs, all_ended, collected, not_collected, warnings, next })
    }
}

/// Whether the results of a job that has ended are to be had here: on this machine, or with this key.
fn has_answers(app: &App, job: &JobRecord) -> bool {
    let is_out_of_sight = job.collected_at.is_none() && app.is_foreign(job);
    job.deleted_at.is_none() && !job.is_withdrawn() && !is_out_of_sight
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

fn not_collected(job: &JobRecord, error: &Error) -> String {
    format!("the results of {} could not be had: {error}", job.handle)
}

fn next_step(jobs: &[JobStatus], all_ended: bool, collects: bool) -> String {
    if let Some(job) = jobs.iter().find(|job| !job.next.is_empty()) {
        return format!("{}: these calls keep what is done and submit the rest", job.next.join(", then "));
    }
    match jobs.first() {
        _ if !all_ended => "the same again moves on what has not ended; check_status shows each job".to_owned(),
        Some(job) if !collects => format!("get_results {{\"job\": \"{}\"}}", job.job),
        _ => "nothing is under way; list_batches shows all jobs".to_owned(),
    }
}
