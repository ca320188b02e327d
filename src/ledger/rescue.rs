//! What is done when the ledger is damaged or gone: nothing is deleted, and a new one is started.
//!
//! The damaged file is set aside under another name, with SQLite's files beside it. What can be read of it is in the
//! new one, and the rest is marked as missing, to be looked up at the API (`ops/rebuild.rs`). A process that dies on the way
//! leaves either the damaged file at its place, or a whole rescued one that the next process puts there.

use super::files::Files;
use super::salvage;
use crate::error::Result;
use crate::job::outcome::counted;

/// What happened to the ledger.
#[derive(Debug)]
pub(super) struct Trouble {
    /// The event.
    pub(super) event: &'static str,
    /// Its detail.
    pub(super) detail: String,
    /// The same for the user, with what comes next.
    pub(super) note: String,
}

const NEXT: &str = "Jobs that are missing are looked up at the API by the next call that goes there";

/// Sets a damaged ledger aside and puts what can be read of it in its place. Nobody else may be using it.
pub(super) fn rescue(files: &Files, cause: &str) -> Result<Trouble> {
    let salvaged = salvage::salvage(files)?;
    files.mark_incomplete()?;
    let kept = files.set_aside()?;
    files.put_rescued()?;
    let name = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = match salvaged.jobs {
        0 => "nothing could be read of it".to_owned(),
        jobs => format!("{} could be read of it", counted(jobs, "job")),
    };
    Ok(Trouble {
        event: "set aside",
        detail: format!("{name}: {cause}; {read}"),
        note: format!(
            "the ledger was damaged ({cause}): it was set aside as {}, and a new one was started; {read}. {NEXT}",
            kept.display()
        ),
    })
}

/// Gets ready for a new ledger where there is none. Nobody else may be using it.
pub(super) fn begin(files: &Files) -> Result<Option<Trouble>> {
    let kept = if files.has_leftovers() { Some(files.set_aside()?) } else { None };
    if files.rescued().exists() {
        // A process died between setting the damaged one aside and this.
        files.put_rescued()?;
        let note = format!("the ledger was damaged and set aside, and a new one was started. {NEXT}");
        let detail = "an interrupted rescue was completed".to_owned();
        return Ok(Some(Trouble { event: "set aside", detail, note }));
    }
    if kept.is_none() && !files.had_jobs() {
        return Ok(None);
    }
    files.mark_incomplete()?;
    let gone = format!("the ledger {} was gone", files.main().display());
    let rest = kept.map_or(String::new(), |kept| format!("; what SQLite left of it is kept as {}-*", kept.display()));
    let note = format!("{gone}{rest}: a new one was started. {NEXT}");
    Ok(Some(Trouble { event: "lost", detail: format!("{gone}{rest}"), note }))
}
