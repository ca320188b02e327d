//! What a table of answers holds: the row, or the key; what was answered; what became of it.
//!
//! | column | |
//! |---|---|
//! | `key`, or with a join the columns of the source | |
//! | a column for each field of the schema that was asked for | nested values as JSON |
//! | `answer` | the text, or what came in its place; with fields only what they do not hold |
//! | `media` | the files with the pictures and sounds, where there are any |
//! | `outcome`, `error`, `input_tokens`, `output_tokens` | |
//!
//! Of columns with one name those of the source keep it, before those that every table has, before the fields.

use std::borrow::Cow;
use std::io;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::Answer;
use super::fields::{Column, Fields, Kind, one_line};
use super::record::Record;
use crate::job::Outcome;
use crate::source::{Cell, Style, free_name};

/// What the answers of one job have in common, as far as a file of them depends on it.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// The columns of the source, with a join.
    pub columns: Vec<Column>,
    /// Which of them is the key: it is known of a request whose row is there no more, too.
    pub key: Option<usize>,
    /// The fields that were asked for.
    pub fields: Fields,
    /// Answers are to be JSON.
    pub json: bool,
    /// Answers are vectors.
    pub vectors: bool,
    /// There are pictures or sounds among them.
    pub media: bool,
    /// How the source is written.
    pub style: Style,
}

/// The columns of a table.
pub(super) struct Table {
    pub(super) columns: Vec<(Column, Holds)>,
    /// Columns that had to be named otherwise: the name meant and the name given.
    pub(super) renamed: Vec<(String, String)>,
    fields: Fields,
    key: Option<usize>,
    /// Answers are JSON.
    json: bool,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Key,
    Source(usize),
    Field(usize),
    Answer,
    Media,
    Outcome,
    Error,
    InputTokens,
    OutputTokens,
}

impl Table {
    pub(super) fn new(shape: &Shape) -> Self {
        let (fields, key) = (shape.fields.clone(), shape.key);
        let mut table = Self { columns: Vec::new(), renamed: Vec::new(), fields, key, json: shape.json };
        let source = shape.columns.iter().cloned().enumerate();
        table.columns.extend(source.map(|(number, column)| (column, Holds::Source(number))));
        if table.columns.is_empty() {
            table.columns.push((Column::text("key"), Holds::Key));
        }
        let before_answers = table.columns.len();
        table.add("answer", if shape.vectors { Kind::Vector } else { Kind::Text }, Holds::Answer);
        if shape.media {
            table.add("media", Kind::Text, Holds::Media);
        }
        table.add("outcome", Kind::Text, Holds::Outcome);
        table.add("error", Kind::Text, Holds::Error);
        table.add("input_tokens", Kind::Integer, Holds::InputTokens);
        table.add("output_tokens", Kind::Integer, Holds::OutputTokens);
        for (number, field) in shape.fields.columns().iter().enumerate() {
            table.insert(before_answers + number, &field.name, field.kind, Holds::Field(number));
        }
        table
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(column, _)| column.name.as_str())
    }

    /// Hands over the cells of a record, in the order of the columns.
    pub(super) fn fill(
        &self,
        record: &Record<'_>,
        mut put: impl FnMut(&Column, TableCell<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let answer = record.answer;
        // What is not as it was asked for stands in the answer alone: nobody takes it for a value.
        let parsed = self.fields.read(answer.text.as_deref().filter(|_| answer.outcome == Outcome::Answered));
        for (column, holds) in &self.columns {
            let cell = match holds {
                Holds::Key => TableCell::Text(Cow::Borrowed(record.key)),
                Holds::Source(number) if record.source.is_empty() && self.key == Some(*number) => {
                    TableCell::Text(Cow::Borrowed(record.key))
                }
                Holds::Source(number) => source_cell(record, *number),
                Holds::Field(number) => parsed.field(*number).map_or(TableCell::Nothing, TableCell::Json),
                Holds::Answer if parsed.whole => TableCell::Nothing,
                Holds::Answer => answer_cell(answer, self.json),
                Holds::Media => media_cell(record),
                Holds::Outcome => record.asked.then(|| Cow::Borrowed(answer.outcome.as_str())).into(),
                Holds::Error => Some(answer.complaint()).filter(|text| !text.is_empty()).into(),
                Holds::InputTokens => answer.usage.map(|usage| usage.input_tokens).into(),
                Holds::OutputTokens => answer.usage.map(|usage| usage.output_tokens).into(),
            };
            put(column, cell)?;
        }
        Ok(())
    }

    fn add(&mut self, name: &str, kind: Kind, holds: Holds) {
        self.insert(self.columns.len(), name, kind, holds);
    }

    fn insert(&mut self, place: usize, name: &str, kind: Kind, holds: Holds) {
        let free = free_name(name, |name| self.names().any(|taken| taken == name));
        if free != name {
            self.renamed.push((name.to_owned(), free.clone()));
        }
        self.columns.insert(place, (Column { name: free, kind }, holds));
    }
}

