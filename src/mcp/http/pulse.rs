//! Whether a session is in use, of either transport.

use std::collections::HashSet;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientNotification, JsonRpcMessage, NumberOrString};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Calls of one session that wait for their answers.
pub(super) const MOST_CALLS: usize = 256;

pub(super) type Incoming = RxJsonRpcMessage<RoleServer>;
pub(super) type Outgoing = TxJsonRpcMessage<RoleServer>;

/// What tells whether a session is in use.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Requests without an answer yet.
    pub(super) in_flight: HashSet<NumberOrString>,
    /// Connections that listen, where a session may be without.
    listeners: usize,
    /// When something was said last, in either direction.
    last: Instant,
}

/// Why a message of the client is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    TooMuch,
    /// A request of that id is not answered yet (JSON-RPC: ids tell requests apart).
    Twice,
}

impl Refusal {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::TooMuch => "too many calls at a time; wait for answers",
            Self::Twice => "a request of this id is not answered yet",
        }
    }
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self { in_flight: HashSet::new(), listeners: 0, last: Instant::now() }
    }

    /// Takes note of a client that is about to say something.
    pub(super) fn is_sought(&mut self) {
        self.last = Instant::now();
    }

    /// Takes note of a message of the client, or says why it is not to be heard.
    pub(super) fn hears(&mut self, message: &Incoming) -> Result<(), Refusal> {
        self.last = Instant::now();
        match message {
            JsonRpcMessage::Request(_) if self.in_flight.len() >= MOST_CALLS => return Err(Refusal::TooMuch),
            JsonRpcMessage::Request(request) if !self.in_flight.insert(request.id.clone()) => {
                return Err(Refusal::Twice);
            }
            message => drop(cancelled(message).map(|id| self.in_flight.remove(id))),
        }
        Ok(())
    }

    /// Takes note of a message of the server, and of the request that it answers.
    pub(super) fn says(&mut self, answered: Option<&NumberOrString>) {
        self.last = Instant::now();
        if let Some(id) = answered {
            self.in_flight.remove(id);
        }
    }

    pub(super) fn is_listened_to(&mut self) {
        self.listeners += 1;
        self.last = Instant::now();
    }

    pub(super) fn is_left(&mut self) {
        self.listeners = self.listeners.saturating_sub(1);
        self.last = Instant::now();
    }

    pub(super) fn has_listeners(&self) -> bool {
        self.listeners > 0
    }

    /// Since when nobody has used it; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.in_flight.is_empty() && !self.has_listeners()).then_some(self.last)
    }
}

/// Which request a message cancels.
pub(super) fn cancelled(message: &Incoming) -> Option<&NumberOrString> {
    let JsonRpcMessage::Notification(notification) = message else { return None };
    let ClientNotification::CancelledNotification(cancelled) = &notification.notification else { return None };
    cancelled.params.request_id.as_ref()
}

/// Which request a message answers.
pub(super) fn answered(message: &Outgoing) -> Option<&NumberOrString> {
    match message {
        JsonRpcMessage::Response(response) => Some(&response.id),
        JsonRpcMessage::Error(error) => error.id.as_ref(),
        _ => None,
    }
}

/// Ends when a session was not used for a time, or the server is closing and no call is in flight.
pub(super) async fn quiet(mut pulse: watch::Receiver<Pulse>, idle: Duration, closing: &CancellationToken) {
    loop {
        let (is_busy, since) = {
            let pulse = pulse.borrow_and_update();
            (!pulse.in_flight.is_empty(), pulse.idle_since())
        };
        let until = since.unwrap_or_else(Instant::now) + idle;
        tokio::select! {
            changed = pulse.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(until), if since.is_some() => return,
            () = closing.cancelled(), if !is_busy => return,
        }
    }
}
