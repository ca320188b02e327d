//! What time it is at the API, as its answers say.

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use http::header::DATE;

/// How far the API's clock was ahead of this machine's when it answered at this time; `None`: it did not say.
pub(super) fn ahead(headers: &HeaderMap, answered: DateTime<Utc>) -> Option<TimeDelta> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?);
    date.ok().map(|date| date.to_utc() - answered)
}
