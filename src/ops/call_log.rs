//! Every exchange with the API is written down in the ledger: which, with what outcome, how long it took.

use std::fmt;

use super::app::WeakApp;
use crate::gemini::{CallRecord, Witness};
use crate::job::Handle;
use crate::ledger::calls::RemoteCall;

tokio::task_local! {
    /// The job for which this task calls the API.
    static JOB: Handle;
}

/// Does the work; what it calls of the API is written down as done for this job.
pub(super) async fn for_job<T>(handle: &Handle, work: impl Future<Output = T>) -> T {
    JOB.scope(handle.clone(), work).await
}

/// Does not keep the app alive, which keeps it.
pub(super) struct CallLog(WeakApp);

impl CallLog {
    /// A log in the ledger of this app.
    pub(super) fn new(app: WeakApp) -> Self {
        Self(app)
    }
}

impl Witness for CallLog {
    fn saw(&self, call: &CallRecord) {
        let Some(app) = self.0.upgrade() else { return };
        let told = RemoteCall {
            method: &call.method,
            resource: &call.resource,
            status: call.status,
            latency: call.latency,
            ahead: call.ahead,
            class: Some(call.outcome).filter(|outcome| *outcome != "ok"),
        };
        let job = JOB.try_with(Handle::clone).ok();
        // The call was made, whether or not it can be told later.
        if let Err(e) = app.ledger().and_then(|ledger| ledger.record_call(&told, job.as_ref())) {
            tracing::warn!("a call of the API could not be written down: {e}");
        }
    }
}

impl fmt::Debug for CallLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallLog")
    }
}
