//! The manifest beside a results file: what the file is of, enough to audit it or to do it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::world::World;

fn sha256(world: &World, file: &str) -> String {
    Sha256::digest(std::fs::read(world.path(file)).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn finished(world: &World) -> String {
    world.write("rows.csv", "id,text\na,one\nb,[[simulate:tight]] two\nc,three\n");
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id"]);
    let handle = world.reply(&["create", "rows.requests.jsonl", "-m", "gemini-3.8-flash"])["job"].clone();
    world.reply(&["status", handle.as_str().unwrap(), "--wait"]);
    handle.as_str().unwrap().to_owned()
}

fn results(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run(&[&["results"], arguments, &["--json"]].concat());
    assert!([0, 4].contains(&ran.code), "{arguments:?}: {ran:?}");
    ran.json()
}

fn manifest(world: &World, file: &str) -> Value {
    serde_json::from_str(&world.read(file)).unwrap()
}

#[test]
fn it_tells_where_the_answers_come_from_and_what_they_cost() {
    let world = World::new();
    let handle = finished(&world);
    let retry = world.reply(&["retry", &handle, "--generation-config", r#"{"maxOutputTokens": 8192}"#])["job"].clone();
    let reply = results(&world, &[&handle, "--join", "--outcome", "answered", "--output", "out.csv"]);
    assert_eq!(reply["manifest"], world.path("out.csv.manifest.json").canonicalize().unwrap().to_str().unwrap());
    let manifest = manifest(&world, "out.csv.manifest.json");
    assert_eq!(manifest["job"], *handle);
    assert_eq!((&manifest["model"], &manifest["kind"]), (&json!("gemini-3.8-flash"), &json!("generate")));
    assert_eq!(manifest["model_versions"], json!({"gemini-3.8-flash": 3}));
    assert_eq!(manifest["output"]["sha256"], sha256(&world, "out.csv"));
    assert_eq!(manifest["output"]["bytes"], world.read("out.csv").len());
    assert_eq!((&manifest["output"]["format"], &manifest["output"]["rows"]), (&json!("csv"), &json!(3)));
    assert_eq!(manifest["manifest_of"], reply["path"]);
    assert_eq!(manifest["source"]["key"], "id");
    assert!(manifest["source"]["path"].as_str().unwrap().ends_with("rows.csv"));
    assert!(manifest["source"]["xxh3_128"].is_string());
    for field in ["outcomes", "usage", "cost_usd", "requests"] {
        assert_eq!(manifest[field], reply[field], "{field}");
    }
    assert!(manifest["prices_as_of"].is_string());
    assert_eq!((&manifest["options"]["join"], &manifest["options"]["outcomes"]), (&json!(true), &json!(["answered"])));
    let parts = manifest["parts"].as_array().unwrap();
    assert_eq!((parts.len(), &parts[1]["job"], &parts[1]["generation"]), (2, &retry, &json!(1)));
    assert_eq!(parts[1]["retry_of"], *handle);
    let part = &parts[0];
    assert_eq!(part["input"]["sha256"], sha256(&world, "rows.requests.jsonl"));
    assert_eq!((&part["state"], &part["requests"]), (&json!("JOB_STATE_SUCCEEDED"), &json!(3)));
    assert!(part["remote_names"][0].as_str().unwrap().starts_with("batches/"));
    for time in ["created_at", "submitted_at", "ended_at", "collected_at"] {
        assert!(part[time].as_str().is_some_and(|time| time.contains('T')), "{time} in {part}");
    }
    assert!(!manifest.to_string().contains("a-key-for-tests"), "no secrets");
}

#[test]
fn the_same_results_again_give_the_same_manifest_and_others_replace_it() {
    let world = World::new();
    let handle = finished(&world);
    results(&world, &[&handle, "--output", "out.jsonl"]);
    let before = world.read("out.jsonl.manifest.json");
    for is_gone in [false, true] {
        if is_gone {
            std::fs::remove_file(world.path("out.jsonl")).unwrap();
        }
        let again = results(&world, &[&handle, "--output", "out.jsonl"]);
        assert!(again["manifest"].is_string() && again["warnings"].is_null(), "{again}");
        assert_eq!(world.read("out.jsonl.manifest.json"), before);
    }
    world.reply(&["retry", &handle, "--generation-config", r#"{"maxOutputTokens": 8192}"#]);
    assert_eq!(world.refusal(&["results", &handle, "--output", "out.jsonl"])["kind"], "already_exists");
    assert_eq!(world.read("out.jsonl.manifest.json"), before, "neither file is touched");
    results(&world, &[&handle, "--output", "out.jsonl", "--overwrite"]);
    let manifest = manifest(&world, "out.jsonl.manifest.json");
    assert_eq!(manifest["output"]["sha256"], sha256(&world, "out.jsonl"));
    assert_eq!(manifest["outcomes"], json!({"answered": 3}));
}

#[test]
fn a_file_of_the_users_own_is_not_replaced_by_it() {
    let world = World::new();
    let handle = finished(&world);
    for mine in ["precious", r#"{"manifest_of": "/somewhere/else.jsonl"}"#] {
        world.write("out.jsonl.manifest.json", mine);
        let reply = results(&world, &[&handle, "--output", "out.jsonl"]);
        assert_eq!(world.lines("out.jsonl").len(), 3, "the answers are written all the same");
        assert!(reply["manifest"].is_null());
        assert!(reply["warnings"].to_string().contains("the manifest was not written"), "{reply}");
        assert_eq!(world.read("out.jsonl.manifest.json"), mine);
    }
    results(&world, &[&handle, "--output", "out.jsonl", "--overwrite"]);
    assert_eq!(manifest(&world, "out.jsonl.manifest.json")["job"], *handle);
}

#[test]
fn a_look_writes_none() {
    let world = World::new();
    let handle = finished(&world);
    let reply = results(&world, &[&handle, "--search", "one"]);
    assert!(reply["manifest"].is_null() && reply["path"].is_null());
    let entries = std::fs::read_dir(world.folder.path()).unwrap();
    assert!(!entries.map(|entry| entry.unwrap().file_name()).any(|name| name.to_string_lossy().contains("manifest")));
}
