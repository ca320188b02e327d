//! Answers in every format: with the columns of the schema, in the data set's own shape, and read back whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::parquet;
use support::world::World;

const SCHEMA: &str = r#"{"type": "object", "required": ["category", "score", "tags", "fits"], "properties": {
    "category": {"type": "string"}, "score": {"type": "integer"},
    "tags": {"type": "array", "items": {"type": "string"}}, "fits": {"type": "boolean"}}}"#;

/// Builds this data set, with the text of each row as its prompt; the handle of the finished job.
fn finished(world: &World, source: &str, build: &[&str]) -> String {
    let name = source.split('.').next().unwrap();
    // The same requests of two data sets would be one job, that of the first.
    let template = format!("{{{{ text }}}} ({name})");
    world.reply(&[&["build", source, "--template", &template, "--key", "id"], build].concat());
    let handle = world.reply(&["create", &format!("{name}.requests.jsonl")])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &handle, "--wait"]);
    handle
}

fn sorted(world: &World) -> String {
    world.write("rows.csv", "id,text\nA1,kettle\nB2,[[simulate:truncated]] a lamp\nC3,[[simulate:failed]]\n");
    finished(world, "rows.csv", &["--response-schema", SCHEMA])
}

/// The header and the rows of a table.
fn table(world: &World, name: &str, delimiter: u8) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(world.path(name)).unwrap();
    let texts = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = texts(reader.headers().unwrap());
    (header, reader.records().map(|record| texts(&record.unwrap())).collect())
}

fn parquet_rows(world: &World, name: &str) -> Vec<Value> {
    parquet::rows(&world.path(name))
}

#[test]
fn a_table_has_a_column_for_each_field_of_the_schema() {
    let world = World::new();
    let handle = sorted(&world);
    world.results(&[&handle, "--output", "out.csv", "--join"]);
    let (header, rows) = table(&world, "out.csv", b',');
    let expected = ["id", "text", "category", "score", "tags", "fits", "answer", "outcome", "error", "input_tokens"];
    assert_eq!(header[..10], expected);
    assert!(!rows[0][2].is_empty() && !rows[0][2].starts_with('"'), "text stands there bare: {:?}", rows[0]);
    rows[0][3].parse::<i64>().unwrap();
    assert!(serde_json::from_str::<Vec<String>>(&rows[0][4]).is_ok(), "nested values are JSON: {}", rows[0][4]);
    assert!(["true", "false"].contains(&rows[0][5].as_str()));
    assert_eq!(rows[0][6], "", "the fields hold all of the answer");
    assert_eq!(rows[1][2..6], ["", "", "", ""]);
    assert!(!rows[1][6].is_empty(), "what does not parse is not lost: {:?}", rows[1]);
    assert_eq!(rows[2][6..8], ["", "failed"]);

    world.results(&[&handle, "--output", "out.jsonl"]);
    let lines = world.lines("out.jsonl");
    let response = &lines[0]["response"];
    assert_eq!(response["parsed"], serde_json::from_str::<Value>(response["text"].as_str().unwrap()).unwrap());
    assert_eq!(response["parsed"]["category"], rows[0][2].as_str());
    assert!(lines[1]["response"].get("parsed").is_none());
}

#[test]
fn a_field_called_like_a_column_is_renamed_and_told() {
    let world = World::new();
    world.write("rows.csv", "id,text\nA1,kettle\n");
    let schema = r#"{"type": "object", "required": ["id", "error"],
        "properties": {"id": {"type": "string"}, "error": {"type": "string"}}}"#;
    let handle = finished(&world, "rows.csv", &["--response-schema", schema]);
    let reply = world.results(&[&handle, "--output", "out.csv", "--join"]);
    let (header, rows) = table(&world, "out.csv", b',');
    // Who filters by error or outcome finds them in every table.
    assert_eq!(header[..7], ["id", "text", "id_2", "error_2", "answer", "outcome", "error"]);
    assert_eq!((rows[0][0].as_str(), rows[0][6].as_str()), ("A1", ""));
    assert!(!rows[0][3].is_empty());
    let warnings = reply["warnings"].to_string();
    for name in ["id", "error"] {
        let told = format!("the answer column {name} is called {name}_2: another column has that name");
        assert!(warnings.contains(&told), "{warnings}");
    }
}

