//! The resumable upload (API reference §2.3).
//!
//! A session is started, then the file goes out chunk by chunk. After a broken chunk the server is
//! asked how much it has, and sending continues from there; a server that does not answer that gets
//! the same chunk again. So a break costs one chunk, not the file.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use reqwest::{Method, Request, Response, Url};
use serde::Deserialize;
use serde_json::json;

use super::chunks::Chunks;
use super::failure::{Failure, Subject};
use super::files::{FileState, RemoteFile, WireFile};
use super::http::{Call, Http, body};
use super::retry::{Repeat, Tries};
use super::status::ApiStatus;
use super::{Gemini, json};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Monitor, Progress};

/// MIME types for JSONL, in the order in which they are tried: the API's taste changes (§2.4).
const MIME_TYPES: [&str; 3] = ["application/jsonl", "text/plain", "application/json"];
/// A larger granularity than this is not believed.
const LARGEST_GRANULE: u64 = 64 * 1024 * 1024;
/// The slowest line, in bytes a second, on which a chunk still counts as moving.
const SLOWEST: u64 = 32 * 1024;
/// The longest wait between two looks at a file that is being processed.
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// The longest answer to a chunk.
const ANSWER: usize = 256 * 1024;

/// An upload that has been started.
struct Session {
    /// Whoever has it can write to the file: it is never shown.
    url: Url,
    chunk: u64,
}

/// What the server says to a chunk.
enum Answer {
    /// It has it and waits for more.
    More,
    /// It has all of it: this is the file.
    Done(Box<RemoteFile>),
}

/// How much the server has.
enum Received {
    UpTo(u64),
    /// Everything, the last chunk too. The file, if the server names it.
    All(Option<Box<RemoteFile>>),
    /// It does not say.
    Unknown,
}

#[derive(Deserialize)]
struct Uploaded {
    file: WireFile,
}

impl Gemini {
    /// Uploads a file of request lines and waits until it can be used.
    ///
    /// The file must not change meanwhile. At most two chunks of it are in memory. Progress is
    /// reported in bytes; cancelling leaves nothing behind but a session that the API forgets.
    pub async fn upload(
        &self,
        file: std::fs::File,
        bytes: u64,
        display_name: &str,
        monitor: &dyn Monitor,
    ) -> Result<RemoteFile> {
        let act = format!("uploading {display_name}");
        let mut chunks = Chunks::new(file, bytes, &act)?;
        let work = async {
            let uploaded = self.upload_in_some_type(&act, display_name, &mut chunks, monitor).await?;
            self.until_active(&act, uploaded).await
        };
        tokio::select! {
            done = work => done,
            () = monitor.cancellation().cancelled() => {
                monitor.check(&act)?;
                Err(Error::new(ErrorKind::Cancelled, &act, "cancelled by the caller"))
            }
        }
    }

    /// Uploads a picture, a document, a sound or a video. It may take a while until it
    /// [can be used](Self::until_active).
    pub async fn upload_media(
        &self,
        file: std::fs::File,
        bytes: u64,
        display_name: &str,
        mime_type: &str,
        monitor: &dyn Monitor,
    ) -> Result<RemoteFile> {
        let act = format!("uploading {display_name}");
        let mut chunks = Chunks::new(file, bytes, &act)?;
        let upload = Upload { http: &self.http, act: &act, stage: act.clone(), display_name, mime_type };
        tokio::select! {
            done = upload.run_until_named(&mut chunks, monitor) => done,
            () = monitor.cancellation().cancelled() => {
                monitor.check(&act)?;
                Err(Error::new(ErrorKind::Cancelled, &act, "cancelled by the caller"))
            }
        }
    }

    /// Tries the next MIME type for as long as that is what the API refuses. A refusal costs nothing.
    async fn upload_in_some_type(
        &self,
        act: &str,
        display_name: &str,
        chunks: &mut Chunks,
        monitor: &dyn Monitor,
    ) -> Result<RemoteFile> {
        let mut refusal = None;
        for mime_type in MIME_TYPES {
            let stage = if refusal.is_none() { act.to_owned() } else { format!("{act} as {mime_type}") };
            let upload = Upload { http: &self.http, act, stage, display_name, mime_type };
            match upload.run_until_named(chunks, monitor).await {
                Err(error) if is_mime_refusal(&error) => refusal = Some(error),
                done => return done,
            }
        }
        Err(refusal.unwrap_or_else(|| Error::internal(act, "there is no MIME type to try")))
    }

