//! Resumable uploads: start, append, query, cancel, finalize.

use std::fs::File;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::fault::Fault;
use super::fields::{field, text};
use super::files::{self, FileRecord};
use super::limits;
use super::project::hex;
use super::refusal::Refusal;
use super::reply::Reply;
use super::route::UploadCommand;
use super::server::{Ask, RequestBody, Service};
use super::store::{Shelf, is_id, new_id, read_record, write_record};

/// The largest file the API takes.
const LARGEST_FILE: u64 = 2 * 1024 * 1024 * 1024;

/// An upload that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    owner: String,
    mime: String,
    /// The announced length.
    length: Option<u64>,
    /// The id the caller wants for the file.
    wanted_id: Option<String>,
    display_name: Option<String>,
    started: DateTime<Utc>,
    /// `final` or `cancelled`, once it has ended.
    ended: Option<String>,
}

/// Opens an upload.
pub(super) fn start(service: &Service, ask: &Ask) -> Result<Reply, Refusal> {
    let body = ask.json()?;
    let file = field(&body, "file").cloned().unwrap_or_default();
    let length = announced_length(ask, &file)?;
    limits::check_upload(service, ask, length)?;
    let mime = ask.header("x-goog-upload-header-content-type").map(str::to_owned);
    let session = Session {
        owner: ask.project.clone(),
        mime: mime.or_else(|| text(&file, "mimeType")).unwrap_or_else(|| "application/octet-stream".into()),
        length,
        wanted_id: wanted_id(&file)?,
        display_name: text(&file, "displayName"),
        started: ask.now,
        ended: None,
    };
    let id = new_id(48);
    let place = service.store.make(Shelf::Uploads, &id)?;
    File::create(place.join("data"))?;
    write_record(&place.join("session.json"), &session)?;
    let url = format!("{}/upload/v1beta/files?upload_id={id}&upload_protocol=resumable", service.url);
    Ok(status("active")
        .with_header("x-goog-upload-url", url)
        .with_header("x-goog-upload-chunk-granularity", service.granularity.to_string()))
}

fn announced_length(ask: &Ask, file: &Value) -> Result<Option<u64>, Refusal> {
    let announced = ask.header("x-goog-upload-header-content-length").map(str::to_owned);
    let Some(announced) = announced.or_else(|| text(file, "sizeBytes")) else { return Ok(None) };
    match announced.parse() {
        Ok(length) if length <= LARGEST_FILE => Ok(Some(length)),
        Ok(_) => Err(Refusal::invalid(format!("The file is larger than the limit of {LARGEST_FILE} bytes."))),
        Err(_) => Err(Refusal::invalid(format!("Invalid upload length: {announced}"))),
    }
}

fn wanted_id(file: &Value) -> Result<Option<String>, Refusal> {
    let Some(name) = text(file, "name") else { return Ok(None) };
    let id = name.strip_prefix("files/").unwrap_or(&name);
    if is_id(id) && id.len() <= 40 {
        return Ok(Some(id.into()));
    }
    Err(Refusal::invalid(format!(
        "* CreateFileRequest.file.name: File name {name} is not of the form files/ and up to 40 letters a-z, digits and inner dashes"
    )))
}

/// Takes in bytes, and makes the file if they are the last ones.
pub(super) async fn receive(
    service: &Service,
    ask: Ask,
    command: UploadCommand,
    body: &mut RequestBody,
) -> Result<Reply, Refusal> {
    let (place, session) = open(service, &ask)?;
    let data = place.join("data");
    let offset = checked_offset(&ask, &data)?;
    let received = append(&data, offset, session.length, body).await?;
    if command == UploadCommand::Append {
        return match (received - offset) % service.granularity {
            0 => Ok(status("active")),
            _ => Err(misaligned(&data, offset, service.granularity)),
        };
    }
    if session.length.is_some_and(|length| length != received) {
        return Err(Refusal::invalid(format!(
            "Upload has {received} bytes at its end, but {} were announced.",
            session.length.unwrap_or_default()
        )));
    }
    let url = service.url.clone();
    let (store, refused) = (service.store.clone(), service.refused_mime_types.clone());
    tokio::task::spawn_blocking(move || {
        if ask.fault == Some(Fault::UnsupportedMime) || refused.contains(&session.mime) {
            let refusal = Refusal::invalid(format!("Unsupported MIME type: {}", session.mime));
            end(&place, &session, "final")?;
            return Ok(with_status(refusal.reply_inside_success(), "final"));
        }
        let record = make_file(&store, &place, &session, ask.now)?;
        end(&place, &session, "final")?;
        let shown = files::shown(&record, &url, ask.fault);
        Ok(with_status(Reply::json(&json!({"file": shown})), "final"))
    })
    .await
    .unwrap_or_else(|e| Err(Refusal::new(500, e.to_string())))
}

