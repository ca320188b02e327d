//! The sessions that are open, and how each ends: with its stream, after a time of silence, or with the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::transport::Transport;
use rmcp::{RoleServer, ServiceExt};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::mcp::BatchServer;
use crate::mcp::http::pulse::{Incoming, Outgoing, Pulse, Refusal, answered, quiet};
use crate::mcp::places::{Places, Share};
use crate::mcp::tasks::Owner;

/// Sessions at a time. Each agent has one; far more are a mistake.
const MOST_SESSIONS: usize = 64;
/// Messages waiting in each direction.
const QUEUE: usize = 64;

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
    limits: Limits,
    places: Places<Option<Owner>>,
    open: Arc<Mutex<HashMap<String, Session>>>,
}

#[derive(Clone)]
struct Session {
    to_server: mpsc::Sender<Incoming>,
    pulse: watch::Sender<Pulse>,
    /// Who opened it: nobody else speaks in it.
    owner: Option<Owner>,
}

/// What became of a message of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Heard,
    Refused(Refusal),
    Ended,
}

impl Sessions {
    pub(super) fn new(server: BatchServer, limits: Limits, share: Share) -> Self {
        let places = Places::new(MOST_SESSIONS, share.of_all(MOST_SESSIONS));
        Self { server, limits, places, open: Arc::default() }
    }

    /// Opens a session, unless there are too many, or its owner has too many: what the client will hear, and what ends the
    /// session.
    pub(super) fn open(&self, id: &str, owner: Option<Owner>) -> Option<(mpsc::Receiver<Outgoing>, CancellationToken)> {
        let place = self.places.take(owner.clone())?;
        let (to_server, incoming) = mpsc::channel(QUEUE);
        let (outgoing, to_client) = mpsc::channel(QUEUE);
        let (pulse, felt) = watch::channel(Pulse::new());
        let session = Session { to_server, pulse, owner };
        self.lock().insert(id.to_owned(), session.clone());
        let end = self.server.app.ending().over().child_token();
        let (all, id, ended) = (self.clone(), id.to_owned(), end.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = all.serve(incoming, outgoing, &session.pulse, &ended) => {}
                () = quiet(felt, all.limits.idle, all.server.app.ending().closing()) => {}
            }
            ended.cancel();
            all.lock().remove(&id);
            drop(place);
        });
        Some((to_client, end))
    }

    /// Whether there is such a session of this caller's.
    pub(super) fn has(&self, id: &str, owner: Option<&Owner>) -> bool {
        self.lock().get(id).is_some_and(|session| session.owner.as_ref() == owner)
    }

    /// Hands a message of the client to its session.
    pub(super) async fn say(&self, id: &str, message: Incoming) -> Said {
        let Some(session) = self.lock().get(id).cloned() else { return Said::Ended };
        // Nothing is noted of a call before there is room for it: its client may leave meanwhile.
        let Ok(room) = session.to_server.reserve().await else { return Said::Ended };
        let mut heard = Ok(());
        session.pulse.send_modify(|pulse| heard = pulse.hears(&message));
        if let Err(refusal) = heard {
            return Said::Refused(refusal);
        }
        room.send(message);
        Said::Heard
    }

    /// Speaks with the client until one of the two has enough.
    async fn serve(
        &self,
        incoming: mpsc::Receiver<Incoming>,
        outgoing: mpsc::Sender<Outgoing>,
        pulse: &watch::Sender<Pulse>,
        end: &CancellationToken,
    ) {
        let transport = SessionTransport { incoming, outgoing, pulse: pulse.clone() };
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

/// The server's end of a session.
struct SessionTransport {
    incoming: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Outgoing>,
    pulse: watch::Sender<Pulse>,
}

impl Transport<RoleServer> for SessionTransport {
    type Error = SendError<()>;

    fn send(&mut self, message: Outgoing) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (outgoing, pulse) = (self.outgoing.clone(), self.pulse.clone());
        async move {
            // What is said is there to be heard before the session may end.
            let room = outgoing.reserve().await?;
            let answered = answered(&message).cloned();
            room.send(message);
            pulse.send_modify(|pulse| pulse.says(answered.as_ref()));
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
