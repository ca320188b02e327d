//! Every kind of data set through the real binary: what is read, how it is told, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "sources/round_trip.rs"]
mod round_trip;
mod support;
#[path = "sources/tables.rs"]
mod tables;

use std::fs;

use gemini_batch_mcp::paths::Roots;
use gemini_batch_mcp::source::{self, Reading};
use serde_json::{Value, json};
use support::world::World;
use tables::{gzip, parquet_of_rows, utf16, zstd};

const CSV: &str = "id,full name\n1,\"Ann, A.\"\n2,Bö\n";
const JSONL: &str = "{\"id\":\"1\",\"full name\":\"Ann, A.\"}\n{\"id\":\"2\",\"full name\":\"Bö\"}\n";
const NAMES: &str = "{{ row['full name'] }}";

/// Builds with these words; the reply.
fn built(world: &World, words: &[&str]) -> Value {
    world.reply(&[&["build", "--output", "out.jsonl", "--overwrite"], words].concat())
}

/// Builds with these words; the key and the prompt of each request.
fn requests(world: &World, words: &[&str]) -> Vec<(String, String)> {
    built(world, words);
    written(world)
}

/// The key and the prompt of each request that was built last.
fn written(world: &World) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = world.lines("out.jsonl");
    lines.iter().map(|line| (text(&line["key"]), text(&line["request"]["contents"][0]["parts"][0]["text"]))).collect()
}

/// Builds with these words, which has to fail; the cause and the hint.
fn refused(world: &World, words: &[&str]) -> (String, String) {
    let ran = world.run(&[&["build", "--output", "out.jsonl", "--json"], words].concat());
    assert!([1, 2].contains(&ran.code), "{words:?}: {ran:?}");
    let error = ran.json()["error"].clone();
    assert!(!world.path("out.jsonl").exists(), "nothing is written");
    (error["cause"].as_str().unwrap().to_owned(), error["hint"].as_str().unwrap_or_default().to_owned())
}

