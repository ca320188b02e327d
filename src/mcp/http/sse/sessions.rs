//! The sessions that are open, and how each ends: with its stream, after a time of silence, or with the server.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rmcp::model::{ClientNotification, JsonRpcMessage, NumberOrString};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::{RoleServer, ServiceExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, PollSender};

use crate::mcp::BatchServer;

/// Sessions at a time. Each agent has one; far more are a mistake.
const MOST_SESSIONS: usize = 64;
/// Calls of one session that wait for their answers.
const MOST_CALLS: usize = 256;
/// Messages waiting in each direction.
const QUEUE: usize = 64;

type Incoming = RxJsonRpcMessage<RoleServer>;
pub(super) type Outgoing = TxJsonRpcMessage<RoleServer>;

/// How long a session may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Before its first request.
    hello: Duration,
    /// Afterwards, with no call in flight. Clients of this transport do not come back by themselves, and a chat rests
    /// over night; a client that is gone is told by its stream, long before.
    idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { hello: Duration::from_secs(300), idle: Duration::from_secs(24 * 3600) }
    }
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sessions {
    server: BatchServer,
    closing: CancellationToken,
    stop: CancellationToken,
    limits: Limits,
    open: Arc<Mutex<HashMap<String, Session>>>,
}

#[derive(Clone)]
struct Session {
    to_server: mpsc::Sender<Incoming>,
    pulse: watch::Sender<Pulse>,
}

/// What tells whether a session is in use.
#[derive(Debug)]
struct Pulse {
    /// Requests without an answer yet.
    in_flight: HashSet<NumberOrString>,
    /// When something was said last, in either direction.
    last: Instant,
}

/// What became of a message of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Heard,
    TooMuch,
    /// A request of that id is not answered yet (JSON-RPC: ids tell requests apart).
    Twice,
    Ended,
}

impl Sessions {
    pub(super) fn new(
        server: BatchServer,
        closing: CancellationToken,
        stop: CancellationToken,
        limits: Limits,
    ) -> Self {
        Self { server, closing, stop, limits, open: Arc::default() }
    }

    /// Opens a session, unless there are too many: what the client will hear, and what ends the session.
    pub(super) fn open(&self, id: &str) -> Option<(mpsc::Receiver<Outgoing>, CancellationToken)> {
        let (to_server, incoming) = mpsc::channel(QUEUE);
        let (outgoing, to_client) = mpsc::channel(QUEUE);
        let (pulse, felt) = watch::channel(Pulse { in_flight: HashSet::new(), last: Instant::now() });
        let session = Session { to_server, pulse };
        {
            let mut open = self.lock();
            if open.len() >= MOST_SESSIONS {
                return None;
            }
            open.insert(id.to_owned(), session.clone());
        }
        let end = self.stop.child_token();
        let (all, id, ended) = (self.clone(), id.to_owned(), end.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = all.serve(incoming, outgoing, &session.pulse, &ended) => {}
                () = quiet(felt, all.limits.idle, &all.closing) => {}
            }
            ended.cancel();
            all.lock().remove(&id);
        });
        Some((to_client, end))
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// Hands a message of the client to its session.
    pub(super) async fn say(&self, id: &str, message: Incoming) -> Said {
        let Some(session) = self.lock().get(id).cloned() else { return Said::Ended };
        let mut refusal = None;
        session.pulse.send_modify(|pulse| refusal = pulse.hears(&message));
        if let Some(refusal) = refusal {
            return refusal;
        }
        if session.to_server.send(message).await.is_ok() { Said::Heard } else { Said::Ended }
    }

    /// Speaks with the client until one of the two has enough.
    async fn serve(
        &self,
        incoming: mpsc::Receiver<Incoming>,
        outgoing: mpsc::Sender<Outgoing>,
        pulse: &watch::Sender<Pulse>,
        end: &CancellationToken,
    ) {
        let pulse = pulse.clone();
        let sink = PollSender::new(outgoing).sink_map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe));
        let sink = sink.with(move |message: Outgoing| {
            pulse.send_modify(|pulse| pulse.says(&message));
            std::future::ready(Ok::<_, io::Error>(message))
        });
        let transport = (Box::pin(sink), ReceiverStream::new(incoming).boxed());
        let hello = self.server.clone().serve_with_ct(transport, end.clone());
        match tokio::time::timeout(self.limits.hello, hello).await {
            Ok(Ok(service)) => drop(service.waiting().await),
            Ok(Err(e)) => tracing::debug!("session without a beginning: {e}"),
            Err(_) => tracing::debug!("session without a word"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    /// Takes note of a message of the client, or says why it is not to be heard.
    fn hears(&mut self, message: &Incoming) -> Option<Said> {
        self.last = Instant::now();
        match message {
            JsonRpcMessage::Request(_) if self.in_flight.len() >= MOST_CALLS => return Some(Said::TooMuch),
            JsonRpcMessage::Request(request) if !self.in_flight.insert(request.id.clone()) => return Some(Said::Twice),
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.in_flight.remove(id);
                }
            }
            _ => {}
        }
        None
    }

    fn says(&mut self, message: &Outgoing) {
        self.last = Instant::now();
        match message {
            JsonRpcMessage::Response(response) => drop(self.in_flight.remove(&response.id)),
            JsonRpcMessage::Error(error) => drop(error.id.as_ref().map(|id| self.in_flight.remove(id))),
            _ => {}
        }
    }
}

/// Ends when no call is in flight, and nothing was said for a time or the server is closing.
async fn quiet(mut pulse: watch::Receiver<Pulse>, idle: Duration, closing: &CancellationToken) {
    loop {
        let (is_busy, last) = {
            let pulse = pulse.borrow_and_update();
            (!pulse.in_flight.is_empty(), pulse.last)
        };
        tokio::select! {
            changed = pulse.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(last + idle), if !is_busy => return,
            () = closing.cancelled(), if !is_busy => return,
        }
    }
}

#[cfg(test)]
mod tests;
