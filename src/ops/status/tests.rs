use super::rate::{Speed, speed};
use super::verdict::Judgement;
use super::*;
use crate::job::{ContentHash, Kind};
use crate::ledger::history::Past;
use crate::ledger::{Ledger, NewJob, NewPart, Step};
use chrono::TimeDelta;

/// A job of these parts, each with its requests and high estimate; nothing of it is sent.
fn job(parts: &[(i64, Option<f64>)]) -> JobRecord {
    let folder = tempfile::tempdir().unwrap();
    let content = ContentHash::of_job("a", "m", Kind::Generate, 1);
    let number = |at: usize| u32::try_from(at).unwrap();
    let new = |(at, (requests, high_usd)): (usize, &(i64, Option<f64>))| NewPart {
        number: number(at + 1),
        of: number(parts.len()),
        ..NewPart::whole(*requests, None, *high_usd)
    };
    let parts = parts.iter().enumerate().map(new).collect();
    let new = NewJob::new(Handle::new("a", &content), content, "m", Kind::Generate, parts);
    let ledger = Ledger::open(folder.path()).unwrap();
    ledger.intend(&new, None).unwrap();
    ledger.job(&new.handle).unwrap()
}

/// A job of 100 requests that runs: submitted so many seconds ago, with so many requests done when it was looked at just now.
fn running(age_s: i64, done: i64) -> JobRecord {
    let mut job = job(&[(100, Some(1.0))]);
    let sent = &mut job.parts[0];
    run(sent, age_s, done);
    job
}

fn run(part: &mut PartRecord, age_s: i64, done: i64) {
    part.step = Step::Created;
    part.state = JobState::Running;
    part.submitted_at = Some(now() - TimeDelta::seconds(age_s));
    part.polled_at = Some(now());
    part.done = done;
}

