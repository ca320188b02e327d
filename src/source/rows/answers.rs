//! The answers of an earlier job as rows of the next one.

use serde_json::{Map, Value};

use super::Rows;
use super::jsonl::JsonlRows;
use crate::error::Result;
use crate::job::Outcome;
use crate::paths::AllowedPath;
use crate::source::row::{Cell, Row, RowProblem};

/// Rows of a file in our answers format, those that hold an answer.
///
/// A row has the columns of the data set that the earlier job was made of, where they are known; then
/// `key`; `answer`, its text; and `response`, the answer with its details.
pub(in crate::source) struct AnswerRows {
    lines: JsonlRows,
    row: Map<String, Value>,
    skipped: u64,
}

impl AnswerRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        Ok(Self { lines: JsonlRows::open(path)?, row: Map::new(), skipped: 0 })
    }
}

impl Rows for AnswerRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        loop {
            let step = self.lines.advance()?;
            if !matches!(step, Some(Ok(()))) {
                return Ok(step);
            }
            if is_answered(&self.lines.row()) {
                self.row = flattened(self.lines.row().to_map());
                return Ok(step);
            }
            self.skipped += 1;
        }
    }

    fn row(&self) -> Row<'_> {
        self.lines.row().with_object(&self.row)
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

/// One level: the source's columns, then those of the answer, which win.
fn flattened(mut line: Map<String, Value>) -> Map<String, Value> {
    let mut row = match line.shift_remove("source") {
        Some(Value::Object(source)) => source,
        _ => Map::new(),
    };
    let answer = line.get("response").map(answer);
    for (name, value) in
        [("key", line.shift_remove("key")), ("answer", answer), ("response", line.shift_remove("response"))]
    {
        if let Some(value) = value {
            row.insert(name.to_owned(), value);
        }
    }
    row
}

/// The text of a response, or the vector; else all of it.
fn answer(response: &Value) -> Value {
    let part = response.get("text").or_else(|| response.get("embedding"));
    part.unwrap_or(response).clone()
}
