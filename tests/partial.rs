//! Jobs that ended early keep the answers they have: every key is accounted for once, and a retry takes exactly the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, Fault, ManualClock};
use serde_json::{Value, json};
use support::world::World;

/// Submits one request for each prompt; the handle.
fn submitted(world: &World, prompts: &[&str], more: &[&str]) -> String {
    let rows: String = prompts.iter().zip('a'..).map(|(prompt, key)| format!("{key},{prompt}\n")).collect();
    world.write("rows.csv", &format!("id,text\n{rows}"));
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id"]);
    let created = world.reply(&[&["create", "rows.requests.jsonl"][..], more].concat());
    created["job"].as_str().unwrap().to_owned()
}

/// The keys of a file of answers, those with one and those without.
fn keys(world: &World, job: &str) -> [BTreeSet<String>; 2] {
    world.results(&[job, "--output", "keys.jsonl", "--overwrite"]);
    let lines = world.lines("keys.jsonl");
    let of = |answered: bool| {
        let lines = lines.iter().filter(|line| (line["outcome"] == "answered") == answered);
        lines.map(|line| line["key"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let both = [of(true), of(false)];
    assert_eq!(both[0].len() + both[1].len(), lines.len(), "each key once");
    both
}

/// Repeats what is left; the keys that were asked again, by what the retry itself accounts for.
fn repeated(world: &World, job: &str) -> (Value, BTreeSet<String>) {
    let retry = world.reply(&["retry", job]);
    let [answered, rest] = keys(world, retry["job"].as_str().unwrap());
    (retry, answered.into_iter().chain(rest).collect())
}

fn warnings(reply: &Value) -> String {
    reply["warnings"].to_string()
}

const PARTIAL: &str = "[[simulate:partial]] say something";

#[test]
fn a_cancelled_job_keeps_its_answers_and_the_rest_is_asked_again() {
    let (world, clock) = World::timed();
    let job = submitted(&world, &[PARTIAL, "b", "c", "d", "e"], &[]);
    clock.advance(Duration::from_secs(60));
    assert_eq!(world.reply(&["cancel", &job])["state"], "JOB_STATE_CANCELLED");
    let results = world.results(&[&job, "--limit", "5"]);
    assert_eq!(results["outcomes"], json!({"answered": 3, "missing": 2}), "{results}");
    assert!(results["cost_usd"].as_f64().unwrap() > 0.0, "what was done by then is billed: {results}");
    assert!(results["next"].as_str().unwrap().starts_with("retry_batch"), "{results}");
    let [_, rest] = keys(&world, &job);
    let retry = world.reply(&["retry", &job]);
    assert_eq!(retry["repeated"], json!({"answered": 0, "missing": 2}));
    clock.advance(Duration::from_secs(24 * 3600));
    let [again, none] = keys(&world, retry["job"].as_str().unwrap());
    assert_eq!((again, none.len()), (rest, 0));
    assert_eq!(world.results(&[&job, "--limit", "5"])["outcomes"]["answered"], 5);
}

#[test]
fn an_expired_job_and_a_failed_one_keep_what_they_have() {
    for fate in ["job-expired", "job-failed"] {
        let (world, clock) = World::timed();
        let first = format!("[[simulate:{fate}]] x");
        let job = submitted(&world, &[&first, PARTIAL, "c", "d"], &[]);
        clock.advance(Duration::from_secs(49 * 3600));
        let results = world.results(&[&job, "--limit", "4"]);
        assert_eq!(results["outcomes"], json!({"answered": 2, "missing": 2}), "{fate}: {results}");
        let [answered, rest] = keys(&world, &job);
        assert_eq!((answered.len(), rest.len()), (2, 2), "{fate}");
        let retry = world.reply(&["retry", &job]);
        assert_eq!(retry["repeated"], json!({"answered": 0, "missing": 2}), "{fate}");
    }
}

#[test]
fn a_success_without_output_is_paid_for_and_its_answers_may_still_come() {
    let past = ManualClock::new(chrono::Utc::now() - chrono::TimeDelta::minutes(31));
    let world = World::with(|options| options.clock = Arc::new(past));
    let job = submitted(&world, &["a", "b"], &[]);
    world.simulator.faults().always(Call::GetBatch, Fault::SucceededWithoutOutput);
    let results = world.results(&[&job, "--limit", "2"]);
    assert_eq!((&results["state"], &results["outcomes"]["missing"]), (&json!("JOB_STATE_SUCCEEDED"), &json!(2)));
    assert!(results["cost_usd"].is_null(), "nobody knows what it cost: {results}");
    assert!(warnings(&results).contains("may still come"), "{results}");
    let refused = world.refusal(&["retry", &job]);
    assert!(refused["cause"].as_str().unwrap().contains("may still come"), "{refused}");
}

#[test]
fn results_that_break_off_are_measured_by_the_requests_where_nothing_is_counted() {
    for (end, comes) in [("b", true), ("[[simulate:job-failed]] [[simulate:partial]] b", false)] {
        let world = World::new();
        let job = submitted(&world, &["a", end, "c", "d"], &[]);
        world.simulator.faults().always(Call::GetBatch, Fault::WithoutCounters);
        world.run(&["status", &job, "--wait"]);
        world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(0));
        let results = world.results(&[&job, "--limit", "4"]);
        assert_eq!(results["outcomes"]["missing"], 4, "{results}");
        assert_eq!(warnings(&results).contains("may still come"), comes, "{end}: {results}");
    }
}

#[test]
fn answers_without_keys_are_nobodys_but_paid_and_are_not_asked_for_again_unasked() {
    let world = World::new();
    let job = submitted(&world, &["a", "b"], &[]);
    world.simulator.faults().always(Call::GetBatch, Fault::AnswersWithoutKeys);
    world.run(&["status", &job, "--wait"]);
    for _ in 0..2 {
        let results = world.results(&[&job, "--limit", "2"]);
        assert_eq!(results["outcomes"], json!({"answered": 0, "missing": 2}), "{results}");
        assert!(results["cost_usd"].is_null(), "{results}");
        let warnings = warnings(&results);
        assert!(warnings.contains("(#0, #1, or none") && warnings.contains("may still come"), "{warnings}");
    }
    assert!(world.refusal(&["retry", &job])["cause"].as_str().unwrap().contains("may still come"));
    let listed = world.reply(&["list", "--local"]);
    assert_ne!(listed["jobs"][0]["cost_usd"], json!(0.0), "{listed}");
    let asked_for = world.reply(&["retry", &job, "--outcome", "missing", "--dry-run"]);
    assert_eq!(asked_for["requests"], 2, "{asked_for}");
}

#[test]
fn what_stands_in_the_place_of_a_missing_result_leaves_its_cost_unknown() {
    let ends = [
        (&["[[simulate:stranger]] a", "[[simulate:missing]] b"][..], json!({"answered": 1, "missing": 1}), false),
        (&["[[simulate:duplicate]] a", "[[simulate:missing]] b"], json!({"answered": 1, "missing": 1}), false),
        (&["[[simulate:garbage]] a", "b"], json!({"answered": 1, "missing": 1}), false),
        (&["[[simulate:stranger]] a", "[[simulate:duplicate]] b"], json!({"answered": 2}), true),
    ];
    for (prompts, outcomes, is_known) in ends {
        let world = World::new();
        let job = submitted(&world, prompts, &[]);
        world.run(&["status", &job, "--wait"]);
        let results = world.results(&[&job, "--limit", "2"]);
        assert_eq!(results["outcomes"], outcomes, "{results}");
        assert_eq!(results["cost_usd"].is_number(), is_known, "{prompts:?}: {results}");
        let listed =
            || world.reply(&["list", "--local"])["jobs"].as_array().unwrap().last().unwrap()["cost_usd"].clone();
        assert_eq!(listed().is_number(), is_known, "{prompts:?}: {}", listed());
        let cause = world.refusal(&["retry", &job])["cause"].clone();
        let told = if is_known { "every request has an answer" } else { "may still come" };
        assert!(cause.as_str().unwrap().contains(told), "{prompts:?}: {cause}");
        world.run(&["retry", &job, "--outcome", "missing"]);
        assert_eq!(listed().is_number(), is_known, "{prompts:?}, when it is repeated: {}", listed());
    }
}

#[test]
fn as_many_answers_may_still_come_as_the_api_says_to_have_given() {
    // Of the first part one failed and one came twice; the second part gave nothing.
    let half = ["[[simulate:failed]] a", "[[simulate:duplicate]] b", "c", "[[simulate:job-failed]] d", "e"];
    // All are said to be given, and one did not come.
    let whole = ["[[simulate:duplicate]] a", "[[simulate:missing]] b"];
    for (prompts, is_counted, may_come) in
        [(&half[..], true, false), (&half, false, false), (&whole, true, true), (&whole, false, true)]
    {
        let world = World::new();
        let job = submitted(&world, prompts, &["--max-part-requests", "3"]);
        if !is_counted {
            world.simulator.faults().always(Call::GetBatch, Fault::WithoutCounters);
        }
        world.run(&["status", &job, "--wait"]);
        let outcomes = world.results(&[&job, "--limit", "1"])["outcomes"].clone();
        let told = format!("{prompts:?}, counted: {is_counted}: {outcomes}");
        let retried = world.run(&["retry", &job, "--json"]).json();
        if may_come {
            assert!(retried["error"]["cause"].as_str().unwrap().contains("may still come"), "{told}: {retried}");
        } else {
            assert_eq!(retried["repeated"], json!({"answered": 0, "failed": 1, "missing": 2}), "{told}: {retried}");
        }
    }
    // What surely did not answer is repeated without it.
    let world = World::new();
    let job = submitted(&world, &["[[simulate:duplicate]] a", "[[simulate:missing]] b", "[[simulate:failed]] c"], &[]);
    world.run(&["status", &job, "--wait"]);
    let failed = json!({"answered": 0, "failed": 1});
    for (asked, repeated, is_told) in [
        (&[][..], &failed, true),
        (&["--outcome", "failed"], &failed, false),
        (&["--outcome", "missing"], &json!({"answered": 0, "missing": 1}), false),
    ] {
        let planned = world.reply(&[&["retry", &job, "--dry-run"], asked].concat());
        assert_eq!(&planned["repeated"], repeated, "{asked:?}: {planned}");
        assert_eq!(warnings(&planned).contains("may still come"), is_told, "{asked:?}: {planned}");
    }
}

#[test]
fn what_is_done_has_ended_whatever_the_word_for_its_state() {
    let world = World::new();
    let job = submitted(&world, &["a", "b"], &[]);
    world.simulator.faults().always(Call::GetBatch, Fault::UnknownWord);
    let status = world.run(&["status", &job, "--wait", "--json"]).json();
    assert_eq!(status["jobs"][0]["state"], "JOB_STATE_SUCCEEDED", "{status}");
    assert_eq!(world.results(&[&job, "--limit", "2"])["outcomes"], json!({"answered": 2}));
}

#[test]
fn nothing_is_to_come_of_a_failure_without_output_and_of_requests_that_failed() {
    let ends = [
        ("[[simulate:job-failed]] b", json!({"answered": 0, "missing": 2})),
        ("[[simulate:failed]] b", json!({"answered": 1, "failed": 1})),
    ];
    for (end, outcomes) in ends {
        let world = World::new();
        let job = submitted(&world, &["a", end], &[]);
        world.run(&["status", &job, "--wait"]);
        let results = world.results(&[&job, "--limit", "2"]);
        assert_eq!(results["outcomes"], outcomes, "{results}");
        assert!(!warnings(&results).contains("may still come"), "{results}");
        assert!(results["cost_usd"].is_number(), "{results}");
    }
}

#[test]
fn parts_that_ended_otherwise_are_accounted_for_once_and_repeated_exactly() {
    let world = World::new();
    // Three parts: one well, one failed with half of its answers, one failed without any.
    let failed = "[[simulate:job-failed]] no";
    let prompts = ["a", "b", "c", failed, PARTIAL, "f", failed, "h", "i"];
    let job = submitted(&world, &prompts, &["--max-part-requests", "3"]);
    let status = world.run(&["status", &job, "--wait", "--json"]);
    assert_eq!(status.json()["jobs"][0]["state"], "JOB_STATE_FAILED", "{status:?}");
    let results = world.results(&[&job, "--limit", "9"]);
    assert_eq!(results["outcomes"], json!({"answered": 5, "missing": 4}), "{results}");
    let [answered, rest] = keys(&world, &job);
    assert!(["a", "b", "c"].iter().all(|key| answered.contains(*key)), "{answered:?}");
    assert!(["g", "h", "i"].iter().all(|key| rest.contains(*key)), "{rest:?}");
    let listed = world.reply(&["list", "--local"]);
    assert_eq!(
        listed["jobs"][0]["parts"],
        json!({"total": 3, "waiting": 0, "running": 0, "succeeded": 1, "ended_badly": 2})
    );
    assert_eq!(listed["jobs"][0]["cost_usd"], results["cost_usd"], "settled although some gave nothing");
    let (retry, again) = repeated(&world, &job);
    assert_eq!((&retry["requests"], again), (&json!(4), rest));
    assert_eq!(world.jobs_at_the_api(), 4, "a retry that fits into one part is one");
}
