//! One row on its way out.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::Answer;

/// One value of a source row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell<'a> {
    /// Text as it stands in the source.
    Text(&'a str),
    /// A JSON value, from a source that has types.
    Json(&'a Value),
}

impl<'a> Cell<'a> {
    /// The value as the text of a table cell: strings bare, null empty, the rest as JSON.
    pub fn as_text(&self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Json(Value::String(text)) => Cow::Borrowed(text),
            Self::Json(Value::Null) => Cow::Borrowed(""),
            Self::Json(value) => Cow::Owned(value.to_string()),
        }
    }
}

/// One request with its answer.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The key of the request.
    pub key: &'a str,
    /// What became of it.
    pub answer: &'a Answer<'a>,
    /// The result line as it came, if one came.
    pub raw: Option<&'a [u8]>,
    /// The row that the request was made of: one cell a column, empty without a join.
    pub source: &'a [Cell<'a>],
}