fn end(part: &mut PartRecord, state: JobState, after_s: i64) {
    run(part, after_s, part.requests);
    part.state = state;
    part.ended_at = part.submitted_at.map(|at| at + TimeDelta::seconds(after_s));
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn took(requests: i64, took_s: i64) -> Past {
    Past { requests, took: TimeDelta::seconds(took_s), waited: None }
}

/// Of which it was seen when it started.
fn started(requests: i64, waited_s: i64, ran_s: i64) -> Past {
    Past { waited: Some(TimeDelta::seconds(waited_s)), ..took(requests, waited_s + ran_s) }
}

/// Waits of 60, 100 and 200 s, and 5, 10 and 30 requests a minute after it.
fn seen_starting() -> [Past; 3] {
    [started(100, 60, 1200), started(100, 100, 600), started(100, 200, 200)]
}

fn usual(past: &[Past]) -> Usual {
    Usual::of(past, &running(0, 0)).unwrap()
}

fn eta(job: &JobRecord, usual: Option<&Usual>) -> Option<f64> {
    speed(job, usual, now()).eta_s
}

#[test]
fn where_most_were_seen_starting_a_batch_takes_its_wait_and_its_requests_at_the_usual_rate() {
    let all = seen_starting();
    assert_eq!(usual(&all).took_s, 700.0);
    assert_eq!(usual(&all).expected_s(300), 100.0 + 300.0 * 60.0 / 10.0);
    let more_than_half = [&all[..], &[took(100, 900), took(100, 800)]].concat();
    assert_eq!((usual(&more_than_half).took_s, usual(&more_than_half).expected_s(300)), (800.0, 1900.0));
    let half = [all[0], all[1], took(100, 900), took(100, 800)];
    assert_eq!(usual(&half).expected_s(300), 900.0, "what all of them took");
    assert_eq!(usual(&[started(0, 10, 50)]).expected_s(300), 60.0, "of none a minute nothing follows");
}

#[test]
fn parts_of_the_job_that_went_well_are_past_as_well() {
    let mut job = job(&[(50, None), (50, None), (50, None)]);
    run(&mut job.parts[1], 10, 0);
    assert_eq!(Usual::of(&[], &job), None);
    end(&mut job.parts[2], JobState::Failed, 20);
    assert_eq!(Usual::of(&[], &job), None);
    end(&mut job.parts[0], JobState::Succeeded, 0);
    assert_eq!(Usual::of(&[], &job), None, "clocks differ");
    end(&mut job.parts[0], JobState::Succeeded, 300);
    let usual = Usual::of(&[], &job).unwrap();
    assert_eq!((usual.batches, usual.took_s), (1, 300.0));
}

#[test]
fn the_rate_of_a_job_is_what_it_has_done_since_it_was_submitted() {
    let rate = |job: &JobRecord| speed(job, None, now()).per_minute;
    assert_eq!(rate(&running(300, 10)), Some(2.0));
    assert_eq!(rate(&running(300, 0)), None);
    assert_eq!(rate(&running(0, 10)), None);
    let mut job = running(300, 10);
    job.parts[0].state = JobState::Pending;
    assert_eq!(rate(&job), None);
    end(&mut job.parts[0], JobState::Succeeded, 300);
    assert_eq!(speed(&job, None, now()), Speed::default());
}

#[test]
fn the_time_left_is_between_that_of_its_own_progress_and_that_of_others() {
    let mut job = running(400, 25);
    job.parts[0].polled_at = Some(now() - TimeDelta::seconds(40));
    let own = |waited: f64| 75.0 * (360.0 - waited) / 25.0 - 40.0;
    assert_eq!(eta(&job, None), Some(own(0.0)));
    let usual_now = usual(&seen_starting());
    assert_eq!(eta(&job, Some(&usual_now)), Some(0.25 * own(100.0) + 0.75 * 300.0));
    let long_waits = usual(&[started(100, 1000, 600)]);
    assert_eq!(eta(&job, Some(&long_waits)), Some(0.25 * own(180.0) + 0.75 * 1200.0), "half of it at most");
    // Others tell nothing once it takes longer than they did, and the job nothing before anything is done.
    assert_eq!(eta(&running(700, 0), Some(&usual_now)), None);
    assert_eq!(eta(&running(699, 0), Some(&usual_now)), Some(1.0));
    for nothing in [running(400, 0), running(0, 5)] {
        assert_eq!(eta(&nothing, None), None, "{nothing:?}");
    }
    let mut pending = running(400, 25);
    pending.parts[0].state = JobState::Pending;
    assert_eq!(eta(&pending, None), None);
    let mut of_unknown_size = running(400, 25);
    of_unknown_size.parts[0].requests = 0;
    assert_eq!(eta(&of_unknown_size, None), None);
}

#[test]
fn parts_that_wait_come_one_after_the_other_where_one_runs() {
    let mut job = job(&[(100, None); 3]);
    run(&mut job.parts[0], 100, 0);
    assert_eq!(eta(&job, Some(&usual(&seen_starting()))), Some(600.0 + 2.0 * 700.0));
    run(&mut job.parts[1], 200, 0);
    assert_eq!(eta(&job, Some(&usual(&seen_starting()))), Some(600.0 + 700.0));
}

fn judged(job: &JobRecord, usual: Option<&Usual>) -> (&'static str, String) {
    let (verdict, why): Judgement = judge(job, usual, now());
    (verdict.as_str(), why.unwrap_or_default())
}

#[test]
fn a_batch_is_slow_after_three_times_what_is_usual() {
    let all = usual(&seen_starting());
    assert_eq!(judged(&running(2100, 12), Some(&all)), ("normal", String::new()));
    let why = "35 min old; the last 3 like it took about 11 min; 12 of 100 requests are done";
    assert_eq!(judged(&running(2101, 12), Some(&all)), ("slow", why.to_owned()));
    let few = usual(&[started(100, 1, 1), started(100, 1, 1)]);
    assert_eq!(judged(&running(2101, 12), Some(&few)).0, "normal", "two tell nothing");
}

#[test]
fn the_evidence_says_how_long_nothing_moved_and_what_is_left() {
    let mut job = running(7200, 12);
    assert_eq!(judged(&job, None), ("slow", "no progress for 2.0 h: 12 of 100 requests are done".to_owned()));
    job.parts[0].moved_at = Some(now() - TimeDelta::seconds(7199));
    assert_eq!(judged(&job, None).0, "normal");
    let mut old = running(41 * 3600, 12);
    old.parts[0].moved_at = Some(now());
    let why = "41.0 h old; the API drops it after 48 h, 7.0 h are left; 12 of 100 requests are done";
    assert_eq!(judged(&old, None), ("near_expiry", why.to_owned()));
    old.parts[0].state = JobState::Pending;
    old.parts[0].moved_at = None;
    assert!(judged(&old, None).1.ends_with("; it was not started for 41.0 h"), "{old:?}");
}

#[test]
fn of_several_parts_it_is_told_which_one_and_which_were_never_sent() {
    let mut job = job(&[(100, None); 2]);
    end(&mut job.parts[0], JobState::Succeeded, 60);
    run(&mut job.parts[1], 7200, 0);
    assert!(judged(&job, None).1.starts_with("part 2 of 2: no progress"), "{job:?}");
    job.parts[1].step = Step::Intended;
    job.parts[1].state = JobState::Unsubmitted;
    (job.held, job.cancelled) = (true, true);
    let why = "1 of its 2 parts were given up before they were sent";
    assert_eq!(judged(&job, None), ("ended", why.to_owned()));
    let mut whole = running(60, 100);
    end(&mut whole.parts[0], JobState::Succeeded, 60);
    assert_eq!(judged(&whole, None), ("ended", String::new()));
    end(&mut whole.parts[0], JobState::Expired, 60);
    assert_eq!(judged(&whole, None), ("ended", "the API drops what has not ended after 48 h".to_owned()));
}

#[test]
fn the_rest_is_asked_again_for_no_more_than_its_share_and_a_margin() {
    let cap = |high: Option<f64>, done: i64| {
        let mut job = job(&[(100, high)]);
        run(&mut job.parts[0], 60, done);
        let calls = rescue(&job, Verdict::Stuck);
        assert_eq!(calls.len(), 4, "{calls:?}");
        let (_, arguments) = calls[3].split_once(' ').unwrap();
        serde_json::from_str::<serde_json::Value>(arguments).unwrap()["max_cost_usd"].as_f64()
    };
    assert_eq!(cap(Some(1.0), 25), Some(0.83));
    assert_eq!(cap(Some(1.0), 95), Some(0.06));
    assert_eq!(cap(Some(1.0), 1), Some(1.0), "all of it at most");
    assert_eq!(cap(Some(2.5), 0), Some(2.5));
    assert_eq!(cap(Some(0.000_1), 25), Some(0.01), "a cent at least");
    assert_eq!(cap(None, 25), None);
    let mut job = running(60, 25);
    assert_eq!(rescue(&job, Verdict::Ended), Vec::<String>::new());
    end(&mut job.parts[0], JobState::Expired, 60);
    assert_eq!(rescue(&job, Verdict::Ended).len(), 2, "nothing is left to stop");
    assert_eq!(rescue(&job, Verdict::Normal), Vec::<String>::new());
}

#[test]
fn the_next_look_is_when_there_may_be_news() {
    let in_s = |age_s, eta_s| next_check_s(&running(0, 0), &JobStatus { age_s, eta_s, ..JobStatus::default() }, now());
    assert_eq!([10, 400, 10_000].map(|age| in_s(age, None)), [10, 100, 600]);
    assert_eq!([3, 100, 10_000].map(|eta| in_s(10_000, Some(eta))), [5, 100, 600]);
    let mut planned = running(0, 0);
    planned.parts[0].next_poll_at = Some(now() + TimeDelta::seconds(60));
    let early = JobStatus { eta_s: Some(5), ..JobStatus::default() };
    assert_eq!(next_check_s(&planned, &early, now()), 60);
}

#[test]
fn an_entry_says_how_old_its_job_and_its_news_are() {
    let mut job = job(&[(100, None); 2]);
    run(&mut job.parts[0], 300, 0);
    run(&mut job.parts[1], 200, 0);
    job.parts[1].polled_at = Some(now() - TimeDelta::seconds(50));
    assert_eq!((age_s(&job, now()), seen_s_ago(&job, now())), (300, Some(50)));
    end(&mut job.parts[0], JobState::Succeeded, 300);
    assert_eq!(seen_s_ago(&job, now()), Some(50), "what has ended is no news");
    end(&mut job.parts[1], JobState::Succeeded, 200);
    // It ended a while ago, and both times are of a clock that is ahead.
    for part in &mut job.parts {
        part.api_ahead = TimeDelta::seconds(1000);
        part.ended_at = part.submitted_at.map(|at| at + TimeDelta::seconds(80));
    }
    assert_eq!((age_s(&job, now()), seen_s_ago(&job, now())), (180, None));
}

#[test]
fn a_wait_has_a_longest_time() {
    let longest = |seconds| longest_wait(&StatusArgs { timeout_seconds: seconds, ..StatusArgs::default() });
    assert_eq!(longest(None).unwrap(), Duration::from_secs(45));
    assert_eq!(longest(Some(3600)).unwrap(), Duration::from_secs(3600));
    for wrong in [-1, 3601] {
        assert_eq!(longest(Some(wrong)).unwrap_err().kind(), ErrorKind::InvalidArgument, "{wrong}");
    }
}

#[test]
fn spans_and_entries_are_told_as_a_person_says_them() {
    assert_eq!([0, 119, 120, 7199, 7200, 9000].map(span), ["0 s", "119 s", "2 min", "119 min", "2.0 h", "2.5 h"]);
    let entry = JobStatus {
        job: "a-1".to_owned(),
        state: "JOB_STATE_RUNNING".to_owned(),
        requests: 2_000,
        done: 1_000,
        percent: 50.0,
        age_s: 60,
        verdict: "normal".to_owned(),
        ..JobStatus::default()
    };
    assert_eq!(entry.to_string(), "a-1 JOB_STATE_RUNNING 1,000 of 2,000 (50 %), age 60 s, normal");
    let told = JobStatus { failed: 1, eta_s: Some(240), usual_s: Some(600), seen_s_ago: Some(7), ..entry };
    assert_eq!(
        told.to_string(),
        "a-1 JOB_STATE_RUNNING 1,000 of 2,000 (50 %), 1 failed, about 4 min left (usually 10 min in all with this model), \
         age 60 s, seen 7 s ago, normal"
    );
}

#[test]
fn what_is_done_is_told_in_percent_with_one_digit() {
    assert_eq!(percent(&running(10, 0)), 0.0);
    assert_eq!(percent(&running(10, 33)), 33.0);
    let mut job = running(10, 1);
    job.requests = 3;
    assert_eq!(percent(&job), 33.3);
    job.requests = 0;
    assert_eq!(percent(&job), 0.0);
}

#[test]
fn a_call_names_a_few_jobs_and_of_more_none() {
    let jobs = |count: usize| vec![JobStatus { job: "a-1".to_owned(), ..JobStatus::default() }; count];
    assert_eq!(look_at(&jobs(3)), r#"check_status {"jobs": ["a-1", "a-1", "a-1"]}"#);
    assert_eq!(look_at(&jobs(4)), "check_status {}");
}
