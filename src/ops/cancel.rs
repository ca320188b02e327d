//! `cancel_batch`: asks the API to stop a job.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which job.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelArgs {
    /// Handle, its unique beginning, or a batches/… name.
    pub job: String,
}

/// What was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CancelReply {
    /// The job.
    pub job: String,
    /// Its state now.
    pub state: String,
    /// What was done, what remains.
    pub done: String,
    /// What to call next.
    pub next: String,
}

impl fmt::Display for CancelReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} {}: {}\nnext: {}", self.job, self.state, self.done, self.next)
    }
}

/// To come.
pub async fn cancel(
    _app: &super::App,
    _args: CancelArgs,
    _monitor: &dyn crate::progress::Monitor,
) -> crate::error::Result<CancelReply> {
    Err(crate::error::Error::internal("cancel", "not there yet"))
}
