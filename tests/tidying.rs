//! What was uploaded is removed when it is of no more use, and only what is ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, Pace};
use serde_json::{Value, json};
use support::ledger::time_passes;
use support::remembered::age;
use support::world::World;

/// Names of the files at the API.
fn files(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.path("api").join("files"));
    let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// A world with a job that has ended, and its handle.
fn ended() -> (World, String) {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    (world, job)
}

const OVERLOADED: Fault = Fault::Status { code: 400, body: ErrorBody::Empty };

#[test]
fn an_upload_goes_when_the_results_are_here_and_not_before() {
    let (world, job) = ended();
    assert_eq!(files(&world).len(), 1);
    world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(0));
    world.results(&[&job, "--limit", "1"]);
    assert_eq!(files(&world).len(), 1, "the results are not all here");
    world.results(&[&job, "--limit", "1"]);
    assert!(files(&world).is_empty());
    assert_eq!(world.results(&[&job, "--limit", "2"])["outcomes"]["answered"], 2);
    assert_eq!(world.simulator.log().count("DELETE", "/files/"), 1, "once");
    assert_eq!(world.simulator.log().count("DELETE", "/batches/"), 0, "the job stays");
}

#[test]
fn what_was_simulated_is_tidied_by_the_next_process_too() {
    let world = World::new();
    let simulated = |arguments: &[&str]| {
        let mut command = support::program::program(world.folder.path());
        command.args(arguments).args(["--simulate", "--json"]);
        serde_json::from_slice::<Value>(&command.output().unwrap().stdout).unwrap()
    };
    simulated(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    let job = simulated(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    simulated(&["status", &job, "--wait"]);
    assert_eq!(simulated(&["list"])["storage"]["files"], 1);
    simulated(&["results", &job]);
    assert_eq!(simulated(&["list"])["storage"]["files"], 0);
}

#[test]
fn uploads_stay_where_the_user_wants_them() {
    for setting in ["flag", "variable", "read only"] {
        let (world, job) = ended();
        let mut command = world.command();
        match setting {
            "flag" => command.arg("--keep-uploads"),
            "variable" => command.env("GEMINI_BATCH_KEEP_UPLOADS", "1"),
            _ => command.arg("--read-only"),
        };
        assert!(command.args(["results", &job]).output().unwrap().status.success(), "{setting}");
        assert_eq!(files(&world).len(), 1, "{setting}");
    }
}

#[test]
fn a_failed_removal_spoils_no_results_and_is_made_up_for() {
    let (world, job) = ended();
    world.simulator.faults().next(Call::DeleteFile, OVERLOADED);
    assert_eq!(world.results(&[&job, "--limit", "2"])["outcomes"]["answered"], 2);
    assert_eq!((world.simulator.faults().due(), files(&world).len()), (0, 1));
    world.results(&[&job, "--limit", "1"]);
    assert!(files(&world).is_empty());
}

#[test]
fn a_part_that_failed_whole_leaves_no_upload_and_a_running_one_keeps_it() {
    let world = World::with(|options| options.pace = Pace::realistic());
    world.reply(&["build", "--prompt", "[[simulate:job-failed]] one", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["results", &job]);
    assert_eq!(files(&world).len(), 1, "it has not ended");
    world.reply(&["cancel", &job]);
    world.results(&[&job, "--limit", "1"]);
    assert!(files(&world).is_empty());
    // It can be repeated all the same: the requests are here.
    assert_eq!(world.reply(&["retry", &job])["submission"], "created");
}

#[test]
fn a_list_tells_what_lies_at_the_api_and_what_can_be_removed() {
    let (world, job) = ended();
    let size = std::fs::metadata(world.path("r.jsonl")).unwrap().len();
    let storage = world.reply(&["list"])["storage"].clone();
    let expected = json!({"files": 1, "bytes": size, "limit_bytes": 20_000_000_000_u64, "ours_bytes": size, "removable_bytes": size});
    assert_eq!(storage, expected);
    let text = world.run(&["list"]).stdout;
    assert!(text.contains("files at the API: 1 file, ") && text.contains(" of 20.0 GB ("), "{text}");
    // Of another ledger nothing is ours, but for what carries the name of a job that it knows.
    let stranger = |arguments: &[&str]| {
        let mut command = world.command();
        command.env("GEMINI_BATCH_HOME", world.path("other")).args(arguments).arg("--json");
        serde_json::from_slice::<Value>(&command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(stranger(&["list"])["storage"]["ours_bytes"], 0);
    stranger(&["status", &job]);
    assert_eq!(stranger(&["list"])["storage"]["removable_bytes"], size);
    world.results(&[&job, "--limit", "1"]);
    assert_eq!(world.reply(&["list"])["storage"]["files"], 0);
    assert!(world.reply(&["list", "--local"])["storage"].is_null(), "the API was not asked");
}

#[test]
fn a_list_is_worth_having_without_the_files() {
    let (world, _) = ended();
    world.simulator.faults().always(Call::ListFiles, OVERLOADED);
    let list = world.reply(&["list"]);
    assert_eq!((list["jobs"].as_array().unwrap().len(), &list["storage"]), (1, &Value::Null));
    assert!(list["warnings"].to_string().contains("files at the API"), "{list}");
}

#[test]
fn a_batch_whose_create_had_no_answer_is_listed_as_its_job() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetAfterActing);
    // The look before the create succeeds; those right after it fail as well.
    for nth in 2..=4 {
        world.simulator.faults().nth(Call::ListBatches, nth, OVERLOADED);
    }
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    let jobs = world.reply(&["list"])["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    assert!(jobs[0]["job"].as_str().unwrap().starts_with("r-"), "{jobs}");
}

#[test]
fn jobs_are_listed_by_the_state_that_is_shown_and_what_a_list_learns_is_known_from_then_on() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl"])["job"].clone();
    // Nobody has looked at it before.
    let listed = world.reply(&["list", "--state", "SUCCEEDED"])["jobs"].clone();
    assert_eq!((&listed[0]["job"], &listed[0]["state"]), (&job, &json!("JOB_STATE_SUCCEEDED")), "{listed}");
    assert_eq!(world.reply(&["list", "--state", "unfinished"])["jobs"], json!([]));
    assert_eq!(world.reply(&["list", "--local"])["jobs"][0]["state"], "JOB_STATE_SUCCEEDED");
    let line = world.run(&["statusline"]).stdout;
    assert!(!line.contains("running"), "{line}");
    assert_eq!(
        world.simulator.log().count("GET", "/batches/"),
        1,
        "the end is asked for once, however often it is listed"
    );
}

#[test]
fn an_end_that_cannot_be_asked_for_or_has_no_output_yet_is_none_to_a_list() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    let unfinished = || world.reply(&["list", "--state", "unfinished"]);
    let count = |listed: &Value| listed["jobs"].as_array().unwrap().len();
    world.simulator.faults().next(Call::GetBatch, OVERLOADED);
    let listed = unfinished();
    assert!(count(&listed) == 1 && listed["warnings"].to_string().contains("as they were last seen"), "{listed}");
    // So old a job is asked for every five minutes.
    age(&world, &job, 3 * 3600);
    world.simulator.faults().always(Call::GetBatch, Fault::SucceededWithoutOutput);
    let looks = || world.simulator.log().count("GET", "/batches/");
    let before = looks() + 1;
    for _ in 0..2 {
        let listed = unfinished();
        assert_eq!((count(&listed), &listed["warnings"]), (1, &Value::Null), "{listed}");
        assert_eq!(looks(), before, "what is no news is asked for by its schedule");
    }
    time_passes(&world, Duration::from_secs(600));
    world.simulator.faults().clear();
    assert_eq!(count(&unfinished()), 0);
    assert_eq!(looks(), before + 1);
}

#[test]
fn a_list_tells_money_and_kinship() {
    let world = World::new();
    world.reply(&["build", "--prompt", "[[simulate:failed]] one", "--output", "r.jsonl"]);
    let list = || world.reply(&["list", "--local", "--daily-budget-usd", "5"]);
    assert_eq!(list()["today"], json!({"sent_usd": 0.0, "waiting_usd": 0.0, "budget_usd": 5.0}));
    assert!(world.reply(&["list", "--local"])["today"].is_null(), "nothing to tell");
    let created = world.reply(&["create", "r.jsonl"]);
    assert_eq!(list()["today"]["sent_usd"], created["estimate"]["high_usd"]);
    let first = created["job"].as_str().unwrap();
    world.run(&["status", first, "--wait"]);
    world.reply(&["retry", first]);
    let list = list();
    assert_eq!((&list["jobs"][0]["retry_of"], &list["jobs"][1]["cost_usd"]), (&json!(first), &json!(0.0)), "{list}");
    assert!(list["jobs"][0]["cost_usd"].is_null(), "not known so far");
    let text = world.run(&["list", "--local"]).stdout;
    assert!(text.contains(&format!(", retry of {first}\n")) && text.contains("\ntoday: $"), "{text}");
}

#[test]
fn deleting_shows_names_and_sizes_first_and_removes_each_part() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--prompt", "six", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl", "--max-part-requests", "1"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let other = world.reply(&["create", "r.jsonl", "--new-run"])["job"].as_str().unwrap().to_owned();
    let shown = world.reply(&["delete", &job, "--files", "--dry-run"]);
    let removed = shown["removed"].as_array().unwrap();
    assert_eq!(removed.len(), 6, "{shown}");
    let sizes: u64 = removed.iter().filter_map(|file| file["bytes"].as_u64()).sum();
    assert_eq!(sizes, std::fs::metadata(world.path("r.jsonl")).unwrap().len());
    assert_eq!((world.jobs_at_the_api(), files(&world).len()), (4, 4), "a dry run removes nothing");
    assert_eq!(world.reply(&["delete", &job, "--files"])["removed"], shown["removed"]);
    assert_eq!((world.jobs_at_the_api(), files(&world).len()), (1, 1), "what is of another job stays");
    assert!(
        world
            .simulator
            .log()
            .entries()
            .iter()
            .all(|call| !call.path.contains("files/batch-") || call.method != "DELETE")
    );
    assert_eq!(world.reply(&["delete", &job, "--files"])["removed"], json!([]));
    let told = world.run(&["history", &job]).stdout;
    for (step, times) in [("requests uploaded as", 3), ("create sent", 3), ("  deleted at the API", 1)] {
        assert_eq!(told.matches(step).count(), times, "{step}: {told}");
    }
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 3, "the answers are here");
    world.reply(&["status", &other, "--wait"]);
}

