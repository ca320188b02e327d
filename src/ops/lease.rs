//! The right to do something alone among all processes, renewed until dropped.

use std::time::Duration;

use tokio::task::AbortHandle;

use super::App;
use crate::error::Result;
use crate::job::Handle;
use crate::ledger::lease::{Holder, LEASE, name_of_job};
use crate::progress::{Monitor, Progress};

/// How often a lease that somebody else holds is asked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// A lease that is held.
pub(super) struct Lease {
    app: App,
    name: String,
    owner: String,
    renewal: AbortHandle,
}

impl Lease {
    /// The right to send a job, once nobody else holds it.
    pub(super) async fn of_job(app: &App, handle: &Handle, monitor: &dyn Monitor) -> Result<Self> {
        Self::once_free(|| Self::of_job_if_free(app, handle), handle, monitor).await
    }

    /// The right to choose what is repeated of a job and of its retries, once nobody else holds it.
    pub(super) async fn of_retries(app: &App, root: &Handle, monitor: &dyn Monitor) -> Result<Self> {
        Self::once_free(|| Self::if_free(app, format!("retry {root}")), root, monitor).await
    }

    async fn once_free(
        take: impl Fn() -> Result<Option<Self>>,
        handle: &Handle,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        loop {
            if let Some(lease) = take()? {
                return Ok(lease);
            }
            monitor.check(&format!("waiting for another process that works on {handle}"))?;
            let stage = format!("another process works on {handle}");
            monitor.report(&Progress { stage, done: 0, total: None, unit: "jobs" });
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The same, unless somebody else holds it now.
    pub(super) fn of_job_if_free(app: &App, handle: &Handle) -> Result<Option<Self>> {
        Self::if_free(app, name_of_job(handle))
    }

    /// Its holder, to the ledger.
    pub(super) fn holder(&self) -> Holder<'_> {
        Holder { lease: &self.name, owner: &self.owner }
    }

    /// The right to do what this name says, unless somebody else has it now.
    pub(super) fn if_free(app: &App, name: String) -> Result<Option<Self>> {
        let owner = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        if !app.ledger()?.lease(&name, &owner)? {
            return Ok(None);
        }
        let renewal = tokio::spawn(renew(app.clone(), name.clone(), owner.clone())).abort_handle();
        Ok(Some(Self { app: app.clone(), name, owner, renewal }))
    }
}

async fn renew(app: App, name: String, owner: String) {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        match app.ledger().and_then(|ledger| ledger.renew(&name, &owner)) {
            Ok(true) => {}
            Ok(false) => return,
            Err(e) => tracing::warn!("the lease on {name} could not be renewed: {e}"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        // A lease that cannot be given back runs out by itself.
        if let Err(e) = self.app.ledger().and_then(|ledger| ledger.release(&self.name, &self.owner)) {
            tracing::warn!("the lease on {} could not be released: {e}", self.name);
        }
    }
}
