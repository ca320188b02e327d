//! What a wait tells: how long it still takes, whether that is normal, what to do if not; and `run`, which waits for all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, ManualClock, Pace};
use serde_json::{Value, json};
use support::program::{Server, request};
use support::remembered::{age, change, succeeded};
use support::world::World;

const HOUR: i64 = 3600;

/// A world whose jobs take minutes at least.
fn slow_world() -> World {
    World::with(|options| options.pace = Pace::realistic())
}

/// A new job of these prompts.
fn job(world: &World, prompts: &[&str], more: &[&str]) -> String {
    let prompts: Vec<_> = prompts.iter().flat_map(|prompt| ["--prompt", prompt]).collect();
    world.reply(&[&["build", "--overwrite", "--output", "r.jsonl"][..], &prompts].concat());
    world.reply(&[&["create", "r.jsonl", "--new-run"][..], more].concat())["job"].as_str().unwrap().to_owned()
}

/// The entry of one job.
fn status(world: &World, handle: &str) -> Value {
    world.run(&["status", handle, "--json"]).json()["jobs"][0].clone()
}

fn evidence(status: &Value) -> &str {
    status["evidence"].as_str().unwrap_or_else(|| panic!("no evidence: {status}"))
}

#[test]
fn of_many_jobs_a_model_is_told_what_ended_and_how_many_more_there_are() {
    let world = slow_world();
    let mut agent = agent(&world);
    let create = |agent: &mut Server, n: usize| {
        let request = json!({"key": "a", "request": {"contents": [{"parts": [{"text": format!("number {n}")}]}]}});
        let created = agent.call("create_batch", &json!({"requests": [request], "name": format!("job-{n}")}));
        created["result"]["structuredContent"]["job"].as_str().unwrap().to_owned()
    };
    let jobs: Vec<_> = (0..45).map(|n| create(&mut agent, n)).collect();
    // Looked at a moment ago, so that all is told from here; the oldest has failed meanwhile.
    world.run(&["status"]);
    let reply = agent.call("check_status", &json!({"jobs": jobs}))["result"].clone();
    let data = &reply["structuredContent"];
    assert_eq!(data["jobs"].as_array().unwrap().len(), 20);
    change(&world, "UPDATE parts SET state = ?2 WHERE handle = ?1", (&jobs[44], "JOB_STATE_FAILED"));
    change(&world, "UPDATE jobs SET state = ?2 WHERE handle = ?1", (&jobs[44], "JOB_STATE_FAILED"));

    let reply = agent.call("check_status", &json!({"jobs": jobs}))["result"].clone();
    let data = &reply["structuredContent"];
    let shown: Vec<_> = data["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap()).collect();
    assert_eq!((shown.len(), shown[0]), (20, jobs[44].as_str()), "{data}");
    let next = data["next"].as_str().unwrap();
    let (before, call) =
        next.split_once("; 25 of 45 jobs are not shown here, which go on as they should: check_status ").unwrap();
    assert!(before.contains(&jobs[44]), "{next}");
    let rest = serde_json::Deserializer::from_str(call).into_iter::<Value>().next().unwrap().unwrap();
    assert!(call.ends_with(" shows the first of them, list_batches all"), "{next}");
    assert_eq!(rest["jobs"], json!(jobs[19..39]), "the next ones in the order in which they were named");
    let text = reply["content"][0]["text"].as_str().unwrap();
    assert!(text.len() < 8_000 && text.lines().count() == 21 && text.ends_with(next), "{text}");
    // At a shell all are there.
    assert_eq!(world.run(&["status", "--json"]).json()["jobs"].as_array().unwrap().len(), 44);
}

#[test]
fn the_time_left_is_told_from_jobs_that_ended_before_and_otherwise_not_at_all() {
    let world = slow_world();
    let prompts = ["one", "two"];
    let first = job(&world, &prompts, &[]);
    assert!(status(&world, &first)["eta_s"].is_null(), "nothing is known of this model");
    for took in [300, 720, 900] {
        succeeded(&world, &job(&world, &prompts, &[]), took);
    }
    // Other models, and jobs of another size, tell nothing of this one.
    succeeded(&world, &job(&world, &prompts, &["--model", "gemini-3.8-flash"]), 5);
    let many: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    succeeded(&world, &job(&world, &many.iter().map(String::as_str).collect::<Vec<_>>(), &[]), 6);
    age(&world, &first, 90);
    let seen = status(&world, &first);
    assert_eq!((&seen["state"], &seen["verdict"]), (&json!("JOB_STATE_PENDING"), &json!("normal")));
    assert_eq!(seen["usual_s"], 720, "the median");
    assert!((600..=630).contains(&seen["eta_s"].as_i64().unwrap()), "{seen}");
    let text = world.run(&["status", &first]).stdout;
    assert!(text.contains("about 10 min left (usually 12 min in all with this model)"), "{text}");
}

#[test]
fn own_progress_and_what_is_usual_make_the_time_left_and_parts_that_wait_count() {
    let clock = ManualClock::new(chrono::Utc::now());
    let world = World::with(|options| {
        options.clock = Arc::new(clock.clone());
        options.pace = Pace::realistic();
    });
    let prompts: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    let running = job(&world, &prompts, &[]);
    // Two minutes of waiting, and half of three minutes of work.
    clock.advance(Duration::from_secs(210));
    age(&world, &running, 210);
    let seen = status(&world, &running);
    assert_eq!((&seen["state"], &seen["done"]), (&json!("JOB_STATE_RUNNING"), &json!(10)));
    assert!((195..=215).contains(&seen["eta_s"].as_i64().unwrap()), "as long again, for all it knows: {seen}");
    assert!((2.7..=3.0).contains(&seen["per_minute"].as_f64().unwrap()), "ten in three minutes and a half: {seen}");
    for _ in 0..3 {
        succeeded(&world, &job(&world, &prompts, &[]), 300);
    }
    let seen = status(&world, &running);
    assert!((130..=160).contains(&seen["eta_s"].as_i64().unwrap()), "between 210 of its own and 90 of others: {seen}");

    let before = world.jobs_at_the_api() as u64;
    world.simulator.limits().set_batches(Some(before + 1));
    let waiting = job(&world, &prompts, &["--max-part-requests", "10"]);
    // A minute ago, by the clock of the API.
    age(&world, &waiting, 210 + 60);
    let seen = status(&world, &waiting);
    assert_eq!((&seen["verdict"], &seen["error"]), (&json!("waiting"), &Value::Null), "{seen}");
    assert!((500..=560).contains(&seen["eta_s"].as_i64().unwrap()), "240 for the first part, 300 for the next: {seen}");
}

#[test]
fn a_job_that_takes_three_times_as_long_as_others_is_slow() {
    let world = slow_world();
    let prompts = ["one", "two"];
    let first = job(&world, &prompts, &[]);
    for _ in 0..3 {
        succeeded(&world, &job(&world, &prompts, &[]), 300);
    }
    age(&world, &first, 14 * 60);
    assert_eq!(status(&world, &first)["verdict"], "normal");
    age(&world, &first, 2 * 60);
    let seen = status(&world, &first);
    assert_eq!(seen["verdict"], "slow");
    assert!(evidence(&seen).contains("16 min old; the last 3 like it took about 5 min"), "{seen}");
    assert!(seen["eta_s"].is_null(), "past what is usual nobody knows: {seen}");
}

#[test]
fn a_late_job_that_moves_is_slow_and_not_stuck() {
    let clock = ManualClock::new(chrono::Utc::now());
    let world = World::with(|options| {
        options.clock = Arc::new(clock.clone());
        let day_and_a_half = Duration::from_secs(36 * 3600);
        options.pace = Pace { minimum_running: day_and_a_half, maximum_running: day_and_a_half, ..Pace::instant() };
    });
    let late = job(&world, &["one", "two", "three", "four"], &[]);
    for (hours, done, verdict) in [(20, 2, "normal"), (5, 2, "stuck"), (3, 3, "slow")] {
        clock.advance(Duration::from_secs(hours * 3600));
        age(&world, &late, hours as i64 * HOUR);
        let seen = status(&world, &late);
        assert_eq!((&seen["done"], &seen["verdict"]), (&json!(done), &json!(verdict)), "{seen}");
    }
}

#[test]
fn a_job_is_slow_then_stuck_then_near_its_end_and_each_says_why() {
    let world = slow_world();
    let handle = job(&world, &["one", "two"], &[]);
    let mut hours = 0;
    for (at, verdict, why) in [
        (1, "normal", None),
        (3, "slow", Some("it was not started for 3.0 h")),
        (25, "stuck", Some("25.0 h old, past the 24 h that the API aims at; it was not started for 25.0 h")),
        (41, "near_expiry", Some("41.0 h old; the API drops it after 48 h, ")),
    ] {
        age(&world, &handle, (at - hours) * HOUR);
        hours = at;
        let seen = status(&world, &handle);
        assert_eq!(seen["verdict"], verdict, "{seen}");
        if let Some(why) = why {
            assert!(evidence(&seen).contains(why), "{seen}");
        }
        assert_eq!(seen["next"].is_array(), ["stuck", "near_expiry"].contains(&verdict), "{seen}");
    }
}

#[test]
fn what_is_done_about_a_stuck_job_is_spelled_as_calls_that_work() {
    let world = slow_world();
    let prompts: Vec<_> = (0..6).map(|n| format!("{n} [[simulate:partial]]")).collect();
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    let handle = job(&world, &prompts, &[]);
    age(&world, &handle, 30 * HOUR);
    let calls: Vec<_> = status(&world, &handle)["next"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call.as_str().unwrap().to_owned())
        .collect();
    let text = world.run(&["status", &handle]).stdout;
    let shell = format!("next: gemini-batch-mcp cancel {handle}, then gemini-batch-mcp status {handle} --wait, then");
    assert!(text.lines().last().unwrap().starts_with(&shell), "{text}");

    let mut agent = agent(&world);
    let mut made = Vec::new();
    for call in &calls {
        let (tool, arguments) = call.split_once(' ').unwrap();
        let answer = agent.call(tool, &serde_json::from_str(arguments).unwrap());
        let reply = &answer["result"]["structuredContent"];
        assert!(reply.is_object(), "{call}: {answer}");
        match tool {
            "check_status" => assert_eq!(reply["jobs"][0]["state"], "JOB_STATE_CANCELLED"),
            "get_results" => assert_eq!(reply["outcomes"]["answered"], 3),
            "retry_batch" => assert_eq!((&reply["requests"], &reply["submission"]), (&json!(3), &json!("created"))),
            _ => {}
        }
        made.push(tool);
    }
    assert_eq!(made, ["cancel_batch", "check_status", "get_results", "retry_batch"]);
    assert!(calls[3].contains("max_cost_usd"), "{calls:?}");
}

/// A server in the folder of a world, with its API and its ledger.
fn agent(world: &World) -> Server {
    let mut server = Server::start_with(|command| {
        command.current_dir(world.folder.path()).env("GEMINI_BATCH_HOME", world.path("home"));
        command.env("GOOGLE_API_KEY", "a-key-for-tests").env("GOOGLE_GEMINI_BASE_URL", world.simulator.url());
    });
    server.initialize("2025-11-25");
    server
}

#[test]
fn a_job_of_another_key_is_told_from_one_that_is_gone() {
    let world = slow_world();
    let handle = job(&world, &["one"], &[]);
    let other =
        world.command().env("GOOGLE_API_KEY", "another-key").args(["status", &handle, "--json"]).output().unwrap();
    let error: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "not_found");
    assert!(error["error"]["cause"].as_str().unwrap().contains("submitted with another key"), "{error}");
    assert_eq!(status(&world, &handle)["state"], "JOB_STATE_PENDING", "it is there for its own key");

    std::fs::remove_dir_all(world.path("api").join("batches")).unwrap();
    std::fs::create_dir(world.path("api").join("batches")).unwrap();
    age(&world, &handle, 60);
    let gone = world.refusal(&["status", &handle]);
    assert!(!gone["cause"].as_str().unwrap().contains("another key"), "{gone}");
    assert!(gone["hint"].as_str().unwrap().contains("deleted elsewhere"), "{gone}");
    age(&world, &handle, 600);
    let settled = status(&world, &handle);
    assert_eq!((&settled["state"], &settled["verdict"]), (&json!("JOB_STATE_FAILED"), &json!("ended")), "{settled}");
    assert!(settled["error"].as_str().unwrap().contains("has this batch no more"), "{settled}");
}

