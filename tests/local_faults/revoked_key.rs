//! The key is revoked on the way: it is said so, nothing is lost, and with the key back it goes on.

use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, Fault};
use serde_json::Value;

use crate::support::journey::Journey;
use crate::support::requests::small_file;
use crate::support::world::World;
use crate::{ended, error, start, until_under_way, world};

const KEY: &str = "a-key-for-tests";

fn is_about_the_key(error: &Value) {
    assert_eq!(error["kind"], "auth", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("GOOGLE_API_KEY"), "{error}");
}

fn refused(world: &World, arguments: &[&str]) {
    is_about_the_key(&error(&world.run(&[arguments, &["--json"]].concat())));
}

#[test]
fn between_upload_and_create() {
    let world = world(small_file());
    world.simulator.faults().next(Call::CreateBatch, Fault::DelayBeforeActing(Duration::from_millis(1500)));
    let child = start(&world, &["create", "r.jsonl"]);
    until_under_way(&world, Call::CreateBatch);
    world.simulator.revoke_key(KEY).unwrap();
    is_about_the_key(&error(&ended(child)));
    refused(&world, &["create", "r.jsonl"]);
    assert_eq!(world.jobs_at_the_api(), 0);
    world.simulator.restore_key(KEY).unwrap();
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}

#[test]
fn between_create_and_the_answers() {
    let world = world(small_file());
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.simulator.revoke_key(KEY).unwrap();
    refused(&world, &["status", &job, "--wait"]);
    refused(&world, &["results", &job, "--output", "out.jsonl"]);
    refused(&world, &["create", "r.jsonl"]);
    assert!(!world.path("out.jsonl").exists());
    world.simulator.restore_key(KEY).unwrap();
    world.reply(&["status", &job, "--wait"]);
    world.simulator.revoke_key(KEY).unwrap();
    refused(&world, &["results", &job, "--output", "out.jsonl"]);
    world.simulator.restore_key(KEY).unwrap();
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}

#[test]
fn between_two_parts() {
    let world = world(small_file());
    let create = ["create", "r.jsonl", "--max-part-requests", "2"];
    world.simulator.faults().nth(Call::CreateBatch, 2, Fault::DelayBeforeActing(Duration::from_millis(1500)));
    let child = start(&world, &create);
    until_under_way(&world, Call::CreateBatch);
    world.simulator.revoke_key(KEY).unwrap();
    is_about_the_key(&error(&ended(child)));
    assert_eq!(world.jobs_at_the_api(), 1);
    world.simulator.restore_key(KEY).unwrap();
    Journey::new(&world, &create[1..]).ends_well(3, 5);
}
