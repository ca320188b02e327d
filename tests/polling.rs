//! How often the API is asked: by the age of a job, by one process at a time, and less when it does not answer.
//!
//! What counts is what the simulator was asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use gemini_batch_mcp::gemini::{FileRange, Gemini, NewBatch, NewFile, Settings};
use gemini_batch_mcp::job::{ContentHash, Handle, JobState, Kind};
use gemini_batch_mcp::ledger::{Adoption, Ledger, NewJob, NewPart, PartId};
use gemini_batch_mcp::progress::Silent;
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, Pace};
use support::remembered::{age, change, column};
use support::world::World;

const PATIENCE: Duration = Duration::from_secs(120);
const MODEL: &str = "gemini-3-flash-preview";

/// A world whose jobs take minutes at least.
fn slow_world() -> World {
    World::with(|options| options.pace = Pace::realistic())
}

/// A world with one job under way, and its handle.
fn with_a_job() -> (World, String) {
    let world = slow_world();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.simulator.log().clear();
    (world, handle)
}

fn looks(world: &World) -> usize {
    world.simulator.log().count("GET", "/batches/")
}

fn waiting(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command();
    command.args(arguments).arg("--quiet").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How many looks the schedule allows at a batch until it is so old: the first at once, then a tenth of its age
/// apart, 1 s at least and 5 min at most, each up to a tenth sooner.
fn allowed(age: Duration) -> usize {
    let (mut at, mut looks) = (Duration::ZERO, 0);
    while at <= age {
        looks += 1;
        at += (at / 10).clamp(Duration::from_secs(1), Duration::from_secs(300)).mul_f64(0.9);
    }
    looks
}

#[test]
fn two_processes_that_wait_ask_no_more_often_than_one() {
    let created = Instant::now();
    let (world, handle) = with_a_job();
    let waits = [["status", &handle, "--wait", "--timeout", "8"], ["run", "--watch", "--json", "--timeout", "8"]];
    let mut children = waits.map(|arguments| waiting(&world, &arguments));
    for child in &mut children {
        assert_eq!(child.wait().unwrap().code(), Some(3), "the job has not ended");
    }
    let (looks, allowed) = (looks(&world), allowed(created.elapsed()));
    assert!((2..=allowed).contains(&looks), "{looks} looks, {allowed} are allowed");
}

#[test]
fn a_look_that_is_not_due_reads_what_was_heard_before() {
    let (world, handle) = with_a_job();
    age(&world, &handle, 3600);
    let first = world.run(&["status", &handle, "--json"]).json();
    assert!(first["jobs"][0]["seen_s_ago"].is_null(), "{first}");
    change(&world, "UPDATE parts SET polled_at = strftime('%Y-%m-%dT%H:%M:%f000Z', polled_at, '-100 seconds')", ());
    let second = world.run(&["status", &handle, "--json"]).json();
    assert!(second["jobs"][0]["seen_s_ago"].as_i64().unwrap() >= 100, "{second}");
    let text = world.run(&["status", &handle]).stdout;
    assert!(text.contains("seen 1") && text.contains(" s ago"), "{text}");
    assert_eq!(looks(&world), 1);
}

#[test]
fn what_decides_asks_at_once() {
    let (world, handle) = with_a_job();
    age(&world, &handle, 3600);
    world.run(&["status", &handle]);
    assert_eq!(looks(&world), 1);
    world.run(&["results", &handle]);
    assert_eq!(looks(&world), 2, "whether there are results is not guessed");
    world.run(&["cancel", &handle]);
    assert!(looks(&world) > 2);
    let status = world.run(&["status", &handle, "--json"]).json();
    assert_eq!(status["jobs"][0]["state"], "JOB_STATE_CANCELLED", "{status}");
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_the_looks() {
    let (world, handle) = with_a_job();
    world.run(&["status", &handle]);
    for column in ["next_poll_at", "polled_at"] {
        let later = format!("UPDATE parts SET {column} = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+3 hours')");
        change(&world, &later, ());
        let before = looks(&world);
        world.run(&["status", &handle]);
        assert_eq!(looks(&world), before + 1, "{column}");
        assert!(column_is_near(&world, &handle, column), "{column}");
    }
}

fn column_is_near(world: &World, handle: &str, name: &str) -> bool {
    let at = chrono::DateTime::parse_from_rfc3339(&column(world, handle, name).unwrap()).unwrap();
    (at.to_utc() - chrono::Utc::now()).num_seconds().abs() < 60
}

#[test]
fn an_outage_is_not_made_worse_by_many_processes() {
    let (world, first) = with_a_job();
    let more = (0..2).map(|_| world.reply(&["create", "r.jsonl", "--new-run"])["job"].as_str().unwrap().to_owned());
    let handles: Vec<_> = std::iter::once(first).chain(more).collect();
    world.simulator.log().clear();
    let overloaded = Fault::Status { code: 503, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().always(Call::GetBatch, overloaded);
    let started = Instant::now();
    let arguments: Vec<_> =
        ["status", "--wait", "--timeout", "12"].into_iter().chain(handles.iter().map(String::as_str)).collect();
    let mut children: Vec<_> = (0..5).map(|_| waiting(&world, &arguments)).collect();
    for child in &mut children {
        child.wait().unwrap();
    }
    // A look tries five times at most, and at least nine seconds pass before the next one.
    let rounds = 1 + started.elapsed().as_secs() as usize / 9;
    assert!((3..=handles.len() * 5 * rounds).contains(&looks(&world)), "{} looks in {rounds} rounds", looks(&world));
}

#[test]
fn a_thousand_jobs_are_each_asked_for_once_in_five_minutes() {
    let world = slow_world();
    remember_jobs(&world, 1000);
    world.simulator.log().clear();
    let mut children = [waiting(&world, &["status", "--wait"]), waiting(&world, &["run", "--watch"])];
    let started = Instant::now();
    while looks(&world) < 1000 {
        assert!(started.elapsed() < PATIENCE, "{} looks so far", looks(&world));
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = world.run(&["status", "--json"]).json();
    assert_eq!(status["jobs"].as_array().unwrap().len(), 1000);
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(looks(&world), 1000);
    assert_eq!(world.simulator.log().count("GET", "/batches"), 1000, "nor was anything listed");
}

/// Jobs of an hour ago, at the API and in the ledger.
fn remember_jobs(world: &World, count: usize) {
    let key = "a-key-for-tests".to_owned().into();
    let settings = Settings { base_url: world.simulator.url().to_owned(), ..Settings::new(key) };
    let request = r#"{"key": "a", "request": {"contents": [{"parts": [{"text": "one"}]}]}}"#;
    world.write("one.jsonl", request);
    let names = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let gemini = Gemini::new(settings).unwrap();
        let range = FileRange::whole(std::fs::File::open(world.path("one.jsonl")).unwrap()).unwrap();
        let file = NewFile { range, display_name: "one", sha256: None };
        let file = gemini.upload(file, None, &|_| Ok(()), &Silent::default()).await.unwrap();
        let mut names = Vec::new();
        for number in 0..count {
            let (display_name, input_file) = (format!("many-{number}"), file.name.as_str());
            let batch = NewBatch { display_name: &display_name, input_file, priority: None, webhook_uris: &[] };
            names.push(gemini.create_batch(MODEL, Kind::Generate, batch).await.unwrap().name);
        }
        names
    });
    let ledger = Ledger::open(&world.path("home")).unwrap();
    for (number, name) in names.iter().enumerate() {
        let content = ContentHash::of_job(&number.to_string(), MODEL, Kind::Generate, 1);
        let parts = vec![NewPart::whole(1, None, None)];
        let job = NewJob::new(Handle::new("many", &content), content, MODEL, Kind::Generate, parts);
        ledger.intend(&job, None).unwrap();
        let submitted_at = Some(chrono::Utc::now() - chrono::TimeDelta::hours(1));
        let found = Adoption { remote_name: name, state: JobState::Pending, submitted_at };
        ledger.created(PartId { handle: &job.handle, number: 1 }, &found).unwrap();
    }
}
