//! Tokens signed with somebody's public keys: JSON Web Tokens (RFC 7519).
//!
//! The keys are whose `Keys` say (`keys`), signatures are checked by ring (`verifier`), and what a token says of itself by
//! `jsonwebtoken`.

mod keys;
mod verifier;

pub(super) use keys::{Keys, read as read_keys};

use std::collections::HashSet;
use std::time::Duration;

use jsonwebtoken::{AlgorithmFamily, Validation, decode, decode_header};
use serde::de::DeserializeOwned;

use keys::{Found, Wanted};

/// Whom a token has to be for, and by whom it has to be made.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// One of these.
    pub(super) audiences: Vec<String>,
    pub(super) issuer: Option<String>,
}

/// Why a token is not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not good.
    Wrong(String),
    /// It may be good: the keys to tell by cannot be had before this time has passed.
    Unchecked(Duration),
}

/// What a token says, once its signature, its end, its audience and its issuer are right; else why they are not.
pub(super) async fn verified<T: DeserializeOwned>(token: &str, keys: &Keys, expected: &Expected) -> Result<T, Refused> {
    verifier::install();
    let wrong = |why: &dyn ToString| Refused::Wrong(why.to_string());
    let header = decode_header(token).map_err(|e| wrong(&e))?;
    let wanted = header.kid.as_deref().map_or(Wanted::Only(header.alg), Wanted::Named);
    let key = match keys.find(wanted).await.map_err(|e| wrong(&e))? {
        Found::Key(key) => key,
        Found::None if header.kid.is_none() => {
            return Err(wrong(&"it names no key, and there is not exactly one for its algorithm"));
        }
        Found::None => return Err(wrong(&"it names a key that is not known")),
        Found::Unknown(again) => return Err(Refused::Unchecked(again)),
    };
    if key.family() == AlgorithmFamily::Hmac {
        return Err(wrong(&"it is signed with a key that is not public"));
    }
    decode(token, &key, &rules(key.family(), expected)).map(|token| token.claims).map_err(|e| wrong(&e))
}

/// How much clocks may differ.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);

/// The algorithms are the key's, whatever the token claims (RFC 8725 §3.1).
fn rules(family: AlgorithmFamily, expected: &Expected) -> Validation {
    let mut rules = Validation::new_for_family(family);
    rules.validate_nbf = true;
    rules.leeway = LEEWAY.as_secs();
    rules.set_audience(&expected.audiences);
    rules.required_spec_claims = HashSet::from(["exp", "aud"].map(str::to_owned));
    if let Some(issuer) = &expected.issuer {
        rules.set_issuer(&[issuer]);
        rules.required_spec_claims.insert("iss".to_owned());
    }
    rules
}
