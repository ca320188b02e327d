//! Never paid twice, never lost: what goes wrong on the way ends in exactly one job and all answers.
//!
//! What counts is what the API has: the tests look into the simulator, not at what the client believes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use gemini_batch_mcp::ledger::lease::LEASE;
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use support::ledger::time_passes;
use support::world::{Ran, World};

const OVERLOADED: Fault = Fault::Status { code: 503, body: ErrorBody::Google { retry_after: None } };

/// A world with a request file of two prompts.
fn world() -> World {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    world
}

/// The answers of the one job that there has to be.
fn all_is_well(world: &World) {
    assert_eq!(world.jobs_at_the_api(), 1);
    let created = world.reply(&["create", "r.jsonl"]);
    assert_eq!(created["submission"], "found");
    let handle = created["job"].as_str().unwrap();
    world.reply(&["status", handle, "--wait"]);
    let results = world.reply(&["results", handle, "--output", "out.jsonl", "--overwrite"]);
    assert_eq!(results["outcomes"]["answered"], 2, "{results}");
    assert_eq!(world.lines("out.jsonl").len(), 2);
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn the_same_file_again_is_the_same_job() {
    let world = world();
    let first = world.reply(&["create", "r.jsonl", "--name", "first"]);
    let again = world.reply(&["create", "r.jsonl", "--name", "second"]);
    assert_eq!(again["submission"], "found");
    assert_eq!(again["job"], first["job"]);
    std::fs::copy(world.path("r.jsonl"), world.path("copy.jsonl")).unwrap();
    assert_eq!(world.reply(&["create", "copy.jsonl"])["job"], first["job"]);
    all_is_well(&world);
}

#[test]
fn another_model_or_a_new_run_is_another_job() {
    let world = world();
    let first = world.reply(&["create", "r.jsonl"]);
    let other = world.reply(&["create", "r.jsonl", "--model", "gemini-3.8-flash"]);
    assert_ne!(other["job"], first["job"]);
    let run = world.reply(&["create", "r.jsonl", "--new-run"]);
    assert!(run["warnings"].to_string().contains("with new_run: true submits and pays once more"), "{run}");
    assert_eq!(run["submission"], "created");
    assert_ne!(run["job"], first["job"]);
    assert_eq!(world.jobs_at_the_api(), 3);
    let found = world.reply(&["create", "r.jsonl"]);
    assert_eq!((&found["job"], &found["submission"]), (&run["job"], &"found".into()), "the newest run is found");
    assert_eq!(world.jobs_at_the_api(), 3);
}

#[test]
fn a_new_run_that_is_asked_for_again_is_the_run_that_was_begun() {
    let world = world();
    world.reply(&["create", "r.jsonl"]);
    let again = ["create", "r.jsonl", "--new-run"];
    world.simulator.faults().next(Call::CreateBatch, OVERLOADED);
    for _ in 0..2 {
        assert_eq!(world.refusal(&again)["kind"], "unclear_outcome");
    }
    assert_eq!(world.jobs_at_the_api(), 1);
    let settled = world.command().env("GEMINI_BATCH_SETTLE_SECONDS", "0").args(again).output().unwrap();
    assert!(settled.status.success(), "{settled:?}");
    assert_eq!(world.jobs_at_the_api(), 2);
    // Now that it is there, once more is one more.
    assert_eq!(world.reply(&again)["submission"], "created");
    assert_eq!(world.jobs_at_the_api(), 3);
    // Also after the ledger was lost: the runs are known by their names.
    for file in ["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"] {
        std::fs::remove_file(world.path("home").join(file)).ok();
    }
    assert_eq!(world.reply(&again)["submission"], "created");
    assert_eq!(world.jobs_at_the_api(), 4);
}

#[test]
fn an_early_error_gives_the_far_end_as_long_as_a_late_one() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, OVERLOADED);
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    time_passes(&world, Duration::from_secs(400));
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome", "it may be worked on for 300 s");
    time_passes(&world, Duration::from_secs(100));
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created");
}

#[test]
fn a_create_of_unknown_outcome_that_was_cancelled_is_not_sent_again() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, OVERLOADED);
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    let error = world.refusal(&["cancel", "r"]);
    assert_eq!(error["kind"], "unclear_outcome", "{error}");
    let settled = || {
        let mut command = world.command();
        command.env("GEMINI_BATCH_SETTLE_SECONDS", "0");
        Ran::of(command.args(["run", "--json"]).output().unwrap())
    };
    settled();
    assert_eq!(world.jobs_at_the_api(), 0);
    assert_eq!(world.reply(&["cancel", "r"])["state"], "JOB_STATE_CANCELLED");
}

