//! All sessions that there are, and how each ends: by its client, unused, for want of room, or with the server.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};

use super::session::{Session, SessionTransport};
use super::streams::Place;
use super::{ASKED, Refused, Result};
use crate::mcp::http::LAST;
use crate::mcp::http::pulse::{Incoming, Outgoing, Pulse, quiet};
use crate::mcp::places::Share;
use crate::mcp::tasks::Owner;
use crate::mcp::unguessable;
use crate::ops::Ending;

/// Sessions at a time. Each agent has one; of far more most were left behind.
const MOST_SESSIONS: usize = 128;
/// Ends of sessions that are remembered.
const MOST_ENDED: usize = 1024;
/// How long a session may rest without anybody who listens: a chat rests over night.
const IDLE: Duration = Duration::from_secs(24 * 3600);

tokio::task_local! {
    /// The client that says hello: the SDK wants a session's name before it hands the hello on.
    pub(super) static HELLO: Hello;
}

/// A client that says hello.
#[derive(Debug, Clone)]
pub(super) struct Hello {
    pub(super) owner: Owner,
    /// Whether it can ask its user.
    pub(super) can_be_asked: bool,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sessions {
    ending: Ending,
    limits: Limits,
    open: Arc<Mutex<HashMap<SessionId, Arc<Session>>>>,
    /// Those that their clients ended.
    ended: Arc<Mutex<VecDeque<SessionId>>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) most: usize,
    pub(super) most_of_one: usize,
    pub(super) idle: Duration,
}

impl Limits {
    pub(super) fn of(share: Share) -> Self {
        Self { most: MOST_SESSIONS, most_of_one: share.of_all(MOST_SESSIONS), idle: IDLE }
    }
}

impl Sessions {
    /// Sessions that are work, as long as calls are in flight, once the server is closing.
    pub(super) fn new(ending: Ending, limits: Limits) -> Self {
        Self { ending, limits, open: Arc::default(), ended: Arc::default() }
    }

    /// The session of that name, if it is this caller's. It does not make room for another before the caller spoke.
    pub(super) fn find(&self, id: &str, owner: &Owner) -> Option<Arc<Session>> {
        let open = lock(&self.open);
        let session = open.get(id).filter(|session| session.is_of(owner))?;
        session.pulse.send_modify(Pulse::is_sought);
        Some(session.clone())
    }

    /// Whether one more can be opened for somebody, if need be in the place of one that rests.
    pub(super) fn has_room(&self, owner: &Owner) -> bool {
        !self.ending.closing().is_cancelled() && self.room(&lock(&self.open), owner).is_ok()
    }

    /// Which session has to make room for one more of somebody's, if any has to: one of their own, or if they have none
    /// that rests, of anybody who has all there are.
    fn room(&self, open: &HashMap<SessionId, Arc<Session>>, owner: &Owner) -> Result<Option<SessionId>> {
        let own = || open.iter().filter(|(_, session)| session.is_of(owner));
        if own().count() >= self.limits.most_of_one {
            return longest_idle(own()).map(Some).ok_or(Refused::Full);
        }
        if open.len() < self.limits.most {
            return Ok(None);
        }
        longest_idle(own()).or_else(|| longest_idle(open.iter())).map(Some).ok_or(Refused::Full)
    }

    /// Ends a session as its client wishes.
    pub(super) fn end(&self, id: &str) {
        let Some((id, session)) = lock(&self.open).remove_entry(id) else { return };
        session.end.cancel();
        let mut ended = lock(&self.ended);
        ended.push_back(id);
        if ended.len() > MOST_ENDED {
            ended.pop_front();
        }
    }

    /// Whether its client ended it.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        lock(&self.ended).iter().any(|ended| **ended == *id)
    }

    fn open(&self, client: &Hello) -> Result<(SessionId, SessionTransport)> {
        let secret = unguessable().ok_or(Refused::NoRandomness)?;
        let id: SessionId = if client.can_be_asked { format!("{ASKED}{secret}") } else { secret }.into();
        let (session, transport) = Session::new(client.owner.clone(), self.ending.over().child_token());
        {
            let mut open = lock(&self.open);
            if let Some(longest) = self.room(&open, &client.owner)? {
                open.remove(&longest).inspect(|session| session.end.cancel());
            }
            open.insert(id.clone(), session.clone());
        }
        let (all, name) = (self.clone(), id.clone());
        self.ending.spawn(async move {
            tokio::select! {
                () = quiet(session.pulse.subscribe(), all.limits.idle, all.ending.closing()) => {}
                () = session.end.cancelled() => {}
            }
            all.close(&name);
            // Its calls are being stopped.
            let _ = tokio::time::timeout(LAST, session.is_left()).await;
        });
        Ok((id, transport))
    }

    fn close(&self, id: &str) {
        lock(&self.open).remove(id).inspect(|session| session.end.cancel());
    }

    fn known(&self, id: &SessionId) -> Result<Arc<Session>> {
        lock(&self.open).get(id).cloned().ok_or(Refused::Ended)
    }
}

/// Which session nobody has used for longest, of those that nobody uses.
fn longest_idle<'a>(among: impl Iterator<Item = (&'a SessionId, &'a Arc<Session>)>) -> Option<SessionId> {
    let idle = among.filter_map(|(id, session)| Some((session.pulse.borrow().idle_since()?, id)));
    idle.min_by_key(|(since, _)| *since).map(|(_, id)| id.clone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the SDK asks for them. Its own sessions (`LocalSessionManager`) end after a time without messages although a call
/// is in flight, or never; nothing bounds how many there are; a connection that takes nothing holds up its whole session,
/// and one that is dead without a word keeps what is pushed from the connection that followed it; and what a call was
/// answered is gone when its connection is.
impl SessionManager for Sessions {
    type Error = Refused;
    type Transport = SessionTransport;

    async fn create_session(&self) -> Result<(SessionId, SessionTransport)> {
        let client = HELLO.try_with(Hello::clone).map_err(|_| Refused::Nobody)?;
        self.open(&client)
    }

    async fn initialize_session(&self, id: &SessionId, hello: Incoming) -> Result<Outgoing> {
        self.known(id)?.greet(hello).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool> {
        Ok(lock(&self.open).contains_key(id))
    }

    async fn close_session(&self, id: &SessionId) -> Result<()> {
        self.close(id);
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: Incoming,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        self.known(id)?.events_of(message).await
    }

    async fn accept_message(&self, id: &SessionId, message: Incoming) -> Result<()> {
        self.known(id)?.tell(message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        self.known(id)?.events_after(None).ok_or(Refused::Ended)
    }

    async fn resume(
        &self,
        id: &SessionId,
        place: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        let place = Place::parse(&place).ok_or(Refused::Ended)?;
        self.known(id)?.events_after(Some(place)).ok_or(Refused::Ended)
    }
}

#[cfg(test)]
mod tests;
