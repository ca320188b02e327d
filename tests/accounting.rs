//! Every key accounted for: each request in exactly one outcome, whatever comes back and in whatever order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, Fault};
use serde_json::{Value, json};
use support::world::World;

/// Submits a data set of `id,text`; the handle of the finished job.
fn finished(world: &World, rows: &[(&str, &str)]) -> String {
    let mut table = csv::Writer::from_path(world.path("rows.csv")).unwrap();
    table.write_record(["id", "text"]).unwrap();
    rows.iter().for_each(|row| table.write_record([row.0, row.1]).unwrap());
    table.flush().unwrap();
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id", "--overwrite"]);
    let handle = world.reply(&["create", "rows.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    ended(world, &["status", &handle, "--wait"]);
    handle
}

/// The reply of a command, whether or not all rows answered.
fn ended(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run(&[arguments, &["--json"]].concat());
    assert!([0, 4].contains(&ran.code), "{ran:?}");
    ran.json()
}

fn results(world: &World, arguments: &[&str]) -> Value {
    ended(world, &[&["results"], arguments].concat())
}

#[test]
fn each_outcome_is_told_apart_and_they_add_up() {
    let world = World::new();
    let rows = [
        ("ok", "plain"),
        ("failed", "[[simulate:failed]]"),
        ("blocked", "[[simulate:blocked]]"),
        ("safety", "[[simulate:safety]]"),
        ("truncated", "[[simulate:truncated]]"),
        ("empty", "[[simulate:empty]]"),
        ("none", "[[simulate:no-candidates]]"),
        ("many", "[[simulate:multipart]] parts"),
        ("think", "[[simulate:thinking]] hard"),
        ("missing", "[[simulate:missing]]"),
        ("twice", "[[simulate:duplicate]] me"),
        ("stranger", "[[simulate:stranger]] danger"),
        ("garbage", "[[simulate:garbage]]"),
    ];
    let handle = finished(&world, &rows);
    let reply = results(&world, &[&handle, "--output", "out.jsonl"]);
    let outcomes: BTreeMap<String, i64> = serde_json::from_value(reply["outcomes"].clone()).unwrap();
    assert_eq!(outcomes.values().sum::<i64>(), 13, "{reply}");
    assert_eq!(reply["requests"], 13);

    let lines = world.lines("out.jsonl");
    let by_key: BTreeMap<_, _> =
        lines.iter().map(|line| (line["key"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect();
    assert_eq!(lines.len(), 13, "each key once");
    let expected = [
        ("blocked", "blocked"),
        ("empty", "empty"),
        ("failed", "failed"),
        ("garbage", "missing"),
        ("many", "answered"),
        ("missing", "missing"),
        ("none", "empty"),
        ("ok", "answered"),
        ("safety", "blocked"),
        ("stranger", "answered"),
        ("think", "answered"),
        ("truncated", "truncated"),
        ("twice", "answered"),
    ];
    assert_eq!(by_key, BTreeMap::from(expected));
    let order: Vec<_> = lines.iter().map(|line| line["key"].as_str().unwrap()).collect();
    assert_eq!(order, rows.map(|row| row.0), "in the order of the requests");
    let warnings = reply["warnings"].to_string();
    for word in ["twice", "never asked for", "cannot be read"] {
        assert!(warnings.contains(word), "{word} is missing in {warnings}");
    }
    let failures = reply["failures"].as_array().unwrap();
    let counted: i64 = failures.iter().map(|failure| failure["count"].as_i64().unwrap()).sum();
    assert_eq!(counted, 13 - outcomes["answered"]);
    assert!(failures.iter().all(|failure| !failure["remedy"].as_str().unwrap().is_empty()));
}

#[test]
fn thoughts_are_not_answers_and_parts_are_put_together() {
    let world = World::new();
    let handle = finished(&world, &[("a", "[[simulate:thinking]] deep"), ("b", "[[simulate:multipart]] wide")]);
    results(&world, &[&handle, "--output", "raw.jsonl", "--format", "raw"]);
    results(&world, &[&handle, "--output", "out.jsonl"]);
    for (raw, line) in world.lines("raw.jsonl").iter().zip(world.lines("out.jsonl")) {
        let parts = raw["response"]["candidates"][0]["content"]["parts"].as_array().unwrap();
        let plain = parts.iter().filter(|part| part["thought"] != true);
        let text: String = plain.map(|part| part["text"].as_str().unwrap()).collect();
        assert!(parts.len() > 1, "{raw}");
        assert_eq!(line["response"]["text"], text);
    }
}

#[test]
fn thousands_of_shuffled_results_find_their_rows() {
    let world = World::new();
    let rows: Vec<_> = (0..3000).map(|n| (format!("id-{n}"), format!("number {n}"))).collect();
    let borrowed: Vec<_> = rows.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let handle = finished(&world, &borrowed);
    results(&world, &[&handle, "--output", "joined.csv", "--join"]);
    let mut table = csv::Reader::from_path(world.path("joined.csv")).unwrap();
    let mut count = 0;
    for (row, (id, text)) in table.records().map(Result::unwrap).zip(&rows) {
        assert_eq!((&row[0], &row[1]), (id.as_str(), text.as_str()));
        assert!(row[2].contains(&format!("{text}:")) || row[2].contains(text.as_str()), "{row:?}");
        count += 1;
    }
    assert_eq!(count, 3000);
    // The simulator shuffles: had the results been joined by position, this would be in vain.
    let kept = world.path("home").join("jobs").join(&handle).join("results.jsonl");
    let first: Value = serde_json::from_str(std::fs::read_to_string(kept).unwrap().lines().next().unwrap()).unwrap();
    assert_ne!(first["key"], "id-0");
}

#[test]
fn a_data_set_that_changed_still_gets_its_answers_and_says_so() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one"), ("b", "two"), ("c", "three")]);
    world.write("rows.csv", "id,text\nc,three\nnew,never asked\na,one\n");
    let reply = results(&world, &[&handle, "--output", "joined.csv", "--join"]);
    assert_eq!(reply["outcomes"], json!({"answered": 3}));
    assert!(reply["warnings"].to_string().contains("1 request without a row"), "{reply}");
    let mut table = csv::Reader::from_path(world.path("joined.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|row| row[0].to_owned()).collect::<Vec<_>>(), ["c", "a", "b"], "the key is known");
    assert_eq!(&rows[2][1], "");
    assert!(rows[2][2].contains("two"), "{:?}", rows[2]);
}

/// The finished job of a next stage over the answers of this one.
fn next_stage(world: &World, job: &str) -> String {
    let template = "[[simulate:echo]]then {{ answer }}";
    world.reply(&["build", &format!("job:{job}"), "--template", template, "--output", "next.jsonl", "--overwrite"]);
    let next = world.reply(&["create", "next.jsonl"])["job"].as_str().unwrap().to_owned();
    ended(world, &["status", &next, "--wait"]);
    next
}

#[test]
fn what_changed_at_an_earlier_stage_is_told_at_each() {
    let world = World::new();
    let first = finished(&world, &[("a", "[[simulate:echo]]one"), ("b", "[[simulate:failed]] once")]);
    let second = next_stage(&world, &first);
    let third = next_stage(&world, &second);
    let warnings = |job: &str| {
        let reply = results(&world, &[job, "--output", "out.csv", "--join", "--overwrite"]);
        reply["warnings"].as_array().into_iter().flatten().map(Value::to_string).collect::<String>()
    };
    for job in [&second, &third] {
        assert!(!warnings(job).contains("changed"), "{}", warnings(job));
    }
    world.write("rows.csv", "id,text\na,CHANGED\nb,[[simulate:failed]] once\n");
    for job in [&first, &second, &third] {
        assert!(warnings(job).contains("may say something else than what was asked"), "{}", warnings(job));
    }
}

#[test]
fn an_answer_that_a_retry_brought_since_is_not_passed_off_as_what_was_asked_about() {
    let world = World::new();
    let first = finished(&world, &[("a", "one"), ("b", "[[simulate:truncated]] two")]);
    let second = next_stage(&world, &first);
    let retry = ended(&world, &["retry", &first])["job"].as_str().unwrap().to_owned();
    ended(&world, &["status", &retry, "--wait"]);
    let reply = results(&world, &[&second, "--output", "out.csv", "--join"]);
    assert!(reply["warnings"].to_string().contains("an answer of an earlier stage, was changed"), "{reply}");
}

#[test]
fn rows_known_by_their_number_are_joined_at_no_stage_once_they_changed() {
    let world = World::new();
    world.write("rows.csv", "text\none\ntwo\n");
    world.reply(&["build", "rows.csv", "--template", "{{ text }}"]);
    let first = world.reply(&["create", "rows.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    ended(&world, &["status", &first, "--wait"]);
    let second = next_stage(&world, &first);
    let third = next_stage(&world, &second);
    world.write("rows.csv", "text\ntwo\n");
    let why = "its rows are known by their number only";
    for job in [&first, &second, &third] {
        let error = world.refusal(&["results", job, "--join", "--output", "out.csv"]);
        assert!(error["cause"].as_str().unwrap().contains(why), "{error}");
    }
    // A build over them says why their columns are not there.
    let template = "{{ text }} {{ answer }}";
    let error = world.refusal(&["build", &format!("job:{first}"), "--template", template, "--output", "n.jsonl"]);
    assert!(error["cause"].as_str().unwrap().contains(why), "{error}");
    // Over the rows that are left a stage goes on, and is told what it lacks.
    let source = format!("job:{first}");
    world.reply(&["build", &source, "--template", "again {{ answer }}", "--output", "again.jsonl"]);
    let again = world.reply(&["create", "again.jsonl"])["job"].as_str().unwrap().to_owned();
    ended(&world, &["status", &again, "--wait"]);
    let reply = results(&world, &[&again, "--join", "--output", "out.csv"]);
    assert!(reply["warnings"].to_string().contains("the columns of its data set are not in these rows"), "{reply}");
}

#[test]
fn a_data_set_that_is_gone_is_told_with_where_it_was() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one")]);
    std::fs::rename(world.path("rows.csv"), world.path("moved.csv")).unwrap();
    let error = world.refusal(&["results", &handle, "--join", "--output", "out.csv"]);
    assert_eq!(error["kind"], "not_found");
    let cause = error["cause"].as_str().unwrap();
    assert!(cause.starts_with("its data set was at ") && cause.contains("rows.csv"), "{error}");
    assert!(error["hint"].as_str().unwrap().starts_with("put it back there; or leave join out"), "{error}");
    results(&world, &[&handle, "--output", "out.csv"]);
    std::fs::rename(world.path("moved.csv"), world.path("rows.csv")).unwrap();
    results(&world, &[&handle, "--join", "--output", "joined.csv"]);
}

#[test]
fn a_cancelled_job_has_every_key_missing() {
    let world = World::with(|options| options.pace = gemini_batch_mcp::simulator::Pace::realistic());
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let handle = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["cancel", &handle]);
    let reply = results(&world, &[&handle, "--output", "out.csv"]);
    assert_eq!(reply["state"], "JOB_STATE_CANCELLED");
    assert_eq!(reply["outcomes"], json!({"answered": 0, "missing": 2}));
    assert_eq!(csv::Reader::from_path(world.path("out.csv")).unwrap().records().count(), 2);
}

#[test]
fn single_keys_and_outcomes_are_looked_up_without_a_file() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one"), ("b", "[[simulate:failed]]"), ("c", "three")]);
    let reply = results(&world, &[&handle, "--key", "c"]);
    assert!(reply["path"].is_null());
    assert_eq!(reply["samples"].as_array().unwrap().len(), 1);
    assert_eq!(reply["samples"][0]["key"], "c");
    assert_eq!(reply["outcomes"], json!({"answered": 2, "failed": 1}), "the counts are of the whole job");
    let unknown = results(&world, &[&handle, "--key", "nobody", "--key", "a"]);
    assert!(unknown["warnings"].to_string().contains("no request has the key nobody\""), "{unknown}");
    assert_eq!(unknown["samples"].as_array().unwrap().len(), 1);
    assert_eq!(world.run(&["results", &handle, "--output", "out.xlsx"]).code, 2, "no format has this extension");
    results(&world, &[&handle, "--outcome", "failed", "--output", "bad.jsonl"]);
    assert_eq!(world.lines("bad.jsonl").len(), 1);
}

#[test]
fn what_a_job_was_made_of_is_never_written_over() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one")]);
    std::fs::create_dir(world.path("notes")).unwrap();
    world.write("notes/a.md", "about A");
    world.reply(&["build", "notes/*.md", "--template", "{{ text }}", "--output", "n.jsonl"]);
    let notes = world.reply(&["create", "n.jsonl"])["job"].as_str().unwrap().to_owned();
    let stage = ["build", &format!("job:{handle}"), "--template", "{{ answer }}", "--output", "s.jsonl"];
    world.reply(&stage);
    let second = world.reply(&["create", "s.jsonl"])["job"].as_str().unwrap().to_owned();
    let files = [
        (&handle, "rows.csv"),
        (&handle, "rows.requests.jsonl"),
        (&notes, "notes/a.md"),
        (&second, "rows.csv"),
        (&second, "s.jsonl"),
    ];
    for (job, file) in files {
        let before = world.read(file);
        for more in [&["--overwrite"][..], &[]] {
            let format = ["--format", "csv"];
            let error = world.refused(&[&["results", job, "--output", file][..], &format, more].concat());
            assert_eq!(error["kind"], "invalid_argument", "{error}");
            assert!(error["cause"].as_str().unwrap().starts_with("the job was made of that file"), "{error}");
        }
        assert_eq!(world.read(file), before, "{file}");
    }
    world.write("notes/old.csv", "of another job");
    results(&world, &[&handle, "--output", "notes/old.csv", "--overwrite"]);
}

#[test]
fn a_job_stays_what_it_was_made_of_whatever_is_built_later() {
    let world = World::new();
    let build = |rows: &str, more: &[&str]| {
        world.reply(&[&["build", rows, "--template", "Hi {{ name }}", "--key", "id", "--overwrite"][..], more].concat())
    };
    world.write("jan.csv", "id,name,segment\n1,Ann,gold\n2,Bob,silver\n");
    world.write("feb.csv", "id,name,segment\n1,Ann,lost\n2,Bob,lost\n");
    build("jan.csv", &[]);
    let handle = world.reply(&["create", "jan.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &handle, "--wait"]);
    build("feb.csv", &[]);
    let found = world.reply(&["create", "feb.requests.jsonl"]);
    assert_eq!((&found["job"], &found["submission"]), (&json!(handle), &json!("found")));
    let warnings = found["warnings"].to_string();
    assert!(warnings.contains("jan.csv: the answers of this job are joined to that"), "{found}");

    let refused = world.refused(&["results", &handle, "--join", "--output", "jan.csv", "--overwrite"]);
    assert_eq!(refused["kind"], "invalid_argument", "{refused}");
    results(&world, &[&handle, "--format", "source"]);
    let answered = world.read("jan.answered.csv");
    assert!(answered.contains("gold") && !answered.contains("lost"), "{answered}");
    std::fs::remove_file(world.path("feb.csv")).unwrap();
    results(&world, &[&handle, "--join", "--output", "joined.csv"]);

    let own = world.reply(&["create", "feb.requests.jsonl", "--new-run"]);
    world.run(&["status", own["job"].as_str().unwrap(), "--wait"]);
    world.write("feb.csv", "id,name,segment\n1,Ann,lost\n2,Bob,lost\n");
    results(&world, &[own["job"].as_str().unwrap(), "--join", "--output", "own.csv"]);
    assert!(world.read("own.csv").contains("lost"), "a run of its own has the data set it was built of");
}

#[test]
fn a_schema_that_is_built_later_changes_no_outcome_of_a_job() {
    let world = World::new();
    let prompt = r#"[[simulate:echo]]{"c":"a","x":1}"#;
    let build = |schema: &str, output: &str| {
        world.reply(&["build", "--prompt", prompt, "--response-schema", schema, "--output", output]);
        world.reply(&["create", output])
    };
    let created = build(r#"{"type":"object","properties":{"c":{"type":"string"}}}"#, "one.jsonl");
    let handle = created["job"].as_str().unwrap();
    world.run(&["status", handle, "--wait"]);
    assert_eq!(results(&world, &[handle, "--limit", "1"])["outcomes"], json!({"answered": 1}));
    let stricter = r#"{"type":"object","properties":{"c":{"type":"string"}},"additionalProperties":false}"#;
    let found = build(stricter, "two.jsonl");
    if found["job"] == created["job"] {
        assert!(found["warnings"].to_string().contains("the schema that it was submitted with"), "{found}");
    }
    assert_eq!(results(&world, &[handle, "--limit", "1"])["outcomes"], json!({"answered": 1}));
}

#[test]
fn a_file_of_some_outcomes_is_not_in_the_place_of_all_answers() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one"), ("b", "[[simulate:failed]]"), ("c", "[[simulate:blocked]]")]);
    let some = results(&world, &[&handle, "--outcome", "failed"]);
    assert!(some["path"].as_str().unwrap().ends_with(&format!("{handle}.results.failed.jsonl")), "{some}");
    assert_eq!(some["failures"].as_array().unwrap().len(), 1, "what was not asked about is not explained: {some}");
    assert!(!some["warnings"].to_string().contains("for other reasons"), "{some}");
    let all = results(&world, &[&handle]);
    assert_eq!(world.lines(all["path"].as_str().unwrap()).len(), 3);
}

#[test]
fn answers_that_came_are_not_given_up_for_fewer() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one"), ("b", "[[simulate:missing]]")]);
    let counts = json!({"answered": 1, "missing": 1});
    assert_eq!(results(&world, &[&handle, "--limit", "1"])["outcomes"], counts);
    world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(0));
    assert_eq!(
        results(&world, &[&handle, "--limit", "1"])["outcomes"],
        counts,
        "the API lacks one, so it is asked again"
    );
    assert_eq!(world.simulator.log().calls(Call::Download), 2);
}

#[test]
fn results_are_not_written_over_other_files() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one")]);
    world.write("mine.jsonl", "precious");
    assert_eq!(world.refusal(&["results", &handle, "--output", "mine.jsonl"])["kind"], "already_exists");
    assert_eq!(world.read("mine.jsonl"), "precious");
    results(&world, &[&handle, "--output", "out.jsonl"]);
    let again = results(&world, &[&handle, "--output", "out.jsonl"]);
    assert_eq!(again["outcomes"], json!({"answered": 1}), "the same answers again are no conflict");
}

#[test]
fn a_job_made_elsewhere_is_read_by_its_name() {
    let world = World::new();
    let handle = finished(&world, &[("a", "one"), ("b", "two")]);
    let remote = world.reply(&["status", &handle])["jobs"][0].clone();
    assert_eq!(remote["state"], "JOB_STATE_SUCCEEDED");
    let name = world.reply(&["list"])["jobs"][0]["remote_name"].as_str().unwrap().to_owned();
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let listed = world.reply(&["list"]);
    assert_eq!(listed["jobs"][0]["known"], "api");
    let reply = results(&world, &[&name, "--output", "out.jsonl"]);
    assert_eq!(reply["outcomes"], json!({"answered": 2}));
    let mut keys: Vec<_> =
        world.lines("out.jsonl").iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn json_answers_that_are_none_are_invalid() {
    let world = World::new();
    world.write("rows.csv", "id,text\na,fine\nb,[[simulate:truncated]] cut\n");
    let schema = r#"{"type": "OBJECT", "properties": {"name": {"type": "STRING"}}, "required": ["name"]}"#;
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id", "--response-schema", schema]);
    let handle = world.reply(&["create", "rows.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    results(&world, &[&handle, "--output", "out.jsonl"]);
    let lines = world.lines("out.jsonl");
    let answer: Value = serde_json::from_str(lines[0]["response"]["text"].as_str().unwrap()).unwrap();
    assert!(answer["name"].is_string(), "{answer}");
    assert_eq!(lines[1]["outcome"], "truncated");
}

#[test]
fn keys_of_any_letters_come_through_whole() {
    let world = World::new();
    let rows = [(r#"say "hi""#, "one"), (r"back\slash", "two"), ("ключ 鍵 🔑", "three"), ("a,b;c", "four")];
    let handle = finished(&world, &rows);
    let reply = results(&world, &[&handle, "--join", "--output", "joined.csv"]);
    assert_eq!(reply["outcomes"], json!({"answered": 4}), "{reply}");
    results(&world, &[&handle, "--output", "out.jsonl"]);
    let keys: Vec<_> = world.lines("out.jsonl").iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, rows.map(|row| row.0));
}

const PARTLY: [(&str, &str); 6] = [
    ("a", "[[simulate:partial]] one"),
    ("b", "[[simulate:duplicate]] two"),
    ("c", "three"),
    ("d", "four"),
    ("e", "five"),
    ("f", "six"),
];

fn submitted(world: &World, rows: &[(&str, &str)]) -> String {
    let text: String = rows.iter().map(|(id, text)| format!("{id},{text}\n")).collect();
    world.write("rows.csv", &format!("id,text\n{text}"));
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id"]);
    world.reply(&["create", "rows.requests.jsonl"])["job"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_cancelled_job_had_done_is_kept_and_the_rest_is_missing() {
    let (world, _clock) = World::timed();
    let handle = submitted(&world, &PARTLY);
    world.reply(&["cancel", &handle]);
    let reply = results(&world, &[&handle, "--join", "--output", "out.jsonl"]);
    assert_eq!(reply["state"], "JOB_STATE_CANCELLED");
    assert_eq!(reply["outcomes"], json!({"answered": 3, "missing": 3}), "{reply}");
    assert_eq!(reply["requests"], 6);
    let lines = world.lines("out.jsonl");
    assert_eq!(
        lines.iter().map(|line| line["source"]["id"].clone()).collect::<Vec<_>>(),
        ["a", "b", "c", "d", "e", "f"]
    );
    assert_eq!(reply["failures"][0]["count"], 3);
    assert!(reply["next"].as_str().unwrap().starts_with("retry_batch"), "{reply}");
    // The rest in a job of its own.
    assert_eq!(world.reply(&["retry", &handle])["repeated"], json!({"answered": 0, "missing": 3}));
}

#[test]
fn what_an_expired_job_had_done_is_kept_and_the_rest_is_missing() {
    let (world, clock) = World::timed();
    let mut rows = PARTLY;
    rows[2].1 = "[[simulate:job-expired]] three";
    let handle = submitted(&world, &rows);
    clock.advance(Duration::from_secs(49 * 3600));
    let reply = results(&world, &[&handle, "--output", "out.csv"]);
    assert_eq!(reply["state"], "JOB_STATE_EXPIRED");
    assert_eq!(reply["outcomes"], json!({"answered": 3, "missing": 3}), "{reply}");
    assert_eq!(csv::Reader::from_path(world.path("out.csv")).unwrap().records().count(), 6);
}

#[test]
fn a_failed_job_accounts_for_every_key_with_and_without_results() {
    let world = World::new();
    let mut rows = PARTLY;
    rows[2].1 = "[[simulate:job-failed]] three";
    let handle = finished(&world, &rows);
    let reply = results(&world, &[&handle, "--output", "out.jsonl"]);
    assert_eq!(reply["state"], "JOB_STATE_FAILED");
    assert_eq!(reply["outcomes"], json!({"answered": 3, "missing": 3}), "{reply}");
    let world = World::new();
    let handle = finished(&world, &[("a", "one"), ("b", "[[simulate:job-failed]] two")]);
    let reply = results(&world, &[&handle, "--output", "out.jsonl"]);
    assert_eq!(reply["outcomes"], json!({"answered": 0, "missing": 2}), "{reply}");
    assert_eq!(world.lines("out.jsonl").len(), 2);
    // Why, as the status has it; a job that ended well has no such word.
    let told = world.run(&["status", &handle, "--json"]).json()["jobs"][0]["error"].clone();
    assert!(told.is_string() && reply["error"] == told, "{reply}");
    let text = world.run(&["results", &handle, "--limit", "1"]).stdout;
    assert!(text.lines().nth(1).unwrap().starts_with("error of the job: "), "{text}");
    let well = finished(&world, &[("a", "one")]);
    assert!(results(&world, &[&well, "--limit", "1"])["error"].is_null());
}

#[test]
fn what_was_done_before_a_job_ended_early_stands_in_every_format() {
    let end = |state: &str, formats: &[&str]| {
        let (world, clock) = World::timed();
        let mut rows = PARTLY;
        rows[2].1 = match state {
            "EXPIRED" => "[[simulate:job-expired]] three",
            "FAILED" => "[[simulate:job-failed]] three",
            _ => "three",
        };
        let handle = submitted(&world, &rows);
        if state == "CANCELLED" {
            world.reply(&["cancel", &handle]);
        }
        clock.advance(Duration::from_secs(49 * 3600));
        for format in formats {
            let output = format!("out.{format}");
            let reply = results(&world, &[&handle, "--join", "--format", format, "--output", &output]);
            assert_eq!(reply["state"], format!("JOB_STATE_{state}"));
            assert_eq!(reply["outcomes"], json!({"answered": 3, "missing": 3}), "{format}: {reply}");
            let outcomes: Vec<String> = match *format {
                "json" => serde_json::from_str::<Vec<Value>>(&world.read(&output)).unwrap(),
                "parquet" => support::parquet::rows(&world.path(&output)),
                "csv" | "tsv" | "source" => {
                    let delimiter = if *format == "tsv" { b'\t' } else { b',' };
                    let mut table =
                        csv::ReaderBuilder::new().delimiter(delimiter).from_path(world.path(&output)).unwrap();
                    table.deserialize::<BTreeMap<String, String>>().map(|row| json!(row.unwrap())).collect()
                }
                "md" => {
                    let text = world.read(&output);
                    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
                    let word = |row: &str| if row.contains("| missing |") { "missing" } else { "answered" };
                    rows.map(|row| json!({"outcome": word(row)})).collect()
                }
                "raw" => {
                    let word = |line: &Value| if line["error"].is_null() { "answered" } else { "missing" };
                    world.lines(&output).iter().map(|line| json!({"outcome": word(line)})).collect()
                }
                _ => world.lines(&output),
            }
            .iter()
            .map(|row| row["outcome"].as_str().unwrap().to_owned())
            .collect();
            let count = |outcome: &str| outcomes.iter().filter(|found| *found == outcome).count();
            assert_eq!((count("answered"), count("missing")), (3, 3), "{format}: {outcomes:?}");
        }
    };
    end("CANCELLED", &["jsonl", "json", "csv", "tsv", "parquet", "md", "source", "raw"]);
    end("EXPIRED", &["parquet", "source"]);
    end("FAILED", &["parquet", "source"]);
}

#[test]
fn results_that_break_off_in_a_line_are_not_taken_for_all() {
    let world = World::new();
    let handle = submitted(&world, &PARTLY);
    world.run(&["status", &handle, "--wait"]);
    world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(1500));
    let error = world.refusal(&["results", &handle, "--output", "out.jsonl"]);
    assert_eq!(error["kind"], "unavailable", "{error}");
    assert!(error["cause"].as_str().unwrap().contains("break off"), "{error}");
    assert!(!world.path("out.jsonl").exists());
    let reply = results(&world, &[&handle, "--output", "out.jsonl"]);
    assert_eq!(reply["outcomes"], json!({"answered": 6}), "the same call again brings all");
}

#[test]
fn kept_results_that_were_damaged_lose_only_the_damaged_lines_and_say_which() {
    let world = World::new();
    let rows = [("a", "one"), ("b", "two"), ("c", "three")];
    let handle = finished(&world, &rows);
    results(&world, &[&handle, "--limit", "0"]);
    let kept = world.path("home").join("jobs").join(&handle).join("results.jsonl");
    let text = std::fs::read_to_string(&kept).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    let half = &lines[1][..lines[1].len() / 2];
    let odd = "no JSON at all";
    lines[1] = odd;
    lines.extend([half, "[1, 2]", "{\"key\": \"nobody\", \"response\": {}}"]);
    std::fs::write(&kept, lines.join("\n")).unwrap();
    let reply = results(&world, &[&handle, "--output", "out.jsonl"]);
    assert_eq!(reply["outcomes"], json!({"answered": 2, "missing": 1}), "{reply}");
    let warnings = reply["warnings"].to_string();
    for word in ["3 result lines cannot be read", "line 2:", "line 4:", "never asked for (nobody)"] {
        assert!(warnings.contains(word), "{word} is missing in {warnings}");
    }
}

#[test]
fn tokens_of_every_sort_are_counted_and_have_their_own_price() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    let model = "gemini-3.1-flash-lite";
    let handle = world.reply(&["create", "r.jsonl", "-m", model])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    results(&world, &[&handle, "--limit", "0"]);
    let usage = json!({
        "promptTokenCount": 1_000_000, "cachedContentTokenCount": 400_000,
        "candidatesTokenCount": 200_000, "thoughtsTokenCount": 50_000,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 300_000}, {"modality": "TEXT", "tokenCount": 700_000}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 100_000}],
    });
    let candidate = json!({"content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP"});
    let line = json!({"key": "row-1", "response": {"candidates": [candidate], "usageMetadata": usage}});
    std::fs::write(world.path(&format!("home/jobs/{handle}/results.jsonl")), format!("{line}\n")).unwrap();
    let reply = results(&world, &[&handle, "--limit", "0"]);
    let usage = json!({"input_tokens": 1_000_000, "cached_tokens": 400_000, "audio_input_tokens": 200_000,
        "output_tokens": 250_000, "thinking_tokens": 50_000});
    assert_eq!(reply["usage"], usage);
    // Per million at the batch rate: 0.125 for text, 0.25 for sound, 0.0125 from the cache, 0.75 for output.
    let cost = 0.4 * 0.125 + 0.2 * 0.25 + 0.4 * 0.0125 + 0.25 * 0.75;
    assert!((reply["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-6, "{reply}");
    assert!(reply["saved_usd"].as_f64().unwrap() > 0.2, "{reply}");
    let mut table: Value = serde_json::from_str(include_str!("../src/job/models.json")).unwrap();
    table["models"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter(|row| row["name"] == model)
        .for_each(|row| row["prices"] = json!([]));
    world.write("models.json", &table.to_string());
    let reply = results(&world, &[&handle, "--limit", "0", "--models", "models.json"]);
    assert_eq!((&reply["usage"], &reply["cost_usd"]), (&usage, &Value::Null), "an unknown price is unknown");
    assert!(!reply["warnings"].to_string().contains("at least"), "{reply}");
}

#[test]
fn a_stray_result_for_a_row_that_was_never_asked_does_not_count() {
    let world = World::new();
    world.write("rows.csv", "id,text\na,one\nb,[[simulate:stranger]] two\nnobody-sent-this,three\n");
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id", "--limit", "2"]);
    let handle = world.reply(&["create", "rows.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    let reply = results(&world, &[&handle, "--join", "--output", "out.jsonl"]);
    assert_eq!((&reply["requests"], &reply["outcomes"]), (&json!(2), &json!({"answered": 2})), "{reply}");
    let keys: Vec<_> = world.lines("out.jsonl").iter().map(|line| line["key"].clone()).collect();
    assert_eq!(keys, ["a", "b"]);
    assert!(reply["warnings"].to_string().contains("never asked for (nobody-sent-this)"), "{reply}");
}
