//! Moves the queue on beside a wait, without making it longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::App;
use super::queue;
use super::relay::Relay;
use crate::error::{ErrorKind, Result};
use crate::progress::{Monitor, Progress};

/// How soon the queue is looked at again when nothing of it waits.
const AGAIN: Duration = Duration::from_secs(2);

/// Whoever moves the queue on while somebody waits.
pub(super) struct Mover {
    app: App,
    move_: Option<Move>,
    next: Instant,
}

/// A move under way.
struct Move {
    task: JoinHandle<Result<usize>>,
    relay: Arc<Relay>,
    news: watch::Receiver<Option<Progress>>,
}

impl Mover {
    pub(super) fn new(app: &App) -> Self {
        Self { app: app.clone(), move_: None, next: Instant::now() }
    }

    /// Begins to send what there is room for, if it is time and nobody in this process is at it.
    pub(super) fn go(&mut self) {
        if self.is_at_it() || Instant::now() < self.next {
            return;
        }
        let pause = queue::next_pause(&self.app);
        self.next = Instant::now() + pause.unwrap_or(AGAIN);
        let Some(turn) = pause.and_then(|_| self.app.turn_at_the_queue()) else { return };
        let (relay, news) = Relay::new(self.app.ending().stop().child_token());
        let (app, relay) = (self.app.clone(), Arc::new(relay));
        let monitor = Arc::clone(&relay);
        let task = self.app.ending().spawn(async move {
            let _until_the_end = turn;
            let sent = queue::advance(&app, &*monitor).await;
            match &sent {
                Err(e) if e.kind() != ErrorKind::Cancelled => tracing::warn!("the queue could not be moved on: {e}"),
                _ => {}
            }
            sent
        });
        self.move_ = Some(Move { task, relay, news });
    }

    /// Whether something is being sent.
    pub(super) fn is_at_it(&self) -> bool {
        self.move_.as_ref().is_some_and(|under_way| !under_way.task.is_finished())
    }

    /// Passes on how far it is, if there is something new.
    pub(super) fn report(&mut self, monitor: &dyn Monitor) -> bool {
        let Some(under_way) = &mut self.move_ else { return false };
        match under_way.news.has_changed() {
            Ok(true) => {}
            _ => return false,
        }
        let Some(latest) = under_way.news.borrow_and_update().clone() else { return false };
        monitor.report(&latest);
        true
    }

    /// The wait is over. In a server the move goes on behind the answer; a command ends it in good order, because the
    /// process ends with it: a create under way is waited for, an upload goes on next time.
    pub(super) async fn end(self) {
        let Some(under_way) = self.move_ else { return };
        if self.app.config().patience.is_some() {
            under_way.relay.leave_alone();
            return;
        }
        under_way.relay.cancellation().cancel();
        if let Err(e) = under_way.task.await {
            tracing::warn!("the queue could not be moved on: {e}");
        }
    }
}
