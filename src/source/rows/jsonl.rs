//! JSON Lines: one object a line. Blank lines are passed over.

use std::fs::File;

use serde_json::{Map, Value};

use super::Rows;
use crate::error::{Error, Result};
use crate::jsonl::lines::LineReader;
use crate::paths::AllowedPath;
use crate::source::row::{Row, RowProblem};

/// Rows of a JSON Lines file.
pub(in crate::source) struct JsonlRows {
    lines: LineReader<File>,
    act: String,
    row: Map<String, Value>,
    number: u64,
    line: u64,
}

impl JsonlRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        let lines = LineReader::new(path.open()?);
        Ok(Self { lines, act: format!("reading {path}"), row: Map::new(), number: 0, line: 0 })
    }
}

impl Rows for JsonlRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        let line = loop {
            match self.lines.next_line().map_err(|e| Error::io(self.act.clone(), e))? {
                None => return Ok(None),
                Some(line) if line.is_blank() => {}
                Some(line) => break (line.number, object(line.bytes)),
            }
        };
        self.number += 1;
        self.line = line.0;
        Ok(Some(match line.1 {
            Ok(object) => {
                self.row = object;
                Ok(())
            }
            Err(cause) => Err(RowProblem { row: self.number, line: Some(self.line), column: None, cause }),
        }))
    }

    fn row(&self) -> Row<'_> {
        Row::object(self.number, Some(self.line), &self.row)
    }
}

/// The object that `bytes` hold, or what is wrong with them.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!("a row has to be a JSON object, this is {}", kind(&other))),
        Err(e) => Err(format!("not valid JSON: {e}")),
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