#[test]
fn a_batch_that_the_api_does_not_show_for_a_moment_is_waited_for() {
    let is_waited_for = |wait: &[&str]| {
        let world = World::new();
        let handle = job(&world, &["one"], &[]);
        let unknown = Fault::Status { code: 404, body: ErrorBody::Google { retry_after: None } };
        world.simulator.faults().next(Call::GetBatch, unknown);
        let begin = Instant::now();
        let waited = world.run(wait);
        assert_eq!(waited.code, 0, "{waited:?}");
        assert!(begin.elapsed() > Duration::from_secs(19), "it is not asked for again and again: {waited:?}");
        assert_eq!(status(&world, &handle)["state"], "JOB_STATE_SUCCEEDED");
        waited
    };
    std::thread::scope(|threads| {
        let waited = threads.spawn(|| is_waited_for(&["status", "--wait", "--json"]));
        threads.spawn(|| is_waited_for(&["run", "--watch", "--collect", "answers"]));
        let waited = waited.join().unwrap().json();
        assert_eq!(waited["jobs"][0]["evidence"], Value::Null, "what was in its way is over: {waited}");
    });
}

#[test]
fn of_a_job_in_parts_the_api_may_show_only_one() {
    let world = slow_world();
    let handle = job(&world, &["one", "two"], &["--max-part-requests", "1"]);
    let ended =
        "UPDATE parts SET state = 'JOB_STATE_SUCCEEDED', done = 1, ended_at = step_at WHERE handle = ?1 AND part = 2";
    change(&world, ended, [&handle]);
    let answer = |code| {
        age(&world, &handle, 60);
        let fault = Fault::Status { code, body: ErrorBody::Google { retry_after: None } };
        world.simulator.faults().always(Call::GetBatch, fault);
        let ran = world.run(&["status", &handle, "--json"]);
        world.simulator.faults().clear();
        ran.json()
    };
    // It says nothing of the others; a key that is refused does.
    let seen = answer(404);
    assert!(evidence(&seen["jobs"][0]).contains("cannot be looked at"), "{seen}");
    assert_eq!(answer(403)["error"]["kind"], "auth");
}

