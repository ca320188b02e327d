//! Files that are not what they should be, and files that are in the way: each a clear answer, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::io::Write;

use serde_json::{Value, json};
use support::world::World;

const BUILD: [&str; 6] = ["build", "rows.csv", "--template", "About {{ text }}", "--key", "id"];

fn world() -> World {
    let world = World::new();
    world.write("rows.csv", "id,text\na,one\nb,two\n");
    world
}

fn submitted(world: &World, requests: &str) -> String {
    let handle = world.reply(&["create", requests])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    handle
}

/// The error of a command that has to fail, whichever way.
fn refused(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run(&[arguments, &["--json"]].concat());
    assert!([1, 2].contains(&ran.code), "{arguments:?}: {ran:?}");
    ran.json()["error"].clone()
}

fn keys(world: &World, requests: &str) -> Vec<Value> {
    world.lines(requests).iter().map(|line| line["key"].clone()).collect()
}

#[test]
fn a_request_file_that_is_there_is_kept_unless_it_is_the_same_or_may_go() {
    let world = world();
    world.write("rows.requests.jsonl", "mine");
    let error = refused(&world, &BUILD);
    assert_eq!(error["kind"], "already_exists", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("overwrite"), "{error}");
    assert_eq!(world.read("rows.requests.jsonl"), "mine");
    world.reply(&[&BUILD[..], &["--overwrite"]].concat());
    assert_eq!(world.reply(&BUILD)["unchanged"], true);
    for output in ["nowhere/out.jsonl", "rows.csv/out.jsonl", "."] {
        let error = refused(&world, &[&BUILD[..], &["--output", output]].concat());
        assert!(error["act"].as_str().unwrap().contains(output), "{error}");
    }
    assert_eq!(world.read("rows.csv"), "id,text\na,one\nb,two\n");
    // A file of that name could be taken for the input that somebody pipes.
    for call in [&[&BUILD[..], &["--output", "-"]].concat()[..], &["create", "-"], &["build", "/dev/stdin"]] {
        let error = refused(&world, call);
        assert!(error["hint"].as_str().unwrap().contains("./-"), "{error}");
    }
}