#[test]
fn parquet_is_typed_by_the_schema() {
    let world = World::new();
    let handle = sorted(&world);
    let reply = world.results(&[&handle, "--output", "out.parquet", "--join"]);
    assert_eq!(reply["format"], "parquet");
    let rows = parquet_rows(&world, "out.parquet");
    assert_eq!(rows.len(), 3);
    assert!(rows[0]["score"].is_i64() && rows[0]["fits"].is_boolean(), "{}", rows[0]);
    assert!(rows[0]["tags"].as_str().unwrap().starts_with('['));
    assert!(rows[0]["input_tokens"].is_i64());
    assert_eq!(rows[0]["answer"], Value::Null);
    assert_eq!(rows[2]["score"], Value::Null);
    assert_eq!((&rows[2]["id"], &rows[2]["outcome"]), (&json!("C3"), &json!("failed")));
}

#[test]
fn a_csv_comes_back_as_it_was_with_the_answers_behind() {
    let world = World::new();
    let source = "id;name;text\r\n007;\"Müller; \"\"Ann\"\"\";one\r\n008;\"two\nlines\";two\r\n";
    world.write("people.csv", source);
    let handle = finished(&world, "people.csv", &[]);
    let reply = world.results(&[&handle, "--format", "source"]);
    assert!(reply["path"].as_str().unwrap().ends_with("people.answered.csv"), "{reply}");
    assert_eq!(reply["format"], "csv");
    let text = world.read("people.answered.csv");
    assert!(text.starts_with("id;name;text;answer;outcome;error;input_tokens;output_tokens\r\n"), "{text}");
    let (_, rows) = table(&world, "people.answered.csv", b';');
    assert_eq!(rows[0][..3], ["007", "Müller; \"Ann\"", "one"]);
    assert_eq!(rows[1][..3], ["008", "two\nlines", "two"]);
    assert_eq!(rows[1][4], "answered");
}

