//! One session: what its client says goes in, what the server says comes out on streams.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::Either;
use futures_util::{Stream, stream};
use rmcp::RoleServer;
use rmcp::model::{ErrorData, JsonRpcMessage, ProtocolVersion, ServerResult};
use rmcp::transport::Transport;
use rmcp::transport::streamable_http_server::session::ServerSseMessage;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::streams::{Heard, Listener, Place, STANDING, Streams};
use super::{Refused, Result};
use crate::mcp::http::pulse::{Incoming, Outgoing, Pulse, answered, cancelled};
use crate::mcp::tasks::Owner;

/// Messages of the client that wait to be read.
const QUEUE: usize = 64;
/// How soon a client whose connection broke is to come back.
const RETRY: Duration = Duration::from_secs(3);

/// A session, as those who speak in it know it.
#[derive(Debug)]
pub(super) struct Session {
    to_server: mpsc::Sender<Incoming>,
    streams: watch::Sender<Streams>,
    pub(super) pulse: watch::Sender<Pulse>,
    /// Cancelled when it ends.
    pub(super) end: CancellationToken,
    /// Who opened it.
    owner: Owner,
    /// Whether the client understands an event that only says where the stream stands (2025-11-25): known after its hello.
    is_told_places: OnceLock<bool>,
}

impl Session {
    pub(super) fn new(owner: Owner, end: CancellationToken) -> (Arc<Self>, SessionTransport) {
        let (to_server, incoming) = mpsc::channel(QUEUE);
        let (streams, _) = watch::channel(Streams::new());
        let (pulse, _) = watch::channel(Pulse::new());
        let session = Arc::new(Self { to_server, streams, pulse, end, owner, is_told_places: OnceLock::new() });
        (session.clone(), SessionTransport { incoming, session })
    }

    pub(super) fn is_of(&self, owner: &Owner) -> bool {
        self.owner == *owner
    }

    /// Waits until the server has done with it.
    pub(super) async fn is_left(&self) {
        self.to_server.closed().await;
    }

    /// Says hello for a client; what it is answered.
    pub(super) async fn greet(self: &Arc<Self>, hello: Incoming) -> Result<Outgoing> {
        let mut ear = self.call(hello).await?;
        let (_, answer) = ear.hear().await.ok_or(Refused::Ended)?;
        let is_told_places = matches!(&*answer, JsonRpcMessage::Response(response) if matches!(
            &response.result,
            ServerResult::InitializeResult(hello) if hello.protocol_version >= ProtocolVersion::V_2025_11_25
        ));
        let _ = self.is_told_places.set(is_told_places);
        Ok(Arc::unwrap_or_clone(answer))
    }

    /// Makes a call, and listens to its stream.
    async fn call(self: &Arc<Self>, message: Incoming) -> Result<Ear> {
        // Nothing is noted of a call before there is room for it: its client may leave meanwhile.
        let room = self.to_server.reserve().await.map_err(|_| Refused::Ended)?;
        let JsonRpcMessage::Request(request) = &message else { return Err(Refused::NoRequest) };
        self.note(&message)?;
        let mut stream = STANDING;
        self.streams.send_modify(|streams| stream = streams.begin(request));
        let ear = self.listen(stream, None);
        room.send(message);
        ear.ok_or(Refused::Ended)
    }

