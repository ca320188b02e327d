//! Batches: read, list, cancel, delete, change.

use serde_json::{Value, json};

use super::batch::{self, Known, Standing, State};
use super::fault::Fault;
use super::fields::text;
use super::operation::{Output, operation, resource};
use super::paging::{Page, newest_first};
use super::refusal::Refusal;
use super::reply::Reply;
use super::results;
use super::selection::selected;
use super::server::{Ask, Service};
use super::store::{Shelf, write_record, write_record_once};

/// The fields of an operation.
const OPERATION: [&str; 5] = ["name", "metadata", "done", "error", "response"];

/// `GET batches/{id}`.
pub(super) fn get(service: &Service, ask: &Ask, id: &str) -> Result<Reply, Refusal> {
    let known = batch::load(service, ask, id)?;
    let mut standing = known.standing(ask.now);
    if ask.fault == Some(Fault::SucceededWithoutOutput) {
        standing.state = State::Succeeded;
        let bare = without(operation(&known, &standing, &Output::None), "response");
        return Ok(Reply::json(&selected(ask, &OPERATION, bare)?));
    }
    let output = match ask.fault {
        Some(Fault::AnswersWithoutKeys) if standing.ended.is_some() => without_keys(service, &known, &standing)?,
        _ => output(service, &known, &standing, true)?,
    };
    let mut shown = operation(&known, &standing, &output);
    match ask.fault {
        Some(Fault::WithoutCounters) => change(&mut shown, "batchStats", None),
        Some(Fault::UnknownWord) if standing.ended.is_some() => {
            change(&mut shown, "state", Some("BATCH_STATE_DONE".into()));
        }
        _ => {}
    }
    Ok(Reply::json(&selected(ask, &OPERATION, shown)?))
}

fn without_keys(service: &Service, known: &Known, standing: &Standing) -> Result<Output, Refusal> {
    let answers = results::inline(&service.store, &known.batch, standing.finished)?;
    Ok(Output::Inline(answers.into_iter().map(|answer| without(answer, "key")).collect()))
}

/// Shows another value of the batch, or none.
fn change(operation: &mut Value, field: &str, value: Option<Value>) {
    if let Some(metadata) = operation.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove(field);
        metadata.extend(value.map(|value| (field.to_owned(), value)));
    }
}

fn without(mut object: Value, field: &str) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
    object
}

fn output(service: &Service, known: &Known, standing: &Standing, inline: bool) -> Result<Output, Refusal> {
    if !known.has_results(standing) {
        return Ok(Output::None);
    }
    if known.has_result_file() {
        return Ok(Output::File(format!("files/batch-{}", known.batch.id)));
    }
    match inline {
        true => Ok(Output::Inline(results::inline(&service.store, &known.batch, standing.finished)?)),
        false => Ok(Output::None),
    }
}

/// `GET batches`, newest first, without inline results.
pub(super) fn list(service: &Service, ask: &Ask) -> Result<Reply, Refusal> {
    let page = Page::of(ask, 50, 100)?;
    let position = |known: &Known| newest_first(known.batch.created, &known.batch.id);
    let mut all = Vec::new();
    for id in service.store.ids(Shelf::Batches)? {
        all.extend(batch::read(&service.store, &id)?.filter(|known| known.batch.owner == ask.project));
    }
    all.sort_by_key(position);
    let (page, next) = page.cut(all, position);
    let mut operations = Vec::new();
    for known in &page {
        let standing = known.standing(ask.now);
        let mut shown = operation(known, &standing, &output(service, known, &standing, false)?);
        if ask.fault == Some(Fault::WithoutCounters) {
            change(&mut shown, "batchStats", None);
        }
        operations.push(shown);
    }
    let mut answer = json!({});
    if let (false, Some(fields)) = (operations.is_empty(), answer.as_object_mut()) {
        fields.insert("operations".into(), operations.into());
        fields.extend(next.map(|token| ("nextPageToken".into(), token.into())));
    }
    Ok(Reply::json(&selected(ask, &["operations", "nextPageToken"], answer)?))
}

/// `POST batches/{id}:cancel`.
pub(super) fn cancel(service: &Service, ask: &Ask, id: &str) -> Result<Reply, Refusal> {
    let known = batch::load(service, ask, id)?;
    let standing = known.standing(ask.now);
    if standing.ended.is_some() {
        let message = format!("Batch batches/{id} cannot be cancelled in state {}.", standing.state.wire());
        return Err(Refusal::precondition(message));
    }
    write_record_once(&service.store.place(Shelf::Batches, id).join("cancelled.json"), &ask.now)?;
    Ok(Reply::json(&json!({})))
}

/// `DELETE batches/{id}`.
pub(super) fn delete(service: &Service, ask: &Ask, id: &str) -> Result<Reply, Refusal> {
    batch::load(service, ask, id)?;
    service.store.discard(Shelf::Batches, id)?;
    Ok(Reply::json(&json!({})))
}

/// `PATCH batches/{id}:updateGenerateContentBatch?updateMask=…`.
pub(super) fn update(service: &Service, ask: &Ask, id: &str) -> Result<Reply, Refusal> {
    let mut known = batch::load(service, ask, id)?;
    let body = ask.json()?;
    let mask = ask.query.get("updateMask").or(ask.query.get("update_mask")).map(String::as_str);
    for field in mask.unwrap_or("priority").split(',') {
        match field {
            "priority" => known.batch.priority = Some(priority(&body)?),
            "displayName" | "display_name" => known.batch.display_name = text(&body, "displayName"),
            other => return Err(Refusal::invalid(format!("Invalid field in update mask: {other}"))),
        }
    }
    write_record(&service.store.place(Shelf::Batches, id).join("batch.json"), &known.batch)?;
    Ok(Reply::json(&resource(&known, &known.standing(ask.now), &Output::None)))
}

/// The priority of a body: an int64, as text or number.
pub(super) fn priority(body: &Value) -> Result<String, Refusal> {
    let priority = text(body, "priority").unwrap_or_else(|| "0".into());
    match priority.parse::<i64>() {
        Ok(number) => Ok(number.to_string()),
        Err(_) => {
            Err(Refusal::bad_payload(format!("Invalid value at 'priority' (TYPE_INT64), {priority}"), "priority"))
        }
    }
}
