//! Sessions at `/mcp`, for clients up to 2025-11-25: they can be asked, and told of changes.
//!
//! A client that says hello is given one (`Mcp-Session-Id`), and only whoever opened it can use it. It rests for a day
//! without harm, and longer while its client listens; beyond `registry`'s limit the one that was unused for longest ends.
//!
//! To have lost it is no reason to fail: calls with a name that is not known (the server was started anew) are served
//! without a session, as those without a name are, because the official SDKs hand a 404 on to their caller and never say
//! hello again. Only what its user would have been asked about is not done unasked ([`LostSession`]); so it is for a client
//! that can ask and finds no room, or whose login does not say who it is: it gets a name without a session. The standing stream
//! is refused with 404, as the protocol has it: nothing is lost by that, and a client that follows the protocol says hello
//! again and is asked and told as before. What its client itself ended is gone for every request.

mod registry;
mod session;
mod streams;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::model::ClientCapabilities;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use tokio::sync::watch;

use super::legacy::is_modern;
use super::message::Spoken;
use super::pulse::{Pulse, Refusal};
use crate::mcp::BatchServer;
use crate::mcp::consent::can_ask;
use crate::mcp::places::Share;
use crate::mcp::tasks::Owner;
use crate::mcp::unguessable;
use crate::ops::Ending;
use registry::{Hello, Limits, Sessions};
use session::Session;
use streams::Place;

/// What names a session.
pub(super) const SESSION: &str = "mcp-session-id";
const LAST_EVENT: &str = "last-event-id";
/// How the name of a session begins whose client can be asked: it tells so when the session itself is lost.
const ASKED: &str = "asked-";
/// How the name begins of one that was not to be had: it tells so as well, and nothing else is known of it.
const NONE_LEFT: &str = "asked-without-";

type Result<T, E = Refused> = std::result::Result<T, E>;

/// Goes along with a request that is made in a session.
#[derive(Debug, Clone)]
pub(in crate::mcp) struct InSession {
    /// `None` before there is one: it is being opened.
    pulse: Option<watch::Receiver<Pulse>>,
}

impl InSession {
    /// Whether the client hears at this moment what it is told.
    pub(in crate::mcp) fn is_listened_to(&self) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.borrow().has_listeners())
    }
}

/// Goes along with a request without a session whose client could be asked in the one that it names.
#[derive(Debug, Clone, Copy)]
pub(in crate::mcp) struct LostSession;

/// Why something cannot be done in a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the session has ended")]
    Ended,
    #[error("too many sessions are in use")]
    Full,
    #[error("this machine gives no randomness")]
    NoRandomness,
    #[error("nobody knows who is calling")]
    Nobody,
    #[error("this is no request")]
    NoRequest,
    #[error("{}", .0.words())]
    Now(Refusal),
}

/// The sessions, and who speaks in them.
#[derive(Clone)]
pub(super) struct InSessions {
    sessions: Sessions,
    service: StreamableHttpService<BatchServer, Sessions>,
}

impl InSessions {
    /// `config`: that of requests without a session.
    pub(super) fn new(server: BatchServer, config: StreamableHttpServerConfig, ending: &Ending, share: Share) -> Self {
        let sessions = Sessions::new(ending.clone(), Limits::of(share));
        // Where a stream stands is told by the session, which knows it.
        let config = config.with_legacy_session_mode(true).with_sse_retry(None);
        let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(sessions.clone()), config);
        Self { sessions, service }
    }
}

/// What becomes of a request.
enum Way {
    /// It opens a session.
    Open,
    /// It is made in a session.
    Within(Arc<Session>),
    /// The session of this name is to end.
    End(String),
    /// It needs a session, and that is not there.
    Gone,
    /// It needs none.
    Without,
}

