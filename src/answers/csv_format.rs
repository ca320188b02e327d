//! `csv` and `tsv`: a [table](super::table), one record a line.
//!
//! Cells hold what the model and the source said, unaltered. A cell that starts with `=`, `+`, `-` or
//! `@` is therefore taken as a formula by spreadsheet programs: import the columns as text there.

use std::io;

use super::layout::{Finished, Layout, Sink};
use super::record::Record;
use super::table::{Shape, Table, TableCell};

const BUFFER: usize = 64 * 1024;

pub(super) struct CsvLayout {
    writer: csv::Writer<Sink>,
    table: Table,
}

impl CsvLayout {
    /// A table with this between its fields and, with `crlf`, the line ends of Windows.
    pub(super) fn new(sink: Sink, delimiter: u8, crlf: bool, shape: &Shape) -> io::Result<Self> {
        let line_end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(line_end)
            .buffer_capacity(BUFFER)
            .from_writer(sink);
        let table = Table::new(shape);
        writer.write_record(table.names()).map_err(to_io)?;
        Ok(Self { writer, table })
    }
}

impl Layout for CsvLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Self { writer, table } = self;
        table.fill(record, |_, cell| {
            if let TableCell::Count(count) = cell {
                let mut digits = [0; 20];
                return writer.write_field(decimal(count, &mut digits)).map_err(to_io);
            }
            writer.write_field(cell.text().unwrap_or_default().as_bytes()).map_err(to_io)
        })?;
        writer.write_record(None::<&[u8]>).map_err(to_io)
    }

    fn finish(self: Box<Self>) -> io::Result<Finished> {
        let sink = self.writer.into_inner().map_err(|e| io::Error::new(e.error().kind(), e.error().to_string()))?;
        Ok(sink.into())
    }

    fn renamed(&self) -> &[(String, String)] {
        &self.table.renamed
    }
}

/// What the system said, not wrapped: a full disk is told from other failures.
fn to_io(error: csv::Error) -> io::Error {
    if !error.is_io_error() {
        return error.into();
    }
    match error.into_kind() {
        csv::ErrorKind::Io(cause) => cause,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// The digits of a count.
fn decimal(count: i64, buffer: &mut [u8; 20]) -> &[u8] {
    use std::io::Write;
    let mut rest = buffer.as_mut_slice();
    let room = rest.len();
    // Twenty bytes hold every i64.
    let _ = write!(rest, "{count}");
    let used = room - rest.len();
    buffer.get(..used).unwrap_or_default()
}
