//! Rows and answers, written in every format and read back: nothing is lost and nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use gemini_batch_mcp::answers::{Answer, AnswerWriter, Column, Fields, Format, Record, Shape};
use gemini_batch_mcp::paths::{AllowedPath, Roots};
use gemini_batch_mcp::source::{self, Cell, Reading, Style};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::parquet;
use tempfile::TempDir;

/// A row of three columns, and the text that answers it; none if the request failed.
type Row = ([String; 3], Option<String>);

const COLUMNS: [&str; 3] = ["id", "a note", "naïve"];

/// What answers are written as: the format, and that of the data set.
const WRITTEN: [(Format, &str); 10] = [
    (Format::Csv, "csv"),
    (Format::Tsv, "csv"),
    (Format::Json, "csv"),
    (Format::Jsonl, "csv"),
    (Format::Parquet, "csv"),
    (Format::Source, "csv"),
    (Format::Source, "tsv"),
    (Format::Source, "json"),
    (Format::Source, "jsonl"),
    (Format::Source, "parquet"),
];

struct Folder {
    roots: Roots,
    _folder: TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { roots: Roots::new([folder.path().to_owned()]).unwrap(), _folder: folder }
    }

    fn path(&self, name: &str) -> AllowedPath {
        self.roots.writable(name).unwrap()
    }
}

fn shape(style: &str) -> Shape {
    let delimiter = if style == "tsv" { b'\t' } else { b';' };
    Shape {
        columns: COLUMNS.map(Column::text).to_vec(),
        style: Style { format: Some(style.to_owned()), delimiter, crlf: true },
        ..Shape::default()
    }
}

/// The result line of a row.
fn line(key: &str, text: Option<&str>) -> String {
    match text {
        Some(text) => {
            let candidate = json!({"content": {"parts": [{"text": text}]}, "finishReason": "STOP"});
            json!({"key": key, "response": {"candidates": [candidate]}}).to_string()
        }
        None => json!({"key": key, "error": {"code": 13, "message": "a \"bad\"\nday;, really"}}).to_string(),
    }
}

fn write(output: &AllowedPath, format: Format, shape: &Shape, rows: &[Row]) {
    let mut writer = AnswerWriter::create(output.clone(), format, shape, false).unwrap();
    for (cells, text) in rows {
        let line = line(&cells[0], text.as_deref());
        let source = cells.each_ref().map(|cell| Some(Cell::Text(cell)));
        let answer = Answer::read(line.as_bytes(), false);
        let record = Record { key: &cells[0], asked: true, answer: &answer, raw: None, source: &source, media: &[] };
        writer.write(&record).unwrap();
    }
    writer.finish().unwrap();
}

/// The rows of a file by our own readers; those of a Parquet file by the crate's own and by ours.
fn read(path: &AllowedPath, format: &str) -> Vec<Map<String, Value>> {
    if format == "parquet" {
        let rows = parquet::rows(path.as_path());
        let rows: Vec<_> = rows.into_iter().map(|row| row.as_object().unwrap().clone()).collect();
        assert_eq!(read_by_ours(path, format), rows);
        return rows;
    }
    read_by_ours(path, format)
}

fn read_by_ours(path: &AllowedPath, format: &str) -> Vec<Map<String, Value>> {
    let reading = Reading { format: source::Format::parse(format), ..Reading::default() };
    let mut source = source::open(path, &reading).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = source.next_row().unwrap() {
        rows.push(row.unwrap().to_map());
    }
    rows
}

fn text(value: Option<&Value>) -> String {
    value.and_then(|value| Cell::Json(value).text().map(String::from)).unwrap_or_default()
}

/// A row as it was read, in whichever shape it was written.
fn row_of(read: &Map<String, Value>) -> Row {
    let answered = read["outcome"] == "answered";
    let (cells, answer) = match read.get("source") {
        Some(source) => (source.as_object().unwrap(), read.get("response").and_then(|response| response.get("text"))),
        None => (read, read.get("answer")),
    };
    (COLUMNS.map(|column| text(cells.get(column))), answered.then(|| text(answer)))
}

