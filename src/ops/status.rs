//! `check_status`: where jobs stand, now or after a bounded wait.

mod rate;
mod verdict;
mod words;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use serde_json::json;
pub use words::{JobStatus, StatusArgs, StatusReply, span};

use super::App;
use super::mover::Mover;
use super::next::call;
use super::watch::{Watch, Watched};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Handle, JobState};
use crate::ledger::{JobRecord, PartRecord};
use crate::progress::Monitor;
use rate::Usual;
use verdict::{Verdict, judge, rescue};

/// Jobs that are looked at when none is named.
const MOST_JOBS: usize = 1000;
/// Jobs that are named in the next call.
const MOST_NAMED: usize = 3;
/// Most clients give up on a call after 60 seconds.
const USUAL_WAIT_S: i64 = 45;
const LONGEST_WAIT_S: i64 = 3600;
/// How long the API is given to answer at all.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(20);
/// How long a round of looks may take where nobody has set a limit.
const ROUND: Duration = Duration::from_secs(60);
/// News younger than this is as good as new.
const FRESH_S: i64 = 5;

/// The states in which a job still needs attention.
pub(super) const UNFINISHED: [JobState; 4] =
    [JobState::Unsubmitted, JobState::Pending, JobState::Running, JobState::Unknown];

/// Asks where the jobs stand, once or until they have ended or time is up.
pub async fn status(app: &App, args: StatusArgs, monitor: &dyn Monitor) -> Result<StatusReply> {
    let longest = longest_wait(&args)?;
    super::rebuild::if_incomplete(app, monitor).await;
    let start = Instant::now();
    // However short the wait is to be: an answer takes a moment.
    let patience = start + longest.max(SHORTEST_PATIENCE);
    let jobs = in_time(patience, asked_jobs(app, &args.jobs)).await?;
    let mut watch = Watch::new(app, jobs);
    if args.wait {
        wait_for(app, &mut watch, Some(start + longest), Some(patience), monitor).await?;
    } else {
        watch.round(patience, monitor).await?;
    }
    answer(app, &mut watch, args.wait)
}

/// The same for a person, who waits to the end unless there is a limit.
pub async fn wait(app: &App, jobs: &[String], longest: Option<Duration>, monitor: &dyn Monitor) -> Result<StatusReply> {
    super::rebuild::if_incomplete(app, monitor).await;
    let start = Instant::now();
    let mut watch = Watch::new(app, asked_jobs(app, jobs).await?);
    wait_for(app, &mut watch, longest.and_then(|longest| start.checked_add(longest)), None, monitor).await?;
    answer(app, &mut watch, true)
}

/// Watches until nothing changes any more or the deadline is there, and moves the queue on meanwhile.
async fn wait_for(
    app: &App,
    watch: &mut Watch,
    deadline: Option<Instant>,
    patience: Option<Instant>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut mover = Mover::new(app);
    let waited = async {
        loop {
            if watch.is_on_the_way() {
                mover.go();
            }
            watch.round(patience.unwrap_or_else(|| Instant::now() + ROUND), monitor).await?;
            if !mover.report(monitor) {
                watch.report(monitor);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) || !watch.is_open() {
                return Ok(());
            }
            sleep(left.map_or(watch.pause(), |left| left.min(watch.pause())), monitor).await?;
        }
    };
    let waited = waited.await;
    mover.end().await;
    waited
}

/// Sleeps, unless the caller gives up.
pub(super) async fn sleep(pause: Duration, monitor: &dyn Monitor) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = monitor.cancellation().cancelled() => monitor.check("waiting for jobs; they go on at the API"),
    }
}

fn answer(app: &App, watch: &mut Watch, waited: bool) -> Result<StatusReply> {
    match watch.all_in_trouble(waited) {
        Some(error) => Err(error),
        None => reply(app, &watch.jobs),
    }
}

