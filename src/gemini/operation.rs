//! A batch: as the wire spells it, and as the rest of the program sees it.
//!
//! The wire sends an `Operation`. What it may leave out, spell in two ways or add is listed in the
//! API reference, §3.3; all of it is read here and nowhere else.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::json::{lenient_number, lenient_time, number_or_text};
use super::plain::plain;
use crate::job::{JobState, Kind};

/// A batch as the API knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteBatch {
    /// `batches/…`.
    pub name: String,
    /// The name that its creator gave it.
    pub display_name: Option<String>,
    /// What it asks for, where the API says.
    pub kind: Option<Kind>,
    /// `models/…`; empty if the API did not say.
    pub model: String,
    /// Where it stands.
    pub state: JobState,
    /// The state in the wire's own word; empty if the API did not say.
    pub wire_state: String,
    /// How many requests have come how far.
    pub counts: RemoteCounts,
    /// When it was created.
    pub create_time: Option<DateTime<Utc>>,
    /// When it last changed.
    pub update_time: Option<DateTime<Utc>>,
    /// When it ended.
    pub end_time: Option<DateTime<Utc>>,
    /// The file that it reads, `files/…`, unless the requests came inline.
    pub input_file: Option<String>,
    /// Where its results are.
    pub output: RemoteOutput,
    /// Why it failed.
    pub error: Option<RemoteError>,
    /// What else the API said of it.
    pub other: Map<String, Value>,
}

/// How many requests of a batch have come how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteCounts {
    /// All requests.
    pub total: Option<i64>,
    /// Requests with a response, whatever it is worth.
    pub succeeded: Option<i64>,
    /// Requests with an error.
    pub failed: Option<i64>,
    /// Requests that wait or run.
    pub pending: Option<i64>,
}

/// Where the results of a batch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteOutput {
    /// Nowhere: there are none, or none yet, or a list left them out. A batch may be
    /// [`Succeeded`](JobState::Succeeded) a while before its output is there.
    None,
    /// In a file, to be fetched with [`Gemini::download`](super::Gemini::download).
    File(String),
    /// In the batch itself, to be fetched with [`Gemini::inline_results`](super::Gemini::inline_results).
    Inline,
}

/// Why a batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteError {
    /// A gRPC number as text, or a word; empty if the API gave none.
    pub code: String,
    /// The API's message, on one line.
    pub message: String,
}

/// A batch, read from an `Operation`.
#[derive(Deserialize)]
#[serde(try_from = "Operation")]
pub(super) struct WireBatch(pub(super) RemoteBatch);

#[derive(Deserialize)]
struct Operation {
    name: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(default)]
    error: Option<WireError>,
    #[serde(default)]
    response: Option<Output>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    #[serde(rename = "@type")]
    message_type: Option<String>,
    name: Option<String>,
    model: Option<String>,
    display_name: Option<String>,
    state: Option<String>,
    input_config: Option<InputConfig>,
    batch_stats: Option<BatchStats>,
    #[serde(deserialize_with = "lenient_time")]
    create_time: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "lenient_time")]
    update_time: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "lenient_time")]
    end_time: Option<DateTime<Utc>>,
    output: Option<Output>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct InputConfig {
    file_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct BatchStats {
    #[serde(deserialize_with = "lenient_number")]
    request_count: Option<i64>,
    #[serde(deserialize_with = "lenient_number")]
    successful_request_count: Option<i64>,
    #[serde(deserialize_with = "lenient_number")]
    failed_request_count: Option<i64>,
    #[serde(deserialize_with = "lenient_number")]
    pending_request_count: Option<i64>,
}

/// `response` of the operation, or `output` of its metadata.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Output {
    responses_file: Option<String>,
    inlined_responses: Option<InlinedResponses>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct InlinedResponses {
    inlined_responses: Option<NotEmpty>,
}

/// Whether a list has at least one element; the elements are passed over.
struct NotEmpty(bool);

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireError {
    code: Value,
    message: Option<String>,
}

impl<'de> Deserialize<'de> for NotEmpty {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<IgnoredAny>::deserialize(deserializer).map(|list| Self(!list.is_empty()))
    }
}

/// The code of an operation that was cancelled (google.rpc.Code).
const CANCELLED: &str = "1";

impl TryFrom<Operation> for WireBatch {
    type Error = &'static str;