/// Serves requests that belong to a session; hands on the others.
pub(super) async fn within(State(at): State<InSessions>, mut request: Request, next: Next) -> Response {
    let session = match at.way(&request) {
        Way::Without => {
            if has_lost(request.headers()) {
                request.extensions_mut().insert(LostSession);
            }
            let is_greeted = is_hello(&request) && !is_modern(request.headers()) && can_be_asked(&request);
            let answer = next.run(request).await;
            return if is_greeted { named(answer) } else { answer };
        }
        Way::Gone => return (StatusCode::NOT_FOUND, "no such session; say hello (initialize)\n").into_response(),
        Way::End(name) => {
            at.sessions.end(&name);
            return StatusCode::NO_CONTENT.into_response();
        }
        // One that it may have had before is none of this.
        Way::Open => {
            request.headers_mut().remove(SESSION);
            InSession { pulse: None }
        }
        Way::Within(session) if has_nothing_more(&request, &session) => {
            // Other answers make clients ask again and again, or listen twice.
            let allow = [(header::ALLOW, "POST, DELETE")];
            return (StatusCode::METHOD_NOT_ALLOWED, allow, "nothing more on this stream\n").into_response();
        }
        Way::Within(session) => InSession { pulse: Some(session.pulse.subscribe()) },
    };
    request.extensions_mut().insert(session);
    let Some(owner) = request.extensions().get::<Owner>().cloned() else { return next.run(request).await };
    let client = Hello { owner, can_be_asked: can_be_asked(&request) };
    registry::HELLO.scope(client, at.service.handle(request)).await.map(Body::new)
}

impl InSessions {
    fn way(&self, request: &Request) -> Way {
        let owner = request.extensions().get::<Owner>();
        // Who is not known cannot be known again.
        let Some(owner) = owner.filter(|_| !is_modern(request.headers())) else { return Way::Without };
        if is_hello(request) {
            return if self.sessions.has_room(owner) { Way::Open } else { Way::Without };
        }
        let name = name(request.headers()).filter(|name| !name.starts_with(NONE_LEFT));
        let Some(name) = name else { return Way::Without };
        match (request.method(), self.sessions.find(name, owner)) {
            (&Method::DELETE, Some(_)) => Way::End(name.to_owned()),
            (_, Some(session)) => Way::Within(session),
            (&Method::DELETE | &Method::GET, None) => Way::Gone,
            (_, None) if self.sessions.has_ended(name) => Way::Gone,
            (_, None) => Way::Without,
        }
    }
}

fn is_hello(request: &Request) -> bool {
    let spoken = request.extensions().get::<Arc<Spoken>>();
    request.method() == Method::POST && spoken.is_some_and(|spoken| spoken.method.as_deref() == Some("initialize"))
}

/// The answer to a client that can ask its user but gets no session to be asked in: by a name of its own it is known.
fn named(mut answer: Response) -> Response {
    let name = unguessable().and_then(|secret| HeaderValue::from_str(&format!("{NONE_LEFT}{secret}")).ok());
    let Some(name) = name else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "no randomness for the name of a session\n").into_response();
    };
    answer.headers_mut().insert(SESSION, name);
    answer
}

fn name(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}

/// Whether whoever says hello can ask its user.
fn can_be_asked(hello: &Request) -> bool {
    let spoken = hello.extensions().get::<Arc<Spoken>>().and_then(|spoken| spoken.params.as_ref());
    let capabilities = spoken.and_then(|params| ClientCapabilities::deserialize(params.capabilities.as_ref()?).ok());
    capabilities.is_some_and(|capabilities| can_ask(&capabilities))
}

/// Whether a request without a session names one in which its client could be asked.
fn has_lost(headers: &HeaderMap) -> bool {
    !is_modern(headers) && name(headers).is_some_and(|name| name.starts_with(ASKED))
}

/// Whether a client wants to hear the rest of a stream that has none.
fn has_nothing_more(request: &Request, session: &Session) -> bool {
    let place = request.headers().get(LAST_EVENT).filter(|_| request.method() == Method::GET);
    let place = place.map(|place| place.to_str().ok().and_then(Place::parse));
    place.is_some_and(|place| !place.is_some_and(|place| session.goes_on_after(place)))
}
