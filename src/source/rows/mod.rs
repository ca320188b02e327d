//! Readers of rows, one format a file.

use super::column_type::ColumnType;
use super::row::{Row, RowProblem};
use crate::error::Result;

pub(super) mod answers;
mod bounded;
pub(super) mod csv;
pub(super) mod files;
pub(super) mod inline;
pub(super) mod json;
pub(super) mod jsonl;
mod object;
pub(super) mod parquet;
mod parquet_value;
pub(super) mod text;

/// A row may not be longer than this: more is a quote or a bracket that is never closed.
pub(super) const LONGEST_ROW: usize = 64 * 1024 * 1024;

/// A dataset that is walked row by row: [`advance`](Self::advance), then look at the [`row`](Self::row).
pub(super) trait Rows: Send {
    /// Moves to the next row; `None` at the end. A bad row is an item, an error is the end of reading.
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>>;

    /// The row moved to last.
    fn row(&self) -> Row<'_>;

    /// The columns, where they are known before the first row.
    fn columns(&self) -> Option<&[String]> {
        None
    }

    /// The types of these columns, where the format has any.
    fn column_types(&self) -> Option<Vec<ColumnType>> {
        None
    }

    /// How the format was read, in a few words: what separates fields, what the file was packed with.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    /// What was passed over so far, to be told to the user.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