#[test]
fn what_failed_leads_to_its_results_and_what_was_refused_to_its_error() {
    let world = World::new();
    let failed = job(&world, &["[[simulate:job-failed]] one"], &[]);
    world.run(&["status", &failed, "--wait"]);
    let next = |handle: &str| world.run(&["status", handle, "--json"]).json()["next"].as_str().unwrap().to_owned();
    assert!(next(&failed).starts_with(&format!("get_results {{\"job\": \"{failed}\"}}")), "{}", next(&failed));
    world.reply(&["build", "--prompt", "two", "--output", "two.jsonl"]);
    let refused = Fault::Status { code: 400, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::CreateBatch, refused);
    world.refusal(&["create", "two.jsonl", "--name", "refused"]);
    let seen = world.run(&["status", "--json"]).json();
    assert!(seen["next"].as_str().unwrap().contains("was refused: see its error"), "{seen}");
    assert_eq!(seen["jobs"][0]["verdict"], "refused", "{seen}");
}

#[test]
fn some_of_the_answers_in_a_file_are_not_all_of_them() {
    for some in [&["--outcome", "failed"][..], &["--without-retries"]] {
        let world = World::new();
        let handle = job(&world, &["one", "[[simulate:failed]] two"], &[]);
        world.run(&["status", &handle, "--wait"]);
        world.results(&[&[handle.as_str(), "--output", "some.jsonl"], some].concat());
        let collected = world.run(&["run", "--collect", "answers", "--json"]).json()["collected"].clone();
        assert_eq!(
            (&collected[0]["job"], &collected[0]["requests"]),
            (&json!(handle), &json!(2)),
            "{some:?}: {collected}"
        );
    }
}

