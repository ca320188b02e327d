//! Finds the job that a caller means, here or at the API.

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteBatch;
use crate::job::models::bare_name;
use crate::job::{ContentHash, Handle, JobState, Kind};
use crate::ledger::jobs::Adoption;
use crate::ledger::{JobRecord, NewJob};

/// Pages of 100 jobs that are looked through for a handle at the API.
const PAGES: usize = 20;

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
        return import(app, &remote);
    }
    if let Some(record) = ledger.find(asked)? {
        return Ok(record);
    }
    if app.can_connect()
        && let Some(remote) = at_the_api(app, |name| name == asked).await?
    {
        return import(app, &remote);
    }
    Err(Error::new(ErrorKind::NotFound, format!("finding the job {asked}"), "there is no job of that name")
        .hint("list_batches shows all jobs and their handles"))
}

/// The newest job at the API whose display name fits.
pub(super) async fn at_the_api(app: &App, fits: impl Fn(&str) -> bool) -> Result<Option<RemoteBatch>> {
    let gemini = app.gemini().await?;
    let mut token = None;
    for _ in 0..PAGES {
        let page = gemini.list_batches(100, token.as_deref()).await?;
        let found = page.items.into_iter().find(|batch| batch.display_name.as_deref().is_some_and(&fits));
        if found.is_some() {
            return Ok(found);
        }
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    Ok(None)
}

/// Records a job that was made elsewhere, or by this user before the ledger was lost.
fn import(app: &App, remote: &RemoteBatch) -> Result<JobRecord> {
    let ledger = app.ledger()?;
    // Only our own handles name one job; of any other display name, or one that is taken, the API's name serves.
    let ours = remote.display_name.as_deref().and_then(Handle::parse);
    let ours = match ours {
        Some(handle) if !ledger.is_another_job(&handle, &remote.name)? => Some(handle),
        _ => None,
    };
    let handle = ours.unwrap_or_else(|| Handle::from_ledger(remote.name.clone()));
    let kind = remote.kind.unwrap_or(Kind::Generate);
    let job = NewJob {
        content: ContentHash::of_job(&remote.name, bare_name(&remote.model), kind, 1),
        handle,
        run: 1,
        model: bare_name(&remote.model).to_owned(),
        kind,
        requests: remote.counts.total.unwrap_or(0),
        input_path: None,
        input_sha256: None,
        high_usd: None,
        retry_of: None,
    };
    let (record, _) = ledger.intend(&job)?;
    let found = Adoption { remote_name: &remote.name, state: JobState::Pending, submitted_at: remote.create_time };
    ledger.adopt(&record.handle, &found)?;
    super::observe::record(app, &record.handle, remote)
}
