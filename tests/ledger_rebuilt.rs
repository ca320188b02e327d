//! A ledger that was damaged or lost is put together again: from itself, from the API, and from the answers kept here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use serde_json::{Value, json};
use support::ledger::open;
use support::program::Server;
use support::world::World;

/// A world with three jobs: one whose answers are here, one that has ended, one that was deleted at the API.
fn world() -> (World, Vec<String>) {
    let world = World::new();
    let jobs = ["one", "two", "three"].map(|name| {
        let file = format!("{name}.jsonl");
        world.reply(&["build", "--prompt", name, "--prompt", "more", "--output", &file]);
        let job = world.reply(&["create", &file])["job"].as_str().unwrap().to_owned();
        world.reply(&["status", &job, "--wait"]);
        job
    });
    world.reply(&["results", &jobs[0], "--output", "one.out.jsonl"]);
    world.reply(&["delete", &jobs[2]]);
    world.simulator.log().clear();
    (world, jobs.to_vec())
}

fn listed(world: &World) -> Vec<String> {
    let list = world.reply(&["list", "--local"]);
    let mut jobs: Vec<_> =
        list["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap().to_owned()).collect();
    jobs.sort();
    jobs
}

fn sorted(jobs: &[String]) -> Vec<String> {
    let mut jobs = jobs.to_vec();
    jobs.sort();
    jobs
}

fn set_aside(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.path("home")).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| path.to_str().unwrap().contains("ledger.damaged-");
    entries.filter(|path| is_one(path) && path.extension().unwrap() == "sqlite3").collect()
}

/// Whatever was known is known again, and nothing is paid a second time.
fn all_is_known(world: &World, jobs: &[String]) {
    assert_eq!(listed(world), sorted(jobs));
    for (job, file) in jobs.iter().zip(["one.jsonl", "two.jsonl", "three.jsonl"]) {
        let again = world.reply(&["create", file]);
        assert_eq!((&again["submission"], &again["job"]), (&json!("found"), &json!(job)));
        let results = world.results(&[job, "--output", "out.jsonl", "--overwrite"]);
        assert_eq!(results["outcomes"]["answered"], 2, "{job}: {results}");
    }
    assert_eq!(world.simulator.log().count("POST", "batchGenerateContent"), 0);
}

#[test]
fn a_damaged_ledger_is_told_of_once_and_everything_is_known_again() {
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [Damage; 3] = [
        |_| b"no database".to_vec(),
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        |mut bytes| {
            bytes[4096..].fill(0xA5);
            bytes
        },
    ];
    for damage in damages {
        let (world, jobs) = world();
        let damaged = damage(fs::read(world.path("home/ledger.sqlite3")).unwrap());
        fs::write(world.path("home/ledger.sqlite3"), &damaged).unwrap();

        let ran = world.run(&["status"]);
        let warnings: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert_eq!(warnings.len(), 2, "{ran:?}");
        assert!(warnings[0].contains("was damaged") && warnings[0].contains("set aside as"), "{ran:?}");
        assert!(warnings[1].contains("complete again"), "{ran:?}");
        let kept = set_aside(&world);
        assert!(kept.len() == 1 && fs::read(&kept[0]).unwrap() == damaged, "{kept:?} is what it was");
        let again = world.run(&["status"]);
        assert!(!again.stderr.contains("warning"), "{again:?}");
        all_is_known(&world, &jobs);
    }
}

#[test]
fn a_ledger_that_is_gone_is_rebuilt_by_the_first_call_that_goes_to_the_api() {
    let (world, jobs) = world();
    fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
    let ran = world.run(&["list", "--local"]);
    assert!(ran.stderr.contains("was gone"), "{ran:?}");
    assert_eq!(world.simulator.log().entries().len(), 0, "nothing is asked for where nothing has to be");
    let ran = world.run(&["create", "two.jsonl", "--json"]);
    assert!(ran.stderr.contains("of 2 batches at the API 2 were recorded anew; 1 more job by the answers"), "{ran:?}");
    assert_eq!(ran.json()["submission"], "found");
    all_is_known(&world, &jobs);
}

