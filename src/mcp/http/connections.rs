//! Connections: taken up within limits, over TLS if there is a certificate, and ended in good order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::household::household;
use crate::mcp::places::Places;
use crate::ops::Ending;

/// Connections at a time: what is left of the usual 1,024 open files is for files.
const MOST: usize = 512;
/// Of those, one household may have so many, unless all come from this machine or from a proxy.
pub(super) const MOST_OF_ONE: usize = 128;
/// How long a client may take to agree on encryption, and to send the head of a request.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(15);
/// How long a client may leave unread what it was sent.
const UNREAD: Duration = Duration::from_secs(60);
/// The longest head of a request, and what is read ahead of its body.
const BUFFER: usize = 64 * 1024;
/// After a connection that could not be taken up, for want of open files as a rule.
const PAUSE: Duration = Duration::from_millis(100);

/// Who is at the ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// The other end: the client, or a proxy in front of it.
    pub(super) remote: IpAddr,
    /// The address of this machine that was connected to.
    pub(super) local: IpAddr,
}

/// The address of a client: of the other end, or what the proxy says there.
pub(super) fn client(peer: &Peer, headers: &HeaderMap, behind_proxy: bool) -> IpAddr {
    if !behind_proxy {
        return peer.remote;
    }
    // The last address is the one that the proxy next to us saw; those before it anybody can make up.
    let said = headers.get_all("x-forwarded-for").into_iter().next_back();
    let last = said.and_then(|list| list.to_str().ok()).and_then(|list| list.rsplit(',').next());
    last.and_then(|address| address.trim().parse().ok()).unwrap_or(peer.remote)
}

/// Where connections come in.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) places: Places<IpAddr>,
}

/// The places of connections, of which one household may have so many; `None` if it may have all.
pub(super) fn places(most_of_one: Option<usize>) -> Places<IpAddr> {
    Places::new(MOST, most_of_one.unwrap_or(MOST))
}

impl Door {
    /// Takes up connections until told to close, each as work of its own; those that are idle end then, others after
    /// their answer.
    pub(super) async fn serve(self, router: Router, ending: &Ending) {
        let closing = ending.closing();
        loop {
            let (stream, remote) = tokio::select! {
                () = closing.cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(e) => {
                        tracing::warn!("taking up a connection: {e}");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            match (self.places.take(household(remote.ip())), stream.local_addr()) {
                (Some(place), Ok(local)) => {
                    let (router, tls, closing) = (router.clone(), self.tls.clone(), closing.clone());
                    ending.spawn(async move {
                        converse(stream, tls, router, peer(remote, local), &closing).await;
                        drop(place);
                    });
                }
                // To close it at once is kinder than to let the client wait.
                (None, _) => tracing::debug!("too many connections: one of {} is closed", remote.ip()),
                (_, Err(e)) => tracing::debug!("a connection is gone: {e}"),
            }
        }
    }
}

fn peer(remote: SocketAddr, local: SocketAddr) -> Peer {
    Peer { remote: remote.ip().to_canonical(), local: local.ip().to_canonical() }
}

async fn converse(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    peer: Peer,
    closing: &CancellationToken,
) {
    // Answers are small and whole: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return serve(stream, router, peer, closing).await };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, router, peer, closing).await,
        Ok(Err(e)) => tracing::debug!("no agreement on encryption with {}: {e}", peer.remote),
        Err(_) => tracing::debug!("no agreement on encryption with {} in time", peer.remote),
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite, router: Router, peer: Peer, closing: &CancellationToken) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!("a connection of {} broke off: {e}", peer.remote);
    }
}
