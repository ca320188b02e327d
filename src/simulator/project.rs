//! Whose files and batches they are: a project is known by a short hash of its key.

use std::collections::HashMap;

use axum::http::HeaderMap;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;

/// The key that is always refused.
const INVALID_KEY: &str = "invalid";

/// The project of the key in the header or in the query.
pub(super) fn of_key(headers: &HeaderMap, query: &HashMap<String, String>) -> Result<String, Refusal> {
    let header = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok());
    let key = header.or(query.get("key").map(String::as_str)).unwrap_or_default();
    match key {
        "" => Err(Refusal::new(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API.",
        )),
        INVALID_KEY => Err(invalid_key()),
        key => Ok(hex(&Sha256::digest(key)).chars().take(16).collect()),
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
