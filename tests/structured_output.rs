//! A schema for answers: whatever language it is given in, it is sent in the one that works in a batch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::world::World;

/// A world with the data set `cities.csv`.
fn world() -> World {
    let world = World::new();
    world.write("cities.csv", "id,name\na,Oslo\nb,Rome\n");
    world
}

fn build(world: &World, more: &[&str]) -> Value {
    let arguments = ["build", "cities.csv", "--template", "About {{ name }}", "--key", "id", "--overwrite"];
    world.reply(&[&arguments, more].concat())
}

fn refused(world: &World, more: &[&str]) -> Value {
    let arguments = ["build", "cities.csv", "--template", "About {{ name }}", "--key", "id", "--overwrite"];
    world.refused(&[&arguments, more].concat())
}

/// The settings of the first request that was built.
fn config(world: &World) -> Value {
    world.lines("cities.requests.jsonl")[0]["request"]["generationConfig"].clone()
}

const CITY: &str = r##"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
  "properties": {"name": {"type": "string"}, "people": {"type": ["integer", "null"], "minimum": 0},
                 "kind": {"$ref": "#/$defs/kind"}},
  "required": ["name"], "additionalProperties": false, "$defs": {"kind": {"enum": ["town", "city"]}}}"##;

fn sent_city() -> Value {
    json!({"type": "OBJECT", "properties": {"name": {"type": "STRING"},
        "people": {"type": "INTEGER", "minimum": 0, "nullable": true}, "kind": {"type": "STRING", "enum": ["town", "city"]}},
        "required": ["name"], "propertyOrdering": ["name", "people", "kind"]})
}

#[test]
fn a_json_schema_is_translated_and_every_change_is_told() {
    let world = world();
    let reply = build(&world, &["--response-schema", CITY]);
    let expected = json!({"responseSchema": sent_city(), "responseMimeType": "application/json"});
    assert_eq!(config(&world), expected);
    let fixes = reply["fixes"].to_string();
    assert!(fixes.contains("the type null at properties.people: written as nullable"), "{fixes}");
    assert!(fixes.contains("$ref at properties.kind: what it names is written in its place"), "{fixes}");
    assert!(
        fixes.contains("additionalProperties: false: left out, as the API does not know it; answers are held"),
        "{fixes}"
    );
    assert!(fixes.contains("$schema: left out"), "{fixes}");
    // Nothing that costs money or answers was lost.
    assert_eq!(reply["warnings"], Value::Null);
}