    /// The stream of a call.
    pub(super) async fn events_of(
        self: &Arc<Self>,
        message: Incoming,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + use<>> {
        let id = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        match self.call(message).await {
            Ok(ear) => Ok(Either::Left(events(ear))),
            // The client hears of it as of any call that fails.
            Err(Refused::Now(refusal)) => {
                let error = JsonRpcMessage::error(ErrorData::invalid_request(refusal.words(), None), id);
                let event = ServerSseMessage::from_message(error);
                Ok(Either::Right(stream::once(std::future::ready(event))))
            }
            Err(refused) => Err(refused),
        }
    }

    /// Tells the server what needs no answer.
    pub(super) async fn tell(&self, message: Incoming) -> Result<()> {
        let room = self.to_server.reserve().await.map_err(|_| Refused::Ended)?;
        self.note(&message)?;
        if let Some(call) = cancelled(&message) {
            self.streams.send_modify(|streams| streams.cancel(call));
        }
        room.send(message);
        Ok(())
    }

    /// The standing stream, or what follows a place of any stream. `None` if nothing does.
    pub(super) fn events_after(
        self: &Arc<Self>,
        place: Option<Place>,
    ) -> Option<impl Stream<Item = ServerSseMessage> + Send + Sync + use<>> {
        let stream = place.map_or(STANDING, |place| place.stream);
        self.listen(stream, place.map(|place| place.at)).map(events)
    }

    /// Whether something may follow a place.
    pub(super) fn goes_on_after(&self, place: Place) -> bool {
        let mut goes_on = false;
        self.streams.send_if_modified(|streams| {
            let listener = streams.listen(place.stream, Some(place.at));
            goes_on = listener.map(|listener| streams.leave(listener)).is_some();
            false
        });
        goes_on
    }

    fn listen(self: &Arc<Self>, stream: u64, after: Option<u64>) -> Option<Ear> {
        let mut found = None;
        self.streams.send_if_modified(|streams| {
            found = streams.listen(stream, after).map(|listener| (listener, streams.place(listener)));
            false
        });
        let (listener, place) = found?;
        self.pulse.send_modify(Pulse::is_listened_to);
        let place = self.is_told_places.get().is_some_and(|is_told| *is_told).then_some(place);
        Some(Ear { session: self.clone(), listener, place, news: self.streams.subscribe() })
    }

    fn note(&self, message: &Incoming) -> Result<()> {
        let mut heard = Ok(());
        self.pulse.send_modify(|pulse| heard = pulse.hears(message));
        heard.map_err(Refused::Now)?;
        // What is noted after its end nobody would hear.
        if self.end.is_cancelled() { Err(Refused::Ended) } else { Ok(()) }
    }

    fn say(&self, message: Outgoing) {
        let answered = answered(&message).cloned();
        self.streams.send_modify(|streams| streams.say(message));
        // What is said is there to be heard before the session may rest.
        self.pulse.send_modify(|pulse| pulse.says(answered.as_ref()));
    }
}

/// A connection that listens to a stream, until it is dropped.
struct Ear {
    session: Arc<Session>,
    listener: Listener,
    /// To be told first.
    place: Option<Place>,
    news: watch::Receiver<Streams>,
}

impl Ear {
    async fn hear(&mut self) -> Option<(Place, Arc<Outgoing>)> {
        loop {
            let mut heard = Heard::End;
            self.session.streams.send_if_modified(|streams| {
                heard = streams.hear(self.listener);
                false
            });
            match heard {
                Heard::Message(place, message) => return Some((place, message)),
                Heard::End => return None,
                Heard::Nothing if self.session.end.is_cancelled() => return None,
                Heard::Nothing => {}
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = self.session.end.cancelled() => {}
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.session.streams.send_modify(|streams| streams.leave(self.listener));
        self.session.pulse.send_modify(Pulse::is_left);
    }
}

fn events(ear: Ear) -> impl Stream<Item = ServerSseMessage> + Send + Sync {
    stream::unfold(ear, |mut ear| async move {
        if let Some(place) = ear.place.take() {
            return Some((ServerSseMessage::priming(place.to_string(), RETRY), ear));
        }
        let (place, message) = ear.hear().await?;
        let mut event = ServerSseMessage::default();
        event.event_id = Some(place.to_string());
        event.message = Some(message);
        Some((event, ear))
    })
}

/// The server's end of a session.
#[derive(Debug)]
pub(super) struct SessionTransport {
    incoming: mpsc::Receiver<Incoming>,
    session: Arc<Session>,
}

impl Transport<RoleServer> for SessionTransport {
    type Error = Infallible;

    fn send(&mut self, message: Outgoing) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        self.session.say(message);
        std::future::ready(Ok(()))
    }

    async fn receive(&mut self) -> Option<Incoming> {
        tokio::select! {
            message = self.incoming.recv() => message,
            () = self.session.end.cancelled() => None,
        }
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