    /// Waits until the API can use the file. JSONL mostly is usable at once.
    pub async fn until_active(&self, act: &str, mut file: RemoteFile) -> Result<RemoteFile> {
        let policy = self.http.retry;
        let give_up = tokio::time::Instant::now() + policy.total;
        let mut wait = policy.base;
        loop {
            match file.state {
                FileState::Active => return Ok(file),
                FileState::Failed => {
                    let why = file.error.unwrap_or_else(|| "the API could not process the file".to_owned());
                    return Err(Error::new(ErrorKind::Refused, act, why).hint("check the file, then upload it again"));
                }
                FileState::Processing if tokio::time::Instant::now() + wait > give_up => {
                    return Err(Error::new(ErrorKind::Unavailable, act, "the API is still processing the file")
                        .hint("try again later"));
                }
                FileState::Processing => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(LONGEST_POLL);
            file = self.get_file(&file.name).await?;
        }
    }
}

/// One upload with one MIME type.
struct Upload<'a> {
    http: &'a Http,
    act: &'a str,
    /// The act as it is shown in progress: progress never goes back within a stage.
    stage: String,
    display_name: &'a str,
    mime_type: &'a str,
}

impl Upload<'_> {
    /// Uploads, and once more if the API has the file but its name got lost with the last answer.
    ///
    /// Looking for it by display name and size could find another file; a second copy only expires.
    async fn run_until_named(&self, chunks: &mut Chunks, monitor: &dyn Monitor) -> Result<RemoteFile> {
        for _ in 0..2 {
            if let Some(file) = self.run(chunks, monitor).await? {
                return Ok(file);
            }
        }
        Err(Error::new(ErrorKind::Unavailable, self.act, "the API has the file but did not say its name")
            .hint("try again later"))
    }

    /// Uploads; gives nothing if the API has the file but does not name it.
    async fn run(&self, chunks: &mut Chunks, monitor: &dyn Monitor) -> Result<Option<RemoteFile>> {
        let session = self.start(chunks.total).await?;
        let mut tries = self.http.retry.start();
        let (mut offset, mut furthest) = (0, 0);
        loop {
            monitor.report(&self.progress(furthest, chunks.total));
            let chunk = chunks.at(offset, session.chunk).await?;
            let end = offset + chunk.len() as u64;
            match self.send(&session, offset, chunk, end == chunks.total).await {
                Ok(Answer::Done(file)) => {
                    monitor.report(&self.progress(end, chunks.total));
                    return Ok(Some(*file));
                }
                Ok(Answer::More) => offset = end,
                Err(failure) => match self.resume(&session, failure, &mut tries).await? {
                    Received::UpTo(received) if received <= end => offset = received,
                    Received::UpTo(_) => return Err(self.unexpected("the API claims to have bytes that were not sent")),
                    Received::All(file) => return Ok(file.map(|file| *file)),
                    Received::Unknown => {}
                },
            }
            if offset > furthest {
                furthest = offset;
                tries.reset();
            }
        }
    }

    async fn start(&self, total: u64) -> Result<Session> {
        let about = json!({"file": {"displayName": self.display_name, "mimeType": self.mime_type, "sizeBytes": total.to_string()}});
        let call = Call::new(self.act, Subject::File, Method::POST, format!("upload/{}", self.http.path("files")))
            .header("x-goog-upload-protocol", "resumable")
            .header("x-goog-upload-command", "start")
            .header("x-goog-upload-header-content-length", total.to_string())
            .header("x-goog-upload-header-content-type", self.mime_type)
            .json(about.to_string().into_bytes());
        let headers = self.http.head(&call).await?;
        let url = header(&headers, "x-goog-upload-url").and_then(|url| self.http.upload_url(url));
        let url = url.ok_or_else(|| self.unexpected("the API did not say where to upload to"))?;
        let granule =
            header(&headers, "x-goog-upload-chunk-granularity").and_then(|text| text.parse().ok()).unwrap_or(1);
        Ok(Session { url, chunk: self.chunk_size(granule)? })
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
    async fn send(&self, session: &Session, offset: u64, chunk: Bytes, last: bool) -> Result<Answer, Failure> {
        let command = match (last, chunk.is_empty()) {
            (true, true) => "finalize",
            (true, false) => "upload, finalize",
            (false, _) => "upload",
        };
        let patience = self.http.timeouts.idle + Duration::from_secs(chunk.len() as u64 / SLOWEST);
        let mut request = self.command(session, command);
        request.headers_mut().insert("x-goog-upload-offset", offset.into());
        *request.body_mut() = Some(chunk.into());
        let (headers, body) = self.exchange(request, patience).await?;
        if let Some(status) = ApiStatus::inside_success(&body) {
            return Err(Failure::Status(status.into()));
        }
        match header(&headers, "x-goog-upload-status") {
            Some("final") => uploaded(&body).map(Answer::Done).map_err(Failure::Unreadable),
            Some("active") if !last => Ok(Answer::More),
            Some("active") => Err(Failure::Lost("the API has all bytes but does not end the upload".to_owned())),
            Some("cancelled") => Err(Failure::Unreadable("the API cancelled the upload".to_owned())),
            Some(other) => Err(Failure::Unreadable(format!("the upload is in an unknown state {other:?}"))),
            None => Err(Failure::Lost("the answer does not say how the upload stands".to_owned())),
        }
    }

    /// After a broken chunk: waits, then asks from where to continue. Fails when it is not worth while.
    async fn resume(&self, session: &Session, mut failure: Failure, tries: &mut Tries) -> Result<Received> {
        loop {
            let Some(wait) = tries.after(&failure, Repeat::Safe) else {
                return Err(self.error(failure));
            };
            tokio::time::sleep(wait).await;
            match self.query(session).await {
                Ok(received) => return Ok(received),
                Err(again) => failure = again,
            }
        }
    }

    async fn query(&self, session: &Session) -> Result<Received, Failure> {
        let request = self.command(session, "query");
        let (headers, body) = match self.exchange(request, self.http.timeouts.idle).await {
            // A server that does not know the question: the same chunk again will tell.
            Err(Failure::Status(status)) if matches!(status.http, 400..408 | 501) => return Ok(Received::Unknown),
            answer => answer?,
        };
        if header(&headers, "x-goog-upload-status") == Some("final") {
            return Ok(Received::All(uploaded(&body).ok()));
        }
        let received = header(&headers, "x-goog-upload-size-received").and_then(|text| text.parse().ok());
        Ok(received.map_or(Received::Unknown, Received::UpTo))
    }

    fn command(&self, session: &Session, command: &'static str) -> Request {
        let mut request = self.http.request(Method::POST, session.url.clone());
        request.headers_mut().insert("x-goog-upload-command", http::HeaderValue::from_static(command));
        request
    }

    async fn exchange(&self, request: Request, patience: Duration) -> Result<(HeaderMap, Vec<u8>), Failure> {
        let exchange = async {
            let response: Response = self.http.attempt(request).await?;
            let headers = response.headers().clone();
            Ok((headers, body(response, ANSWER).await?))
        };
        tokio::time::timeout(patience, exchange).await.map_err(|_| Failure::TimedOut(patience))?
    }

    fn error(&self, failure: Failure) -> Error {
        let call = Call::new(self.act, Subject::File, Method::POST, String::new());
        self.http.error(&call, failure)
    }

    fn unexpected(&self, cause: &str) -> Error {
        Error::new(ErrorKind::UnexpectedAnswer, self.act, cause).hint("start the upload again")
    }

    fn progress(&self, done: u64, total: u64) -> Progress {
        Progress { stage: self.stage.clone(), done, total: Some(total), unit: "bytes" }
    }
}

fn uploaded(body: &[u8]) -> Result<Box<RemoteFile>, String> {
    json::read::<Uploaded>(body).map(|uploaded| Box::new(uploaded.file.into()))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_mime_refusal(error: &Error) -> bool {
    error.kind() == ErrorKind::Refused && error.cause().starts_with("Unsupported MIME type")
}
