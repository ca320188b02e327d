//! Uploading: a file of request lines in a MIME type that the API takes, or media in their own.

use std::future::Future;
use std::time::Duration;

use super::Gemini;
use super::chunks::{Chunks, FileRange};
use super::files::{FileState, RemoteFile};
use super::sending::{Sending, is_mime_refusal};
use super::session::{Content, OnSession, UploadSession};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{BY_THE_CALLER, Monitor};

/// MIME types for JSONL, in the order in which they are tried: the API's taste changes (§2.4).
const MIME_TYPES: [&str; 3] = ["application/jsonl", "text/plain", "application/json"];
/// The longest wait between two looks at a file that is being processed.
const LONGEST_POLL: Duration = Duration::from_secs(5);

/// A file to be uploaded.
#[derive(Debug)]
pub struct NewFile<'a> {
    /// Its bytes. The file that they are in must not change until they are sent.
    pub range: FileRange,
    /// The name that it gets for people.
    pub display_name: &'a str,
    /// The SHA-256 of its bytes in lower-case hex, where known: the API's own is held against it.
    pub sha256: Option<&'a str>,
}

impl NewFile<'_> {
    fn content(&self) -> Content {
        Content { bytes: self.range.bytes, sha256: self.sha256.map(str::to_owned) }
    }
}

impl Gemini {
    /// Uploads request lines and waits until the API can use them.
    ///
    /// `on_session` is called whenever an upload was started: what it keeps is the `resume` of a later
    /// call, should this one not come to its end. A session that is for other bytes, for another key or
    /// of another host, or that the API does not know any more, is passed over, and a new one started.
    ///
    /// At most two chunks are in memory. Progress is reported in bytes; cancelling leaves nothing
    /// behind but a session that the API forgets. If the API has other bytes in the end than were to be
    /// sent, by their number or hash, that is an error of kind [`InvalidInput`](ErrorKind::InvalidInput).
    pub async fn upload(
        &self,
        file: NewFile<'_>,
        resume: Option<UploadSession>,
        on_session: OnSession<'_>,
        monitor: &dyn Monitor,
    ) -> Result<RemoteFile> {
        let act = format!("uploading {}", file.display_name);
        let content = file.content();
        let mut chunks = Chunks::new(file.range, &act)?;
        let sending = |mime_type, stage| Sending {
            http: &self.http,
            act: &act,
            stage,
            display_name: file.display_name,
            mime_type,
            content: &content,
            on_session,
            monitor,
        };
        until_cancelled(&act, monitor, async {
            let uploaded = in_some_type(&act, sending, &mut chunks, resume).await?;
            let file = self.until_active(&act, uploaded).await?;
            content.refuse_other(&act, &file).map(|()| file)
        })
        .await
    }

    /// Uploads a picture, a document, a sound or a video. It may take a while until it
    /// [can be used](Self::until_active).
    pub async fn upload_media(&self, file: NewFile<'_>, mime_type: &str, monitor: &dyn Monitor) -> Result<RemoteFile> {
        let act = format!("uploading {}", file.display_name);
        let content = file.content();
        let mut chunks = Chunks::new(file.range, &act)?;
        let sending = Sending {
            http: &self.http,
            act: &act,
            stage: act.clone(),
            display_name: file.display_name,
            mime_type,
            content: &content,
            on_session: &|_| Ok(()),
            monitor,
        };
        until_cancelled(&act, monitor, sending.until_named(&mut chunks, None)).await
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

/// Tries the next MIME type for as long as that is what the API refuses. A refusal costs nothing.
///
/// An upload that was started keeps its type: the ones before it were refused then.
async fn in_some_type<'a>(
    act: &str,
    sending: impl Fn(&'static str, String) -> Sending<'a>,
    chunks: &mut Chunks,
    resume: Option<UploadSession>,
) -> Result<RemoteFile> {
    let started = resume.as_ref().and_then(|session| MIME_TYPES.iter().position(|known| *known == session.mime_type));
    let mut resume = resume.filter(|_| started.is_some());
    let mut refusal = None;
    for mime_type in MIME_TYPES.into_iter().skip(started.unwrap_or(0)) {
        let stage = if refusal.is_none() { act.to_owned() } else { format!("{act} as {mime_type}") };
        match sending(mime_type, stage).until_named(chunks, resume.take()).await {
            Err(error) if is_mime_refusal(&error) => refusal = Some(error),
            done => return done,
        }
    }
    Err(refusal.unwrap_or_else(|| Error::internal(act, "there is no MIME type to try")))
}

async fn until_cancelled<T>(act: &str, monitor: &dyn Monitor, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = monitor.cancellation().cancelled() => {
            monitor.check(act)?;
            Err(Error::new(ErrorKind::Cancelled, act, BY_THE_CALLER))
        }
    }
}
