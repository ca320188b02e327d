use super::*;
use crate::error::ErrorKind;
use crate::paths::Roots;
use proptest::prelude::*;
use serde_json::json;

/// A file of that name in a folder of its own.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, AllowedPath) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let roots = Roots::new([folder.path().to_path_buf()]).unwrap();
    let path = roots.existing(name).unwrap();
    (folder, path)
}

/// Every row as (number, line, object), and every problem as it is told.
type Read = Vec<Result<(u64, Option<u64>, Value), RowProblem>>;

fn all(source: &mut Source) -> Result<Read> {
    let mut rows = Vec::new();
    while let Some(row) = source.next_row()? {
        rows.push(row.map(|row| (row.number(), row.line(), Value::Object(row.to_map()))));
    }
    Ok(rows)
}

fn read(name: &str, bytes: &[u8]) -> Result<Read> {
    let (_folder, path) = file(name, bytes);
    all(&mut open(&path, &Reading::default())?)
}

/// The objects of a file without bad rows.
fn objects(name: &str, bytes: &[u8]) -> Vec<Value> {
    read(name, bytes).unwrap().into_iter().map(|row| row.unwrap().2).collect()
}

#[test]
fn csv_keeps_quotes_line_breaks_and_unicode_in_its_cells() {
    let text = "name,note\r\n\"Anna \"\"A\"\" B\",\"two\r\nlines, one comma\"\r\nÖ🎉,\r\n";
    let expected =
        vec![json!({"name": "Anna \"A\" B", "note": "two\r\nlines, one comma"}), json!({"name": "Ö🎉", "note": ""})];
    assert_eq!(objects("a.csv", text.as_bytes()), expected);
}

#[test]
fn csv_without_a_last_line_break_has_its_last_row() {
    assert_eq!(objects("a.csv", b"a\n1\n2"), vec![json!({"a": "1"}), json!({"a": "2"})]);
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_column() {
    for (name, text) in [
        ("a.csv", "\u{feff}id,b\n1,2\n"),
        ("a.tsv", "\u{feff}id\tb\n1\t2\n"),
        ("a.jsonl", "\u{feff}{\"id\":\"1\",\"b\":\"2\"}\n"),
        ("a.json", "\u{feff}[{\"id\":\"1\",\"b\":\"2\"}]"),
        ("unnamed", "\u{feff}id,b\n1,2\n"),
    ] {
        assert_eq!(objects(name, text.as_bytes()), vec![json!({"id": "1", "b": "2"})], "{name}");
    }
}

#[test]
fn header_names_are_trimmed_and_may_hold_spaces() {
    let (_folder, path) = file("a.csv", b" Product Name , price (USD),\nx,1,2\n");
    let source = open(&path, &Reading::default()).unwrap();
    assert_eq!(source.columns().unwrap(), ["Product Name", "price (USD)", "column_3"]);
}

#[test]
fn a_column_named_twice_is_refused() {
    let error = read("a.csv", b"a,b,a\n1,2,3\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.cause().contains("the column \"a\" twice"), "{error}");
}

#[test]
fn a_ragged_csv_row_is_a_problem_with_its_line_and_reading_goes_on() {
    for (newline, text) in
        [("lf", "a,b\n\"1\n1\",2\n\n3\n4,5\n6,7,8\n"), ("crlf", "a,b\r\n\"1\r\n1\",2\r\n\r\n3\r\n4,5\r\n6,7,8\r\n")]
    {
        let rows = read("a.csv", text.as_bytes()).unwrap();
        let told: Vec<String> = rows
            .iter()
            .map(|row| match row {
                Ok((number, line, _)) => format!("{number}@{}", line.unwrap()),
                Err(problem) => problem.to_string(),
            })
            .collect();
        let expected = [
            "1@2",
            "row 2 (line 5): it has 1 field where the header has 2",
            "3@6",
            "row 4 (line 7): it has 3 fields where the header has 2",
        ];
        assert_eq!(told, expected, "{newline}");
    }
}