#[test]
fn processes_at_the_same_moment_end_with_one_job() {
    let world = world();
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = world.command();
            command.args(["create", "r.jsonl", "--json"]).stdout(std::process::Stdio::piped());
            command.stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut created = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let reply: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        created += usize::from(reply["submission"] == "created");
    }
    assert_eq!(created, 1);
    assert_eq!(world.simulator.log().count("POST", ":batchGenerateContent"), 1);
    all_is_well(&world);
}

#[test]
fn a_create_whose_reply_is_lost_is_found_at_once() {
    for fault in [
        Fault::ResetAfterActing,
        Fault::StatusAfterActing { code: 503, body: ErrorBody::Html },
        Fault::StatusAfterActing { code: 500, body: ErrorBody::Empty },
        Fault::CutBodyAfter(20),
    ] {
        let world = world();
        world.simulator.faults().next(Call::CreateBatch, fault);
        let created = world.reply(&["create", "r.jsonl"]);
        assert_eq!(created["submission"], "created", "{fault:?}");
        assert_eq!(world.simulator.log().count("POST", ":batchGenerateContent"), 1, "{fault:?}");
        all_is_well(&world);
    }
}

#[test]
fn a_create_of_unknown_outcome_is_repeated_only_after_it_settled() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, OVERLOADED);
    let error = world.refusal(&["create", "r.jsonl"]);
    assert_eq!(error["kind"], "unclear_outcome");
    assert!(error["hint"].as_str().unwrap().contains("again"), "{error}");
    let error = world.refusal(&["create", "r.jsonl"]);
    assert_eq!(error["kind"], "unclear_outcome", "not settled yet");
    assert_eq!(world.simulator.log().count("POST", ":batchGenerateContent"), 1);

    let settled = world.command().env("GEMINI_BATCH_SETTLE_SECONDS", "0").args(["create", "r.jsonl"]).output().unwrap();
    assert!(settled.status.success(), "{settled:?}");
    assert_eq!(
        world.simulator.log().count("POST", "/upload/"),
        2,
        "one start and one chunk: the upload was used again"
    );
    let history = world.reply(&["history", "r", "--all"]);
    let count =
        |name: &str| history["events"].as_array().unwrap().iter().filter(|event| event["event"] == name).count();
    assert_eq!((count("unclear"), count("absent"), count("created")), (1, 1, 1), "{history}");
    all_is_well(&world);
}

#[test]
fn a_refused_create_is_tried_again_without_a_second_upload() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    let queued = world.reply(&["create", "r.jsonl"]);
    assert_eq!(
        (queued["submission"].as_str(), queued["state"].as_str()),
        (Some("queued"), Some("JOB_STATE_UNSUBMITTED"))
    );
    assert_eq!(world.jobs_at_the_api(), 0);
    world.reply(&["status", queued["job"].as_str().unwrap(), "--wait", "--timeout", "60"]);
    assert_eq!(world.simulator.log().count("POST", "/upload/"), 2);
    all_is_well(&world);
}

#[test]
fn a_key_that_is_refused_at_the_last_moment_costs_no_second_upload() {
    let world = world();
    let blocked = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::CreateBatch, blocked);
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "auth");
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created");
    assert_eq!(world.simulator.log().count("POST", "/upload/"), 2);
    all_is_well(&world);
}

#[test]
fn a_limit_that_does_not_pass_by_itself_is_an_error_and_nothing_goes_out_behind_it() {
    for body in [ErrorBody::DailyQuota, ErrorBody::SpendingCap] {
        let world = world();
        world.simulator.faults().next(Call::CreateBatch, Fault::Status { code: 429, body });
        assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "quota", "{body:?}");
        let status = world.run(&["status", "--wait", "--timeout", "5", "--json"]);
        assert_eq!((status.code, world.jobs_at_the_api()), (3, 0), "{body:?}: {status:?}");
        assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created", "{body:?}");
        all_is_well(&world);
    }
}

