//! `json`: one array of the objects of `jsonl`, one a line.

use std::io::{self, Write};

use super::jsonl_format::write_object;
use super::record::Record;
use super::write::{Layout, Sink};

pub(super) struct JsonArrayLayout {
    sink: Sink,
    columns: Vec<String>,
    /// What stands before the next object.
    before: &'static [u8],
}

impl JsonArrayLayout {
    pub(super) fn new(sink: Sink, columns: &[String]) -> Self {
        Self { sink, columns: columns.to_vec(), before: b"[\n" }
    }
}

impl Layout for JsonArrayLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.sink.write_all(self.before)?;
        self.before = b",\n";
        write_object(&mut self.sink, record, &self.columns)
    }

    fn finish(mut self: Box<Self>) -> io::Result<Sink> {
        let end: &[u8] = if self.before == b"[\n" { b"[]\n" } else { b"\n]\n" };
        self.sink.write_all(end)?;
        Ok(self.sink)
    }
}
