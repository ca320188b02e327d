//! Bad rows: each is told, by cause in the reply and one by one in a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::world::World;

/// Rows of which three have no name and four a key that came before.
const ROWS: &str = r#"{"id":"a","name":"Lamp"}
{"id":"b","name":null}
{"id":"a","name":"Desk"}
{"id":"c","name":null}
{"id":"c","name":"Chair"}
{"id":"a","name":"Bed"}
{"id":"d","name":null}
{"id":"e","name":"Shelf"}
{"id":"e","name":"Stool"}
{"id":"e","name":"Bench"}
"#;
const BUILD: [&str; 6] = ["build", "rows.jsonl", "--template", "Describe {{ name }}", "--key", "id"];

fn world() -> World {
    let world = World::new();
    world.write("rows.jsonl", ROWS);
    world
}

#[test]
fn every_bad_row_is_listed_and_nothing_else_is_written() {
    let world = world();
    let error = world.refusal(&BUILD).to_string();
    assert!(error.contains("7 bad rows"), "{error}");
    assert!(error.contains("rows.requests.problems.jsonl"), "{error}");
    assert!(!world.path("rows.requests.jsonl").exists());

    let list = world.lines("rows.requests.problems.jsonl");
    let mut rows: Vec<_> = list.iter().map(|entry| entry["row"].as_u64().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!(rows, [2, 3, 4, 6, 7, 9, 10]);
    for entry in &list {
        assert!(entry["source"].as_str().unwrap().ends_with("rows.jsonl"), "{entry}");
        assert_eq!(entry["line"], entry["row"]);
        assert!(["name", "id"].contains(&entry["column"].as_str().unwrap()), "{entry}");
        assert!(!entry["cause"].as_str().unwrap().is_empty());
    }
}

#[test]
fn keys_that_differ_by_spaces_alone_are_called_so() {
    let world = World::new();
    world.write("rows.csv", "id,name\n a,Lamp\na,Desk\nb,Bed\nb ,Stool\n");
    world.refusal(&["build", "rows.csv", "--template", "{{ name }}", "--key", "id"]);
    let list = world.lines("rows.requests.problems.jsonl");
    let causes: Vec<_> = list.iter().map(|entry| entry["cause"].as_str().unwrap()).collect();
    assert!(causes[0].contains("row 1 (line 2) has it already, without the spaces around it,"), "{causes:?}");
    assert!(causes[1].starts_with("its key \"b\", without the spaces around it, is not its own: row 3"), "{causes:?}");
}

#[test]
fn causes_are_grouped_and_the_most_frequent_is_told_first() {
    let world = world();
    let reply = world.reply(&[&BUILD[..], &["--skip-bad-rows"]].concat());
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(3), &json!(7)));
    let problems: Vec<_> = reply["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(
        problems[0],
        "row 3 (line 3): its key \"a\" is not its own: row 1 (line 1) has it already; keys must be unique \
         (and 3 more rows: 6, 9, 10)"
    );
    assert!(problems[1].starts_with("row 2 (line 2): ") && problems[1].ends_with("(and 2 more rows: 4, 7)"));
    let list = world.lines("rows.requests.problems.jsonl");
    let told = |row: u64| list.iter().find(|entry| entry["row"] == row).unwrap()["cause"].as_str().unwrap().to_owned();
    assert!(told(10).contains("row 8 (line 8) has it already"), "{}", told(10));
    assert_eq!(world.lines("rows.requests.jsonl").len(), 3);
    assert_eq!(reply["problems_file"], json!(world.path("rows.requests.problems.jsonl").canonicalize().unwrap()));
}

#[test]
fn an_empty_prompt_is_a_bad_row_and_an_empty_cell_is_counted() {
    let world = World::new();
    world.write("notes.csv", "id,note,desc\na,x,\nb,  ,long\nc,\u{a0},\nd,y,short\n");
    let build = ["build", "notes.csv", "--key", "id", "--overwrite", "--template"];
    for template in [
        "{{ note }}",
        " {{note|trim}}\n",
        "{% if note %}{{ note | trim }}{% endif %}",
        "{{ note | default(\"none\") }}",
    ] {
        let refused = world.refusal(&[&build[..], &[template]].concat());
        let cause = refused["cause"].as_str().unwrap();
        assert!(cause.contains("row 2 (line 3): its prompt is empty") && cause.contains("(and row 3)"), "{cause}");
    }
    let skipped = world.reply(&[&build[..], &["{{ note }}", "--skip-bad-rows", "--system", "Sum up"]].concat());
    assert_eq!((&skipped["requests"], &skipped["skipped"]), (&json!(2), &json!(2)));
    assert_eq!(world.lines("notes.requests.problems.jsonl")[0]["column"], "note");

    let counted = world.reply(&[&build[..], &["{{ id }}: {{ desc }}"]].concat())["warnings"].to_string();
    assert!(counted.contains("2 rows have nothing in desc, which the template prints"), "{counted}");
    for template in ["{{ id }}: {{ row.desc }}", "{{ id }}: {{ row['desc'][:5] }}"] {
        let counted = world.reply(&[&build[..], &[template]].concat())["warnings"].to_string();
        assert!(counted.contains("2 rows have nothing in desc"), "{template}: {counted}");
    }
    // Where the template says what is to stand there, all is well; and so where a picture is what is asked about.
    let said = world.reply(&[&build[..], &["{{ id }}: {{ desc | default(\"none\", true) }}"]].concat());
    assert_eq!(said["warnings"], Value::Null);
    assert!(world.read("notes.requests.jsonl").contains("a: none"));
    let shown =
        r#"{"contents": [{"role": "user", "parts": [{"text": "{{ note }}"}, {"fileData": {"fileUri": "files/1"}}]}]}"#;
    let ran = world.reply(&["build", "notes.csv", "--key", "id", "--overwrite", "--request", shown]);
    assert_eq!(ran["requests"], 4);
}