#[test]
fn nobody_waits_for_what_nobody_sends() {
    let world = slow_world();
    world.simulator.limits().set_batches(Some(0));
    let handle = job(&world, &["one"], &[]);
    let wait = ["status", &handle, "--wait", "--json"];
    for (name, value) in [("GOOGLE_API_KEY", "another-key"), ("GEMINI_BATCH_READ_ONLY", "1")] {
        let mut command = world.command();
        command.env(name, value).args(wait).args(["--timeout", "60"]);
        let begin = Instant::now();
        let ran = command.output().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(30), "{name}: {ran:?}");
        let seen: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(seen["jobs"][0]["verdict"], "waiting", "{name}: {seen}");
    }
    assert_eq!(world.jobs_at_the_api(), 0);
}

#[test]
fn nobody_waits_for_what_is_not_shown_to_them() {
    let world = slow_world();
    let handle = job(&world, &["one"], &[]);
    let is_told = |name: &str, value: &str, kind: &str| {
        let begin = Instant::now();
        let mut command = world.command();
        let ran =
            command.env(name, value).args(["status", &handle, "--wait", "--timeout", "60", "--json"]).output().unwrap();
        let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(told["error"]["kind"], kind, "{told}");
        assert!(begin.elapsed() < Duration::from_secs(30), "{told}");
    };
    is_told("GOOGLE_API_KEY", "another-key", "not_found");
    let refused = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().always(Call::GetBatch, refused);
    age(&world, &handle, 60);
    is_told("NO_COLOR", "1", "auth");
}

