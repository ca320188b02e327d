use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::answers::{Answer, Column};
use crate::job::Outcome;
use crate::paths::Roots;
use crate::source::Cell;

const ANSWERED: &[u8] = br#"{"key":"a","response":{"candidates":[{"content":{"parts":[{"text":"=1+1"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":11}}}"#;
const TRUNCATED: &[u8] =
    br#"{"response":{"candidates":[{"content":{"parts":[{"text":"half"}]},"finishReason":"MAX_TOKENS"}]},"key":"b"}"#;
const REFUSED: &[u8] = br#"{"key":"c","error":{"code":8,"message":"quota, \"all\" of it"}}"#;
const EMBEDDED: &[u8] = br#"{"key":"d","response":{"embedding":{"values":[0.5,-1]}}}"#;

struct Folder {
    roots: Roots,
    _folder: tempfile::TempDir,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    Folder { roots: Roots::new([folder.path().to_owned()]).unwrap(), _folder: folder }
}

fn shape(columns: &[&str]) -> Shape {
    Shape { columns: columns.iter().copied().map(Column::text).collect(), ..Shape::default() }
}

/// Writes these lines, and a key for which none came; returns the file.
fn write(format: Format, lines: &[&[u8]], columns: &[&str], source: &[Option<Cell<'_>>]) -> String {
    let folder = folder();
    let output = folder.roots.writable("out").unwrap();
    let mut writer = AnswerWriter::create(output.clone(), format, &shape(columns), false).unwrap();
    for (key, line) in ["a", "b", "c", "d"].iter().zip(lines) {
        writer
            .write(&Record {
                key,
                asked: true,
                answer: &Answer::read(line, false),
                raw: Some(line),
                source,
                media: &[],
            })
            .unwrap();
    }
    writer.write(&Record { key: "z", asked: true, answer: &Answer::missing(), raw: None, source, media: &[] }).unwrap();
    let written = writer.finish().unwrap();
    let text = std::fs::read_to_string(output.as_path()).unwrap();
    assert_eq!(written.bytes, text.len() as u64);
    text
}

fn all(format: Format) -> String {
    write(format, &[ANSWERED, TRUNCATED, REFUSED, EMBEDDED], &[], &[])
}

#[test]
fn jsonl_has_response_error_and_outcome() {
    let expected = [
        r#"{"key":"a","response":{"text":"=1+1","finish_reason":"STOP","usage":{"input_tokens":8,"output_tokens":11}},"outcome":"answered"}"#,
        r#"{"key":"b","response":{"text":"half","finish_reason":"MAX_TOKENS"},"error":{"reason":"MAX_TOKENS"},"outcome":"truncated"}"#,
        r#"{"key":"c","error":{"code":8,"status":"RESOURCE_EXHAUSTED","message":"quota, \"all\" of it"},"outcome":"failed"}"#,
        r#"{"key":"d","response":{"embedding":[0.5,-1]},"outcome":"answered"}"#,
        r#"{"key":"z","error":{"reason":"no result line"},"outcome":"missing"}"#,
    ];
    assert_eq!(all(Format::Jsonl).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn json_is_an_array_of_the_objects_of_jsonl() {
    let lines: Vec<Value> = all(Format::Jsonl).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let array: Value = serde_json::from_str(&all(Format::Json)).unwrap();
    assert_eq!(array, json!(lines));
}

#[test]
fn an_empty_json_array_is_json() {
    let folder = folder();
    let output = folder.roots.writable("out.json").unwrap();
    AnswerWriter::create(output.clone(), Format::of_file(&output).unwrap(), &Shape::default(), false)
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(std::fs::read_to_string(output.as_path()).unwrap(), "[]\n");
}

#[test]
fn raw_is_what_came_and_a_line_for_what_did_not() {
    let text = all(Format::Raw);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0].as_bytes(), ANSWERED);
    assert_eq!(lines[4], r#"{"key":"z","error":{"message":"no result line"}}"#);
}

#[test]
fn csv_has_the_key_and_the_answer_unaltered() {
    let expected = [
        "key,answer,outcome,error,input_tokens,output_tokens",
        "a,=1+1,answered,,8,11",
        "b,half,truncated,MAX_TOKENS,,",
        "c,,failed,\"RESOURCE_EXHAUSTED: quota, \"\"all\"\" of it\",,",
        "d,\"[0.5,-1]\",answered,,,",
        "z,,missing,no result line,,",
    ];
    assert_eq!(all(Format::Csv).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_join_puts_the_source_in_front() {
    let columns = ["name", "answer", "answer_2"];
    let number = json!(5);
    let source = [Some(Cell::Text("Ann")), Some(Cell::Json(&number)), Some(Cell::Json(&Value::Null))];
    let tsv = write(Format::Tsv, &[ANSWERED], &columns, &source);
    assert_eq!(
        tsv.lines().next().unwrap(),
        "name\tanswer\tanswer_2\tanswer_3\toutcome\terror\tinput_tokens\toutput_tokens"
    );
    assert_eq!(tsv.lines().nth(1).unwrap(), "Ann\t5\t\t=1+1\tanswered\t\t8\t11");
    let jsonl = write(Format::Jsonl, &[], &columns, &source);
    let line: Value = serde_json::from_str(jsonl.trim_end()).unwrap();
    assert_eq!(line["source"], json!({"name": "Ann", "answer": 5, "answer_2": null}));
}

#[test]
fn a_column_that_had_to_be_renamed_is_reported() {
    let folder = folder();
    let output = folder.roots.writable("out.csv").unwrap();
    let writer = AnswerWriter::create(output, Format::Csv, &shape(&["error"]), false).unwrap();
    assert_eq!(writer.renamed(), [("error".to_owned(), "error_2".to_owned())]);
}

#[test]
fn the_format_follows_the_name_or_the_extension() {
    let folder = folder();
    for (name, format) in
        [("a.csv", Format::Csv), ("a.TSV", Format::Tsv), ("a.json", Format::Json), ("a", Format::Jsonl)]
    {
        assert_eq!(Format::of_file(&folder.roots.writable(name).unwrap()).unwrap(), format);
    }
    for name in ["a.xlsx", "a.txt", "a.source"] {
        let error = Format::of_file(&folder.roots.writable(name).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
    }
}

#[test]
fn a_name_that_says_another_format_is_refused() {
    let folder = folder();
    for (name, written, fits) in [
        ("a.csv", "csv", true),
        ("a.CSV", "jsonl", false),
        ("a.ndjson", "jsonl", true),
        ("a.jsonl", "raw", true),
        ("a.json", "jsonl", false),
        ("a.xlsx", "csv", false),
        ("a.csv.gz", "csv", false),
        ("a.dat", "csv", true),
        ("a.txt", "tsv", true),
        ("a", "parquet", true),
    ] {
        assert_eq!(refuse_misnamed(&folder.roots.writable(name).unwrap(), written).is_ok(), fits, "{name}: {written}");
    }
}

#[test]
fn a_different_file_is_kept_and_the_same_is_left_alone() {
    let folder = folder();
    let write = |text: &str, overwrite: bool| {
        let output = folder.roots.writable("out.csv").unwrap();
        let mut writer = AnswerWriter::create(output, Format::Csv, &Shape::default(), overwrite).unwrap();
        let answer = Answer { text: Some(Cow::Borrowed(text)), ..Answer::bare(Outcome::Answered) };
        writer.write(&Record { key: "k", asked: true, answer: &answer, raw: None, source: &[], media: &[] }).unwrap();
        writer.finish()
    };
    assert!(!write("one", false).unwrap().unchanged);
    assert!(write("one", false).unwrap().unchanged);
    assert_eq!(write("two", false).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let path = folder.roots.base().join("out.csv");
    assert!(std::fs::read_to_string(&path).unwrap().contains("one"));
    assert!(!write("two", true).unwrap().unchanged);
    assert!(std::fs::read_to_string(&path).unwrap().contains("two"));
    assert_eq!(std::fs::read_dir(folder.roots.base()).unwrap().count(), 1);
}

#[test]
fn an_abandoned_writer_leaves_nothing() {
    let folder = folder();
    drop(
        AnswerWriter::create(folder.roots.writable("out.csv").unwrap(), Format::Csv, &Shape::default(), false).unwrap(),
    );
    assert_eq!(std::fs::read_dir(folder.roots.base()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn csv_reads_back_as_it_was_written(
        rows in proptest::collection::vec(("[a-z\",\n\r ]{0,8}", "[^\0]{0,12}", "(?s).{0,12}"), 1..6),
        tab in any::<bool>(),
    ) {
        let folder = folder();
        let output = folder.roots.writable("out").unwrap();
        let (format, delimiter) = if tab { (Format::Tsv, b'\t') } else { (Format::Csv, b',') };
        let mut writer = AnswerWriter::create(output.clone(), format, &shape(&["id", "note"]), false).unwrap();
        for (id, note, text) in &rows {
            let answer = Answer { text: Some(Cow::Borrowed(text)), ..Answer::bare(Outcome::Answered) };
            writer.write(&Record { key: "k", asked: true, answer: &answer, raw: None, source: &[Some(Cell::Text(id)), Some(Cell::Text(note))], media: &[] }).unwrap();
        }
        writer.finish().unwrap();
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(output.as_path()).unwrap();
        let read: Vec<(String, String, String)> = reader
            .records()
            .map(|record| record.unwrap())
            .map(|record| (record[0].to_owned(), record[1].to_owned(), record[2].to_owned()))
            .collect();
        prop_assert_eq!(read, rows);
    }
}
