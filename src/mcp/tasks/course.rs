//! The course of a call that may become a task: how far it is, and the order to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::mcp::progress;
use crate::ops::Ending;
use crate::progress::Progress;

/// How long such a call is answered as any other.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shared by the call and whoever watches it.
#[derive(Debug)]
pub(in crate::mcp) struct Course {
    /// The order to stop.
    pub(super) stop: CancellationToken,
    latest: watch::Sender<Option<Progress>>,
    /// There is nothing more to ask the user.
    begun: CancellationToken,
    /// It has become a task: nobody hears of its progress by the call any more.
    left: CancellationToken,
}

impl Course {
    /// A course that goes on until it is told to stop, or the server ends.
    pub(super) fn new(ending: &Ending) -> Self {
        Self {
            stop: ending.stop().child_token(),
            latest: watch::Sender::new(None),
            begun: CancellationToken::new(),
            left: CancellationToken::new(),
        }
    }

    /// That of a call which is a task already.
    pub(super) fn of_task(ending: &Ending) -> Self {
        let course = Self::new(ending);
        course.left.cancel();
        course
    }

    /// Takes note of progress.
    pub(in crate::mcp) fn report(&self, progress: &Progress) {
        self.latest.send_replace(Some(progress.clone()));
    }

    /// What was to be asked is answered, and from now on it may become a task.
    pub(in crate::mcp) fn begins(&self) {
        self.begun.cancel();
    }

    /// From now on it is a task.
    pub(super) fn leave(&self) {
        self.left.cancel();
    }

    /// Cancelled once it is a task.
    pub(in crate::mcp) fn left(&self) -> &CancellationToken {
        &self.left
    }

    /// When it has taken too long for an answer. Questions come first, and take as long as they take (SEP-2663, task
    /// creation).
    pub(super) async fn takes_long(&self) {
        self.begun.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    }

    /// How far it is, in words.
    pub(super) fn words(&self) -> Option<String> {
        self.latest.borrow().as_ref().map(progress::words)
    }
}
