//! `statusline`: one line of what the ledger knows, told from the ledger alone, and silent where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;
use support::program::{PATIENCE, Server, program, wait_for_end};
use support::world::{Ran, World};
use support::{ledger, requests};

/// The line, which comes whether or not the client's JSON does.
fn line_of(mut command: Command) -> String {
    // The pipe stays open and empty: whoever waits for it waits for ever.
    let mut child = command.arg("statusline").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let _open = child.stdin.take();
    wait_for_end(&mut child);
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert_eq!(ran.stdout.matches('\n').count(), 1, "{ran:?}");
    ran.stdout.trim_end().to_owned()
}

fn line(world: &World) -> String {
    line_of(world.command())
}

/// Jobs of two requests each, and of other content each.
fn job(world: &World, name: &str) -> String {
    let request =
        |n| format!("{{\"key\":\"{n}\",\"request\":{{\"contents\":[{{\"parts\":[{{\"text\":\"{name}\"}}]}}]}}}}\n");
    world.write(&format!("{name}.jsonl"), &(request(1) + &request(2)));
    world.reply(&["create", &format!("{name}.jsonl")])["job"].as_str().unwrap().to_owned()
}

/// What the API told of a job, as another process would have written it down.
fn comes_to(world: &World, job: &str, state: &str, done: i64) {
    let set = "UPDATE parts SET state = ?2, done = ?3, next_poll_at = '2999-01-01T00:00:00Z' WHERE handle = ?1";
    let connection = ledger::open(world);
    connection.execute(set, rusqlite::params![job, state, done]).unwrap();
    connection.execute("UPDATE jobs SET state = ?2 WHERE handle = ?1", rusqlite::params![job, state]).unwrap();
}

#[test]
fn without_a_ledger_the_line_is_empty_and_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(line_of(program(folder.path())), "");
    assert!(!folder.path().join("home").exists());
    std::fs::create_dir(folder.path().join("home")).unwrap();
    assert_eq!(line_of(program(folder.path())), "");
    assert_eq!(std::fs::read_dir(folder.path().join("home")).unwrap().count(), 0);
}

#[test]
fn ends_are_news_until_somebody_was_told_of_them() {
    let mut world = World::new();
    world.reply(&["list"]);
    assert_eq!(line(&world), "batch: idle");
    let jobs = ["one", "two", "three", "four"].map(|name| job(&world, name));
    // Everything else is told without asking anybody.
    world.goes_down();
    let today = line(&world);
    let money = today.strip_prefix("batch: 4 running 0 %, ").unwrap_or_else(|| panic!("{today}"));
    assert!(money.starts_with('$') && money.ends_with(" today"), "{today}");

    comes_to(&world, &jobs[0], "JOB_STATE_RUNNING", 1);
    comes_to(&world, &jobs[1], "JOB_STATE_SUCCEEDED", 2);
    comes_to(&world, &jobs[2], "JOB_STATE_FAILED", 0);
    comes_to(&world, &jobs[3], "JOB_STATE_EXPIRED", 0);
    assert_eq!(line(&world), format!("batch: 1 running 50 %, 1 done, 2 failed, {money}"));
    assert_eq!(line(&world), format!("batch: 1 running 50 %, 1 done, 2 failed, {money}"), "a glance is no look");

    assert_eq!(world.run(&["status", &jobs[2]]).code, 4);
    assert_eq!(line(&world), format!("batch: 1 running 50 %, 1 done, 1 failed, {money}"));
    world.run(&["list", "--local"]);
    assert_eq!(line(&world), format!("batch: 1 running 50 %, {money}"));
}

#[test]
fn the_line_is_data_where_data_is_asked_for() {
    let world = World::new();
    let none = world.reply(&["statusline"]);
    assert_eq!(none, json!({"line": ""}));
    let job = job(&world, "one");
    comes_to(&world, &job, "JOB_STATE_RUNNING", 1);
    let told = world.reply(&["statusline"]);
    assert_eq!(told["line"], line(&world));
    let numbers = ["running", "requests", "done", "succeeded", "failed"].map(|name| told[name].as_i64().unwrap());
    assert_eq!(numbers, [1, 2, 1, 0, 0], "{told}");
    assert!(told["today_usd"].as_f64().unwrap() > 0.0, "{told}");
}

