//! The server over HTTP: Streamable HTTP at `/mcp`, the older HTTP+SSE at `/sse`, notices of jobs at `/webhook`.
//!
//! An agent that looks at its batch every ten minutes must not find its session gone: none is needed for a call, so those
//! that clients of older revisions have (`sessions`, to be asked and told of changes) may be lost without harm. A request
//! passes, from the outside in: limits on connections (`connections`), its names (`guard`), the client's rate (`rate`), the
//! login (`login`, `oauth`), the reading of its body (`message`), the rights of its caller (`scopes`).

mod connections;
mod expiry;
mod guard;
mod health;
mod household;
mod jwt;
mod legacy;
mod login;
mod message;
mod modern;
mod oauth;
mod pulse;
mod rate;
mod refusals;
mod scopes;
mod sessions;
mod sse;
mod tls;
mod webhook;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, CorsLayer};

use super::places::Share;
use super::stop::stop_signal;
use super::{BatchServer, unguessable};
use crate::config::http::{Access, HttpSettings};
use crate::error::{Error, Result};
use crate::ops::App;
use connections::{Door, MOST_OF_ONE, places};
use login::Login;
use oauth::OAuth;
pub(super) use sessions::{InSession, LostSession};

/// The largest message a client may send: the limit that standard input has, too.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// How long calls in flight may go on once the server is told to stop, and how long they have to end after that.
const GRACE: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(2);
/// Between two signs of life on a stream, whose failure tells that the client is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A proxy that collects answers before it hands them on would hand on nothing of a stream.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Serves any number of clients until the process is told to stop (Ctrl-C, SIGTERM).
pub async fn serve(app: App, settings: &HttpSettings) -> Result<()> {
    let ending = app.ending().clone();
    if let Access::OAuth(oauth) = &settings.access {
        oauth::checked(oauth).await?;
    }
    let router = router(app, settings)?;
    // From now on a signal ends it in good order, however soon it comes.
    let stop = stop_signal()?;
    let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let act = || format!("listening on {}", settings.address);
    let listener = TcpListener::bind(settings.address)
        .await
        .map_err(|e| Error::io(act(), e).hint("choose another port, or 0 for any that is free"))?;
    let bound = listener.local_addr().map_err(|e| Error::io(act(), e))?;
    // Whoever started it with port 0 learns the port here.
    say(&format!("MCP server at {scheme}://{bound}/mcp (older clients: {scheme}://{bound}/sse)"));

    let most_of_one = (settings.is_exposed() && !settings.behind_proxy).then_some(MOST_OF_ONE);
    let door = Door { listener, tls, places: places(most_of_one) };
    tokio::select! {
        () = door.serve(router, &ending) => {}
        () = stop => {}
    }
    // A second signal is heard.
    ending.in_good_order(GRACE, stop_signal()?, LAST).await;
    Ok(())
}

/// The answer to a client that may come again after a while.
fn later(status: StatusCode, wait: Duration, words: &'static str) -> Response {
    let seconds = wait.as_secs_f64().ceil().max(1.0).to_string();
    (status, [(header::RETRY_AFTER, seconds)], words).into_response()
}

fn say(text: &str) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// All paths, behind one guard.
fn router(app: App, settings: &HttpSettings) -> Result<Router> {
    let ending = app.ending();
    let share = Share::of(&settings.access);
    let server = BatchServer::new(app.clone()).shared(share);
    let mut open = health::router(app.clone()).merge(webhook::router(&app, &settings.webhook)?);
    let config = streamable(ending.over());
    let sessions = sessions::InSessions::new(server.clone(), config.clone(), ending, share);
    let mut calls = Router::new().route_service("/mcp", without_session(&server, config));
    calls = calls
        .layer(from_fn_with_state(legacy::LegacyCalls::new(ending), legacy::as_legacy_expects))
        .layer(from_fn(modern::as_modern_expects))
        .layer(from_fn_with_state(sessions, sessions::within))
        .layer(from_fn(message::told_in_words));
    calls = calls.merge(sse::router(server.clone(), share));
    let login = match &settings.access {
        Access::Anyone => Login::None,
        Access::Token(token) => Login::Token(Arc::new(login::Token::new(token)?)),
        Access::OAuth(oauth) => {
            let oauth = Arc::new(OAuth::new(oauth, settings.tls.is_some() || settings.behind_proxy));
            open = open.merge(oauth::router(oauth.clone()));
            calls =
                calls.layer(from_fn_with_state(scopes::Scopes::new(server.tools(), oauth.clone()), scopes::enforced));
            Login::OAuth(oauth)
        }
    };
    let calls = calls
        .layer(from_fn(message::whole))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(login, login::required));
    let mut all = calls.merge(open);
    if !settings.allowed_origins.is_empty() {
        all = all.layer(for_pages(&settings.allowed_origins));
    }
    if let Some(per_minute) = settings.requests_per_minute {
        all = all.layer(from_fn_with_state(rate::Rate::new(per_minute, settings.behind_proxy), rate::limited));
    }
    let guard =
        guard::Guard { hosts: settings.allowed_hosts.clone().into(), origins: settings.allowed_origins.clone().into() };
    let refusals = refusals::Refusals::new(settings.behind_proxy);
    Ok(all.layer(from_fn_with_state(guard, guard::checked)).layer(from_fn_with_state(refusals, refusals::told)))
}

/// Streamable HTTP as it is spoken here.
fn streamable(over: &CancellationToken) -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        // Calls are answered by streams, with signs of life: from the beginning up to 2025-11-25, then from the first
        // message on (before that: `modern`).
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_json_response(false)
        // Both are checked by the guard, for all paths.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(BODY_LIMIT)
        .with_cancellation_token(over.clone())
}

/// Each request for itself.
fn without_session(
    server: &BatchServer,
    config: StreamableHttpServerConfig,
) -> StreamableHttpService<BatchServer, NeverSessionManager> {
    let server = server.clone();
    let never = Arc::new(NeverSessionManager::default());
    StreamableHttpService::new(move || Ok(server.clone()), never, config.with_legacy_session_mode(false))
}

/// What a browser wants to hear before it lets a page call.
fn for_pages(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::WWW_AUTHENTICATE, HeaderName::from_static(sessions::SESSION)])
}
