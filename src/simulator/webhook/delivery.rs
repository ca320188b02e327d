//! How a notice gets to its address: a plain POST, tried a few times.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use chrono::Utc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Notice;
use crate::simulator::server::Service;

/// A notice that nobody has taken by then is given up. The service tries for 24 hours.
const TRIES: u32 = 5;
/// The wait after the first try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// So long a receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// An address on loopback.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    addresses: Vec<SocketAddr>,
    host: String,
    path: String,
}

impl Target {
    /// The address that `uri` names, if it is `http` on this machine.
    pub(super) fn of(uri: &str) -> Option<Self> {
        let uri: Uri = uri.parse().ok()?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http"))?;
        let addresses: Vec<IpAddr> = match host {
            "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            host => vec![host.trim_matches(['[', ']']).parse().ok()?],
        };
        if !addresses.iter().all(IpAddr::is_loopback) {
            return None;
        }
        let port = uri.port_u16().unwrap_or(80);
        Some(Self {
            addresses: addresses.into_iter().map(|address| (address, port).into()).collect(),
            host: uri.authority()?.as_str().into(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).into(),
        })
    }
}

/// Sends a notice until it is taken, or for the last time.
pub(super) async fn deliver(service: Arc<Service>, notice: Notice) {
    let delivering = async {
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt - 1)).await;
            }
            if matches!(tokio::time::timeout(PATIENCE, send(&service, &notice)).await, Ok(Ok(200..=299))) {
                return;
            }
        }
    };
    tokio::select! {
        () = delivering => {}
        () = service.stopped.cancelled() => {}
    }
}

/// One try: the status that the receiver answers.
async fn send(service: &Service, notice: &Notice) -> io::Result<u16> {
    let Some(target) = Target::of(&notice.uri) else { return Err(io::ErrorKind::InvalidInput.into()) };
    // The receiver holds it against the clock of the machine, whatever the clock of the simulator shows.
    let now = Utc::now().timestamp();
    let body = notice.body.to_string();
    let signature = service.signer.signature(notice, now, &body).ok_or(io::ErrorKind::InvalidData)?;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         webhook-id: {}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n\r\n{body}",
        target.path,
        target.host,
        body.len(),
        notice.id,
    );
    let mut stream = TcpStream::connect(target.addresses.as_slice()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut start = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut start).await?;
    let status = std::str::from_utf8(&start).ok().and_then(|line| line.split_once(' ')?.1.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_on_loopback_is_called() {
        let target = Target::of("http://127.0.0.1:8080/hook?a=b").unwrap();
        assert_eq!(target.addresses, [SocketAddr::from(([127, 0, 0, 1], 8080))]);
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:8080", "/hook?a=b"));
        assert_eq!(Target::of("http://[::1]").unwrap().addresses, ["[::1]:80".parse().unwrap()]);
        assert_eq!(Target::of("http://localhost:1/").unwrap().addresses.len(), 2);
        for elsewhere in [
            "https://127.0.0.1/hook",
            "http://example.com/",
            "http://10.0.0.1/",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "/hook",
        ] {
            assert_eq!(Target::of(elsewhere), None, "{elsewhere}");
        }
    }
}