/// The result, or an error when it takes longer than a client waits. What was begun is only looking.
async fn in_time<T>(patience: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout_at(patience.into(), work).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Unavailable, "checking jobs", "the API did not answer in time")
            .hint("try again later; the jobs go on meanwhile"))
    })
}

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
        return app.ledger()?.list(&UNFINISHED, None, MOST_JOBS);
    }
    let mut jobs = Vec::with_capacity(asked.len());
    for name in asked {
        jobs.push(super::find::job(app, name).await?);
    }
    Ok(jobs)
}

fn reply(app: &App, jobs: &[Watched]) -> Result<StatusReply> {
    let now = app.now();
    let described = jobs.iter().map(|watched| describe(app, watched, now)).collect::<Result<Vec<_>>>()?;
    let open = jobs.iter().zip(&described).filter(|(watched, _)| watched.is_open(app));
    let next_check_after_s = open.map(|(watched, status)| next_check_s(&watched.job, status, now)).min();
    Ok(StatusReply {
        all_ended: jobs.iter().all(|watched| watched.job.state().is_terminal()),
        next_check_after_s,
        next: next_step(app, jobs, &described, next_check_after_s)?,
        jobs: described,
    })
}

fn next_step(app: &App, jobs: &[Watched], described: &[JobStatus], next_check_after_s: Option<i64>) -> Result<String> {
    let jobs = jobs.iter().map(|watched| &watched.job);
    if let Some(job) = jobs.clone().find(|job| job.unclear().is_some() && job.cancelled) {
        return Ok(format!(
            "whether {0} reached the API before it was cancelled is not known yet: cancel_batch {{\"job\": \"{0}\"}} looks \
             again, and stops it if it did",
            job.handle
        ));
    }
    if let Some(job) = jobs.clone().find(|job| job.unclear().is_some()) {
        return Ok(format!(
            "whether {} reached the API is not known yet: repeat the create_batch call that made it, which looks it up first",
            job.handle
        ));
    }
    if let Some(job) = jobs.clone().find(|job| is_stopped(job) && job.error().is_some()) {
        return Ok(format!("{} was refused: see its error, then create_batch again", job.handle));
    }
    if let Some(job) = jobs.clone().find(|job| is_stopped(job)) {
        return Ok(format!(
            "{} did not reach the API: repeat the create_batch call that made it, which continues where it stopped",
            job.handle
        ));
    }
    if let Some(status) = described.iter().find(|status| !status.next.is_empty()) {
        return Ok(format!("{}: these calls keep what is done and submit the rest", status.next.join(", then ")));
    }
    let later =
        next_check_after_s.map(|seconds| format!("{} in {seconds} s; do other work meanwhile", look_at(described)));
    let mut ended = Vec::new();
    for job in jobs.filter(|job| job.state().is_terminal() && !job.is_withdrawn()) {
        // The answers of a retry are merged into those of the job that it repeats.
        let root = app.ledger()?.root_of(job)?;
        if !ended.contains(&root) {
            ended.push(root);
        }
    }
    Ok(match (ended.split_first(), later) {
        (Some((first, others)), later) => {
            let others = others_told(others);
            let later = later.map_or(String::new(), |later| format!("; for the rest {later}"));
            format!("get_results {{\"job\": \"{first}\"}}{others}{later}")
        }
        (None, Some(later)) => later,
        (None, None) => "nothing to wait for; list_batches shows ended jobs".to_owned(),
    })
}

/// "; likewise b-2 and 3 more": what has ended besides.
fn others_told(others: &[Handle]) -> String {
    let named: Vec<_> = others.iter().take(MOST_NAMED).map(Handle::as_str).collect();
    match (named.as_slice(), others.len() - named.len()) {
        ([], _) => String::new(),
        (named, 0) => format!("; likewise {}", named.join(", ")),
        (named, more) => format!("; likewise {} and {more} more", named.join(", ")),
    }
}

/// The call that tells of these jobs; of all that have not ended, if they are many.
fn look_at(jobs: &[JobStatus]) -> String {
    let handles: Vec<_> = jobs.iter().map(|status| status.job.as_str()).collect();
    let jobs = (handles.len() <= MOST_NAMED).then_some(handles);
    call("check_status", json!({ "jobs": jobs }))
}

