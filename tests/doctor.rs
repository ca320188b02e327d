//! `doctor`: each thing that can be wrong is found, by its own check and no other, with what to mend; nothing is changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::program::program;
use support::scripted::{Reply, Scripted};
use support::world::{Ran, World};
use support::{ledger, requests};

const KEY: &str = "a-key-for-tests-that-is-as-long-as-keys";
const CHECKS: [&str; 8] = ["version", "settings", "prices", "key", "network", "clock", "roots", "ledger"];

/// What the doctor found: the checks, once the exit code and the sum were seen to agree with them.
fn examine(mut command: Command) -> Vec<Value> {
    let ran = Ran::of(command.args(["doctor", "--json"]).output().unwrap());
    assert!(!ran.stdout.contains("a-key-for-tests") && !ran.stderr.contains("a-key-for-tests"), "{ran:?}");
    let report = ran.json();
    let checks = report["checks"].as_array().unwrap().clone();
    let well = checks.iter().all(|check| check["verdict"] != "fail");
    assert_eq!((report["ok"].as_bool().unwrap(), ran.code), (well, i32::from(!well)), "{ran:?}");
    for check in checks.iter().filter(|check| check["verdict"] != "ok") {
        assert!(!check["mend"].as_str().unwrap().is_empty(), "{check}");
    }
    checks
}

fn in_world(world: &World) -> Command {
    let mut command = world.command();
    command.env("GOOGLE_API_KEY", KEY);
    command
}

fn with(verdict: &str, checks: &[Value]) -> Vec<String> {
    checks.iter().filter(|check| check["verdict"] == verdict).map(|c| c["check"].as_str().unwrap().to_owned()).collect()
}

fn check<'a>(name: &str, checks: &'a [Value]) -> &'a Value {
    checks.iter().find(|check| check["check"] == name).unwrap()
}

fn found(name: &str, checks: &[Value]) -> String {
    check(name, checks)["found"].as_str().unwrap().to_owned()
}

#[track_caller]
fn only_fails(name: &str, checks: &[Value]) {
    assert_eq!(with("fail", checks), [name], "{checks:#?}");
}

#[test]
fn where_all_is_well_it_says_so_and_changes_nothing() {
    let world = World::new();
    let checks = examine(in_world(&world));
    let names: Vec<&str> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, CHECKS);
    assert_eq!(with("ok", &checks), CHECKS, "{checks:#?}");
    assert!(found("key", &checks).starts_with("GOOGLE_API_KEY is set, and the API takes it"), "{checks:#?}");
    assert!(!world.path("home").exists(), "it made a ledger");

    world.write("r.jsonl", requests::small_file());
    world.reply(&["create", "r.jsonl"]);
    let calls = |world: &World| world.reply(&["export"])["events"].as_array().unwrap().len();
    let before = calls(&world);
    let checks = examine(in_world(&world));
    assert_eq!(with("ok", &checks), CHECKS, "{checks:#?}");
    assert!(found("ledger", &checks).contains("is sound: 1 job, version"), "{checks:#?}");
    assert_eq!(calls(&world), before, "it wrote into the ledger");
}

#[test]
fn a_person_reads_a_line_a_check() {
    let world = World::new();
    let ran = Ran::of(world.command().env_remove("GOOGLE_API_KEY").arg("doctor").output().unwrap());
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), CHECKS.len() + 1, "{ran:?}");
    for (line, name) in lines.iter().zip(CHECKS) {
        let mut words = line.split_whitespace();
        let verdict = words.next().unwrap();
        assert_eq!(words.next(), Some(name), "{line}");
        assert_eq!(verdict == "fail", name == "key", "{line}");
        assert_eq!(line.contains("; mend: "), verdict != "ok", "{line}");
    }
    assert_eq!(lines.last(), Some(&"to mend: 1; to look at: 0"));
}

#[test]
fn without_key_or_network_only_that_check_fails() {
    let mut world = World::new();
    let mut command = in_world(&world);
    command.env_remove("GOOGLE_API_KEY");
    only_fails("key", &examine(command));

    let mut command = in_world(&world);
    command.env_remove("GOOGLE_API_KEY").env("GEMINI_API_KEY", "${GEMINI_API_KEY}");
    let checks = examine(command);
    only_fails("key", &checks);
    assert!(found("settings", &checks).contains("GEMINI_API_KEY holds the name of a variable"), "{checks:#?}");

    world.goes_down();
    let checks = examine(in_world(&world));
    only_fails("network", &checks);
    assert_eq!(with("warn", &checks), ["key", "clock"]);
    assert!(found("key", &checks).contains("looks like a key"), "{checks:#?}");
    let mut command = in_world(&world);
    command.env("GOOGLE_API_KEY", "short");
    assert!(found("key", &examine(command)).contains("is shorter than keys are"));
}

