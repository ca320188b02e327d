//! The server as an OAuth resource server: it makes no tokens, it says who does, and checks them.
//!
//! Its metadata are at `/.well-known/oauth-protected-resource` (RFC 9728), and a caller without a good token is sent
//! there. Tokens are JSON Web Tokens (RFC 9068) of the issuer's, made for this server's audience (RFC 8707).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::jwt::{self, Expected, Keys, Refused};
use super::later;
use super::refusals::because;
use crate::config::http::OAuthSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::mcp::tasks::Owner;
use crate::ops::signing_keys;

const METADATA: &str = "/.well-known/oauth-protected-resource";
/// To look: tools that only read.
pub(super) const READ: &str = "batch:read";
/// To do everything.
pub(super) const WRITE: &str = "batch:write";

/// Whose tokens are taken.
pub(super) struct OAuth {
    expected: Expected,
    /// At the older transport.
    expected_at_sse: Expected,
    issuer: String,
    keys: Keys,
    /// How this server is reached from outside.
    scheme: &'static str,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    /// Everything, rather than to look only.
    pub(super) write: bool,
    /// How long.
    pub(super) until: SystemTime,
}

/// The part of a token that says what it is good for: `scope` as RFC 9068 writes it, `scp` as some issuers do.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    scope: Value,
    #[serde(default)]
    scp: Value,
    #[serde(default)]
    sub: Option<String>,
    /// Seconds since 1970.
    exp: f64,
}

/// Keys in a file have to be there from the start; those at an address may come later.
pub(super) async fn checked(settings: &OAuthSettings) -> Result<()> {
    let Some(file) = settings.keys_file() else { return Ok(()) };
    let keys = jwt::read_keys(signing_keys::at(file).await?);
    keys.map(drop).map_err(|e| {
        Error::new(ErrorKind::InvalidInput, format!("reading the keys in {file}"), e.cause())
            .hint("--oauth-jwks takes the issuer's JSON Web Key Set: {\"keys\": [...]}")
    })
}

impl OAuth {
    pub(super) fn new(settings: &OAuthSettings, is_encrypted: bool) -> Self {
        let issuer = settings.issuer.clone();
        let source = settings.keys.clone();
        let keys = Keys::new(move || {
            let (issuer, source) = (issuer.clone(), source.clone());
            async move {
                match source {
                    Some(source) => signing_keys::at(&source).await,
                    None => signing_keys::of_issuer(&issuer).await,
                }
            }
        });
        let expected = |audiences| Expected { audiences, issuer: Some(settings.issuer.clone()) };
        let audience = settings.audience.clone();
        // It is a resource of its own by its metadata, and some issuers name exactly the one that was asked for (RFC 8707).
        let sibling = audience.strip_suffix("/mcp").map(|base| format!("{base}/sse"));
        Self {
            expected: expected(vec![audience.clone()]),
            expected_at_sse: expected([audience].into_iter().chain(sibling).collect()),
            issuer: settings.issuer.clone(),
            keys,
            scheme: if is_encrypted { "https" } else { "http" },
        }
    }

