//! The HTTP+SSE transport of 2024-11-05, which rmcp no longer has and some clients still speak.
//!
//! `GET /sse` opens a session and streams what the server says; its first event names the address to
//! which the client posts what it says. The session (`sessions`) lives as long as that stream: when the client is gone
//! the stream is dropped, and with it everything the session had.

mod sessions;

use std::convert::Infallible;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::{Stream, StreamExt, stream};
use rmcp::model::{GetExtensions, JsonRpcMessage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::pulse::{Incoming, Outgoing, Refusal};
use super::{KEEP_ALIVE, UNBUFFERED};
use crate::mcp::BatchServer;
use crate::mcp::places::Share;
use crate::mcp::tasks::{LooksOnly, Owner};
use sessions::{Limits, Said, Sessions};

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    session_id: String,
}

/// `/sse` and `/message`. Once it is closing, sessions end as soon as no call of theirs is in flight.
pub(super) fn router(server: BatchServer, share: Share) -> Router {
    let sessions = Sessions::new(server, Limits::default(), share);
    Router::new().route("/sse", get(open)).route("/message", post(receive)).with_state(sessions)
}

async fn open(State(sessions): State<Sessions>, owner: Option<Extension<Owner>>) -> Response {
    let Some(id) = super::unguessable() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "no randomness for a session id\n").into_response();
    };
    let Some((to_client, session)) = sessions.open(&id, owner.map(|Extension(owner)| owner)) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many sessions; close one\n").into_response();
    };
    let stream = Sse::new(events(&id, to_client, session)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([UNBUFFERED], stream).into_response()
}

/// What the client hears: when the session has ended, still what was said before. Dropping it ends the session.
fn events(
    id: &str,
    messages: mpsc::Receiver<Outgoing>,
    session: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let endpoint = Event::default().event("endpoint").data(format!("/message?sessionId={id}"));
    let said = stream::unfold((messages, session.drop_guard()), async |(mut messages, session)| {
        let ended = session.token().cancelled();
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            () = ended => {
                messages.close();
                messages.recv().await
            }
        };
        Some((message?, (messages, session)))
    });
    let said = said.filter_map(|message| {
        let event = Event::default().event("message").json_data(message);
        std::future::ready(event.inspect_err(|e| tracing::error!("writing a message: {e}")).ok())
    });
    stream::once(std::future::ready(endpoint)).chain(said).map(Ok)
}

async fn receive(
    State(sessions): State<Sessions>,
    Query(address): Query<Address>,
    (owner, looks_only): (Option<Extension<Owner>>, Option<Extension<LooksOnly>>),
    body: String,
) -> Response {
    if !sessions.has(&address.session_id, owner.as_deref()) {
        return (StatusCode::NOT_FOUND, "no such session; open one with GET /sse\n").into_response();
    }
    let mut message: Incoming = match serde_json::from_str(&body) {
        Ok(message) => message,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("no JSON-RPC message: {e}\n")).into_response(),
    };
    if let (JsonRpcMessage::Request(request), Some(Extension(looks_only))) = (&mut message, looks_only) {
        request.request.extensions_mut().insert(looks_only);
    }
    match sessions.say(&address.session_id, message).await {
        Said::Heard => StatusCode::ACCEPTED.into_response(),
        Said::Refused(refusal @ Refusal::TooMuch) => (StatusCode::TOO_MANY_REQUESTS, told(refusal)).into_response(),
        Said::Refused(refusal @ Refusal::Twice) => (StatusCode::BAD_REQUEST, told(refusal)).into_response(),
        Said::Ended => (StatusCode::NOT_FOUND, "the session has ended; open one with GET /sse\n").into_response(),
    }
}

fn told(refusal: Refusal) -> String {
    format!("{}\n", refusal.words())
}
