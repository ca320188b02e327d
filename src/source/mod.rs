//! Datasets in: rows read as a stream, one format a file, and the templates that turn a row into a
//! request line.
//!
//! A [`Source`] lends one [`Row`] at a time; a [`Skeleton`] with its [`Template`]s writes the line,
//! a [`KeyRule`] names it. A row that cannot be used is a [`RowProblem`], and reading goes on.

mod attach;
mod bytes;
mod chain;
mod column_type;
mod container;
mod damage;
mod escape;
mod exact;
mod filters;
mod format;
mod key;
mod listing;
mod logic;
pub mod media;
mod odd_names;
mod own_files;
mod reading;
mod request;
mod row;
mod rows;
mod skeleton;
mod style;
mod template;
mod unknown;
mod uses;
mod utf16;

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;
use serde_json::{Map, Value};

pub use attach::Attachment;
pub use column_type::ColumnType;
pub use container::refuse_containers;
pub use format::Format;
pub use key::KeyRule;
pub use listing::Listing;
pub use reading::Reading;
pub use request::{embed_request, generate_request};
pub use row::{Cell, Row, RowProblem, Slot};
pub use rows::answers::{free_name, renamed};
pub use skeleton::Skeleton;
pub use style::Style;
pub use template::Template;

use rows::Rows;
use rows::answers::AnswerRows;
use rows::csv::CsvRows;
use rows::files::FileRows;
use rows::inline::InlineRows;
use rows::json::JsonRows;
use rows::jsonl::JsonlRows;
use rows::parquet::ParquetRows;
use rows::text::TextRows;

/// A dataset, read row by row.
///
/// Holds one row at a time: memory is bounded by the longest row (of Parquet, by the pages of a row group), whatever
/// the size of the file.
pub struct Source {
    format: Option<Format>,
    rows: Box<dyn Rows>,
}

/// Opens a file of rows. Without a format the file's name and its first bytes tell.
pub fn open(path: &AllowedPath, reading: &Reading) -> Result<Source> {
    let format = match reading.format {
        Some(format) => format,
        None => Format::of(path, reading)?,
    };
    if reading.is_separated() && !format.is_separated() {
        let cause = format!("a delimiter and a header belong to CSV, and this is read as {format}");
        let error = Error::new(ErrorKind::InvalidArgument, format!("reading {path}"), cause);
        return Err(error.hint("leave them out, or give format: \"csv\""));
    }
    let rows: Box<dyn Rows> = match format {
        Format::Csv => Box::new(CsvRows::open(path, None, reading)?),
        Format::Tsv => Box::new(CsvRows::open(path, Some(b'\t'), reading)?),
        Format::Json => Box::new(JsonRows::open(path)?),
        Format::Jsonl => Box::new(JsonlRows::open(path)?),
        Format::Parquet => Box::new(ParquetRows::open(path)?),
        Format::Text => Box::new(TextRows::open(path)?),
        Format::Files => return Ok(Source::files(Listing::single(path))),
    };
    Ok(Source { format: Some(format), rows })
}

/// The readable start of a name for what is made of a file: `products` of `products.csv.gz`.
pub fn stem(path: &AllowedPath) -> &str {
    let plain = format::unpacked_name(path.as_path());
    if plain == path.as_path() {
        path.stem()
    } else {
        Path::new(path.stem()).file_stem().and_then(|stem| stem.to_str()).unwrap_or(path.stem())
    }
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

    /// Files, one row each.
    pub fn files(listing: Listing) -> Self {
        Self { format: Some(Format::Files), rows: Box::new(FileRows::new(listing)) }
    }

    /// The answers of an earlier job, in our own JSONL format, with the columns of its data set [renamed]. Rows without an
    /// answer are passed over and [noted](Self::notes).
    pub fn answers(path: &AllowedPath, renamed: Vec<(String, String)>) -> Result<Self> {
        Ok(Self { format: None, rows: Box::new(AnswerRows::open(path, renamed)?) })
    }

    /// The format of the file; none for rows given in the call and for answers.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// How the rows are read, for the user: `csv, semicolons, gzip`. Nothing for rows given in the call.
    pub fn described(&self) -> Option<String> {
        let is_told = |detail: &String| self.format != Some(Format::Tsv) || detail != "tabs";
        let details = self.rows.details().into_iter().filter(is_told);
        let words: Vec<String> = self.format.map(|format| format.to_string()).into_iter().chain(details).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// The names of the columns, where the format tells them up front.
    pub fn columns(&self) -> Option<&[String]> {
        self.rows.columns()
    }

    /// The types of these columns, where the format has any.
    pub fn column_types(&self) -> Option<Vec<ColumnType>> {
        self.rows.column_types()
    }

    /// What was passed over so far, to be told to the user.
    pub fn notes(&self) -> Vec<String> {
        self.rows.notes()
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
