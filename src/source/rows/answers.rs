//! The answers of an earlier job as rows of the next one.

use serde_json::{Map, Value};

use super::Rows;
use super::jsonl::JsonlRows;
use crate::error::Result;
use crate::job::Outcome;
use crate::job::outcome::counted;
use crate::paths::AllowedPath;
use crate::source::exact;
use crate::source::row::{Cell, Note, Row, RowProblem};

/// Keys without an answer that are named.
const NAMED: usize = 3;
const PARSED: &str = "parsed";
/// Columns that are the job's own, whatever its data set has.
const OWN: [&str; 4] = ["key", "answer", PARSED, "response"];

/// The columns of a data set that are called otherwise in the rows of a next stage: the name there, and the name here,
/// `source_answer`. It is none that a file of the job's answers gives to anything else. Where a column of the data set is
/// the `key`, it is the job's own.
pub fn renamed(columns: &[String], key: Option<&str>) -> Vec<(String, String)> {
    let mut renamed: Vec<(String, String)> = Vec::new();
    for name in columns.iter().filter(|name| OWN.contains(&name.as_str()) && key != Some(name)) {
        let is_taken = |free: &str| {
            OWN.contains(&free)
                || columns.iter().any(|column| column == free)
                || renamed.iter().any(|(_, taken)| taken == free)
        };
        let free = free_name(&format!("source_{name}"), is_taken);
        renamed.push((name.clone(), free));
    }
    renamed
}

/// The name, or with the first number from 2 that makes it differ from all names taken.
pub fn free_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// Rows of a file in our answers format, those that hold an answer.
///
/// A row has the columns of the data set that the earlier job was made of, where they are known, called
/// [otherwise](renamed) where they would hide one of its own: `key`; `answer`, its text, of a single string in JSON
/// without the quotes; `parsed`, what the text says if it is JSON; and `response`, the answer with its details.
pub(in crate::source) struct AnswerRows {
    lines: JsonlRows,
    row: Map<String, Value>,
    renamed: Vec<(String, String)>,
    note: Note,
    unanswered: Unanswered,
    /// Answers that are no text: pictures, sounds, vectors.
    raw: i64,
}

impl AnswerRows {
    pub(in crate::source) fn open(path: &AllowedPath, renamed: Vec<(String, String)>) -> Result<Self> {
        Ok(Self {
            lines: JsonlRows::open(path)?,
            row: Map::new(),
            renamed,
            note: Note { place: None, absent: Some((PARSED, "the answer is not JSON".to_owned())) },
            unanswered: Unanswered::default(),
            raw: 0,
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
                self.raw += i64::from(is_raw(&line));
                self.row = flattened(line.to_map(), &self.renamed);
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
        let raw = (self.raw > 0).then(|| {
            format!(
                "{} of the earlier job {} no text (a picture, a sound or a vector): {{{{ answer }}}} puts raw data into a prompt; \
                 get_results with join: true writes pictures and sounds as files, which its column media names for attach",
                counted(self.raw, "answer"),
                if self.raw == 1 { "holds" } else { "hold" }
            )
        });
        self.unanswered.note().into_iter().chain(raw).chain(self.lines.notes()).collect()
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

fn is_raw(row: &Row<'_>) -> bool {
    let Some(Cell::Json(response)) = row.get("response") else { return false };
    response.get("text").is_none() && ["embedding", "media"].iter().any(|name| response.get(*name).is_some())
}

/// One level: the source's columns, then those of the answer.
fn flattened(mut line: Map<String, Value>, renamed: &[(String, String)]) -> Map<String, Value> {
    let here = |name: String| renamed.iter().find(|(there, _)| *there == name).map_or(name, |(_, here)| here.clone());
    let mut row: Map<String, Value> = match line.shift_remove("source") {
        Some(Value::Object(source)) => source.into_iter().map(|(name, value)| (here(name), value)).collect(),
        _ => Map::new(),
    };
    let asked_for = line.get("response").and_then(|response| response.get(PARSED)).cloned();
    let answer = asked_for.clone().filter(Value::is_string).or_else(|| line.get("response").map(answer));
    let parsed = asked_for.or_else(|| answer.as_ref().and_then(Value::as_str).and_then(parsed));
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
    exact::from_slice(text.as_bytes()).ok().map(|(value, _)| value)
}
