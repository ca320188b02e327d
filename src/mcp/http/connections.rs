//! Connections: taken up within limits, over TLS if there is a certificate, and ended in good order.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
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

/// Where connections come in.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) places: Places,
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
            match (self.places.take(remote.ip()), stream.local_addr()) {
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

/// How many connections there are, and whose.
#[derive(Clone)]
pub(super) struct Places {
    most_of_one: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place, free again when dropped.
struct Place {
    places: Places,
    of: IpAddr,
}

impl Places {
    /// So many places for each household; `None` if one may have all.
    pub(super) fn new(most_of_one: Option<usize>) -> Self {
        Self { most_of_one: most_of_one.unwrap_or(MOST), taken: Arc::default() }
    }

    fn take(&self, of: IpAddr) -> Option<Place> {
        let of = household(of);
        let mut taken = self.lock();
        let has_room = taken.values().sum::<usize>() < MOST;
        let count = taken.entry(of).or_default();
        if !has_room || *count >= self.most_of_one {
            if *count == 0 {
                taken.remove(&of);
            }
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), of })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn one_address_cannot_take_the_places_of_others() {
        let places = Places::new(Some(2));
        let first = places.take(address(1));
        let second = places.take(address(1));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(address(1)).is_none());
        assert!(places.take(address(2)).is_some());
        drop(first);
        assert!(places.take(address(1)).is_some());
    }

    #[test]
    fn neighbours_in_one_network_share_its_places() {
        let places = Places::new(Some(2));
        let neighbour = |number: u128| IpAddr::from((0x2001_0db8_u128 << 96 | number).to_be_bytes());
        let taken = [places.take(neighbour(1)), places.take(neighbour(2))];
        assert!(places.take(neighbour(3)).is_none());
        assert!(places.take(neighbour(1 << 64)).is_some(), "another network");
        drop(taken);
        assert!(places.lock().is_empty());
    }

    #[test]
    fn places_are_bounded_and_leave_nothing_behind() {
        let places = Places::new(None);
        let taken: Vec<_> = (0..MOST as u32).map(|number| places.take(address(number % 7)).unwrap()).collect();
        assert!(places.take(address(1)).is_none());
        assert!(places.take(address(1000)).is_none());
        assert_eq!(places.lock().len(), 7);
        drop(taken);
        assert!(places.lock().is_empty());
    }
}