#[test]
fn a_list_of_the_last_build_is_replaced_and_any_other_file_is_not() {
    let world = world();
    world.write("rows.requests.problems.jsonl", "{\"row\":1,\"cause\":\"old\",\"mine\":true}\n");
    let error = world.refusal(&BUILD).to_string();
    assert!(error.contains("7 bad rows") && error.contains("is no such list"), "{error}");
    assert!(world.read("rows.requests.problems.jsonl").contains("mine"));

    world.write("rows.requests.problems.jsonl", "{\"row\":1,\"cause\":\"old\"}\n");
    world.refusal(&BUILD);
    assert_eq!(world.lines("rows.requests.problems.jsonl").len(), 7);

    world.write("rows.jsonl", &ROWS.replace("null", "\"x\""));
    world.reply(&[&BUILD[..], &["--skip-bad-rows", "--overwrite"]].concat());
    assert_eq!(world.lines("rows.requests.problems.jsonl").len(), 5);
}

#[test]
fn a_key_that_is_none_is_not_answered_by_leaving_its_rows_out() {
    let world = World::new();
    let rows = |repeated: usize| -> String {
        let id = |n: usize| if n < repeated { 0 } else { n };
        (0..=50).map(|n| format!("{}\n", json!({"id": id(n), "n": n}))).collect()
    };
    let hint = |repeated: usize| {
        world.write("rows.jsonl", &rows(repeated));
        let error = world.refusal(&["build", "rows.jsonl", "--template", "{{ n }}", "--key", "id"]);
        error["hint"].as_str().unwrap().to_owned()
    };
    let many = hint(20);
    assert!(many.starts_with("give a key that is unique: another column, or several by a template"), "{many}");
    assert!(!many.contains("skip"), "{many}");
    let few = hint(2);
    assert!(few.starts_with("give a key that is unique") && few.contains("on_bad_row: \"skip\""), "{few}");
    // As it says: several columns, or none.
    for key in [vec!["--key", "{{ id }}-{{ n }}"], vec![]] {
        world.reply(&[&["build", "rows.jsonl", "--template", "{{ n }}", "--overwrite"][..], &key].concat());
    }
}

#[test]
fn the_list_of_an_earlier_build_goes_when_no_row_is_bad_any_more() {
    let world = world();
    world.refusal(&BUILD);
    let list = world.read("rows.requests.problems.jsonl");
    world.write("rows.jsonl", "{\"id\":\"a\",\"name\":\"Lamp\"}\n");
    let reply = world.reply(&BUILD);
    assert!(reply["warnings"].to_string().contains("rows.requests.problems.jsonl listed the bad rows of an earlier"));
    assert!(!world.path("rows.requests.problems.jsonl").exists() && reply["problems_file"].is_null(), "{reply}");
    // Whatever else is there stays, also behind lines like ours.
    for mine in [format!("{list}{{\"row\":1,\"cause\":\"x\",\"mine\":true}}\n"), String::new(), format!("{list}note\n")]
    {
        world.write("rows.requests.problems.jsonl", &mine);
        let reply = world.reply(&BUILD);
        assert!(!reply["warnings"].to_string().contains("removed"), "{reply}");
        assert_eq!(world.read("rows.requests.problems.jsonl"), mine);
    }
}

#[test]
fn a_bad_row_is_not_named_as_the_one_that_has_the_key() {
    let world = World::new();
    world.write(
        "rows.jsonl",
        r#"{"id":"a","name":null}
{"id":"a","name":"Lamp"}
{"id":"a","name":"Desk"}"#,
    );
    let reply = world.reply(&[&BUILD[..], &["--skip-bad-rows"]].concat());
    assert!(reply["problems"][1].as_str().unwrap().contains("row 2 (line 2) has it already"), "{reply}");
}

#[test]
fn many_bad_rows_make_a_long_list_and_a_short_reply() {
    let world = World::new();
    let rows: String = (0..5000).map(|n| format!("{}\n", json!({"id": "same", "n": n}))).collect();
    world.write("rows.jsonl", &rows);
    let ran = world.run(&["build", "rows.jsonl", "--template", "{{ n }}", "--key", "id", "--skip-bad-rows", "--json"]);
    let reply: Value = ran.json();
    assert!(ran.stdout.len() < 4_000, "{}", ran.stdout);
    assert_eq!(reply["skipped"], 4999);
    let list = world.lines("rows.requests.problems.jsonl");
    assert_eq!(list.len(), 4999);
    assert_eq!(list.iter().filter(|entry| entry["cause"].as_str().unwrap().contains("row 1 (line 1)")).count(), 1000);
}

#[test]
fn a_source_without_any_good_row_still_gets_its_list() {
    let world = World::new();
    world.write("rows.jsonl", "{\"name\":null}\n");
    let error = world.refusal(&["build", "rows.jsonl", "--template", "{{ name }}", "--skip-bad-rows"]).to_string();
    assert!(error.contains("1 bad row") && error.contains("no row makes a request"), "{error}");
    assert_eq!(world.lines("rows.requests.problems.jsonl").len(), 1);
}

#[test]
fn a_trial_says_that_it_is_one() {
    let world = world();
    let trial = world.reply(&["build", "rows.jsonl", "--template", "{{ id }}", "--limit", "2", "--output", "t.jsonl"]);
    assert!(trial["warnings"].to_string().contains("a trial of the first 2 rows"), "{trial}");
    let whole = world.reply(&["build", "rows.jsonl", "--template", "{{ id }}", "--limit", "10", "--output", "w.jsonl"]);
    assert!(!whole["warnings"].to_string().contains("trial"), "{whole}");
}
