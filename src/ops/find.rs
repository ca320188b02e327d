//! Finds the job that a caller means, here or at the API.

use chrono::{DateTime, Utc};

use super::{App, import, nearest, observe};
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteBatch;
use crate::job::Handle;
use crate::ledger::JobRecord;

/// Handles that a name is compared with, the newest.
const MOST_COMPARED: usize = 1000;

/// The job called `asked`: a handle, its unique beginning, or a `batches/…` name. A job that only the
/// API knows is recorded here first.
pub(super) async fn job(app: &App, asked: &str) -> Result<JobRecord> {
    let asked = asked.trim();
    if asked.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "finding the job", "no job is named")
            .hint("pass the handle that create_batch replied; list_batches shows all"));
    }
    let ledger = app.ledger()?;
    if asked.starts_with("batches/") {
        if let Some(record) = ledger.by_remote_name(asked)? {
            return Ok(record);
        }
        let remote = app.gemini().await?.get_batch(asked).await?;
        return import(app, &[remote]).await;
    }
    if let Some(record) = ledger.find(asked)? {
        return Ok(record);
    }
    if app.can_connect() {
        let is_of_it =
            |name: &str| name == asked || Handle::parse_part(name).is_some_and(|(job, ..)| job.as_str() == asked);
        let found = at_the_api(app, None, &is_of_it).await?;
        if !found.is_empty() {
            return import(app, &found).await;
        }
    }
    Err(Error::new(ErrorKind::NotFound, format!("finding the job {asked}"), "there is no job of that name")
        .hint(names_like(app, asked)?))
}

/// The handles that may be meant, and where all are.
fn names_like(app: &App, asked: &str) -> Result<String> {
    let all = "list_batches shows all jobs and their handles";
    let known = app.ledger()?.newest_handles(MOST_COMPARED)?;
    // The hash is seldom typed: a slip is one in the name, or in all of it.
    let names = known.iter().flat_map(|handle| [(handle.slug(), handle), (handle.as_str(), handle)]);
    let near: Vec<&str> = nearest::of(asked, names).into_iter().map(Handle::as_str).collect();
    Ok(if near.is_empty() { all.to_owned() } else { format!("did you mean {}? {all}", near.join(" or ")) })
}

/// The batches at the API whose display name fits, all of them: what is not among them is not there.
pub(super) async fn at_the_api(
    app: &App,
    since: Option<DateTime<Utc>>,
    fits: &(dyn Fn(&str) -> bool + Send + Sync),
) -> Result<Vec<RemoteBatch>> {
    let named = |batch: &RemoteBatch| batch.display_name.as_deref().is_some_and(fits);
    app.gemini().await?.find_batches(since, &named).await
}

/// Records a job that was made elsewhere, or by this user before the ledger was lost. What is a part of a job that is
/// known, as one whose create got no answer, is taken for it.
async fn import(app: &App, found: &[RemoteBatch]) -> Result<JobRecord> {
    import::as_ours(app, found).await?;
    if let Some(job) = known(app, found)? {
        return Ok(job);
    }
    // Of any display name but our own handles, or one that is taken, the API's name serves.
    if let Some(first) = found.iter().min_by_key(|batch| batch.create_time) {
        import::as_a_strangers(app, first).await?;
    }
    known(app, found)?.ok_or_else(|| Error::internal("recording a job of the API", "it is not there"))
}

/// The job of which these are, as they stand now.
fn known(app: &App, found: &[RemoteBatch]) -> Result<Option<JobRecord>> {
    let mut known = None;
    for remote in found {
        if let Some(job) = app.ledger()?.by_remote_name(&remote.name)? {
            let part = job.parts.iter().find(|part| part.remote_name.as_ref() == Some(&remote.name));
            known = part.map(|part| observe::record(app, job.part_id(part), remote)).transpose()?;
        }
    }
    Ok(known)
}
