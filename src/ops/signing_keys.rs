//! Public keys by which signatures of others are checked, as JSON Web Key Sets (RFC 7517).

use serde_json::Value;

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::public_json;

/// The keys with which Google signs notices of jobs (API reference §9).
pub async fn of_notices(app: &App) -> Result<Value> {
    let base = app.api_address().await?.trim_end_matches('/');
    public_json(&format!("{base}/.well-known/jwks.json")).await
}

/// The keys at an address, or in a file of the server's owner.
pub async fn at(source: &str) -> Result<Value> {
    if source.contains("://") {
        return public_json(source).await;
    }
    let act = || format!("reading the keys in {source}");
    let text = tokio::fs::read(source).await.map_err(|e| Error::io(act(), e))?;
    serde_json::from_slice(&text).map_err(|e| Error::new(ErrorKind::InvalidInput, act(), e.to_string()))
}

/// The keys that an issuer of tokens names in its metadata: OpenID Connect Discovery, else RFC 8414.
pub async fn of_issuer(issuer: &str) -> Result<Value> {
    let base = issuer.trim_end_matches('/');
    let openid = public_json(&format!("{base}/.well-known/openid-configuration")).await;
    let metadata = match openid {
        Ok(metadata) => metadata,
        Err(_) => public_json(&inserted(base, "/.well-known/oauth-authorization-server")).await?,
    };
    let unfit = |cause: &str| {
        Error::new(ErrorKind::UnexpectedAnswer, format!("reading the metadata of {issuer}"), cause)
            .hint("name the address of its keys with --oauth-jwks")
    };
    // Metadata of another issuer would let its keys in (RFC 8414 §3.3).
    if metadata.get("issuer").and_then(Value::as_str).map(|named| named.trim_end_matches('/')) != Some(base) {
        return Err(unfit("they are another issuer's"));
    }
    match metadata.get("jwks_uri").and_then(Value::as_str) {
        Some(address) => public_json(address).await,
        None => Err(unfit("they name no keys")),
    }
}

/// The well-known place of an issuer, which stands between its host and its path (RFC 8414 §3.1).
fn inserted(issuer: &str, well_known: &str) -> String {
    let host_ends = issuer.find("://").map_or(0, |at| at + 3);
    match issuer.get(host_ends..).and_then(|rest| rest.split_once('/')) {
        Some((host, path)) => format!("{}{host}{well_known}/{path}", issuer.get(..host_ends).unwrap_or_default()),
        None => format!("{issuer}{well_known}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_place_stands_before_the_path() {
        let place = |issuer| inserted(issuer, "/.well-known/x");
        assert_eq!(place("https://as.example"), "https://as.example/.well-known/x");
        assert_eq!(place("https://as.example/realms/one"), "https://as.example/.well-known/x/realms/one");
    }
}
