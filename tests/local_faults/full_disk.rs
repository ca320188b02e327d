//! The disk is full at some step: nothing half-written is left, and with room again the same call goes on.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::journey::Journey;
use crate::support::ledger::time_passes;
use crate::support::requests::{requests, small_file};
use crate::support::side_by_side::side_by_side;
use crate::support::world::World;
use crate::{error, world};

/// The error of a command for which no file may grow beyond so many KB.
fn error_within(world: &World, kilobytes: u32, arguments: &[&str]) -> Value {
    let error = error(&world.with_files_of(kilobytes, arguments));
    assert!(["io", "ledger"].contains(&error["kind"].as_str().unwrap()), "{error}");
    error
}

/// So many KB, and a request file in parts or in one piece.
struct Room {
    kilobytes: u32,
    parts: usize,
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KB, {} parts", self.kilobytes, self.parts)
    }
}

impl Room {
    /// The ledger grows with every step, so that each of them is the first one to fail at some size.
    fn is_enough_or_not(&self) {
        let world = world(small_file());
        world.reply(&["list", "--local"]);
        let arguments: &[&str] = if self.parts > 1 { &["r.jsonl", "--max-part-requests", "2"] } else { &["r.jsonl"] };
        let create = [&["create"], arguments].concat();
        let ran = world.with_files_of(self.kilobytes, &create);
        if ran.code != 0 {
            let error = error(&ran);
            assert!(["io", "ledger", "unclear_outcome"].contains(&error["kind"].as_str().unwrap()), "{error}");
        }
        // A lease that could not be given back runs out.
        time_passes(&world, Duration::from_secs(31));
        Journey::new(&world, arguments).ends_well(self.parts, 5);
    }
}

#[test]
fn while_the_ledger_is_written() {
    let sizes = [8, 36, 40, 44, 48, 52, 56, 60, 64, 72, 80, 96, 112, 128, 160, 200];
    side_by_side(
        sizes.into_iter().flat_map(|kilobytes| [1, 3].map(|parts| Room { kilobytes, parts })).collect(),
        Room::is_enough_or_not,
    );
}

#[test]
fn while_requests_are_built() {
    let world = World::new();
    let rows: Vec<_> = (0..300).map(|n| json!({"text": format!("{n} {}", "word ".repeat(200))}).to_string()).collect();
    world.write("rows.jsonl", &rows.join("\n"));
    let build = ["build", "rows.jsonl", "--template", "{{ text }}", "--output", "r.jsonl"];
    error_within(&world, 100, &build);
    assert!(!world.path("r.jsonl").exists());
    world.reply(&build);
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 300);
}

#[test]
fn while_requests_are_kept_until_they_are_sent() {
    let requests = requests(200, &"word ".repeat(1000));
    let world = world(&requests);
    let create = ["create", "r.jsonl", "--max-part-requests", "100"];
    error_within(&world, 500, &create);
    assert_eq!(world.jobs_at_the_api(), 0);
    Journey::new(&world, &create[1..]).ends_well(2, 200);
}

#[test]
fn while_results_come_in_and_while_they_are_joined() {
    let rows: String = (0..2000).map(|n| format!("{n},{}\n", "word ".repeat(20))).collect();
    let world = World::new();
    world.write("rows.csv", &format!("id,text\n{rows}"));
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id", "--output", "r.jsonl"]);
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let results = |format| ["results", &job, "--join", "--output", "joined", "--format", format];
    let left = |world: &World| {
        let kept = world.path("home").join("jobs").join(&job);
        let names = [world.folder.path().to_owned(), kept].map(|folder| std::fs::read_dir(folder).unwrap());
        let names = names.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".gemini-batch") || name.starts_with("joined")).count()
    };
    error_within(&world, 200, &results("csv"));
    assert_eq!(left(&world), 0);
    // They are here now, but there is no room for the file.
    world.results(&[&job, "--limit", "0"]);
    for format in ["csv", "jsonl", "json", "raw"] {
        error_within(&world, 50, &results(format));
        assert_eq!(left(&world), 0, "{format}");
    }
    assert_eq!(world.reply(&results("csv"))["outcomes"]["answered"], 2000);
    assert_eq!(world.jobs_at_the_api(), 1);
}
