//! Never paid twice, never lost: what goes wrong on the way ends in exactly one job and all answers.
//!
//! What counts is what the API has: the tests look into the simulator, not at what the client believes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use support::world::World;

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
    assert_eq!(run["submission"], "created");
    assert_ne!(run["job"], first["job"]);
    assert_eq!(world.jobs_at_the_api(), 3);
    let found = world.reply(&["create", "r.jsonl"]);
    assert_eq!((&found["job"], &found["submission"]), (&run["job"], &"found".into()), "the newest run is found");
    assert_eq!(world.jobs_at_the_api(), 3);
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
    all_is_well(&world);
}

#[test]
fn a_refused_create_is_tried_again_without_a_second_upload() {
    let world = world();
    let quota = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
    world.simulator.faults().next(Call::CreateBatch, quota);
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "quota");
    assert_eq!(world.jobs_at_the_api(), 0);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created");
    assert_eq!(world.simulator.log().count("POST", "/upload/"), 2);
    all_is_well(&world);
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
fn a_process_killed_while_it_creates_leaves_one_job() {
    let world = world();
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(3)));
    let mut child = world.command().args(["create", "r.jsonl"]).spawn().unwrap();
    let started = std::time::Instant::now();
    while world.simulator.log().count("POST", ":batchGenerateContent") == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "no create was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Whether the killed process's create arrived is up to the network: either way there is one job in the end.
    let arrived = world.jobs_at_the_api() == 1;
    let again = world.command().env("GEMINI_BATCH_SETTLE_SECONDS", "4").args(["create", "r.jsonl"]).output().unwrap();
    if !again.status.success() {
        assert!(!arrived);
        std::thread::sleep(Duration::from_secs(5));
        world.reply(&["create", "r.jsonl"]);
    }
    all_is_well(&world);
}

#[test]
fn a_process_killed_while_it_uploads_leaves_one_job() {
    let world = world();
    world.simulator.faults().next(Call::Finalize, Fault::Delay(Duration::from_secs(2)));
    let mut child = world.command().args(["create", "r.jsonl"]).spawn().unwrap();
    let started = std::time::Instant::now();
    while world.simulator.log().count("POST", "/upload/") < 2 {
        assert!(started.elapsed() < Duration::from_secs(20), "no upload was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.reply(&["create", "r.jsonl"]);
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

#[test]
fn one_job_that_is_gone_does_not_hide_the_others() {
    let world = World::with(|options| options.pace = gemini_batch_mcp::simulator::Pace::realistic());
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let first = world.reply(&["create", "r.jsonl"]);
    let second = world.reply(&["create", "r.jsonl", "--new-run"]);
    let name = first["remote_name"].as_str().unwrap().strip_prefix("batches/").unwrap().to_owned();
    std::fs::remove_dir_all(world.path("api").join("batches").join(name)).unwrap();
    let ran = world.run(&["status", "--json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let jobs = ran.json()["jobs"].as_array().unwrap().clone();
    assert_eq!(jobs.len(), 2);
    let of = |handle: &serde_json::Value| jobs.iter().find(|job| job["job"] == *handle).unwrap();
    assert!(of(&first["job"])["evidence"].as_str().unwrap().contains("cannot be looked at"), "{jobs:?}");
    assert_eq!(of(&second["job"])["verdict"], "normal");
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
