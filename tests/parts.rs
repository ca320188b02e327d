//! A job that is too large for one batch goes out in parts, as there is room, and is one job all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, Pace};
use serde_json::Value;
use support::ledger::{open, time_passes};
use support::remembered::age;
use support::requests::requests;
use support::world::World;

/// A world with a request file of five prompts.
fn world() -> World {
    let world = World::new();
    let prompts: Vec<_> = (1..=5).flat_map(|n| ["--prompt".to_owned(), format!("number {n}")]).collect();
    let arguments: Vec<_> =
        ["build", "--output", "r.jsonl"].into_iter().chain(prompts.iter().map(String::as_str)).collect();
    world.reply(&arguments);
    world
}

fn handle(reply: &Value) -> &str {
    reply["job"].as_str().unwrap()
}

/// All five answers, once each, whatever became of the parts on the way.
fn all_answers(world: &World, handle: &str) {
    world.reply(&["status", handle, "--wait", "--timeout", "60"]);
    let results = world.reply(&["results", handle, "--output", "out.jsonl", "--overwrite"]);
    assert_eq!(results["outcomes"]["answered"], 5, "{results}");
    let mut keys: Vec<_> =
        world.lines("out.jsonl").iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 5);
}

#[test]
fn a_file_is_cut_into_parts_under_one_handle() {
    let world = world();
    let planned = world.reply(&["create", "r.jsonl", "--max-part-requests", "2", "--dry-run"]);
    assert_eq!(planned["parts"]["total"], 3);
    assert_eq!(world.jobs_at_the_api(), 0);
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!((created["submission"].as_str(), &created["requests"]), (Some("created"), &5.into()));
    assert_eq!(world.jobs_at_the_api(), 3);
    let history = world.reply(&["history", handle(&created), "--all"]);
    let told = |word: &str| history["events"].as_array().unwrap().iter().filter(|event| event["event"] == word).count();
    assert_eq!((told("created"), told("adopted")), (3, 0), "{history}");
    let again = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!((again["submission"].as_str(), &again["job"]), (Some("found"), &created["job"]));
    // However it would be cut: the content is the same.
    assert_eq!(world.reply(&["create", "r.jsonl"])["job"], created["job"]);
    all_answers(&world, handle(&created));
    assert_eq!(world.jobs_at_the_api(), 3);
}

#[test]
fn the_uploads_of_all_parts_are_the_file() {
    let world = world();
    let created = world.reply(&["create", "r.jsonl", "--max-part-bytes", "200"]);
    let parts = usize::try_from(created["parts"]["total"].as_i64().unwrap()).unwrap();
    assert!(parts > 1);
    let size = std::fs::metadata(world.path("r.jsonl")).unwrap().len();
    let uploads = world.path("api").join("files");
    let sizes = std::fs::read_dir(uploads).unwrap().map(|entry| entry.unwrap().path().join("data"));
    assert_eq!(sizes.map(|data| std::fs::metadata(data).unwrap().len()).sum::<u64>(), size);
    all_answers(&world, handle(&created));
}

#[test]
fn what_the_tier_does_not_take_at_once_goes_out_in_parts() {
    let world = World::new();
    let rows: Vec<_> =
        (0..40).map(|n| serde_json::json!({"text": format!("{n} {}", "word ".repeat(20_000))}).to_string()).collect();
    world.write("rows.jsonl", &rows.join("\n"));
    let model = ["--model", "gemini-embedding-001"];
    world.reply(
        &[&["build", "rows.jsonl", "--kind", "embed", "--template", "{{ text }}", "--output", "r.jsonl"][..], &model]
            .concat(),
    );
    let whole = world.reply(&["create", "r.jsonl", "--dry-run"]);
    assert!(whole["parts"].is_null(), "without a tier nothing is known of limits: {whole}");
    // About a million tokens, and tier 1 may have half a million of this model enqueued.
    let parts = world.reply(&["create", "r.jsonl", "--dry-run", "--tier", "1"]);
    assert!((2..=4).contains(&parts["parts"]["total"].as_i64().unwrap()), "{parts}");
    let sent = world.reply(&["create", "r.jsonl", "--tier", "1"]);
    assert!(world.jobs_at_the_api() >= 1);
    // Whether there is room again is looked at once a minute.
    for _ in 0..parts["parts"]["total"].as_i64().unwrap() {
        world.run(&["status", handle(&sent), "--wait", "--timeout", "2", "--tier", "1"]);
        time_passes(&world, Duration::from_secs(120));
    }
    let done = world.reply(&["status", handle(&sent), "--wait", "--timeout", "30", "--tier", "1"]);
    assert_eq!(done["jobs"][0]["state"], "JOB_STATE_SUCCEEDED", "{done}");
    assert_eq!(world.jobs_at_the_api() as i64, parts["parts"]["total"].as_i64().unwrap());
}

