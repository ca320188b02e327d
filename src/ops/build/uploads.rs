//! Large media brought to the API: each content once, several at a time, used again while it lives.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::attach::{Attach, Large, Placed, PlacedFile};
use super::rows::Rows;
use super::survey::{Same, Seen, Survey, by_content, survey};
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::{FileRange, Gemini, NewFile, RemoteFile};
use crate::job::outcome::counted;
use crate::ledger::uploads::{Content, Upload};
use crate::ops::App;
use crate::ops::checked::modified;
use crate::ops::off_thread::off_thread;
use crate::ops::send::FILE_MARGIN;
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};

/// How long the API keeps a file, where it does not say.
const LIFETIME: TimeDelta = TimeDelta::hours(48);
/// Uploads at a time. More do not make a line faster.
const AT_ONCE: usize = 4;
/// So much inline, and the request file may come near the 2 GB that the API takes: less goes inline then.
const CROWDED: u64 = 1024 * 1024 * 1024;
const CROWDED_LIMIT: u64 = 16 * 1024;

/// Brings the large files of all good rows to the API.
pub(super) async fn place(app: &App, rows: &Rows, mut plan: Survey, monitor: &dyn Monitor) -> Result<Attach> {
    let mut seen = read(rows, &plan, monitor).await?;
    if seen.as_ref().is_some_and(|seen| seen.inline_bytes > CROWDED) {
        plan.attach.inline_limit = CROWDED_LIMIT;
        plan.stage = "looking for smaller attached files";
        seen = read(rows, &plan, monitor).await?;
    }
    let placed = match seen {
        None => Placed::Withheld,
        Some(seen) if seen.large.is_empty() => Placed::Done(Arc::default()),
        Some(seen) => {
            refuse_unsendable(app, &seen, plan.attach.inline_limit)?;
            let contents = off_thread(monitor, move |monitor| by_content(seen.large, monitor)).await?;
            Placed::Done(Arc::new(upload_all(app, contents, monitor).await?))
        }
    };
    Ok(Attach { placed, ..plan.attach })
}

async fn read(rows: &Rows, plan: &Survey, monitor: &dyn Monitor) -> Result<Option<Seen>> {
    let (source, plan) = (rows.open()?, plan.clone());
    off_thread(monitor, move |monitor| survey(&plan, source, monitor)).await
}

fn refuse_unsendable(app: &App, seen: &Seen, limit: u64) -> Result<()> {
    app.allow_changes("uploading media")?;
    if app.can_connect() {
        return Ok(());
    }
    let first = seen.large.iter().map(|file| file.path.as_path()).min();
    let cause = format!(
        "{} larger than {} KiB must be uploaded, but no API key is set; the first is {}",
        counted(i64::try_from(seen.large.len()).unwrap_or(i64::MAX), "attached file"),
        limit / 1024,
        first.unwrap_or(Path::new("")).display()
    );
    Err(Error::new(ErrorKind::KeyMissing, "uploading media", cause)
        .hint("set GOOGLE_API_KEY where this program is started, make the files smaller, or try it with --simulate"))
}

type PlacedFiles = HashMap<AllowedPath, Result<PlacedFile, String>>;

async fn upload_all(app: &App, contents: Vec<Same>, monitor: &dyn Monitor) -> Result<PlacedFiles> {
    let gemini = app.gemini().await?;
    let owner = gemini.owner();
    let total = contents.iter().flat_map(|same| same.files.first()).map(|file| file.bytes).sum();
    let shared = Shared { monitor, done: AtomicU64::new(0), total, failed: AtomicBool::new(false) };
    let uploads = contents.into_iter().map(|same| async {
        let placed = bring_all(app, gemini, &owner, same, &shared).await;
        shared.failed.fetch_or(placed.is_err(), Ordering::Relaxed);
        placed
    });
    let placed: Vec<Result<PlacedFiles>> = stream::iter(uploads).buffer_unordered(AT_ONCE).collect().await;
    let placed: Vec<PlacedFiles> = placed.into_iter().collect::<Result<_>>()?;
    Ok(placed.into_iter().flatten().collect())
}

