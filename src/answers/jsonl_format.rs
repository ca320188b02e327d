//! `jsonl`: one JSON object a line.
//!
//! ```json
//! {"key":"r-1","response":{"text":"4","finish_reason":"STOP","usage":{"input_tokens":8,"output_tokens":11}},"outcome":"answered"}
//! {"key":"r-2","error":{"code":8,"status":"RESOURCE_EXHAUSTED","message":"…"},"outcome":"failed"}
//! ```
//!
//! A row that answered in part has both `response` and `error`. With a join the source row is in `source`.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::job::{Outcome, Usage};

use super::record::Record;
use super::write::{Layout, Sink};
use super::{Answer, Call, Media};
use crate::source::Cell;

pub(super) struct JsonlLayout {
    sink: Sink,
    columns: Vec<String>,
}

impl JsonlLayout {
    pub(super) fn new(sink: Sink, columns: &[String]) -> Self {
        Self { sink, columns: columns.to_vec() }
    }
}

impl Layout for JsonlLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        write_object(&mut self.sink, record, &self.columns)?;
        self.sink.write_all(b"\n")
    }

    fn finish(self: Box<Self>) -> io::Result<Sink> {
        Ok(self.sink)
    }
}

/// Writes a record as one JSON object on one line.
pub(super) fn write_object(sink: &mut Sink, record: &Record<'_>, columns: &[String]) -> io::Result<()> {
    serde_json::to_writer(sink, &Object::new(record, columns)).map_err(io::Error::from)
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
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    media: &'a [Media<'a>],
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

struct SourceRow<'a> {
    columns: &'a [String],
    cells: &'a [Cell<'a>],
}

impl Serialize for SourceRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            map.serialize_entry(column, cell)?;
        }
        map.end()
    }
}

impl<'a> Object<'a> {
    fn new(record: &Record<'a>, columns: &'a [String]) -> Self {
        let answer = record.answer;
        Self {
            key: record.key,
            response: response(answer),
            error: complaint(answer),
            outcome: answer.outcome,
            generation: Some(answer.generation).filter(|generation| *generation > 0),
            source: (!columns.is_empty()).then_some(SourceRow { columns, cells: record.source }),
        }
    }
}

/// What the API responded, if it did.
fn response<'a>(answer: &'a Answer<'a>) -> Option<Response<'a>> {
    let came = answer.outcome == Outcome::Answered
        || answer.text.is_some()
        || answer.usage.is_some()
        || answer.finish_reason.is_some()
        || answer.model_version.is_some();
    came.then(|| Response {
        text: answer.text.as_deref(),
        embedding: answer.embedding,
        finish_reason: answer.finish_reason.as_deref(),
        usage: answer.usage,
        model_version: answer.model_version.as_deref(),
        media: &answer.media,
        function_calls: &answer.calls,
    })
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