fn put(world: &World, name: &str, bytes: impl AsRef<[u8]>) {
    let path = world.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn tables_are_read_in_every_format_packing_and_encoding_and_it_is_told() {
    let world = World::new();
    let separated = |by: &str| {
        CSV.replace("id,", &format!("id{by}")).replace("1,", &format!("1{by}")).replace("2,", &format!("2{by}"))
    };
    let json = r#"[{"id":"1","full name":"Ann, A."},{"id":"2","full name":"Bö"}]"#;
    let cases = [
        ("a.csv", CSV.to_owned(), "csv"),
        ("a.tsv", separated("\t"), "tsv"),
        ("semicolons.csv", separated(";"), "csv, semicolons"),
        ("pipes.dat", separated("|"), "csv, pipes"),
        ("a.json", json.to_owned(), "json"),
        ("a.jsonl", JSONL.to_owned(), "jsonl"),
        ("a.ndjson", JSONL.to_owned(), "jsonl"),
        ("no-extension", JSONL.to_owned(), "jsonl"),
    ];
    let expected = [("1", "Ann, A."), ("2", "Bö")].map(|(key, text)| (key.to_owned(), text.to_owned()));
    for (name, text, format) in &cases {
        let packed = format!("{name}.gz");
        let wrapped = [
            (name.to_string(), text.clone().into_bytes(), format.to_string()),
            (packed, gzip(text.as_bytes()), format!("{format}, gzip")),
            (format!("{name}.zst"), zstd(text.as_bytes()), format!("{format}, zstd")),
            (format!("16.{name}"), utf16(text, true), format!("{format}, UTF-16")),
            (format!("be.{name}"), utf16(text, false), format!("{format}, UTF-16")),
            (format!("both.{name}.gz"), gzip(&utf16(text, true)), format!("{format}, UTF-16, gzip")),
        ];
        for (name, bytes, format) in &wrapped {
            put(&world, name, bytes);
            let reply = built(&world, &[name, "-t", NAMES, "--key", "id"]);
            assert_eq!(written(&world), expected, "{name}");
            assert_eq!(reply["source_format"], **format, "{name}");
        }
    }
}

#[test]
fn packed_files_of_several_parts_are_read_to_their_end_and_give_the_output_its_name() {
    let world = World::new();
    let (one, two) = CSV.split_at(CSV.find("2,").unwrap());
    put(&world, "rows.csv.gz", [gzip(one.as_bytes()), gzip(two.as_bytes())].concat());
    put(&world, "more.csv.zst", [zstd(one.as_bytes()), zstd(two.as_bytes())].concat());
    for name in ["rows.csv.gz", "more.csv.zst"] {
        let reply = world.reply(&["build", name, "-t", NAMES]);
        assert_eq!(reply["requests"], 2, "{name}");
        let output = reply["path"].as_str().unwrap();
        assert!(output.ends_with(&format!("{}.requests.jsonl", &name[..4])), "{output}");
    }
}

#[test]
fn the_line_with_which_excel_names_its_delimiter_is_no_row() {
    let world = World::new();
    for (name, text) in [
        ("a.csv", "sep=;\r\nid;name\r\n1;Ann, A.\r\n2;Bo\r\n"),
        ("b.csv", "\u{feff}\"SEP=^\"\nid^name\n1^Ann, A.\n2^Bo\n"),
        ("c.csv", "sep=\t\nid\tname\n1\tAnn, A.\n2\tBo\n"),
    ] {
        world.write(name, text);
        let found = requests(&world, &[name, "-t", "{{ name }}", "--key", "id"]);
        assert_eq!(found, [("1".into(), "Ann, A.".into()), ("2".into(), "Bo".into())], "{name}");
        assert!(world.refused(&["build", name, "-t", "{{ nme }}"])["hint"].as_str().unwrap().contains("id, name"));
    }
    let world = World::new();
    world.write("bad.csv", "sep=;\nid;name\n1;Ann;A.\n");
    let (cause, _) = refused(&world, &["bad.csv", "-t", "{{ name }}"]);
    assert!(cause.contains("(line 3)"), "{cause}");
}

#[test]
fn a_table_without_a_header_or_with_any_delimiter_is_read_when_told() {
    let world = World::new();
    put(&world, "a.csv", "1^x^y\n2^z^w\n");
    let words = ["a.csv", "--delimiter", "^", "--no-header", "-t", "{{ column_2 }}{{ column_3 }}", "--key", "column_1"];
    assert_eq!(requests(&world, &words), [("1".into(), "xy".into()), ("2".into(), "zw".into())]);
    assert_eq!(built(&world, &words)["source_format"], "csv, separated by '^', no header");
    put(&world, "b.txt", "id\tname\n1\tx\n");
    for delimiter in ["tab", "\\t", "\t"] {
        let found = requests(&world, &["b.txt", "--delimiter", delimiter, "-t", "{{ name }}", "--key", "id"]);
        assert_eq!(found, [("1".into(), "x".into())]);
    }
    let (cause, _) = refused(&World::new(), &["x.csv", "--delimiter", "ab", "-t", "x"]);
    assert!(cause.contains("one ASCII character"), "{cause}");
    put(&world, "a.jsonl", JSONL);
    fs::remove_file(world.path("out.jsonl")).unwrap();
    let (cause, _) = refused(&world, &["a.jsonl", "--no-header", "-t", NAMES]);
    assert!(cause.contains("read as jsonl"), "{cause}");
}

#[test]
fn a_headerless_table_finds_its_rows_again_for_a_join() {
    let world = World::new();
    put(&world, "a.csv", "1;one\n2;two\n");
    world.reply(&["build", "a.csv", "--no-header", "-t", "{{ column_2 }}"]);
    let handle = world.reply(&["create", "a.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    world.reply(&["results", &handle, "--join", "--output", "a.answered.csv"]);
    let table = world.read("a.answered.csv");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("column_1,column_2,"), "{table}");
    assert!(lines[1].starts_with("1,one,") && lines[2].starts_with("2,two,"), "{table}");
}

#[test]
fn lines_of_text_are_rows_with_their_numbers() {
    let world = World::new();
    put(&world, "prompts.txt", "first, with a comma\n\n  second\r\n[third] x\n");
    let found = requests(&world, &["prompts.txt", "-t", "{{ line }}: {{ text }}"]);
    let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["1: first, with a comma", "3:   second", "4: [third] x"]);
    assert_eq!(built(&world, &["prompts.txt", "-t", "{{ text }}"])["source_format"], "text");
    put(&world, "notes.md", "# One, two\n\ntext\n");
    assert_eq!(requests(&world, &["notes.md", "--format", "text", "-t", "{{ text }}"]).len(), 2);
    let whole = requests(&world, &["notes.md", "--format", "files", "-t", "{{ text }}"]);
    assert_eq!(whole, [("notes.md".into(), "# One, two\n\ntext\n".into())]);
}

#[test]
fn parquet_is_told_by_its_content_and_its_values_are_said_in_json() {
    let world = World::new();
    put(&world, "rows.parquet", tables::every_type());
    put(&world, "rows.bin", tables::every_type());
    let template = "{{ name | default('none') }} {{ at }} {{ day }} {{ price }} {{ ratio }} {{ raw }} {{ tags | join('+') }} \
        {{ place.city }} {{ flags.hot }}";
    let expected = [
        ("1", "Ann 2023-11-14T22:13:20.001Z 2022-01-08 12.50 0.1 text a+b Rome true"),
        ("2", "none 2023-11-14T22:13:20.001Z 2022-01-08 -0.05 0.1 //79  Rome true"),
        ("3", "Cy 2023-11-14T22:13:20.001Z 2022-01-08 12.50 0.1 text a+b Rome true"),
        ("4", "none 2023-11-14T22:13:20.001Z 2022-01-08 -0.05 0.1 //79  Rome true"),
    ]
    .map(|(key, text)| (key.to_owned(), text.to_owned()));
    for name in ["rows.parquet", "rows.bin"] {
        assert_eq!(requests(&world, &[name, "-t", template, "--key", "id"]), expected);
        assert_eq!(built(&world, &[name, "-t", "{{ id }}"])["source_format"], "parquet");
    }
    fs::remove_file(world.path("out.jsonl")).unwrap();
    let (cause, hint) = refused(&world, &["rows.parquet", "-t", "{{ nome }}"]);
    assert!(format!("{cause} {hint}").contains("ratio"), "the columns are known: {cause} {hint}");
    let (cause, _) = refused(&world, &["rows.parquet", "-t", "{{ name }}"]);
    assert!(cause.contains("is null") && cause.contains("row 2"), "{cause}");
}

#[test]
fn parquet_that_is_cut_off_damaged_packed_or_none_is_refused() {
    let world = World::new();
    let whole = parquet_of_rows(&["id", "name"], &vec![vec!["1".into(), "some name".into()]; 500]);
    let mut damaged = whole.clone();
    damaged[20..60].fill(0xFF);
    let cases = [
        ("cut.parquet", whole[..whole.len() / 2].to_vec(), "cut off"),
        ("damaged.parquet", damaged, "row 1"),
        ("packed.parquet.gz", gzip(&whole), "packed with gzip"),
        ("none.parquet", b"id,name\n1,x\n".to_vec(), "named like Parquet"),
        ("empty.parquet", Vec::new(), "is empty"),
    ];
    for (name, bytes, expected) in cases {
        put(&world, name, bytes);
        let (cause, hint) = refused(&world, &[name, "-t", "{{ name }}"]);
        assert!(cause.contains(expected) && !hint.is_empty(), "{name}: {cause} {hint}");
    }
}

/// A folder of documents and a picture.
fn documents(world: &World) {
    put(world, "docs/b.md", "# B");
    put(world, "docs/a.md", "# A");
    put(world, "docs/deep/c.md", "# C");
    put(world, "docs/old.txt", utf16("old", true));
    put(world, "docs/photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01");
    put(world, "docs/.hidden/x.md", "hidden");
    put(world, "docs/.git", "hidden");
}

#[test]
fn a_folder_or_a_pattern_gives_one_row_a_file_in_the_order_of_their_paths() {
    let world = World::new();
    documents(&world);
    let pairs = |found: &[(&str, &str)]| -> Vec<(String, String)> {
        found.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    };
    let found = requests(&world, &["docs/*.md", "-t", "{{ name }} {{ stem }} {{ text }}"]);
    assert_eq!(found, pairs(&[("a.md", "a.md a # A"), ("b.md", "b.md b # B")]));
    let found = requests(&world, &["docs/**/*.md", "-t", "{{ text }}"]);
    assert_eq!(found, pairs(&[("a.md", "# A"), ("b.md", "# B"), ("deep/c.md", "# C")]));
    let found = requests(&world, &["docs", "-t", "{{ mime }} {{ bytes }} {{ extension }}"]);
    let expected = [
        ("a.md", "text/plain 3 md"),
        ("b.md", "text/plain 3 md"),
        ("deep/c.md", "text/plain 3 md"),
        ("old.txt", "text/plain 8 txt"),
        ("photo.png", "image/png 24 png"),
    ];
    assert_eq!(found, pairs(&expected));
    let reply = built(&world, &["docs", "-t", "{{ file }}"]);
    assert_eq!(reply["source_format"], "files");
    assert!(reply["warnings"].to_string().contains("passed over: 2 hidden"), "{reply}");
    let found = requests(&world, &["docs/*.{txt,png}", "-t", "{{ text | default('no text') }}"]);
    assert_eq!(found, pairs(&[("old.txt", "old"), ("photo.png", "no text")]));
    let path = &requests(&world, &["docs/a*", "-t", "{{ path }}"])[0].1;
    assert_eq!(fs::read_to_string(path).unwrap(), "# A", "the path can be opened");
}

#[test]
fn the_text_of_a_file_that_is_none_is_a_problem_that_names_the_file() {
    let world = World::new();
    documents(&world);
    put(&world, "docs/latin.txt", b"caf\xe9");
    for template in ["{{ text }}", "{{ text | upper }}", "{% if text %}{{ text }}{% endif %}"] {
        let (cause, _) = refused(&world, &["docs", "-t", template]);
        assert!(cause.contains("(photo.png): it has no \"text\": it is image/png"), "{template}: {cause}");
        assert!(cause.contains("(latin.txt)") && cause.contains("byte 0xE9 at offset 3"), "{template}: {cause}");
    }
    let reply = built(&world, &["docs", "-t", "{{ text }}", "--skip-bad-rows"]);
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(4), &json!(2)));
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_and_files_that_cannot_be_read_are_not_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.md"), "secret").unwrap();
    documents(&world);
    symlink(outside.path().join("secret.md"), world.path("docs/link.md")).unwrap();
    symlink(outside.path(), world.path("docs/out")).unwrap();
    symlink(world.path("docs/a.md"), world.path("docs/same.md")).unwrap();
    // A person may read anywhere; whoever is kept to a folder may not leave it by a link or a pattern.
    let run = |source: &str, template: &str| {
        let words = ["build", source, "-t", template, "--output", "out.jsonl", "--json"];
        let output = world.command().env("GEMINI_BATCH_ROOTS", world.folder.path()).args(words).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let reply = run("docs/**/*.md", "{{ text }}");
    assert!(!world.read("out.jsonl").contains("secret"));
    assert_eq!(reply["requests"], 4, "a link that stays inside is a file like any other");
    assert!(reply["warnings"].to_string().contains("1 link to"), "{reply}");
    for pattern in [format!("{}/*.md", outside.path().display()), "../*".to_owned(), "docs/*/../../*".to_owned()] {
        let reply = run(&pattern, "{{ text }}");
        assert!(
            ["path_not_allowed", "invalid_argument"].contains(&reply["error"]["kind"].as_str().unwrap()),
            "{reply}"
        );
    }
    let locked = world.path("docs/b.md");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_err() {
        let error = run("docs", "{{ file }}").to_string();
        assert!(error.contains("(b.md)") && error.contains("ermission denied"), "{error}");
    }
}