#[test]
fn csv_bytes_that_are_not_utf8_are_a_problem_of_their_row() {
    let rows = read("a.csv", b"a,b\n1,caf\xe9\n2,tea\n").unwrap();
    let problem = rows[0].as_ref().unwrap_err();
    assert_eq!((problem.row, problem.line, problem.column.as_deref()), (1, Some(2), Some("b")));
    assert!(problem.to_string().starts_with("row 1 (line 2, byte 0xE9 at offset 9): it is not UTF-8"), "{problem}");
    assert_eq!(rows[1].as_ref().unwrap().2, json!({"a": "2", "b": "tea"}));
}

#[test]
fn semicolons_and_tabs_are_recognised_in_the_header_outside_quotes() {
    assert_eq!(objects("a.csv", b"a;\"b,c\"\n1,5;2\n"), vec![json!({"a": "1,5", "b,c": "2"})]);
    assert_eq!(objects("a.csv", b"a\tb\n1,5\t2\n"), vec![json!({"a": "1,5", "b": "2"})]);
    assert_eq!(objects("a.csv", b"a;x,b\n1,2\n"), vec![json!({"a;x": "1", "b": "2"})]);
}

#[test]
fn a_file_with_only_a_header_has_no_rows_and_an_empty_file_is_refused() {
    assert!(objects("a.csv", b"a,b\n").is_empty());
    assert!(objects("a.json", b" [ ] \n").is_empty());
    for name in ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt"] {
        for bytes in [b"".as_slice(), b"\xEF\xBB\xBF", b"\n"] {
            let error = read(name, bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
            assert!(error.cause().contains("is empty"), "{name}: {error}");
        }
    }
}

#[test]
fn a_huge_cell_is_whole_and_an_endless_one_is_refused() {
    let cell = "x\n".repeat(2_000_000);
    assert_eq!(objects("a.csv", format!("a\n\"{cell}\"\n").as_bytes()), vec![json!({"a": cell})]);
    assert_eq!(objects("a.json", json!([{"a": cell}]).to_string().as_bytes()), vec![json!({"a": cell})]);

    let (_folder, path) = file("a.csv", b"a\n1\n\"2\n");
    let endless = std::fs::OpenOptions::new().append(true).open(path.as_path()).unwrap();
    endless.set_len(rows::LONGEST_ROW as u64 + 1_000_000).unwrap();
    let error = all(&mut open(&path, &Reading::default()).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.cause().contains("row 2: it is longer than 64 MB"), "{error}");
}

#[test]
fn json_lines_that_are_no_objects_are_problems_and_blank_lines_are_passed_over() {
    let rows = read("a.ndjson", b"{\"a\":1}\r\n\n[1]\n{\"a\":\n{\"a\":{\"b\":[null]}}").unwrap();
    assert_eq!(rows[0], Ok((1, Some(1), json!({"a": 1}))));
    let causes: Vec<_> = rows[1..3].iter().map(|row| row.as_ref().unwrap_err().to_string()).collect();
    assert_eq!(causes[0], "row 2 (line 3): a row has to be a JSON object, this is an array");
    assert!(causes[1].starts_with("row 3 (line 4): not valid JSON: EOF"), "{}", causes[1]);
    assert_eq!(rows[3], Ok((4, Some(5), json!({"a": {"b": [null]}}))));
}

#[test]
fn an_array_is_read_element_by_element_and_a_bad_element_is_a_problem() {
    let text = "\n[\n {\"a\": \"]},{[ \\\" \\\\\"},\n 7,\n {\"a\" 1}, {},\n{\"a\":[{\"b\":\"é\"}]}\n]\n";
    let rows = read("a.json", text.as_bytes()).unwrap();
    assert_eq!(rows[0], Ok((1, Some(3), json!({"a": "]},{[ \" \\"}))));
    assert_eq!(
        rows[1].as_ref().unwrap_err().to_string(),
        "row 2 (line 4): a row has to be a JSON object, this is a number"
    );
    let bad = rows[2].as_ref().unwrap_err();
    assert_eq!((bad.row, bad.line), (3, Some(5)));
    assert_eq!(rows[3], Ok((4, Some(5), json!({}))));
    assert_eq!(rows[4], Ok((5, Some(6), json!({"a": [{"b": "é"}]}))));
    assert_eq!(rows.len(), 5);
}

