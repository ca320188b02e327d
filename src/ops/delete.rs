//! `delete_batch`: removes a job from the API, after its answers are safe here.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{JobRecord, PartRecord};
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
    /// The user has agreed: do not ask.
    #[serde(default)]
    pub confirm: bool,
}

/// What was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeleteReply {
    /// The job.
    pub job: String,
    /// What was removed at the API, or would be.
    pub removed: Vec<String>,
    /// Nothing was removed: this is what would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What remains, and where.
    pub kept: Vec<String>,
    /// What to call next.
    pub next: String,
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
pub async fn delete(app: &App, args: DeleteArgs, monitor: &dyn Monitor) -> Result<DeleteReply> {
    if !args.dry_run {
        app.allow_changes("deleting a batch job")?;
    }
    let job = super::find::job(app, &args.job).await?;
    let job = super::observe::refresh_now(app, job).await?;
    if !job.state().is_terminal() {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("deleting {}", job.handle),
            format!("it is {}", job.state()),
        )
        .hint(format!("cancel_batch {{\"job\": \"{}\"}} first, or wait until it has ended", job.handle)));
    }
    if !args.dry_run {
        super::collect::collect(app, &job, monitor).await?;
    }
    let removed = remove(app, &job, args.files, args.dry_run).await?;
    let kept = vec![
        format!("the answers, on this machine: get_results {{\"job\": \"{}\"}}", job.handle),
        "the record of the job and its cost, in the ledger".to_owned(),
    ];
    let next = if args.dry_run { "the same call without dry_run removes it" } else { "nothing" };
    Ok(DeleteReply { job: job.handle.to_string(), removed, dry_run: args.dry_run, kept, next: next.to_owned() })
}

/// Only what is ours: the batch, and the file that was uploaded for it. Result files cannot be deleted
/// by name, the API drops them itself (API reference §0.7).
async fn remove(app: &App, job: &JobRecord, files: bool, dry_run: bool) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    if job.deleted_at.is_none() {
        for name in job.remote_names() {
            if !dry_run {
                gone_is_fine(app.gemini().await?.delete_batch(name).await)?;
            }
            removed.push(name.to_owned());
        }
        if !dry_run && !removed.is_empty() {
            app.ledger()?.deleted(&job.handle)?;
        }
    }
    let lives = |part: &&PartRecord| part.file_expires.is_none_or(|expires| expires > app.now());
    for part in job.parts.iter().filter(|_| files).filter(lives) {
        let Some(name) = part.remote_file.as_deref() else { continue };
        if !dry_run {
            gone_is_fine(app.gemini().await?.delete_file(name).await)?;
            app.ledger()?.upload_removed(job.part_id(part))?;
        }
        removed.push(name.to_owned());
    }
    Ok(removed)
}

/// What is not there any more need not be deleted.
fn gone_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
