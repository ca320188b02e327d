//! Datasets in: rows read as a stream, one format a file, and the templates that turn a row into a
//! request line.
//!
//! A [`Source`] lends one [`Row`] at a time; a [`Skeleton`] with its [`Template`]s writes the line,
//! a [`KeyRule`] names it. A row that cannot be used is a [`RowProblem`], and reading goes on.

mod chain;
mod escape;
mod filters;
mod format;
mod key;
mod logic;
mod reading;
mod request;
mod row;
mod rows;
mod skeleton;
mod style;
mod template;

use crate::error::Result;
use crate::paths::AllowedPath;
use serde_json::{Map, Value};

pub use format::Format;
pub use key::KeyRule;
pub use reading::Reading;
pub use request::{embed_request, generate_request};
pub use row::{Cell, Row, RowProblem, Slot};
pub use skeleton::Skeleton;
pub use style::Style;
pub use template::Template;

use rows::Rows;
use rows::answers::AnswerRows;
use rows::csv::CsvRows;
use rows::inline::InlineRows;
use rows::json::JsonRows;
use rows::jsonl::JsonlRows;

/// A dataset, read row by row.
///
/// Holds one row at a time: memory is bounded by the longest row, whatever the size of the file.
pub struct Source {
    format: Option<Format>,
    rows: Box<dyn Rows>,
}

/// Opens a file of rows. Without a format the file's name and its first bytes tell.
pub fn open(path: &AllowedPath, reading: &Reading) -> Result<Source> {
    let format = match reading.format {
        Some(format) => format,
        None => Format::of(path)?,
    };
    let rows: Box<dyn Rows> = match format {
        Format::Csv => Box::new(CsvRows::open(path, None)?),
        Format::Tsv => Box::new(CsvRows::open(path, Some(b'\t'))?),
        Format::Json => Box::new(JsonRows::open(path)?),
        Format::Jsonl => Box::new(JsonlRows::open(path)?),
    };
    Ok(Source { format: Some(format), rows })
}

impl Source {
    /// Rows given in the call itself.
    pub fn inline(rows: Vec<Map<String, Value>>) -> Self {
        Self { format: None, rows: Box::new(InlineRows::new(rows)) }
    }

    /// Prompts given in the call itself: each is a row with the one column `prompt`.
    pub fn prompts(prompts: impl IntoIterator<Item = String>) -> Self {
        let row = |prompt| Map::from_iter([("prompt".to_owned(), Value::String(prompt))]);
        Self::inline(prompts.into_iter().map(row).collect())
    }

    /// The answers of an earlier job, in our own JSONL format. Rows without an answer are
    /// [skipped](Self::skipped).
    pub fn answers(path: &AllowedPath) -> Result<Self> {
        Ok(Self { format: Some(Format::Jsonl), rows: Box::new(AnswerRows::open(path)?) })
    }

    /// The format of the file; none for rows given in the call.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// The names of the columns, where the format tells them up front (CSV, TSV).
    pub fn columns(&self) -> Option<&[String]> {
        self.rows.columns()
    }

    /// How many rows were passed over so far because they hold no answer.
    pub fn skipped(&self) -> u64 {
        self.rows.skipped()
    }

    /// The next row, or `None` at the end. A bad row is an item: reading goes on after it. The outer
    /// error means that nothing more can be read.
    pub fn next_row(&mut self) -> Result<Option<Result<Row<'_>, RowProblem>>> {
        Ok(self.rows.advance()?.map(|step| step.map(|()| self.rows.row())))
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("format", &self.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