#[test]
fn a_broken_array_ends_the_reading_and_says_where() {
    for (text, cause) in [
        ("[{\"a\":1},\n{\"a\":[1}]", "line 2: a bracket closes what was not opened"),
        ("[{\"a\":1},\n{\"a\":1}\n", "line 2: the array is not closed"),
        ("[{\"a\":1}] []", "line 1: something stands behind the end of the array"),
    ] {
        let error = read("a.json", text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.cause().starts_with(cause), "{error}");
    }
}

#[test]
fn what_follows_an_array_is_found_wherever_the_blocks_of_the_reading_end() {
    for length in [10, 128 * 1024, 256 * 1024, 256 * 1024 + 1, 1024 * 1024] {
        let array = format!("[{{\"a\":\"{}\"}}]", "x".repeat(length - "[{\"a\":\"\"}]".len()));
        assert_eq!(objects("a.json", format!("{array}{}\n", " ".repeat(300_000)).as_bytes()).len(), 1, "{length}");
        for more in ["[{\"a\":1}]", "\n\n[]", "]"] {
            let error = read("a.json", format!("{array}{more}").as_bytes()).unwrap_err();
            assert!(error.cause().contains("stands behind the end of the array"), "{length}, {more:?}: {error}");
        }
    }
    let error = read("a.json", format!("[]{}[]", " ".repeat(1_000_000)).as_bytes()).unwrap_err();
    assert!(error.cause().contains("stands behind the end"), "{error}");
}

#[test]
fn the_bytes_decide_between_the_two_json_formats() {
    let rows = vec![json!({"a": 1}), json!({"a": 2})];
    assert_eq!(objects("lines.json", b"{\"a\":1}\n{\"a\":2}\n"), rows);
    assert_eq!(objects("array.jsonl", b"[{\"a\":1},\n{\"a\":2}]\n"), rows);
    assert_eq!(objects("array", b"[{\"a\":1},\n{\"a\":2}]\n"), rows);
    assert_eq!(objects("tabs.txt", b"a\tb\n1\t2\n"), vec![json!({"a": "1", "b": "2"})]);
}

#[test]
fn an_object_that_is_no_dataset_is_refused_with_what_to_give() {
    let error = read("a.json", b"{\n \"rows\": []\n}\n").unwrap_err();
    assert!(error.cause().contains("one object, not an array"), "{error}");
    assert!(read("notes.md", b"just some words, two\nlines\n").unwrap_err().next_step().unwrap().contains("csv, tsv"));
}

#[test]
fn a_given_format_is_believed() {
    let (_folder, path) = file("data.txt", b"a\n1\n");
    let mut source = open(&path, &Reading { format: Some(Format::Csv), ..Reading::default() }).unwrap();
    assert_eq!(source.format(), Some(Format::Csv));
    assert_eq!(all(&mut source).unwrap(), vec![Ok((1, Some(2), json!({"a": "1"})))]);
}

#[test]
fn rows_and_prompts_of_the_call_are_rows() {
    let rows = vec![json!({"b": 1, "a": "x"}).as_object().unwrap().clone()];
    assert_eq!(all(&mut Source::inline(rows)).unwrap(), vec![Ok((1, None, json!({"b": 1, "a": "x"})))]);
    let prompts = ["Hi".to_owned(), "Ho".to_owned()];
    let expected = vec![Ok((1, None, json!({"prompt": "Hi"}))), Ok((2, None, json!({"prompt": "Ho"})))];
    assert_eq!(all(&mut Source::prompts(prompts)).unwrap(), expected);
}