#[test]
fn answers_about_files_find_their_files_again() {
    let world = World::new();
    documents(&world);
    world.reply(&["build", "docs/*.md", "-t", "Sum up: {{ text }}"]);
    let handle = world.reply(&["create", "docs.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    let joined = |output: &str| {
        let reply = world.reply(&["results", &handle, "--join", "--output", output]);
        let mut table = csv::Reader::from_path(world.path(output)).unwrap();
        let rows: Vec<_> =
            table.records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect();
        (reply["warnings"].to_string(), rows)
    };
    let (warnings, rows) = joined("one.csv");
    assert!(!warnings.contains("changed"), "{warnings}");
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["a.md", "b.md"]);
    assert!(rows[1].iter().any(|cell| cell.contains("# B") && cell != "# B"), "{rows:?}");
    put(&world, "docs/aa.md", "# new");
    let (warnings, rows) = joined("two.csv");
    assert!(warnings.contains("changed"), "{warnings}");
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["a.md", "b.md"]);
}

#[test]
fn a_folder_or_a_pattern_without_files_says_what_was_looked_for() {
    let world = World::new();
    fs::create_dir(world.path("empty")).unwrap();
    documents(&world);
    let (cause, _) = refused(&world, &["empty", "-t", "{{ text }}"]);
    assert!(cause.contains("folder is empty"), "{cause}");
    let (cause, _) = refused(&world, &["docs/*.pdf", "-t", "{{ text }}"]);
    assert!(cause.contains("named like *.pdf") && cause.contains("docs"), "{cause}");
    let (cause, _) = refused(&world, &["docs/[a.md", "-t", "{{ text }}"]);
    assert!(!cause.is_empty());
    let (cause, _) = refused(&world, &["docs", "--format", "csv", "-t", "{{ text }}"]);
    assert!(cause.contains("each file is one row"), "{cause}");
}