#[test]
fn a_key_that_is_refused_or_is_none_is_told_from_a_network_that_fails() {
    let world = World::new();
    world.simulator.revoke_key(KEY).unwrap();
    let checks = examine(in_world(&world));
    only_fails("key", &checks);
    assert!(found("key", &checks).contains("GOOGLE_API_KEY is set, and the API refuses it"), "{checks:#?}");
    let mut command = in_world(&world);
    command.env("GOOGLE_API_KEY", "the key is in my other coat");
    let checks = examine(command);
    only_fails("key", &checks);
    assert!(found("key", &checks).ends_with("what it holds is no key"), "{checks:#?}");
}

#[test]
fn the_simulator_needs_neither() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.arg("--simulate");
    let checks = examine(command);
    assert_eq!(with("ok", &checks), CHECKS, "{checks:#?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "it made {left:?}");
}

#[test]
fn folders_that_are_not_there_or_cannot_be_written() {
    let world = World::new();
    world.write("file", "");
    let mut command = in_world(&world);
    command.args(["--root", "nowhere"]);
    only_fails("roots", &examine(command));
    let mut command = in_world(&world);
    command.arg("--home").arg(world.path("file").join("home"));
    only_fails("ledger", &examine(command));
    let mut command = in_world(&world);
    command.args(["--models", "nowhere.json"]);
    only_fails("prices", &examine(command));
}

#[test]
fn a_full_disk_and_a_ledger_that_is_held() {
    let world = World::new();
    world.reply(&["list"]);
    let checks = examine(world.command_with_files_of(64));
    only_fails("ledger", &checks);
    assert!(check("ledger", &checks)["mend"].as_str().unwrap().starts_with("make room"), "{checks:#?}");
    let held = ledger::open(&world);
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let checks = examine(in_world(&world));
    only_fails("ledger", &checks);
    assert!(found("ledger", &checks).contains("another process has been writing to it"), "{checks:#?}");
}

#[test]
fn the_folder_that_a_server_would_make_for_itself_is_not_made_here() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.arg("--simulate").current_dir("/");
    let checks = examine(command);
    assert_eq!(with("warn", &checks), ["settings"], "{checks:#?}");
    assert!(found("roots", &checks).contains("gemini-batch"), "{checks:#?}");
    assert!(!folder.path().join("gemini-batch").exists());

    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut command = program(folder.path());
    command.arg("--simulate").current_dir("/").env("HOME", folder.path().join("file"));
    let checks = examine(command);
    only_fails("roots", &checks);
    assert!(check("roots", &checks)["mend"].as_str().unwrap().contains("--root or GEMINI_BATCH_ROOTS"), "{checks:#?}");
}

#[cfg(unix)]
#[test]
fn what_is_kept_is_its_users_alone_and_a_folder_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let mode = |name: &str| std::fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777;
    let open = |name: &str| std::fs::set_permissions(world.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    world.write("r.jsonl", requests::small_file());
    world.reply(&["create", "r.jsonl"]);
    assert_eq!((mode("home"), mode("home/jobs")), (0o700, 0o700));
    let kept = std::fs::read_dir(world.path("home/jobs")).unwrap().map(|entry| entry.unwrap().path());
    for folder in kept {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{folder:?}");
    }
    open("");
    assert_eq!(with("ok", &examine(in_world(&world))), CHECKS);
    open("home");
    let checks = examine(in_world(&world));
    assert_eq!(with("warn", &checks), ["ledger"], "{checks:#?}");
    assert!(check("ledger", &checks)["mend"].as_str().unwrap().starts_with("chmod 700 "), "{checks:#?}");
    world.reply(&["list"]);
    assert_eq!(mode("home"), 0o755, "a folder that was there is left as it is");
}

