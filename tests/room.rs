//! What may be enqueued at once: as many jobs as fit go out, the next one waits without asking, and what a refusal taught
//! is not asked for again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, Pace};
use serde_json::{Value, json};
use support::ledger;
use support::world::World;

/// A world whose jobs do not end, with request files `0.jsonl` … of about 200,000 tokens each.
fn world(files: usize) -> World {
    let world = World::with(|options| options.pace = Pace::realistic());
    for file in 0..files {
        let line = |row| {
            let text = format!("{file} {row} {}", "word ".repeat(8_000));
            json!({"key": format!("k{row}"), "request": {"content": {"parts": [{"text": text}]}}}).to_string()
        };
        world.write(&format!("{file}.jsonl"), &(0..20).map(line).collect::<Vec<_>>().join("\n"));
    }
    world
}

fn create(world: &World, file: &str, tier: &[&str]) -> Value {
    world.reply(&[&["create", file, "--model", "gemini-embedding-001"], tier].concat())
}

#[test]
fn what_fits_beside_each_other_goes_out_and_the_next_waits_without_asking() {
    let world = world(3);
    // Tier 1 may have half a million tokens of this model enqueued.
    let tier = ["--tier", "1"];
    for file in ["0.jsonl", "1.jsonl"] {
        assert_eq!(create(&world, file, &tier)["submission"], "created");
    }
    let third = create(&world, "2.jsonl", &tier);
    assert_eq!(third["submission"], "queued", "{third}");
    let why = third["waits_for"].as_str().unwrap();
    assert!(why.contains("tokens of gemini-embedding-001 are enqueued"), "{why}");
    let queued = world.reply(&["list", "--local", "--state", "queued"])["jobs"].clone();
    assert_eq!((&queued[0]["job"], &queued[1]), (&third["job"], &Value::Null), "as create calls it");
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 2);
}

#[test]
fn as_much_as_was_refused_is_not_asked_for_again() {
    let world = world(3);
    create(&world, "0.jsonl", &[]);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().nth(Call::CreateBatch, 1, full);
    assert_eq!(create(&world, "1.jsonl", &[])["submission"], "queued");
    std::thread::sleep(Duration::from_millis(1100));
    // Of the same size to the token.
    let third = create(&world, "2.jsonl", &[]);
    assert_eq!(third["submission"], "queued", "{third}");
    let why = third["waits_for"].as_str().unwrap();
    assert!(why.contains("tokens of gemini-embedding-001 are enqueued"), "{why}");
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 2);
}

#[test]
fn after_a_refusal_nothing_is_asked_until_it_may_pass() {
    let world = world(2);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().nth(Call::CreateBatch, 1, full);
    for file in ["0.jsonl", "1.jsonl"] {
        assert_eq!(create(&world, file, &[])["submission"], "queued");
    }
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 1);
    let page = ["list", "--local", "--state", "queued", "--limit", "1"];
    let newest = world.reply(&page);
    let older = world.reply(&[&page[..], &["--cursor", newest["cursor"].as_str().unwrap()]].concat());
    let jobs = [&newest, &older].map(|page| page["jobs"].as_array().unwrap());
    assert_eq!((jobs[0].len(), jobs[1].len(), &older["cursor"]), (1, 1, &Value::Null), "{newest} {older}");
    assert_ne!(jobs[0][0]["job"], jobs[1][0]["job"]);
    std::thread::sleep(Duration::from_millis(1100));
    world.run(&["status", "--wait", "--timeout", "5"]);
    assert_eq!(world.jobs_at_the_api(), 2, "nothing was learned of how much is too much");
}

