//! A monitor for work on another thread or task than its caller's.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::progress::{Monitor, Progress};

/// Keeps the latest progress only: a slow listener never slows the work.
#[derive(Debug)]
pub(super) struct Relay {
    progress: watch::Sender<Option<Progress>>,
    cancellation: CancellationToken,
    alone: AtomicBool,
}

impl Relay {
    /// A monitor, and where its progress comes out.
    pub(super) fn new(cancellation: CancellationToken) -> (Self, watch::Receiver<Option<Progress>>) {
        let (progress, news) = watch::channel(None);
        (Self { progress, cancellation, alone: AtomicBool::new(false) }, news)
    }

    /// Whether the caller has its answer already: nobody hears of an error.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }

    /// The caller does not wait any longer.
    pub(super) fn leave_alone(&self) {
        self.alone.store(true, Ordering::Release);
    }
}

impl Monitor for Relay {
    fn report(&self, progress: &Progress) {
        self.progress.send_replace(Some(progress.clone()));
    }

    fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}
