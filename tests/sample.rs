//! A sample first: a few requests as a job of their own tell what the whole would take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::world::World;

const ROWS: usize = 400;

/// A request file of 400 products.
fn world() -> World {
    let world = World::new();
    let rows: String = (0..ROWS).map(|n| format!("P-{n},Product number {n}\n")).collect();
    world.write("products.csv", &format!("id,name\n{rows}"));
    world.reply(&["build", "products.csv", "--template", "Describe {{ name }}", "--key", "id"]);
    world
}

fn sampled(world: &World, size: &str) -> Value {
    world.reply(&["create", "products.requests.jsonl", "--sample", size])
}

fn results(world: &World, created: &Value, more: &[&str]) -> Value {
    let handle = created["job"].as_str().unwrap();
    world.run(&["status", handle, "--wait"]);
    let ran = world.run(&[&["results", handle, "--json"], more].concat());
    assert!([0, 4].contains(&ran.code), "{ran:?}");
    ran.json()
}

#[test]
fn a_sample_is_a_job_of_its_own_spread_over_the_file() {
    let world = world();
    let created = sampled(&world, "20");
    assert!(created["job"].as_str().unwrap().starts_with("products-sample-"), "{created}");
    assert_eq!(created["requests"], 20);
    assert!(created["warnings"].to_string().contains("a sample of 20 of 400 requests"), "{created}");

    results(&world, &created, &["--output", "out.jsonl"]);
    let keys: Vec<_> = world.lines("out.jsonl").iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..20).map(|n| format!("P-{}", n * 399 / 19)).collect();
    assert_eq!(keys, expected);
}

#[test]
fn the_same_sample_again_is_the_same_job_and_the_whole_is_another() {
    let world = world();
    let first = sampled(&world, "20");
    let again = sampled(&world, "20");
    assert_eq!((&again["job"], &again["submission"]), (&first["job"], &json!("found")));
    assert_ne!(sampled(&world, "21")["job"], first["job"]);
    let whole = world.reply(&["create", "products.requests.jsonl"]);
    assert_ne!(whole["job"], first["job"]);
    assert_eq!(whole["requests"], 400);
    assert_eq!(world.jobs_at_the_api(), 3);
}

#[test]
fn its_results_tell_what_the_whole_would_take() {
    let world = world();
    let created = sampled(&world, "40");
    let reply = results(&world, &created, &["--output", "out.jsonl"]);
    let whole = reply["whole"].as_str().unwrap();
    assert!(whole.starts_with("this sample answered 40 of 40; the whole of 400 requests would take about "), "{whole}");
    assert!(reply["next"].as_str().unwrap().starts_with("create_batch {\"input\": \""), "{reply}");

    // What the whole then takes is within the range that was told.
    let really = results(&world, &world.reply(&["create", "products.requests.jsonl"]), &["--output", "all.jsonl"]);
    assert!(really["whole"].is_null(), "{really}");
    let dollars: Vec<f64> = whole
        .split('$')
        .skip(1)
        .map(|text| text.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap().parse().unwrap())
        .collect();
    let [expected, low, high] = dollars[..] else { panic!("{whole}") };
    let cost = really["cost_usd"].as_f64().unwrap();
    assert!(low < expected && expected < high && high < 2.0 * expected, "{whole}");
    assert!((0.9 * low..=1.1 * high).contains(&cost), "{cost} is not in {whole}");
    let input = really["usage"]["input_tokens"].as_f64().unwrap();
    let told: f64 = whole.split("about ").nth(1).unwrap().split(' ').next().unwrap().replace(',', "").parse().unwrap();
    assert!((told / input - 1.0).abs() < 0.05, "{told} for {input}");
}