    fn try_from(operation: Operation) -> Result<Self, Self::Error> {
        let metadata = operation.metadata.unwrap_or_default();
        let wire_state = metadata.state.unwrap_or_default();
        let error = operation.error.map(WireError::into_remote);
        let done = operation.done.unwrap_or(false);
        Ok(Self(RemoteBatch {
            name: operation.name.or(metadata.name).ok_or("the batch has no name")?,
            display_name: metadata.display_name.filter(|name| !name.is_empty()),
            kind: metadata.message_type.as_deref().and_then(kind),
            model: metadata.model.unwrap_or_default(),
            state: state(&wire_state, done, error.as_ref()),
            wire_state,
            counts: metadata.batch_stats.map(BatchStats::into_counts).unwrap_or_default(),
            create_time: metadata.create_time,
            update_time: metadata.update_time,
            end_time: metadata.end_time,
            input_file: metadata.input_config.and_then(|input| input.file_name).filter(|name| !name.is_empty()),
            output: output(operation.response, metadata.output),
            error,
            other: metadata.other,
        }))
    }
}

/// What the batch asks for, by the name of its message; the version in front of it is not to be relied on.
fn kind(message_type: &str) -> Option<Kind> {
    match message_type.rsplit('.').next()? {
        "GenerateContentBatch" => Some(Kind::Generate),
        "EmbedContentBatch" => Some(Kind::Embed),
        _ => None,
    }
}

/// The state, also where the wire gives no word for it. What is done has ended, whatever the word: it may be one that
/// nobody knows yet, or be late.
fn state(word: &str, done: bool, error: Option<&RemoteError>) -> JobState {
    let told = if word.is_empty() { JobState::Pending } else { JobState::parse(word) };
    match error {
        _ if !done || told.is_terminal() => told,
        Some(error) if error.code == CANCELLED => JobState::Cancelled,
        Some(_) => JobState::Failed,
        None => JobState::Succeeded,
    }
}

/// The first place that has results; a file counts before what is inline.
fn output(response: Option<Output>, metadata: Option<Output>) -> RemoteOutput {
    let places: Vec<_> = [response, metadata].into_iter().flatten().collect();
    if let Some(file) = places.iter().find_map(Output::file) {
        return RemoteOutput::File(file.to_owned());
    }
    if places.iter().any(Output::is_inline) { RemoteOutput::Inline } else { RemoteOutput::None }
}

impl Output {
    fn file(&self) -> Option<&str> {
        self.responses_file.as_deref().filter(|name| !name.is_empty())
    }

    fn is_inline(&self) -> bool {
        let list = self.inlined_responses.as_ref().and_then(|outer| outer.inlined_responses.as_ref());
        list.is_some_and(|list| list.0)
    }
}

impl BatchStats {
    /// Zero counters are left out on the wire; none at all are unknown.
    fn into_counts(self) -> RemoteCounts {
        let zero = self.request_count.map(|_| 0);
        RemoteCounts {
            total: self.request_count,
            succeeded: self.successful_request_count.or(zero),
            failed: self.failed_request_count.or(zero),
            pending: self.pending_request_count.or(zero),
        }
    }
}

impl WireError {
    fn into_remote(self) -> RemoteError {
        let message = self.message.as_deref().map(plain).unwrap_or_default();
        RemoteError { code: number_or_text(&self.code).unwrap_or_default(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::json::read;
    use proptest::prelude::*;

    /// Anything that may stand where a number, a text or an object is expected.
    fn anything() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
            ".*".prop_map(Value::from),
            Just(serde_json::json!({"a": [1]})),
        ]
    }

    proptest! {
        #[test]
        fn odd_numbers_times_codes_and_extra_fields_never_lose_a_batch(
            count in anything(), time in anything(), code in anything(), extra in anything(), state in ".*",
        ) {
            let body = serde_json::json!({"name": "batches/a", "extra": extra, "error": {"code": code}, "metadata": {
                "state": state, "createTime": time, "batchStats": {"requestCount": count}, "extra": extra}});
            let batch = read::<WireBatch>(body.to_string().as_bytes()).unwrap().0;
            prop_assert_eq!(batch.wire_state, state);
            prop_assert_eq!(batch.other.get("extra"), Some(&extra));
        }

        #[test]
        fn any_bytes_are_read_or_described(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(why) = read::<WireBatch>(&bytes) {
                prop_assert!(!why.is_empty() && !why.contains('\n'));
            }
        }
    }
}
