//! Any table, written in any format, is read back as it was.

use gemini_batch_mcp::paths::Roots;
use gemini_batch_mcp::source::{self, Reading};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::tables::{gzip, parquet_of_rows, separated, utf16, zstd};

const COLUMNS: [&str; 3] = ["id", "name", "note"];

/// Text with everything that some format treats as special.
fn awkward() -> impl Strategy<Value = String> {
    let special =
        ["\"", ",", ";", "\t", "|", "\n", "\r\n", "\\", "[", "]", "{", "}", "🎉", "é", " ", "'", "null", "\u{2028}"];
    let part =
        prop_oneof![proptest::sample::select(special.to_vec()).prop_map(str::to_owned), "[a-z0-9]{1,6}", "\\PC{0,4}"];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn objects(rows: &[Vec<String>]) -> Vec<Value> {
    let object = |row: &Vec<String>| -> Map<String, Value> {
        COLUMNS.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.as_str().into())).collect()
    };
    rows.iter().map(|row| object(row).into()).collect()
}

/// The table in every format.
fn written(rows: &[Vec<String>]) -> Vec<(&'static str, Vec<u8>)> {
    let objects = objects(rows);
    let lines: String = objects.iter().map(|row| format!("{row}\n")).collect();
    vec![
        ("a.csv", separated(&COLUMNS, rows, b',')),
        ("semicolons.csv", separated(&COLUMNS, rows, b';')),
        ("pipes.csv", separated(&COLUMNS, rows, b'|')),
        ("a.tsv", separated(&COLUMNS, rows, b'\t')),
        ("a.jsonl", lines.into_bytes()),
        ("a.json", serde_json::to_vec_pretty(&objects).unwrap()),
        ("a.parquet", parquet_of_rows(&COLUMNS, rows)),
    ]
}

fn read(name: &str, bytes: &[u8]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let path = Roots::new([folder.path().to_path_buf()]).unwrap().existing(name).unwrap();
    let mut source = source::open(&path, &Reading::default()).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = source.next_row().unwrap() {
        rows.push(row.unwrap().to_map().into());
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_table_is_read_back_from_every_format_packing_and_encoding(
        rows in proptest::collection::vec(proptest::collection::vec(awkward(), COLUMNS.len()), 1..30),
    ) {
        let expected = objects(&rows);
        for (name, bytes) in written(&rows) {
            prop_assert_eq!(&read(name, &bytes), &expected, "{}", name);
            if !name.ends_with("parquet") {
                let text = std::str::from_utf8(&bytes).unwrap();
                prop_assert_eq!(&read(&format!("{name}.gz"), &gzip(&bytes)), &expected, "{} gzip", name);
                prop_assert_eq!(&read(&format!("{name}.zst"), &zstd(&bytes)), &expected, "{} zstd", name);
                prop_assert_eq!(&read(name, &utf16(text, true)), &expected, "{} UTF-16LE", name);
                prop_assert_eq!(&read(name, &utf16(text, false)), &expected, "{} UTF-16BE", name);
            }
        }
    }
}