#[test]
fn a_schema_file_that_is_none_is_told_alike_by_builds_and_results() {
    let world = world();
    world.reply(&BUILD);
    let handle = submitted(&world, "rows.requests.jsonl");
    world.write("broken.json", "{\"type\": ");
    world.write("list.json", "[1]");
    world.write("latin.json", "");
    fs::write(world.path("latin.json"), b"{\"title\": \"caf\xe9\"}").unwrap();
    world.write("city.schema.json", "{}");
    for (file, word) in [
        ("broken.json", "it is not JSON: EOF"),
        ("list.json", "it is not a JSON object"),
        ("latin.json", "it is not JSON: invalid unicode"),
        ("https://example.com/a.json", "not fetched from addresses"),
        ("nowhere.json", "No such file"),
    ] {
        let schema = json!({"$ref": file}).to_string();
        let build = refused(&world, &[&BUILD[..], &["--output", "b.jsonl", "--response-schema", &schema]].concat());
        let results = refused(&world, &["results", &handle, "--output", "r.jsonl", "--schema", &schema]);
        for error in [build, results] {
            assert!(error["cause"].as_str().unwrap().contains(word), "{file}: {error}");
            assert!(error["act"].as_str().unwrap().contains(file), "{file}: {error}");
            assert!(!error["hint"].as_str().unwrap().is_empty(), "{file}: {error}");
        }
    }
    let near = refused(&world, &[&BUILD[..], &["--response-schema", r#"{"$ref": "city.shema.json"}"#]].concat());
    assert!(near["hint"].as_str().unwrap().contains("city.schema.json"), "{near}");
    let folder = refused(&world, &["results", &handle, "--schema", r#"{"$ref": "."}"#]);
    assert!(folder["cause"].as_str().unwrap().contains("it is a folder"), "{folder}");
    assert!(!world.path("b.jsonl").exists() && !world.path("r.jsonl").exists());
}

#[test]
fn hints_name_the_flags_of_the_shell() {
    let world = world();
    world.write("rows.csv", "id,text\n,one\na,two\n");
    let text = world.run(&BUILD).stderr;
    assert!(text.contains("pass --skip-bad-rows to leave") && !text.contains("on_bad_row"), "{text}");
    let text = world.run(&[&BUILD[..], &["--model", "gemini-embedding-001"]].concat()).stderr;
    assert!(text.contains("with --kind embed, or pass --model gemini-"), "{text}");
}

#[test]
fn the_name_of_a_file_in_place_of_a_text_is_refused() {
    let world = world();
    // At a shell @ reads the file, and such a text can only stand in one.
    world.write("name.txt", "@prompts/sum-up.txt\n");
    world.write("hi.csv", "id,text\n1,Hi\n");
    for call in [
        ["hi.csv", "--template", "@name.txt", "--limit", "1"],
        ["hi.csv", "--template", "{{ text }}", "--system", "@name.txt"],
        ["--output", "at.jsonl", "--overwrite", "--prompt", "@prompts/sum-up.txt"],
    ] {
        let error = refused(&world, &[&["build"], &call[..]].concat());
        assert_eq!(error["kind"], "invalid_argument");
        assert!(error["cause"].as_str().unwrap().contains("which names a file"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("read prompts/sum-up.txt and give what it says"), "{error}");
    }
    world.reply(&["build", "--prompt", "@anna, are you there? See a.txt", "--prompt", "@anna", "--output", "at.jsonl"]);
}

#[test]
fn a_request_file_that_was_looked_for_beside_its_source_is_told_where_it_is() {
    let world = World::new();
    fs::create_dir(world.path("data")).unwrap();
    world.write("data/rows.csv", "id,text\n1,Hi\n");
    world.reply(&["build", "data/rows.csv", "--template", "{{ text }}"]);
    let error = refused(&world, &["create", "data/rows.requests.jsonl"]);
    assert_eq!((&error["kind"], &error["hint"]), (&json!("not_found"), &json!("did you mean rows.requests.jsonl?")));
}

#[test]
fn a_call_that_a_reply_names_is_json_whatever_the_file_is_called() {
    let world = World::new();
    world.write("a \"b\".csv", "id,text\n1,Hi\n");
    let next = world.reply(&["build", "a \"b\".csv", "--template", "{{ text }}"])["next"].as_str().unwrap().to_owned();
    let call: Value = serde_json::from_str(next.strip_prefix("create_batch ").unwrap()).unwrap();
    assert!(call["input"].as_str().unwrap().ends_with("/a \"b\".requests.jsonl"), "{next}");
    let hint = refused(&world, &["create", "a \"b\".csv"])["hint"].as_str().unwrap().to_owned();
    let json = hint.split_once("build_jsonl ").unwrap().1;
    let call = serde_json::Deserializer::from_str(json).into_iter::<Value>().next().unwrap().unwrap();
    assert_eq!(call["template"], "…{{ column }}…");
}

#[test]
fn a_file_may_be_named_by_its_address() {
    let world = world();
    std::fs::create_dir(world.path("a b")).unwrap();
    world.write("a b/rows.csv", "id,text\n1,Hi\n");
    let folder = world.path("a b").canonicalize().unwrap();
    let address = |name: &str| format!("file://{}/{name}", folder.to_str().unwrap().replace(' ', "%20"));
    let build = |source: &str, output: &str| {
        world.run(&["build", source, "--template", "{{ text }}", "--output", output, "--root", ".", "--json"])
    };
    let built = build(&address("rows.csv"), &address("out.jsonl"));
    assert_eq!((built.code, &built.json()["requests"]), (0, &json!(1)), "{built:?}");
    assert_eq!(built.json()["path"], folder.join("out.jsonl").to_str().unwrap());
    world.reply(&["create", &address("out.jsonl").replace("file://", "FILE://localhost"), "--dry-run"]);

    for (place, cause, hint) in [
        ("file:///etc/p%61sswd", "outside the allowed folders", "--root"),
        ("file:///%2e%2e/etc/group", "outside the allowed folders", "--root"),
        ("file://elsewhere/data/a.csv", "another machine", "on this one"),
        ("file:///data/%ff.csv", "not UTF-8", ""),
        ("https://example.com/a.csv", "files are not fetched from addresses", "download it into an allowed folder"),
        ("~/a.csv", "only a shell knows ~", "write the path of the home folder"),
    ] {
        for ran in [build(place, "b.jsonl"), build("a b/rows.csv", place)] {
            assert!([1, 2].contains(&ran.code), "{place}: {ran:?}");
            let error = &ran.json()["error"];
            assert!(error["cause"].as_str().unwrap().contains(cause), "{error}");
            assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
        }
    }
}

#[test]
fn what_was_made_of_a_folder_is_no_row_of_it() {
    let world = World::new();
    fs::create_dir(world.path("docs")).unwrap();
    for name in ["a.md", "b-202611231200.md"] {
        world.write(&format!("docs/{name}"), "[[simulate:image]] text");
    }
    world.write("docs/bad.bin", "\0\u{1}\u{2}");
    let run = |arguments: &[&str]| {
        let mut command = world.command();
        command.current_dir(world.path("docs")).env("GEMINI_BATCH_HOME", world.path("home"));
        let output = command.args(arguments).arg("--json").output().unwrap();
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(reply["error"].is_null(), "{arguments:?}: {reply}");
        reply
    };
    let build = ["build", ".", "--template", "{{ text }}", "--skip-bad-rows"];
    let first = run(&build);
    assert_eq!((&first["requests"], &first["skipped"]), (&json!(2), &json!(1)), "{first}");
    assert!(world.path("docs/docs.requests.problems.jsonl").exists());
    let again = run(&build);
    assert_eq!((&again["unchanged"], &again["sha256"]), (&json!(true), &first["sha256"]), "{again}");
    assert!(again["warnings"].to_string().contains("2 files of this program's own"), "{again}");

    // Outputs of any name and place are known, too; and the data set is the same for the join.
    let named = run(&[&build[..], &["--output", "out.jsonl"]].concat());
    assert_eq!(named["sha256"], first["sha256"]);
    let handle = run(&["create", "out.jsonl"])["job"].as_str().unwrap().to_owned();
    run(&["status", &handle, "--wait"]);
    for output in ["answers.csv", "answers.jsonl"] {
        let reply = run(&["results", &handle, "--join", "--output", output]);
        assert!(!reply["warnings"].to_string().contains("was changed since"), "{output}: {reply}");
    }
    run(&["results", &handle]);
    assert!(world.path(&format!("docs/{handle}.media")).is_dir());
    run(&[&build[..], &["--output", "out.jsonl"]].concat());
    assert_eq!(keys(&world, "docs/out.jsonl"), ["a.md", "b-202611231200.md"]);
}

#[test]
fn lines_of_text_in_utf_16_are_read_packed_or_not() {
    let world = World::new();
    let units = "\u{FEFF}tea\ncafé\n".encode_utf16();
    fs::write(world.path("lines.txt"), units.flat_map(u16::to_be_bytes).collect::<Vec<_>>()).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&fs::read(world.path("lines.txt")).unwrap()).unwrap();
    fs::write(world.path("packed.txt.gz"), packed.finish().unwrap()).unwrap();
    for (name, format) in [("lines.txt", "text, UTF-16"), ("packed.txt.gz", "text, UTF-16, gzip")] {
        let reply = world.reply(&["build", name, "--template", "{{ text }}", "--output", "out.jsonl", "--overwrite"]);
        assert_eq!(reply["source_format"], format);
        assert_eq!(world.lines("out.jsonl")[1]["request"]["contents"][0]["parts"][0]["text"], "café");
    }
}

#[test]
fn a_model_that_is_unknown_or_soon_shut_down_is_warned_of_and_one_that_ends_too_early_refused() {
    let world = world();
    let run = |days: i64| {
        let day = (chrono::Utc::now() + chrono::Duration::days(days)).date_naive();
        let mut table: Value = serde_json::from_str(include_str!("../src/job/models.json")).unwrap();
        let models = table["models"].as_array_mut().unwrap();
        let model = models.iter_mut().find(|model| model["name"] == "gemini-3.6-flash").unwrap();
        model["shutdown"] = json!(day.to_string());
        model["successor"] = json!("gemini-3.8-flash");
        world.write("models.json", &table.to_string());
        let build = [&BUILD[..], &["--overwrite", "--model", "gemini-3.6-flash", "--models", "models.json"]].concat();
        (day.to_string(), world.run(&[&build[..], &["--json"]].concat()))
    };
    let odd = world.reply(&[&BUILD[..], &["--model", "gemini-9-nobody"]].concat());
    assert!(odd["warnings"].to_string().contains("gemini-9-nobody is not in the price table of"), "{odd}");
    assert!(odd["estimate"]["expected_usd"].is_null(), "an unknown price is unknown: {odd}");
    let (day, soon) = run(20);
    let warnings = soon.json()["warnings"].to_string();
    assert!(warnings.contains(&format!("gemini-3.6-flash is shut down on {day}; use gemini-3.8-flash")), "{soon:?}");
    for days in [1, -20] {
        let (day, ends) = run(days);
        let error = ends.json()["error"].clone();
        assert!(error["cause"].as_str().unwrap().contains(&day), "{ends:?}");
        assert!(error["hint"].as_str().unwrap().contains("gemini-3.8-flash"), "{ends:?}");
    }
}