#[test]
fn the_answers_of_a_sample_stand_beside_their_rows() {
    let world = world();
    let created = sampled(&world, "3");
    results(&world, &created, &["--join", "--output", "joined.csv"]);
    let mut table = csv::Reader::from_path(world.path("joined.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|row| row[0].to_owned()).collect::<Vec<_>>(), ["P-0", "P-199", "P-399"]);
    assert!(rows.iter().all(|row| row[2].contains(&row[1])), "{rows:?}");
}

#[test]
fn failures_in_a_sample_are_told_before_the_whole_is_submitted() {
    let world = World::new();
    let rows: String =
        (0..50).map(|n| format!("{n},{}\n", if n % 2 == 0 { "[[simulate:failed]]" } else { "fine" })).collect();
    world.write("products.csv", &format!("id,name\n{rows}"));
    world.reply(&["build", "products.csv", "--template", "{{ name }} {{ id }}", "--key", "id"]);
    let reply = results(&world, &sampled(&world, "10"), &["--output", "out.jsonl"]);
    let answered = reply["outcomes"]["answered"].as_i64().unwrap();
    assert!((1..10).contains(&answered), "{reply}");
    assert!(
        reply["whole"].as_str().unwrap().starts_with(&format!("this sample answered {answered} of 10; ")),
        "{reply}"
    );
    assert!(reply["next"].as_str().unwrap().starts_with("retry_batch"), "{reply}");

    let retried = world.reply(&["retry", reply["job"].as_str().unwrap()]);
    let reply = results(&world, &retried, &["--output", "retried.jsonl"]);
    assert!(reply["whole"].is_null(), "those that failed are no sample of the whole: {reply}");
}

#[test]
fn a_sample_as_large_as_the_file_is_refused_and_a_bad_file_is_found_before() {
    let world = world();
    let ran = world.run(&["create", "products.requests.jsonl", "--sample", "400"]);
    assert!(ran.code == 2 && ran.stderr.contains("has 400 requests"), "{ran:?}");
    assert!(ran.stderr.contains("hint: ask for 1 to 399, or leave sample out"), "{ran:?}");
    for none in ["0", "-1"] {
        let ran = world.run(&["create", "products.requests.jsonl", &format!("--sample={none}")]);
        assert_eq!(ran.code, 2, "{none}: {ran:?}");
    }
    world.write("one.jsonl", world.read("products.requests.jsonl").lines().next().unwrap());
    let ran = world.run(&["create", "one.jsonl", "--sample", "1"]);
    assert!(ran.code == 2 && ran.stderr.contains("hint: leave sample out"), "{ran:?}");
    let mut text = world.read("products.requests.jsonl");
    text.push_str("{\"key\":\"x\"}\n");
    world.write("bad.jsonl", &text);
    let error = world.refusal(&["create", "bad.jsonl", "--sample", "5"]);
    assert!(error.to_string().contains("line 401"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 0);
}

#[test]
fn a_dry_run_of_a_sample_sends_nothing_and_prices_the_sample() {
    let world = world();
    let whole = world.reply(&["create", "products.requests.jsonl", "--dry-run"]);
    let sample = world.reply(&["create", "products.requests.jsonl", "--sample", "40", "--dry-run"]);
    assert_eq!(sample["submission"], "dry_run");
    let ratio = whole["estimate"]["high_usd"].as_f64().unwrap() / sample["estimate"]["high_usd"].as_f64().unwrap();
    assert!((ratio - 10.0).abs() < 0.5, "{ratio}");
    assert_eq!(world.jobs_at_the_api(), 0);
}

#[test]
fn a_sample_that_took_nothing_tells_nothing_of_the_whole() {
    let world = World::new();
    let rows: String = (0..40).map(|n| format!("k{n},[[simulate:failed]] {n}\n")).collect();
    world.write("products.csv", &format!("id,name\n{rows}"));
    world.reply(&["build", "products.csv", "--template", "Describe {{ name }}", "--key", "id"]);
    let reply = results(&world, &sampled(&world, "5"), &["--output", "out.jsonl"]);
    let whole = reply["whole"].as_str().unwrap();
    assert!(
        whole.starts_with("this sample answered 0 of 5; no tokens were counted") && !whole.contains('$'),
        "{whole}"
    );
}

#[test]
fn one_request_is_a_sample_too_and_tells_no_margin() {
    let world = world();
    let created = sampled(&world, "1");
    assert_eq!(created["requests"], 1, "{created}");
    let reply = results(&world, &created, &["--output", "out.jsonl"]);
    let whole = reply["whole"].as_str().unwrap();
    assert!(
        whole.contains("this sample answered 1 of 1; the whole of 400 requests") && !whole.contains("95 of 100"),
        "{whole}"
    );
}

#[test]
fn what_did_not_come_back_counts_for_nothing_in_the_whole() {
    let world = World::new();
    // The first and the last are the sample.
    world.write("products.csv", "id,name\na,x\nb,x\nc,x\nd,[[simulate:missing]] x\n");
    world.reply(&["build", "products.csv", "--template", "{{ name }}", "--key", "id"]);
    let reply = results(&world, &sampled(&world, "2"), &["--output", "out.jsonl"]);
    let output = reply["usage"]["output_tokens"].as_i64().unwrap();
    let whole = reply["whole"].as_str().unwrap();
    assert!(whole.contains(&format!(" and {} output tokens", 4 * output)), "{whole}");
}

#[test]
fn embeddings_are_told_of_the_whole_without_output() {
    let world = World::new();
    let rows: String = (0..9).map(|n| format!("k{n},name {n}\n")).collect();
    world.write("products.csv", &format!("id,name\n{rows}"));
    world.reply(&["build", "products.csv", "--template", "{{ name }}", "--key", "id", "--kind", "embed"]);
    let reply = results(&world, &sampled(&world, "3"), &["--output", "out.jsonl"]);
    let whole = reply["whole"].as_str().unwrap();
    assert!(
        whole.contains("the whole of 9 requests would take about") && whole.contains(" 0 output tokens"),
        "{whole}"
    );
}
