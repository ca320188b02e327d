//! Finds the job that a caller means, here or at the API.

use chrono::{DateTime, Utc};

use super::{App, nearest};
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteBatch;
use crate::job::models::bare_name;
use crate::job::{ContentHash, Handle, Kind};
use crate::ledger::{Intended, JobRecord, NewJob, NewPart, PartId};

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

/// Records a job that was made elsewhere, or by this user before the ledger was lost.
async fn import(app: &App, found: &[RemoteBatch]) -> Result<JobRecord> {
    let Some(first) = found.first() else {
        return Err(Error::internal("recording a job of the API", "there is none"));
    };
    let ledger = app.ledger()?;
    // Only our own handles name one job; of any other display name, or one that is taken, the API's name serves.
    let ours = first.display_name.as_deref().and_then(Handle::parse_part);
    let ours = match ours {
        Some((handle, ..)) if !ledger.is_another_job(&handle, &first.name)? => Some(handle),
        _ => None,
    };
    let parts = parts(found, ours.as_ref());
    let handle = ours.unwrap_or_else(|| Handle::from_ledger(first.name.clone()));
    let kind = first.kind.unwrap_or(Kind::Generate);
    let model = bare_name(&first.model);
    let content = ContentHash::of_job(&first.name, model, kind, 1);
    let job = NewJob {
        owner: Some(app.gemini().await?.owner()),
        ..NewJob::new(handle, content, model, kind, parts.iter().map(|(part, _)| part.clone()).collect())
    };
    // No budget: what is there is spent.
    let handle = match ledger.intend(&job, None)? {
        Intended::New(record) | Intended::Known(record) => record.handle,
        Intended::OverBudget(_) => return Err(Error::internal("recording a job of the API", "without a budget")),
    };
    for (part, remote) in parts {
        super::lookup::adopt(app, PartId { handle: &handle, number: part.number }, remote)?;
    }
    ledger.job(&handle)
}

/// The parts of a job as the API has them, the first made of each.
fn parts<'r>(found: &'r [RemoteBatch], ours: Option<&Handle>) -> Vec<(NewPart, &'r RemoteBatch)> {
    let mut oldest_first: Vec<_> = found.iter().collect();
    oldest_first.sort_by_key(|batch| batch.create_time);
    let mut parts: Vec<(NewPart, &RemoteBatch)> = Vec::new();
    for remote in oldest_first {
        let name = remote.display_name.as_deref().and_then(Handle::parse_part);
        let (number, of) = match (name, ours) {
            (Some((handle, number, of)), Some(ours)) if handle == *ours => (number, of),
            _ if parts.is_empty() => (1, 1),
            _ => continue,
        };
        if parts.iter().all(|(part, _)| part.number != number) {
            let whole = NewPart::whole(remote.counts.total.unwrap_or(0), None, None);
            parts.push((NewPart { number, of, ..whole }, remote));
        }
    }
    parts
}
