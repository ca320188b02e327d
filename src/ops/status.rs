//! `check_status`: where jobs stand, now or after a bounded wait.

use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::trouble::may_pass;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobState;
use crate::ledger::{JobRecord, PartRecord};
use crate::progress::{Monitor, Progress};

/// Which jobs, and whether to wait for them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StatusArgs {
    /// Handles, their unique beginnings, or batches/… names. None: all jobs that have not ended.
    pub jobs: Vec<String>,
    /// Wait until all have ended, at most `timeout_seconds`.
    pub wait: bool,
    /// Longest wait: 45 unless asked, 3600 at most. Most clients give up on a call after 60.
    pub timeout_seconds: Option<i64>,
}

/// Where the jobs stand.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StatusReply {
    /// One entry a job.
    pub jobs: Vec<JobStatus>,
    /// Whether all of them have ended.
    pub all_ended: bool,
    /// Look again after so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_check_after_s: Option<i64>,
    /// What to call next.
    pub next: String,
}

/// Where one job stands.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct JobStatus {
    /// Its handle, or its batches/… name if it was made elsewhere.
    pub job: String,
    /// JOB_STATE_PENDING, _RUNNING, _SUCCEEDED, _FAILED, _CANCELLED, _EXPIRED; _UNSUBMITTED before the API has it.
    pub state: String,
    /// Requests in it.
    pub requests: i64,
    /// Requests done so far.
    pub done: i64,
    /// Requests done with an error.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub failed: i64,
    /// Percent done.
    pub percent: f64,
    /// Since it was submitted.
    pub age_s: i64,
    /// Requests a minute, while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<f64>,
    /// Seconds left at this rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<i64>,
    /// normal, slow, stuck, refused or ended.
    pub verdict: String,
    /// What the verdict rests on, when it is not normal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl fmt::Display for StatusReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.jobs.is_empty() {
            writeln!(f, "no unfinished jobs")?;
        }
        for job in &self.jobs {
            writeln!(f, "{job}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

impl fmt::Display for JobStatus {
    /// "products-3f9a… JOB_STATE_RUNNING 31,200 of 40,000 (78 %), about 4 min left, normal".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::job::outcome::grouped;
        write!(
            f,
            "{} {} {} of {} ({:.0} %)",
            self.job,
            self.state,
            grouped(self.done),
            grouped(self.requests),
            self.percent
        )?;
        if self.failed > 0 {
            write!(f, ", {} failed", grouped(self.failed))?;
        }
        if let Some(eta) = self.eta_s {
            write!(f, ", about {} left", span(eta))?;
        }
        write!(f, ", age {}, {}", span(self.age_s), self.verdict)?;
        if let Some(evidence) = &self.evidence {
            write!(f, ": {evidence}")?;
        }
        if let Some(error) = &self.error {
            write!(f, "; error: {error}")?;
        }
        Ok(())
    }
}

/// A time span as a person says it: "45 s", "4 min", "3.5 h".
pub fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{}.{} h", seconds / 3600, seconds % 3600 / 360),
    }
}

/// Asks where the jobs stand, once or until they have ended or time is up.
pub async fn status(app: &App, args: StatusArgs, monitor: &dyn Monitor) -> Result<StatusReply> {
    let start = Instant::now();
    let longest = longest_wait(&args)?;
    let deadline = start + longest;
    // However short the wait is to be: an answer takes a moment.
    let patience = start + longest.max(SHORTEST_PATIENCE);
    let mut jobs = in_time(patience, asked_jobs(app, &args.jobs)).await?;
    let mut pause = FIRST_PAUSE;
    loop {
        if args.wait && jobs.iter().any(|watched| watched.job.waiting().next().is_some()) {
            super::queue::advance(app, monitor).await?;
        }
        look(app, &mut jobs, patience, monitor).await?;
        if let Some(error) = all_in_trouble(&mut jobs, args.wait) {
            return Err(error);
        }
        report(&jobs, monitor);
        let left = deadline.saturating_duration_since(Instant::now());
        if !args.wait || left.is_zero() || !jobs.iter().any(Watched::is_worth_waiting) {
            return Ok(reply(app, &jobs));
        }
        tokio::select! {
            () = tokio::time::sleep(pause.min(left)) => {}
            () = monitor.cancellation().cancelled() => monitor.check("waiting for jobs; they go on at the API")?,
        }
        pause = LONGEST_PAUSE.min(pause * 3 / 2);
    }
}

/// A job, and why the last look at it failed, if it did.
struct Watched {
    job: JobRecord,
    trouble: Option<Error>,
}

