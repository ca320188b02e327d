//! `json`: one array of the objects of `jsonl`, one a line.

use std::io::{self, Write};

use super::jsonl_format::Objects;
use super::layout::{Finished, Layout, Sink};
use super::record::Record;
use super::table::Shape;

pub(super) struct JsonArrayLayout {
    sink: Sink,
    objects: Objects,
    /// What stands before the next object.
    before: &'static [u8],
}

impl JsonArrayLayout {
    pub(super) fn new(sink: Sink, shape: &Shape) -> Self {
        Self { sink, objects: Objects::new(shape), before: b"[\n" }
    }
}

impl Layout for JsonArrayLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.sink.write_all(self.before)?;
        self.before = b",\n";
        self.objects.write(&mut self.sink, record)
    }

    fn finish(mut self: Box<Self>) -> io::Result<Finished> {
        let end: &[u8] = if self.before == b"[\n" { b"[]\n" } else { b"\n]\n" };
        self.sink.write_all(end)?;
        Ok(self.sink.into())
    }
}