#[test]
fn a_part_without_room_waits_and_goes_out_by_itself() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().nth(Call::CreateBatch, 2, full);
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!((&created["parts"]["waiting"], &created["parts"]["total"]), (&2.into(), &3.into()));
    assert!(created["waits_for"].as_str().unwrap().contains("no room"), "{created}");
    let status = world.run(&["status", handle(&created), "--json"]).json();
    assert_eq!(status["jobs"][0]["verdict"], "waiting", "{status}");
    // Whatever becomes of the caller's file: what waits is kept.
    std::fs::remove_file(world.path("r.jsonl")).unwrap();
    all_answers(&world, handle(&created));
    assert_eq!(world.jobs_at_the_api(), 3);
    let kept = world.path("home").join("jobs").join(handle(&created)).join("requests.jsonl");
    assert!(!kept.exists(), "nothing waits any more");
}

#[test]
fn what_the_api_alone_knows_to_be_too_large_is_cut_by_the_same_call_with_smaller_parts() {
    let world = world();
    world.simulator.limits().set_enqueued_tokens(Some(6));
    let whole = world.reply(&["create", "r.jsonl"]);
    assert_eq!((&whole["submission"], &whole["parts"]), (&"queued".into(), &Value::Null), "{whole}");
    let text = world.run(&["status"]).stdout;
    assert!(text.contains("the same gemini-batch-mcp create call with --max-part-requests"), "{text}");
    time_passes(&world, Duration::from_secs(3600));
    let cut = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!((&cut["job"], &cut["parts"]["total"], &cut["requests"]), (&whole["job"], &3.into(), &5.into()), "{cut}");
    all_answers(&world, handle(&cut));
    assert_eq!(world.jobs_at_the_api(), 3);
    assert_eq!(world.reply(&["create", "r.jsonl", "--max-part-requests", "1"])["submission"], "found");
}

#[test]
fn what_may_be_at_the_api_is_not_cut_anew() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetBeforeActing);
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    assert_eq!(world.refusal(&["create", "r.jsonl", "--max-part-requests", "2"])["kind"], "unclear_outcome");
}

#[test]
fn what_somebody_is_about_to_send_is_not_cut_anew() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::Status { code: 429, body: ErrorBody::HelpOnly });
    let queued = world.reply(&["create", "r.jsonl"]);
    assert_eq!(queued["submission"], "queued");
    time_passes(&world, Duration::from_secs(3600));
    world.simulator.faults().next(Call::ListBatches, Fault::Delay(Duration::from_secs(5)));
    let sending = world.command().args(["create", "r.jsonl", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    let held = "SELECT count(*) FROM leases WHERE name LIKE 'job %'";
    while open(&world).query_row(held, [], |row| row.get::<_, i64>(0)).unwrap() == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "nobody sends it");
        std::thread::sleep(Duration::from_millis(10));
    }
    let again = world.reply(&["create", "r.jsonl", "--max-part-requests", "1"]);
    assert_eq!((&again["job"], &again["parts"]), (&queued["job"], &Value::Null), "{again}");
    assert!(sending.wait_with_output().unwrap().status.success());
    assert_eq!(world.jobs_at_the_api(), 1);
    all_answers(&world, handle(&queued));
}

