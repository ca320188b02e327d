//! Whose files and batches they are: a project is known by a short hash of its key.

use std::collections::HashMap;
use std::io;

use axum::http::HeaderMap;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use super::store::{Shelf, Store};

/// The key that is always refused.
const INVALID_KEY: &str = "invalid";

/// The key in the header or in the query; empty where there is none.
pub(super) fn key<'a>(headers: &'a HeaderMap, query: &'a HashMap<String, String>) -> &'a str {
    let header = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok());
    header.or(query.get("key").map(String::as_str)).unwrap_or_default()
}

/// The project of a key.
pub(super) fn of_key(key: &str) -> Result<String, Refusal> {
    match key {
        "" => Err(Refusal::new(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API.",
        )),
        INVALID_KEY => Err(invalid_key()),
        key => Ok(hash(key)),
    }
}

fn hash(key: &str) -> String {
    hex(&Sha256::digest(key)).chars().take(16).collect()
}

/// Revokes a key, or restores it, for all simulators of the folder. The project and what it has stay.
pub(super) fn set_revoked(store: &Store, key: &str, revoked: bool) -> io::Result<()> {
    let done = match revoked {
        true => store.make(Shelf::RevokedKeys, &hash(key)).map(drop),
        false => store.discard(Shelf::RevokedKeys, &hash(key)),
    };
    match done {
        Err(e) if !matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Err(e),
        _ => Ok(()),
    }
}

/// Refuses a key that was revoked.
pub(super) fn refuse_revoked(store: &Store, key: &str) -> Result<(), Refusal> {
    match !key.is_empty() && store.place(Shelf::RevokedKeys, &hash(key)).try_exists()? {
        true => Err(invalid_key()),
        false => Ok(()),
    }
}

fn invalid_key() -> Refusal {
    Refusal::invalid("API key not valid. Please pass a valid API key.").detail(json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"}
    }))
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