#[test]
fn a_lost_ledger_is_rebuilt_from_the_api() {
    let world = world();
    let first = world.reply(&["create", "r.jsonl", "--name", "first"]);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    // By its handle alone, from a machine that knows nothing.
    let status = world.reply(&["status", first["job"].as_str().unwrap()]);
    assert_eq!(status["jobs"][0]["job"], first["job"]);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    // By its content, under another name.
    let adopted = world.reply(&["create", "r.jsonl", "--name", "other"]);
    assert_eq!(adopted["submission"], "adopted", "{adopted}");
    all_is_well(&world);
}

#[test]
fn a_create_of_unknown_outcome_is_not_repeated_with_the_key_of_another_project() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetBeforeActing);
    let with_key = |key: &str| {
        let mut command = world.command();
        command.env("GOOGLE_API_KEY", key).env("GEMINI_BATCH_SETTLE_SECONDS", "0");
        Ran::of(command.args(["create", "r.jsonl", "--json"]).output().unwrap()).json()
    };
    assert_eq!(with_key("a-key-for-tests")["error"]["kind"], "unclear_outcome");
    support::ledger::time_passes(&world, Duration::from_secs(3600));
    let refused = with_key("a-key-of-another-project");
    assert_eq!(refused["error"]["kind"], "wrong_state", "{refused}");
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 1);
    assert_eq!(with_key("a-key-for-tests")["submission"], "created");
    all_is_well(&world);
}

#[test]
fn a_job_of_days_ago_behind_many_others_is_found_by_its_content() {
    let world = world();
    world.reply(&["create", "r.jsonl"]);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let batches = world.path("api").join("batches");
    let first = std::fs::read_dir(&batches).unwrap().next().unwrap().unwrap().path();
    let mut batch: serde_json::Value =
        serde_json::from_slice(&std::fs::read(first.join("batch.json")).unwrap()).unwrap();
    let mut made = |days: i64, id: String, name: Option<String>| {
        batch["created"] = (Utc::now() - TimeDelta::days(days)).to_rfc3339().into();
        batch["display_name"] = name.map_or(batch["display_name"].clone(), Into::into);
        batch["id"] = id.as_str().into();
        std::fs::create_dir_all(batches.join(&id)).unwrap();
        std::fs::write(batches.join(&id).join("batch.json"), batch.to_string()).unwrap();
    };
    made(5, first.file_name().unwrap().to_str().unwrap().to_owned(), None);
    // More than a page of the list.
    (0..101).for_each(|n| made(3, format!("another{n}"), Some(format!("another-{n}"))));
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "adopted");
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 1);
}

