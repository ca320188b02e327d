//! `csv` and `tsv`: a table with the columns of the source, or the key, and then the answer.
//!
//! Cells hold what the model and the source said, unaltered. A cell that starts with `=`, `+`, `-` or
//! `@` is therefore taken as a formula by spreadsheet programs: import the columns as text there.

use std::io;

use super::record::Record;
use super::write::{Layout, Sink};
use crate::source::Cell;

const ANSWER_COLUMNS: [&str; 5] = ["answer", "outcome", "error", "input_tokens", "output_tokens"];
const BUFFER: usize = 64 * 1024;

pub(super) struct CsvLayout {
    writer: csv::Writer<Sink>,
    /// How many source columns; without a join there is the key instead.
    joined: usize,
    renamed: Vec<(String, String)>,
}

impl CsvLayout {
    pub(super) fn new(sink: Sink, delimiter: u8, columns: &[String]) -> io::Result<Self> {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).buffer_capacity(BUFFER).from_writer(sink);
        let mut header = if columns.is_empty() { vec!["key".to_owned()] } else { columns.to_vec() };
        let mut renamed = Vec::new();
        for name in ANSWER_COLUMNS {
            let free = free_name(name, &header);
            if free != name {
                renamed.push((name.to_owned(), free.clone()));
            }
            header.push(free);
        }
        writer.write_record(&header)?;
        Ok(Self { writer, joined: columns.len(), renamed })
    }

    fn write_source(&mut self, record: &Record<'_>) -> csv::Result<()> {
        if self.joined == 0 {
            return self.writer.write_field(record.key);
        }
        let cells = record.source.iter().copied().chain(std::iter::repeat(Cell::Text("")));
        for cell in cells.take(self.joined) {
            self.writer.write_field(cell.text().unwrap_or_default().as_bytes())?;
        }
        Ok(())
    }
}

impl Layout for CsvLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let answer = record.answer;
        self.write_source(record)?;
        self.writer.write_field(answer.cell().as_bytes())?;
        self.writer.write_field(answer.outcome.as_str())?;
        self.writer.write_field(answer.complaint().as_bytes())?;
        for count in [answer.usage.map(|usage| usage.input_tokens), answer.usage.map(|usage| usage.output_tokens)] {
            let mut digits = [0; 20];
            self.writer.write_field(decimal(count, &mut digits))?;
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    fn finish(self: Box<Self>) -> io::Result<Sink> {
        self.writer.into_inner().map_err(|e| io::Error::new(e.error().kind(), e.error().to_string()))
    }

    fn renamed(&self) -> &[(String, String)] {
        &self.renamed
    }
}

/// The digits of a count; nothing when it is not known.
fn decimal(count: Option<i64>, buffer: &mut [u8; 20]) -> &[u8] {
    use std::io::Write;
    let mut rest = buffer.as_mut_slice();
    let room = rest.len();
    if let Some(count) = count {
        // Twenty bytes hold every i64.
        let _ = write!(rest, "{count}");
    }
    let used = room - rest.len();
    buffer.get(..used).unwrap_or_default()
}

/// The name, or with the first number from 2 that makes it differ from all names taken.
fn free_name(name: &str, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}