/// Anything that may stand in a cell.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "0{1,3}[0-9]{1,4}",
        "[a-z \",;\t\r\n|'\\\\]{0,12}",
        "(?s)[^\0]{0,12}",
        Just("null".to_owned()),
        Just("{\"a\": [1, 2]}".to_owned()),
        Just("=1+1".to_owned()),
        Just(" both sides ".to_owned()),
        Just("🔑 e\u{301} \u{202e}".to_owned()),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // A text of nothing but space is no answer.
    let answer = cell().prop_map(|text| if text.trim().is_empty() { "x".to_owned() } else { text });
    let row = ([cell(), cell(), cell()], proptest::option::weighted(0.8, answer));
    proptest::collection::vec(row, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_format_reads_back_as_it_was_written(rows in rows()) {
        for (format, style) in WRITTEN {
            let folder = Folder::new();
            let output = folder.path("out");
            write(&output, format, &shape(style), &rows);
            let format = if format == Format::Source { style } else { format.as_str() };
            let found: Vec<Row> = read(&output, format).iter().map(row_of).collect();
            prop_assert_eq!(&found, &rows, "{}", format);
        }
    }

    #[test]
    fn a_data_set_of_any_format_comes_whole_into_any_other(rows in rows()) {
        for from in ["csv", "tsv", "json", "jsonl", "parquet"] {
            let folder = Folder::new();
            let source = folder.path("source");
            write(&source, Format::Source, &shape(from), &rows);
            for (number, (format, style)) in WRITTEN.into_iter().enumerate() {
                let output = folder.path(&format!("out-{number}"));
                let mut writer = AnswerWriter::create(output.clone(), format, &shape(style), false).unwrap();
                let reading = Reading { format: source::Format::parse(from), ..Reading::default() };
                let mut source = source::open(&source, &reading).unwrap();
                let mut answers = rows.iter().map(|(_, answer)| answer.as_deref());
                while let Some(row) = source.next_row().unwrap() {
                    let row = row.unwrap();
                    let cells = COLUMNS.map(|column| row.get(column));
                    let line = line("k", answers.next().unwrap());
                    let answer = Answer::read(line.as_bytes(), false);
                    writer.write(&Record { key: "k", asked: true, answer: &answer, raw: None, source: &cells, media: &[] }).unwrap();
                }
                writer.finish().unwrap();
                let format = if format == Format::Source { style } else { format.as_str() };
                let found: Vec<Row> = read(&output, format).iter().map(row_of).collect();
                prop_assert_eq!(&found, &rows, "{} to {}", from, format);
            }
        }
    }

    #[test]
    fn fields_come_back_by_their_names_or_as_the_whole_answer(
        name in cell(), count in any::<i64>(), price in -1e9_f64..1e9, tags in proptest::collection::vec(cell(), 0..3),
        extra in any::<bool>(), pretty in any::<bool>(),
    ) {
        let mut answer = json!({"name": name, "count": count, "price": price, "tags": tags});
        if extra {
            answer["extra"] = json!(true);
        }
        let said = if pretty { serde_json::to_string_pretty(&answer).unwrap() } else { answer.to_string() };
        let schema = json!({"properties": {
            "name": {"type": "string"}, "count": {"type": "integer"},
            "price": {"type": "NUMBER"}, "tags": {"type": "array"},
        }});
        let row = (["007".to_owned(), String::new(), String::new()], Some(said.clone()));
        for (format, style) in WRITTEN.into_iter().filter(|(format, _)| !matches!(format, Format::Json | Format::Jsonl)) {
            let folder = Folder::new();
            let output = folder.path("out");
            write(&output, format, &Shape { fields: Fields::of_schema(&schema), ..shape(style) }, std::slice::from_ref(&row));
            let format = if format == Format::Source { style } else { format.as_str() };
            let read = read(&output, format).remove(0);
            prop_assert_eq!(text(read.get("name")), name.clone(), "{}", format);
            prop_assert_eq!(text(read.get("count")).parse::<i64>().unwrap(), count);
            let found: f64 = text(read.get("price")).parse().unwrap();
            prop_assert!((found - price).abs() <= f64::abs(price) * 1e-12);
            let found = match read["tags"].as_str() {
                Some(text) => serde_json::from_str(text).unwrap(),
                None => read["tags"].clone(),
            };
            prop_assert_eq!(found, json!(tags));
            prop_assert_eq!(text(read.get("answer")), if extra { said.clone() } else { String::new() });
        }
        let folder = Folder::new();
        let output = folder.path("out.jsonl");
        write(&output, Format::Jsonl, &Shape { json: true, ..shape("csv") }, std::slice::from_ref(&row));
        let read = read(&output, "jsonl").remove(0);
        prop_assert_eq!(&read["response"]["parsed"], &answer);
        prop_assert_eq!(&read["response"]["text"], &json!(said));
    }
}