#[test]
fn a_lost_ledger_does_not_send_parts_twice() {
    let world = world();
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let adopted = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!((adopted["submission"].as_str(), &adopted["job"]), (Some("adopted"), &created["job"]));
    std::fs::remove_dir_all(world.path("home")).unwrap();
    // Cut otherwise, parts of both cuts would ask some requests twice.
    let refused = world.refusal(&["create", "r.jsonl", "--max-part-requests", "3"]);
    assert_eq!(refused["kind"], "wrong_state");
    assert!(refused["hint"].as_str().unwrap().contains("max_part_requests"), "{refused}");
    std::fs::remove_dir_all(world.path("home")).unwrap();
    // By its handle alone.
    let status = world.reply(&["status", handle(&created)]);
    assert_eq!((&status["jobs"][0]["job"], &status["jobs"][0]["requests"]), (&created["job"], &5.into()), "{status}");
    assert_eq!(world.jobs_at_the_api(), 3);
    all_answers(&world, handle(&created));
}

#[test]
fn one_part_of_another_cut_is_enough_to_refuse() {
    let world = world();
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "1"]);
    assert_eq!(created["parts"]["total"], 5);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let batches = world.path("api").join("batches");
    for batch in std::fs::read_dir(&batches).unwrap().map(|entry| entry.unwrap().path()) {
        // Its number is that of no part of the other cut.
        if !world.read(batch.join("batch.json").to_str().unwrap()).contains("-p5of5") {
            std::fs::remove_dir_all(batch).unwrap();
        }
    }
    assert_eq!(world.refusal(&["create", "r.jsonl", "--max-part-requests", "2"])["kind"], "wrong_state");
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn a_part_that_was_not_sent_before_the_ledger_was_lost_is_sent_once() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
    world.simulator.faults().nth(Call::CreateBatch, 3, full);
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!(world.jobs_at_the_api(), 2);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    // A look by the handle brings back what is there; the call that made it completes it.
    world.run(&["status", handle(&created), "--json"]);
    // Whatever the file is called by then.
    std::fs::rename(world.path("r.jsonl"), world.path("moved.jsonl")).unwrap();
    let again = world.reply(&["create", "moved.jsonl", "--max-part-requests", "2"]);
    assert_eq!(again["job"], created["job"]);
    assert_eq!(world.jobs_at_the_api(), 3, "{again}");
    let history = world.reply(&["history", handle(&created), "--all"])["events"].to_string();
    assert!(history.contains("part 3: wanted: 1 requests") && !history.contains("part 2: wanted"), "{history}");
    all_answers(&world, handle(&created));
}

#[test]
fn a_job_of_which_some_was_found_and_some_had_to_be_made_is_created() {
    let world = world();
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    lose_first_batch(&world, &created);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let again = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!((&again["submission"], world.jobs_at_the_api()), (&"created".into(), 3), "{again}");
    all_answers(&world, handle(&again));
}