#[test]
fn an_agent_that_was_told_was_told_by_whichever_tool() {
    let world = World::new();
    let jobs = ["one", "two", "three", "four"].map(|name| job(&world, name));
    let mut server = Server::start_with(|command| {
        for (name, value) in world.command().get_envs().filter_map(|(name, value)| Some((name, value?))) {
            command.env(name, value);
        }
        command.current_dir(world.folder.path());
    });
    server.initialize("2025-11-25");
    jobs.iter().for_each(|job| comes_to(&world, job, "JOB_STATE_FAILED", 0));
    assert!(line(&world).contains(" 4 failed"), "{}", line(&world));
    let created = server.call("create_batch", &json!({"input": "four.jsonl"}));
    assert_eq!(created["result"]["structuredContent"]["state"], "JOB_STATE_FAILED", "{created}");
    assert!(line(&world).contains(" 3 failed"), "{}", line(&world));
    world.reply(&["cancel", &jobs[2]]);
    assert!(line(&world).contains(" 2 failed"), "{}", line(&world));
    server.call("check_status", &json!({"jobs": [jobs[0]]}));
    assert!(line(&world).contains(" 1 failed"), "{}", line(&world));
    server.call("list_batches", &json!({}));
    assert!(!line(&world).contains("failed"), "{}", line(&world));
}

#[test]
fn answers_that_were_fetched_are_no_news() {
    let world = World::new();
    world.write("r.jsonl", requests::small_file());
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    // The job ends in sight of a process that tells nobody in particular.
    let ran = world.run(&["run", "--quiet"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(line(&world).starts_with("batch: 1 done"), "{}", line(&world));
    world.results(&[&job]);
    assert!(line(&world).starts_with("batch: $"), "{}", line(&world));
}

#[test]
fn what_a_timer_collected_is_news_until_somebody_is_told() {
    let world = World::new();
    let (good, bad) = (job(&world, "one"), job(&world, "[[simulate:job-failed]] two"));
    world.run(&["run", "--quiet", "--collect", "answers"]);
    assert!(world.path(&format!("answers/{good}.results.jsonl")).exists());
    assert!(line(&world).starts_with("batch: 1 done, 1 failed, $"), "{}", line(&world));
    world.run(&["run", "--quiet", "--collect", "answers"]);
    assert!(line(&world).starts_with("batch: 1 done, 1 failed, $"), "{}", line(&world));
    world.results(&[&bad]);
    assert!(line(&world).starts_with("batch: 1 done, $"), "{}", line(&world));
    world.run(&["status", &good]);
    assert!(line(&world).starts_with("batch: $"), "{}", line(&world));
}

#[test]
fn a_ledger_in_use_holds_nothing_up_and_a_damaged_one_is_not_touched() {
    let world = World::new();
    job(&world, "one");
    let writer = ledger::open(&world);
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE jobs SET model = 'x'").unwrap();
    assert!(line(&world).starts_with("batch: 1 running"), "{}", line(&world));
    writer.execute_batch("ROLLBACK").unwrap();
    drop(writer);

    // Whoever mends the ledger has it alone.
    let door = std::fs::File::open(world.path("home").join("ledger.door")).unwrap();
    door.lock().unwrap();
    assert_eq!(line(&world), "");
    drop(door);

    let file = ledger::file(&world);
    let bytes = vec![0xA5; 20_000];
    std::fs::write(&file, &bytes).unwrap();
    assert!(line(&world).contains("gemini-batch-mcp doctor"), "{}", line(&world));
    assert!(std::fs::read(&file).unwrap() == bytes);
}

/// What SQLite keeps beside a database for those who read it is nobody's lost work.
#[test]
fn a_glance_leaves_nothing_that_looks_like_a_loss() {
    let world = World::new();
    world.reply(&["list", "--local"]);
    assert_eq!(line(&world), "batch: idle");
    std::fs::remove_file(ledger::file(&world)).unwrap();
    let ran = world.run(&["list", "--local"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn what_the_client_hands_over_is_of_no_matter() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.args(["--simulate", "create", "r.jsonl"]);
    std::fs::write(folder.path().join("r.jsonl"), requests::small_file()).unwrap();
    assert!(command.output().unwrap().status.success());
    for given in [&b"{\"session_id\": \"x\", \"cwd\": \"/\"}"[..], b"no JSON \xff", b""] {
        let mut command = program(folder.path());
        command.args(["--simulate", "statusline"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may have ended before.
        let _ = child.stdin.take().unwrap().write_all(given);
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert!(ran.stdout.starts_with("batch (simulated): 1 running"), "{ran:?} within {PATIENCE:?}");
    }
}
