//! Any bytes as a data set, in any format: no panic, an end, rows that are numbered one after the other.
#![no_main]

use std::cell::LazyCell;

use gemini_batch_mcp::paths::Roots;
use gemini_batch_mcp::source::{Format, Reading, open};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a folder for the data set"));
}

const FORMATS: [Option<Format>; 5] =
    [None, Some(Format::Csv), Some(Format::Tsv), Some(Format::Json), Some(Format::Jsonl)];

fuzz_target!(|data: (u8, &[u8])| {
    let (choice, bytes) = data;
    let format = FORMATS[usize::from(choice) % FORMATS.len()];
    // The parquet crate panics on damaged files. That is caught and told, but this program would end before it.
    if format.is_none() && bytes.starts_with(b"PAR1") {
        return;
    }
    FOLDER.with(|folder| {
        std::fs::write(folder.path().join("rows"), bytes).expect("writing the data set");
        let path = Roots::new([folder.path().to_owned()]).and_then(|roots| roots.existing("rows")).expect("its path");
        let Ok(mut source) = open(&path, &Reading { format, ..Reading::default() }) else { return };
        let mut before = 0;
        while let Ok(Some(row)) = source.next_row() {
            let number = row.map_or_else(|problem| problem.row, |row| row.number());
            assert!(number > before, "row {number} after row {before}");
            before = number;
        }
    });
});
