//! Public keys by which signatures of others are checked, as JSON Web Key Sets (RFC 7517).

use serde_json::Value;

use super::App;
use crate::error::Result;
use crate::gemini::{GOOGLE_BASE_URL, public_json};

/// The keys with which Google signs notices of jobs (API reference §9).
pub async fn of_notices(app: &App) -> Result<Value> {
    let base = app.config().base_url.as_deref().unwrap_or(GOOGLE_BASE_URL).trim_end_matches('/');
    public_json(&format!("{base}/.well-known/jwks.json")).await
}