#[test]
fn a_process_killed_between_two_parts_is_continued_by_whoever_runs_next() {
    let world = world();
    world.simulator.faults().nth(Call::CreateBatch, 2, Fault::Delay(Duration::from_secs(20)));
    let mut child = world.command().args(["create", "r.jsonl", "--max-part-requests", "2"]).spawn().unwrap();
    let started = Instant::now();
    while world.jobs_at_the_api() < 2 {
        assert!(started.elapsed() < Duration::from_secs(30), "no second part was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(world.path("r.jsonl")).unwrap();
    let list = world.reply(&["list"]);
    let handle = list["jobs"][0]["job"].as_str().unwrap();
    let done = world.run(&["status", handle, "--wait", "--timeout", "100", "--json"]);
    assert_eq!(done.json()["jobs"][0]["state"], "JOB_STATE_SUCCEEDED", "{done:?}");
    assert_eq!(world.jobs_at_the_api(), 3);
    all_answers(&world, handle);
}

#[test]
fn cancelling_holds_back_what_was_not_sent() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
    world.simulator.faults().nth(Call::CreateBatch, 2, full);
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    let cancelled = world.reply(&["cancel", handle(&created)]);
    assert_eq!(cancelled["state"], "JOB_STATE_CANCELLED", "{cancelled}");
    let told = world.run(&["status", handle(&created), "--json"]).json();
    assert!(told["jobs"][0]["error"].is_null(), "why the rest waited is of no interest any more: {told}");
    world.run(&["status", "--wait", "--timeout", "3"]);
    assert_eq!(world.jobs_at_the_api(), 1);
    let results = world.results(&[handle(&created), "--output", "out.jsonl"]);
    assert_eq!(
        (&results["outcomes"]["answered"], &results["outcomes"]["missing"]),
        (&2.into(), &3.into()),
        "{results}"
    );
    // Asked for again, the rest goes out.
    world.simulator.faults().clear();
    let refused = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert_eq!(refused["job"], created["job"]);
}

#[test]
fn trouble_with_one_part_keeps_no_other_from_being_cancelled() {
    let world = World::with(|options| options.pace = Pace::realistic());
    let created = five(&world);
    let gone = Fault::Status { code: 404, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().nth(Call::CancelBatch, 1, gone);
    let cut = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().nth(Call::CancelBatch, 2, cut);
    let error = world.refusal(&["cancel", handle(&created)]);
    assert_eq!(error["kind"], "not_found", "the first trouble with a part that goes on is told: {error}");
    assert_eq!(world.simulator.log().calls(Call::CancelBatch), 3);
    let status = world.run(&["status", handle(&created), "--json"]).json();
    assert_ne!(status["jobs"][0]["state"], "JOB_STATE_CANCELLED", "two go on: {status}");
    let again = world.reply(&["cancel", handle(&created)]);
    assert_eq!(again["state"], "JOB_STATE_CANCELLED", "{again}");
}

#[test]
fn one_part_that_goes_on_is_told_and_one_that_was_stopped_all_the_same_is_not() {
    let world = World::with(|options| options.pace = Pace::realistic());
    let created = five(&world);
    let refused = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().nth(Call::CancelBatch, 2, refused);
    assert_eq!(world.refusal(&["cancel", handle(&created)])["kind"], "auth", "it goes on, and is paid");
    world.simulator.faults().next(Call::CancelBatch, Fault::ResetAfterActing);
    assert_eq!(world.reply(&["cancel", handle(&created)])["state"], "JOB_STATE_CANCELLED");
}

#[test]
fn what_runs_is_cancelled_although_it_is_not_known_what_became_of_another_part() {
    let world = World::with(|options| options.pace = Pace::realistic());
    world.write("rows.jsonl", "{\"n\": 1}\n{\"n\": 2}\n");
    world.reply(&["build", "rows.jsonl", "--template", "number {{n}}", "--output", "r.jsonl"]);
    world.simulator.faults().nth(Call::CreateBatch, 2, Fault::ResetBeforeActing);
    assert_eq!(world.refusal(&["create", "r.jsonl", "--max-part-requests", "1"])["kind"], "unclear_outcome");
    assert_eq!(world.refusal(&["cancel", "r"])["kind"], "unclear_outcome");
    assert_eq!(world.simulator.log().calls(Call::CancelBatch), 1, "the first part runs no more");
    let next = world.run(&["status", "r", "--json"]).json()["next"].as_str().unwrap().to_owned();
    assert!(next.contains("cancel_batch"), "{next}");
    time_passes(&world, Duration::from_secs(500));
    assert_eq!(world.reply(&["cancel", "r"])["state"], "JOB_STATE_CANCELLED");
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 2, "and the second one is not sent again");
}

#[test]
fn a_result_file_that_cannot_be_had_holds_back_no_other_answers() {
    let world = World::new();
    let created = five(&world);
    world.run(&["status", handle(&created), "--wait"]);
    let refused = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::Download, refused);
    let error = world.refusal(&["results", handle(&created), "--output", "out.jsonl"]);
    assert_eq!(error["kind"], "auth", "so soon after the end it is another trouble: {error}");
    assert!(!error["hint"].as_str().unwrap().contains("make the same call again later"), "{error}");
    let gone = Fault::Status { code: 404, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::Download, gone);
    let error = world.refusal(&["results", handle(&created), "--output", "out.jsonl"]);
    assert!(error["hint"].as_str().unwrap().contains("make the same call again later"), "{error}");
    let kept = std::fs::read_dir(world.path("home").join("jobs").join(handle(&created))).unwrap();
    let kept = kept.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("results"));
    assert_eq!(kept.count(), 2, "the other two are here");
    let a_day_ago = (Utc::now() - TimeDelta::hours(25)).to_rfc3339();
    open(&world).execute("UPDATE parts SET ended_at = ?1", [a_day_ago]).unwrap();
    world.simulator.faults().next(Call::Download, refused);
    let results = world.results(&[handle(&created), "--output", "out.jsonl"]);
    assert_eq!(results["outcomes"], serde_json::json!({"answered": 3, "missing": 2}), "{results}");
    assert!(results["cost_usd"].is_null(), "those were billed: {results}");
    assert!(results["warnings"].to_string().contains("counts as missing here"), "{results}");
}

