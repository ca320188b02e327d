//! One upload with one MIME type: started or taken up again, sent chunk by chunk, mended after a break.
//!
//! After a broken chunk the server is asked how much it has, and sending continues from there; a
//! server that does not answer that gets the same chunk again. So a break costs one chunk, not the
//! file. A new process does the same with a session that an earlier one was in when it ended.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use http::HeaderMap;
use reqwest::{Method, Request, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::call::{Call, Repeat, Subject};
use super::chunks::Chunks;
use super::failure::{Class, Failure};
use super::files::{RemoteFile, WireFile};
use super::http::{Exchange, Http, UPLOAD, refuse_error_inside};
use super::json;
use super::retry::Tries;
use super::session::{Content, OnSession, UploadSession};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Monitor, Progress};

/// A larger granularity than this is not believed.
const LARGEST_GRANULE: u64 = 64 * 1024 * 1024;
/// The slowest line, in bytes a second, on which a chunk still counts as moving.
const SLOWEST: u64 = 32 * 1024;
/// The longest answer to a chunk.
const ANSWER: usize = 256 * 1024;

/// An upload with one MIME type.
pub(super) struct Sending<'a> {
    pub(super) http: &'a Http,
    pub(super) act: &'a str,
    /// The act as it is shown in progress: progress never goes back within a stage.
    pub(super) stage: String,
    pub(super) display_name: &'a str,
    pub(super) mime_type: &'a str,
    pub(super) content: &'a Content,
    pub(super) on_session: OnSession<'a>,
    pub(super) monitor: &'a dyn Monitor,
}

/// Where the bytes go.
struct Line {
    /// Whoever has it can write to the file: it is never shown.
    url: Url,
    chunk: u64,
}

/// How much the server has.
enum Received {
    UpTo(u64),
    /// Everything, the last chunk too. The file, if the server names it.
    All(Option<Box<RemoteFile>>),
    /// It does not say, or knows no such upload.
    Unknown,
}

#[derive(Deserialize)]
struct Uploaded {
    file: WireFile,
}

