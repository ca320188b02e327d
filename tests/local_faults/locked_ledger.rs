//! Another process holds the ledger: it is waited for, for a while.

use std::time::{Duration, Instant};

use crate::support::journey::Journey;
use crate::support::ledger;
use crate::support::requests::small_file;
use crate::{ended, error, start, world};

#[test]
fn for_a_moment_it_is_waited_for() {
    let world = world(small_file());
    world.reply(&["list", "--local"]);
    let other = ledger::open(&world);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let child = start(&world, &["create", "r.jsonl"]);
    std::thread::sleep(Duration::from_secs(3));
    other.execute_batch("COMMIT").unwrap();
    let ran = ended(child);
    assert!(ran.code == 0 && started.elapsed() >= Duration::from_secs(3), "{ran:?}");
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}

#[test]
fn for_long_it_is_said_so_in_plain_words() {
    let world = world(small_file());
    world.reply(&["list", "--local"]);
    let other = ledger::open(&world);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = error(&ended(start(&world, &["create", "r.jsonl"])));
    assert_eq!(error["kind"], "ledger", "{error}");
    assert!(error["cause"].as_str().unwrap().contains("another process"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 0);
    // What only reads does not wait.
    world.reply(&["list", "--local"]);
    other.execute_batch("COMMIT").unwrap();
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}
