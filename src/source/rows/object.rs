//! The intake of rows that are JSON objects, whether they stand in lines or in an array.

use serde_json::{Map, Value};

use crate::source::bytes::foreign_byte;
use crate::source::row::{NOT_UTF8, Row, RowProblem};

/// The object taken in last, and how many came.
#[derive(Default)]
pub(super) struct Objects {
    row: Map<String, Value>,
    number: u64,
    line: u64,
}

impl Objects {
    /// Reads the bytes of the next row, which stand on that line and at that offset of the text.
    pub(super) fn take(&mut self, line: u64, offset: u64, bytes: &[u8]) -> Result<(), RowProblem> {
        self.number += 1;
        self.line = line;
        let problem = |cause| RowProblem { row: self.number, line: Some(line), place: None, column: None, cause };
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => {
                self.row = object;
                Ok(())
            }
            Ok(other) => Err(problem(format!("a row has to be a JSON object, this is {}", kind(&other)))),
            Err(e) => Err(match foreign_byte(bytes, offset) {
                Some(place) => RowProblem { place: Some(place), ..problem(NOT_UTF8.to_owned()) },
                None => problem(format!("not valid JSON: {e}")),
            }),
        }
    }

    pub(super) fn row(&self) -> Row<'_> {
        Row::object(self.number, Some(self.line), &self.row)
    }

    /// The number of the row that comes next.
    pub(super) fn next_number(&self) -> u64 {
        self.number + 1
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