/// Submits these rows with a schema, and collects; the handle.
fn classified(world: &World, rows: &str) -> String {
    put(world, "first.csv", rows);
    let schema = r#"{"type":"object","properties":{"category":{"type":"string"}},"required":["category"]}"#;
    world.reply(&["build", "first.csv", "-t", "{{ text }}", "--key", "id", "--response-schema", schema]);
    let handle = world.reply(&["create", "first.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    let ran = world.run(&["status", &handle, "--wait"]);
    assert!([0, 4].contains(&ran.code), "{ran:?}");
    handle
}

#[test]
fn answers_of_a_job_are_rows_with_their_fields_and_the_columns_they_were_made_of() {
    let world = World::new();
    let rows = "id,text\na,one\nb,[[simulate:failed]]\nc,[[simulate:missing]]\nd,[[simulate:blocked]]\ne,two\n";
    let handle = classified(&world, rows);
    let source = format!("job:{handle}");
    let found = requests(&world, &[&source, "-t", "{{ text }}|{{ parsed.category }}"]);
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a", "e"], "answers keep their keys");
    assert!(found[0].1.starts_with("one|") && found[0].1.len() > 4, "{found:?}");
    let reply = built(&world, &[&source, "-t", "{{ parsed.category }}"]);
    assert_eq!(reply["source_format"], "answers");
    let warnings = reply["warnings"].to_string();
    for part in ["3 requests of the earlier job", "1 failed", "1 missing", "1 blocked", "(b, c, d)"] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}

#[test]
fn an_answer_that_is_not_json_says_so_when_its_fields_are_named() {
    let world = World::new();
    put(&world, "first.csv", "id,text\na,one\n");
    world.reply(&["build", "first.csv", "-t", "{{ text }}", "--key", "id"]);
    let handle = world.reply(&["create", "first.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    let (cause, _) = refused(&world, &[&format!("job:{handle}"), "-t", "{{ parsed.category }}"]);
    assert!(cause.contains("the answer is not JSON"), "{cause}");
}

#[test]
fn a_field_that_no_answer_has_is_told_with_those_there_are() {
    let world = World::new();
    let handle = classified(&world, "id,text\na,one\n");
    let (cause, _) = refused(&world, &[&format!("job:{handle}"), "-t", "{{ parsed.categry }}"]);
    assert!(cause.contains("parsed.categry") && cause.contains("; parsed has category"), "{cause}");
}

#[test]
fn answers_that_are_no_text_are_pointed_out() {
    let world = World::new();
    world.reply(&["build", "--prompt", "Hi", "--kind", "embed", "--output", "vectors.jsonl"]);
    let handle = world.reply(&["create", "vectors.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    let warnings = built(&world, &[&format!("job:{handle}"), "-t", "{{ answer }}"])["warnings"].to_string();
    assert!(
        warnings.contains("1 answer of the earlier job holds no text (a picture, a sound or a vector)"),
        "{warnings}"
    );
}

#[test]
fn packed_data_that_is_cut_off_or_damaged_is_refused_with_its_place() {
    let world = World::new();
    let text: String = (0..20_000).map(|i| format!("{i},name {}\n", i * 7919 % 10_007)).collect();
    let text = format!("id,name\n{text}");
    for (name, packed) in [("a.csv.gz", gzip(text.as_bytes())), ("a.csv.zst", zstd(text.as_bytes()))] {
        let mut damaged = packed.clone();
        let middle = packed.len() / 2;
        damaged[middle..middle + 64].fill(0xA5);
        put(&world, name, &packed[..packed.len() - 20]);
        let (cause, hint) = refused(&world, &[name, "-t", "{{ name }}"]);
        assert!(cause.contains("half-written") && cause.contains("row "), "{name}: {cause}");
        assert!(hint.contains("again"), "{hint}");
        put(&world, name, damaged);
        let (cause, _) = refused(&world, &[name, "-t", "{{ name }}"]);
        assert!(cause.contains("is damaged after") || cause.contains("half-written"), "{name}: {cause}");
    }
}

#[test]
fn packed_text_of_every_format_is_checked_to_its_last_byte() {
    let world = World::new();
    let names: Vec<String> = (0..20_000).map(|i| format!("name {}", i * 7919 % 10_007)).collect();
    let lines: String = names.iter().map(|name| format!("{{\"name\":\"{name}\"}}\n")).collect();
    let array: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    for (name, text) in [
        ("a.csv", format!("name\n{}\n", names.join("\n"))),
        ("a.jsonl", lines),
        ("a.json", json!(array).to_string()),
        ("a.txt", format!("{}\n", names.join("\n"))),
    ] {
        let words = |name| [name, "-t", if name.ends_with("txt.gz") { "{{ text }}" } else { "{{ name }}" }];
        let packed = gzip(text.as_bytes());
        let file = format!("{name}.gz");
        let mut flipped = packed.clone();
        // The sum of all bytes stands before the length, which is the end of the file.
        flipped[packed.len() - 8] ^= 1;
        put(&world, &file, flipped);
        let (cause, _) = refused(&world, &words(&file));
        assert!(cause.contains("gzip data is damaged after"), "{name}: {cause}");
        put(&world, &file, &packed[..packed.len() - 8]);
        let (cause, _) = refused(&world, &words(&file));
        assert!(cause.contains("half-written"), "{name}: {cause}");
    }
}

#[test]
fn arrays_that_were_put_behind_one_another_are_refused_and_not_read_in_part() {
    let world = World::new();
    let array = |from: i64| gzip(json!([{"id": from}, {"id": from + 1}, {"id": from + 2}]).to_string().as_bytes());
    put(&world, "a.json.gz", [array(1), array(4)].concat());
    let (cause, hint) = refused(&world, &["a.json.gz", "-t", "{{ id }}"]);
    assert!(cause.contains("behind the end of the array") && hint.contains("one JSON array"), "{cause} {hint}");
}

#[test]
fn a_small_file_that_unpacks_to_one_endless_row_is_refused() {
    let world = World::new();
    let endless = zstd(&vec![b' '; 1024 * 1024]).repeat(70);
    for name in ["bomb.csv.zst", "bomb.jsonl.zst", "bomb.json.zst"] {
        put(&world, name, [zstd(if name.contains(".json.") { b"[{" } else { b"x\n\"{" }), endless.clone()].concat());
        let (cause, _) = refused(&world, &[name, "-t", "{{ x }}"]);
        assert!(cause.contains("longer than 64 MB") || cause.contains("the row has no end"), "{name}: {cause}");
    }
}

#[test]
fn a_file_that_grows_or_is_cut_while_it_is_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots::new([folder.path().to_path_buf()]).unwrap();
    let rows: String = (0..100_000).map(|i| format!("{i},some text\n")).collect();
    let table = format!("id,text\n{rows}");
    let array = json!(vec![json!({"id": "some text"}); 50_000]).to_string();
    // What follows an array is nothing but space, and yet the file is not what it was.
    let spaced = format!("{array}{}", " ".repeat(1_000_000));
    let files = [(10, "cut.csv", &table), (5_000_000, "grown.csv", &table), (array.len() as u64, "cut.json", &spaced)];
    for (length, name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
        let mut source = source::open(&roots.existing(name).unwrap(), &Reading::default()).unwrap();
        assert!(source.next_row().unwrap().unwrap().is_ok());
        fs::File::options().write(true).open(folder.path().join(name)).unwrap().set_len(length).unwrap();
        let end = loop {
            match source.next_row() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{name}: the change went unnoticed"),
                Err(error) => break error,
            }
        };
        assert!(end.cause().contains("changed while it was read"), "{name}: {end}");
    }
}

#[test]
fn text_in_another_encoding_is_refused_with_the_place_of_the_byte() {
    let world = World::new();
    let latin = |text: &str| -> Vec<u8> { text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect() };
    let cases = [
        ("rows.csv", "id,name\n1,tea\n2,café\n", "row 2 (line 3, byte 0xE9 at offset 19)"),
        ("header.csv", "id,näme\n1,tea\n", "header is not UTF-8 text (byte 0xE4 at offset 4)"),
        ("rows.jsonl", "{\"name\":\"tea\"}\n{\"name\":\"café\"}\n", "row 2 (line 2, byte 0xE9 at offset 27)"),
        ("rows.json", "[{\"name\":\"tea\"},\n{\"name\":\"café\"}]\n", "row 2 (line 2, byte 0xE9 at offset 29)"),
        ("rows.txt", "tea\ncafé\n", "row 2 (line 2, byte 0xE9 at offset 7)"),
    ];
    for (name, text, place) in cases {
        put(&world, name, latin(text));
        let column = if name.ends_with("txt") { "{{ text }}" } else { "{{ name }}" };
        let (cause, hint) = refused(&world, &[name, "-t", column]);
        assert!(cause.contains(place), "{name}: {cause}");
        assert!(format!("{cause} {hint}").contains("iconv"), "{name}: {cause} {hint}");
    }
    put(&world, "cut16.csv", &utf16(CSV, true)[..31]);
    let (cause, _) = refused(&world, &["cut16.csv", "-t", NAMES]);
    assert!(cause.contains("starts as UTF-16 text and is none at offset 30"), "{cause}");
    put(&world, "surrogate.csv", [utf16("id\n", true), vec![0x3D, 0xD8, 0x0A, 0x00]].concat());
    let (cause, _) = refused(&world, &["surrogate.csv", "-t", "{{ id }}"]);
    assert!(cause.contains("none at offset 8"), "{cause}");
    put(&world, "unmarked.csv", &utf16(CSV, true)[2..]);
    let (cause, _) = refused(&world, &["unmarked.csv", "-t", NAMES]);
    assert!(cause.contains("without the byte order mark"), "{cause}");
}

#[test]
fn a_quote_that_is_never_closed_is_refused_and_not_taken_for_text() {
    let world = World::new();
    for (name, text, line) in [
        ("a.csv", "id,name\n1,x\n2,\"y\n3,z\n", "line 3"),
        ("b.csv", "id,name\n1,x\n\n2,\"y \"\"z\"\"", "line 4"),
        ("c.csv", "id,\"name\n1,x\n", "line 1"),
    ] {
        put(&world, name, text);
        let (cause, hint) = refused(&world, &[name, "-t", "{{ id }}", "--skip-bad-rows"]);
        assert!(cause.contains(line) && cause.contains("never closed"), "{name}: {cause}");
        assert!(hint.contains("close the quote"));
    }
    put(&world, "fine.csv", "id,name\n1,5\" pipe\n2,\"a \"\"b\"\"\"");
    assert_eq!(requests(&world, &["fine.csv", "-t", "{{ name }}"])[1].1, "a \"b\"");
}

#[test]
fn numbers_longer_than_numbers_can_be_keep_their_digits_in_prompts_keys_and_answers() {
    let world = World::new();
    let rows = [
        r#"{"id":123456789012345678901,"wei":1234567890123456789012345,"price":12.5,"more":{"tags":[1,20000000000000000001]}}"#,
        r#"{"id":123456789012345678902,"wei":18446744073709551615,"price":1234567890123456.78,"more":{"tags":[]}}"#,
    ];
    let template = "{{ wei }} {{ price }} {{ more.tags | join('+') }}";
    let expected = [
        ("123456789012345678901", "1234567890123456789012345 12.5 1+20000000000000000001"),
        ("123456789012345678902", "18446744073709551615 1234567890123456.78 "),
    ]
    .map(|(key, text)| (key.to_owned(), text.to_owned()));
    put(&world, "a.jsonl", rows.join("\n"));
    put(&world, "a.json", format!("[{}]", rows.join(",\n")));
    for name in ["a.jsonl", "a.json"] {
        assert_eq!(requests(&world, &[name, "-t", template, "--key", "id"]), expected, "{name}");
        let told = "2 rows hold numbers with more digits than a number keeps, first 123456789012345678901 in line 1: they \
            are read as text";
        let reply = built(&world, &[name, "-t", template, "--key", "id"]);
        assert!(reply["warnings"].to_string().contains(told), "{reply}");
    }
    let handle = world.reply(&["create", "out.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    world.reply(&["results", &handle, "--join", "--output", "joined.jsonl"]);
    let source = &world.lines("joined.jsonl")[0]["source"];
    assert_eq!((&source["wei"], &source["price"]), (&json!("1234567890123456789012345"), &json!(12.5)));
    // What numbers can hold stays a number, and nothing is said.
    put(&world, "plain.jsonl", "{\"id\":9223372036854775807,\"x\":0.1}\n");
    let reply = built(&world, &["plain.jsonl", "-t", "{{ id }} {{ x }}"]);
    assert_eq!(written(&world)[0].1, "9223372036854775807 0.1");
    assert_eq!(reply["warnings"], Value::Null);
}

#[test]
fn a_column_that_a_template_only_cuts_is_a_column() {
    let world = World::new();
    put(&world, "p.csv", "id,name\n1,Kettle\n2,Mug\n");
    let prompts = |template: &str| requests(&world, &["p.csv", "--key", "{{ name[:3] }}", "--template", template]);
    for (template, kettle) in [
        ("Row {{id}}: {{ (name|default(\"unknown\", true))[:40] }}", "Row 1: Kettle"),
        ("{{id}}: {{ [name, id][:2] | join(', ') }}", "1: Kettle, 1"),
        ("{% set s = name[:2] %}{{ s }}", "Ke"),
    ] {
        assert_eq!(prompts(template)[0], ("Ket".to_owned(), kettle.to_owned()));
    }
    fs::remove_file(world.path("out.jsonl")).unwrap();
    let (cause, hint) = refused(&world, &["p.csv", "--template", "{{ nmae[:3] }}"]);
    assert_eq!((cause.as_str(), hint.as_str()), ("there is no column nmae", "the columns are: id, name"));
}

#[test]
fn ragged_rows_and_broken_json_are_told_with_their_lines() {
    let world = World::new();
    put(&world, "a.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n");
    let (cause, hint) = refused(&world, &["a.csv", "-t", "{{ a }}"]);
    assert!(cause.contains("row 2 (line 3): it has 1 field where the header has 2"), "{cause}");
    assert!(cause.contains("row 3 (line 4): it has 3 fields") && hint.contains("skip"), "{cause} {hint}");
    put(&world, "cut.json", "[{\"a\":1},\n{\"a\":2},\n{\"a\":");
    let (cause, _) = refused(&world, &["cut.json", "-t", "{{ a }}"]);
    assert!(cause.contains("line 3") && cause.contains("not closed"), "{cause}");
    put(&world, "bad.jsonl", "{\"a\":1}\n{\"a\":\n[2]\n");
    let (cause, _) = refused(&world, &["bad.jsonl", "-t", "{{ a }}"]);
    assert!(cause.contains("row 2 (line 2): not valid JSON") && cause.contains("this is an array"), "{cause}");
    put(&world, "twice.csv", "a,a\n1,2\n");
    assert!(refused(&world, &["twice.csv", "-t", "{{ a }}"]).0.contains("twice"));
}

#[test]
fn what_is_no_data_set_is_named_with_what_would_be_one() {
    let world = World::new();
    put(&world, "photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let (cause, hint) = refused(&world, &["photo.png", "-t", "x"]);
    assert!(cause.contains("image/png") && hint.contains("csv, tsv, json, jsonl, parquet, text"), "{cause} {hint}");
    put(&world, "README.md", "# Hello, world\n\nSome words.\n");
    let (cause, hint) = refused(&world, &["README.md", "-t", "x"]);
    assert!(cause.contains("not clear") && hint.contains("files"), "{cause} {hint}");
    put(&world, "products.csv", CSV);
    let (_, hint) = refused(&world, &["product.csv", "-t", "x"]);
    assert_eq!(hint, "did you mean products.csv?");
}