impl Watched {
    /// Neither a job that never reached the API nor one that the API refuses to show changes by waiting.
    fn is_worth_waiting(&self) -> bool {
        !has_ended(&self.job) && self.trouble.as_ref().is_none_or(may_pass)
    }
}

/// Looks at each job once. One that cannot be looked at does not hide the others.
async fn look(app: &App, jobs: &mut [Watched], patience: Instant, monitor: &dyn Monitor) -> Result<()> {
    for watched in jobs {
        monitor.check("checking jobs")?;
        match in_time(patience, super::observe::refresh(app, watched.job.clone())).await {
            Ok(job) => *watched = Watched { job, trouble: None },
            Err(trouble) => watched.trouble = Some(trouble),
        }
    }
    Ok(())
}

/// The error of a look that showed nothing at all, unless it is worth waiting on.
fn all_in_trouble(jobs: &mut [Watched], waits: bool) -> Option<Error> {
    let hopeless = |watched: &Watched| watched.trouble.as_ref().is_some_and(|trouble| !(waits && may_pass(trouble)));
    if jobs.iter().all(hopeless) { jobs.first_mut().and_then(|first| first.trouble.take()) } else { None }
}

/// The result, or an error when it takes longer than a client waits. What was begun is only looking.
async fn in_time<T>(patience: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout_at(patience.into(), work).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Unavailable, "checking jobs", "the API did not answer in time")
            .hint("try again later; the jobs go on meanwhile"))
    })
}

/// The first pause between two looks; later ones are longer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Most clients give up on a call after 60 seconds.
const USUAL_WAIT_S: i64 = 45;
const LONGEST_WAIT_S: i64 = 3600;
/// How long the API is given to answer at all.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(20);

fn longest_wait(args: &StatusArgs) -> Result<Duration> {
    let seconds = args.timeout_seconds.unwrap_or(USUAL_WAIT_S);
    match u64::try_from(seconds) {
        Ok(seconds) if seconds <= LONGEST_WAIT_S.unsigned_abs() => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            "checking jobs",
            format!("timeout_seconds is {seconds}, it must be 0 to {LONGEST_WAIT_S}"),
        )
        .hint("wait in several calls: each reply says when to look again")),
    }
}

async fn asked_jobs(app: &App, asked: &[String]) -> Result<Vec<Watched>> {
    let mut jobs = Vec::with_capacity(asked.len());
    for name in asked {
        jobs.push(super::find::job(app, name).await?);
    }
    if asked.is_empty() {
        jobs = app.ledger()?.list(&UNFINISHED, None, MOST_JOBS)?;
    }
    Ok(jobs.into_iter().map(|job| Watched { job, trouble: None }).collect())
}

/// Jobs that are looked at when none is named.
const MOST_JOBS: usize = 100;

/// The states in which a job still needs attention.
pub(super) const UNFINISHED: [JobState; 4] =
    [JobState::Unsubmitted, JobState::Pending, JobState::Running, JobState::Unknown];

/// What nobody sends, and a create of unknown outcome, does not change by waiting.
fn has_ended(job: &JobRecord) -> bool {
    job.state().is_terminal() || (job.waiting().next().is_none() && !job.parts.iter().any(PartRecord::is_active))
}

fn report(jobs: &[Watched], monitor: &dyn Monitor) {
    let stage = match jobs {
        [Watched { job, .. }] => format!("waiting for {}, {}", job.handle, job.state()),
        _ => format!("waiting for {} jobs", jobs.len()),
    };
    let done = jobs.iter().map(|watched| watched.job.done().unsigned_abs()).sum();
    let total = jobs.iter().map(|watched| watched.job.requests.unsigned_abs()).sum();
    monitor.report(&Progress { stage, done, total: Some(total), unit: "requests" });
}

fn reply(app: &App, jobs: &[Watched]) -> StatusReply {
    let now = app.now();
    let waiting = jobs.iter().filter(|watched| watched.is_worth_waiting());
    let next_check_after_s = waiting.map(|watched| next_check_s(&watched.job, now)).min();
    StatusReply {
        jobs: jobs.iter().map(|watched| describe(watched, now)).collect(),
        all_ended: jobs.iter().all(|watched| watched.job.state().is_terminal()),
        next_check_after_s,
        next: next_step(jobs, next_check_after_s),
    }
}