/// How much has arrived.
pub(super) fn query(service: &Service, ask: &Ask) -> Result<Reply, Refusal> {
    let (place, session) = find(service, ask)?;
    if let Some(ended) = session.ended {
        return Ok(status(&ended));
    }
    Ok(status("active")
        .with_header("x-goog-upload-chunk-granularity", service.granularity.to_string())
        .with_header("x-goog-upload-size-received", received(&place.join("data"))?.to_string()))
}

/// Gives the upload up.
pub(super) fn cancel(service: &Service, ask: &Ask) -> Result<Reply, Refusal> {
    let (place, session) = open(service, ask)?;
    end(&place, &session, "cancelled")?;
    Ok(status("cancelled"))
}

fn status(word: &str) -> Reply {
    with_status(Reply::bytes("text/plain; charset=utf-8", Vec::new()), word)
}

fn with_status(reply: Reply, word: &str) -> Reply {
    reply.with_header("x-goog-upload-status", word)
}

fn find(service: &Service, ask: &Ask) -> Result<(PathBuf, Session), Refusal> {
    let unknown = || Refusal::new(404, "Upload session not found.");
    let id = ask.query.get("upload_id").filter(|id| is_id(id)).ok_or_else(unknown)?;
    let place = service.store.place(Shelf::Uploads, id);
    let session = read_record(&place.join("session.json"))?.ok_or_else(unknown)?;
    Ok((place, session))
}

/// The upload, which must not have ended.
fn open(service: &Service, ask: &Ask) -> Result<(PathBuf, Session), Refusal> {
    let (place, session) = find(service, ask)?;
    match session.ended {
        None => Ok((place, session)),
        Some(_) => Err(Refusal::invalid("Upload has already been terminated.")),
    }
}

fn end(place: &Path, session: &Session, word: &str) -> io::Result<()> {
    write_record(&place.join("session.json"), &Session { ended: Some(word.into()), ..session.clone() })?;
    match std::fs::remove_file(place.join("data")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn received(data: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(data)?.len())
}

fn checked_offset(ask: &Ask, data: &Path) -> Result<u64, Refusal> {
    let received = received(data)?;
    let offset = ask.header("x-goog-upload-offset").unwrap_or_default();
    match offset.parse() {
        Ok(offset) if offset == received => Ok(offset),
        Ok(_) => Err(Refusal::invalid(format!("Upload offset {offset} does not match the {received} bytes received."))),
        Err(_) => Err(Refusal::invalid("Missing or malformed X-Goog-Upload-Offset header.")),
    }
}

/// Writes the body behind what is there. What has arrived stays, even if the body breaks off.
async fn append(data: &Path, offset: u64, length: Option<u64>, body: &mut RequestBody) -> Result<u64, Refusal> {
    let mut file = tokio::fs::File::options().write(true).open(data).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let mut received = offset;
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(e) => {
                file.flush().await?;
                return Err(e.into());
            }
        };
        received += piece.len() as u64;
        if received > length.unwrap_or(LARGEST_FILE) {
            return Err(Refusal::invalid("More bytes were sent than announced."));
        }
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(received)
}

/// Takes a chunk back that has a length the protocol does not allow.
fn misaligned(data: &Path, offset: u64, granularity: u64) -> Refusal {
    let taken_back = File::options().write(true).open(data).and_then(|file| file.set_len(offset));
    match taken_back {
        Ok(()) => Refusal::invalid(format!("Chunk size must be a multiple of {granularity} bytes.")),
        Err(e) => e.into(),
    }
}

fn make_file(
    store: &super::store::Store,
    place: &Path,
    session: &Session,
    now: DateTime<Utc>,
) -> Result<FileRecord, Refusal> {
    let data = place.join("data");
    let record = FileRecord {
        id: session.wanted_id.clone().unwrap_or_else(|| new_id(12)),
        owner: session.owner.clone(),
        display_name: session.display_name.clone(),
        mime: session.mime.clone(),
        size: received(&data)?,
        sha256: sha256(&data)?,
        created: now,
    };
    let home = store.make(Shelf::Files, &record.id).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => Refusal::new(409, format!("File files/{} already exists.", record.id)),
        _ => e.into(),
    })?;
    std::fs::rename(data, home.join("data"))?;
    write_record(&home.join("file.json"), &record)?;
    Ok(record)
}

fn sha256(data: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut reader = io::BufReader::with_capacity(256 * 1024, File::open(data)?);
    loop {
        let block = io::BufRead::fill_buf(&mut reader)?;
        if block.is_empty() {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(block);
        let taken = block.len();
        io::BufRead::consume(&mut reader, taken);
    }
}