#[test]
fn a_batch_that_was_only_taken_for_gone_is_waited_for_again_and_not_repeated() {
    let world = slow_world();
    let handle = job(&world, &["one"], &[]);
    let (shown, hidden) = (world.path("api").join("batches"), world.path("hidden"));
    std::fs::rename(&shown, &hidden).unwrap();
    std::fs::create_dir(&shown).unwrap();
    age(&world, &handle, 600);
    assert_eq!(world.refusal(&["status", &handle])["kind"], "not_found", "once is not enough, however old it is");
    age(&world, &handle, 600);
    assert_eq!(status(&world, &handle)["state"], "JOB_STATE_FAILED");
    std::fs::remove_dir(&shown).unwrap();
    std::fs::rename(&hidden, &shown).unwrap();
    assert_eq!(world.refusal(&["retry", &handle, "--outcome", "missing"])["kind"], "wrong_state");
    assert_eq!((world.jobs_at_the_api(), &status(&world, &handle)["state"]), (1, &json!("JOB_STATE_PENDING")));
}

#[test]
fn a_batch_that_was_only_taken_for_gone_and_has_ended_is_what_the_api_says() {
    for (prompt, state, answered, cost) in [
        ("one", "JOB_STATE_SUCCEEDED", json!({"answered": 1}), true),
        ("[[simulate:job-failed]] one", "JOB_STATE_FAILED", json!({"answered": 0, "missing": 1}), false),
    ] {
        let clock = ManualClock::new(chrono::Utc::now());
        let world = World::with(|options| {
            options.clock = Arc::new(clock.clone());
            options.pace = Pace::realistic();
        });
        let handle = job(&world, &[prompt], &[]);
        let (shown, hidden) = (world.path("api").join("batches"), world.path("hidden"));
        std::fs::rename(&shown, &hidden).unwrap();
        std::fs::create_dir(&shown).unwrap();
        for _ in 0..2 {
            age(&world, &handle, 600);
            world.run(&["status", &handle]);
        }
        assert!(status(&world, &handle)["error"].as_str().unwrap().contains("has this batch no more"));
        std::fs::remove_dir(&shown).unwrap();
        std::fs::rename(&hidden, &shown).unwrap();
        clock.advance(Duration::from_secs(3600));

        let results = world.results(&[&handle, "--output", "out.jsonl"]);
        assert_eq!((&results["state"], &results["outcomes"]), (&json!(state), &answered), "{results}");
        assert!(!results["warnings"].to_string().contains("no more"), "{results}");
        let listed = world.reply(&["list", "--local"])["jobs"][0].clone();
        assert_eq!((&listed["state"], listed["cost_usd"].as_f64().is_some_and(|usd| usd > 0.0)), (&json!(state), cost));
        let seen = status(&world, &handle);
        let error = seen["error"].as_str().unwrap_or_default();
        assert_eq!((&seen["state"], &seen["done"]), (&json!(state), &answered["answered"]), "{seen}");
        assert_eq!((error.is_empty(), error.contains("no more")), (cost, false), "{seen}");
    }
}