#[test]
fn an_upload_that_the_ledger_forgot_is_found_by_its_name() {
    let (world, job) = ended();
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let shown = world.reply(&["delete", &job, "--files", "--dry-run"]);
    assert_eq!(shown["removed"].as_array().unwrap().len(), 2, "{shown}");
    world.reply(&["delete", &job, "--files"]);
    assert_eq!((world.jobs_at_the_api(), files(&world).len()), (0, 0));
}

#[test]
fn what_was_paid_for_and_did_not_come_is_not_thrown_away() {
    let (world, job) = ended();
    world.simulator.faults().always(Call::Download, Fault::EndBodyAfter(0));
    for call in [&["delete", &job][..], &["delete", &job, "--dry-run"]] {
        let error = world.refusal(call);
        assert_eq!(error["kind"], "wrong_state", "{call:?}: {error}");
    }
    assert_eq!(world.jobs_at_the_api(), 1);
    world.simulator.faults().clear();
    world.reply(&["delete", &job]);
    assert_eq!(world.jobs_at_the_api(), 0);
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 2);
}

#[test]
fn what_did_not_come_before_its_batch_was_deleted_is_not_said_to_come() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "[[simulate:failed]] two", "--output", "r.jsonl"]);
    // The lines come in any order: one run of several has the answer first. The error behind it is cut off.
    let answer_first = || {
        let job = world.reply(&["create", "r.jsonl", "--new-run"])["job"].as_str().unwrap().to_owned();
        world.run(&["status", &job, "--wait"]);
        // As they come to somebody else.
        world.results(&[&job, "--limit", "1", "--home", "elsewhere", "--keep-uploads"]);
        let lines = std::fs::read_to_string(world.path("elsewhere/jobs").join(&job).join("results.jsonl")).unwrap();
        let first = lines.lines().next().unwrap();
        first.contains("\"response\"").then(|| (job, first.len() as u64 + 1))
    };
    let (job, length) = (0..30).find_map(|_| answer_first()).expect("an answer that comes first");
    world.simulator.faults().always(Call::Download, Fault::EndBodyAfter(length));
    world.reply(&["delete", &job]);
    let results = world.results(&[&job, "--limit", "1"]);
    assert_eq!(results["outcomes"], json!({"answered": 1, "missing": 1}), "{results}");
    let warnings = results["warnings"].to_string();
    assert!(warnings.contains("does not come any more") && !warnings.contains("may still come"), "{results}");
}

