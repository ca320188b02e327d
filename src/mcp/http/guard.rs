//! Through which doors the HTTP server may be entered: its own names, and web pages that are allowed to.
//!
//! Neither listening on loopback nor a login is enough. A page from anywhere can make a browser send requests to
//! loopback: such a request carries the page's `Origin`. And a name whose address was changed to this machine's (DNS
//! rebinding) carries a foreign `Host`. Both are refused, on every path alike.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::connections::Peer;
use super::refusals::because;

/// Names of this machine to itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names and pages that were allowed, besides those of this machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    /// In lower case, without ports.
    pub(super) hosts: Arc<[String]>,
    /// In lower case.
    pub(super) origins: Arc<[String]>,
}

/// Lets a request pass if both its `Host` and its `Origin` may be.
pub(super) async fn checked(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let local = request.extensions().get::<Peer>().map(|peer| peer.local);
    match guard.refusal(request.headers(), local) {
        Some(reason) => because(reason.trim_end(), (StatusCode::FORBIDDEN, reason).into_response()),
        None => next.run(request).await,
    }
}

impl Guard {
    fn refusal(&self, headers: &HeaderMap, local: Option<IpAddr>) -> Option<&'static str> {
        let is_ours = |host: &str| self.is_ours(host, local);
        if !values(headers, HOST).all(is_ours) || !headers.contains_key(HOST) {
            return Some("this server does not answer by that name; its owner may allow it with --allowed-host\n");
        }
        if !values(headers, ORIGIN).all(|origin| self.may_call(origin)) {
            return Some("this server answers no page from there; its owner may allow it with --allowed-origin\n");
        }
        None
    }

    /// Any port will do: a tunnel may use another one than the server. And so will the very address that was connected
    /// to: only names can be rebound.
    fn is_ours(&self, authority: &str, local: Option<IpAddr>) -> bool {
        let Some(host) = host(authority) else { return false };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        LOOPBACK.contains(&host.as_str())
            || self.hosts.contains(&host)
            || address.is_ok_and(|address| Some(address.to_canonical()) == local)
    }

    fn may_call(&self, origin: &str) -> bool {
        let from_here = origin.strip_prefix("http://").and_then(host);
        from_here.is_some_and(|host| LOOPBACK.contains(&host.as_str()))
            || self.origins.contains(&origin.to_ascii_lowercase())
    }
}

/// A header's values; one that is no text is an empty text, which matches nothing.
fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or_default())
}

/// The host of a name and port, in lower case.
fn host(authority: &str) -> Option<String> {
    let parsed = authority.parse::<Authority>().ok().filter(|_| !authority.contains('@'))?;
    Some(parsed.host().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused_by(guard: &Guard, headers: &[(HeaderName, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        guard.refusal(&headers, Some("192.0.2.7".parse().unwrap())).is_some()
    }

    fn is_refused(headers: &[(HeaderName, &str)]) -> bool {
        is_refused_by(&Guard::default(), headers)
    }

    #[test]
    fn this_machine_may_talk_by_any_of_its_names_and_ports() {
        for host in ["localhost", "LOCALHOST:8737", "127.0.0.1:1", "[::1]:8737"] {
            assert!(!is_refused(&[(HOST, host)]), "{host}");
            assert!(!is_refused(&[(HOST, host), (ORIGIN, &format!("http://{host}"))]), "{host}");
        }
        assert!(!is_refused(&[(HOST, "192.0.2.7:8737")]), "the address that was connected to");
    }

    #[test]
    fn foreign_hosts_and_pages_are_refused() {
        for host in ["evil.example", "localhost.evil.example:8737", "127.0.0.1.evil.example", "localhost@evil", ""] {
            assert!(is_refused(&[(HOST, host)]), "{host}");
        }
        for origin in ["http://evil.example", "null", "https://evil.example:8737", "http://localhost.evil.example", ""]
        {
            assert!(is_refused(&[(HOST, "localhost"), (ORIGIN, origin)]), "{origin}");
        }
        assert!(is_refused(&[]), "no host");
        assert!(is_refused(&[(HOST, "localhost"), (ORIGIN, "http://localhost"), (ORIGIN, "http://evil.example")]));
        assert!(is_refused(&[(HOST, "192.0.2.8:8737")]), "another address");
    }

    #[test]
    fn what_the_owner_allows_may_talk() {
        let guard = Guard {
            hosts: vec!["batch.example.com".to_owned()].into(),
            origins: vec!["https://app.example.com".to_owned()].into(),
        };
        for host in ["batch.example.com", "Batch.Example.com:443"] {
            assert!(!is_refused_by(&guard, &[(HOST, host), (ORIGIN, "https://App.example.com")]), "{host}");
        }
        for host in ["example.com", "evil.batch.example.com", "batch.example.com.evil.example"] {
            assert!(is_refused_by(&guard, &[(HOST, host)]), "{host}");
        }
        for origin in ["http://app.example.com", "https://app.example.com:8443", "https://batch.example.com"] {
            assert!(is_refused_by(&guard, &[(HOST, "batch.example.com"), (ORIGIN, origin)]), "{origin}");
        }
    }
}
