//! The HTTP+SSE transport of 2024-11-05, which rmcp no longer has and some clients still speak.
//!
//! `GET /sse` opens a session and streams what the server says; its first event names the address to
//! which the client posts what it says. The session lives as long as that stream: when the client is
//! gone the stream is dropped, and with it everything the session had.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{SinkExt, Stream, StreamExt, stream};
use rmcp::RoleServer;
use rmcp::ServiceExt;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, PollSender};

use crate::mcp::BatchServer;

/// Sessions at a time. Each agent has one; far more are a mistake.
const MOST_SESSIONS: usize = 64;
/// How long a session may stay without its first request.
const HELLO: Duration = Duration::from_secs(300);
/// Between two signs of life, whose failure tells that the client is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Messages waiting in each direction.
const QUEUE: usize = 64;

type Incoming = RxJsonRpcMessage<RoleServer>;
type Outgoing = TxJsonRpcMessage<RoleServer>;

#[derive(Clone)]
struct Sessions {
    server: BatchServer,
    stop: CancellationToken,
    open: Arc<Mutex<HashMap<String, mpsc::Sender<Incoming>>>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    session_id: String,
}

/// `/sse` and `/message`.
pub(super) fn router(server: BatchServer, stop: CancellationToken) -> Router {
    let sessions = Sessions { server, stop, open: Arc::default() };
    Router::new().route("/sse", get(open)).route("/message", post(receive)).with_state(sessions)
}

async fn open(State(sessions): State<Sessions>) -> Response {
    let Some(id) = session_id() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "no randomness for a session id").into_response();
    };
    let (to_server, incoming) = mpsc::channel(QUEUE);
    let (outgoing, to_client) = mpsc::channel(QUEUE);
    if !sessions.insert(&id, to_server) {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many sessions; close one").into_response();
    }
    let session = sessions.stop.child_token();
    tokio::spawn(sessions.clone().serve(id.clone(), incoming, outgoing, session.clone()));
    Sse::new(events(&id, to_client, session)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// What the client hears. Dropping it ends the session.
fn events(
    id: &str,
    messages: mpsc::Receiver<Outgoing>,
    session: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let endpoint = Event::default().event("endpoint").data(format!("/message?sessionId={id}"));
    let ended = session.clone().cancelled_owned();
    let guard = session.drop_guard();
    let messages = ReceiverStream::new(messages).filter_map(move |message| {
        let _held_as_long_as_the_stream = &guard;
        let event = Event::default().event("message").json_data(message);
        std::future::ready(event.inspect_err(|e| tracing::error!("writing a message: {e}")).ok())
    });
    stream::once(std::future::ready(endpoint)).chain(messages).take_until(ended).map(Ok)
}

async fn receive(State(sessions): State<Sessions>, Query(address): Query<Address>, body: String) -> Response {
    let Some(session) = sessions.find(&address.session_id) else {
        return (StatusCode::NOT_FOUND, "no such session; open one with GET /sse").into_response();
    };
    let message = match serde_json::from_str(&body) {
        Ok(message) => message,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("no JSON-RPC message: {e}")).into_response(),
    };
    match session.send(message).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(_) => (StatusCode::NOT_FOUND, "the session has ended; open one with GET /sse").into_response(),
    }
}

impl Sessions {
    /// Runs one session to its end, then forgets it.
    async fn serve(
        self,
        id: String,
        incoming: mpsc::Receiver<Incoming>,
        outgoing: mpsc::Sender<Outgoing>,
        session: CancellationToken,
    ) {
        let sink = Box::pin(PollSender::new(outgoing).sink_map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe)));
        let transport = (sink, ReceiverStream::new(incoming));
        let hello = self.server.clone().serve_with_ct(transport, session.clone());
        match tokio::time::timeout(HELLO, hello).await {
            Ok(Ok(service)) => drop(service.waiting().await),
            Ok(Err(e)) => tracing::debug!("session without a beginning: {e}"),
            Err(_) => tracing::debug!("session without a word"),
        }
        session.cancel();
        self.lock().remove(&id);
    }

    /// Takes note of a session, unless there are too many.
    fn insert(&self, id: &str, to_server: mpsc::Sender<Incoming>) -> bool {
        let mut open = self.lock();
        let has_room = open.len() < MOST_SESSIONS;
        if has_room {
            open.insert(id.to_owned(), to_server);
        }
        has_room
    }

    fn find(&self, id: &str) -> Option<mpsc::Sender<Incoming>> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Incoming>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 128 bits that nobody can guess: the id is all that tells one client from another.
fn session_id() -> Option<String> {
    let mut bytes = [0; 16];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(crate::job::id::hex(&bytes))
}
