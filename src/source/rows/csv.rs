//! Comma-, semicolon-, tab- and otherwise separated text. One record is reused for all rows.

use std::io::{self, Read};

use ::csv::{ErrorKind as CsvErrorKind, Position, Reader, ReaderBuilder, StringRecord};

use super::bounded::Bounded;
use super::{LONGEST_ROW, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;
use crate::source::bytes::{Text, Wrapping, foreign_byte};
use crate::source::damage::failed_in_row;
use crate::source::row::{NOT_UTF8, Row, RowProblem};
use crate::source::{Reading, format};

const BLOCK: usize = 256 * 1024;

/// Rows of a file of separated values.
pub(in crate::source) struct CsvRows {
    reader: Reader<Ended<Bounded<Text>>>,
    path: AllowedPath,
    wrapping: Wrapping,
    delimiter: u8,
    columns: Vec<String>,
    record: StringRecord,
    /// The first line is a row, and still to be given.
    first_is_row: bool,
    headerless: bool,
    number: u64,
    /// How far the reader's line count is behind: it ends a row at `\r` and takes `\n` with the next.
    behind: u64,
    /// The lines before and after the row.
    lines: (u64, u64),
    /// A byte that is not UTF-8 was located already: once is enough to know the encoding.
    located: bool,
}

impl CsvRows {
    /// Opens the file and reads its header. Where `reading` names no delimiter the header tells.
    pub(in crate::source) fn open(path: &AllowedPath, delimiter: Option<u8>, reading: &Reading) -> Result<Self> {
        let (start, wrapping) = format::first_bytes(path)?;
        let delimiter = reading.delimiter_byte().or(delimiter).unwrap_or_else(|| format::delimiter(&start));
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BLOCK)
            .from_reader(Ended::new(Bounded::new(Text::open(path)?)));
        let mut rows = Self {
            reader,
            path: path.clone(),
            wrapping,
            delimiter,
            columns: Vec::new(),
            record: StringRecord::new(),
            first_is_row: reading.headerless,
            headerless: reading.headerless,
            number: 0,
            behind: u64::from(format::first_line(&start).ends_with(b"\r")),
            lines: (1, 1),
            located: false,
        };
        if format::told_delimiter(&start).is_some() {
            rows.reader.read_record(&mut rows.record).map_err(|e| rows.fatal(e))?;
        }
        rows.columns = rows.header()?;
        Ok(rows)
    }

    fn header(&mut self) -> Result<Vec<String>> {
        match self.reader.read_record(&mut self.record) {
            Ok(_) if self.record.is_empty() || is_end(&self.record) => {
                Err(self.bad("the file is empty".into()).hint("its first line has to name the columns"))
            }
            Ok(_) if is_unclosed(&self.record) => Err(self.unclosed()),
            Ok(_) if self.headerless => {
                self.lines = (1, self.reader.position().line() + self.behind);
                Ok((1..=self.record.len()).map(|number| format!("column_{number}")).collect())
            }
            Ok(_) if self.record.iter().any(|name| name.contains('\0')) => {
                Err(self.bad("the header holds NUL bytes: it is not text in UTF-8".into()).hint(SAVE))
            }
            Ok(_) => column_names(&self.record).map_err(|cause| self.bad(cause).hint("give each column its own name")),
            Err(e) if e.is_io_error() => Err(self.fatal(e)),
            Err(_) => {
                let place = self.foreign_byte(0).map(|place| format!(" ({place})")).unwrap_or_default();
                Err(self.bad(format!("the header is not UTF-8 text{place}")).hint(SAVE))
            }
        }
    }

    fn bad(&self, cause: String) -> Error {
        Error::new(ErrorKind::InvalidInput, self.act(), cause)
    }

    fn act(&self) -> String {
        format!("reading {}", self.path)
    }

    fn fatal(&self, error: ::csv::Error) -> Error {
        match error.into_kind() {
            CsvErrorKind::Io(e) => failed_in_row(self.act(), self.number + 1, e),
            other => Error::internal(self.act(), format!("{other:?}")),
        }
    }

    /// The row just read took the rest of the file with it.
    fn unclosed(&self) -> Error {
        let inside = memchr::memchr_iter(b'\n', self.record.as_slice().as_bytes()).count() as u64;
        let line = self.lines.0.max(self.lines.1.saturating_sub(inside));
        self.bad(format!("line {line}: the row that starts here opens a quote that is never closed"))
            .hint("close the quote, or double those that are part of the text; if the file was cut off, make it again")
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
        let first = if self.headerless { "first row" } else { "header" };
        Err(self.row().problem(None, format!("it has {found} {fields} where the {first} has {expected}")))
    }

    fn problem(&mut self, error: ::csv::Error) -> RowProblem {
        let start = error.position().map_or(0, Position::byte);
        let (field, cause) = match error.into_kind() {
            CsvErrorKind::Utf8 { err, .. } => (Some(err.field()), NOT_UTF8.to_owned()),
            other => (None, format!("{other:?}")),
        };
        let column = field.and_then(|field| self.columns.get(field)).cloned();
        let place = if field.is_some() && !self.located { self.foreign_byte(start) } else { None };
        self.located |= place.is_some();
        RowProblem { row: self.number, line: Some(self.lines.0), place, column, cause }
    }

    /// Looks at the bytes of the record just read once more, for the one that is not UTF-8.
    fn foreign_byte(&self, start: u64) -> Option<String> {
        let mut text = Text::open(&self.path).ok()?;
        io::copy(&mut (&mut text).take(start), &mut io::sink()).ok()?;
        let length = self.reader.position().byte().saturating_sub(start).min(LONGEST_ROW as u64);
        let mut record = Vec::new();
        text.take(length).read_to_end(&mut record).ok()?;
        foreign_byte(&record, start)
    }
}