#[test]
fn a_number_of_the_call_that_was_rounded_on_its_way_is_pointed_out() {
    let rows = |text: &str| serde_json::from_str::<Vec<Map<String, Value>>>(text).unwrap();
    let notes = |text: &str| {
        let mut source = Source::inline(rows(text));
        all(&mut source).unwrap();
        source.notes()
    };
    assert!(notes(r#"[{"a": 18446744073709551615, "b": -0.1, "c": ["123456789012345678901"]}]"#).is_empty());
    let told = notes(r#"[{"a": 1}, {"a": {"b": [1, 123456789012345678901]}}]"#);
    assert!(told[0].starts_with("row 2 holds the number 1.2345678901234568e"), "{told:?}");
}

#[test]
fn rows_without_an_answer_are_skipped_counted_and_keep_their_numbers() {
    let text = concat!(
        "{\"key\":\"a\",\"response\":{\"text\":\"A\"},\"outcome\":\"answered\"}\n",
        "{\"key\":\"b\",\"outcome\":\"missing\"}\n",
        "{\"key\":\"c\",\"response\":{\"text\":\"cut\"},\"outcome\":\"truncated\"}\n",
        "{\"key\":\"d\",\"response\":null,\"outcome\":\"failed\"}\n",
        "no json\n",
        "{\"key\":\"e\",\"response\":{\"text\":\"E\"}}\n",
    );
    let (_folder, path) = file("answers.jsonl", text.as_bytes());
    let mut source = Source::answers(&path, Vec::new()).unwrap();
    let rows = all(&mut source).unwrap();
    assert_eq!(rows[0].as_ref().unwrap().2["key"], "a");
    assert_eq!(rows[1].as_ref().unwrap_err().row, 5);
    assert_eq!(rows[2].as_ref().unwrap().0, 6);
    assert_eq!(rows.len(), 3);
    let told =
        "3 requests of the earlier job have no answer and are left out: 1 missing, 1 truncated, 1 failed (b, c, d)";
    assert_eq!(source.notes(), [told]);
}

#[test]
fn long_numbers_in_an_answer_keep_their_digits() {
    let answer = json!({"text": "{\"id\": 123456789012345678901, \"price\": 12.5}"});
    let line = json!({"key": "a", "response": answer, "outcome": "answered"}).to_string();
    let (_folder, path) = file("answers.jsonl", line.as_bytes());
    let rows = all(&mut Source::answers(&path, Vec::new()).unwrap()).unwrap();
    assert_eq!(rows[0].as_ref().unwrap().2["parsed"], json!({"id": "123456789012345678901", "price": 12.5}));
}

#[test]
fn columns_come_in_the_order_of_the_file() {
    let (_folder, path) = file("a.jsonl", b"{\"z\":1,\"a\":2,\"m\":3}\n");
    let mut source = open(&path, &Reading::default()).unwrap();
    let row = source.next_row().unwrap().unwrap().unwrap();
    assert_eq!(row.columns().map(|(name, _)| name).collect::<Vec<_>>(), ["z", "a", "m"]);
    assert_eq!(row.get("a"), Some(Cell::Json(&json!(2))));
    assert_eq!(row.get("q"), None);
}

/// Text with everything that the formats treat as special.
fn awkward() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(vec![
                "\"", ",", ";", "\t", "\n", "\r\n", "\\", "[", "]", "{", "}", "🎉", "é", " "
            ])
            .prop_map(str::to_owned),
            "[a-z0-9]{1,6}",
        ],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_as_csv_is_read_back(cells in proptest::collection::vec((awkward(), awkward()), 0..20)) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b"]).unwrap();
        for (a, b) in &cells {
            writer.write_record([a, b]).unwrap();
        }
        let expected: Vec<_> = cells.iter().map(|(a, b)| json!({"a": a, "b": b})).collect();
        prop_assert_eq!(objects("a.csv", &writer.into_inner().unwrap()), expected);
    }

    #[test]
    fn what_is_written_as_json_is_read_back(cells in proptest::collection::vec((awkward(), awkward()), 0..20), pretty: bool) {
        let rows: Vec<_> = cells.iter().map(|(a, b)| json!({"a": a, "b": [b, {"c": a}]})).collect();
        let text = if pretty { serde_json::to_string_pretty(&rows) } else { serde_json::to_string(&rows) }.unwrap();
        prop_assert_eq!(objects("a.json", text.as_bytes()), rows);
    }
}