/// Nothing of it is at the API, and nobody sends it.
fn is_stopped(job: &JobRecord) -> bool {
    !job.is_sent() && job.waiting().next().is_none() && !job.is_withdrawn()
}

/// Young jobs often end within minutes; old ones are worth a look less often, and none before there can be news.
fn next_check_s(job: &JobRecord, status: &JobStatus, now: DateTime<Utc>) -> i64 {
    let active = job.parts.iter().filter(|part| part.is_active());
    let news = active.map(|part| part.until_poll(now).num_seconds()).min().unwrap_or(0);
    let wait = match status.eta_s {
        Some(eta) => eta.clamp(5, 600),
        None => (status.age_s / 4).clamp(10, 600),
    };
    wait.max(news)
}

/// Where a job stands, as it was last seen.
pub(super) fn describe(app: &App, watched: &Watched, now: DateTime<Utc>) -> Result<JobStatus> {
    let job = &watched.job;
    let usual = usual(app, job)?;
    let speed = rate::speed(job, usual.as_ref(), now);
    let (verdict, mut evidence) = judge(job, usual.as_ref(), now);
    if let Some(trouble) = watched.trouble() {
        let hint = trouble.next_step().map_or(String::new(), |hint| format!(" ({hint})"));
        evidence = Some(format!("as last seen; now it cannot be looked at: {trouble}{hint}"));
    }
    Ok(JobStatus {
        job: job.handle.to_string(),
        state: job.state().to_string(),
        requests: job.requests,
        done: job.done(),
        failed: job.failed(),
        percent: percent(job),
        age_s: age_s(job, now),
        seen_s_ago: seen_s_ago(job, now).filter(|seconds| *seconds >= FRESH_S),
        per_minute: speed.per_minute.map(|rate| (rate * 10.0).round() / 10.0),
        eta_s: speed.eta_s.map(rounded),
        usual_s: usual.filter(|_| verdict != Verdict::Ended).map(|usual| rounded(usual.took_s)),
        verdict: verdict.as_str().to_owned(),
        evidence,
        // What waits tells in its evidence why.
        error: job.error().filter(|_| verdict != Verdict::Waiting).map(str::to_owned),
        next: rescue(job, verdict),
    })
}

/// What others like it took, while that is of use.
fn usual(app: &App, job: &JobRecord) -> Result<Option<Usual>> {
    let open = job.parts.iter().find(|part| !part.state.is_terminal());
    let Some(open) = open.filter(|_| !job.state().is_terminal()) else { return Ok(None) };
    let past = app.ledger()?.past(job, open.requests)?;
    Ok(Usual::of(&past, job))
}

/// How old the oldest news is that the entry rests on.
fn seen_s_ago(job: &JobRecord, now: DateTime<Utc>) -> Option<i64> {
    let seen = job.parts.iter().filter(|part| part.is_active()).filter_map(|part: &PartRecord| part.polled_at).min();
    seen.map(|seen| (now - seen).num_seconds().max(0))
}

#[expect(clippy::cast_possible_truncation, reason = "seconds are far below 2^52")]
fn rounded(seconds: f64) -> i64 {
    seconds.ceil() as i64
}

#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn percent(job: &JobRecord) -> f64 {
    if job.requests == 0 { 0.0 } else { (job.done() as f64 / job.requests as f64 * 1000.0).round() / 10.0 }
}

/// From submission to the end, or to now.
fn age_s(job: &JobRecord, now: DateTime<Utc>) -> i64 {
    let age = match (job.ended_at(), job.submitted_at()) {
        // Both are the API's.
        (Some(ended), Some(submitted)) => ended - submitted,
        (ended, _) => ended.unwrap_or(now) - job.began().unwrap_or(job.created_at),
    };
    age.num_seconds().max(0)
}

#[cfg(test)]
mod tests;
