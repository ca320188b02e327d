//! The server over HTTP, on this machine only: Streamable HTTP at `/mcp`, the older HTTP+SSE at `/sse`.
//!
//! Without sessions: an agent that looks at its batch every ten minutes must not find its session gone.

mod guard;
mod jwt;
mod sse;
mod webhook;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::get;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::BatchServer;
use crate::config::http::HttpSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::App;

/// The largest message a client may send: the limit that standard input has, too.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// How long calls in flight have to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves any number of clients until the process is told to stop (Ctrl-C, SIGTERM).
pub async fn serve(app: App, settings: &HttpSettings) -> Result<()> {
    let address = loopback(&settings.address)?;
    let webhook = webhook::router(&app, &settings.webhook)?;
    let act = || format!("listening on {address}");
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| Error::io(act(), e).hint("choose another port, or 0 for any that is free"))?;
    let bound = listener.local_addr().map_err(|e| Error::io(act(), e))?;
    // Whoever started it with port 0 learns the port here.
    let _ = writeln!(std::io::stderr(), "MCP server at http://{bound}/mcp (older clients: http://{bound}/sse)");

    let stop = CancellationToken::new();
    let served = axum::serve(listener, router(BatchServer::new(app), webhook, &stop));
    let served = served.with_graceful_shutdown(stop.clone().cancelled_owned()).into_future();
    tokio::select! {
        result = served => result.map_err(|e| Error::io(act(), e)),
        () = stopped(&stop) => Ok(()),
    }
}

/// All paths, behind one guard.
fn router(server: BatchServer, webhook: Router, stop: &CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        // A stream sends its headers at once, and keeps the connection alive through a long call.
        .with_json_response(false)
        .with_allowed_hosts(guard::HOSTS)
        .with_allowed_origins(guard::HOSTS.map(|host| format!("http://{host}:*")))
        .with_max_request_body_bytes(BODY_LIMIT)
        .with_cancellation_token(stop.child_token());
    let for_request = server.clone();
    let streamable =
        StreamableHttpService::new(move || Ok(for_request.clone()), Arc::new(NeverSessionManager::default()), config);
    Router::new()
        .route_service("/mcp", streamable)
        .merge(sse::router(server, stop.child_token()))
        .route("/healthz", get(async || "ok\n"))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .merge(webhook)
        .layer(from_fn(guard::loopback_only))
}

/// "127.0.0.1:8737", "localhost:8737" or only "8737".
fn loopback(address: &str) -> Result<SocketAddr> {
    let numbers = address.strip_prefix("localhost").map_or(address.to_owned(), |port| format!("127.0.0.1{port}"));
    let parsed = match numbers.parse::<u16>() {
        Ok(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => numbers.parse::<SocketAddr>().ok(),
    };
    let refuse = |cause: &str| Error::new(ErrorKind::InvalidArgument, format!("serving at {address}"), cause);
    match parsed {
        None => Err(refuse("it is no address").hint("give an address and a port, e.g. 127.0.0.1:8737")),
        Some(address) if address.ip().is_loopback() => Ok(address),
        Some(_) => Err(refuse("it can be reached from other machines, and there is no login")
            .hint("use 127.0.0.1 and a port; from elsewhere, come through an SSH tunnel to it")),
    }
}

/// Ends when the server was told to stop and its calls had time to end.
async fn stopped(stop: &CancellationToken) {
    stop_signal().await;
    stop.cancel();
    tokio::time::sleep(GRACE).await;
}

#[cfg(unix)]
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn stop_signal() {
    drop(tokio::signal::ctrl_c().await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_served() {
        for (given, address) in [
            ("8737", "127.0.0.1:8737"),
            ("localhost:1", "127.0.0.1:1"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(loopback(given).unwrap(), address.parse().unwrap(), "{given}");
        }
        for given in ["0.0.0.0:8737", "192.168.1.2:80", "[::]:80", "example.com:80", "localhost", "", "127.0.0.1"] {
            let error = loopback(given).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{given}");
            assert!(error.next_step().is_some());
        }
    }
}