#[test]
fn a_job_that_waits_can_be_cancelled_and_asked_for_after_all() {
    let world = world(1);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(60)) } };
    world.simulator.faults().nth(Call::CreateBatch, 1, full);
    let job = create(&world, "0.jsonl", &[])["job"].as_str().unwrap().to_owned();
    let results = world.run(&["results", &job, "--json"]).json();
    assert!(
        results["next"].as_str().unwrap().starts_with("check_status"),
        "it waits, and goes out by itself: {results}"
    );
    for _ in 0..2 {
        let cancelled = world.reply(&["cancel", &job]);
        assert_eq!(cancelled["state"], "JOB_STATE_CANCELLED", "{cancelled}");
        assert!(cancelled["done"].as_str().unwrap().contains("will not be sent; nothing was spent"), "{cancelled}");
    }
    let status = world.run(&["status", &job, "--json"]).json();
    let told = &status["jobs"][0];
    assert_eq!((&told["verdict"], &told["error"]), (&json!("ended"), &Value::Null), "{status}");
    assert!(told["evidence"].as_str().unwrap().contains("cancelled before it was sent"), "{status}");
    assert_eq!(status["next"], "nothing to wait for; list_batches shows ended jobs");
    assert_eq!(world.run(&["status", "--json"]).json()["jobs"], json!([]), "nobody waits for it");
    let kept = world.reply(&["delete", &job, "--dry-run"])["kept"].to_string();
    assert!(!kept.contains("answers"), "there never were any: {kept}");
    assert_eq!(world.jobs_at_the_api(), 0);

    let again = create(&world, "0.jsonl", &[]);
    assert_eq!(
        (again["job"].as_str(), &again["state"]),
        (Some(job.as_str()), &json!("JOB_STATE_UNSUBMITTED")),
        "{again}"
    );
    assert_eq!(world.run(&["status", "--json"]).json()["jobs"][0]["verdict"], "waiting");
    let history = world.reply(&["history", &job, "--all"])["events"].to_string();
    assert!(history.contains("asked for again"), "{history}");
}

#[test]
fn addresses_to_be_notified_go_along_however_late_a_job_is_sent() {
    let world = world(1);
    let full = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
    world.simulator.faults().next(Call::CreateBatch, full);
    let address = "https://example.com/hook";
    let queued = world.reply(&["create", "0.jsonl", "--webhook-url", address]);
    assert_eq!(queued["submission"], "queued", "{queued}");
    ledger::time_passes(&world, Duration::from_secs(3600));
    world.run(&["run"]);
    let batches = world.path("api").join("batches");
    let batch = std::fs::read_dir(batches).unwrap().next().unwrap().unwrap().path().join("batch.json");
    assert!(world.read(batch.to_str().unwrap()).contains(address));
}

#[test]
fn what_waits_is_not_sent_to_a_model_that_is_off_by_then() {
    let world = world(1);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().nth(Call::CreateBatch, 1, full);
    let job = create(&world, "0.jsonl", &[])["job"].as_str().unwrap().to_owned();
    let mut table: Value = serde_json::from_str(include_str!("../src/job/models.json")).unwrap();
    let mut models = table["models"].as_array_mut().unwrap().iter_mut();
    models.find(|model| model["name"] == "gemini-embedding-001").unwrap()["shutdown"] = json!("2026-01-01");
    world.write("models.json", &table.to_string());
    std::thread::sleep(Duration::from_millis(1100));
    world.run(&["--models", "models.json", "run"]);
    assert_eq!(world.jobs_at_the_api(), 0);
    let told = world.run(&["status", &job, "--json"]).json()["jobs"][0].clone();
    assert_eq!(told["verdict"], "refused", "{told}");
    assert!(told["error"].as_str().unwrap().contains("choosing the model gemini-embedding-001"), "{told}");
}

#[test]
fn what_waits_is_listed_in_pages() {
    let world = world(3);
    world.simulator.limits().set_batches(Some(0));
    let jobs: Vec<Value> =
        ["0.jsonl", "1.jsonl", "2.jsonl"].map(|file| create(&world, file, &[])["job"].clone()).into();
    let mut seen = Vec::new();
    let mut cursor = None::<String>;
    for page in 0..3 {
        let more: Vec<String> = cursor.iter().flat_map(|cursor| ["--cursor".to_owned(), cursor.clone()]).collect();
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let listed = world.reply(&[&["list", "--state", "queued", "--local", "--limit", "1"][..], &more].concat());
        assert_eq!(listed["jobs"].as_array().unwrap().len(), 1, "{listed}");
        seen.push(listed["jobs"][0]["job"].clone());
        cursor = listed["cursor"].as_str().map(str::to_owned);
        assert_eq!(cursor.is_some(), page < 2, "{listed}");
    }
    seen.reverse();
    assert_eq!(seen, jobs);
}
