//! Files: what is known of them, and the bytes of result files.

use std::fs::File;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::batch;
use super::clock::written;
use super::fault::Fault;
use super::paging::{Page, newest_first};
use super::refusal::Refusal;
use super::reply::Reply;
use super::results;
use super::server::{Ask, Service};
use super::store::{Shelf, Store, is_id, read_record};

/// How long a file lives.
const LIFETIME: TimeDelta = TimeDelta::hours(48);
/// The API takes no longer ids, though its own result files have them.
const LONGEST_ID: usize = 40;

/// An uploaded file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileRecord {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) display_name: Option<String>,
    pub(super) mime: String,
    pub(super) size: u64,
    /// As lower-case hexadecimal digits.
    pub(super) sha256: String,
    pub(super) created: DateTime<Utc>,
}

impl FileRecord {
    fn alive(&self, now: DateTime<Utc>) -> bool {
        now < self.created + LIFETIME
    }
}

/// The file of that id if it is alive and the project's own.
pub(super) fn reachable(store: &Store, ask: &Ask, id: &str) -> Result<FileRecord, Refusal> {
    let record = if is_id(id) { load(store, id)? } else { None };
    record.filter(|file| file.owner == ask.project && file.alive(ask.now)).ok_or_else(|| {
        Refusal::new(403, format!("You do not have permission to access the File {id} or it may not exist."))
    })
}

fn load(store: &Store, id: &str) -> io::Result<Option<FileRecord>> {
    read_record(&store.place(Shelf::Files, id).join("file.json"))
}

/// `GET files/{id}`.
pub(super) fn get(service: &Service, ask: &Ask, id: &str) -> Result<Reply, Refusal> {
    refuse_long("GetFileRequest", id)?;
    let record = reachable(&service.store, ask, id)?;
    Ok(Reply::json(&shown(&record, &service.url, ask.fault)))
}

/// `GET files`.
pub(super) fn list(service: &Service, ask: &Ask) -> Result<Reply, Refusal> {
    let page = Page::of(ask, 10, 100)?;
    let position = |file: &FileRecord| newest_first(file.created, &file.id);
    let mut all = alive(service, ask)?;
    all.sort_by_key(position);
    let (files, next) = page.cut(all, position);
    let files: Vec<Value> = files.iter().map(|file| shown(file, &service.url, None)).collect();
    let mut answer = json!({});
    if let (false, Some(fields)) = (files.is_empty(), answer.as_object_mut()) {
        fields.insert("files".into(), files.into());
        fields.extend(next.map(|token| ("nextPageToken".into(), token.into())));
    }
    Ok(Reply::json(&answer))
}

/// The project's files that are alive, in no order.
fn alive(service: &Service, ask: &Ask) -> io::Result<Vec<FileRecord>> {
    let mut all = Vec::new();
    for id in service.store.ids(Shelf::Files)? {
        all.extend(load(&service.store, &id)?.filter(|file| file.owner == ask.project && file.alive(ask.now)));
    }
    Ok(all)
}

/// How many bytes the project's files have together.
pub(super) fn stored_bytes(service: &Service, ask: &Ask) -> io::Result<u64> {
    Ok(alive(service, ask)?.iter().map(|file| file.size).sum())
}

/// `DELETE files/{id}`.
pub(super) fn delete(service: &Service, ask: &Ask, id: &str) -> Result<Reply, Refusal> {
    refuse_long("DeleteFileRequest", id)?;
    reachable(&service.store, ask, id)?;
    service.store.discard(Shelf::Files, id)?;
    Ok(Reply::json(&json!({})))
}

/// `GET files/{id}:download?alt=media`: result files only.
pub(super) fn download(service: &Service, ask: &Ask, id: &str) -> Result<Reply, Refusal> {
    if ask.query.get("alt").map(String::as_str) != Some("media") {
        return Err(Refusal::invalid("Downloads need the query parameter alt=media."));
    }
    let Some(batch_id) = id.strip_prefix("batch-").filter(|_| id.len() > LONGEST_ID) else {
        reachable(&service.store, ask, id)?;
        return Err(Refusal::invalid(format!(
            "The file files/{id} was uploaded. Only generated files can be downloaded."
        )));
    };
    let record = batch::load(service, ask, batch_id)?;
    let standing = record.standing(ask.now);
    if !record.has_results(&standing) || !record.has_result_file() {
        return Err(Refusal::not_found());
    }
    let path = results::ready(&service.store, &record.batch, standing.finished)?;
    Ok(Reply::file("application/octet-stream", File::open(path)?)?)
}

fn refuse_long(request: &str, id: &str) -> Result<(), Refusal> {
    if id.len() <= LONGEST_ID {
        return Ok(());
    }
    Err(Refusal::invalid(format!("* {request}.name: File ID {id} cannot be more than {LONGEST_ID} characters\n")))
}

/// The file as the API shows it, or as a fault misrepresents it.
pub(super) fn shown(file: &FileRecord, url: &str, fault: Option<Fault>) -> Value {
    let size = file.size + u64::from(fault == Some(Fault::WrongLength));
    let hash = match fault {
        Some(Fault::WrongHash) => "0".repeat(64),
        _ => file.sha256.clone(),
    };
    let state = match fault {
        Some(Fault::StillProcessing) => "PROCESSING",
        Some(Fault::CannotBeProcessed) => "FAILED",
        _ => "ACTIVE",
    };
    let mut shown = json!({
        "name": format!("files/{}", file.id),
        "displayName": file.display_name,
        "mimeType": file.mime,
        "sizeBytes": size.to_string(),
        "createTime": written(file.created),
        "updateTime": written(file.created),
        "expirationTime": written(file.created + LIFETIME),
        "sha256Hash": STANDARD.encode(hash),
        "uri": format!("{url}/v1beta/files/{}", file.id),
        "state": state,
        "source": "UPLOADED",
    });
    if let (None, Some(fields)) = (&file.display_name, shown.as_object_mut()) {
        fields.remove("displayName");
    }
    shown
}