#[test]
fn a_process_killed_while_it_creates_leaves_one_job() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(20)));
    let mut child = world.command().args(["create", "r.jsonl"]).spawn().unwrap();
    let started = std::time::Instant::now();
    while world.jobs_at_the_api() == 0 {
        assert!(started.elapsed() < Duration::from_secs(15), "no create was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "adopted");
    all_is_well(&world);
}

#[test]
fn a_process_killed_while_it_uploads_leaves_one_job() {
    let world = world();
    world.simulator.faults().next(Call::Finalize, Fault::Delay(Duration::from_secs(20)));
    let mut child = world.command().args(["create", "r.jsonl"]).spawn().unwrap();
    let started = std::time::Instant::now();
    // The log tells of a call only when it has been answered: too late to be in the middle of it.
    while std::fs::read_dir(world.path("api").join("files")).unwrap().count() == 0 {
        assert!(started.elapsed() < Duration::from_secs(15), "no upload was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.reply(&["create", "r.jsonl"]);
    all_is_well(&world);
}

#[test]
fn a_process_that_was_overtaken_creates_nothing() {
    let world = world();
    world.simulator.faults().next(Call::Finalize, Fault::Delay(Duration::from_secs(6)));
    let overtaken = world.command().args(["create", "r.jsonl", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let started = std::time::Instant::now();
    while std::fs::read_dir(world.path("api").join("files")).unwrap().count() == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "no upload was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    // It sleeps past its lease, as a laptop does; somebody else goes on meanwhile.
    support::ledger::time_passes(&world, LEASE * 2);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created");
    let overtaken = Ran::of(overtaken.wait_with_output().unwrap());
    assert_eq!(overtaken.json()["error"]["kind"], "wrong_state", "{overtaken:?}");
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 1);
    all_is_well(&world);
}

#[test]
fn a_process_that_was_overtaken_stops_nobody() {
    let world = world();
    world.simulator.faults().next(Call::Finalize, Fault::Delay(Duration::from_secs(4)));
    let create = || world.command().args(["create", "r.jsonl", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let overtaken = create();
    let started = std::time::Instant::now();
    while std::fs::read_dir(world.path("api").join("files")).unwrap().count() == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "no upload was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    support::ledger::time_passes(&world, LEASE * 2);
    // Whoever took over has not come far when the first finds out.
    world.simulator.faults().next(Call::ListBatches, Fault::Delay(Duration::from_secs(8)));
    let overtaking = create();
    let overtaken = Ran::of(overtaken.wait_with_output().unwrap());
    assert_eq!(overtaken.json()["error"]["kind"], "wrong_state", "{overtaken:?}");
    let overtaking = Ran::of(overtaking.wait_with_output().unwrap());
    assert_eq!(overtaking.json()["submission"], "created", "{overtaking:?}");
    all_is_well(&world);
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let world = World::new();
    let prompts: Vec<_> = (0..40).map(|n| format!("{n} {}", "word ".repeat(50_000))).collect();
    let rows: Vec<_> = prompts.iter().map(|prompt| serde_json::json!({"prompt": prompt}).to_string()).collect();
    world.write("rows.jsonl", &rows.join("\n"));
    world.reply(&["build", "rows.jsonl", "--template", "{{ prompt }}", "--output", "r.jsonl"]);
    let size = std::fs::metadata(world.path("r.jsonl")).unwrap().len();
    world.simulator.faults().next(Call::UploadChunk, Fault::ResetAfterReading(3 << 20));
    world.simulator.faults().next(Call::Finalize, OVERLOADED);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created");
    let sent: u64 =
        world.simulator.log().entries().iter().filter(|e| e.path.contains("/upload/")).map(|e| e.received).sum();
    assert!(sent <= size + (8 << 20) + 10_000, "{sent} bytes were sent for a file of {size}");
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn a_download_that_breaks_leaves_nothing_half_written() {
    let world = world();
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    for fault in [Fault::CutBodyAfter(40), Fault::EndBodyAfter(40), OVERLOADED] {
        world.simulator.faults().always(Call::Download, fault);
        let error = world.refusal(&["results", &handle, "--output", "out.jsonl"]);
        assert_eq!(error["kind"], "unavailable", "{fault:?}: {error}");
        assert!(!world.path("out.jsonl").exists(), "{fault:?}");
        world.simulator.faults().clear();
    }
    all_is_well(&world);
}

#[test]
fn a_success_without_output_yet_is_waited_for() {
    let world = world();
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.simulator.faults().next_times(Call::GetBatch, 2, Fault::SucceededWithoutOutput);
    let status = world.reply(&["status", &handle, "--wait"]);
    assert_eq!(status["jobs"][0]["state"], "JOB_STATE_SUCCEEDED");
    all_is_well(&world);
}

#[test]
fn an_outage_while_waiting_is_sat_out() {
    let world = World::with(|options| options.pace = gemini_batch_mcp::simulator::Pace::demo());
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    // Longer than one call repeats itself.
    world.simulator.faults().next_times(Call::GetBatch, 7, OVERLOADED);
    let status = world.reply(&["status", &handle, "--wait"]);
    assert_eq!(status["jobs"][0]["state"], "JOB_STATE_SUCCEEDED");
    assert_eq!(status["jobs"][0]["evidence"], serde_json::Value::Null, "it is over: {status}");
    all_is_well(&world);
}

#[test]
fn waiting_for_a_job_that_never_reached_the_api_ends() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::Status { code: 400, body: ErrorBody::Empty });
    world.refusal(&["create", "r.jsonl"]);
    let ran = world.run(&["status", "--wait", "--json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(ran.json()["jobs"][0]["state"], "JOB_STATE_UNSUBMITTED");
    assert!(ran.json()["next"].as_str().unwrap().contains("create_batch"), "{ran:?}");
}

#[test]
fn a_create_without_a_reply_is_found_by_a_look_at_its_status() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetAfterActing);
    // The look before the create succeeds; those right after it fail as well.
    for nth in 2..=4 {
        world.simulator.faults().nth(Call::ListBatches, nth, Fault::Status { code: 400, body: ErrorBody::Empty });
    }
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    assert_eq!(world.simulator.faults().due(), 0, "every fault struck");
    let status = world.reply(&["status"]);
    assert_ne!(status["jobs"][0]["state"], "JOB_STATE_UNSUBMITTED", "{status}");
    all_is_well(&world);
}

/// The name at the API of the batch that was made last.
fn newest_at_the_api(world: &World) -> String {
    let batches = std::fs::read_dir(world.path("api").join("batches")).unwrap().map(|entry| entry.unwrap());
    let newest = batches.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap()).unwrap();
    format!("batches/{}", newest.file_name().into_string().unwrap())
}

#[test]
fn a_create_without_a_reply_is_found_by_the_name_that_the_api_gave_it() {
    for (cut, creates) in [(&[][..], 1), (&["--max-part-requests", "1"], 2)] {
        let world = world();
        world.simulator.faults().nth(Call::CreateBatch, creates, Fault::ResetAfterActing);
        // Each part is looked up before its create; the looks after the last one fail.
        for nth in 1..=3 {
            let broken = Fault::Status { code: 400, body: ErrorBody::Empty };
            world.simulator.faults().nth(Call::ListBatches, creates + nth, broken);
        }
        assert_eq!(world.refusal(&[&["create", "r.jsonl"], cut].concat())["kind"], "unclear_outcome");
        assert_eq!(world.simulator.faults().due(), 0, "every fault struck");
        let named = world.run(&["status", &newest_at_the_api(&world), "--json"]).json();
        let listed = world.reply(&["list", "--local"])["jobs"].clone();
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["job"]), (1, &named["jobs"][0]["job"]), "{listed}");
        let again = world.reply(&[&["create", "r.jsonl"], cut].concat());
        assert_eq!((&again["submission"], &again["job"]), (&"found".into(), &listed[0]["job"]), "{again}");
        world.reply(&["status", "--wait"]);
        let results = world.reply(&["results", again["job"].as_str().unwrap(), "--output", "out.jsonl"]);
        assert_eq!(results["outcomes"]["answered"], 2, "{results}");
        assert_eq!(world.jobs_at_the_api(), creates as usize);
    }
}

#[test]
fn a_batch_that_was_cut_otherwise_is_no_part_of_a_job() {
    let world = world();
    world.reply(&["create", "r.jsonl"]);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    assert_eq!(world.refusal(&["create", "r.jsonl", "--max-part-requests", "1"])["kind"], "wrong_state");
    let name = newest_at_the_api(&world);
    assert_eq!(world.reply(&["status", &name, "--wait"])["jobs"][0]["job"], *name);
    let listed = world.reply(&["list", "--local"])["jobs"].clone();
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|job| &job["state"]).collect();
    assert_eq!(states, ["JOB_STATE_UNSUBMITTED", "JOB_STATE_SUCCEEDED"], "{listed}");
}

#[test]
fn one_job_that_is_gone_does_not_hide_the_others() {
    let world = World::with(|options| options.pace = gemini_batch_mcp::simulator::Pace::realistic());
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let first = world.reply(&["create", "r.jsonl"]);
    let second = world.reply(&["create", "r.jsonl", "--new-run"]);
    let name = first["remote_name"].as_str().unwrap().strip_prefix("batches/").unwrap().to_owned();
    std::fs::remove_dir_all(world.path("api").join("batches").join(name)).unwrap();
    let handles = [&first["job"], &second["job"]].map(|handle| handle.as_str().unwrap());
    let ran = world.run(&["status", "--json", handles[1], handles[0]]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let ran = world.run(&["status", "--json", handles[0], handles[1]]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let jobs = ran.json()["jobs"].as_array().unwrap().clone();
    assert_eq!(jobs.len(), 2);
    let of = |handle: &serde_json::Value| jobs.iter().find(|job| job["job"] == *handle).unwrap();
    assert!(of(&first["job"])["evidence"].as_str().unwrap().contains("cannot be looked at"), "{jobs:?}");
    assert_eq!(of(&second["job"])["verdict"], "normal");
    let text = world.run(&["status"]).stdout;
    let settles = format!("gemini-batch-mcp status {} in 10 minutes settles that", first["job"].as_str().unwrap());
    assert!(text.contains(&settles) && !text.contains("check_status"), "{text}");
    assert_eq!(world.refusal(&["status", first["job"].as_str().unwrap()])["kind"], "not_found");
}

#[test]
fn a_bad_key_is_told_from_a_missing_one() {
    let world = world();
    let bad = world.command().env("GOOGLE_API_KEY", "invalid").args(["create", "r.jsonl", "--json"]).output().unwrap();
    let bad: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(bad["error"]["kind"], "auth");
    let none = world.command().env_remove("GOOGLE_API_KEY").args(["create", "r.jsonl", "--json"]).output().unwrap();
    let none: serde_json::Value = serde_json::from_slice(&none.stdout).unwrap();
    assert_eq!(none["error"]["kind"], "key_missing");
    world.reply(&["create", "r.jsonl"]);
    all_is_well(&world);
}

#[test]
fn a_bad_line_is_refused_before_anything_is_sent() {
    let world = World::new();
    let good = r#"{"key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}]}}"#;
    let bad = r#"{"key":"b","request":{"contents":[{"parts":[{"text":"hi"}]}],"systemInstruction":"be kind"}}"#;
    world.write("r.jsonl", &format!("{good}\n{bad}\n{good}\nnot json\n"));
    let error = world.refusal(&["create", "r.jsonl"]);
    assert_eq!(error["kind"], "invalid_input");
    let cause = error["cause"].as_str().unwrap();
    for part in ["line 2", "systemInstruction", "line 3", "line 4"] {
        assert!(cause.contains(part), "{part} is missing in {cause}");
    }
    assert!(world.simulator.log().entries().is_empty());
}

#[test]
fn a_create_that_may_still_be_worked_on_is_not_sent_again() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(5)));
    let mut child = world.command().args(["create", "r.jsonl"]).spawn().unwrap();
    let started = std::time::Instant::now();
    while world.jobs_at_the_api() == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "no create was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The API takes minutes to check a large file and shows the job only then.
    let shown = world.path("api").join("batches");
    std::fs::rename(&shown, world.path("hidden")).unwrap();
    std::fs::create_dir(&shown).unwrap();
    // Longer than a create is waited for, but not long enough to show up after that.
    time_passes(&world, Duration::from_secs(400));
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    assert_eq!(world.simulator.log().count("POST", ":batchGenerateContent"), 1);
    std::fs::remove_dir(&shown).unwrap();
    std::fs::rename(world.path("hidden"), &shown).unwrap();
    // Asking for its state is enough to find it.
    let status = world.reply(&["status", "--wait"]);
    assert_eq!(status["jobs"][0]["state"], "JOB_STATE_SUCCEEDED", "{status}");
    all_is_well(&world);
}

