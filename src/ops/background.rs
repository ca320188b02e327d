//! Work that a caller waits for only so long: it goes on behind the answer.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::relay::Relay;
use crate::error::{Error, Result};
use crate::progress::Monitor;

/// Runs `work` on a task of its own and passes its progress on. `None` when it takes longer than `patience`: then it
/// goes on, and nobody can cancel it any more. Until then, cancelling the call cancels the work.
pub(super) async fn in_background<T, F>(
    patience: Option<Duration>,
    monitor: &dyn Monitor,
    work: impl FnOnce(Arc<Relay>) -> F,
) -> Result<Option<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let cancellation = CancellationToken::new();
    let (relay, mut news) = Relay::new(cancellation.clone());
    let relay = Arc::new(relay);
    let mut task = tokio::spawn(work(Arc::clone(&relay)));
    let patience = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(patience);
    loop {
        tokio::select! {
            biased;
            finished = &mut task => {
                return finished.map_err(|e| Error::internal("working in the background", e.to_string()))?.map(Some);
            }
            () = monitor.cancellation().cancelled(), if !cancellation.is_cancelled() => cancellation.cancel(),
            () = &mut patience => {
                relay.leave_alone();
                return Ok(None);
            }
            Ok(()) = news.changed() => {
                if let Some(latest) = news.borrow_and_update().as_ref() {
                    monitor.report(latest);
                }
            }
        }
    }
}