#[test]
fn settings_that_cannot_be_read_are_all_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.env("GEMINI_BATCH_TIER", "9");
    let checks = examine(command);
    only_fails("settings", &checks);
    assert!(found("settings", &checks).contains("GEMINI_BATCH_TIER"), "{checks:#?}");
}

#[test]
fn an_old_table_of_prices_is_worth_a_word() {
    let world = World::new();
    let mut table: Value = serde_json::from_str(include_str!("../src/job/models.json")).unwrap();
    table["as_of"] = "2025-01-31".into();
    world.write("models.json", &table.to_string());
    let mut command = in_world(&world);
    command.args(["--models", "models.json"]);
    let checks = examine(command);
    assert_eq!(with("warn", &checks), ["prices"], "{checks:#?}");
    assert!(found("prices", &checks).contains("2025-01-31"), "{checks:#?}");
}

#[test]
fn a_damaged_ledger_is_left_as_it_is_and_one_set_aside_is_named() {
    let world = World::new();
    world.reply(&["list"]);
    let file = ledger::file(&world);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100..3000].fill(0xA5);
    std::fs::write(&file, &bytes).unwrap();
    let checks = examine(in_world(&world));
    only_fails("ledger", &checks);
    assert!(found("ledger", &checks).contains("is damaged"), "{checks:#?}");
    assert!(std::fs::read(&file).unwrap() == bytes, "the doctor changed the ledger");

    world.reply(&["list"]);
    let checks = examine(in_world(&world));
    assert_eq!(with("warn", &checks), ["ledger"], "{checks:#?}");
    assert!(found("ledger", &checks).contains("ledger.damaged-"), "{checks:#?}");
}

#[test]
fn a_ledger_of_another_version() {
    let world = World::new();
    world.reply(&["list"]);
    let set = |version: i64| ledger::open(&world).pragma_update(None, "user_version", version).unwrap();
    set(1000);
    let checks = examine(in_world(&world));
    only_fails("ledger", &checks);
    assert!(found("ledger", &checks).contains("has version 1000"), "{checks:#?}");
    set(1);
    assert!(found("ledger", &examine(in_world(&world))).ends_with("version 1, brought up to date by the next call"));
}

/// The checks where the API answers like this.
fn answered(folder: &Path, reply: Reply) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let api = runtime.block_on(Scripted::start([reply]));
    let mut command = program(folder);
    command.env("GOOGLE_API_KEY", KEY).env("GOOGLE_GEMINI_BASE_URL", &api.base_url);
    examine(command)
}

#[test]
fn a_clock_that_is_off_is_told_by_how_much() {
    let folder = tempfile::tempdir().unwrap();
    for (minutes, verdict, words) in [
        (0, "ok", "agrees"),
        (10, "warn", " min behind the API"),
        (-10, "warn", " min ahead of the API"),
        (60 * 24 * 3, "fail", " h behind the API"),
    ] {
        let there = chrono::Utc::now() + chrono::TimeDelta::minutes(minutes);
        let date = there.format("%a, %d %b %Y %H:%M:%S GMT");
        let reply = Reply::json(200, r#"{"models": [{"name": "models/m"}]}"#).with("Date", date);
        let checks = answered(folder.path(), reply);
        assert_eq!(check("clock", &checks)["verdict"], verdict, "{minutes}: {checks:#?}");
        // A machine that is busy may take some seconds to answer.
        assert!(minutes == 0 || found("clock", &checks).contains(words), "{checks:#?}");
        assert!(found("key", &checks).ends_with("(1 model)"), "{checks:#?}");
    }
}

#[test]
fn something_else_at_the_address_is_no_api() {
    let folder = tempfile::tempdir().unwrap();
    for reply in [Reply::page(200), Reply::json(404, "{}"), Reply::empty(301).with("Location", "https://example.com")] {
        let checks = answered(folder.path(), reply.clone());
        only_fails("network", &checks);
        assert_ne!(check("key", &checks)["verdict"], "ok", "{reply:?}");
    }
    let busy = Reply::json(503, r#"{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}"#);
    let checks = answered(folder.path(), busy);
    assert!(with("warn", &checks).contains(&"network".to_owned()), "{checks:#?}");
    let echo = format!(r#"{{"error": {{"code": 400, "message": "no good: {KEY}", "status": "INVALID_ARGUMENT"}}}}"#);
    only_fails("key", &answered(folder.path(), Reply::json(400, echo)));
}
