//! A retry asks what did not answer, otherwise where the reason suggests it, and says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, ManualClock, Pace};
use serde_json::{Value, json};
use support::remembered::age;
use support::world::{Ran, World};

/// A request line with this generationConfig.
fn line(key: &str, prompt: &str, config: Value) -> String {
    json!({"key": key, "request": {"contents": [{"parts": [{"text": prompt}]}], "generationConfig": config}})
        .to_string()
}

/// Submits these lines and waits for the end; the handle.
fn ended(world: &World, lines: &[String]) -> String {
    world.write("r.jsonl", &(lines.join("\n") + "\n"));
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job, "--wait"]);
    job
}

/// Submits a retry and waits for the end; the reply.
fn retried(world: &World, arguments: &[&str]) -> Value {
    let reply = world.reply(&[&["retry"], arguments].concat());
    assert!(["created", "queued"].contains(&reply["submission"].as_str().unwrap()), "{reply}");
    world.run(&["status", reply["job"].as_str().unwrap(), "--wait"]);
    reply
}

/// The requests that were uploaded for a job, by key, as the API has them.
fn uploaded(world: &World, job: &str) -> Vec<Value> {
    let name = world.reply(&["list", "--local", "--limit", "100"])["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|listed| listed["job"] == job)
        .unwrap()["remote_name"]
        .as_str()
        .unwrap()
        .to_owned();
    let input = world.path("api").join(name).join("input.jsonl");
    std::fs::read_to_string(input).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn configs(requests: &[Value]) -> Vec<(String, Value)> {
    let config = |line: &Value| (line["key"].as_str().unwrap().to_owned(), line["request"]["generationConfig"].clone());
    requests.iter().map(config).collect()
}

#[test]
fn a_model_with_longer_answers_is_given_more_room() {
    let world = World::new();
    let cut_off = |limit: i64| line(&limit.to_string(), "[[simulate:truncated]] x", json!({"maxOutputTokens": limit}));
    world.write("r.jsonl", &[40_000, 65_536].map(cut_off).join("\n"));
    let job = world.reply(&["create", "r.jsonl", "--model", "gemini-4-argon"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job, "--wait"]);
    let planned = world.reply(&["retry", &job, "--dry-run"]);
    let raised = "maxOutputTokens of 2 truncated requests raised from 40,000 … 65,536 to 80,000 … 131,072";
    assert_eq!(planned["changes"], json!([raised]), "{planned}");
}

#[test]
fn what_was_cut_off_gets_twice_the_room_and_nothing_else_does() {
    let world = World::new();
    let job = ended(
        &world,
        &[
            line("fine", "say something", json!({"maxOutputTokens": 500})),
            line("short", "say something", json!({"maxOutputTokens": 2})),
            line("snake", "say something", json!({"max_output_tokens": "3", "topK": 5})),
            line("failed", "[[simulate:failed]] oh", json!({"maxOutputTokens": 7})),
        ],
    );
    let planned = world.reply(&["retry", &job, "--dry-run"]);
    let expected = json!(["maxOutputTokens of 2 truncated requests raised from 2 … 3 to 4 … 6"]);
    assert_eq!(planned["changes"], expected, "{planned}");
    assert_eq!(world.jobs_at_the_api(), 1);
    let retry = retried(&world, &[&job]);
    assert_eq!(retry["changes"], expected);
    assert_eq!(retry["repeated"], json!({"answered": 0, "failed": 1, "truncated": 2}));
    let sent = configs(&uploaded(&world, retry["job"].as_str().unwrap()));
    assert_eq!(
        sent,
        [
            ("short".into(), json!({"maxOutputTokens": 4})),
            ("snake".into(), json!({"topK": 5, "maxOutputTokens": 6})),
            ("failed".into(), json!({"maxOutputTokens": 7})),
        ]
    );
}

#[test]
fn room_grows_with_each_retry_until_it_is_enough() {
    let world = World::new();
    let job = ended(&world, &[line("a", "say something", json!({"maxOutputTokens": 1}))]);
    let (mut newest, mut limits) = (job.clone(), Vec::new());
    while world.results(&[&job, "--limit", "1"])["outcomes"]["answered"] == 0 {
        // What the retries before tried is not tried again.
        newest = retried(&world, &[&newest, "--max-generations", "9"])["job"].as_str().unwrap().to_owned();
        let sent = configs(&uploaded(&world, &newest));
        limits.push(sent[0].1["maxOutputTokens"].as_i64().unwrap());
    }
    assert!(limits.len() > 2, "{limits:?}");
    assert!(limits.iter().zip([2, 4, 8, 16, 32, 64, 128]).all(|(limit, expected)| *limit == expected), "{limits:?}");
}

#[test]
fn room_grows_over_what_another_retry_of_the_same_job_tried() {
    let world = World::new();
    let limit = |limit: i64| json!({"maxOutputTokens": limit});
    let job = ended(
        &world,
        &[line("cut", "t [[simulate:tight]]", limit(100)), line("failed", "[[simulate:failed]] b", limit(9))],
    );
    let first = retried(&world, &[&job, "--outcome", "truncated"]);
    let second = retried(&world, &[&job, "--outcome", "failed", "--outcome", "truncated"]);
    let sent = configs(&uploaded(&world, second["job"].as_str().unwrap()));
    assert_eq!(sent, [("cut".into(), limit(400)), ("failed".into(), limit(9))]);
    // What the retry of a retry tried counts as well.
    let of_first = retried(&world, &[first["job"].as_str().unwrap()]);
    assert_eq!(configs(&uploaded(&world, of_first["job"].as_str().unwrap())), [("cut".into(), limit(400))]);
    let third = retried(&world, &[&job]);
    let sent = configs(&uploaded(&world, third["job"].as_str().unwrap()));
    assert!(sent.contains(&("cut".into(), limit(800))), "{sent:?}");
}

#[test]
fn the_same_call_finds_its_retry_although_that_left_something_unanswered() {
    let world = World::new();
    let job = ended(&world, &[line("a", "say something", json!({"maxOutputTokens": 1})), line("b", "hi", json!({}))]);
    let first = retried(&world, &[&job]);
    let named = first["job"].as_str().unwrap();
    assert_eq!(world.results(&[named, "--limit", "1"])["outcomes"]["truncated"], 1);
    for call in [&["retry", &job][..], &["retry", &job, "--dry-run"]] {
        let again = world.reply(call);
        assert_eq!((&again["job"], &again["repeated"]), (&first["job"], &first["repeated"]), "{again}");
        let warnings = again["warnings"].to_string().replace('\\', "");
        assert!(warnings.contains(&format!(r#"retry_batch {{"job": "{named}"}}"#)), "{warnings}");
    }
    assert_eq!(world.jobs_at_the_api(), 2);
    // Another call is another retry, and the retry can be retried.
    retried(&world, &[&job, "--outcome", "truncated", "--generation-config", r#"{"seed": 7}"#]);
    retried(&world, &[named, "--generation-config", r#"{"maxOutputTokens": 3}"#]);
}

#[test]
fn what_a_retry_cost_is_not_forgotten_when_it_is_asked_for_again() {
    let world = World::new();
    let job = ended(
        &world,
        &[line("a", "[[simulate:tight]] say", json!({"maxOutputTokens": 1})), line("b", "hi", json!({}))],
    );
    let roomy = ["retry", &job, "--generation-config", r#"{"maxOutputTokens": 8192}"#];
    let retry = world.reply(&roomy)["job"].clone();
    world.run(&["status", retry.as_str().unwrap(), "--wait"]);
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 2);
    let cost = || {
        let listed = world.reply(&["list", "--local"])["jobs"].clone();
        listed.as_array().unwrap().iter().find(|listed| listed["job"] == retry).unwrap()["cost_usd"].as_f64().unwrap()
    };
    let before = cost();
    assert!(before > 0.0);
    for spelling in [&[][..], &["--outcome", "truncated"], &["--outcome", "truncated", "--outcome", "missing"]] {
        let again = world.reply(&[&roomy[..], spelling].concat());
        assert_eq!(
            (&again["job"], &again["submission"], cost()),
            (&retry, &json!("found"), before),
            "{spelling:?}: {again}"
        );
    }
}

#[test]
fn a_limit_of_the_callers_own_is_kept() {
    let world = World::new();
    let job = ended(&world, &[line("a", "say something", json!({"maxOutputTokens": 1, "seed": 1}))]);
    let config = ["--generation-config", r#"{"max_output_tokens": 100, "topK": 3}"#];
    let retry = retried(&world, &[&[job.as_str()][..], &config].concat());
    assert_eq!(retry["changes"], json!(["max_output_tokens, topK as asked for, in 1 request"]), "{retry}");
    let sent = configs(&uploaded(&world, retry["job"].as_str().unwrap()));
    assert_eq!(sent, [("a".into(), json!({"seed": 1, "max_output_tokens": 100, "topK": 3}))]);
}

#[test]
fn what_has_no_more_room_is_repeated_as_it_was_and_said() {
    let world = World::new();
    let job = ended(
        &world,
        &[
            line("a", "[[simulate:truncated]] long", json!({})),
            line("b", "[[simulate:truncated]] longer", json!({"maxOutputTokens": 65_536})),
            line("c", "[[simulate:truncated]] longest", json!({"maxOutputTokens": 40_000})),
        ],
    );
    let retry = retried(&world, &[&job]);
    assert_eq!(retry["changes"], json!(["maxOutputTokens of 1 truncated request raised from 40,000 to 65,536"]));
    let warnings = retry["warnings"].to_string();
    assert!(warnings.contains("2 truncated requests ran to the model's own limit"), "{warnings}");
    // Three answers as long as the model makes them, at $1.50 a million tokens: also of the one that sets no limit.
    let estimate = &retry["estimate"];
    assert!((estimate["high_usd"].as_f64().unwrap() - 3.0 * 65_536.0 * 1.5e-6).abs() < 1e-4, "{estimate}");
    let basis = estimate["basis"].as_str().unwrap();
    assert!(
        basis.contains("1 request counted at the model's own output limit") && !basis.contains("guessed"),
        "{basis}"
    );
    let sent = configs(&uploaded(&world, retry["job"].as_str().unwrap()));
    assert_eq!(sent[0].1, json!({}));
}

#[test]
fn blocked_requests_are_repeated_with_a_warning_that_names_the_others() {
    let world = World::new();
    let job =
        ended(&world, &[line("a", "[[simulate:blocked]] x", json!({})), line("b", "[[simulate:failed]] y", json!({}))]);
    let warnings = |arguments: &[&str]| {
        world.reply(&[&["retry", &job, "--dry-run"], arguments].concat())["warnings"].to_string().replace("\\\"", "\"")
    };
    let plain = warnings(&[]);
    assert!(plain.contains("1 blocked request repeated unchanged"), "{plain}");
    assert!(plain.contains(&format!(r#"retry_batch {{"job": "{job}", "outcomes": ["failed"]}}"#)), "{plain}");
    for otherwise in
        [["--outcome", "failed"], ["--model", "gemini-3.8-flash"], ["--generation-config", r#"{"seed": 2}"#]]
    {
        assert!(!warnings(&otherwise).contains("blocked"), "{otherwise:?}");
    }
}

#[test]
fn a_model_that_was_shut_down_gives_way_to_its_successor() {
    let world = World::new();
    let job = ended(&world, &[line("a", "[[simulate:failed]] x", json!({}))]);
    let model = world.reply(&["list", "--local"])["jobs"][0]["model"].as_str().unwrap().to_owned();
    let price = json!([{"input": 1.0, "output": 2.0}]);
    let table = json!({"as_of": "2026-11-22", "default_model": "gemini-3.8-flash", "default_embedding_model": "gemini-embedding-001", "models": [
        {"name": model, "shutdown": "2026-03-01", "successor": "gemini-2.5-flash", "prices": price},
        {"name": "gemini-2.5-flash", "shutdown": "2026-04-01", "successor": "gemini-3.8-flash", "prices": price},
        {"name": "gemini-3.8-flash", "prices": price},
        {"name": "gemini-embedding-001", "kind": "embed", "prices": price},
    ]});
    world.write("models.json", &table.to_string());
    let retry = retried(&world, &[&job, "--models", "models.json"]);
    assert_eq!(retry["estimate"]["model"], "gemini-3.8-flash", "{retry}");
    let change = retry["changes"][0].as_str().unwrap();
    assert!(change.starts_with(&format!("model gemini-3.8-flash in place of {model}: ")), "{change}");
    assert!(change.contains("2026-03-01"), "{change}");
    // Asked again: the same retry, whatever table there is.
    assert_eq!(world.reply(&["retry", &job, "--models", "models.json"])["job"], retry["job"]);
    let closed = world.refused(&["retry", &job, "--models", "models.json", "--model", "gemini-2.5-flash"]);
    assert!(
        closed["cause"].as_str().unwrap().contains("shut down"),
        "a model that was named is not replaced: {closed}"
    );
}

#[test]
fn settings_that_are_wrong_are_told_by_the_request_and_not_by_a_file_of_ours() {
    let world = World::new();
    let job = ended(&world, &[line("a", "[[simulate:failed]] x", json!({}))]);
    let error = world.refusal(&["retry", &job, "--generation-config", r#"{"maxOutputTokens": "many"}"#]);
    assert!(
        error["cause"].as_str().unwrap().contains("\nrequest 1: request.generationConfig.maxOutputTokens"),
        "{error}"
    );
    assert!(error["hint"].as_str().unwrap().contains("mend the settings that the retry is to change"), "{error}");
    assert!(!error.to_string().contains("requests.jsonl"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn what_has_answered_is_not_paid_again_on_another_model() {
    let world = World::new();
    let job = ended(&world, &[line("a", "say something", json!({"maxOutputTokens": 1}))]);
    let config = ["--generation-config", r#"{"maxOutputTokens": 1000}"#];
    retried(&world, &[&[job.as_str()][..], &config].concat());
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 1);
    let again = [&["retry", job.as_str()][..], &config].concat();
    assert_eq!(world.reply(&again)["submission"], "found");
    let other = world.refusal(&[&again[..], &["--model", "gemini-3.8-flash"]].concat());
    assert!(other["cause"].as_str().unwrap().contains("every request has an answer"), "{other}");
    assert_eq!(world.jobs_at_the_api(), 2);
}

/// What `results` says to do next.
fn results_next(world: &World, job: &str) -> String {
    world.results(&[job, "--output", "left.jsonl", "--overwrite"])["next"].as_str().unwrap().to_owned()
}

#[test]
fn a_line_of_retries_ends() {
    let world = World::new();
    let mut job = ended(&world, &[line("a", "[[simulate:failed]] x", json!({}))]);
    for _ in 0..5 {
        assert!(results_next(&world, &job).starts_with("retry_batch"));
        job = retried(&world, &[&job])["job"].as_str().unwrap().to_owned();
    }
    let next = results_next(&world, &job);
    assert!(next.starts_with("these were retried 5 times") && !next.contains("retry_batch"), "{next}");
    let error = world.refusal(&["retry", &job]);
    assert_eq!(error["kind"], "wrong_state");
    assert!(error["cause"].as_str().unwrap().contains("retry number 5"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("GEMINI_BATCH_MAX_GENERATIONS"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 6);
    retried(&world, &[&job, "--max-generations", "6"]);
    assert_eq!(world.results(&[&job, "--limit", "1"])["retries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_job_that_runs_is_not_repeated_and_the_next_step_is_named() {
    let world = World::with(|options| options.pace = Pace::realistic());
    world.write("r.jsonl", &line("a", "say something", json!({})));
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    for verb in ["retry", "delete"] {
        let error = world.refusal(&[verb, &job]);
        assert_eq!(error["kind"], "wrong_state");
        assert_eq!(error["cause"], "it is JOB_STATE_PENDING");
        let hint = error["hint"].as_str().unwrap();
        assert!(
            hint.contains("check_status") && hint.contains(&format!("cancel_batch {{\"job\": \"{job}\"}}")),
            "{hint}"
        );
    }
    assert_eq!(world.jobs_at_the_api(), 1);
}

/// Submits a file of three requests in a part each; the second part is answered like this.
fn with_second_part(world: &World, fault: Fault) -> Ran {
    let lines: Vec<_> = ["a", "b", "c"].map(|key| line(key, "say something", json!({}))).to_vec();
    world.write("r.jsonl", &lines.join("\n"));
    world.simulator.faults().nth(Call::CreateBatch, 2, fault);
    world.run(&["create", "r.jsonl", "--max-part-requests", "1", "--json"])
}

#[test]
fn a_job_with_parts_that_wait_is_neither_repeated_nor_deleted() {
    let world = World::new();
    let full = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
    let job = with_second_part(&world, full).json()["job"].as_str().unwrap().to_owned();
    for verb in ["retry", "delete"] {
        let error = world.refusal(&[verb, &job]);
        assert_eq!(error["kind"], "wrong_state");
        assert!(error["cause"].as_str().unwrap().contains("2 of its 3 parts wait to be sent"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("cancel_batch"), "{error}");
    }
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn a_new_run_of_what_was_given_up_in_the_middle_is_that_run_until_a_retry_has_its_rest() {
    let world = World::new();
    let refused = Fault::Status { code: 400, body: ErrorBody::Empty };
    with_second_part(&world, refused);
    let job = world.reply(&["list", "--local"])["jobs"][0]["job"].clone();
    let again = ["create", "r.jsonl", "--max-part-requests", "1", "--new-run"];
    world.simulator.faults().next(Call::CreateBatch, refused);
    world.refusal(&again);
    assert_eq!((world.jobs_at_the_api(), world.reply(&["list", "--local"])["jobs"].as_array().unwrap().len()), (1, 1));
    // What is at the API is not paid twice to send the rest.
    let sent = world.reply(&again);
    assert_eq!((&sent["job"], &sent["submission"], world.jobs_at_the_api()), (&job, &json!("created"), 3), "{sent}");
    assert_ne!(world.reply(&again)["job"], job, "now it is there, and once more is one more");
    assert_eq!(world.jobs_at_the_api(), 6);

    let world = World::new();
    with_second_part(&world, refused);
    let job = world.reply(&["list", "--local"])["jobs"][0]["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job]);
    world.results(&[&job, "--limit", "3"]);
    retried(&world, &[&job]);
    assert_ne!(world.reply(&again)["job"], job.as_str());
    assert_eq!(world.jobs_at_the_api(), 5);
}

#[test]
fn what_was_given_up_and_repeated_by_a_retry_is_not_sent_after_all() {
    let world = World::new();
    with_second_part(&world, Fault::Status { code: 400, body: ErrorBody::Empty });
    let job = world.reply(&["list", "--local"])["jobs"][0]["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job]);
    let results = world.results(&[&job, "--limit", "3"]);
    assert_eq!(results["outcomes"], json!({"answered": 1, "missing": 2}), "{results}");
    let retry = retried(&world, &[&job]);
    assert_eq!(retry["repeated"], json!({"answered": 0, "missing": 2}), "exactly the rest");
    assert_eq!(world.jobs_at_the_api(), 2);
    let again = world.reply(&["create", "r.jsonl", "--max-part-requests", "1"]);
    assert_eq!(again["submission"], "found", "{again}");
    assert_eq!(world.jobs_at_the_api(), 2);
    assert_eq!(world.results(&[&job, "--limit", "3"])["outcomes"]["answered"], 3);
}

#[test]
fn what_a_retry_on_another_model_answered_is_not_paid_again_without_naming_it() {
    let world = World::new();
    let job = ended(&world, &[line("a", "say something", json!({"maxOutputTokens": 1}))]);
    let config = ["--generation-config", r#"{"maxOutputTokens": 1000}"#];
    let retry = retried(&world, &[&[job.as_str(), "--model", "gemini-3.5-flash-lite"][..], &config].concat());
    let again = world.reply(&[&["retry", job.as_str()][..], &config].concat());
    assert_eq!((&again["job"], &again["submission"]), (&retry["job"], &json!("found")));
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn the_same_call_finds_its_retry_of_a_whole_file_too() {
    let clock = ManualClock::default();
    let time = clock.clone();
    let world = World::with(move |options| {
        options.clock = Arc::new(time);
        options.pace = Pace::realistic();
    });
    let lines = [line("a", "say something", json!({})), line("b", "[[simulate:failed]] oh", json!({}))];
    world.write("r.jsonl", &(lines.join("\n") + "\n"));
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["cancel", &job]);
    world.run(&["status", &job, "--wait"]);
    let retry = world.reply(&["retry", &job]);
    assert_eq!((&retry["submission"], &retry["requests"]), (&json!("created"), &json!(2)), "all of it: {retry}");
    clock.advance(std::time::Duration::from_secs(25 * 3600));
    age(&world, retry["job"].as_str().unwrap(), 600);
    world.run(&["status", retry["job"].as_str().unwrap(), "--wait"]);
    let again = world.reply(&["retry", &job]);
    assert_eq!((&again["submission"], &again["job"]), (&json!("found"), &retry["job"]), "{again}");
    let further = world.reply(&["retry", retry["job"].as_str().unwrap()]);
    assert_eq!((&further["submission"], &further["requests"]), (&json!("created"), &json!(1)), "{further}");
}

#[test]
fn what_the_first_job_answered_late_is_not_asked_by_a_retry_of_its_retry() {
    let past = ManualClock::new(chrono::Utc::now() - chrono::TimeDelta::minutes(31));
    let world = World::with(|options| options.clock = Arc::new(past));
    let lines = ["a", "b"].map(|key| line(key, "[[simulate:tight]] say something", json!({"maxOutputTokens": 4096})));
    world.simulator.faults().always(Call::GetBatch, Fault::SucceededWithoutOutput);
    let job = ended(&world, &lines);
    world.results(&[&job, "--limit", "1"]);
    let asked = ["--outcome", "missing", "--generation-config", r#"{"maxOutputTokens": 100}"#];
    world.simulator.faults().clear();
    world.simulator.faults().nth(Call::GetBatch, 1, Fault::SucceededWithoutOutput);
    let retry = retried(&world, &[&[job.as_str()][..], &asked].concat())["job"].as_str().unwrap().to_owned();
    let outcomes = world.results(&[&retry, "--limit", "1"])["outcomes"].clone();
    assert_eq!(outcomes, json!({"answered": 0, "truncated": 2}));
    age(&world, &job, 3600);
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 2, "they came after all");
    let refused = world.refusal(&["retry", &retry]);
    assert!(refused["cause"].as_str().unwrap().contains("answered since"), "{refused}");
}

#[test]
fn where_only_lines_of_other_keys_came_nothing_is_asked_again_unasked() {
    let world = World::new();
    let job = ended(&world, &[line("a", "hi", json!({}))]);
    world.results(&[&job, "--limit", "1"]);
    let kept = std::fs::read_dir(world.path("home/jobs").join(&job)).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.into_iter().find(|path| path.to_string_lossy().contains("results")).unwrap();
    let other = std::fs::read_to_string(&kept).unwrap().replace("\"a\"", "\"z\"");
    std::fs::write(&kept, other).unwrap();
    let refused = world.refusal(&["retry", &job]);
    assert!(refused["cause"].as_str().unwrap().contains("billed"), "{refused}");
    assert_eq!(world.jobs_at_the_api(), 1);
}
