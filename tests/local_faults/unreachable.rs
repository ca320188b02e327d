//! Nobody answers at the address of the API: it is said that nothing was sent, and it goes on when it is there again.

use serde_json::json;

use crate::support::journey::Journey;
use crate::support::requests::small_file;
use crate::support::world::World;
use crate::{error, world};

fn is_unreachable(world: &World, arguments: &[&str]) {
    let error = error(&world.run(&[arguments, &["--json"]].concat()));
    assert_eq!(error["kind"], "unavailable", "{error}");
    assert!(error["cause"].as_str().unwrap().contains("cannot connect"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("check the network"), "{error}");
}

#[test]
fn before_anything_is_sent() {
    let mut world = world(small_file());
    world.goes_down();
    is_unreachable(&world, &["create", "r.jsonl"]);
    world.comes_back();
    // Who was told that it failed decides whether it is sent after all.
    let status = world.run(&["status", "--wait", "--timeout", "4", "--json"]);
    let job = &status.json()["jobs"][0];
    assert_eq!((&job["state"], &job["verdict"]), (&json!("JOB_STATE_UNSUBMITTED"), &json!("held")), "{status:?}");
    assert_eq!(world.jobs_at_the_api(), 0);
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}

#[test]
fn between_create_and_the_answers() {
    let mut world = world(small_file());
    let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.goes_down();
    is_unreachable(&world, &["results", &job, "--output", "out.jsonl"]);
    assert!(!world.path("out.jsonl").exists());
    world.comes_back();
    world.reply(&["status", &job, "--wait"]);
    world.goes_down();
    is_unreachable(&world, &["results", &job, "--output", "out.jsonl"]);
    world.comes_back();
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}
