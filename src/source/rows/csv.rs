//! Comma-, semicolon- and tab-separated text. One record is reused for all rows.

use std::fs::File;
use std::io::{self, Read};

use ::csv::{ErrorKind as CsvErrorKind, Position, Reader, ReaderBuilder, StringRecord};

use super::{LONGEST_ROW, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;
use crate::source::format;
use crate::source::row::{Row, RowProblem};

const BLOCK: usize = 256 * 1024;

/// Rows of a file of separated values.
pub(in crate::source) struct CsvRows {
    reader: Reader<Bounded<File>>,
    act: String,
    columns: Vec<String>,
    record: StringRecord,
    number: u64,
    /// How far the reader's line count is behind: it ends a row at `\r` and takes `\n` with the next.
    behind: u64,
    /// The lines before and after the row.
    lines: (u64, u64),
}

impl CsvRows {
    /// Opens the file and reads its header. Without a `delimiter` the header tells.
    pub(in crate::source) fn open(path: &AllowedPath, delimiter: Option<u8>) -> Result<Self> {
        let start = format::first_bytes(path)?;
        let delimiter = delimiter.unwrap_or_else(|| format::delimiter(&start));
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BLOCK)
            .from_reader(Bounded { source: path.open()?, left: LONGEST_ROW });
        let mut rows = Self {
            reader,
            act: format!("reading {path}"),
            columns: Vec::new(),
            record: StringRecord::new(),
            number: 0,
            behind: u64::from(format::first_line(&start).ends_with(b"\r")),
            lines: (0, 0),
        };
        rows.columns = rows.header()?;
        Ok(rows)
    }

    fn header(&mut self) -> Result<Vec<String>> {
        let bad = |cause: String| Error::new(ErrorKind::InvalidInput, self.act.clone(), cause);
        match self.reader.read_record(&mut self.record) {
            Ok(true) => column_names(&self.record).map_err(|cause| bad(cause).hint("give each column its own name")),
            Ok(false) => Err(bad("the file is empty".into()).hint("its first line has to name the columns")),
            Err(e) if e.is_io_error() => Err(self.fatal(e)),
            Err(_) => Err(bad("the header is not UTF-8 text".into()).hint("save the file as CSV in UTF-8")),
        }
    }

    fn fatal(&self, error: ::csv::Error) -> Error {
        match error.into_kind() {
            CsvErrorKind::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
                Error::new(ErrorKind::InvalidInput, self.act.clone(), format!("row {}: {e}", self.number + 1))
                    .hint("look for a quote that is opened and never closed")
            }
            CsvErrorKind::Io(e) => Error::io(self.act.clone(), e),
            other => Error::internal(self.act.clone(), format!("{other:?}")),
        }
    }

    fn moved(&mut self, position: Option<&Position>) {
        self.number += 1;
        let start = position.map_or(0, Position::line);
        self.lines = (start + self.behind, self.reader.position().line() + self.behind);
    }

    /// What is wrong with the record just read, if anything.
    fn check(&self) -> Result<(), RowProblem> {
        let (found, expected) = (self.record.len(), self.columns.len());
        if found == expected {
            return Ok(());
        }
        let fields = if found == 1 { "field" } else { "fields" };
        Err(self.row().problem(None, format!("it has {found} {fields} where the header has {expected}")))
    }

    fn problem(&self, error: ::csv::Error) -> RowProblem {
        let (field, cause) = match error.into_kind() {
            CsvErrorKind::Utf8 { err, .. } => (Some(err.field()), "it is not UTF-8 text".to_owned()),
            other => (None, format!("{other:?}")),
        };
        let column = field.and_then(|field| self.columns.get(field)).cloned();
        RowProblem { row: self.number, line: Some(self.lines.0), column, cause }
    }
}

impl Rows for CsvRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        self.reader.get_mut().left = LONGEST_ROW;
        match self.reader.read_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                self.moved(self.record.position().cloned().as_ref());
                Ok(Some(self.check()))
            }
            Err(e) if e.is_io_error() => Err(self.fatal(e)),
            Err(e) => {
                self.moved(e.position());
                Ok(Some(Err(self.problem(e))))
            }
        }
    }

    fn row(&self) -> Row<'_> {
        Row::record(self.number, self.lines, &self.columns, &self.record)
    }

    fn columns(&self) -> Option<&[String]> {
        Some(&self.columns)
    }
}

/// The names in a header: trimmed, those left empty numbered, none twice.
fn column_names(header: &StringRecord) -> Result<Vec<String>, String> {
    let mut names = Vec::with_capacity(header.len());
    let mut seen = std::collections::HashSet::new();
    for (name, number) in header.iter().zip(1..) {
        let name = if name.trim().is_empty() { format!("column_{number}") } else { name.trim().to_owned() };
        if !seen.insert(name.clone()) {
            return Err(format!("the header names the column {name:?} twice"));
        }
        names.push(name);
    }
    Ok(names)
}

/// A reader that gives up when a row grows without end.
struct Bounded<R> {
    source: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let cause = format!("it is longer than {} MB", LONGEST_ROW / 1024 / 1024);
            return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
        }
        let count = self.source.read(into)?;
        self.left = self.left.saturating_sub(count);
        Ok(count)
    }
}
