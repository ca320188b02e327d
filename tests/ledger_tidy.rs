//! What the ledger holds, told (`history`), written (`export`) and forgotten (`prune`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use gemini_batch_mcp::job::{ContentHash, Handle, JobState, Kind};
use gemini_batch_mcp::ledger::builds::BuildOrigin;
use gemini_batch_mcp::ledger::calls::RemoteCall;
use gemini_batch_mcp::ledger::steps::Observation;
use gemini_batch_mcp::ledger::{Adoption, Intended, Ledger, NewJob, NewPart, PartId};
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::world::World;

/// A world with a job of two prompts that has ended; and its handle.
fn world() -> (World, String) {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "[[simulate:failed]]", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    wait_for(&world, &job);
    (world, job)
}

/// Waits until a job has ended, well or with requests that did not answer.
fn wait_for(world: &World, job: &str) {
    let ran = world.run(&["status", job, "--wait"]);
    assert!([0, 4].contains(&ran.code), "{ran:?}");
}

/// Lets so many days pass for everything in a ledger.
fn age(ledger: &Path, days: u32) {
    let connection = Connection::open(ledger).unwrap();
    let old = |column: &str| format!("{column} = strftime('%Y-%m-%dT%H:%M:%fZ', {column}, '-{days} days')");
    let parts = ["step_at", "ended_at", "submitted_at", "moved_at", "sent_at"].map(old).join(", ");
    connection
        .execute_batch(&format!(
            "UPDATE parts SET {parts}; UPDATE jobs SET {}; UPDATE builds SET {}",
            old("created_at"),
            old("built_at")
        ))
        .unwrap();
}