impl Sending<'_> {
    /// Uploads, going on with what an earlier process had started, and once more if the API has the
    /// file but its name got lost with the last answer and it is not found.
    pub(super) async fn until_named(&self, chunks: &mut Chunks, resume: Option<UploadSession>) -> Result<RemoteFile> {
        if let Some(line) = resume.and_then(|session| self.line_of(&session))
            && let Some(file) = self.go_on(&line, chunks).await?
        {
            return Ok(file);
        }
        for _ in 0..2 {
            let line = self.start().await?;
            if let Some(file) = self.run(&line, 0, chunks).await? {
                return Ok(file);
            }
        }
        Err(Error::new(ErrorKind::Unavailable, self.act, "the API has the file but did not say its name")
            .hint("try again later"))
    }

    /// The line of an earlier session, if it is for the same content, with the same key, on the same host.
    fn line_of(&self, session: &UploadSession) -> Option<Line> {
        if session.content != *self.content || session.key_mark != self.http.key_mark() {
            return None;
        }
        let url = self.http.known_upload_url(session.url.expose_secret())?;
        Some(Line { url, chunk: self.chunk_size(session.granule).ok()? })
    }

    /// Sends the rest of an upload that was started before; gives nothing if it has to start anew.
    ///
    /// What an ended process had sent may still be arriving when the server is asked: if it then refuses
    /// the next chunk it is asked once more.
    async fn go_on(&self, line: &Line, chunks: &mut Chunks) -> Result<Option<RemoteFile>> {
        for _ in 0..2 {
            match self.rest(line, chunks).await {
                Err(error) if is_dead_end(&error) => tracing::debug!("the upload cannot go on: {error}"),
                done => return done,
            }
        }
        Ok(None)
    }

    async fn rest(&self, line: &Line, chunks: &mut Chunks) -> Result<Option<RemoteFile>> {
        match self.standing(line, &mut self.http.retry.start()).await? {
            Received::UpTo(received) if received <= chunks.total => self.run(line, received, chunks).await,
            Received::All(Some(file)) => Ok(Some(*file).filter(|file| self.can_be_used(file))),
            Received::All(None) => self.arrived(chunks).await,
            Received::UpTo(_) | Received::Unknown => Ok(None),
        }
    }

    /// Whether the file of an upload that had ended before is the right one and still there.
    fn can_be_used(&self, file: &RemoteFile) -> bool {
        self.content.refuse_other(self.act, file).is_ok() && file.expiration_time.is_none_or(|end| end > Utc::now())
    }

    /// Sends everything from `offset` on; gives nothing if the API has the file but it cannot be told which it is.
    async fn run(&self, line: &Line, mut offset: u64, chunks: &mut Chunks) -> Result<Option<RemoteFile>> {
        let mut tries = self.http.retry.start();
        let mut furthest = offset;
        loop {
            self.report(furthest);
            let chunk = chunks.at(offset, line.chunk).await?;
            let end = offset + chunk.len() as u64;
            let received = match self.send(line, offset, chunk, end == chunks.total).await {
                Ok(received) => received,
                Err(failure) => self.after(line, failure, &mut tries).await?,
            };
            match received {
                Received::UpTo(received) if received <= end => offset = received,
                Received::UpTo(_) => return Err(self.unexpected("the API claims to have bytes that were not sent")),
                Received::All(Some(file)) => return self.ended(*file).map(Some),
                Received::All(None) => return self.arrived(chunks).await,
                Received::Unknown => {}
            }
            if offset > furthest {
                furthest = offset;
                tries.reset();
            }
        }
    }

    fn ended(&self, file: RemoteFile) -> Result<RemoteFile> {
        self.content.refuse_other(self.act, &file)?;
        self.report(self.content.bytes);
        Ok(file)
    }

    /// Starts an upload. It is in the caller's hands before the first byte is sent.
    async fn start(&self) -> Result<Line> {
        let total = self.content.bytes.to_string();
        let about = json!({"file": {"displayName": self.display_name, "mimeType": self.mime_type, "sizeBytes": total}});
        let call = Call::new(self.act, Subject::File, Method::POST, format!("upload/{}", self.http.path("files")))
            .header("x-goog-upload-protocol", "resumable")
            .header("x-goog-upload-command", "start")
            .header("x-goog-upload-header-content-length", total)
            .header("x-goog-upload-header-content-type", self.mime_type)
            .json(about.to_string().into_bytes());
        let headers = self.http.head(&call).await?;
        let url = header(&headers, "x-goog-upload-url").and_then(|url| self.http.upload_url(url));
        let url = url.ok_or_else(|| self.unexpected("the API did not say where to upload to"))?;
        let granule =
            header(&headers, "x-goog-upload-chunk-granularity").and_then(|text| text.parse().ok()).unwrap_or(1);
        let chunk = self.chunk_size(granule)?;
        (self.on_session)(&UploadSession {
            url: url.as_str().to_owned().into(),
            mime_type: self.mime_type.to_owned(),
            granule,
            content: self.content.clone(),
            key_mark: self.http.key_mark(),
            started: Utc::now(),
        })?;
        Ok(Line { url, chunk })
    }

    /// The size set, rounded down to a multiple of the granularity, but at least that.
    fn chunk_size(&self, granule: u64) -> Result<u64> {
        if granule > LARGEST_GRANULE {
            return Err(self.unexpected("the API wants larger chunks than this program holds in memory"));
        }
        let granule = granule.max(1);
        Ok((self.http.chunk_bytes as u64 / granule * granule).max(granule))
    }

    /// Sends one chunk and reads the answer to it.
    async fn send(&self, line: &Line, offset: u64, chunk: Bytes, last: bool) -> Result<Received, Failure> {
        let end = offset + chunk.len() as u64;
        let command = match (last, chunk.is_empty()) {
            (true, true) => "finalize",
            (true, false) => "upload, finalize",
            (false, _) => "upload",
        };
        let patience = self.http.timeouts.idle + Duration::from_secs(chunk.len() as u64 / SLOWEST);
        let mut request = self.command(line, command);
        request.headers_mut().insert("x-goog-upload-offset", offset.into());
        *request.body_mut() = Some(chunk.into());
        let heard = |headers: &HeaderMap, body: &[u8]| {
            refuse_error_inside(body)?;
            match header(headers, "x-goog-upload-status") {
                Some("final") => uploaded(body).map(|file| Received::All(Some(file))).map_err(Failure::Unreadable),
                Some("active") if !last => Ok(Received::UpTo(end)),
                Some("active") => Err(Failure::Lost("the API has all bytes but does not end the upload".to_owned())),
                Some("cancelled") => Err(Failure::Unreadable("the API cancelled the upload".to_owned())),
                Some(other) => Err(Failure::Unreadable(format!("the upload is in an unknown state {other:?}"))),
                None => Err(Failure::Lost("the answer does not say how the upload stands".to_owned())),
            }
        };
        self.http.exchange(exchange(request, patience), heard).await
    }

    /// After a broken chunk: waits, then asks from where to continue. Fails when it is not worth while.
    async fn after(&self, line: &Line, failure: Failure, tries: &mut Tries) -> Result<Received> {
        self.wait(failure, tries).await?;
        self.standing(line, tries).await
    }

    /// How much the server has, asked until it says so.
    async fn standing(&self, line: &Line, tries: &mut Tries) -> Result<Received> {
        loop {
            match self.query(line).await {
                Ok(received) => return Ok(received),
                Err(failure) => self.wait(failure, tries).await?,
            }
        }
    }

    async fn wait(&self, failure: Failure, tries: &mut Tries) -> Result<()> {
        match tries.after(&failure, Repeat::Safe) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(self.error(failure)),
        }
        Ok(())
    }

    async fn query(&self, line: &Line) -> Result<Received, Failure> {
        let heard = |headers: &HeaderMap, body: &[u8]| {
            let received = header(headers, "x-goog-upload-size-received").and_then(|text| text.parse().ok());
            Ok(match (header(headers, "x-goog-upload-status"), received) {
                (Some("final"), _) => Received::All(uploaded(body).ok()),
                (Some("cancelled"), _) | (_, None) => Received::Unknown,
                (_, Some(received)) => Received::UpTo(received),
            })
        };
        let question = exchange(self.command(line, "query"), self.http.timeouts.idle);
        match self.http.exchange(question, heard).await {
            // A server that does not know the question, or no such upload: the next chunk will tell.
            Err(failure) if failure.class() == Class::Refused || failure.http() == Some(501) => Ok(Received::Unknown),
            answer => answer,
        }
    }

    fn command(&self, line: &Line, command: &'static str) -> Request {
        let mut request = self.http.request(Method::POST, line.url.clone());
        request.headers_mut().insert("x-goog-upload-command", http::HeaderValue::from_static(command));
        request
    }

    fn error(&self, failure: Failure) -> Error {
        let call = Call::new(self.act, Subject::File, Method::POST, String::new());
        self.http.error(&call, failure)
    }

    fn unexpected(&self, cause: &str) -> Error {
        Error::new(ErrorKind::UnexpectedAnswer, self.act, cause).hint("start the upload again")
    }

    fn report(&self, done: u64) {
        let total = Some(self.content.bytes);
        self.monitor.report(&Progress { stage: self.stage.clone(), done, total, unit: "bytes" });
    }
}