#[test]
fn an_api_that_cannot_be_asked_leaves_it_for_later() {
    let (world, jobs) = world();
    fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
    let refused = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::ListBatches, refused);
    let ran = world.run(&["status"]);
    assert!(ran.stderr.contains("could not be looked up so far"), "{ran:?}");
    assert!(ran.code == 0 && world.path("home/ledger.incomplete").exists());
    let without_key = world.command().env_remove("GOOGLE_API_KEY").args(["list"]).output().unwrap();
    assert!(without_key.status.success(), "{without_key:?}");
    world.reply(&["status"]);
    all_is_known(&world, &jobs);
}

#[test]
fn a_model_is_told_with_the_reply_of_the_tool_it_called() {
    let (world, _) = world();
    fs::write(world.path("home/ledger.sqlite3"), "no database").unwrap();
    let mut server = Server::start_with(|command| {
        command.env("GEMINI_BATCH_HOME", world.path("home")).env("GOOGLE_API_KEY", "a-key-for-tests");
        command.env("GOOGLE_GEMINI_BASE_URL", world.simulator.url()).stderr(Stdio::null());
    });
    server.initialize("2025-11-25");
    let texts = |reply: &Value| -> Vec<String> {
        let blocks = reply["result"]["content"].as_array().unwrap().iter();
        blocks.map(|block| block["text"].as_str().unwrap().to_owned()).collect()
    };
    let reply = server.call("list_batches", &json!({}));
    let warnings = reply["result"]["structuredContent"]["warnings"].as_array().unwrap();
    assert!(warnings.len() == 2 && warnings[0].as_str().unwrap().contains("was damaged"), "{reply}");
    assert!(texts(&reply).iter().filter(|text| text.starts_with("warning: ")).count() == 2, "{reply}");
    let reply = server.call("list_batches", &json!({}));
    assert_eq!(reply["result"]["structuredContent"]["warnings"], Value::Null, "{reply}");
    assert_eq!(texts(&reply).len(), 1, "{reply}");
}