#[test]
fn an_upload_whose_job_was_never_made_can_be_removed() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    world.simulator.faults().next(Call::CreateBatch, OVERLOADED);
    world.refusal(&["create", "r.jsonl"]);
    let job = world.reply(&["list", "--local"])["jobs"][0]["job"].as_str().unwrap().to_owned();
    assert_eq!((world.jobs_at_the_api(), files(&world).len()), (0, 1));
    world.reply(&["delete", &job, "--files"]);
    assert!(files(&world).is_empty());
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "created", "it can be sent all the same");
}

#[test]
fn what_others_removed_need_not_be_removed_and_is_not_said_to_be() {
    let (world, job) = ended();
    world.results(&[&job, "--limit", "1", "--keep-uploads"]);
    for kind in ["batches", "files"] {
        std::fs::remove_dir_all(world.path("api").join(kind)).unwrap();
        std::fs::create_dir(world.path("api").join(kind)).unwrap();
    }
    let removed = world.reply(&["delete", &job, "--files"])["removed"].clone();
    assert!(
        removed.as_array().unwrap().iter().all(|one| one["name"].as_str().unwrap().starts_with("batches/")),
        "{removed}"
    );
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 2, "the answers are here");
}

#[test]
fn a_program_that_may_only_read_changes_nothing_at_the_api() {
    let (world, job) = ended();
    world.write("other.jsonl", &world.read("r.jsonl").replace("one", "more"));
    let before = world.simulator.log().entries().len();
    for call in [&["create", "other.jsonl"][..], &["cancel", &job], &["delete", &job], &["retry", &job]] {
        let refused = world.refused(&[&["--read-only"], call].concat());
        assert!(refused["cause"].as_str().unwrap().contains("read-only"), "{call:?}: {refused}");
    }
    let changes =
        |before: usize| world.simulator.log().entries()[before..].iter().filter(|call| call.method != "GET").count();
    assert_eq!((changes(before), world.jobs_at_the_api()), (0, 1));
    // What another program left to be sent is not sent either.
    let full = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
    world.simulator.faults().next(Call::CreateBatch, full);
    assert_eq!(world.reply(&["create", "other.jsonl"])["submission"], "queued");
    time_passes(&world, Duration::from_secs(3600));
    let before = world.simulator.log().entries().len();
    for call in [&["run"][..], &["status", "--wait", "--timeout", "1"], &["list"]] {
        world.run(&[&["--read-only"], call].concat());
    }
    assert_eq!((changes(before), world.jobs_at_the_api()), (0, 1));
    assert_eq!(world.reply(&["--read-only", "delete", &job, "--dry-run"])["removed"].as_array().unwrap().len(), 1);
}

#[test]
fn what_came_before_its_batch_was_removed_elsewhere_is_given() {
    let (world, job) = ended();
    let batch = std::fs::read_dir(world.path("api/batches")).unwrap().next().unwrap().unwrap().path();
    // As they come to somebody else.
    world.results(&[&job, "--limit", "1", "--home", "elsewhere", "--keep-uploads"]);
    let results = std::fs::read_to_string(world.path("elsewhere/jobs").join(&job).join("results.jsonl")).unwrap();
    let first_line = results.find('\n').unwrap() as u64 + 1;
    world.simulator.faults().always(Call::Download, Fault::EndBodyAfter(first_line));
    assert_eq!(world.results(&[&job, "--limit", "2"])["outcomes"]["answered"], 1, "the rest may come");
    std::fs::remove_dir_all(batch).unwrap();
    assert_eq!(world.results(&[&job, "--limit", "2"])["outcomes"]["answered"], 1);
    // The other was answered and billed, as far as the API ever said.
    assert_eq!(world.refusal(&["retry", &job])["kind"], "wrong_state");
    assert_eq!(world.reply(&["retry", &job, "--outcome", "missing", "--dry-run"])["requests"], 1);
}