fn source_cell<'a>(record: &Record<'a>, number: usize) -> TableCell<'a> {
    match record.source.get(number).copied().flatten() {
        None => TableCell::Nothing,
        Some(Cell::Text(text)) => TableCell::Text(Cow::Borrowed(text)),
        Some(Cell::Json(value)) => TableCell::Value(value),
    }
}

/// The text, or what came in its place; in `json` a single string without its quotes. Pictures and sounds have a column
/// of their own.
fn answer_cell<'a>(answer: &'a Answer<'a>, json: bool) -> TableCell<'a> {
    let string = |text: &str| serde_json::from_str(text).ok().filter(|_: &String| json);
    match (&answer.text, answer.embedding) {
        (Some(text), _) => TableCell::Text(string(text).map_or(Cow::Borrowed(text), Cow::Owned)),
        (None, Some(vector)) => TableCell::Json(vector),
        (None, None) if answer.calls.is_empty() => TableCell::Nothing,
        (None, None) => TableCell::Text(answer.cell()),
    }
}

/// The path of the file; of several as a JSON array.
fn media_cell<'a>(record: &Record<'a>) -> TableCell<'a> {
    let files: Vec<&str> = record.media.iter().flatten().map(String::as_str).collect();
    match files.as_slice() {
        [] => TableCell::Nothing,
        [file] => TableCell::Text(Cow::Borrowed(file)),
        files => TableCell::Text(Cow::Owned(serde_json::to_string(files).unwrap_or_default())),
    }
}

/// What stands in one cell.
#[derive(Debug, Clone)]
pub(super) enum TableCell<'a> {
    Nothing,
    Text(Cow<'a, str>),
    /// JSON as it came.
    Json(&'a RawValue),
    Value(&'a Value),
    Count(i64),
}

impl<'a> From<Option<Cow<'a, str>>> for TableCell<'a> {
    fn from(text: Option<Cow<'a, str>>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

impl From<Option<i64>> for TableCell<'_> {
    fn from(count: Option<i64>) -> Self {
        count.map_or(Self::Nothing, Self::Count)
    }
}

impl TableCell<'_> {
    /// The cell as text: strings as they are, anything else as JSON prints it, nothing and null as `None`.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Nothing => None,
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Json(value) if value.get() == "null" => None,
            Self::Json(value) if value.get().starts_with('"') => serde_json::from_str(value.get()).ok().map(Cow::Owned),
            Self::Json(value) => Some(Cow::Borrowed(value.get())),
            Self::Value(value) => Cell::Json(value).text(),
            Self::Count(count) => Some(Cow::Owned(count.to_string())),
        }
    }
}

impl Serialize for TableCell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(value) => one_line(value).map_err(serde::ser::Error::custom)?.serialize(serializer),
            Self::Value(value) => value.serialize(serializer),
            Self::Count(count) => serializer.serialize_i64(*count),
        }
    }
}
