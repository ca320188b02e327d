//! JSON objects that are rows of a [table](super::table), not answers in our own shape: what a data set in
//! JSON gets back. One a line, or in one array.
//!
//! Columns that a row of the source lacks are left out again; answer columns stand in every row, empty ones as null.

use std::io::{self, Write};

use super::layout::{Finished, Layout, Sink};
use super::record::Record;
use super::table::{Shape, Table, TableCell};

pub(super) struct FlatJsonLayout {
    sink: Sink,
    table: Table,
    /// How many columns come from the source.
    source: usize,
    /// What stands before the next object, and after the last one.
    before: &'static [u8],
    array: bool,
}

impl FlatJsonLayout {
    pub(super) fn new(sink: Sink, array: bool, shape: &Shape) -> Self {
        let before: &[u8] = if array { b"[\n" } else { b"" };
        Self { sink, table: Table::new(shape), source: shape.columns.len(), before, array }
    }
}

impl Layout for FlatJsonLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Self { sink, table, .. } = self;
        sink.write_all(self.before)?;
        self.before = if self.array { b",\n" } else { b"\n" };
        let (mut number, mut before): (usize, &[u8]) = (0, b"{");
        table.fill(record, |column, cell| {
            number += 1;
            if number <= self.source && matches!(cell, TableCell::Nothing) {
                return Ok(());
            }
            sink.write_all(before)?;
            before = b",";
            serde_json::to_writer(&mut *sink, &column.name)?;
            sink.write_all(b":")?;
            Ok(serde_json::to_writer(&mut *sink, &cell)?)
        })?;
        sink.write_all(b"}")
    }

    fn finish(mut self: Box<Self>) -> io::Result<Finished> {
        let end: &[u8] = match (self.array, self.before) {
            (true, b"[\n") => b"[]\n",
            (true, _) => b"\n]\n",
            (false, b"") => b"",
            (false, _) => b"\n",
        };
        self.sink.write_all(end)?;
        Ok(self.sink.into())
    }

    fn renamed(&self) -> &[(String, String)] {
        &self.table.renamed
    }
}
