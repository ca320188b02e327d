//! Whether what a job does is normal, on what evidence, and what to do when it is not.
//!
//! The API aims at 24 hours and drops a batch after 48 (API reference §6).

use chrono::{DateTime, Utc};

use super::rate::Usual;
use super::words::span;
use crate::job::JobState;
use crate::job::outcome::grouped;
use crate::ledger::{JobRecord, PartRecord};

const HOUR_S: i64 = 3600;
/// What the API aims at, and when it drops a batch.
const AIM_S: i64 = 24 * HOUR_S;
const EXPIRY_S: i64 = 48 * HOUR_S;
/// From this age on there is little time left.
const NEAR_EXPIRY_S: i64 = 40 * HOUR_S;
/// No progress for so long is slow.
const LONG_STILL_S: i64 = 2 * HOUR_S;
/// So many times what is usual is slow: where enough batches tell what is, and not below some minutes.
const TIMES_USUAL: f64 = 3.0;
const ENOUGH_BATCHES: usize = 3;
const NEVER_SLOW_S: i64 = 10 * 60;
/// A cap for a rest of the requests is larger than their share by this: they may be the long ones.
const MARGIN: f64 = 1.1;

/// What to think of a job. Of several parts the worst one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Ended,
    Normal,
    Waiting,
    Held,
    Refused,
    Slow,
    Stuck,
    NearExpiry,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Normal => "normal",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Slow => "slow",
            Self::Stuck => "stuck",
            Self::NearExpiry => "near_expiry",
        }
    }
}

/// The verdict, and what it rests on.
pub(super) type Judgement = (Verdict, Option<String>);

/// What to think of the job as it was last seen.
pub(super) fn judge(job: &JobRecord, usual: Option<&Usual>, now: DateTime<Utc>) -> Judgement {
    if job.state().is_terminal() {
        return (Verdict::Ended, how_it_ended(job));
    }
    let at_the_api = job.parts.iter().filter(|part| part.is_active()).map(|part| judge_part(part, usual, now));
    let worst = at_the_api.max_by(|(one, why), (other, reason)| (one, why.is_some()).cmp(&(other, reason.is_some())));
    [not_at_the_api(job), worst]
        .into_iter()
        .flatten()
        .max_by_key(|(verdict, _)| *verdict)
        .unwrap_or((Verdict::Normal, None))
}

fn how_it_ended(job: &JobRecord) -> Option<String> {
    if job.is_withdrawn() {
        return Some("it was cancelled before it was sent, and nothing was spent".to_owned());
    }
    if job.state() == JobState::Expired {
        return Some("the API drops what has not ended after 48 h".to_owned());
    }
    let unsent = job.parts.iter().filter(|part| part.is_unsent()).count();
    (unsent > 0).then(|| format!("{unsent} of its {} parts were given up before they were sent", job.parts.len()))
}

/// What is to be said of parts that the API does not have.
fn not_at_the_api(job: &JobRecord) -> Option<Judgement> {
    if job.unclear().is_some() {
        let why = "a create was sent, and it is looked up whether it arrived";
        return Some((Verdict::Waiting, Some(why.to_owned())));
    }
    if let Some(part) = job.waiting().next() {
        let why = part.waits_for.clone().unwrap_or_else(|| "it is about to be sent".to_owned());
        return Some((Verdict::Waiting, Some(of_part(part, why))));
    }
    if job.is_sent() {
        return None;
    }
    let verdict = if job.error().is_some() { Verdict::Refused } else { Verdict::Held };
    Some((verdict, Some("it is not at the API, and nothing was spent".to_owned())))
}

fn judge_part(part: &PartRecord, usual: Option<&Usual>, now: DateTime<Utc>) -> Judgement {
    let (verdict, why) = look_of_part(part, usual, now);
    (verdict, why.map(|why| of_part(part, why)))
}