    /// What a token lets its bearer do here, and who that is if it says so; or the answer that says what is missing.
    pub(super) async fn granted(
        &self,
        token: Option<&str>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(Granted, Option<Owner>), Box<Response>> {
        let Some(token) = token else { return Err(self.refusal(Want::Token, uri, headers)) };
        let expected = if transport(uri.path()) == "/sse" { &self.expected_at_sse } else { &self.expected };
        match jwt::verified::<Claims>(token, &self.keys, expected).await {
            Ok(claims) if claims.has(WRITE) || claims.has(READ) => {
                Ok((Granted { write: claims.has(WRITE), until: claims.until() }, self.owner(&claims)))
            }
            Ok(_) => Err(self.refusal(Want::Scope(READ), uri, headers)),
            Err(Refused::Wrong(cause)) => {
                tracing::info!("a token is refused: {cause:?}");
                Err(self.refusal(Want::GoodToken, uri, headers))
            }
            // Another token would be no better.
            Err(Refused::Unchecked(again)) => Err(Box::new(later(
                StatusCode::SERVICE_UNAVAILABLE,
                again,
                "the issuer's keys cannot be had, so no token can be checked; the log says why\n",
            ))),
        }
    }

    fn owner(&self, claims: &Claims) -> Option<Owner> {
        claims.sub.as_ref().map(|subject| Owner::of_subject(&self.issuer, subject))
    }

    /// The answer to a caller whose token is good, but not for this.
    pub(super) fn needs_scope(&self, scope: &'static str, uri: &Uri, headers: &HeaderMap) -> Response {
        *self.refusal(Want::Scope(scope), uri, headers)
    }

    fn refusal(&self, want: Want, uri: &Uri, headers: &HeaderMap) -> Box<Response> {
        let metadata = format!("{}{METADATA}{}", self.origin(headers), transport(uri.path()));
        let (status, challenge, words) = match &want {
            Want::Token => {
                (StatusCode::UNAUTHORIZED, format!("scope=\"{READ} {WRITE}\""), "a token is needed\n".to_owned())
            }
            Want::GoodToken => {
                let words = "the token is not accepted; the log says why at RUST_LOG=info\n";
                (StatusCode::UNAUTHORIZED, "error=\"invalid_token\"".to_owned(), words.to_owned())
            }
            Want::Scope(scope) => (
                StatusCode::FORBIDDEN,
                format!("error=\"insufficient_scope\", scope=\"{scope}\""),
                format!("a token with the scope {scope} is needed\n"),
            ),
        };
        let challenge = format!("Bearer resource_metadata=\"{metadata}\", {challenge}");
        let response = (status, [(WWW_AUTHENTICATE, challenge)], words).into_response();
        Box::new(match want {
            // So every login begins.
            Want::Token => response,
            Want::GoodToken => because("a token that is not accepted (why: RUST_LOG=info)", response),
            Want::Scope(_) => because("a token that lacks the scope", response),
        })
    }

    /// The address as the caller knows it. The `Host` was checked before.
    fn origin(&self, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", self.scheme)
    }
}

/// What a caller lacks.
enum Want {
    Token,
    GoodToken,
    Scope(&'static str),
}

impl Claims {
    /// When the token is taken for the last time.
    fn until(&self) -> SystemTime {
        let since_1970 = Duration::try_from_secs_f64(self.exp).ok();
        let end = since_1970.and_then(|exp| SystemTime::UNIX_EPOCH.checked_add(exp.saturating_add(jwt::LEEWAY)));
        end.unwrap_or_else(SystemTime::now)
    }

    fn has(&self, wanted: &str) -> bool {
        [&self.scope, &self.scp].into_iter().any(|scopes| match scopes {
            Value::String(text) => text.split(' ').any(|scope| scope == wanted),
            Value::Array(list) => list.iter().any(|scope| scope == wanted),
            _ => false,
        })
    }
}

/// The resource that a path belongs to.
fn transport(path: &str) -> &'static str {
    if path.starts_with("/sse") || path.starts_with("/message") { "/sse" } else { "/mcp" }
}

/// The metadata, for each of the two transports.
pub(super) fn router(oauth: Arc<OAuth>) -> Router {
    let with_path = get(async |State(oauth): State<Arc<OAuth>>, Path(path): Path<String>, headers: HeaderMap| {
        oauth.metadata(&format!("/{path}"), &headers)
    });
    let without = get(async |State(oauth): State<Arc<OAuth>>, headers: HeaderMap| oauth.metadata("/mcp", &headers));
    Router::new().route(METADATA, without).route(&format!("{METADATA}/{{path}}"), with_path).with_state(oauth)
}

impl OAuth {
    fn metadata(&self, path: &str, headers: &HeaderMap) -> Response {
        if !["/mcp", "/sse"].contains(&path) {
            return StatusCode::NOT_FOUND.into_response();
        }
        Json(json!({
            "resource": format!("{}{path}", self.origin(headers)),
            "resource_name": "Gemini Batch",
            "authorization_servers": [self.issuer],
            "scopes_supported": [READ, WRITE],
            "bearer_methods_supported": ["header"],
        }))
        .into_response()
    }
}
