//! `delete_batch`: removes a job from the API, after its answers are safe here.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

/// What was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeleteReply {
    /// The job.
    pub job: String,
    /// What was removed at the API, or would be.
    pub removed: Vec<String>,
    /// What remains, and where.
    pub kept: Vec<String>,
    /// What to call next.
    pub next: String,
}

impl fmt::Display for DeleteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "job {}", self.job)?;
        for removed in &self.removed {
            writeln!(f, "removed: {removed}")?;
        }
        for kept in &self.kept {
            writeln!(f, "kept: {kept}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// To come.
pub async fn delete(
    _app: &super::App,
    _args: DeleteArgs,
    _monitor: &dyn crate::progress::Monitor,
) -> crate::error::Result<DeleteReply> {
    Err(crate::error::Error::internal("delete", "not there yet"))
}