#[test]
fn a_404_of_a_proxy_says_nothing_of_a_batch() {
    let world = slow_world();
    let handle = job(&world, &["one"], &[]);
    world.simulator.faults().always(Call::GetBatch, Fault::Status { code: 404, body: ErrorBody::Html });
    for _ in 0..2 {
        age(&world, &handle, 600);
        assert_eq!(world.refusal(&["status", &handle])["kind"], "unexpected_answer");
    }
    world.simulator.faults().clear();
    age(&world, &handle, 600);
    assert_eq!(status(&world, &handle)["state"], "JOB_STATE_PENDING");
}

#[test]
fn a_success_without_output_is_waited_for_and_called_one_after_half_an_hour() {
    let clock = ManualClock::new(chrono::Utc::now());
    let world = World::with(|options| options.clock = Arc::new(clock.clone()));
    let handle = job(&world, &["one"], &[]);
    world.simulator.faults().always(Call::GetBatch, Fault::SucceededWithoutOutput);
    let seen = status(&world, &handle);
    assert_eq!((&seen["state"], &seen["verdict"]), (&json!("JOB_STATE_RUNNING"), &json!("normal")));
    assert!(evidence(&seen).contains("its output is waited for"), "{seen}");

    let past = ManualClock::new(chrono::Utc::now() - chrono::TimeDelta::minutes(31));
    let world = World::with(|options| options.clock = Arc::new(past));
    let handle = job(&world, &["one"], &[]);
    world.simulator.faults().always(Call::GetBatch, Fault::SucceededWithoutOutput);
    let seen = status(&world, &handle);
    assert_eq!((&seen["state"], &seen["verdict"]), (&json!("JOB_STATE_SUCCEEDED"), &json!("ended")));
    assert!(seen["error"].as_str().unwrap().contains("its output is not there"), "{seen}");
}

#[test]
fn a_clock_that_is_wrong_makes_no_job_look_old() {
    for hours in [-50, -26, 50] {
        let clock = ManualClock::new(chrono::Utc::now() + chrono::TimeDelta::hours(hours));
        let world = World::with(|options| {
            options.clock = Arc::new(clock.clone());
            options.tells_its_time = true;
            options.pace = Pace::realistic();
        });
        let handle = job(&world, &["one"], &[]);
        let seen = status(&world, &handle);
        assert_eq!(
            (&seen["state"], &seen["verdict"]),
            (&json!("JOB_STATE_PENDING"), &json!("normal")),
            "{hours} h: {seen}"
        );
        assert!((0..60).contains(&seen["age_s"].as_i64().unwrap()), "{hours} h: {seen}");
        clock.advance(Duration::from_secs(25 * 3600));
        age(&world, &handle, 600);
        let seen = status(&world, &handle);
        assert_eq!(seen["state"], "JOB_STATE_SUCCEEDED", "{hours} h: {seen}");
    }
}

#[test]
fn an_output_is_waited_for_by_the_clock_of_the_api() {
    let clock = ManualClock::new(chrono::Utc::now() - chrono::TimeDelta::hours(7));
    let world = World::with(|options| {
        options.clock = Arc::new(clock.clone());
        options.tells_its_time = true;
    });
    let handle = job(&world, &["one"], &[]);
    world.simulator.faults().always(Call::GetBatch, Fault::SucceededWithoutOutput);
    assert_eq!(status(&world, &handle)["state"], "JOB_STATE_RUNNING", "it ended a moment ago");
    clock.advance(Duration::from_secs(31 * 60));
    // The first look sees what time it is there.
    let looks = [0, 1].map(|_| {
        age(&world, &handle, 600);
        status(&world, &handle)["state"].clone()
    });
    assert_eq!(looks, ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]);
}

