//! Rows that stand in the call itself.

use serde_json::{Map, Number, Value};

use super::Rows;
use crate::error::Result;
use crate::source::row::{Row, RowProblem};

/// Rows held in memory.
pub(in crate::source) struct InlineRows {
    rest: std::vec::IntoIter<Map<String, Value>>,
    row: Map<String, Value>,
    number: u64,
    /// The first number that may have had more digits, and its row.
    first_long: Option<(Number, u64)>,
}

impl InlineRows {
    pub(in crate::source) fn new(rows: Vec<Map<String, Value>>) -> Self {
        Self { rest: rows.into_iter(), row: Map::new(), number: 0, first_long: None }
    }
}

impl Rows for InlineRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        let Some(row) = self.rest.next() else { return Ok(None) };
        self.row = row;
        self.number += 1;
        if self.first_long.is_none() {
            self.first_long = self.row.values().find_map(long).map(|number| (number.clone(), self.number));
        }
        Ok(Some(Ok(())))
    }

    fn row(&self) -> Row<'_> {
        Row::object(self.number, None, &self.row)
    }

    fn notes(&self) -> Vec<String> {
        let note = |(number, row): &(Number, u64)| {
            format!(
                "row {row} holds the number {number}, which may have been rounded: give long numbers as text, in quotes"
            )
        };
        self.first_long.iter().map(note).collect()
    }
}

/// A number beyond 64 bits: it was rounded before it came here, unless it ends in zeros.
fn long(value: &Value) -> Option<&Number> {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            Some(number).filter(|_| number.as_f64().is_some_and(|read| read.abs() >= BEYOND))
        }
        Value::Array(items) => items.iter().find_map(long),
        Value::Object(fields) => fields.values().find_map(long),
        _ => None,
    }
}
