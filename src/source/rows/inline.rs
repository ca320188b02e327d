//! Rows that stand in the call itself.

use serde_json::{Map, Value};

use super::Rows;
use crate::error::Result;
use crate::source::row::{Row, RowProblem};

/// Rows held in memory.
pub(in crate::source) struct InlineRows {
    rest: std::vec::IntoIter<Map<String, Value>>,
    row: Map<String, Value>,
    number: u64,
}

impl InlineRows {
    pub(in crate::source) fn new(rows: Vec<Map<String, Value>>) -> Self {
        Self { rest: rows.into_iter(), row: Map::new(), number: 0 }
    }
}

impl Rows for InlineRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        let Some(row) = self.rest.next() else { return Ok(None) };
        self.row = row;
        self.number += 1;
        Ok(Some(Ok(())))
    }

    fn row(&self) -> Row<'_> {
        Row::object(self.number, None, &self.row)
    }
}