fn words(reply: &Value) -> Vec<String> {
    let events = reply["events"].as_array().unwrap().iter();
    events.map(|event| event["words"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_history_tells_the_life_of_a_job_and_its_retries_oldest_first() {
    let (world, job) = world();
    let retry = world.reply(&["retry", &job])["job"].as_str().unwrap().to_owned();
    wait_for(&world, &retry);
    world.results(&[&job, "--output", "out.jsonl"]);
    let history = world.reply(&["history", &job]);
    let told = words(&history);
    let begins = [
        "wanted: 2 requests",
        "upload of the requests begun",
        "requests uploaded as files/",
        "create sent",
        "created at the API as batches/",
    ];
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told}");
    }
    assert!(told.contains(&"now JOB_STATE_SUCCEEDED".to_owned()), "{told:?}");
    let of: BTreeSet<&str> = history["events"].as_array().unwrap().iter().map(|e| e["job"].as_str().unwrap()).collect();
    assert_eq!(of, BTreeSet::from([job.as_str(), retry.as_str()]));
    let at: Vec<&str> = history["events"].as_array().unwrap().iter().map(|e| e["at"].as_str().unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");

    let newest = world.reply(&["history", &job, "--limit", "2"]);
    assert_eq!(words(&newest), told[told.len() - 2..]);
    assert_eq!(newest["older"], told.len() - 2);
    let text = world.run(&["history", &job, "--limit", "2"]).stdout;
    assert!(text.starts_with(&format!("({} events before these: --all shows them)\n20", told.len() - 2)), "{text}");
    assert!(text.lines().last().unwrap().starts_with("next: gemini-batch-mcp results "), "{text}");
    assert_eq!(world.refusal(&["history", "nothing-like-it"])["kind"], "not_found");
}

#[test]
fn a_history_tells_of_calls_when_asked() {
    let (world, job) = world();
    let ledger = Ledger::open(&world.path("home")).unwrap();
    let known = ledger.find(&job).unwrap().unwrap();
    let latency = std::time::Duration::from_millis(7);
    for n in 0..60 {
        let resource = known.remote_names().next().unwrap();
        let status = Some(if n == 59 { 503 } else { 200 });
        let class = (n == 59).then_some("unavailable");
        ledger.record_call(&RemoteCall { method: "GET", resource, status, latency, class, ahead: None }, None).unwrap();
    }
    drop(ledger);
    let before = world.reply(&["history", &job]);
    let calls = before["calls"].as_i64().unwrap();
    assert!(calls >= 60 && !words(&before).iter().any(|told| told.starts_with("GET ")), "{before}");
    let with = world.reply(&["history", &job, "--calls"]);
    assert_eq!(with["events"].as_array().unwrap().len(), 50);
    assert!(words(&with)[49].starts_with("GET batches/") && words(&with)[49].ends_with("503 (unavailable) after 7 ms"));
    let all = world.reply(&["history", &job, "--calls", "--all"]);
    assert_eq!(
        all["events"].as_array().unwrap().len() as i64,
        before["events"].as_array().unwrap().len() as i64 + calls
    );
}

#[test]
fn an_export_holds_everything_but_secrets_in_a_form_that_stays() {
    let (world, job) = world();
    world.results(&[&job, "--output", "out.jsonl"]);
    let connection = Connection::open(world.path("home/ledger.sqlite3")).unwrap();
    let secrets = "UPDATE parts SET upload_session = 'https://secret', lease_owner = 'secret'; \
                   UPDATE jobs SET webhook_urls = '[\"https://secret\"]'";
    connection.execute_batch(secrets).unwrap();
    drop(connection);
    let ledger = Ledger::open(&world.path("home")).unwrap();
    let call = RemoteCall {
        method: "GET",
        resource: "/v1beta/batches?key=secret",
        status: Some(200),
        latency: std::time::Duration::from_millis(7),
        class: None,
        ahead: None,
    };
    ledger.record_call(&call, None).unwrap();
    drop(ledger);

    let text = world.run(&["export"]).stdout;
    assert!(!text.contains("secret") && !text.contains("a-key-for-tests"), "{text}");
    let export: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&export["format"], &export["version"]), (&json!("gemini-batch-mcp ledger"), &json!(1)));
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&export), ["format", "version", "exported_at", "jobs", "builds", "uploads", "events"]);
    let exported = &export["jobs"][0];
    assert_eq!((&exported["handle"], &exported["requests"]), (&json!(job), &json!(2)));
    assert!(exported["high_usd"].is_number() && exported["collected_at"].is_string(), "{exported}");
    let part = &exported["parts"][0];
    assert!(part["remote_name"].as_str().unwrap().starts_with("batches/"), "{part}");
    assert_eq!(part["state"], "JOB_STATE_SUCCEEDED");
    for (record, fields) in [
        (exported, &["handle", "model", "created_at", "deleted_at", "retry_of", "parts"][..]),
        (part, &["part", "display_name", "step", "submitted_at", "ended_at", "done", "failed"]),
        (&export["builds"][0], &["sha256", "origin", "built_at"]),
        (&export["events"][0], &["id", "at", "handle", "event", "detail"]),
    ] {
        for field in fields {
            assert!(record.get(field).is_some(), "{field} in {record}");
        }
    }
    assert!(export["builds"][0]["origin"]["kind"] == "generate");
    let calls = export["events"].as_array().unwrap().iter().filter(|event| event["call"]["resource"] == "batches");
    assert!(calls.count() >= 1, "{export}");

    let reply = world.reply(&["export", "--output", "ledger.json"]);
    assert_eq!((&reply["jobs"], &reply["builds"]), (&json!(1), &json!(1)));
    let written: Value = serde_json::from_str(&world.read("ledger.json")).unwrap();
    assert_eq!(written["jobs"], export["jobs"]);
    assert_eq!(world.refusal(&["export", "--output", "ledger.json"])["kind"], "already_exists");
    world.reply(&["export", "--output", "ledger.json", "--overwrite"]);
}