#[test]
fn a_call_that_waits_is_answered_in_time_although_an_upload_takes_long() {
    let world = slow_world();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    world.simulator.limits().set_batches(Some(1));
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "1"]);
    assert_eq!(created["parts"]["waiting"], 1, "{created}");
    world.simulator.limits().set_batches(None);
    let_go(&world);
    world.simulator.faults().next(Call::Finalize, Fault::Delay(Duration::from_secs(18)));
    let mut agent = agent(&world);
    let started = Instant::now();
    let arguments = json!({"jobs": [created["job"]], "wait": true, "timeout_seconds": 2});
    let answer = agent.call("check_status", &arguments);
    assert_eq!(answer["result"]["structuredContent"]["all_ended"], false, "{answer}");
    assert!(started.elapsed() < Duration::from_secs(14), "{:?}", started.elapsed());
}

/// What waits may go out now.
fn let_go(world: &World) {
    change(world, "UPDATE parts SET not_before = NULL WHERE not_before IS NOT NULL", ());
    change(world, "DELETE FROM limits", ());
}

#[test]
fn a_wait_tells_of_a_job_that_a_message_cancelled_and_goes_on_meanwhile() {
    let world = slow_world();
    let handle = job(&world, &["one"], &[]);
    let mut agent = agent(&world);
    let mut wait =
        request("tools/call", &json!({"name": "check_status", "arguments": {"jobs": [handle], "wait": true}}));
    wait["id"] = json!("wait");
    agent.send_line(&wait.to_string());
    // Another process cancels it: the wait hears of it in the ledger.
    world.reply(&["cancel", &handle]);
    let answer: Value = serde_json::from_str(&agent.next_line()).unwrap();
    assert_eq!(answer["id"], "wait");
    assert_eq!(answer["result"]["structuredContent"]["jobs"][0]["state"], "JOB_STATE_CANCELLED", "{answer}");
}

#[test]
fn run_sends_what_waits_follows_it_to_the_end_and_brings_the_answers_home() {
    let world = World::with(|options| options.pace = Pace::demo());
    let prompts: Vec<_> = (0..6).flat_map(|n| ["--prompt".to_owned(), format!("number {n}")]).collect();
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    world.reply(&[&["build", "--output", "r.jsonl"][..], &prompts].concat());
    world.simulator.limits().set_batches(Some(1));
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    let handle = created["job"].as_str().unwrap();
    assert_eq!(created["parts"]["waiting"], 2, "{created}");
    let once = world.run(&["run"]);
    assert_eq!(once.code, 3, "{once:?}");
    assert!(once.stderr.contains(handle) && once.stdout.contains("0 jobs ended, 1 not"), "{once:?}");
    world.simulator.limits().set_batches(None);
    let_go(&world);

    let watched = world.run(&["run", "--watch", "--collect", "answers", "--timeout", "100"]);
    assert_eq!(watched.code, 0, "{watched:?}");
    let lines: Vec<_> = watched.stderr.lines().collect();
    assert!(lines.iter().any(|line| line.contains("JOB_STATE_RUNNING")), "{lines:?}");
    assert!(lines.last().unwrap().contains("results in"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("JOB_STATE_SUCCEEDED")).count(), 1, "{lines:?}");
    let file = format!("answers/{handle}.results.jsonl");
    assert_eq!(world.lines(&file).len(), 6);
    assert_eq!(world.jobs_at_the_api(), 3);

    let idle = world.run(&["run", "--watch", "--collect", "answers", "--json"]);
    assert_eq!((idle.code, idle.json()["jobs"].as_array().unwrap().len()), (0, 0), "{idle:?}");
}

#[test]
fn run_sends_what_waits_to_its_end_although_nobody_watches() {
    let world = World::new();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    job(&world, &["one"], &[]);
    let_go(&world);
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(2)));
    let once = world.run(&["run", "--json"]);
    assert_eq!(world.jobs_at_the_api(), 1, "{once:?}");
    assert_eq!(once.json()["jobs"][0]["waits_for"], Value::Null, "{once:?}");
}