#[test]
fn what_has_ended_comes_home_while_the_rest_waits() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(3600)) } };
    world.simulator.faults().nth(Call::CreateBatch, 2, full);
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    world.run(&["status", handle(&created), "--wait", "--timeout", "2"]);
    let early = world.run(&["results", handle(&created), "--json"]).json();
    assert!(early["warnings"].to_string().contains("the answers of 1 of its 3 parts are safe"), "{early}");
    assert_eq!(world.simulator.log().calls(Call::Download), 1);
    // Whatever the API drops meanwhile.
    lose_first_batch(&world, &created);
    time_passes(&world, Duration::from_secs(7200));
    all_answers(&world, handle(&created));
}

#[test]
fn what_has_ended_comes_home_while_the_rest_runs() {
    let (world, clock) = World::timed();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    world.simulator.limits().set_batches(Some(1));
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "1"]);
    clock.advance(Duration::from_secs(7200));
    world.simulator.limits().set_batches(None);
    time_passes(&world, Duration::from_secs(7200));
    world.run(&["status", handle(&created), "--wait", "--timeout", "3"]);
    let early = world.run(&["results", handle(&created), "--json"]).json();
    assert!(early["warnings"].to_string().contains("the answers of 1 of its 2 parts are safe"), "{early}");
    assert_eq!((world.jobs_at_the_api(), world.simulator.log().calls(Call::Download)), (2, 1));
}

#[test]
fn a_call_that_gives_up_leaves_the_parts_to_the_one_that_sends_them() {
    let world = world();
    world.simulator.faults().nth(Call::CreateBatch, 1, Fault::Delay(Duration::from_secs(3)));
    let (first, second) = one_behind_the_other(&world, &["--max-part-requests", "2"], Call::CreateBatch);
    interrupt(second);
    let first = first.wait_with_output().unwrap();
    let reply: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(reply["parts"]["running"], 3, "{reply}");
    assert_eq!(world.jobs_at_the_api(), 3);
}

