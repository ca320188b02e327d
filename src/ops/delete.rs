//! `delete_batch`: removes a job from the API, after its answers are safe here.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::gone::explained;
use super::storage::{Listing, has_ended, size};
use super::tidy::has_upload;
use super::unfinished::refuse_unfinished;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteFile;
use crate::job::Handle;
use crate::ledger::JobRecord;
use crate::progress::Monitor;

/// Which job, and what of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteArgs {
    /// Handle, its unique beginning, or a batches/… name.
    pub job: String,
    /// Remove the uploaded request file too.
    #[serde(default)]
    pub files: bool,
    /// Only say what would be removed.
    #[serde(default)]
    pub dry_run: bool,
    /// The user agreed.
    #[serde(default)]
    pub confirm: bool,
}

/// What was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeleteReply {
    /// The job.
    pub job: String,
    /// What was removed at the API, or would be: name, bytes of a file.
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub removed: Vec<Removed>,
    /// Nothing was removed: this is what would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What remains, and where.
    pub kept: Vec<String>,
    /// What to call next.
    pub next: String,
}

/// A thing at the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Name: batches/… or files/….
    pub name: String,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

impl fmt::Display for Removed {
    /// "files/abc, 1.2 MB".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.bytes.map_or(Ok(()), |bytes| write!(f, ", {}", size(bytes)))
    }
}

impl fmt::Display for DeleteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "job {}", self.job)?;
        for removed in &self.removed {
            writeln!(f, "{}: {removed}", if self.dry_run { "would remove" } else { "removed" })?;
        }
        if self.removed.is_empty() {
            writeln!(f, "nothing is left to remove at the API")?;
        }
        for kept in &self.kept {
            writeln!(f, "kept: {kept}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// Removes a job that has ended from the API, once its answers are safe here.
///
/// Only what is ours: its batches, and with `files` what was uploaded for it. Result files cannot be deleted by name,
/// the API drops them itself (API reference §0.7).
pub async fn delete(app: &App, args: DeleteArgs, monitor: &dyn Monitor) -> Result<DeleteReply> {
    if !args.dry_run {
        app.allow_changes("deleting a batch job")?;
    }
    super::rebuild::if_incomplete(app, monitor).await;
    let job = super::find::job(app, &args.job).await?;
    let job = super::observe::refresh_now(app, job).await?;
    if !has_ended(&job) {
        refuse_unfinished(&job, "deleting")?;
    }
    if job.is_sent() && job.deleted_at.is_none() {
        let collected = super::collect::collect(app, &job, monitor).await?;
        if collected.lacking {
            return Err(not_all_here(&job));
        }
    }
    let mut removed = batches(app, &job, args.dry_run).await?;
    if args.files {
        removed.extend(files(app, &job, args.dry_run).await?);
    }
    let answers = format!("the answers, on this machine: get_results {{\"job\": \"{}\"}}", job.handle);
    let record = "the record of the job and its cost, in the ledger".to_owned();
    let kept = job.is_sent().then_some(answers).into_iter().chain([record]).collect();
    let next = if args.dry_run && !removed.is_empty() { "the same call without dry_run removes it" } else { "nothing" };
    Ok(DeleteReply { job: job.handle.to_string(), removed, dry_run: args.dry_run, kept, next: next.to_owned() })
}

/// What was paid for is not thrown away.
fn not_all_here(job: &JobRecord) -> Error {
    let cause = "the API counts more finished requests than the results it gave with their keys: those are billed and may \
                 still come";
    Error::new(ErrorKind::WrongState, format!("deleting {}", job.handle), cause).hint(format!(
        "get_results {{\"job\": \"{}\"}} tries to get them; if they never come, the API drops the job by itself. \
         Nothing was removed",
        job.handle
    ))
}

async fn batches(app: &App, job: &JobRecord, dry_run: bool) -> Result<Vec<Removed>> {
    let mut removed = Vec::new();
    for name in job.remote_names().filter(|_| job.deleted_at.is_none()) {
        if !dry_run {
            let gemini = app.gemini().await?;
            // What another project has looks as if it were gone.
            let is_theirs = job.is_foreign_to(&gemini.owner());
            let done = gemini.delete_batch(name).await;
            let done = if is_theirs { done } else { gone_is_fine(done) };
            done.map_err(|e| explained(e, job, &gemini.owner()))?;
        }
        removed.push(Removed { name: name.to_owned(), bytes: None });
    }
    if !dry_run && !removed.is_empty() {
        app.ledger()?.deleted(&job.handle)?;
    }
    Ok(removed)
}

/// What was uploaded for the job: as the ledger has it, and what carries the name of one of its parts.
async fn files(app: &App, job: &JobRecord, dry_run: bool) -> Result<Vec<Removed>> {
    let listing = Listing::of(app).await?;
    let is_there = |name: &str| !listing.is_whole || listing.files.iter().any(|file| file.name == name);
    let mut found: Vec<Removed> = listing.files.iter().filter(|file| is_of(file, job)).map(removable).collect();
    for part in job.parts.iter().filter(|part| has_upload(app, part)) {
        let Some(name) = part.remote_file.as_deref() else { continue };
        if is_there(name) && found.iter().all(|file| file.name != name) {
            let bytes = part.bytes.and_then(|bytes| i64::try_from(bytes).ok());
            found.push(Removed { name: name.to_owned(), bytes });
        }
    }
    if dry_run {
        return Ok(found);
    }
    for file in &found {
        gone_is_fine(app.gemini().await?.delete_file(&file.name).await)?;
    }
    for part in job.parts.iter().filter(|part| part.remote_file.is_some()) {
        app.ledger()?.upload_removed(job.part_id(part))?;
    }
    Ok(found)
}

/// Uploaded for a part of this job, though the ledger may have forgotten it.
fn is_of(file: &RemoteFile, job: &JobRecord) -> bool {
    let is_result = file.name.starts_with("files/batch-");
    // Also for a part of another cut, which was never sent.
    let named = file.display_name.as_deref().and_then(Handle::parse_part);
    !is_result && named.is_some_and(|(handle, ..)| handle.hash() == job.handle.hash())
}

fn removable(file: &RemoteFile) -> Removed {
    Removed { name: file.name.clone(), bytes: file.bytes }
}

/// What is not there any more need not be deleted.
pub(super) fn gone_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
