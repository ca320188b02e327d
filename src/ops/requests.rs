//! The requests of a job on this machine, for as long as some of them are not sent.
//!
//! What is sent at once is read from the caller's file. What has to wait is copied beside the ledger first: hours
//! later the caller's file may be another one, or gone.

use std::fs::File;
use std::io::Read;

use super::App;
use super::checked::modified;
use super::off_thread::off_thread;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{JobRecord, PartRecord};
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};

/// Bytes of a request file that is copied.
const SMALL: u64 = 16 << 20;
/// Bytes that are copied between two looks whether that is still wanted.
const AT_A_TIME: u64 = 64 << 20;

/// Where the requests of a part are read.
pub(super) struct Requests {
    pub(super) file: File,
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// The requests of a part, as they were checked.
pub(super) fn requests_of(app: &App, job: &JobRecord, part: &PartRecord) -> Result<Requests> {
    let file = open(app, job)?;
    let size = file.metadata().map_err(|e| Error::io(reading(job), e))?.len();
    let end_of_part = part.bytes.map_or(size, |bytes| part.first_byte + bytes);
    if end_of_part > size || (part.of == 1 && end_of_part != size) {
        return Err(changed(job));
    }
    Ok(Requests { file, start: part.first_byte, bytes: end_of_part - part.first_byte })
}

/// Copies the requests beside the ledger, unless they are there.
pub(super) async fn keep(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<()> {
    let kept = Vault::open(app, &job.handle)?.requests()?;
    if kept.exists() {
        return Ok(());
    }
    let (source, job) = (input_of(app, job)?, job.clone());
    off_thread(monitor, move |monitor| {
        let temporary = kept.temporary()?;
        let file = source.open()?;
        as_checked(&job, &file)?;
        copy(
            &file,
            temporary.as_file(),
            &format!("keeping the requests of {} until they are sent", job.handle),
            monitor,
        )?;
        as_checked(&job, &file)?;
        kept.persist(temporary, true)
    })
    .await
}

/// Copies a file that may be large.
fn copy(from: &File, mut to: &File, act: &str, monitor: &dyn Monitor) -> Result<()> {
    let failed = |e| Error::io(act, e);
    let (mut done, total) = (0, from.metadata().map_err(failed)?.len());
    loop {
        monitor.check(act)?;
        monitor.report(&Progress { stage: act.to_owned(), done, total: Some(total), unit: "bytes" });
        match std::io::copy(&mut from.take(AT_A_TIME), &mut to).map_err(failed)? {
            0 => return Ok(()),
            copied => done += copied,
        }
    }
}

/// Keeps the request file beside the ledger as it was submitted: whatever becomes of the caller's file later, a retry finds
/// it. A small one is copied. A large one gets a second name, where the disk knows such: that takes no room, and is lost only
/// to whoever writes into the file in place. A help only: nothing fails without it.
pub(super) fn hold_on(app: &App, job: &JobRecord) {
    if let Err(e) = keep_as_submitted(app, job) {
        tracing::debug!("the request file of {} is not kept: {e}", job.handle);
    }
}

fn keep_as_submitted(app: &App, job: &JobRecord) -> Result<()> {
    let held = Vault::open(app, &job.handle)?.submitted()?;
    if held.exists() {
        if held.open().is_ok_and(|file| as_checked(job, &file).is_ok()) {
            return Ok(());
        }
        std::fs::remove_file(held.as_path()).map_err(|e| Error::io(format!("removing {held}"), e))?;
    }
    let (source, failed) = (input_of(app, job)?, |e| Error::io(format!("keeping {held}"), e));
    let file = source.open()?;
    as_checked(job, &file)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.len() > SMALL {
        return std::fs::hard_link(source.as_path(), held.as_path()).map_err(failed);
    }
    let copy = held.temporary()?;
    std::fs::copy(source.as_path(), copy.path()).map_err(failed)?;
    metadata.modified().and_then(|moment| copy.as_file().set_modified(moment)).map_err(failed)?;
    as_checked(job, &source.open()?)?;
    held.persist(copy, true)
}

/// The requests as they were submitted: the caller's file, or where that is gone or another one by now, what was kept.
pub(super) fn as_submitted(app: &App, job: &JobRecord) -> Result<AllowedPath> {
    let held = Vault::open(app, &job.handle)?.submitted()?;
    let is_right = |path: &AllowedPath| path.open().is_ok_and(|file| as_checked(job, &file).is_ok());
    match input_of(app, job) {
        Ok(path) if is_right(&path) => Ok(path),
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        // Of a job that came back from the API nothing is known that it could be held against.
        _ if job.input_sha256.is_some() && held.exists() && is_right(&held) => Ok(held),
        found => found,
    }
}

/// Removes the copy once everything is sent.
pub(super) fn let_go(app: &App, job: &JobRecord) -> Result<()> {
    let kept = Vault::open(app, &job.handle)?.requests()?;
    if !kept.exists() {
        return Ok(());
    }
    std::fs::remove_file(kept.as_path()).map_err(|e| Error::io(format!("removing {kept}"), e))
}

fn open(app: &App, job: &JobRecord) -> Result<File> {
    let kept = Vault::open(app, &job.handle)?.requests()?;
    if kept.exists() {
        return kept.open();
    }
    let file = input_of(app, job)?.open()?;
    as_checked(job, &file)?;
    Ok(file)
}

/// The file that the job was made from. Where the job was made, by a person or for another folder, more may
/// have been allowed than here.
pub(super) fn input_of(app: &App, job: &JobRecord) -> Result<AllowedPath> {
    let path = job.input_path.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, reading(job), "the job was made elsewhere, its request file is not known here")
            .hint("submit the requests with create_batch from the file they came from")
    })?;
    Vault::or_roots(app)?.existing(path).map_err(|e| not_there(job, path, e))
}

/// The file was moved, deleted, or is none that this program may read.
fn not_there(job: &JobRecord, path: &str, e: Error) -> Error {
    let way_out = match e.kind() {
        ErrorKind::NotFound => "put the file back there, unchanged",
        ErrorKind::PathNotAllowed => "start with --root FOLDER (or GEMINI_BATCH_ROOTS) naming its folder too",
        _ => return e,
    };
    let cause = format!("its request file was at {path}: {}", e.cause());
    let works = format!("check_status and get_results {{\"job\": \"{}\"}} work without it", job.handle);
    e.with_act(reading(job)).with_cause(cause).hint(format!("{way_out}; {works}"))
}

/// What was hashed and estimated is what is to be paid for.
fn as_checked(job: &JobRecord, file: &File) -> Result<()> {
    let same = job.input_modified.is_none_or(|checked| modified(file) == Some(checked));
    if same { Ok(()) } else { Err(changed(job)) }
}

fn changed(job: &JobRecord) -> Error {
    let file = job.input_path.as_deref().unwrap_or("its request file");
    Error::new(
        ErrorKind::InvalidInput,
        format!("submitting {}", job.handle),
        format!("{file} was changed since it was checked"),
    )
    .hint("make the same call again: it checks the file as it is now; nothing was sent")
}

/// What is being done when they are read.
pub(super) fn reading(job: &JobRecord) -> String {
    format!("reading the requests of {}", job.handle)
}