/// Brings the content that these files share.
async fn bring_all(app: &App, gemini: &Gemini, owner: &str, same: Same, shared: &Shared<'_>) -> Result<PlacedFiles> {
    let Some(first) = same.files.first().filter(|_| !shared.failed.load(Ordering::Relaxed)) else {
        return Ok(PlacedFiles::new());
    };
    let part = Part { shared, seen: AtomicU64::new(0) };
    let content = Content { sha256: &same.sha256, owner, mime: same.mime };
    let upload = as_problem(bring(app, gemini, content, first, &part).await)?;
    part.all(first.bytes);
    let placed = |file: Large| {
        let modified = file.modified;
        let at_the_api = |upload: Upload| PlacedFile { uri: upload.uri, expires_at: upload.expires_at, modified };
        (file.path, upload.clone().map(at_the_api))
    };
    Ok(same.files.into_iter().map(placed).collect())
}

/// What is wrong with one file is a problem of its rows; anything else would be wrong with the next one too.
fn as_problem(result: Result<Upload>) -> Result<Result<Upload, String>> {
    match result {
        Ok(upload) => Ok(Ok(upload)),
        Err(e) if matches!(e.kind(), ErrorKind::Refused | ErrorKind::InvalidInput) => Ok(Err(e.cause().to_owned())),
        Err(e) => Err(e),
    }
}

/// This content at the API, ready to be used.
async fn bring(
    app: &App,
    gemini: &Gemini,
    content: Content<'_>,
    file: &Large,
    monitor: &dyn Monitor,
) -> Result<Upload> {
    let act = format!("uploading {}", file.path);
    let ledger = app.ledger()?;
    let known = ledger.upload_of(content, app.now() + FILE_MARGIN)?;
    let (remote, upload) = match known {
        Some(known) => match still_there(gemini, &known).await? {
            Some(remote) => (remote, known),
            None => send(app, gemini, content, file, monitor).await?,
        },
        None => send(app, gemini, content, file, monitor).await?,
    };
    match gemini.until_active(&act, remote).await {
        Ok(_) => Ok(upload),
        Err(e) => {
            if e.kind() == ErrorKind::Refused {
                ledger.forget_upload(&upload.name)?;
            }
            Err(e)
        }
    }
}

/// The remembered file as it stands now, unless it was deleted meanwhile.
async fn still_there(gemini: &Gemini, known: &Upload) -> Result<Option<RemoteFile>> {
    match gemini.get_file(&known.name).await {
        Ok(remote) => Ok(Some(remote)),
        // The API tells of a file that is gone as of one that is somebody else's.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Auth) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Uploads the file and remembers it at once: it need not be sent again, whatever happens next.
async fn send(
    app: &App,
    gemini: &Gemini,
    content: Content<'_>,
    large: &Large,
    monitor: &dyn Monitor,
) -> Result<(RemoteFile, Upload)> {
    let act = || format!("uploading {}", large.path);
    let file = large.path.open()?;
    if modified(&file) != large.modified {
        return Err(Error::new(ErrorKind::InvalidInput, act(), "the file changed while it was being sent"));
    }
    let name = large.path.as_path().file_name().unwrap_or_default().to_string_lossy();
    let range = FileRange { file, start: 0, bytes: large.bytes };
    let new = NewFile { range, display_name: &name, sha256: Some(content.sha256) };
    let remote = gemini.upload_media(new, content.mime, monitor).await?;
    let uri = remote.uri.clone().ok_or_else(|| {
        Error::new(ErrorKind::UnexpectedAnswer, act(), "the API did not say what the file is referred to by")
    })?;
    let upload = Upload {
        name: remote.name.clone(),
        uri,
        bytes: large.bytes,
        expires_at: remote.expiration_time.unwrap_or_else(|| app.now() + LIFETIME),
    };
    app.ledger()?.remember_upload(content, &upload, app.now())?;
    Ok((remote, upload))
}

/// The progress of all uploads together.
struct Shared<'a> {
    monitor: &'a dyn Monitor,
    done: AtomicU64,
    total: u64,
    /// No more are started. Those under way are brought to their end: they need not be sent again.
    failed: AtomicBool,
}

/// The progress of one of them.
struct Part<'a> {
    shared: &'a Shared<'a>,
    seen: AtomicU64,
}

impl Part<'_> {
    /// So many bytes of this file need no more work.
    fn all(&self, done: u64) {
        let before = self.seen.fetch_max(done, Ordering::Relaxed);
        let more = done.saturating_sub(before);
        let done = self.shared.done.fetch_add(more, Ordering::Relaxed) + more;
        let total = Some(self.shared.total);
        self.shared.monitor.report(&Progress { stage: "uploading media".into(), done, total, unit: "bytes" });
    }
}

impl Monitor for Part<'_> {
    fn report(&self, progress: &Progress) {
        self.all(progress.done);
    }

    fn cancellation(&self) -> &CancellationToken {
        self.shared.monitor.cancellation()
    }
}
