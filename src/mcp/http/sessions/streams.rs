//! What is said in a session, on one stream for each call and a standing one for what belongs to no call.
//!
//! It is kept for a while under numbers, and whoever listens takes it from there. So nobody who reads slowly or not at all
//! holds up the session, and a client whose connection broke goes on where it stopped. Of several that listen to a stream
//! the newest one hears: an older connection may be dead without anybody knowing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rmcp::model::{
    ClientRequest, GetExtensions, GetMeta, JsonRpcMessage, JsonRpcRequest, ProgressToken, RequestId, ServerNotification,
};
use rmcp::service::OriginatingRequestId;

use crate::mcp::http::pulse::{Outgoing, answered};

/// The standing stream.
pub(super) const STANDING: u64 = 0;
/// What is kept of a stream.
const MOST_KEPT: usize = 64;
/// Calls with their answers, kept for clients that did not hear them.
const MOST_ANSWERED: usize = 8;

/// All streams of a session, by number.
#[derive(Debug)]
pub(super) struct Streams {
    streams: BTreeMap<u64, Stream>,
    /// The next number of a stream, a listener or an end.
    next: u64,
}

/// Somebody who listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listener {
    pub(super) stream: u64,
    number: u64,
}

/// A place in a stream, as the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stream: u64,
    pub(super) at: u64,
}

/// What there is to hear.
#[derive(Debug)]
pub(super) enum Heard {
    Message(Place, Arc<Outgoing>),
    Nothing,
    /// And there never will be.
    End,
}

