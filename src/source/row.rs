//! One row of a dataset, borrowed from the reader that holds it.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};

/// How many column names a message lists.
const NAMES_SHOWN: usize = 40;

/// What is wrong with text that is in another encoding.
pub(super) const NOT_UTF8: &str =
    "it is not UTF-8 text; save the file as UTF-8 (Latin-1: iconv -f LATIN1 -t UTF-8 FILE > NEW)";

/// What stands in one column of a row.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Cell<'a> {
    /// Text of a CSV or TSV file.
    Text(&'a str),
    /// A JSON value.
    Json(&'a Value),
}

impl<'a> Cell<'a> {
    /// The cell as text: strings as they are, anything else as JSON prints it, null as `None`.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Json(Value::String(text)) => Some(Cow::Borrowed(text)),
            Self::Json(Value::Null) => None,
            Self::Json(other) => Some(Cow::Owned(other.to_string())),
        }
    }

    /// Whether it is text, and nothing but white space.
    pub fn is_blank(self) -> bool {
        self.as_str().is_some_and(|text| text.trim().is_empty())
    }

    /// The text of a cell that is text.
    pub(super) fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(value) => value.as_str(),
        }
    }

    /// The cell as a JSON value.
    pub fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.to_owned()),
            Self::Json(value) => value.clone(),
        }
    }
}

/// A row: its number, and a cell for each column.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    number: u64,
    line: Option<u64>,
    note: Option<&'a Note>,
    cells: Cells<'a>,
}

/// What else is to be told when something is wrong with a row.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Where the row comes from, if its number says little: the path of a file.
    pub(super) place: Option<String>,
    /// A column that other rows have, and why this one does not.
    pub(super) absent: Option<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Cells<'a> {
    Record { columns: &'a [String], record: &'a csv::StringRecord, end: u64 },
    Object(&'a Map<String, Value>),
}

impl<'a> Row<'a> {
    /// A row of a CSV file. The reader was on line `start` before it, blank lines included, and is on
    /// line `end` after it.
    pub(super) fn record(
        number: u64,
        (start, end): (u64, u64),
        columns: &'a [String],
        record: &'a csv::StringRecord,
    ) -> Self {
        Self { number, line: Some(start), note: None, cells: Cells::Record { columns, record, end } }
    }

    pub(super) fn object(number: u64, line: Option<u64>, object: &'a Map<String, Value>) -> Self {
        Self { number, line, note: None, cells: Cells::Object(object) }
    }

    /// The same row of the data set with other cells.
    pub(super) fn with_object(self, object: &'a Map<String, Value>) -> Self {
        Self { cells: Cells::Object(object), ..self }
    }

    /// The same row with more to tell.
    pub(super) fn with_note(self, note: &'a Note) -> Self {
        Self { note: Some(note), ..self }
    }

    /// Which row of the dataset it is, counted from 1. Bad and skipped rows count too.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The line of the file on which the row starts.
    pub fn line(&self) -> Option<u64> {
        let Cells::Record { record, end, .. } = self.cells else { return self.line };
        // Counted back from the end, as blank lines before the row are not part of it.
        let inside = memchr::memchr_iter(b'\n', record.as_slice().as_bytes()).count() as u64;
        self.line.map(|start| start.max(end.saturating_sub(inside + 1)))
    }

    /// What stands in the column of that name.
    pub fn get(&self, column: &str) -> Option<Cell<'a>> {
        match self.cells {
            Cells::Record { columns, record, .. } => {
                let at = columns.iter().position(|name| name == column)?;
                record.get(at).map(Cell::Text)
            }
            Cells::Object(object) => object.get(column).map(Cell::Json),
        }
    }

    /// As [`get`](Self::get), but finds the column of a CSV file without searching for it each time.
    pub fn cell(&self, slot: &Slot) -> Option<Cell<'a>> {
        match self.cells {
            Cells::Record { columns, record, .. } => record.get(slot.position(columns)?).map(Cell::Text),
            Cells::Object(object) => object.get(slot.name()).map(Cell::Json),
        }
    }

    /// The columns in their order.
    pub fn columns(&self) -> impl Iterator<Item = (&'a str, Cell<'a>)> + use<'a> {
        let (record, object) = match self.cells {
            Cells::Record { columns, record, .. } => (Some(columns.iter().zip(record)), None),
            Cells::Object(object) => (None, Some(object)),
        };
        let record = record.into_iter().flatten().map(|(name, text)| (name.as_str(), Cell::Text(text)));
        let object = object.into_iter().flatten().map(|(name, value)| (name.as_str(), Cell::Json(value)));
        record.chain(object)
    }

    /// The row as a JSON object.
    pub fn to_map(&self) -> Map<String, Value> {
        self.columns().map(|(name, cell)| (name.to_owned(), cell.to_value())).collect()
    }

    /// Something about this row that makes it unusable.
    pub fn problem(&self, column: Option<&str>, cause: impl Into<String>) -> RowProblem {
        RowProblem {
            row: self.number,
            line: self.line(),
            place: self.note.and_then(|note| note.place.clone()),
            column: column.map(str::to_owned),
            cause: cause.into(),
        }
    }

    pub(super) fn lacks(&self, column: &str) -> RowProblem {
        let absent = self.note.and_then(|note| note.absent.as_ref());
        if let Some((_, why)) = absent.filter(|(absent, _)| *absent == column) {
            return self.problem(Some(column), format!("it has no {column:?}: {why}"));
        }
        let names = self.columns().map(|(name, _)| name);
        self.problem(Some(column), format!("the row has no column {column:?}; it has {}", listed(names)))
    }

    pub(super) fn is_null(&self, column: &str) -> RowProblem {
        self.problem(
            Some(column),
            format!("the column {column:?} is null; write {{{{ {column} | default(\"\") }}}} to allow that"),
        )
    }
}

/// A row that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct RowProblem {
    /// Which row of the dataset, counted from 1.
    pub row: u64,
    /// The line of the file on which it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Where else it is to be found: the path of its file, or the place of the byte at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The column that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What is wrong with it.
    pub cause: String,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        match (self.line, &self.place) {
            (Some(line), Some(place)) => write!(f, " (line {line}, {place})")?,
            (Some(line), None) => write!(f, " (line {line})")?,
            (None, Some(place)) => write!(f, " ({place})")?,
            (None, None) => {}
        }
        write!(f, ": {}", self.cause)
    }
}

/// A column that a template or a key refers to by name. Remembers where it was found last.
#[derive(Debug)]
pub struct Slot {
    name: String,
    last: AtomicUsize,
}

impl Slot {
    /// A reference to the column of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), last: AtomicUsize::new(0) }
    }

    /// The name of the column.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn position(&self, columns: &[String]) -> Option<usize> {
        let last = self.last.load(Ordering::Relaxed);
        if columns.get(last).is_some_and(|name| *name == self.name) {
            return Some(last);
        }
        let at = columns.iter().position(|name| *name == self.name)?;
        self.last.store(at, Ordering::Relaxed);
        Some(at)
    }
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self::new(self.name.clone())
    }
}

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Column names for a message: quoted where they hold spaces, the first forty.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut text = String::new();
    let mut count = 0usize;
    for name in names {
        count += 1;
        if count > NAMES_SHOWN {
            continue;
        }
        if count > 1 {
            text.push_str(", ");
        }
        let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        text.push_str(&if plain { name.to_owned() } else { format!("{name:?}") });
    }
    if count > NAMES_SHOWN {
        text.push_str(&format!(" and {} more", count - NAMES_SHOWN));
    }
    if text.is_empty() { "no columns".to_owned() } else { text }
}
