//! How a server ends: it takes nothing new, lets what is under way end by itself for a while, then stops it, and waits
//! until that has put down what it had in hand.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long connections may take to end whose calls did not.
const FAREWELL: Duration = Duration::from_millis(200);

/// The end of a server, for whoever works in it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    closing: CancellationToken,
    stop: CancellationToken,
    over: CancellationToken,
    work: TaskTracker,
}

impl Ending {
    /// Cancelled when nothing new is to be begun.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Cancelled when what is still under way is to stop.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Cancelled when nobody is answered any more: what was stopped before had the time to say so.
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Begins work that the end waits for.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.work.spawn(work)
    }

    /// Has the end wait until this is dropped.
    pub fn wait_for_this(&self) -> TaskTrackerToken {
        self.work.token()
    }

    /// Ends everything: what is under way may go on for a time, or until there is a `hurry`, and has another to stop and
    /// to be answered.
    pub async fn in_good_order(&self, grace: Duration, hurry: impl Future<Output = ()>, last: Duration) {
        self.closing.cancel();
        self.work.close();
        tokio::select! {
            () = self.work.wait() => return,
            () = tokio::time::sleep(grace) => {}
            () = hurry => {}
        }
        self.stop.cancel();
        if tokio::time::timeout(last, self.work.wait()).await.is_err() {
            self.over.cancel();
            let _ = tokio::time::timeout(FAREWELL, self.work.wait()).await;
        }
    }
}
