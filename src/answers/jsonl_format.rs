//! `jsonl`: one JSON object a line.
//!
//! ```json
//! {"key":"r-1","response":{"text":"4","finish_reason":"STOP","usage":{"input_tokens":8,"output_tokens":11}},"outcome":"answered"}
//! {"key":"r-2","error":{"code":8,"status":"RESOURCE_EXHAUSTED","message":"…"},"outcome":"failed"}
//! ```
//!
//! An answer in JSON is in `response.parsed` too, where JSON was asked for. A row that answered in part has both `response` and `error`. With a join the source row is in `source`.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::job::{Outcome, Usage};

use super::fields::json_line;
use super::layout::{Finished, Layout, Sink};
use super::record::Record;
use super::table::Shape;
use super::{Answer, Call, Media};
use crate::source::Cell;

pub(super) struct JsonlLayout {
    sink: Sink,
    objects: Objects,
}

impl JsonlLayout {
    pub(super) fn new(sink: Sink, shape: &Shape) -> Self {
        Self { sink, objects: Objects::new(shape) }
    }
}

impl Layout for JsonlLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.objects.write(&mut self.sink, record)?;
        self.sink.write_all(b"\n")
    }

    fn finish(self: Box<Self>) -> io::Result<Finished> {
        Ok(self.sink.into())
    }
}

/// Writes records as JSON objects, each on one line.
pub(super) struct Objects {
    columns: Vec<String>,
    /// Answers are JSON, and are given parsed too.
    json: bool,
}

impl Objects {
    pub(super) fn new(shape: &Shape) -> Self {
        Self { columns: shape.columns.iter().map(|column| column.name.clone()).collect(), json: shape.json }
    }

    pub(super) fn write(&self, sink: &mut Sink, record: &Record<'_>) -> io::Result<()> {
        let text = record.answer.text.as_deref().filter(|_| self.json);
        let object = Object::new(record, &self.columns, text.and_then(json_line));
        serde_json::to_writer(sink, &object).map_err(io::Error::from)
    }
}

/// Writes which request a record is of: its key, and the source row with a join.
pub(super) fn write_name(sink: impl Write, record: &Record<'_>, columns: &[String]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Name<'a> {
        key: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<SourceRow<'a>>,
    }
    serde_json::to_writer(sink, &Name { key: record.key, source: SourceRow::of(record, columns) })
        .map_err(io::Error::from)
}

#[derive(Serialize)]
struct Object<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Complaint<'a>>,
    outcome: Outcome,
    /// Which retry answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceRow<'a>>,
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// The text as JSON, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media: Vec<Medium<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    function_calls: &'a [Call<'a>],
}

#[derive(Serialize)]
struct Complaint<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
    /// The name of the code, in an error of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    /// What else kept the answer from being one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// A picture or sound.
#[derive(Serialize)]
struct Medium<'a> {
    #[serde(flatten)]
    media: &'a Media<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
}

struct SourceRow<'a> {
    columns: &'a [String],
    cells: &'a [Option<Cell<'a>>],
}

impl<'a> SourceRow<'a> {
    fn of(record: &Record<'a>, columns: &'a [String]) -> Option<Self> {
        (!columns.is_empty()).then_some(Self { columns, cells: record.source })
    }
}

impl Serialize for SourceRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            if let Some(cell) = cell {
                map.serialize_entry(column, cell)?;
            }
        }
        map.end()
    }
}

impl<'a> Object<'a> {
    fn new(record: &Record<'a>, columns: &'a [String], parsed: Option<Box<RawValue>>) -> Self {
        let answer = record.answer;
        Self {
            key: record.key,
            response: response(record, parsed),
            error: complaint(answer),
            outcome: answer.outcome,
            generation: Some(answer.generation).filter(|generation| *generation > 0),
            source: SourceRow::of(record, columns),
        }
    }
}

/// What the API responded, if it did.
fn response<'a>(record: &Record<'a>, parsed: Option<Box<RawValue>>) -> Option<Response<'a>> {
    let answer = record.answer;
    let came = answer.outcome == Outcome::Answered
        || answer.text.is_some()
        || answer.usage.is_some()
        || answer.finish_reason.is_some()
        || answer.model_version.is_some();
    came.then(|| Response {
        text: answer.text.as_deref(),
        parsed,
        embedding: answer.embedding,
        finish_reason: answer.finish_reason.as_deref(),
        usage: answer.usage,
        model_version: answer.model_version.as_deref(),
        media: media(record),
        function_calls: &answer.calls,
    })
}

/// The pictures and sounds, each with its file if it has one.
fn media<'a>(record: &Record<'a>) -> Vec<Medium<'a>> {
    let files = record.media.iter().map(Option::as_deref).chain(std::iter::repeat(None));
    record.answer.media.iter().zip(files).map(|(media, file)| Medium { media, file }).collect()
}

/// Why the row did not answer; nothing if it did, or still may.
fn complaint<'a>(answer: &'a Answer<'a>) -> Option<Complaint<'a>> {
    let word = answer.reason.as_deref();
    let is_status = answer.code.is_some();
    let failed = !matches!(answer.outcome, Outcome::Answered | Outcome::Pending);
    failed.then(|| Complaint {
        code: answer.code,
        status: word.filter(|_| is_status),
        reason: word.filter(|_| !is_status),
        message: answer.message.as_deref(),
    })
}
