//! Killed at any moment: whoever runs next goes on, and it ends in one batch for each part and all answers once.
//!
//! Fifteen moments are tried with all other tests, more with `GEMINI_BATCH_KILLED=300 cargo test --test killed`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{Call, Fault};
use serde_json::json;
use support::journey::{Journey, Kill, When, half_written, sigkill};
use support::ledger::time_passes;
use support::program::{Server, request};
use support::requests::{large_file, small_file};
use support::side_by_side::side_by_side;
use support::world::World;

/// Longer than anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// Some commands that are killed after so many milliseconds.
struct Chance {
    seed: u64,
    kills: Vec<(&'static str, u64)>,
    large: bool,
    parts: usize,
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.large { "a large file" } else { "a small file" };
        write!(f, "{}: {file} in {} parts, killed {:?}", self.seed, self.parts, self.kills)
    }
}

impl Chance {
    /// The same for the same seed.
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let large = seed % 5 == 4;
        let most = if large { 2000 } else { 600 };
        let mut kills = vec![("create", random.u64(0..most)), ("create", random.u64(0..most))];
        kills.extend([("results", random.u64(0..600)), ("results", random.u64(0..600))]);
        Self { seed, kills, large, parts: if seed % 3 == 2 && !large { 3 } else { 1 } }
    }

    fn happens(&self) {
        let world = World::new();
        let requests = if self.large { large_file() } else { small_file() };
        world.write("r.jsonl", requests);
        let arguments: &[&str] = if self.parts > 1 { &["r.jsonl", "--max-part-requests", "2"] } else { &["r.jsonl"] };
        let mut journey = Journey::new(&world, arguments);
        let after = |(verb, milliseconds): &(&'static str, u64)| {
            let when = When::After(Duration::from_millis(*milliseconds));
            Kill { verb, when }
        };
        journey.kills = self.kills.iter().map(after).collect();
        journey.ends_well(self.parts, requests.lines().count());
        let told: Vec<_> = journey.refusals.iter().map(|error| error["kind"].as_str().unwrap()).collect();
        assert!(told.iter().all(|kind| *kind == "unclear_outcome"), "{:?}", journey.refusals);
        // A killed create may or may not have arrived; nothing else makes another one.
        let creates = world.simulator.log().calls(Call::CreateBatch);
        assert!(creates <= (self.parts + 2) as u64, "{creates} creates");
    }
}

#[test]
fn killed_at_any_moment_it_ends_in_one_job_and_all_answers() {
    let rounds = std::env::var("GEMINI_BATCH_KILLED").map_or(15, |text| text.parse().unwrap());
    side_by_side((0..rounds).map(Chance::new).collect(), Chance::happens);
}

#[test]
fn what_was_half_written_when_it_was_killed_goes_with_the_next_call() {
    let rows: String = (0..3000).map(|n| format!("{n},{}\n", "word ".repeat(20))).collect();
    let world = World::new();
    world.write("rows.csv", &format!("id,text\n{rows}"));
    let killed_half_way = |arguments: &[&str]| {
        let mut child = world.command().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while half_written(&world).is_empty() {
            assert!(started.elapsed() < PATIENCE, "{arguments:?} wrote nothing");
        }
        sigkill(&world, &mut child);
        assert!(!half_written(&world).is_empty(), "{arguments:?} was too fast");
    };
    let build = ["build", "rows.csv", "--template", "{{ text }}", "--key", "id", "--output", "r.jsonl"];
    killed_half_way(&build);
    world.reply(&build);
    assert_eq!(half_written(&world), Vec::<PathBuf>::new());

    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let results = ["results", &job, "--output", "out.jsonl"];
    killed_half_way(&results);
    world.reply(&results);
    assert_eq!(half_written(&world), Vec::<PathBuf>::new());
    killed_half_way(&["results", &job, "--output", "again.jsonl"]);
    world.reply(&["results", &job, "--output", "other.jsonl"]);
    assert_eq!(half_written(&world), Vec::<PathBuf>::new());
}

#[test]
fn a_server_killed_in_the_middle_of_a_call_is_continued_at_the_shell() {
    let late = Duration::from_secs(60);
    for (call, fault, large) in [
        (Call::ListBatches, Fault::Hang, false),
        (Call::UploadChunk, Fault::Delay(late), true),
        (Call::Finalize, Fault::Delay(late), false),
        (Call::CreateBatch, Fault::Hang, false),
        (Call::CreateBatch, Fault::Delay(late), false),
    ] {
        let world = World::new();
        let requests = if large { large_file() } else { small_file() };
        world.write("r.jsonl", requests);
        world.simulator.faults().next(call, fault);
        let mut server = Server::start_with(|command| {
            let as_usual = world.command();
            command.current_dir(world.folder.path());
            command.envs(as_usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
        });
        server.initialize("2025-11-25");
        let arguments = json!({"name": "create_batch", "arguments": {"input": "r.jsonl"}});
        server.send_line(&request("tools/call", &arguments).to_string());
        let started = Instant::now();
        while world.simulator.log().under_way(call) == 0 || world.simulator.faults().due() > 0 {
            assert!(started.elapsed() < PATIENCE, "{call:?} was not sent");
            std::thread::sleep(Duration::from_millis(5));
        }
        sigkill(&world, &mut server.child);
        time_passes(&world, Duration::from_secs(31));
        Journey::new(&world, &["r.jsonl"]).ends_well(1, requests.lines().count());
    }
}
