//! The intake of rows that are JSON objects, whether they stand in lines or in an array.

use serde_json::{Map, Value};

use crate::job::outcome::counted;
use crate::job::text::clip;
use crate::source::bytes::foreign_byte;
use crate::source::exact;
use crate::source::row::{NOT_UTF8, Row, RowProblem};

/// How much of a long number is shown.
const SHOWN: usize = 60;

/// The object taken in last, and how many came.
#[derive(Default)]
pub(super) struct Objects {
    row: Map<String, Value>,
    number: u64,
    line: u64,
    /// How many rows hold numbers with more digits than a number keeps, and the first such number with its line.
    long: i64,
    first_long: Option<(String, u64)>,
}

impl Objects {
    /// Reads the bytes of the next row, which stand on that line and at that offset of the text.
    pub(super) fn take(&mut self, line: u64, offset: u64, bytes: &[u8]) -> Result<(), RowProblem> {
        self.number += 1;
        self.line = line;
        let problem = |cause| RowProblem { row: self.number, line: Some(line), place: None, column: None, cause };
        match exact::from_slice(bytes) {
            Ok((Value::Object(object), long)) => {
                self.row = object;
                if let Some(long) = long {
                    self.long += 1;
                    self.first_long.get_or_insert_with(|| (clip(long, SHOWN), line));
                }
                Ok(())
            }
            Ok((other, _)) => Err(problem(format!("a row has to be a JSON object, this is {}", kind(&other)))),
            Err(e) => Err(match foreign_byte(bytes, offset) {
                Some(place) => RowProblem { place: Some(place), ..problem(NOT_UTF8.to_owned()) },
                None => problem(format!("not valid JSON: {e}")),
            }),
        }
    }

    /// That numbers were read as text.
    pub(super) fn note(&self) -> Option<String> {
        let (first, line) = self.first_long.as_ref()?;
        let (rows, hold) = (counted(self.long, "row"), if self.long == 1 { "holds" } else { "hold" });
        Some(format!(
            "{rows} {hold} numbers with more digits than a number keeps, first {first} in line {line}: they are read as \
             text, with all their digits"
        ))
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
