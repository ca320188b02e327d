//! The answers of an earlier job as rows of the next one.

use serde_json::{Map, Value};

use super::Rows;
use super::jsonl::JsonlRows;
use crate::error::Result;
use crate::job::Outcome;
use crate::job::outcome::counted;
use crate::paths::AllowedPath;
use crate::source::row::{Cell, Note, Row, RowProblem};

/// Keys without an answer that are named.
const NAMED: usize = 3;
const PARSED: &str = "parsed";

/// Rows of a file in our answers format, those that hold an answer.
///
/// A row has the columns of the data set that the earlier job was made of, where they are known; then
/// `key`; `answer`, its text; `parsed`, what the text says if it is JSON; and `response`, the answer with its details.
pub(in crate::source) struct AnswerRows {
    lines: JsonlRows,
    row: Map<String, Value>,
    note: Note,
    unanswered: Unanswered,
}

impl AnswerRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        Ok(Self {
            lines: JsonlRows::open(path)?,
            row: Map::new(),
            note: Note { place: None, absent: Some((PARSED, "the answer is not JSON".to_owned())) },
            unanswered: Unanswered::default(),
        })
    }
}

impl Rows for AnswerRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        loop {
            let step = self.lines.advance()?;
            if !matches!(step, Some(Ok(()))) {
                return Ok(step);
            }
            let line = self.lines.row();
            if is_answered(&line) {
                self.row = flattened(line.to_map());
                return Ok(step);
            }
            self.unanswered.add(&line);
        }
    }

    fn row(&self) -> Row<'_> {
        self.lines.row().with_object(&self.row).with_note(&self.note)
    }

    fn details(&self) -> Vec<String> {
        vec!["answers".to_owned()]
    }

    fn notes(&self) -> Vec<String> {
        self.unanswered.note().into_iter().collect()
    }
}

/// Requests of the earlier job that go no further.
#[derive(Default)]
struct Unanswered {
    /// How many ended with each outcome, in the order of first sight.
    outcomes: Vec<(String, i64)>,
    keys: Vec<String>,
}

impl Unanswered {
    fn add(&mut self, line: &Row<'_>) {
        let text = |column| line.get(column).and_then(Cell::text).map(|text| text.into_owned());
        let outcome = text("outcome").unwrap_or_else(|| Outcome::Missing.as_str().to_owned());
        match self.outcomes.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => self.outcomes.push((outcome, 1)),
        }
        if self.keys.len() < NAMED {
            self.keys.extend(text("key"));
        }
    }

    /// "3 requests of the earlier job have no answer and are left out: 2 blocked, 1 failed (r-1, r-7…)".
    fn note(&self) -> Option<String> {
        let total: i64 = self.outcomes.iter().map(|(_, count)| count).sum();
        let outcomes: Vec<_> = self.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let more = if total > NAMED as i64 { "…" } else { "" };
        let (have, are) = if total == 1 { ("has", "is") } else { ("have", "are") };
        (total > 0).then(|| {
            let requests = counted(total, "request");
            let (outcomes, keys) = (outcomes.join(", "), self.keys.join(", "));
            format!("{requests} of the earlier job {have} no answer and {are} left out: {outcomes} ({keys}{more})")
        })
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
    row.shift_remove(PARSED);
    let answer = line.get("response").map(answer);
    let parsed = answer.as_ref().and_then(Value::as_str).and_then(parsed);
    for (name, value) in [
        ("key", line.shift_remove("key")),
        ("answer", answer),
        (PARSED, parsed),
        ("response", line.shift_remove("response")),
    ] {
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

/// The object or the list that an answer is, a Markdown fence around it taken off.
fn parsed(answer: &str) -> Option<Value> {
    let text = answer.trim();
    let inside = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    let text = inside.map_or(text, |text| text.strip_prefix("json").unwrap_or(text).trim());
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}
