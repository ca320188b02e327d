//! Readers of rows, one format a file.

use super::row::{Row, RowProblem};
use crate::error::Result;

pub(super) mod answers;
pub(super) mod csv;
pub(super) mod inline;
pub(super) mod json;
pub(super) mod jsonl;

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

    /// How many rows were passed over.
    fn skipped(&self) -> u64 {
        0
    }
}
