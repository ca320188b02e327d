//! One job at the API, whatever happens on the way.
//!
//! Create is not idempotent at the far end and costs money. So each step is on disk before the next
//! one touches the network: intended → uploaded → creating → created. A run that died, or whose reply
//! was lost, is continued by the next call: an upload that is still there is used, a create whose
//! outcome is unclear is looked up by its display name (API reference §3.6) and sent again only when
//! it is certainly absent after a settling time. A lease keeps two processes from doing it at once.

use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;
use tokio::task::AbortHandle;

use super::App;
use super::checked::modified;
use super::create::Submission;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::{BatchInput, NewBatch, RemoteBatch, Timeouts};
use crate::job::Handle;
use crate::ledger::jobs::Adoption;
use crate::ledger::lease::LEASE;
use crate::ledger::{JobRecord, NewJob, Step};
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};

/// An uploaded file is used only while it has this long to live: a job may start late.
const FILE_MARGIN: chrono::TimeDelta = chrono::TimeDelta::hours(24);
/// How often, and how far apart, a create without a reply is looked up at once.
const LOOKUPS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(4)];

/// A job, ready to be submitted.
pub(super) struct Plan {
    pub(super) job: NewJob,
    pub(super) input: AllowedPath,
    pub(super) bytes: u64,
    /// When the file was last written to, as it was checked.
    pub(super) modified: Option<SystemTime>,
    pub(super) keys: NamedTempFile,
    pub(super) priority: Option<i64>,
    pub(super) webhook_urls: Vec<String>,
}

/// Brings the job to the API, or finds it there.
pub(super) async fn submit(app: &App, plan: &Plan, monitor: &dyn Monitor) -> Result<(JobRecord, Submission)> {
    // Without a key nothing is recorded either.
    app.gemini().await?;
    let ledger = app.ledger()?;
    let (job, _) = ledger.intend(&plan.job)?;
    keep_keys(app, &job.handle, &plan.keys)?;
    if job.step == Step::Created {
        return found(app, job).await;
    }
    let lease = Lease::take(app, &job.handle, monitor).await?;
    // Another process may have finished it while this one waited for the lease.
    let job = ledger.job(&job.handle)?;
    if job.step == Step::Created {
        return found(app, job).await;
    }
    if let Some(remote) = look_up(app, &job.handle).await? {
        return Ok((adopt(app, &job.handle, &remote)?, Submission::Adopted));
    }
    refuse_unsettled(app, &job)?;
    let remote_file = uploaded_file(app, plan, &job, &lease, monitor).await?;
    create(app, plan, &lease, &remote_file, monitor).await
}

async fn found(app: &App, job: JobRecord) -> Result<(JobRecord, Submission)> {
    let job = super::observe::refresh(app, job).await?;
    Ok((job, Submission::Found))
}

/// The job at the API that carries this handle, whatever name stands before the hash.
pub(super) async fn look_up(app: &App, handle: &Handle) -> Result<Option<RemoteBatch>> {
    let ending = format!("-{}", handle.hash());
    super::find::at_the_api(app, |name| name.ends_with(&ending)).await
}

pub(super) fn adopt(app: &App, handle: &Handle, remote: &RemoteBatch) -> Result<JobRecord> {
    let found = Adoption { remote_name: &remote.name, state: remote.state, submitted_at: remote.create_time };
    app.ledger()?.adopt(handle, &found)?;
    super::observe::record(app, handle, remote)
}

/// After a create of unknown outcome, absence means something only when the API had time to show the job.
///
/// A create whose process died may still be worked on at the far end, for as long as it would have been waited for.
fn refuse_unsettled(app: &App, job: &JobRecord) -> Result<()> {
    let under_way = match job.step {
        Step::Creating => Timeouts::default().create,
        Step::Unclear => Duration::ZERO,
        Step::Intended | Step::Uploaded | Step::Created => return Ok(()),
    };
    let age = (app.now() - job.step_at).to_std().unwrap_or_default();
    match (app.config().settle + under_way).checked_sub(age) {
        None | Some(Duration::ZERO) => Ok(()),
        Some(left) => Err(unclear(&job.handle, left)),
    }
}

fn unclear(handle: &Handle, left: Duration) -> Error {
    Error::new(
        ErrorKind::UnclearOutcome,
        format!("submitting {handle}"),
        "a create was sent and its outcome is not known: the job does not show up at the API so far",
    )
    .hint(format!(
        "make the same call again in {} s: it looks the job up first, and creates it only if it is certainly absent",
        left.as_secs() + 1
    ))
}

