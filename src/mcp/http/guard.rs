//! Who may talk to the HTTP server: programs on this machine, and pages served from it.
//!
//! Listening on loopback is not enough. A page from anywhere can make a browser send requests to
//! loopback: such a request carries the page's `Origin`. And a name whose address was changed to
//! loopback (DNS rebinding) carries a foreign `Host`. Both are refused, on every path alike.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Names of this machine to itself.
pub(super) const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Lets a request pass if both its `Host` and its `Origin` are this machine.
pub(super) async fn loopback_only(request: Request, next: Next) -> Response {
    match refusal(request.headers()) {
        Some(reason) => (StatusCode::FORBIDDEN, reason).into_response(),
        None => next.run(request).await,
    }
}

fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    if !values(headers, HOST).all(is_this_machine) || !headers.contains_key(HOST) {
        return Some("this server answers only requests to localhost");
    }
    if !values(headers, ORIGIN).all(|origin| origin.strip_prefix("http://").is_some_and(is_this_machine)) {
        return Some("this server answers no pages from elsewhere");
    }
    None
}

/// A header's values; one that is no text is an empty text, which matches nothing.
fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or_default())
}

/// Any port will do: a tunnel may use another one than the server.
fn is_this_machine(authority: &str) -> bool {
    let host = authority.parse::<Authority>();
    host.is_ok_and(|host| !authority.contains('@') && HOSTS.iter().any(|name| host.host().eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(headers: &[(HeaderName, &str)]) -> bool {
        refusal(&headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()).is_some()
    }

    #[test]
    fn this_machine_may_talk_by_any_of_its_names_and_ports() {
        for host in ["localhost", "LOCALHOST:8737", "127.0.0.1:1", "[::1]:8737"] {
            assert!(!is_refused(&[(HOST, host)]), "{host}");
            assert!(!is_refused(&[(HOST, host), (ORIGIN, &format!("http://{host}"))]), "{host}");
        }
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
    }
}
