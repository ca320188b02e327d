//! A batch as the API shows it: a long-running operation.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::batch::{Batch, Known, Standing, State};
use super::clock::written;
use super::route::Kind;

/// Every version of the API names this one.
const TYPES: &str = "type.googleapis.com/google.ai.generativelanguage.v1main.";

/// The answers as they are shown inside an operation.
#[derive(Debug, Clone)]
pub(super) enum Output {
    /// Nothing: there is none yet, or none is to be shown.
    None,
    /// The name of the result file.
    File(String),
    /// The answers themselves.
    Inline(Vec<Value>),
}

impl Output {
    fn shown(&self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::File(name) => Some(json!({"responsesFile": name})),
            Self::Inline(answers) => Some(json!({"inlinedResponses": {"inlinedResponses": answers}})),
        }
    }
}

/// The operation.
pub(super) fn operation(known: &Known, standing: &Standing, output: &Output) -> Value {
    let type_name = type_name(known.batch.kind);
    let mut metadata = json!({"@type": format!("{TYPES}{type_name}")});
    if let (Some(fields), Value::Object(resource)) = (metadata.as_object_mut(), resource(known, standing, output)) {
        fields.extend(resource);
    }
    let mut operation = Map::new();
    operation.insert("name".into(), name(&known.batch).into());
    operation.insert("metadata".into(), metadata);
    if standing.ended.is_some() {
        operation.insert("done".into(), true.into());
        operation.extend(ending(known, standing, output));
    }
    operation.into()
}

/// `response` or `error`.
fn ending(known: &Known, standing: &Standing, output: &Output) -> Option<(String, Value)> {
    let (code, message) = match standing.state {
        State::Succeeded => {
            let mut response = json!({"@type": format!("{TYPES}{}Output", type_name(known.batch.kind))});
            if let (Some(fields), Some(Value::Object(shown))) = (response.as_object_mut(), output.shown()) {
                fields.extend(shown);
            }
            return Some(("response".into(), response));
        }
        State::Cancelled => (1, "The batch was cancelled."),
        State::Expired => (4, "The batch expired: it did not end within 48 hours."),
        State::Failed => (13, "The batch failed: an internal error has occurred."),
        State::Pending | State::Running => return None,
    };
    Some(("error".into(), json!({"code": code, "message": message})))
}

/// The batch itself, as updates answer it and as `metadata` holds it.
pub(super) fn resource(known: &Known, standing: &Standing, output: &Output) -> Value {
    let batch = &known.batch;
    let time = |time: DateTime<Utc>| Value::from(written(time));
    let fields = [
        ("model", Some(format!("models/{}", batch.model).into())),
        ("displayName", batch.display_name.clone().map(Value::from)),
        ("inputConfig", batch.file_name.as_ref().map(|name| json!({"fileName": name}))),
        ("output", output.shown()),
        ("createTime", Some(time(batch.created))),
        ("endTime", standing.ended.map(time)),
        ("updateTime", Some(time(standing.updated))),
        ("batchStats", Some(stats(batch, standing))),
        ("state", Some(standing.state.wire().into())),
        ("name", Some(name(batch).into())),
        ("priority", batch.priority.clone().map(Value::from)),
        ("webhookConfig", batch.webhook.clone()),
    ];
    let shown = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(shown.collect())
}

/// The counters, as text; those that are zero are left out.
fn stats(batch: &Batch, standing: &Standing) -> Value {
    let requests = batch.census.requests;
    let failing = u128::from(batch.census.failing) * u128::from(standing.finished) / u128::from(requests.max(1));
    let failed = u64::try_from(failing).unwrap_or_default();
    let counters = [
        ("requestCount", requests),
        ("successfulRequestCount", standing.finished - failed),
        ("failedRequestCount", failed),
        ("pendingRequestCount", requests - standing.finished),
    ];
    let shown = counters.into_iter().filter(|(_, count)| *count > 0);
    Value::Object(shown.map(|(name, count)| (name.to_owned(), count.to_string().into())).collect())
}

fn name(batch: &Batch) -> String {
    format!("batches/{}", batch.id)
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Generate => "GenerateContentBatch",
        Kind::Embed => "EmbedContentBatch",
    }
}