fn look_of_part(part: &PartRecord, usual: Option<&Usual>, now: DateTime<Utc>) -> Judgement {
    let submitted = part.began().unwrap_or(part.step_at);
    let age = (now - submitted).num_seconds();
    // What nobody looked at is not known to stand still.
    let still = (part.polled_at.unwrap_or(now) - part.moved_at.unwrap_or(submitted)).num_seconds();
    let progress = progress(part, still);
    if age >= NEAR_EXPIRY_S {
        let left = span((EXPIRY_S - age).max(0));
        let why = format!("{} old; the API drops it after 48 h, {left} are left; {progress}", span(age));
        return (Verdict::NearExpiry, Some(why));
    }
    if age >= AIM_S {
        let verdict = if still >= LONG_STILL_S { Verdict::Stuck } else { Verdict::Slow };
        return (verdict, Some(format!("{} old, past the 24 h that the API aims at; {progress}", span(age))));
    }
    if is_without_output(part) {
        return (Verdict::Normal, Some("the API says that it succeeded; its output is waited for".to_owned()));
    }
    if still >= LONG_STILL_S {
        return (Verdict::Slow, Some(progress));
    }
    if let Some(usual) = usual.filter(|usual| is_long(age, part, usual)) {
        let took = span(whole(usual.expected_s(part.requests)));
        let why = format!("{} old; the last {} like it took about {took}; {progress}", span(age), usual.batches);
        return (Verdict::Slow, Some(why));
    }
    let unknown = part.wire_state.as_ref().filter(|_| part.state == JobState::Unknown);
    (Verdict::Normal, unknown.map(|word| format!("the API calls its state {word}, which is not known here")))
}

fn is_long(age: i64, part: &PartRecord, usual: &Usual) -> bool {
    let limit = whole(TIMES_USUAL * usual.expected_s(part.requests)).max(NEVER_SLOW_S);
    usual.batches >= ENOUGH_BATCHES && age > limit
}

/// "no progress for 3.0 h, at 12 of 100 requests".
fn progress(part: &PartRecord, still: i64) -> String {
    let done = format!("{} of {} requests are done", grouped(part.done), grouped(part.requests));
    match part.state {
        _ if still < LONG_STILL_S => done,
        JobState::Pending => format!("it was not started for {}", span(still)),
        _ => format!("no progress for {}: {done}", span(still)),
    }
}

/// The API calls it a success, and it is not taken for one yet.
fn is_without_output(part: &PartRecord) -> bool {
    let word = part.wire_state.as_deref().map(JobState::parse);
    !part.state.is_terminal() && word == Some(JobState::Succeeded)
}

fn of_part(part: &PartRecord, why: String) -> String {
    if part.of > 1 { format!("part {} of {}: {why}", part.number, part.of) } else { why }
}

#[expect(clippy::cast_possible_truncation, reason = "seconds are far below 2^52")]
fn whole(seconds: f64) -> i64 {
    seconds.round() as i64
}

/// The calls that save what can be saved of a job that does not end by itself, or that ended too early: stop it, keep
/// what it has, submit the rest, for no more than that was to cost.
pub(super) fn rescue(job: &JobRecord, verdict: Verdict) -> Vec<String> {
    let handle = &job.handle;
    let stop = [
        format!("cancel_batch {{\"job\": \"{handle}\"}}"),
        format!("check_status {{\"jobs\": [\"{handle}\"], \"wait\": true}}"),
    ];
    let cap = rest_usd(job).map_or(String::new(), |usd| format!(", \"max_cost_usd\": {usd}"));
    let save =
        [format!("get_results {{\"job\": \"{handle}\"}}"), format!("retry_batch {{\"job\": \"{handle}\"{cap}}}")];
    match verdict {
        Verdict::Stuck | Verdict::NearExpiry => stop.into_iter().chain(save).collect(),
        Verdict::Ended if job.state() == JobState::Expired => save.into(),
        _ => Vec::new(),
    }
}

/// The high estimate of what is not done, rounded up to cents, if the price is known.
#[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
fn rest_usd(job: &JobRecord) -> Option<f64> {
    let high: f64 = job.parts.iter().map(|part| part.high_usd).sum::<Option<f64>>()?;
    let left = (job.requests - job.done()).max(0) as f64 / job.requests.max(1) as f64;
    let share = if left < 1.0 { (left * MARGIN).min(1.0) } else { left };
    Some((high * share * 100.0).ceil().max(1.0) / 100.0)
}
