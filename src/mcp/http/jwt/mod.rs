//! Tokens signed with somebody's public keys: JSON Web Tokens (RFC 7519).
//!
//! The keys are whose `Keys` say (`keys`), signatures are checked by ring (`verifier`), and what a token says of itself by
//! `jsonwebtoken`.

mod keys;
mod verifier;

pub(super) use keys::Keys;

use std::collections::HashSet;

use jsonwebtoken::{AlgorithmFamily, Validation, decode, decode_header};
use serde::de::DeserializeOwned;

/// Whom a token has to be for, and by whom it has to be made.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) audience: String,
    pub(super) issuer: Option<String>,
}

/// What a token says, once its signature, its end, its audience and its issuer are right; else why they are not.
pub(super) async fn verified<T: DeserializeOwned>(token: &str, keys: &Keys, expected: &Expected) -> Result<T, String> {
    verifier::install();
    let header = decode_header(token).map_err(|e| e.to_string())?;
    let kid = header.kid.ok_or("it names no key")?;
    let key = keys.find(&kid).await.map_err(|e| e.to_string())?.ok_or("it names a key that is not known")?;
    if key.family() == AlgorithmFamily::Hmac {
        return Err("it is signed with a key that is not public".to_owned());
    }
    decode(token, &key, &rules(key.family(), expected)).map(|token| token.claims).map_err(|e| e.to_string())
}

/// The algorithms are the key's, whatever the token claims (RFC 8725 §3.1).
fn rules(family: AlgorithmFamily, expected: &Expected) -> Validation {
    let mut rules = Validation::new_for_family(family);
    rules.validate_nbf = true;
    rules.set_audience(&[&expected.audience]);
    rules.required_spec_claims = HashSet::from(["exp", "aud"].map(str::to_owned));
    if let Some(issuer) = &expected.issuer {
        rules.set_issuer(&[issuer]);
        rules.required_spec_claims.insert("iss".to_owned());
    }
    rules
}
