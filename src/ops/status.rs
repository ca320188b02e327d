//! `check_status`: where jobs stand, now or after a bounded wait.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobState;
use crate::ledger::{JobRecord, Step};
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
    #[serde(skip_serializing_if = "is_zero")]
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
    /// normal, slow, stuck or ended.
    pub verdict: String,
    /// What the verdict rests on, when it is not normal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &i64) -> bool {
    *count == 0
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
        let unseen = look(app, &mut jobs, args.jobs.len() == 1, patience, monitor).await?;
        report(&jobs, monitor);
        let left = deadline.saturating_duration_since(Instant::now());
        if !args.wait || left.is_zero() || jobs.iter().all(has_ended) {
            return Ok(reply(app, &jobs, &unseen));
        }
        tokio::select! {
            () = tokio::time::sleep(pause.min(left)) => {}
            () = monitor.cancellation().cancelled() => monitor.check("waiting for jobs; they go on at the API")?,
        }
        pause = LONGEST_PAUSE.min(pause * 3 / 2);
    }
}

/// Asks the API for each job. Of several, one that cannot be asked for does not hide the others: it stays as last
/// seen, and the reason is returned by its place.
async fn look(
    app: &App,
    jobs: &mut [JobRecord],
    only_one: bool,
    patience: Instant,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<usize, String>> {
    let mut unseen = BTreeMap::new();
    for (place, job) in jobs.iter_mut().enumerate() {
        monitor.check("checking jobs")?;
        match in_time(patience, super::observe::refresh(app, job.clone())).await {
            Ok(seen) => *job = seen,
            Err(e)
                if only_one || matches!(e.kind(), ErrorKind::KeyMissing | ErrorKind::Ledger | ErrorKind::Internal) =>
            {
                return Err(e);
            }
            Err(e) => drop(unseen.insert(place, format!("as last seen: {e}"))),
        }
    }
    Ok(unseen)
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

async fn asked_jobs(app: &App, asked: &[String]) -> Result<Vec<JobRecord>> {
    if asked.is_empty() {
        return app.ledger()?.list(&UNFINISHED, None, 100);
    }
    let mut jobs = Vec::with_capacity(asked.len());
    for name in asked {
        jobs.push(super::find::job(app, name).await?);
    }
    Ok(jobs)
}

/// The states in which a job still needs attention.
pub(super) const UNFINISHED: [JobState; 4] =
    [JobState::Unsubmitted, JobState::Pending, JobState::Running, JobState::Unknown];

/// A job that never reached the API does not get there by waiting.
fn has_ended(job: &JobRecord) -> bool {
    job.state.is_terminal() || job.step != Step::Created
}

fn report(jobs: &[JobRecord], monitor: &dyn Monitor) {
    let stage = match jobs {
        [job] => format!("waiting for {}, {}", job.handle, job.state),
        _ => format!("waiting for {} jobs", jobs.len()),
    };
    let done = jobs.iter().map(|job| job.done.unsigned_abs()).sum();
    let total = jobs.iter().map(|job| job.requests.unsigned_abs()).sum();
    monitor.report(&Progress { stage, done, total: Some(total), unit: "requests" });
}

fn reply(app: &App, jobs: &[JobRecord], unseen: &BTreeMap<usize, String>) -> StatusReply {
    let all_ended = jobs.iter().all(|job| job.state.is_terminal());
    let now = app.now();
    let next_check =
        (!all_ended).then(|| jobs.iter().filter(|job| !has_ended(job)).map(|job| next_check_s(job, now)).min());
    let next_check_after_s = next_check.flatten();
    StatusReply {
        jobs: jobs.iter().enumerate().map(|(place, job)| describe(job, now, unseen.get(&place))).collect(),
        all_ended,
        next_check_after_s,
        next: next_step(jobs, next_check_after_s),
    }
}

fn next_step(jobs: &[JobRecord], next_check_after_s: Option<i64>) -> String {
    if let Some(job) = jobs.iter().find(|job| matches!(job.step, Step::Creating | Step::Unclear)) {
        return format!(
            "whether {} reached the API is not known yet: repeat the create_batch call that made it, which looks it up first",
            job.handle
        );
    }
    if let Some(job) = jobs.iter().find(|job| job.step != Step::Created) {
        return format!(
            "{} did not reach the API: repeat the create_batch call that made it, which continues where it stopped",
            job.handle
        );
    }
    if let Some(job) = jobs.iter().find(|job| job.state.is_terminal()) {
        return format!("get_results {{\"job\": \"{}\"}}", job.handle);
    }
    match next_check_after_s {
        Some(seconds) => format!("check_status again in {seconds} s; do other work meanwhile"),
        None => "nothing to wait for; list_batches shows ended jobs".to_owned(),
    }
}

/// Young jobs often end within minutes; old ones are worth a look less often.
fn next_check_s(job: &JobRecord, now: DateTime<Utc>) -> i64 {
    let age = age_s(job, now);
    match eta_s(job, now) {
        Some(eta) => eta.clamp(5, 600),
        None => (age / 4).clamp(10, 600),
    }
}

fn describe(job: &JobRecord, now: DateTime<Utc>, unseen: Option<&String>) -> JobStatus {
    let (verdict, evidence) = verdict(job, now);
    let evidence = unseen.cloned().or(evidence);
    JobStatus {
        job: job.handle.to_string(),
        state: job.state.to_string(),
        requests: job.requests,
        done: job.done,
        failed: job.failed,
        percent: percent(job),
        age_s: age_s(job, now),
        per_minute: per_minute(job, now).map(|rate| (rate * 10.0).round() / 10.0),
        eta_s: eta_s(job, now),
        verdict: verdict.to_owned(),
        evidence,
        error: job.error.clone(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn percent(job: &JobRecord) -> f64 {
    if job.requests == 0 { 0.0 } else { (job.done as f64 / job.requests as f64 * 1000.0).round() / 10.0 }
}

/// From submission to the end, or to now.
fn age_s(job: &JobRecord, now: DateTime<Utc>) -> i64 {
    let until = job.ended_at.unwrap_or(now);
    (until - job.submitted_at.unwrap_or(job.created_at)).num_seconds().max(0)
}

#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn per_minute(job: &JobRecord, now: DateTime<Utc>) -> Option<f64> {
    let age = age_s(job, now);
    (job.state == JobState::Running && job.done > 0 && age > 0).then(|| job.done as f64 * 60.0 / age as f64)
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "seconds and counts are small")]
fn eta_s(job: &JobRecord, now: DateTime<Utc>) -> Option<i64> {
    let left = (job.requests - job.done).max(0) as f64;
    per_minute(job, now).map(|rate| (left * 60.0 / rate).ceil() as i64)
}

/// normal, slow or stuck, and why. The API aims at 24 hours and drops a job after 48 (API reference §6).
fn verdict(job: &JobRecord, now: DateTime<Utc>) -> (&'static str, Option<String>) {
    if job.state.is_terminal() {
        return ("ended", None);
    }
    if job.step != Step::Created {
        return ("normal", Some("not at the API yet".to_owned()));
    }
    let hours = age_s(job, now) / 3600;
    let still_s = (now - job.moved_at.or(job.submitted_at).unwrap_or(job.created_at)).num_seconds().max(0);
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
    let unknown = (job.state == JobState::Unknown).then(|| job.wire_state.clone()).flatten();
    ("normal", unknown.map(|word| format!("the API calls its state {word}, which is not known here")))
}