#[test]
fn answers_of_two_stages_in_the_form_of_their_data_set_are_two_files() {
    let world = World::new();
    let rows = ["one", "two", ""].map(|text| json!({"id": format!("r-{text}"), "text": text}).to_string());
    world.write("people.jsonl", &rows.join("\n"));
    let first = finished(&world, "people.jsonl", &["--skip-bad-rows"]);
    world.results(&[&first, "--format", "source"]);
    // The row that made no request is a row of the file all the same.
    let manifest: Value = serde_json::from_str(&world.read("people.answered.jsonl.manifest.json")).unwrap();
    assert_eq!((world.lines("people.answered.jsonl").len(), &manifest["output"]["rows"]), (3, &json!(3)));
    world.reply(&["build", &format!("job:{first}"), "--template", "{{ answer }}", "--output", "next.jsonl"]);
    let second = world.reply(&["create", "next.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &second, "--wait"]);
    for job in [&second, &first, &second] {
        let path = world.results(&[job, "--format", "source"])["path"].as_str().unwrap().to_owned();
        let name =
            if *job == second { format!("people.answered.{second}.jsonl") } else { "people.answered.jsonl".to_owned() };
        assert!(path.ends_with(&name), "{path}");
    }
}

#[test]
fn rows_in_json_come_back_flat_with_their_types_and_no_more_fields_than_they_had() {
    let world = World::new();
    let rows = [
        json!({"id": "007", "text": "one", "price": 1.5, "tags": ["a", {"b": null}]}),
        json!({"text": "two [[simulate:failed]]", "id": "8", "new": true, "gone": null}),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    world.write("lines.jsonl", &lines);
    world.write("array.json", &Value::from(rows.to_vec()).to_string());
    for (name, answered) in [("lines.jsonl", "lines.answered.jsonl"), ("array.json", "array.answered.json")] {
        let handle = finished(&world, name, &[]);
        world.results(&[&handle, "--format", "source"]);
        let read: Vec<Value> = match name {
            "lines.jsonl" => world.lines(answered),
            _ => serde_json::from_str(&world.read(answered)).unwrap(),
        };
        assert_eq!(read.len(), 2);
        for (read, row) in read.iter().zip(&rows) {
            let own = ["answer", "outcome", "error", "input_tokens", "output_tokens"];
            let rest: Value = read
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect();
            assert_eq!(&rest, row);
            own.iter().for_each(|name| assert!(read.get(name).is_some(), "{name}: {read}"));
        }
        assert!(read[0]["answer"].is_string() && read[0]["error"].is_null(), "{}", read[0]);
        assert!(read[1]["error"].as_str().unwrap().contains("INTERNAL"), "{}", read[1]);
        assert!(read[0]["input_tokens"].is_i64());
        // The columns of a JSON source are typed in Parquet, too.
        let typed = format!("{name}.parquet");
        world.results(&[&handle, "--join", "--output", &typed]);
        let typed = parquet_rows(&world, &typed);
        assert_eq!((&typed[0]["price"], &typed[1]["new"]), (&json!(1.5), &json!(true)));
        assert_eq!(typed[0]["id"], "007");
    }
}

#[test]
fn a_parquet_data_set_is_answered_in_parquet_with_the_types_it_has() {
    let world = World::new();
    let rows = [
        json!({"id": "007", "count": 3, "price": 1.0, "new": true, "tags": ["a", "b"], "text": "one"}),
        json!({"id": "8", "count": null, "price": 2.5, "new": null, "tags": [], "text": "two [[simulate:failed]]"}),
    ];
    world.write("made.jsonl", &rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    let handle = finished(&world, "made.jsonl", &[]);
    world.results(&[&handle, "--join", "--output", "rows.parquet"]);

    let handle = finished(&world, "rows.parquet", &[]);
    let reply = world.results(&[&handle, "--format", "source"]);
    assert!(reply["path"].as_str().unwrap().ends_with("rows.answered.parquet"), "{reply}");
    assert!(reply["warnings"].to_string().contains("the answer column answer is called"), "{reply}");
    let (given, read) = (parquet_rows(&world, "rows.parquet"), parquet_rows(&world, "rows.answered.parquet"));
    assert_eq!(read.len(), 2);
    for (given, read) in given.iter().zip(&read) {
        for (name, value) in given.as_object().unwrap() {
            assert_eq!(&read[name], value, "{name} keeps its value and its type");
        }
    }
    assert_eq!((&read[0]["count"], &read[0]["price"], &read[0]["new"]), (&json!(3), &json!(1.0), &json!(true)));
    assert_eq!((&read[1]["count"], &read[0]["tags"]), (&Value::Null, &json!(r#"["a","b"]"#)));
}

#[test]
fn a_preview_is_a_table_in_which_nothing_acts() {
    let world = World::new();
    let rows: String = (0..130).map(|n| format!("{n},\"a | b\n![x](http://example.com/{n}) <b>\"\n")).collect();
    world.write("rows.csv", &format!("id,text\n{rows}"));
    let handle = finished(&world, "rows.csv", &[]);
    let reply = world.results(&[&handle, "--join", "--output", "look.md"]);
    assert_eq!(reply["format"], "md");
    assert!(reply["warnings"].to_string().contains("100 of 130 rows"), "{reply}");
    assert!(!reply["warnings"].to_string().contains("bytes of a cell"), "{reply}");
    let text = world.read("look.md");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("| id | text | answer |"), "{}", lines[0]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("| ")).count(), 101);
    assert!(lines[2].contains(r"a \| b<br>!\[x\](http"), "{}", lines[2]);
    assert!(!text.replace("\\<", "").contains("<b>") && text.ends_with("100 of 130 rows: a preview.\n"));
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(lines[2..102].iter().all(|line| bars(line) == bars(lines[0])));
}

#[test]
fn a_preview_says_what_it_cut() {
    let world = World::new();
    world.write("rows.csv", &format!("id,text\nA1,[[simulate:echo]]{}\n", "word ".repeat(200)));
    let handle = finished(&world, "rows.csv", &[]);
    let reply = world.results(&[&handle, "--output", "look.md"]);
    assert!(reply["warnings"].to_string().contains("no more than 300 bytes of a cell: a preview"), "{reply}");
    let sample = reply["samples"][0]["text"].as_str().unwrap();
    assert!(sample.contains("whole in csv, parquet or jsonl"), "{sample}");
}

#[test]
fn the_name_of_a_file_says_its_format_or_is_refused() {
    let world = World::new();
    let handle = sorted(&world);
    let refused = |flags: &[&str]| {
        let error = world.refused(&[&["results", &handle], flags].concat());
        assert_eq!(error["kind"], "invalid_argument", "{flags:?}: {error}");
        error["hint"].as_str().unwrap().to_owned()
    };
    for output in ["out/", "out/{{key}}.csv", "{{ key }}.csv"] {
        assert!(refused(&["--output", output]).contains("A file for each answer is not offered"), "{output}");
    }
    for output in ["out.txt", "out.xlsx"] {
        assert!(refused(&["--output", output]).contains("jsonl, json, csv"), "{output}");
    }
    for (format, output) in [("csv", "out.xlsx"), ("csv", "out.parquet"), ("jsonl", "out.csv"), ("source", "out.jsonl")]
    {
        refused(&["--format", format, "--output", output]);
    }
    world.results(&[&handle, "--format", "csv", "--output", "out.txt"]);
    assert!(world.read("out.txt").starts_with("key,"));

    // Answers of a job are rows in JSON.
    world.reply(&["build", &format!("job:{handle}"), "--template", "{{ answer }}", "--output", "next.jsonl"]);
    let next = world.reply(&["create", "next.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &next, "--wait"]);
    let error = world.refused(&["results", &next, "--format", "source", "--output", "next.csv"]);
    assert_eq!(error["cause"], "it would hold jsonl, which is not what .csv says");
    assert!(!world.path("next.csv").exists());
}

#[test]
fn an_answer_that_is_a_single_value_is_plain_counted_and_found() {
    let world = World::new();
    world.write("rows.csv", "id,text\nA1,one\nB2,two\nC3,[[simulate:blocked]]\n");
    let handle = finished(&world, "rows.csv", &["--response-schema", r#"{"type": "string", "enum": ["a"]}"#]);
    world.results(&[&handle, "--output", "out.csv"]);
    let (header, rows) = table(&world, "out.csv", b',');
    assert_eq!((header[1].as_str(), rows[0][1].as_str()), ("answer", "a"));
    let counted = world.results(&[&handle, "--count-by", "answer"]);
    assert_eq!(counted["counts"], json!({"a": 2, "(blocked)": 1}));
    assert_eq!(world.results(&[&handle, "--where", "answer=a"])["selected"], 2);
    let template = "{{ parsed }}|{{ answer }}";
    world.reply(&["build", &format!("job:{handle}"), "--template", template, "--output", "next.jsonl"]);
    assert_eq!(world.lines("next.jsonl")[0]["request"]["contents"][0]["parts"][0]["text"], "a|a");
}

fn vectors(world: &World) -> String {
    world.write("rows.csv", "id,text\nA1,one\nB2,[[simulate:missing]]\nC3,three\n");
    let dimensions = r#"{"outputDimensionality": 5}"#;
    finished(world, "rows.csv", &["--kind", "embed", "--request", dimensions])
}

#[test]
fn vectors_are_a_matrix_and_their_keys_a_file_beside_it() {
    let world = World::new();
    let handle = vectors(&world);
    let reply = world.results(&[&handle, "--join", "--output", "v.npy"]);
    assert!(reply["warnings"].to_string().contains("1 request without a vector"), "{reply}");
    let bytes = std::fs::read(world.path("v.npy")).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + length) % 64, 0);
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert_eq!(header.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 5), }");
    assert!(header.ends_with('\n'));
    let looked = world.results(&[&handle, "--key", "A1"])["samples"][0]["text"].as_str().unwrap().to_owned();
    assert!(
        looked.starts_with('[') && looked.ends_with(", …] (5 numbers)") && looked.matches(", ").count() == 3,
        "{looked}"
    );
    let floats: Vec<f32> =
        bytes[10 + length..].chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(floats.len(), 10);
    let keys = world.lines("v.npy.keys.jsonl");
    assert_eq!(keys[1], json!({"key": "C3", "source": {"id": "C3", "text": "three"}}));

    world.results(&[&handle, "--output", "v.jsonl"]);
    let told: Vec<f32> = serde_json::from_value(world.lines("v.jsonl")[2]["response"]["embedding"].clone()).unwrap();
    assert_eq!(floats[5..], told);
    world.results(&[&handle, "--output", "v.parquet"]);
    let rows = parquet_rows(&world, "v.parquet");
    assert_eq!((&rows[2]["answer"], &rows[1]["answer"]), (&json!(told), &Value::Null));
    world.results(&[&handle, "--output", "v.csv"]);
    assert_eq!(serde_json::from_str::<Vec<f32>>(&table(&world, "v.csv", b',').1[2][1]).unwrap(), told);
}

#[test]
fn answers_that_are_no_vectors_are_no_matrix() {
    let world = World::new();
    let handle = sorted(&world);
    let error = world.refusal(&["results", &handle, "--output", "v.npy"]);
    assert_eq!(error["kind"], "invalid_input", "{error}");
    assert!(error["cause"].as_str().unwrap().contains("no answer is a vector"), "{error}");
    let left: Vec<_> =
        std::fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().contains("npy") || name.to_string_lossy().starts_with(".gemini")),
        "{left:?}"
    );
}

#[test]
fn the_same_results_again_are_the_same_file_in_every_format() {
    let world = World::new();
    let handle = vectors(&world);
    for format in ["jsonl", "json", "csv", "tsv", "parquet", "md", "npy", "raw", "source"] {
        let arguments = [handle.as_str(), "--format", format, "--join"];
        let path = world.results(&arguments)["path"].as_str().unwrap().to_owned();
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        world.results(&arguments);
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before, "{path}");
        std::fs::write(&path, "mine").unwrap();
        let error = world.refusal(&[&["results"], &arguments[..]].concat());
        assert_eq!(error["kind"], "already_exists", "{path}: {error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_half_written() {
    let world = World::new();
    let noise = |n: u64| {
        (1..60).map(|m| format!("{:x} ", (n * 60 + m).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect::<String>()
    };
    let rows: String = (0..300).map(|n| format!("{n},{0},{0},{0}\n", noise(n))).collect();
    world.write("rows.csv", &format!("id,text,b,c\n{rows}"));
    let handle = finished(&world, "rows.csv", &[]);
    world.results(&[&handle, "--output", "first.jsonl"]);
    let full = |handle: &str, format: &str| {
        let output = format!("as-{format}.{format}");
        let arguments = ["results", handle, "--join", "--output", &output, "--format", format];
        let ran = world.with_files_of(100, &arguments);
        assert_eq!(ran.code, 1, "{format}: {ran:?}");
        assert!(ran.stdout.contains("too large") && ran.stdout.contains(&output), "{format}: {ran:?}");
        let left = std::fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.map(|name| name.to_string_lossy().into_owned()).collect();
        let is_left = |name: &String| name.starts_with(&output) || name.starts_with(".gemini-batch");
        assert!(!left.iter().any(is_left), "{format}: {left:?}");
        // With room again, the same call succeeds.
        world.reply(&arguments);
    };
    ["jsonl", "csv", "json", "md", "parquet", "source", "raw"].iter().for_each(|format| full(&handle, format));
    // A disk as full when the requests are built.
    let build = ["build", "rows.csv", "--template", "{{ text }} again", "--output", "again.jsonl"];
    let ran = world.with_files_of(100, &build);
    assert!(ran.code == 1 && ran.stdout.contains("too large"), "{ran:?}");
    assert!(!world.path("again.jsonl").exists());
    let dimensions = ["--kind", "embed", "--request", r#"{"outputDimensionality": 256}"#, "--overwrite"];
    let vectors = finished(&world, "rows.csv", &dimensions);
    world.results(&[&vectors, "--limit", "0"]);
    full(&vectors, "npy");
}

#[test]
fn the_files_beside_an_output_are_not_written_over_either() {
    let world = World::new();
    let handle = vectors(&world);
    world.write("v.npy.keys.jsonl", "mine");
    let error = world.refusal(&["results", &handle, "--output", "v.npy"]);
    assert_eq!(error["kind"], "already_exists", "{error}");
    assert_eq!(world.read("v.npy.keys.jsonl"), "mine");
    assert!(!world.path("v.npy").exists(), "a matrix without its keys is worth nothing");
    world.results(&[&handle, "--output", "v.npy", "--overwrite"]);
    assert_eq!(world.lines("v.npy.keys.jsonl").len(), 2);
}

#[test]
fn rows_given_in_the_call_have_no_format_to_go_back_to() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "one.jsonl"]);
    let handle = world.reply(&["create", "one.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &handle, "--wait"]);
    let error = world.run(&["results", &handle, "--format", "source", "--json"]).json()["error"].clone();
    assert!(error["cause"].as_str().unwrap().contains("no data set to join"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("format source"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_said_before_anything_else() {
    let world = World::new();
    let handle = sorted(&world);
    for output in ["nowhere/out.csv", "/proc/out.csv"] {
        let ran = world.run(&["results", &handle, "--output", output, "--json"]);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(ran.json()["error"]["act"].as_str().unwrap().contains(output), "{ran:?}");
    }
}

/// Three rows that can be asked, a repeated key, a row that cannot be read, and one beyond the limit.
const GAPS: &str = "id,text\nA1,kettle\nA1,kettle again\nB2,lamp\nC3,\"rain\",coat\nD4,tent\nE5,stove\n";

#[test]
fn a_data_set_comes_back_with_the_rows_that_were_never_asked() {
    let world = World::new();
    world.write("rows.csv", GAPS);
    let handle = finished(&world, "rows.csv", &["--skip-bad-rows", "--limit", "3"]);
    let reply = world.results(&[&handle, "--format", "source", "--output", "back.csv"]);
    let (_, rows) = table(&world, "back.csv", b',');
    let seen: Vec<_> = rows.iter().map(|row| (row[1].as_str(), row[3].as_str())).collect();
    let answered = "answered";
    let expected = [("kettle", answered), ("kettle again", ""), ("lamp", answered), ("tent", answered), ("stove", "")];
    assert_eq!(seen, expected);
    for row in rows.iter().filter(|row| row[3].is_empty()) {
        assert!(row[2..].iter().all(String::is_empty), "{row:?}");
    }
    assert_eq!((reply["requests"].as_i64(), &reply["outcomes"]), (Some(3), &json!({"answered": 3})));
    let warnings = reply["warnings"].to_string();
    assert!(warnings.contains("2 rows of the data set made no request"), "{warnings}");
    assert!(warnings.contains("1 row of it that cannot be read"), "{warnings}");
}

#[test]
fn a_join_is_of_requests_and_tells_of_the_rows_it_leaves_out() {
    let world = World::new();
    world.write("rows.csv", GAPS);
    let handle = finished(&world, "rows.csv", &["--skip-bad-rows", "--limit", "3"]);
    let reply = world.results(&[&handle, "--join", "--output", "joined.csv"]);
    assert_eq!(table(&world, "joined.csv", b',').1.len(), 3);
    let warnings = reply["warnings"].to_string();
    assert!(warnings.contains("2 rows of the data set") && warnings.contains("format source keeps them"), "{warnings}");
    let reply = world.results(&[&handle, "--format", "source", "--key", "A1", "--output", "one.csv"]);
    assert_eq!(table(&world, "one.csv", b',').1.len(), 1, "who asks for one answer gets one");
    assert!(!reply["warnings"].to_string().contains("of the data set"), "{reply}");
}