#[test]
fn a_large_export_is_whole_and_a_reader_may_leave_early() {
    let world = World::new();
    let ledger = Ledger::open(&world.path("home")).unwrap();
    let connection = Connection::open(ledger.file()).unwrap();
    connection
        .execute_batch(
            "BEGIN;
             INSERT INTO jobs (handle, content_hash, run, model, kind, requests, origin, created_at)
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2500)
               SELECT 'job-' || i, 'hash' || i, 1, 'm', 'generate', 1, 'created', '2026-01-01T00:00:00.000000Z' FROM n;
             INSERT INTO parts (handle, part, display_name, step, step_at, state)
               SELECT handle, 1, handle, 'created', created_at, 'JOB_STATE_PENDING' FROM jobs;
             INSERT INTO events (at, handle, event) SELECT created_at, handle, 'state' FROM jobs;
             COMMIT",
        )
        .unwrap();
    drop((connection, ledger));
    let export: Value = serde_json::from_str(&world.run(&["export"]).stdout).unwrap();
    let handles: BTreeSet<&str> =
        export["jobs"].as_array().unwrap().iter().map(|job| job["handle"].as_str().unwrap()).collect();
    assert_eq!((handles.len(), export["jobs"].as_array().unwrap().len()), (2500, 2500));
    assert_eq!(export["events"].as_array().unwrap().len(), 2500);
    let mut child = world.command().arg("export").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn pruning_shows_first_then_forgets_and_leaves_the_api_alone() {
    let (world, job) = world();
    assert_eq!(world.run(&["prune"]).code, 2, "how old has to be said");
    assert_eq!(world.run(&["prune", "--older-than", "0"]).code, 2);
    world.results(&[&job, "--output", "out.jsonl"]);
    let young = world.reply(&["prune", "--older-than", "30", "--yes"]);
    assert_eq!(young["jobs"], json!([]));
    age(&world.path("home/ledger.sqlite3"), 31);

    let shown = world.reply(&["prune", "--older-than", "30"]);
    assert_eq!((&shown["jobs"][0]["job"], &shown["dry_run"]), (&json!(job), &json!(true)));
    assert!(shown["warnings"][0].as_str().unwrap().contains("paid again"), "{shown}");
    assert_eq!(world.reply(&["history", &job])["job"], job.as_str(), "nothing happened");
    assert_eq!(world.reply(&["prune", "--older-than", "32", "--yes"])["jobs"], json!([]));
    let refused =
        world.command().env("GEMINI_BATCH_READ_ONLY", "1").args(["prune", "--older-than", "30", "--yes"]).output();
    assert_eq!(refused.unwrap().status.code(), Some(1));

    world.write("there.json", "kept");
    let refused = world.refusal(&["prune", "--older-than", "30", "--yes", "--export", "there.json"]);
    assert_eq!((refused["kind"].as_str(), world.read("there.json").as_str()), (Some("already_exists"), "kept"));
    assert!(world.path("home/jobs").join(&job).exists(), "nothing goes before it is exported");

    let inline = world.path("home/jobs/inline");
    std::fs::create_dir_all(&inline).unwrap();
    for (name, own) in [("given.jsonl", true), ("another.jsonl", false)] {
        std::fs::write(inline.join(name), "a prompt").unwrap();
        if own {
            let connection = Connection::open(world.path("home/ledger.sqlite3")).unwrap();
            let path = inline.join(name).to_str().unwrap().to_owned();
            connection.execute("UPDATE jobs SET input_path = ?1", [path]).unwrap();
        }
    }
    let pruned = world.reply(&["prune", "--older-than", "30", "--yes", "--export", "old.json"]);
    assert_eq!(pruned["jobs"][0]["job"], job.as_str());
    // Requests that were given in a call go with their job.
    assert!(!inline.join("given.jsonl").exists() && inline.join("another.jsonl").exists());
    assert!(pruned["bytes"].as_u64().unwrap() > 0 && pruned.get("dry_run").is_none(), "{pruned}");
    let export: Value = serde_json::from_str(&world.read("old.json")).unwrap();
    assert_eq!(export["jobs"][0]["handle"], job.as_str());
    assert!(export["events"].as_array().unwrap().len() > 3);
    assert!(!world.path("home/jobs").join(&job).exists() && world.path("out.jsonl").exists());
    assert_eq!(world.reply(&["list", "--local"])["jobs"], json!([]));
    let ledger = Ledger::open(&world.path("home")).unwrap();
    let left: Vec<_> = ledger.events(&Handle::from_ledger(job.clone())).unwrap().into_iter().map(|e| e.event).collect();
    assert_eq!(left, ["pruned"]);
    drop(ledger);

    // Forgotten here, but not at the API: it is found there, and nothing is paid.
    assert_eq!(world.jobs_at_the_api(), 1);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "adopted");
    assert_eq!(world.jobs_at_the_api(), 1);
}

fn job(name: &str, retry_of: Option<&Handle>) -> NewJob {
    let content = ContentHash::of_job(name, "m", Kind::Generate, 1);
    let parts = vec![NewPart::whole(1, None, None)];
    NewJob {
        input_sha256: Some(name.to_owned()),
        retry_of: retry_of.cloned(),
        ..NewJob::new(Handle::new(name, &content), content, "m", Kind::Generate, parts)
    }
}

/// Adds a job that has come so far.
fn add(ledger: &Ledger, name: &str, retry_of: Option<&Handle>, state: JobState, collected: bool) -> Handle {
    let job = job(name, retry_of);
    assert!(matches!(ledger.intend(&job, None).unwrap(), Intended::New(_)));
    let part = PartId { handle: &job.handle, number: 1 };
    let remote_name = &format!("batches/{name}");
    ledger.created(part, &Adoption { remote_name, state: JobState::Pending, submitted_at: None }).unwrap();
    let ended_at = state.is_terminal().then(chrono::Utc::now);
    let seen = Observation { state, wire_state: String::new(), done: 1, failed: 0, error: None, ended_at };
    ledger.observe(part, &seen).unwrap();
    if collected {
        ledger.collected(part).unwrap();
    }
    job.handle
}