/// The request file at the API: an earlier upload if it lives long enough, else a new one.
async fn uploaded_file(
    app: &App,
    plan: &Plan,
    job: &JobRecord,
    lease: &Lease,
    monitor: &dyn Monitor,
) -> Result<String> {
    if let Some(name) = &job.remote_file
        && job.step != Step::Intended
        && job.file_expires.is_some_and(|expires| expires - app.now() > FILE_MARGIN)
    {
        return Ok(name.clone());
    }
    let file = plan.input.open()?;
    if modified(&file) != plan.modified {
        // What was hashed and estimated is what is to be paid for.
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("submitting {}", job.handle),
            format!("{} was changed since it was checked", plan.input),
        )
        .hint("make the same call again: it checks the file as it is now; nothing was sent"));
    }
    let remote = app.gemini().await?.upload(file, plan.bytes, job.handle.as_str(), monitor).await?;
    if !app.ledger()?.uploaded(&job.handle, &lease.owner, &remote.name, remote.expiration_time)? {
        return Err(overtaken(&job.handle));
    }
    Ok(remote.name)
}

fn overtaken(handle: &Handle) -> Error {
    Error::new(ErrorKind::WrongState, format!("submitting {handle}"), "another process took over")
        .hint("check_status shows what became of it")
}

async fn create(
    app: &App,
    plan: &Plan,
    lease: &Lease,
    remote_file: &str,
    monitor: &dyn Monitor,
) -> Result<(JobRecord, Submission)> {
    let handle = &lease.handle;
    // The last moment at which giving up costs nothing.
    monitor.check(&format!("submitting {handle}"))?;
    let ledger = app.ledger()?;
    monitor.report(&Progress { stage: format!("creating {handle}"), done: 0, total: None, unit: "jobs" });
    let batch = NewBatch {
        display_name: handle.as_str(),
        input: BatchInput::File(remote_file),
        priority: plan.priority,
        webhook_uris: &plan.webhook_urls,
    };
    let gemini = app.gemini().await?;
    if !ledger.creating(handle, &lease.owner)? {
        return Err(overtaken(handle));
    }
    match gemini.create_batch(&plan.job.model, plan.job.kind, batch).await {
        Ok(remote) => {
            ledger.created(handle, &remote.name, remote.state, remote.create_time)?;
            Ok((super::observe::record(app, handle, &remote)?, Submission::Created))
        }
        Err(e) if e.kind() == ErrorKind::UnclearOutcome => {
            ledger.unclear(handle)?;
            resolve(app, handle).await
        }
        Err(e) => {
            ledger.refused(handle, &e.to_string())?;
            if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Auth) {
                // The file may be what was not found: send it again next time.
                ledger.upload_lost(handle)?;
            }
            Err(e)
        }
    }
}

/// Looks a create without a reply up a few times; most show up at once.
async fn resolve(app: &App, handle: &Handle) -> Result<(JobRecord, Submission)> {
    for wait in LOOKUPS {
        tokio::time::sleep(wait).await;
        if let Ok(Some(remote)) = look_up(app, handle).await {
            return Ok((adopt(app, handle, &remote)?, Submission::Created));
        }
    }
    Err(unclear(handle, app.config().settle))
}

/// The keys stay with the job, so that its answers can be accounted for when the file is gone.
fn keep_keys(app: &App, handle: &Handle, keys: &NamedTempFile) -> Result<()> {
    let kept = Vault::open(app, handle)?.keys()?;
    if kept.exists() {
        return Ok(());
    }
    let temporary = kept.temporary()?;
    std::fs::copy(keys.path(), temporary.path()).map_err(|e| Error::io(format!("keeping the keys of {handle}"), e))?;
    kept.persist(temporary, true)
}

/// The right to submit a job, renewed until dropped.
pub(super) struct Lease {
    app: App,
    handle: Handle,
    owner: String,
    renewal: AbortHandle,
}

impl Lease {
    /// Takes the lease, waiting for another process that holds it.
    pub(super) async fn take(app: &App, handle: &Handle, monitor: &dyn Monitor) -> Result<Self> {
        let owner = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        while !app.ledger()?.lease(handle, &owner)? {
            monitor.check(&format!("waiting for another process that submits {handle}"))?;
            monitor.report(&Progress {
                stage: format!("another process submits {handle}"),
                done: 0,
                total: None,
                unit: "jobs",
            });
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let renewal = tokio::spawn(renew(app.clone(), handle.clone(), owner.clone())).abort_handle();
        Ok(Self { app: app.clone(), handle: handle.clone(), owner, renewal })
    }
}

async fn renew(app: App, handle: Handle, owner: String) {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        match app.ledger().and_then(|ledger| ledger.renew(&handle, &owner)) {
            Ok(true) => {}
            Ok(false) => return,
            Err(e) => tracing::warn!("the lease on {handle} could not be renewed: {e}"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        // A lease that cannot be given back runs out by itself.
        if let Err(e) = self.app.ledger().and_then(|ledger| ledger.release(&self.handle, &self.owner)) {
            tracing::warn!("the lease on {} could not be released: {e}", self.handle);
        }
    }
}