#[test]
fn a_job_that_was_cancelled_and_deleted_is_still_accounted_for() {
    let world = World::with(|options| options.pace = gemini_batch_mcp::simulator::Pace::realistic());
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["cancel", &handle]);
    world.reply(&["delete", &handle]);
    let results = world.run(&["results", &handle, "--json"]).json();
    assert_eq!(results["outcomes"], serde_json::json!({"answered": 0, "missing": 2}), "{results}");
    world.reply(&["delete", &handle]);
}

#[test]
fn what_came_once_is_not_given_up_for_less() {
    let world = world();
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    let kept = format!("home/jobs/{handle}/results.jsonl");
    world.reply(&["results", &handle, "--output", "all.jsonl"]);
    let first_line = world.read(&kept).find('\n').unwrap() as u64 + 1;
    std::fs::remove_dir_all(world.path("home")).unwrap();
    world.reply(&["create", "r.jsonl"]);

    let outcomes = |results: &serde_json::Value| (results["outcomes"]["answered"].clone(), results["cost_usd"].clone());
    for bytes in [first_line, 0] {
        world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(bytes));
        let results = world.run(&["results", &handle, "--output", "out.jsonl", "--overwrite", "--json"]).json();
        assert_eq!(outcomes(&results), (1.into(), serde_json::Value::Null), "{results}");
        assert!(results["warnings"][0].as_str().unwrap().contains("billed"), "{results}");
    }
    let results = world.reply(&["results", &handle, "--output", "out.jsonl", "--overwrite"]);
    assert_eq!(results["outcomes"]["answered"], 2);
    assert!(results["cost_usd"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_job_that_failed_as_a_whole_is_run_again_once() {
    let world = World::new();
    world.reply(&["build", "--prompt", "[[simulate:job-failed]] one", "--output", "r.jsonl"]);
    let first = world.reply(&["create", "r.jsonl"])["job"].clone();
    let first = first.as_str().unwrap();
    world.run(&["status", first, "--wait"]);
    let second = world.reply(&["retry", first]);
    assert_eq!((&second["submission"], &second["retry_of"]), (&"created".into(), &first.into()), "{second}");
    assert_ne!(second["job"], first);
    let again = world.reply(&["retry", first]);
    assert_eq!((&again["submission"], &again["job"]), (&"found".into(), &second["job"]), "asked twice, paid once");
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn a_retry_reads_no_request_file_outside_the_allowed_folders() {
    let world = World::new();
    std::fs::create_dir(world.path("inside")).unwrap();
    world.reply(&["build", "--prompt", "[[simulate:failed]] one", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job, "--wait"]);
    assert_eq!(world.refusal(&["retry", &job, "--root", "inside"])["kind"], "path_not_allowed");
    let retried = world.reply(&["retry", &job]);
    // The request file of a retry is kept with its job, and always allowed.
    world.run(&["status", retried["job"].as_str().unwrap(), "--wait"]);
    world.reply(&["retry", retried["job"].as_str().unwrap(), "--root", "inside"]);
}

#[test]
fn a_batch_with_the_name_of_a_job_does_not_take_its_place() {
    let world = world();
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    // Somebody else's batch of the same display name.
    let batches = world.path("api").join("batches");
    let ours = std::fs::read_dir(&batches).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let first = if ours.starts_with('z') { 'y' } else { 'z' };
    let theirs = format!("{first}{}", &ours[1..]);
    std::fs::create_dir(batches.join(&theirs)).unwrap();
    let record = std::fs::read_to_string(batches.join(&ours).join("batch.json")).unwrap();
    std::fs::write(batches.join(&theirs).join("batch.json"), record.replace(&ours, &theirs)).unwrap();

    let name = format!("batches/{theirs}");
    assert_eq!(world.reply(&["status", &name])["jobs"][0]["job"], *name);
    let listed = world.reply(&["list", "--local"]);
    let jobs = listed["jobs"].as_array().unwrap();
    let job = jobs.iter().find(|job| job["job"] == *handle).unwrap();
    assert_eq!(job["remote_name"], format!("batches/{ours}"), "{listed}");
}

#[test]
fn a_file_that_was_retried_whole_is_still_known_for_its_model() {
    let world = World::new();
    let prompt = "[[simulate:job-failed]] one";
    world.reply(&["build", "--prompt", prompt, "--model", "gemini-2.5-flash-lite", "--output", "r.jsonl"]);
    let first = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &first, "--wait"]);
    world.reply(&["retry", &first]);
    let again = world.reply(&["create", "r.jsonl"]);
    assert_eq!(
        (&again["submission"], &again["job"]),
        (&"found".into(), &first.into()),
        "no other model is paid, and its answers are those of its retry: {again}"
    );
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn settings_that_come_too_late_for_a_job_that_is_there_are_told() {
    let world = world();
    let create = |more: &[&str]| world.reply(&[&["create", "r.jsonl", "--priority", "3"], more].concat());
    assert_eq!(create(&[])["submission"], "created");
    let same = create(&[]);
    assert_eq!((&same["submission"], same["warnings"].is_null()), (&"found".into(), true), "{same}");
    let late = create(&["--webhook-url", "https://me.example/webhook"]);
    assert!(late["warnings"].to_string().contains("without effect in this call: webhook_urls"), "{late}");
    let late = world.reply(&["create", "r.jsonl", "--priority", "5"]);
    assert!(late["warnings"].to_string().contains("without effect in this call: priority"), "{late}");
}

#[test]
fn an_upload_that_is_gone_before_the_create_is_made_again() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "queued");
    std::fs::remove_dir_all(world.path("api/files")).unwrap();
    std::fs::create_dir(world.path("api/files")).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created");
    assert_eq!(world.simulator.log().count("POST", "/upload/"), 4, "two starts, two chunks");
    all_is_well(&world);
}

#[test]
fn a_create_of_unknown_outcome_is_not_repeated_because_its_upload_is_gone() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "queued");
    world.simulator.faults().next(Call::CreateBatch, OVERLOADED);
    world.simulator.faults().always(Call::GetFile, Fault::Status { code: 404, body: ErrorBody::Empty });
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 2);
}
