//! Creating batches.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::batch::{Batch, Known, Standing};
use super::batches::priority;
use super::fields::{field, list, text};
use super::files;
use super::limits;
use super::lines::{self, INPUT, Rules};
use super::models;
use super::operation::{Output, operation};
use super::refusal::Refusal;
use super::reply::Reply;
use super::route::Kind;
use super::schema;
use super::server::{Ask, Service};
use super::store::{Shelf, keep_copy, new_id, write_record};
use super::webhook;

/// `POST models/{m}:batchGenerateContent` or `:asyncBatchEmbedContent`.
pub(super) fn create(service: &Service, ask: &Ask, model: &str, kind: Kind) -> Result<Reply, Refusal> {
    models::check_batch(model, kind)?;
    let body = ask.json()?;
    schema::check_create(&body)?;
    let wanted = field(&body, "batch").ok_or_else(|| Refusal::invalid("* batch: batch is required\n"))?;
    check_model_field(wanted, model)?;
    let id = new_id(36);
    let place = service.store.make(Shelf::Drafts, &id)?;
    let batch = remembered(service, ask, wanted, (&id, model, kind), &place);
    let batch = match batch.and_then(|batch| admitted(service, ask, batch, &place)) {
        Ok(batch) => batch,
        Err(refusal) => {
            service.store.discard(Shelf::Drafts, &id)?;
            return Err(refusal);
        }
    };
    let standing = Standing::fresh(batch.created);
    Ok(Reply::json(&operation(&Known { batch, cancelled: None }, &standing, &Output::None)))
}

/// The batch, now that there is room for it and it is written down.
fn admitted(service: &Service, ask: &Ask, batch: Batch, place: &Path) -> Result<Batch, Refusal> {
    let _turn = service.store.turn()?;
    limits::check_batch(service, ask, &batch)?;
    write_record(&place.join("batch.json"), &batch)?;
    service.store.move_to(Shelf::Batches, &batch.id, Shelf::Drafts)?;
    webhook::expect(&service.store, &batch)?;
    Ok(batch)
}

fn check_model_field(wanted: &Value, model: &str) -> Result<(), Refusal> {
    match text(wanted, "model") {
        Some(other) if other.trim_start_matches("models/") != model => {
            Err(Refusal::invalid(format!("The model of the batch, {other}, is not the model of the URL, {model}.")))
        }
        _ => Ok(()),
    }
}

fn remembered(
    service: &Service,
    ask: &Ask,
    wanted: &Value,
    (id, model, kind): (&str, &str, Kind),
    place: &Path,
) -> Result<Batch, Refusal> {
    let file_name = take_input(service, ask, wanted, kind, place)?;
    let rules = Rules { kind, model, inline: file_name.is_none() };
    Ok(Batch {
        id: id.into(),
        owner: ask.project.clone(),
        kind,
        model: model.into(),
        display_name: text(wanted, "displayName"),
        file_name,
        created: ask.now,
        pace: service.pace,
        census: lines::census(&place.join(INPUT), rules)?,
        priority: field(wanted, "priority").map(|_| priority(wanted)).transpose()?,
        webhook: field(wanted, "webhookConfig").cloned(),
    })
}

/// Keeps the requests; they outlive the input file. Answers the name of that file.
fn take_input(
    service: &Service,
    ask: &Ask,
    wanted: &Value,
    kind: Kind,
    place: &Path,
) -> Result<Option<String>, Refusal> {
    let config = field(wanted, "inputConfig")
        .ok_or_else(|| Refusal::invalid("* GenerateContentBatch.input_config: input_config is required\n"))?;
    if let Some(name) = text(config, "fileName") {
        let id = name.strip_prefix("files/").ok_or_else(|| Refusal::invalid(format!("Invalid file name: {name}")))?;
        files::reachable(&service.store, ask, id)?;
        keep_copy(&service.store.place(Shelf::Files, id).join("data"), &place.join(INPUT))?;
        return Ok(Some(name));
    }
    let requests = field(config, "requests").map_or(&[][..], |requests| list(requests, "requests"));
    write_inline(requests, kind, &place.join(INPUT))?;
    Ok(None)
}

fn write_inline(requests: &[Value], kind: Kind, path: &Path) -> Result<(), Refusal> {
    let mut file = BufWriter::new(File::create(path)?);
    for (number, inlined) in requests.iter().enumerate() {
        let at = format!("batch.input_config.requests.requests[{number}]");
        let request = field(inlined, "request").ok_or_else(|| Refusal::bad_payload("request is required", &at))?;
        schema::check_request(request, kind).map_err(|complaint| complaint.at_payload(&format!("{at}.request")))?;
        let line = json!({"metadata": field(inlined, "metadata"), "request": request});
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}