const SAVE: &str = "save the file as CSV in UTF-8; iconv -f LATIN1 -t UTF-8 turns Latin-1 into it";

impl Rows for CsvRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        if std::mem::take(&mut self.first_is_row) {
            self.number = 1;
            return Ok(Some(Ok(())));
        }
        self.reader.get_mut().source.next_row();
        match self.reader.read_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) if self.reader.get_ref().is_over && is_end(&self.record) => Ok(None),
            Ok(true) => {
                self.moved(self.record.position().cloned().as_ref());
                if self.reader.get_ref().is_over && is_unclosed(&self.record) {
                    return Err(self.unclosed());
                }
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

    fn details(&self) -> Vec<String> {
        let separator = match self.delimiter {
            b',' => None,
            b';' => Some("semicolons".to_owned()),
            b'\t' => Some("tabs".to_owned()),
            b'|' => Some("pipes".to_owned()),
            other => Some(format!("separated by {:?}", char::from(other))),
        };
        let header = self.headerless.then(|| "no header".to_owned());
        separator.into_iter().chain(header).chain(self.wrapping.words()).collect()
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

/// A line that no file holds. It is put behind the last one, where an open quote would swallow it: so it is seen
/// whether there is one.
const END: &str = "\0\0END\0\0";

/// A stream with [`END`] as its last line.
struct Ended<R> {
    source: R,
    /// What is still to be given of the last line, once the source has ended.
    rest: &'static [u8],
    is_over: bool,
}

impl<R> Ended<R> {
    fn new(source: R) -> Self {
        Self { source, rest: b"\n\0\0END\0\0", is_over: false }
    }
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.is_over {
            let count = self.source.read(into)?;
            self.is_over = count == 0 && !into.is_empty();
            if !self.is_over {
                return Ok(count);
            }
        }
        self.rest.read(into)
    }
}

fn is_end(record: &StringRecord) -> bool {
    record.len() == 1 && record.get(0) == Some(END)
}

/// Whether the last field of the last record took the end with it.
fn is_unclosed(record: &StringRecord) -> bool {
    let last = record.len().checked_sub(1).and_then(|last| record.get(last));
    last.is_some_and(|field| field.strip_suffix(END).is_some_and(|before| before.ends_with('\n')))
}