#[test]
fn results_that_break_off_are_asked_for_three_times_half_a_minute_apart() {
    let world = World::new();
    let handle = job(&world, &["one"], &[]);
    world.simulator.faults().always(Call::Download, Fault::EndBodyAfter(40));
    let start = Instant::now();
    let ran = world.run(&["run", "--watch", "--collect", "answers", "--timeout", "90", "--json"]);
    assert_eq!((ran.code, &ran.json()["not_collected"]), (1, &json!([handle])), "{ran:?}");
    assert_eq!(world.simulator.log().calls(Call::Download), 3);
    assert!((55..85).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    world.simulator.faults().clear();
    let again = world.run(&["run", "--collect", "answers", "--json"]);
    assert_eq!((again.code, again.json()["collected"].as_array().unwrap().len()), (0, 1), "{again:?}");
}

#[test]
fn run_collects_nothing_of_jobs_without_answers() {
    let world = World::new();
    let deleted = job(&world, &["one"], &[]);
    world.reply(&["status", &deleted, "--wait"]);
    world.reply(&["delete", &deleted]);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(60)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    let withdrawn = job(&world, &["two"], &[]);
    world.reply(&["cancel", &withdrawn]);
    let ran = world.run(&["run", "--collect", "answers", "--json"]);
    assert_eq!((ran.code, &ran.json()["collected"]), (0, &json!([])), "{ran:?}");
}

#[test]
fn run_collects_what_ended_unseen_replaces_nothing_and_tells_a_bad_end() {
    let world = World::new();
    let good = job(&world, &["one"], &[]);
    world.reply(&["status", &good, "--wait"]);
    // Its answers are on this machine already, in no file yet: as of a run that was killed, or whose disk was full.
    world.results(&[&good, "--limit", "1"]);
    let seen = job(&world, &["[[simulate:failed]] four"], &[]);
    world.run(&["status", &seen, "--wait"]);
    let taken = job(&world, &["two"], &[]);
    std::fs::create_dir(world.path("answers")).unwrap();
    world.write(&format!("answers/{taken}.results.jsonl"), "mine");
    let bad = job(&world, &["three [[simulate:job-failed]]"], &[]);
    let ran = world.run(&["run", "--collect", "answers", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let reply = ran.json();
    assert_eq!((&reply["all_ended"], &reply["not_collected"]), (&json!(true), &json!([taken])), "{reply}");
    assert_eq!(world.lines(&format!("answers/{good}.results.jsonl")).len(), 1, "it had ended before");
    assert_eq!(world.read(&format!("answers/{taken}.results.jsonl")), "mine");
    assert!(reply["warnings"].to_string().contains("a file of that name exists"), "{reply}");
    assert!(ran.stderr.contains(&bad), "{ran:?}");
    for badly in [&seen, &bad] {
        assert_eq!(world.lines(&format!("answers/{badly}.results.jsonl")).len(), 1, "also what has no answer");
    }

    std::fs::remove_file(world.path(&format!("answers/{taken}.results.jsonl"))).unwrap();
    let again = world.run(&["run", "--collect", "answers", "--json"]).json();
    assert_eq!(again["collected"].as_array().unwrap().len(), 1, "{again}");
    assert_eq!(world.lines(&format!("answers/{taken}.results.jsonl")).len(), 1);
    // Nothing is told of twice, whoever wrote it.
    let idle = world.run(&["run", "--collect", "answers", "--json"]);
    assert_eq!((idle.code, idle.json().get("warnings")), (0, None), "{idle:?}");
}

#[test]
fn run_takes_a_refused_job_for_one_that_ended_badly_and_says_when_it_may_not_look() {
    let world = slow_world();
    world.simulator.limits().set_batches(Some(0));
    let created = world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    assert_eq!(created["requests"], 1);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "queued");
    world.simulator.limits().set_batches(None);
    let_go(&world);
    world
        .simulator
        .faults()
        .next(Call::CreateBatch, Fault::Status { code: 400, body: ErrorBody::Google { retry_after: None } });
    let refused = world.run(&["run", "--watch", "--timeout", "60", "--json"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert_eq!(refused.json()["jobs"][0]["verdict"], "refused", "{refused:?}");
    assert_eq!(world.run(&["run", "--watch"]).code, 0, "what was refused waits for a person");

    let other = job(&world, &["two"], &[]);
    let blind = world.command().env("GOOGLE_API_KEY", "invalid").args(["run", "--watch"]).output().unwrap();
    assert_eq!(blind.status.code(), Some(1), "{other}: {blind:?}");
}
