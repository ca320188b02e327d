//! The answers of an earlier job as rows of the next one.

use serde_json::Value;

use super::Rows;
use super::jsonl::JsonlRows;
use crate::error::Result;
use crate::job::Outcome;
use crate::paths::AllowedPath;
use crate::source::row::{Cell, Row, RowProblem};

/// Rows of a file in our answers format, those that hold an answer.
pub(in crate::source) struct AnswerRows {
    lines: JsonlRows,
    skipped: u64,
}

impl AnswerRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        Ok(Self { lines: JsonlRows::open(path)?, skipped: 0 })
    }
}

impl Rows for AnswerRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        loop {
            let step = self.lines.advance()?;
            if !matches!(step, Some(Ok(()))) || is_answered(&self.lines.row()) {
                return Ok(step);
            }
            self.skipped += 1;
        }
    }

    fn row(&self) -> Row<'_> {
        self.lines.row()
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// A response is there, and nothing says that it is not a usable one.
fn is_answered(row: &Row<'_>) -> bool {
    let responded = matches!(row.get("response"), Some(Cell::Json(response)) if !response.is_null());
    let usable = match row.get("outcome") {
        Some(Cell::Json(Value::String(outcome))) => outcome == Outcome::Answered.as_str(),
        _ => true,
    };
    responded && usable
}