#[test]
fn a_schema_may_stand_in_a_file_of_the_folder_and_nowhere_else() {
    let world = world();
    world.write("city.schema.json", CITY);
    build(&world, &["--response-schema", r#"{"$ref": "city.schema.json"}"#]);
    assert_eq!(config(&world)["responseSchema"], sent_city());
    let outside = refused(&world, &["--response-schema", r#"{"$ref": "../../etc/passwd"}"#]);
    assert!(!outside["hint"].as_str().unwrap().is_empty(), "{outside}");
    world.write("broken.json", "{\"type\": ");
    let broken = refused(&world, &["--response-schema", r#"{"$ref": "broken.json"}"#]);
    assert!(broken.to_string().contains("it is not JSON"), "{broken}");
}

#[test]
fn the_apis_own_dialect_is_sent_as_it_is() {
    let world = world();
    let schema = sent_city().to_string();
    let reply = build(&world, &["--response-schema", &schema]);
    assert_eq!(config(&world)["responseSchema"], sent_city());
    assert!(reply["fixes"].is_null() && reply["warnings"].is_null(), "{reply}");
}

#[test]
fn response_json_schema_is_moved_to_the_field_that_batches_obey() {
    for place in ["--generation-config", "--request"] {
        let world = world();
        let schema = r#"{"response_json_schema": {"type": "object", "properties": {"n": {"type": "number"}}}}"#;
        let reply = build(&world, &[place, schema]);
        let expected = json!({"type": "OBJECT", "properties": {"n": {"type": "NUMBER"}}});
        let config = config(&world);
        assert_eq!((&config["responseSchema"], &config["responseMimeType"]), (&expected, &json!("application/json")));
        assert!(config.get("responseJsonSchema").is_none());
        assert!(reply["fixes"].to_string().contains("which batch jobs obey"), "{reply}");
    }
}

#[test]
fn what_is_no_schema_is_refused_with_the_place() {
    let world = world();
    let bad = refused(&world, &["--response-schema", r#"{"type": "object", "properties": {"n": {"type": "numbr"}}}"#]);
    assert!(bad["cause"].as_str().unwrap().contains("responseSchema.properties.n.type: not a schema"), "{bad}");
    let circle = r##"{"type": "object", "properties": {"child": {"$ref": "#"}}}"##;
    let circle = refused(&world, &["--response-schema", circle]);
    assert!(
        circle["cause"].as_str().unwrap().contains("properties.child")
            && circle["hint"].as_str().unwrap().contains("write the levels out"),
        "{circle}"
    );
    let two = ["--response-schema", CITY, "--generation-config", r#"{"responseSchema": {"type": "STRING"}}"#];
    assert!(refused(&world, &two)["cause"].as_str().unwrap().contains("both response_schema"));
    assert!(!world.path("cities.requests.jsonl").exists(), "nothing was written");
}

#[test]
fn a_response_format_of_openai_is_unwrapped() {
    let world = world();
    let named = format!(r#"{{"name": "city", "strict": true, "schema": {CITY}}}"#);
    for given in [named.clone(), format!(r#"{{"type": "json_schema", "json_schema": {named}}}"#)] {
        let reply = build(&world, &["--response-schema", &given]);
        assert_eq!(config(&world)["responseSchema"], sent_city());
        assert!(reply["fixes"].to_string().contains("the schema was taken out of it"), "{reply}");
        assert_eq!(reply["warnings"], Value::Null);
    }
    let job = world.reply(&["create", "cities.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let held = r#"{"name": "x", "schema": {"type": "object", "required": ["never"]}}"#;
    let results = world.results(&[&job, "--output", "out.jsonl", "--schema", held]);
    assert_eq!(results["outcomes"]["invalid"], 2, "{results}");
}

#[test]
fn words_that_make_no_schema_are_refused_or_told_to_hold_nothing() {
    let world = world();
    for given in [r#"{"category": "string"}"#, r#"{"name": "x", "schema": {"category": "string"}}"#] {
        let bad = refused(&world, &["--response-schema", given]);
        assert_eq!(bad["kind"], "invalid_argument");
        assert!(bad["cause"].as_str().unwrap().contains("none of its words is a keyword"), "{bad}");
        assert!(bad["hint"].as_str().unwrap().contains("give a JSON Schema such as"), "{bad}");
    }
    let schema = r#"{"type": "string", "maxWords": 3, "not": {"const": "x"}}"#;
    let warnings = build(&world, &["--response-schema", schema])["warnings"].to_string();
    assert!(
        warnings.contains("maxWords: not known to the API, dropped; answers are not held against it"),
        "{warnings}"
    );
    assert!(warnings.contains("not: not known to the API, dropped; answers are still held"), "{warnings}");
}

#[test]
fn a_pattern_with_braces_is_no_template() {
    let world = world();
    let schema = r#"{"type": "string", "pattern": "^[^{#]{{1}}$|{%", "description": "not {{ name }}"}"#;
    let ran = world.run(&["build", "cities.csv", "--template", "{{ name }}", "--response-schema", schema, "--json"]);
    // Whether or not the pattern is a good one, it is never taken for a template.
    assert!(!ran.stdout.contains("compiling the template"), "{ran:?}");
    build(&world, &["--response-schema", r#"{"type": "string", "description": "not {{ name }}, {#"}"#]);
    assert_eq!(config(&world)["responseSchema"]["description"], "not {{ name }}, {#");
}

#[test]
fn a_job_with_a_schema_goes_through_to_its_answers() {
    let world = world();
    build(&world, &["--response-schema", CITY]);
    let created = world.reply(&["create", "cities.requests.jsonl"]);
    let job = created["job"].as_str().unwrap();
    world.reply(&["status", job, "--wait"]);
    let results = world.reply(&["results", job, "--output", "out.jsonl"]);
    assert_eq!(results["outcomes"]["answered"], 2, "{results}");
}
