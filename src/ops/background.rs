//! Work that a caller waits for only so long: it goes on behind the answer, and the end of the server waits for it.

use std::sync::Arc;
use std::time::Duration;

use super::ending::Ending;
use super::relay::Relay;
use crate::error::{Error, Result};
use crate::progress::Monitor;

/// Runs `work` on a task of its own and passes its progress on. `None` when it takes longer than `patience`, unless
/// the caller has time: then it goes on, and only the end of the server stops it. Until then, cancelling the call cancels
/// the work.
pub(super) async fn in_background<T, F>(
    ending: &Ending,
    patience: Option<Duration>,
    monitor: &dyn Monitor,
    work: impl FnOnce(Arc<Relay>) -> F,
) -> Result<Option<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let cancellation = ending.stop().child_token();
    let (relay, mut news) = Relay::new(cancellation.clone());
    let relay = Arc::new(relay);
    let mut task = ending.spawn(work(Arc::clone(&relay)));
    let patience = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(patience);
    let mut has_time = false;
    loop {
        tokio::select! {
            biased;
            finished = &mut task => {
                return finished.map_err(|e| Error::internal("working in the background", e.to_string()))?.map(Some);
            }
            () = monitor.cancellation().cancelled(), if !cancellation.is_cancelled() => cancellation.cancel(),
            () = &mut patience, if !has_time => {
                has_time = monitor.has_time();
                if !has_time {
                    relay.leave_alone();
                    return Ok(None);
                }
            }
            Ok(()) = news.changed() => {
                if let Some(latest) = news.borrow_and_update().as_ref() {
                    monitor.report(latest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::progress::{Progress, Silent};

    /// A caller who asks later.
    #[derive(Default)]
    struct Later(Silent);

    impl Monitor for Later {
        fn report(&self, _progress: &Progress) {}

        fn cancellation(&self) -> &CancellationToken {
            self.0.cancellation()
        }

        fn has_time(&self) -> bool {
            true
        }
    }

    async fn after_patience(monitor: &dyn Monitor) -> Option<u8> {
        let work = |_| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(7)
        };
        in_background(&Ending::default(), Some(Duration::ZERO), monitor, work).await.unwrap()
    }

    #[tokio::test]
    async fn work_goes_on_behind_the_answer_unless_the_caller_has_time() {
        assert_eq!(after_patience(&Silent::default()).await, None);
        assert_eq!(after_patience(&Later::default()).await, Some(7));
    }
}
