//! Who may call: whoever has the server's token, or a token that the server's issuer made for it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};

use super::expiry;
use super::oauth::OAuth;
use super::refusals::because;
use crate::error::{Error, Result};
use crate::mcp::tasks::Owner;

/// How callers show who they are.
#[derive(Clone)]
pub(super) enum Login {
    /// Not at all: only this machine can call.
    None,
    Token(Arc<Token>),
    OAuth(Arc<OAuth>),
}

/// The one token that opens everything.
pub(super) struct Token {
    /// A key of this process, and the token's code under it: codes are compared in constant time, and the token itself is
    /// not kept.
    key: hmac::Key,
    code: hmac::Tag,
    /// Whoever has it.
    owner: Owner,
}

impl Token {
    pub(super) fn new(token: &SecretString) -> Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| Error::internal("preparing the token check", "this machine gives no randomness"))?;
        let code = hmac::sign(&key, token.expose_secret().as_bytes());
        Ok(Self { key, code, owner: Owner::of_token(token.expose_secret()) })
    }

    fn is(&self, given: &str) -> bool {
        hmac::verify(&self.key, given.as_bytes(), self.code.as_ref()).is_ok()
    }
}

/// Lets pass who may call; the others hear how to log in.
pub(super) async fn required(State(login): State<Login>, mut request: Request, next: Next) -> Response {
    match &login {
        Login::None => drop(request.extensions_mut().insert(Owner::anyone())),
        Login::Token(token) => {
            let given = bearer(request.headers());
            if !given.is_some_and(|given| token.is(given)) {
                let refusal = (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "a token is needed\n");
                return because(if given.is_some() { "a wrong token" } else { "no token" }, refusal.into_response());
            }
            request.extensions_mut().insert(token.owner.clone());
        }
        Login::OAuth(oauth) => match oauth.granted(bearer(request.headers()), request.uri(), request.headers()).await {
            Ok((granted, owner)) => {
                request.extensions_mut().insert(granted);
                owner.map(|owner| request.extensions_mut().insert(owner));
                if expiry::is_listening(&request) {
                    return expiry::ending(next.run(request).await, granted.until);
                }
            }
            Err(refusal) => return *refusal,
        },
    }
    next.run(request).await
}

/// The token in the one place where it may be (RFC 6750 §2.1): a URL ends up in logs.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_read_from_its_header_only() {
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer  abc"])), Some("abc"));
        for none in [&[][..], &["abc"], &["Basic abc"], &["Bearer"], &["Bearer abc", "Bearer abc"]] {
            assert_eq!(bearer(&headers(none)), None, "{none:?}");
        }
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::new(&SecretString::from("0123456789abcdef0123456789abcdef")).unwrap();
        assert!(token.is("0123456789abcdef0123456789abcdef"));
        for wrong in ["", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0", "0123456789ABCDEF"] {
            assert!(!token.is(wrong), "{wrong}");
        }
    }
}
