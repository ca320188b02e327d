//! File calls: look up, list, delete, download.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::call::{Call, Subject};
use super::failure::Failure;
use super::http::Http;
use super::json::{lenient_number, lenient_time};
use super::plain::plain;
use super::{Gemini, Page, names};
use crate::error::{Error, Result};
use crate::job::id::hex;
use crate::progress::{Monitor, Progress};

/// A file as the API knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// `files/…`.
    pub name: String,
    /// The name that its creator gave it.
    pub display_name: Option<String>,
    /// Its MIME type.
    pub mime_type: Option<String>,
    /// Its size in bytes.
    pub bytes: Option<i64>,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: Option<String>,
    /// What request lines refer to it by.
    pub uri: Option<String>,
    /// Whether it can be used.
    pub state: FileState,
    /// Why it cannot.
    pub error: Option<String>,
    /// When it was uploaded.
    pub create_time: Option<DateTime<Utc>>,
    /// When the API drops it: 48 hours after the upload.
    pub expiration_time: Option<DateTime<Utc>>,
}

/// Whether a file can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Not yet.
    Processing,
    /// Yes.
    Active,
    /// Never.
    Failed,
}

/// The `File` resource.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireFile {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    mime_type: Option<String>,
    #[serde(default, deserialize_with = "lenient_number")]
    size_bytes: Option<i64>,
    #[serde(default)]
    sha256_hash: Option<String>,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    error: Value,
    #[serde(default, deserialize_with = "lenient_time")]
    create_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient_time")]
    expiration_time: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    #[serde(default)]
    files: Vec<WireFile>,
    #[serde(default)]
    next_page_token: Option<String>,
}

impl From<WireFile> for RemoteFile {
    fn from(wire: WireFile) -> Self {
        let state = match wire.state.as_deref() {
            // JSONL is usable at once; a file without a state is no reason to wait.
            Some("ACTIVE") | None => FileState::Active,
            Some("FAILED") => FileState::Failed,
            Some(_) => FileState::Processing,
        };
        Self {
            name: wire.name,
            display_name: wire.display_name,
            mime_type: wire.mime_type,
            bytes: wire.size_bytes,
            sha256: wire.sha256_hash.as_deref().and_then(sha256),
            uri: wire.uri,
            state,
            error: wire.error.get("message").and_then(Value::as_str).map(plain),
            create_time: wire.create_time,
            expiration_time: wire.expiration_time,
        }
    }
}

/// The API sends the hash in base64; of its hex digits, though the bytes themselves would be usual.
fn sha256(hash: &str) -> Option<String> {
    let bytes = STANDARD.decode(hash).ok()?;
    match bytes.len() {
        32 => Some(hex(&bytes)),
        64 => String::from_utf8(bytes).ok().map(|digits| digits.to_ascii_lowercase()),
        _ => None,
    }
}

/// One page of the project's files.
pub(super) async fn page(http: &Http, page_size: u32, page_token: Option<&str>) -> Result<Page<RemoteFile>> {
    let call = Call::new("listing files", Subject::File, Method::GET, http.path("files"));
    let page: WirePage = http.json(&call.page(page_size, page_token)).await?;
    let items = page.files.into_iter().map(RemoteFile::from).collect();
    Ok(Page { items, next: page.next_page_token.filter(|token| !token.is_empty()) })
}

impl Gemini {
    /// An uploaded file as it stands now. Result files cannot be looked up.
    pub async fn get_file(&self, name: &str) -> Result<RemoteFile> {
        let call = self.file_call(name, "looking up", Method::GET)?;
        Ok(self.http.json::<WireFile>(&call).await?.into())
    }

    /// One page of the project's files; the API gives at most 100.
    pub async fn list_files(&self, page_size: u32, page_token: Option<&str>) -> Result<Page<RemoteFile>> {
        page(&self.http, page_size, page_token).await
    }

    /// Deletes an uploaded file. Result files cannot be deleted.
    pub async fn delete_file(&self, name: &str) -> Result<()> {
        self.http.done(&self.file_call(name, "deleting", Method::DELETE)?).await
    }

    /// Writes the content of a result file to `sink` and returns its size.
    ///
    /// Repeated as long as nothing was written. If it breaks off later the error is
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) and `sink` holds a part: only the caller can empty it and
    /// start again.
    pub async fn download(&self, name: &str, sink: &mut (dyn Write + Send), monitor: &dyn Monitor) -> Result<u64> {
        let path = self.http.path(&format!("{}:download", names::file(name)?));
        let call = Call::new(format!("downloading {name}"), Subject::File, Method::GET, path).query("alt", "media");
        let stopped = monitor.cancellation().cancelled();
        tokio::select! {
            done = self.download_all(&call, sink, monitor) => done,
            () = stopped => monitor.check(&call.act).and(Ok(0)),
        }
    }

    async fn download_all(&self, call: &Call, sink: &mut (dyn Write + Send), monitor: &dyn Monitor) -> Result<u64> {
        let mut answer = self.http.open(call).await?;
        if is_web_page(answer.headers()) {
            let failure = answer.unreadable("the answer is a web page, not a result file");
            return Err(self.http.error(call, failure));
        }
        let total = announced_length(answer.headers());
        let mut progress = Progress { stage: call.act.clone(), done: 0, total, unit: "bytes" };
        monitor.report(&progress);
        loop {
            let piece = self.http.piece(&mut answer).await;
            let Some(piece) = piece.map_err(|failure| self.broken_off(call, &progress, failure))? else { break };
            sink.write_all(&piece).map_err(|e| Error::io("writing the downloaded file", e))?;
            progress.done += piece.len() as u64;
            monitor.report(&progress);
        }
        match total {
            Some(total) if total != progress.done => {
                Err(self.broken_off(call, &progress, Failure::Lost(format!("{total} bytes were announced"))))
            }
            _ => Ok(progress.done),
        }
    }

    fn broken_off(&self, call: &Call, progress: &Progress, failure: Failure) -> Error {
        let error = self.http.error(call, failure);
        let cause = format!("broke off after {} bytes: {}", progress.done, error.cause());
        error.with_cause(cause).hint("download it again from the start")
    }

    fn file_call(&self, name: &str, act: &str, method: Method) -> Result<Call> {
        let act = format!("{act} {name}");
        let path = self.http.path(names::uploaded_file(&act, name)?);
        Ok(Call::new(act, Subject::File, method, path))
    }
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A result file is never HTML: this is the page of some proxy.
fn is_web_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html")
}
