//! Progress of a long call, told to the client that asked for it.
//!
//! Verbs report often, and from threads that may not wait. So a report only leaves its latest state in
//! a channel, and a task of the call sends on what it finds there: at most twice a second, and at least
//! every eight seconds, so that a client's idle timer does not end a call that is alive.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::tasks::Course;
use crate::progress::{Monitor, Progress};

/// How often clients hear of a call.
const RHYTHM: Rhythm = Rhythm { least: Duration::from_millis(500), most: Duration::from_secs(8) };
/// By how much a heartbeat advances the value, which has to increase even when nothing moved.
const TICK: f64 = 0.001;

/// Times between two notifications.
#[derive(Debug, Clone, Copy)]
struct Rhythm {
    least: Duration,
    most: Duration,
}

/// The monitor of one call. Progress ends when it is dropped.
pub(super) struct McpMonitor {
    cancellation: CancellationToken,
    /// Empty if the client did not ask for progress.
    relay: Option<Relay>,
    /// That of a call which may become a task.
    course: Option<Arc<Course>>,
}

struct Relay {
    latest: watch::Sender<Option<Progress>>,
    _task: AbortOnDropHandle<Option<()>>,
}

impl McpMonitor {
    /// The monitor for a request.
    pub(super) fn new(context: &RequestContext<RoleServer>) -> Self {
        Self::with_rhythm(context, RHYTHM)
    }

    fn with_rhythm(context: &RequestContext<RoleServer>, rhythm: Rhythm) -> Self {
        let course = context.extensions.get::<Arc<Course>>().cloned();
        let relay = context.meta.get_progress_token().map(|token| {
            let (latest, reports) = watch::channel(None);
            let left = course.as_ref().map_or_else(CancellationToken::new, |course| course.left().clone());
            let relayed = relay(reports, context.peer.clone(), token, rhythm);
            let task = tokio::spawn(async move { left.run_until_cancelled(relayed).await });
            Relay { latest, _task: AbortOnDropHandle::new(task) }
        });
        Self { cancellation: context.ct.clone(), relay, course }
    }
}

impl Monitor for McpMonitor {
    fn report(&self, progress: &Progress) {
        if let Some(relay) = &self.relay {
            relay.latest.send_replace(Some(progress.clone()));
        }
        if let Some(course) = &self.course {
            course.report(progress);
        }
    }

    fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// So it is with a task.
    fn has_time(&self) -> bool {
        self.course.as_ref().is_some_and(|course| course.left().is_cancelled())
    }
}

async fn relay(
    mut reports: watch::Receiver<Option<Progress>>,
    peer: Peer<RoleServer>,
    token: ProgressToken,
    rhythm: Rhythm,
) {
    let mut meter = Meter::default();
    // No report within the time: a heartbeat. The channel's end: the call is over.
    while !matches!(timeout(rhythm.most, reports.changed()).await, Ok(Err(_))) {
        let notification = meter.next(reports.borrow_and_update().as_ref(), token.clone());
        if peer.notify_progress(notification).await.is_err() {
            return;
        }
        sleep(rhythm.least).await;
    }
}

/// Turns stages that each count from zero into one value that only increases.
#[derive(Debug, Default)]
struct Meter {
    stage: String,
    /// The value at which the present stage began.
    base: f64,
    last: Option<f64>,
}

impl Meter {
    fn next(&mut self, report: Option<&Progress>, token: ProgressToken) -> ProgressNotificationParam {
        let Some(report) = report else {
            return ProgressNotificationParam::new(token, self.advance(0.0)).with_message("working");
        };
        if self.stage != report.stage {
            self.stage.clone_from(&report.stage);
            self.base = self.last.map_or(0.0, f64::ceil);
        }
        let value = self.advance(self.base + count(report.done));
        let notification = ProgressNotificationParam::new(token, value).with_message(words(report));
        match report.total {
            Some(total) => notification.with_total((self.base + count(total)).max(value)),
            None => notification,
        }
    }

    /// The value asked for, or the least one above the last.
    fn advance(&mut self, wanted: f64) -> f64 {
        let value = self.last.map_or(wanted, |last| wanted.max(last + TICK));
        self.last = Some(value);
        value
    }
}

/// "uploading: 3,000 of 9,000 bytes".
pub(super) fn words(report: &Progress) -> String {
    use crate::job::outcome::grouped;
    let number = |n: u64| grouped(i64::try_from(n).unwrap_or(i64::MAX));
    match report.total {
        Some(total) => format!("{}: {} of {} {}", report.stage, number(report.done), number(total), report.unit),
        None => format!("{}: {} {}", report.stage, number(report.done), report.unit),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a progress bar needs no more than 52 bits")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