impl Content {
    /// Fails if what the API says of the file is not what was to be sent.
    pub(super) fn refuse_other(&self, act: &str, file: &RemoteFile) -> Result<()> {
        let sha256 = file.sha256.as_deref().zip(self.sha256.as_deref());
        let cause = match (file.bytes, sha256) {
            (Some(bytes), _) if u64::try_from(bytes) != Ok(self.bytes) => {
                format!("the API has other bytes than the file: {bytes} instead of {}", self.bytes)
            }
            (_, Some((has, wanted))) if has != wanted => {
                format!("the API has other bytes than the file: SHA-256 {has} instead of {wanted}")
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidInput, act, cause)
            .hint("let no other program write to the file, then start again; nothing else was done with it"))
    }
}

/// Whether an earlier upload failed in a way in which it will always fail.
fn is_dead_end(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::WrongState | ErrorKind::UnexpectedAnswer
    ) && !is_mime_refusal(error)
}

pub(super) fn is_mime_refusal(error: &Error) -> bool {
    error.kind() == ErrorKind::Refused && error.cause().starts_with("Unsupported MIME type")
}

fn exchange(request: Request, patience: Duration) -> Exchange {
    Exchange { request, resource: UPLOAD.to_owned(), patience, limit: ANSWER }
}

fn uploaded(body: &[u8]) -> Result<Box<RemoteFile>, String> {
    json::read::<Uploaded>(body).map(|uploaded| Box::new(uploaded.file.into()))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
