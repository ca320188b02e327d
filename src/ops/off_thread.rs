//! Runs heavy passes off the async threads, with progress and cancellation still connected.

use super::relay::Relay;
use crate::error::{Error, Result};
use crate::progress::Monitor;

/// Runs `work` on a thread of its own and passes its progress on to `monitor`.
pub(super) async fn off_thread<T: Send + 'static>(
    monitor: &dyn Monitor,
    work: impl FnOnce(&dyn Monitor) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (relay, mut news) = Relay::new(monitor.cancellation().clone());
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