#[test]
fn only_what_is_done_with_and_needed_by_nothing_that_stays_may_go() {
    use JobState::{Failed, Running, Succeeded};
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let done = add(&ledger, "done", None, Succeeded, true);
    let deleted = add(&ledger, "deleted", None, Failed, false);
    ledger.deleted(&deleted).unwrap();
    // Not ended; not collected.
    add(&ledger, "running", None, Running, true);
    add(&ledger, "uncollected", None, Succeeded, false);
    // A family of which one is not done with.
    let first = add(&ledger, "first", None, Succeeded, true);
    let second = add(&ledger, "second", Some(&first), Succeeded, true);
    add(&ledger, "third", Some(&second), Running, false);
    add(&ledger, "other-retry", Some(&first), Succeeded, true);
    // A family that is done with.
    let whole = add(&ledger, "whole", None, Succeeded, true);
    let whole_retry = add(&ledger, "whole-retry", Some(&whole), Succeeded, true);
    // One whose answers are the rows of a job that is not done with; one whose reader is; one whose reader may come.
    let source = add(&ledger, "source", None, Succeeded, true);
    let old_source = add(&ledger, "old-source", None, Succeeded, true);
    let new_source = add(&ledger, "new-source", None, Succeeded, true);
    let of =
        |handle: &Handle| BuildOrigin { source: Some(format!("job:{handle}")), ..BuildOrigin::unknown(Kind::Generate) };
    ledger.remember_build("reader", &of(&source)).unwrap();
    add(&ledger, "reader", None, Running, false);
    ledger.remember_build("old-reader", &of(&old_source)).unwrap();
    let old_reader = add(&ledger, "old-reader", None, Succeeded, true);
    age(ledger.file(), 40);
    ledger.remember_build("unsubmitted", &of(&new_source)).unwrap();
    let young = add(&ledger, "young", None, Succeeded, true);

    let before = chrono::Utc::now() - chrono::TimeDelta::days(30);
    let may_go = |ledger: &Ledger| -> BTreeSet<Handle> {
        ledger.prunable(before).unwrap().into_iter().map(|job| job.handle).collect()
    };
    let expected: BTreeSet<_> =
        [done.clone(), deleted, whole.clone(), whole_retry.clone(), old_source, old_reader].into_iter().collect();
    assert_eq!(may_go(&ledger), expected);

    // Of a family, all or none go, whoever is named.
    assert_eq!(
        ledger.prune(&[whole.clone(), done.clone(), young.clone()], before).unwrap().handles,
        std::slice::from_ref(&done)
    );
    // What came to need one of them meanwhile is asked in the same breath.
    add(&ledger, "late-retry", Some(&whole_retry), Running, false);
    assert_eq!(ledger.prune(&[whole.clone(), whole_retry.clone()], before).unwrap().handles, Vec::<Handle>::new());
    assert!(ledger.job(&whole).is_ok() && ledger.job(&young).is_ok() && ledger.job(&done).is_err());
    let connection = Connection::open(ledger.file()).unwrap();
    let dangling = connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!dangling);
    assert!(fs::exists(ledger.file()).unwrap());
}

#[test]
fn a_job_that_was_cancelled_before_it_was_sent_pins_nothing() {
    let (world, job) = world();
    world.results(&[&job, "--output", "out.jsonl"]);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::CreateBatch, full);
    let retry = world.reply(&["retry", &job])["job"].as_str().unwrap().to_owned();
    age(&world.path("home").join("ledger.sqlite3"), 31);
    assert_eq!(world.reply(&["prune", "--older-than", "30"])["jobs"], json!([]), "a retry of it waits");
    world.reply(&["cancel", &retry]);
    age(&world.path("home").join("ledger.sqlite3"), 31);
    let shown = world.reply(&["prune", "--older-than", "30"]);
    assert_eq!(shown["jobs"].as_array().unwrap().len(), 2, "{shown}");
}

#[test]
fn a_job_whose_files_are_gone_is_forgotten_all_the_same() {
    let (world, job) = world();
    world.results(&[&job, "--output", "out.jsonl"]);
    age(&world.path("home").join("ledger.sqlite3"), 31);
    fs::remove_dir_all(world.path("home/jobs").join(&job)).unwrap();
    let pruned = world.reply(&["prune", "--older-than", "30", "--yes"]);
    assert_eq!((&pruned["jobs"][0]["job"], &pruned["bytes"]), (&json!(job), &json!(0)), "{pruned}");
    assert_eq!(pruned["warnings"].as_array().unwrap().len(), 1, "nothing went wrong: {pruned}");
}
