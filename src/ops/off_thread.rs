//! Runs heavy passes off the async threads, with progress and cancellation still connected.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::progress::{Monitor, Progress};

/// Runs `work` on a thread of its own and passes its progress on to `monitor`.
pub(super) async fn off_thread<T: Send + 'static>(
    monitor: &dyn Monitor,
    work: impl FnOnce(&dyn Monitor) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (progress, mut news) = watch::channel(None);
    let relay = Relay { progress, cancellation: monitor.cancellation().clone() };
    let mut task = tokio::task::spawn_blocking(move || work(&relay));
    loop {
        tokio::select! {
            biased;
            finished = &mut task => {
                return finished.map_err(|e| Error::internal("working on a thread", e.to_string()))?;
            }
            Ok(()) = news.changed() => {
                if let Some(latest) = news.borrow_and_update().as_ref() {
                    monitor.report(latest);
                }
            }
        }
    }
}

/// Keeps the latest progress only: a slow listener never slows the work.
struct Relay {
    progress: watch::Sender<Option<Progress>>,
    cancellation: CancellationToken,
}

impl Monitor for Relay {
    fn report(&self, progress: &Progress) {
        self.progress.send_replace(Some(progress.clone()));
    }

    fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}