#[derive(Debug, Default)]
struct Stream {
    call: Option<RequestId>,
    progress: Option<ProgressToken>,
    kept: VecDeque<(u64, Arc<Outgoing>)>,
    /// How much was said, and of that, heard by somebody.
    said: u64,
    heard: u64,
    /// When it ended, as a number.
    ended: Option<u64>,
    /// Who listens, the newest last, and what each heard.
    listeners: Vec<(u64, u64)>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { streams: BTreeMap::from([(STANDING, Stream::default())]), next: STANDING + 1 }
    }

    /// Opens the stream of a call; its number.
    pub(super) fn begin(&mut self, request: &JsonRpcRequest<ClientRequest>) -> u64 {
        let number = self.number();
        let progress = request.request.get_meta().get_progress_token();
        self.streams.insert(number, Stream { call: Some(request.id.clone()), progress, ..Stream::default() });
        number
    }

    /// A call is not to be answered any more.
    pub(super) fn cancel(&mut self, call: &RequestId) {
        let now = self.number();
        if let Some(stream) = self.of_call(call).and_then(|number| self.streams.get_mut(&number)) {
            stream.ended = Some(now);
        }
        self.forget();
    }

    /// Keeps what the server says for those who listen.
    pub(super) fn say(&mut self, message: Outgoing) {
        let now = self.number();
        let Some(stream) = self.of(&message).and_then(|number| self.streams.get_mut(&number)) else {
            tracing::debug!("an answer to a call that nobody knows");
            return;
        };
        stream.ended = answered(&message).map(|_| now);
        stream.keep(message);
        self.forget();
    }

    /// Listens to a stream: from a place on, or to what nobody has heard yet. `None` if there is nothing more to hear.
    pub(super) fn listen(&mut self, stream: u64, after: Option<u64>) -> Option<Listener> {
        let number = self.number();
        let listened = self.streams.get_mut(&stream)?;
        let heard = after.unwrap_or(listened.heard);
        if listened.ended.is_some() && heard >= listened.said {
            return None;
        }
        listened.listeners.push((number, heard));
        Some(Listener { stream, number })
    }

    /// Where the stream stands for somebody who just came.
    pub(super) fn place(&self, listener: Listener) -> Place {
        let stream = self.streams.get(&listener.stream);
        let found = stream.and_then(|stream| stream.listeners.iter().find(|(number, _)| *number == listener.number));
        Place { stream: listener.stream, at: found.map_or(0, |(_, heard)| *heard) }
    }

    pub(super) fn hear(&mut self, listener: Listener) -> Heard {
        let Some(stream) = self.streams.get_mut(&listener.stream) else { return Heard::End };
        match stream.next(listener.number) {
            Some((at, message)) => {
                stream.is_heard(at);
                Heard::Message(Place { stream: listener.stream, at }, message)
            }
            None if stream.ended.is_some() => Heard::End,
            None => Heard::Nothing,
        }
    }

    pub(super) fn leave(&mut self, listener: Listener) {
        if let Some(stream) = self.streams.get_mut(&listener.stream) {
            stream.listeners.retain(|(number, _)| *number != listener.number);
        }
        self.forget();
    }

    /// The stream that a message belongs to. An answer belongs to its call, and nowhere else.
    fn of(&self, message: &Outgoing) -> Option<u64> {
        match message {
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => self.of_call(answered(message)?),
            JsonRpcMessage::Request(request) => {
                let cause = request.request.extensions().get::<OriginatingRequestId>();
                Some(cause.and_then(|cause| self.of_call(&cause.0)).unwrap_or(STANDING))
            }
            JsonRpcMessage::Notification(notification) => {
                let found = match &notification.notification {
                    ServerNotification::ProgressNotification(progress) => {
                        self.find(|stream| stream.progress.as_ref() == Some(&progress.params.progress_token))
                    }
                    ServerNotification::CancelledNotification(cancelled) => {
                        let id = cancelled.params.request_id.as_ref();
                        id.and_then(|id| self.find(|stream| stream.has_asked(id)))
                    }
                    _ => None,
                };
                Some(found.unwrap_or(STANDING))
            }
        }
    }

    fn of_call(&self, call: &RequestId) -> Option<u64> {
        self.find(|stream| stream.call.as_ref() == Some(call))
    }

    /// A stream that goes on.
    fn find(&self, is_it: impl Fn(&Stream) -> bool) -> Option<u64> {
        self.streams.iter().find(|(_, stream)| stream.ended.is_none() && is_it(stream)).map(|(number, _)| *number)
    }

    /// Of answered calls to which nobody listens only those that ended last are kept.
    fn forget(&mut self) {
        let over = self.streams.iter().filter(|(_, stream)| stream.listeners.is_empty());
        let mut over: Vec<(u64, u64)> = over.filter_map(|(number, stream)| Some((stream.ended?, *number))).collect();
        over.sort_unstable();
        for (_, number) in over.iter().rev().skip(MOST_ANSWERED) {
            self.streams.remove(number);
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

impl Stream {
    fn keep(&mut self, message: Outgoing) {
        self.said += 1;
        self.kept.push_back((self.said, Arc::new(message)));
        if self.kept.len() > MOST_KEPT {
            // A question or an answer is not made up for by the next one.
            let is_notice = |(_, kept): &(u64, Arc<Outgoing>)| matches!(**kept, JsonRpcMessage::Notification(_));
            let least = self.kept.iter().position(is_notice).unwrap_or(0);
            self.kept.remove(least);
        }
    }

    /// What comes next for somebody, if it is their turn.
    fn next(&self, listener: u64) -> Option<(u64, Arc<Outgoing>)> {
        let (_, heard) = self.listeners.last().filter(|(newest, _)| *newest == listener)?;
        self.kept.iter().find(|(at, _)| at > heard).map(|(at, message)| (*at, message.clone()))
    }

    /// No listener hears again what another one heard.
    fn is_heard(&mut self, at: u64) {
        self.heard = self.heard.max(at);
        for (_, heard) in &mut self.listeners {
            *heard = at.max(*heard);
        }
    }

    fn has_asked(&self, id: &RequestId) -> bool {
        self.kept.iter().any(|(_, kept)| matches!(&**kept, JsonRpcMessage::Request(request) if request.id == *id))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.stream, self.at)
    }
}

impl Place {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stream, at) = text.split_once('-')?;
        Some(Self { stream: stream.parse().ok()?, at: at.parse().ok()? })
    }
}

#[cfg(test)]
mod tests;