#[test]
fn processes_that_meet_the_damage_at_the_same_moment_end_with_one_job_each_and_one_file_set_aside() {
    let (world, jobs) = world();
    let bytes = fs::read(world.path("home/ledger.sqlite3")).unwrap();
    fs::write(world.path("home/ledger.sqlite3"), &bytes[..bytes.len() - 4096]).unwrap();
    let children: Vec<_> = ["one.jsonl", "two.jsonl", "one.jsonl", "two.jsonl", "three.jsonl", "three.jsonl"]
        .map(|file| {
            let mut command = world.command();
            command.args(["create", file, "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .into_iter()
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(reply["submission"], "found", "{output:?}");
    }
    assert_eq!(set_aside(&world).len(), 1);
    all_is_known(&world, &jobs);
}

#[test]
fn a_job_in_parts_comes_back_with_all_of_them() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--prompt", "three", "--output", "r.jsonl"]);
    let submit = ["create", "r.jsonl", "--max-part-requests", "1"];
    let job = world.reply(&submit)["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    assert_eq!(world.jobs_at_the_api(), 3);
    world.results(&[&job, "--output", "out.jsonl"]);
    for lost in [true, false] {
        let ledger = world.path("home/ledger.sqlite3");
        if lost {
            fs::remove_file(&ledger).unwrap();
        } else {
            // Only one part is lost: with its version gone, the ledger counts as damaged.
            let connection = rusqlite::Connection::open(&ledger).unwrap();
            connection.execute_batch("DELETE FROM parts WHERE part = 2; PRAGMA user_version = 0").unwrap();
        }
        world.reply(&["status"]);
        let known = gemini_batch_mcp::ledger::Ledger::open(&world.path("home")).unwrap().find(&job).unwrap().unwrap();
        assert_eq!((known.parts.len(), known.requests, known.remote_names().count()), (3, 3, 3), "{known:?}");
        world.reply(&["status", &job, "--wait"]);
        assert_eq!(world.results(&[&job, "--output", "out.jsonl", "--overwrite"])["outcomes"]["answered"], 3);
        assert_eq!(world.reply(&submit)["submission"], "found");
    }
    assert_eq!(world.jobs_at_the_api(), 3);
}

#[test]
fn a_create_that_was_under_way_when_the_ledger_was_lost_is_not_sent_again_before_it_settled() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    let overloaded = Fault::Status { code: 503, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::CreateBatch, overloaded);
    assert_eq!(world.refusal(&["create", "r.jsonl"])["kind"], "unclear_outcome");
    fs::write(world.path("home/ledger.sqlite3"), "no database").unwrap();
    for arguments in [&["create", "r.jsonl"][..], &["create", "r.jsonl", "--name", "other"]] {
        assert_eq!(world.refusal(arguments)["kind"], "unclear_outcome");
    }
    assert_eq!(world.simulator.log().count("POST", ":batchGenerateContent"), 1);
    let settled = world.command().env("GEMINI_BATCH_SETTLE_SECONDS", "0").args(["create", "r.jsonl"]).output().unwrap();
    assert!(settled.status.success(), "{settled:?}");
    assert_eq!(world.jobs_at_the_api(), 1);
    // What was never wanted before does not have to wait.
    world.reply(&["build", "--prompt", "new", "--output", "new.jsonl"]);
    assert_eq!(world.reply(&["create", "new.jsonl"])["submission"], "created");
}

#[test]
fn a_job_that_was_asked_for_again_before_its_answers_were_found_is_not_sent() {
    let (world, jobs) = world();
    fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
    let refused = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().always(Call::ListBatches, refused);
    // It is not at the API any more, only its answers are here.
    world.refusal(&["create", "three.jsonl"]);
    assert_eq!(listed(&world), jobs[2..], "it is recorded, and not sent");
    world.simulator.faults().clear();
    let rebuilt = world.run(&["status"]);
    assert!(rebuilt.stderr.contains("1 more job by the answers"), "{rebuilt:?}");
    let gone = "SELECT group_concat(handle) FROM jobs WHERE deleted_at IS NOT NULL";
    assert_eq!(open(&world).query_row(gone, [], |row| row.get::<_, String>(0)).unwrap(), jobs[2]);
    all_is_known(&world, &jobs);
    // Its answers do not tell the model, the call that made it does.
    assert_eq!(
        world.reply(&["retry", &jobs[2], "--outcome", "answered"])["estimate"]["model"],
        "gemini-3-flash-preview"
    );
}

#[test]
fn what_waited_to_be_sent_and_is_forgotten_is_named() {
    let (world, _) = world();
    fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
    let waiting = world.path("home/jobs/toys-0123456789ab");
    fs::create_dir_all(&waiting).unwrap();
    fs::write(waiting.join("requests.jsonl"), "{}\n").unwrap();
    let ran = world.run(&["status"]);
    assert!(ran.stderr.contains("what of toys-0123456789ab waited to be sent was lost: create it again"), "{ran:?}");
}

#[test]
fn what_the_same_call_proves_of_a_job_that_came_back_is_known_again() {
    let world = World::new();
    world.write("planets.csv", "id,name\na,Mars\nb,[[simulate:tight]] Venus\n");
    let build = [
        "build",
        "planets.csv",
        "--template",
        "{{ name }}",
        "--key",
        "id",
        "--request",
        r#"{"generationConfig": {"maxOutputTokens": 2048}}"#,
    ];
    world.reply(&build);
    let create = ["create", "planets.requests.jsonl"];
    let job = world.reply(&create)["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job, "--wait"]);
    let retry = world.reply(&["retry", &job])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &retry, "--wait"]);
    assert_eq!(world.results(&[&job, "--limit", "2"])["outcomes"]["answered"], 2);
    fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
    // By the API's list and the answers here, nobody can tell of which rows and requests they are.
    let refused = world.refused(&["results", &job, "--join", "--output", "out.csv"]);
    assert!(refused["hint"].as_str().unwrap().contains("overwrite"), "{refused}");
    assert_eq!(world.refusal(&["retry", &job])["kind"], "not_found");
    assert_eq!(world.reply(&create)["submission"], "found");
    // The rows are known once they are built again.
    world.reply(&[&build[..], &["--overwrite"]].concat());
    assert_eq!(world.reply(&create)["submission"], "found");
    let again = world.reply(&["retry", &job]);
    assert_eq!((&again["job"], &again["submission"]), (&json!(retry), &json!("found")), "{again}");
    assert_eq!(world.jobs_at_the_api(), 2);
    // The retry is one of this job again, and its answers stand beside the rows.
    let results = world.reply(&["results", &job, "--join", "--output", "out.csv"]);
    assert_eq!(results["outcomes"]["answered"], 2, "{results}");
    assert!(world.read("out.csv").starts_with("id,name,"), "{}", world.read("out.csv"));
}

#[test]
fn a_part_that_is_known_by_its_answers_alone_is_not_paid_again() {
    let world = World::new();
    let prompts = ["--prompt", "one", "--prompt", "two", "--prompt", "three"];
    world.reply(&[&["build", "--output", "r.jsonl"][..], &prompts].concat());
    let create = ["create", "r.jsonl", "--max-part-requests", "1"];
    let created = world.reply(&create);
    let job = created["job"].as_str().unwrap();
    world.run(&["status", job, "--wait"]);
    world.reply(&["results", job, "--output", "out.jsonl"]);
    let first = created["remote_name"].as_str().unwrap();
    fs::remove_dir_all(world.path("api").join(first)).unwrap();
    fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
    assert_eq!(world.reply(&create)["submission"], "found");
    assert_eq!(world.simulator.log().count("POST", "batchGenerateContent"), 3);
    let results = world.results(&[job, "--output", "again.jsonl"]);
    assert_eq!(results["outcomes"], json!({"answered": 3}), "{results}");
    let whole = "SELECT count(*) FROM jobs WHERE collected_at IS NOT NULL AND deleted_at IS NULL";
    assert_eq!(open(&world).query_row(whole, [], |row| row.get::<_, i64>(0)).unwrap(), 1, "nothing of it is lacking");
}

#[test]
fn a_part_that_was_never_sent_is_sent_although_the_ledger_was_lost() {
    // The others are at the API, or there without counters, or known by their answers alone.
    for others in ["at the API", "without counters", "by their answers"] {
        let world = World::new();
        let prompts = ["--prompt", "one", "--prompt", "two", "--prompt", "three"];
        world.reply(&[&["build", "--output", "r.jsonl"][..], &prompts].concat());
        let create = ["create", "r.jsonl", "--max-part-requests", "1"];
        world.simulator.faults().nth(Call::CreateBatch, 3, Fault::Status { code: 400, body: ErrorBody::Empty });
        world.refusal(&create);
        let job = listed(&world)[0].clone();
        world.run(&["status", &job, "--wait"]);
        assert_eq!(world.results(&[&job, "--limit", "3"])["outcomes"], json!({"answered": 2, "missing": 1}));
        fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
        let batches = world.path("api/batches");
        match others {
            "without counters" => world.simulator.faults().always(Call::ListBatches, Fault::WithoutCounters),
            "by their answers" => {
                fs::remove_dir_all(&batches).unwrap();
                fs::create_dir(&batches).unwrap();
            }
            _ => {}
        }
        let sent = world.reply(&create);
        assert_eq!((&sent["job"], &sent["submission"]), (&json!(job), &json!("created")), "{others}: {sent}");
        assert_eq!(world.simulator.log().count("POST", "batchGenerateContent"), 4, "{others}");
        world.run(&["status", &job, "--wait"]);
        let results = world.results(&[&job, "--output", "out.jsonl"]);
        assert_eq!(results["outcomes"], json!({"answered": 3}), "{others}");
    }
}

#[test]
fn a_daily_budget_lets_nothing_new_out_before_it_is_known_what_was_sent_today() {
    let (world, _) = world();
    fs::remove_file(world.path("home/ledger.sqlite3")).unwrap();
    world.reply(&["build", "--prompt", "new", "--output", "new.jsonl"]);
    let create = |file: &str| {
        let mut command = world.command();
        command.env("GEMINI_BATCH_DAILY_BUDGET_USD", "20").args(["create", file, "--json"]);
        serde_json::from_slice::<Value>(&command.output().unwrap().stdout).unwrap()
    };
    let down = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().always(Call::ListBatches, down);
    let is_refused = || {
        let refused = create("new.jsonl")["error"].clone();
        assert_eq!(refused["kind"], "budget", "{refused}");
        assert!(refused["cause"].as_str().unwrap().contains("cannot be looked up"), "{refused}");
    };
    is_refused();
    // Nor does it let out what is recorded and was never sent.
    assert_ne!(world.refusal(&["create", "new.jsonl"])["kind"], "budget");
    assert_eq!(listed(&world).len(), 1);
    is_refused();
    world.simulator.faults().clear();
    assert_eq!(world.simulator.log().count("POST", "batchGenerateContent"), 0);
    // The next one looks first: those of today count, at a price that nobody knows.
    let refused = create("new.jsonl")["error"].clone();
    assert!(refused["cause"].as_str().unwrap().contains("is unknown"), "{refused}");
}