#[test]
fn who_waits_for_a_call_that_gives_up_sends_the_job_itself() {
    let world = world();
    world.simulator.faults().next(Call::Finalize, Fault::Delay(Duration::from_secs(4)));
    let (first, second) = one_behind_the_other(&world, &[], Call::Finalize);
    interrupt(first);
    let reply: Value = serde_json::from_slice(&second.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(reply["submission"], "created", "{reply}");
    assert_eq!(world.jobs_at_the_api(), 1);
}

/// Two calls that create the same job: the first is in the middle of this call of the API, the second waits for it.
fn one_behind_the_other(world: &World, more: &[&str], call: Call) -> (Child, Child) {
    let create = || {
        let mut command = world.command();
        command.args(["create", "r.jsonl", "--json"]).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let first = create();
    let started = Instant::now();
    while world.simulator.log().calls(call) == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "the first one does not come so far");
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = create();
    std::thread::sleep(Duration::from_millis(500));
    (first, second)
}

/// Somebody presses Ctrl-C.
fn interrupt(running: Child) {
    let told = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(!running.wait_with_output().unwrap().status.success(), "it was given up");
}

/// Five prompts in three parts, on their way.
fn five(world: &World) -> Value {
    let rows: Vec<_> = (1..=5).map(|n| serde_json::json!({"n": n}).to_string()).collect();
    world.write("rows.jsonl", &rows.join("\n"));
    world.reply(&["build", "rows.jsonl", "--template", "number {{n}}", "--output", "r.jsonl"]);
    world.reply(&["create", "r.jsonl", "--max-part-requests", "2"])
}

/// Somebody else deletes the batch of the first part.
fn lose_first_batch(world: &World, created: &Value) {
    let first = created["remote_name"].as_str().unwrap().strip_prefix("batches/").unwrap();
    std::fs::remove_dir_all(world.path("api").join("batches").join(first)).unwrap();
}

#[test]
fn a_batch_that_failed_without_an_answer_cost_nothing_when_it_is_gone_too() {
    let world = World::new();
    world.reply(&["build", "--prompt", "[[simulate:job-failed]] one", "--output", "r.jsonl"]);
    let created = world.reply(&["create", "r.jsonl"]);
    let handle = handle(&created);
    world.run(&["status", handle, "--wait", "--timeout", "60"]);
    lose_first_batch(&world, &created);
    assert_eq!(world.refusal(&["results", handle])["kind"], "not_found");
    age(&world, handle, 600);
    let results = world.results(&[handle]);
    assert_eq!((&results["outcomes"]["missing"], &results["cost_usd"]), (&1.into(), &0.0.into()), "{results}");
    assert_eq!(world.reply(&["retry", handle])["requests"], 1);
}

/// It may only not show up yet; later it is gone, and what the others answered is there. The retry of the rest.
fn others_answers_are_there(world: &World, handle: &str) -> Value {
    assert_eq!(world.refusal(&["results", handle, "--output", "out.jsonl"])["kind"], "not_found");
    age(world, handle, 600);
    let results = world.results(&[handle, "--output", "out.jsonl"]);
    assert_eq!(
        (&results["outcomes"]["answered"], &results["outcomes"]["missing"]),
        (&3.into(), &2.into()),
        "{results}"
    );
    assert!(results["warnings"].to_string().contains("has a batch no more"), "{results}");
    // Nobody knows whether they were answered and billed: only who asks for them by name pays again.
    assert_eq!(world.refusal(&["retry", handle])["kind"], "wrong_state");
    world.reply(&["retry", handle, "--outcome", "missing"])
}

#[test]
fn a_part_that_is_gone_keeps_no_other_from_being_waited_for() {
    let world = World::with(|options| options.pace = Pace::demo());
    world.write("r.jsonl", &requests(5, "one of five"));
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    lose_first_batch(&world, &created);
    let waited = world.run(&["status", handle(&created), "--wait", "--timeout", "60", "--json"]);
    let job = &waited.json()["jobs"][0];
    assert_eq!((waited.code, &job["done"], &job["requests"]), (3, &3.into(), &5.into()), "{waited:?}");
    assert_eq!(job["percent"], 60.0, "{job}");
    assert!(job["evidence"].as_str().unwrap().contains("cannot be looked at"), "{job}");
    let retried = others_answers_are_there(&world, handle(&created));
    assert_eq!((&retried["requests"], &retried["submission"]), (&2.into(), &"created".into()), "{retried}");
    world.reply(&["status", handle(&retried), "--wait", "--timeout", "60"]);
    let results = world.reply(&["results", handle(&created), "--output", "all.jsonl"]);
    assert_eq!(results["outcomes"]["answered"], 5, "{results}");
}

#[test]
fn answers_that_are_gone_before_they_were_fetched_hold_back_no_others() {
    let world = world();
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
    world.reply(&["status", handle(&created), "--wait", "--timeout", "60"]);
    lose_first_batch(&world, &created);
    assert_eq!(others_answers_are_there(&world, handle(&created))["requests"], 2);
}

#[test]
fn a_new_run_goes_on_with_what_was_begun_unless_that_is_over() {
    let create = ["create", "r.jsonl", "--max-part-requests", "2"];
    let new_run = |world: &World| world.reply(&[&create[..], &["--new-run"]].concat());
    let refused = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(60)) } };
    // Given up after its first part: the rest of it is what is lacking.
    let world = self::world();
    world.simulator.faults().nth(Call::CreateBatch, 2, refused);
    world.refusal(&create);
    let begun = world.reply(&["list"])["jobs"][0].clone();
    let again = new_run(&world);
    assert_eq!((&again["job"], world.jobs_at_the_api()), (&begun["job"], 3), "{again}");
    // Cancelled after its first part: nobody wants the rest of it.
    let world = self::world();
    world.simulator.faults().nth(Call::CreateBatch, 2, full);
    let begun = world.reply(&create);
    world.reply(&["cancel", handle(&begun)]);
    time_passes(&world, Duration::from_secs(3600));
    let again = new_run(&world);
    assert_ne!(again["job"], begun["job"]);
    assert_eq!((&again["parts"]["total"], world.jobs_at_the_api()), (&3.into(), 4), "{again}");
    // Cancelled before anything was sent: there is no run but this.
    let world = self::world();
    world.simulator.faults().next(Call::CreateBatch, full);
    let begun = world.reply(&create);
    world.reply(&["cancel", handle(&begun)]);
    time_passes(&world, Duration::from_secs(3600));
    let again = new_run(&world);
    assert_eq!((&again["job"], world.jobs_at_the_api()), (&begun["job"], 3), "{again}");
    // Cancelled when nobody knew what became of its second part: that is found out first.
    let world = self::world();
    world.simulator.faults().nth(Call::CreateBatch, 2, Fault::ResetBeforeActing);
    assert_eq!(world.refusal(&create)["kind"], "unclear_outcome");
    world.run(&["cancel", "r"]);
    assert_eq!(world.refusal(&[&create[..], &["--new-run"]].concat())["kind"], "unclear_outcome");
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn limits_that_make_no_sense_are_refused_before_anything_is_sent() {
    let world = world();
    for (flag, value) in [("--max-part-requests", "0"), ("--max-part-bytes", "-3")] {
        let refused = world.refused(&["create", "r.jsonl", &format!("{flag}={value}")]);
        assert_eq!(refused["kind"], "invalid_argument", "{refused}");
    }
    let tier = world.run(&["create", "r.jsonl", "--tier", "9"]);
    assert_eq!(tier.code, 2, "{tier:?}");
    let line =
        |n: usize| format!(r#"{{"key":"{n}","request":{{"contents":[{{"parts":[{{"text":"Hello"}}]}}]}}}}"#) + "\n";
    let lines: String = (0..1001).map(line).collect();
    world.write("many.jsonl", &lines);
    let many = world.refused(&["create", "many.jsonl", "--max-part-requests", "1"]);
    assert!(many["cause"].as_str().unwrap().starts_with("it would be 1001 parts"), "{many}");
    assert!(world.simulator.log().entries().is_empty());
}

#[test]
fn what_cannot_be_sent_behind_a_call_for_a_while_is_not_given_up() {
    let mut world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().nth(Call::CreateBatch, 1, full);
    let created = world.reply(&["create", "r.jsonl"]);
    let handle = handle(&created);
    std::thread::sleep(Duration::from_millis(1100));
    world.goes_down();
    world.run(&["status", handle, "--wait", "--timeout", "5"]);
    world.comes_back();
    let status = world.run(&["status", handle, "--json"]).json();
    assert_eq!(status["jobs"][0]["verdict"], "waiting", "{status}");
    world.run(&["status", handle, "--wait", "--timeout", "3"]);
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 0, "it was to wait a minute");
    time_passes(&world, Duration::from_secs(120));
    all_answers(&world, handle);
}