fn next_step(jobs: &[Watched], next_check_after_s: Option<i64>) -> String {
    let mut jobs = jobs.iter().map(|watched| &watched.job);
    if let Some(job) = jobs.clone().find(|job| job.unclear().is_some()) {
        return format!(
            "whether {} reached the API is not known yet: repeat the create_batch call that made it, which looks it up first",
            job.handle
        );
    }
    if let Some(job) = jobs.clone().find(|job| is_stopped(job) && job.error().is_some()) {
        return format!("the API refused {}: correct what its error says, then create_batch again", job.handle);
    }
    if let Some(job) = jobs.clone().find(|job| is_stopped(job)) {
        return format!(
            "{} did not reach the API: repeat the create_batch call that made it, which continues where it stopped",
            job.handle
        );
    }
    if let Some(job) = jobs.find(|job| job.state().is_terminal()) {
        return format!("get_results {{\"job\": \"{}\"}}", job.handle);
    }
    match next_check_after_s {
        Some(seconds) => format!("check_status again in {seconds} s; do other work meanwhile"),
        None => "nothing to wait for; list_batches shows ended jobs".to_owned(),
    }
}

/// Nothing of it is at the API, and nobody sends it.
fn is_stopped(job: &JobRecord) -> bool {
    !job.is_sent() && job.waiting().next().is_none()
}

/// Young jobs often end within minutes; old ones are worth a look less often.
fn next_check_s(job: &JobRecord, now: DateTime<Utc>) -> i64 {
    let age = age_s(job, now);
    match eta_s(job, now) {
        Some(eta) => eta.clamp(5, 600),
        None => (age / 4).clamp(10, 600),
    }
}

fn describe(Watched { job, trouble }: &Watched, now: DateTime<Utc>) -> JobStatus {
    let (verdict, mut evidence) = verdict(job, now);
    if let Some(trouble) = trouble {
        evidence = Some(format!("as last seen; now it cannot be looked at: {trouble}"));
    }
    JobStatus {
        job: job.handle.to_string(),
        state: job.state().to_string(),
        requests: job.requests,
        done: job.done(),
        failed: job.failed(),
        percent: percent(job),
        age_s: age_s(job, now),
        per_minute: per_minute(job, now).map(|rate| (rate * 10.0).round() / 10.0),
        eta_s: eta_s(job, now),
        verdict: verdict.to_owned(),
        evidence,
        error: job.error().map(str::to_owned),
    }
}

#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn percent(job: &JobRecord) -> f64 {
    if job.requests == 0 { 0.0 } else { (job.done() as f64 / job.requests as f64 * 1000.0).round() / 10.0 }
}

/// From submission to the end, or to now.
fn age_s(job: &JobRecord, now: DateTime<Utc>) -> i64 {
    let until = job.ended_at().unwrap_or(now);
    (until - job.submitted_at().unwrap_or(job.created_at)).num_seconds().max(0)
}

#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn per_minute(job: &JobRecord, now: DateTime<Utc>) -> Option<f64> {
    let age = age_s(job, now);
    (job.state() == JobState::Running && job.done() > 0 && age > 0).then(|| job.done() as f64 * 60.0 / age as f64)
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "seconds and counts are small")]
fn eta_s(job: &JobRecord, now: DateTime<Utc>) -> Option<i64> {
    let left = (job.requests - job.done()).max(0) as f64;
    per_minute(job, now).map(|rate| (left * 60.0 / rate).ceil() as i64)
}

/// normal, slow or stuck, and why. The API aims at 24 hours and drops a job after 48 (API reference §6).
fn verdict(job: &JobRecord, now: DateTime<Utc>) -> (&'static str, Option<String>) {
    if job.state().is_terminal() {
        return ("ended", None);
    }
    if let Some(part) = job.waiting().next() {
        let why = part.waits_for.clone().unwrap_or_else(|| "it is about to be sent".to_owned());
        return ("waiting", Some(why));
    }
    if !job.is_sent() {
        let verdict = if job.error().is_some() { "refused" } else { "held" };
        return (verdict, Some("it is not at the API, and nothing was spent".to_owned()));
    }
    let hours = age_s(job, now) / 3600;
    let still_s = (now - job.moved_at().or(job.submitted_at()).unwrap_or(job.created_at)).num_seconds().max(0);
    if hours >= 40 {
        let left = (48 - hours).max(0);
        return ("stuck", Some(format!("{hours} h old; the API drops jobs after 48 h: about {left} h left")));
    }
    if hours >= 24 {
        return (
            "stuck",
            Some(format!("{hours} h old, past the 24 h that the API aims at; no progress for {}", span(still_s))),
        );
    }
    if still_s >= 2 * 3600 {
        return ("slow", Some(format!("no progress for {}", span(still_s))));
    }
    let unknown =
        (job.state() == JobState::Unknown).then(|| job.parts.iter().find_map(|part| part.wire_state.clone())).flatten();
    ("normal", unknown.map(|word| format!("the API calls its state {word}, which is not known here")))
}
