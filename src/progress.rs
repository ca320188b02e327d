//! How long work reports back and is told to stop.
//!
//! Every long operation takes a `&dyn Monitor` as its last argument. The terminal, the MCP server
//! and the tests implement it; the operations know none of them.

use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};

/// Why work was cancelled, as far as it knows itself. Who stopped it with a whole server says that instead.
pub const BY_THE_CALLER: &str = "cancelled by the caller";

/// How far one piece of work has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What is being done, for a person: "uploading", "waiting for products-3f9a1c2b7d10".
    pub stage: String,
    /// Units done so far. Never decreases within a stage.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// What is counted: "rows", "bytes", "requests".
    pub unit: &'static str,
}

/// Receives progress and carries the order to stop.
pub trait Monitor: Send + Sync {
    /// Takes note of progress. Called often: implementations limit their own rate.
    fn report(&self, progress: &Progress);

    /// The token that is cancelled when the caller gives up.
    fn cancellation(&self) -> &CancellationToken;

    /// Whether the caller asks later for the answer, so that it may take as long as it takes. May come to be so.
    fn has_time(&self) -> bool {
        false
    }

    /// Fails with [`ErrorKind::Cancelled`] once the caller has given up.
    fn check(&self, act: &str) -> Result<()> {
        if self.cancellation().is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, act, BY_THE_CALLER)
                .hint("nothing is lost: the same call again continues where this one stopped"));
        }
        Ok(())
    }
}

/// A monitor that listens to nothing, and never cancels unless it has its order to stop from elsewhere.
#[derive(Debug, Default)]
pub struct Silent(CancellationToken);

impl Silent {
    /// Work that nobody watches, until this is cancelled.
    pub fn until(stop: CancellationToken) -> Self {
        Self(stop)
    }
}

impl Monitor for Silent {
    fn report(&self, _progress: &Progress) {}

    fn cancellation(&self) -> &CancellationToken {
        &self.0
    }
}