#[test]
fn a_batch_that_was_looked_at_by_its_name_is_still_found_by_its_job() {
    let world = world();
    let created = world.reply(&["create", "r.jsonl"]);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let other_cut = world.refusal(&["create", "r.jsonl", "--max-part-requests", "2"]);
    assert!(other_cut["cause"].as_str().unwrap().contains("cut into 1 parts"), "{other_cut}");
    world.reply(&["status", created["remote_name"].as_str().unwrap()]);
    let again = world.reply(&["create", "r.jsonl"]);
    assert_eq!((&again["job"], &again["remote_name"]), (&created["job"], &created["remote_name"]), "{again}");
    all_answers(&world, handle(&created));
    assert_eq!((world.jobs_at_the_api(), world.reply(&["list"])["jobs"].as_array().unwrap().len()), (1, 1));
}

#[test]
fn as_many_parts_cut_in_other_places_ask_no_request_twice() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
    world.simulator.faults().nth(Call::CreateBatch, 2, full);
    let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "3"]);
    assert_eq!(world.jobs_at_the_api(), 1);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    world.run(&["status", handle(&created), "--json"]);
    let other = world.refusal(&["create", "r.jsonl", "--max-part-requests", "4"]);
    assert!(other["hint"].as_str().unwrap().contains("max_part_requests"), "{other}");
    assert_eq!(world.jobs_at_the_api(), 1);
    world.reply(&["create", "r.jsonl", "--max-part-requests", "3"]);
    all_answers(&world, handle(&created));
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn a_job_that_is_cancelled_while_its_create_is_under_way_is_stopped_when_it_arrives() {
    let slow = || World::with(|options| options.pace = Pace::realistic());
    let hidden = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    let cancelled = |world: &World, calls: u64| {
        let status = world.run(&["status", "r", "--wait", "--timeout", "20", "--json"]).json();
        assert_eq!(status["jobs"][0]["state"], "JOB_STATE_CANCELLED", "{status}");
        assert_eq!((world.jobs_at_the_api(), world.simulator.log().calls(Call::CancelBatch)), (1, calls));
    };
    // The call that makes it is still there.
    let world = slow();
    world.write("r.jsonl", &requests(2, "one of two"));
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(3)));
    let create = world.command().args(["create", "r.jsonl"]).spawn().unwrap();
    let start = Instant::now();
    while world.simulator.log().calls(Call::CreateBatch) == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "no create was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    world.simulator.faults().always(Call::ListBatches, hidden);
    assert_eq!(world.refusal(&["cancel", "r"])["kind"], "unclear_outcome");
    world.simulator.faults().clear();
    create.wait_with_output().unwrap();
    cancelled(&world, 1);
    // Its answer was lost, and a look finds it.
    let world = slow();
    world.write("r.jsonl", &requests(2, "one of two"));
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetAfterActing);
    (2..=4).for_each(|look| world.simulator.faults().nth(Call::ListBatches, look, hidden));
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    world.simulator.faults().always(Call::ListBatches, hidden);
    world.run(&["cancel", "r"]);
    world.simulator.faults().clear();
    assert_eq!(world.simulator.log().calls(Call::CancelBatch), 0, "nobody knew that it was there");
    // What cannot be stopped at once is stopped later.
    world.simulator.faults().next(Call::CancelBatch, hidden);
    world.run(&["status", "r"]);
    assert_eq!(world.simulator.log().calls(Call::CancelBatch), 1);
    age(&world, world.run(&["list", "--local", "--json"]).json()["jobs"][0]["job"].as_str().unwrap(), 120);
    cancelled(&world, 2);
}
