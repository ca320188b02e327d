//! Writing answers to a file that appears whole or not at all.
//!
//! A format is one file that implements `Layout`, one name in [`Format`] and one line in
//! `Format::layout`.

use std::io::{self, BufWriter};

use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;

use super::csv_format::CsvLayout;
use super::json_array::JsonArrayLayout;
use super::jsonl_format::JsonlLayout;
use super::raw::RawLayout;
use super::record::Record;

const BUFFER: usize = 128 * 1024;

/// How answers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// One JSON object a line: key, response, error, outcome.
    #[default]
    Jsonl,
    /// The lines of the API as they came.
    Raw,
    /// A table, separated by commas.
    Csv,
    /// A table, separated by tabs.
    Tsv,
    /// One JSON array of the objects of `jsonl`.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Jsonl, Self::Raw, Self::Csv, Self::Tsv, Self::Json];

    /// The format's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Raw => "raw",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
        }
    }

    /// The format of this name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|format| format.as_str().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("choosing the format {name}"), "there is no such format")
                .hint("use jsonl, csv, tsv, json or raw")
        })
    }

    /// The format that a file's extension asks for: `jsonl` without one. An extension of no format is refused,
    /// so that nobody finds JSON in a spreadsheet's file.
    pub fn of_file(output: &AllowedPath) -> Result<Self> {
        match output.as_path().extension().and_then(|extension| extension.to_str()) {
            None | Some("ndjson" | "txt") => Ok(Self::default()),
            Some(extension) => Self::parse(extension),
        }
    }

    fn layout(self, sink: Sink, columns: &[String]) -> io::Result<Box<dyn Layout>> {
        Ok(match self {
            Self::Jsonl => Box::new(JsonlLayout::new(sink, columns)),
            Self::Raw => Box::new(RawLayout::new(sink)),
            Self::Csv => Box::new(CsvLayout::new(sink, b',', columns)?),
            Self::Tsv => Box::new(CsvLayout::new(sink, b'\t', columns)?),
            Self::Json => Box::new(JsonArrayLayout::new(sink, columns)),
        })
    }
}

/// What a format has to do.
pub(super) trait Layout: Send {
    /// Writes one record.
    fn write(&mut self, record: &Record<'_>) -> io::Result<()>;
    /// Writes what comes after the last record.
    fn finish(self: Box<Self>) -> io::Result<Sink>;
    /// Columns that had to be named otherwise: the name meant and the name given.
    fn renamed(&self) -> &[(String, String)] {
        &[]
    }
}

/// Writes records to a file.
pub struct AnswerWriter {
    output: AllowedPath,
    overwrite: bool,
    layout: Box<dyn Layout>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Size of the file.
    pub bytes: u64,
    /// The same file was there already and was left alone.
    pub unchanged: bool,
}

impl AnswerWriter {
    /// Starts a file of answers. With a join, `columns` names the columns of the source.
    ///
    /// The records go to a temporary file beside `output`, which vanishes if the writer is dropped.
    pub fn create(output: AllowedPath, format: Format, columns: &[String], overwrite: bool) -> Result<Self> {
        let sink = BufWriter::with_capacity(BUFFER, output.temporary()?);
        let layout = format.layout(sink, columns).map_err(|e| Error::io(format!("writing {output}"), e))?;
        Ok(Self { output, overwrite, layout })
    }

    /// Columns that had to be named otherwise, because the source has one of that name.
    pub fn renamed(&self) -> &[(String, String)] {
        self.layout.renamed()
    }

    /// Writes one record.
    pub fn write(&mut self, record: &Record<'_>) -> Result<()> {
        self.layout.write(record).map_err(|e| Error::io(format!("writing {}", self.output), e))
    }

    /// Puts the file in its place. Without leave to overwrite, a different file that is there already is
    /// kept and the call fails with [`ErrorKind::AlreadyExists`]; the same content again is fine.
    pub fn finish(self) -> Result<Written> {
        let act = || format!("writing {}", self.output);
        let sink = self.layout.finish().map_err(|e| Error::io(act(), e))?;
        let file = sink.into_inner().map_err(|e| Error::io(act(), e.into_error()))?;
        let bytes = file.as_file().metadata().map_err(|e| Error::io(act(), e))?.len();
        let unchanged = self.output.persist_if_new(file, self.overwrite)?;
        Ok(Written { bytes, unchanged })
    }
}

/// The temporary file.
pub(super) type Sink = BufWriter<NamedTempFile>;

#[cfg(test)]
mod tests;
