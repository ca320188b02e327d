//! Google's error body in plain words.
//!
//! The body is `{"error": {code, message, status, details}}`, or that in a one-element array, or a
//! web page of some proxy, or nothing (API reference §8). All of them end up as an [`ApiStatus`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::json::{OneOf, number_or_text};
use super::plain::{describe, plain};

/// The API has asked to wait for 9223372036854775807 s; nobody computes with that.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer that reports an error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiStatus {
    /// The HTTP status; for an error inside a success, the one that the error names.
    pub(super) http: u16,
    /// Google's word for it: `RESOURCE_EXHAUSTED`. Empty if it gave none.
    pub(super) word: String,
    /// The message, bounded and on one line.
    pub(super) message: String,
    /// `ErrorInfo.reason`: `API_KEY_INVALID`.
    pub(super) reason: Option<String>,
    /// What is wrong with which field.
    pub(super) violations: Vec<String>,
    /// Which quotas are used up.
    pub(super) quotas: Vec<String>,
    /// How long the API asks to wait, at most a day.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Envelope {
    error: WireError,
}

/// An error and nothing else: how some calls fail with a 200.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyError {
    error: WireError,
}

#[derive(Deserialize)]
struct WireError {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    details: Option<Vec<Value>>,
}

/// The union of the fields of all detail types: which one it is does not matter.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    reason: Option<String>,
    retry_delay: Option<String>,
    field_violations: Vec<FieldViolation>,
    violations: Vec<QuotaViolation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldViolation {
    field: String,
    description: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct QuotaViolation {
    quota_id: String,
    quota_metric: String,
    quota_value: Value,
}

impl ApiStatus {
    /// Reads an error answer. Never fails: an unreadable body is described.
    pub(super) fn read(http: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut status = match serde_json::from_slice::<OneOf<Envelope>>(body) {
            Ok(OneOf(envelope)) => Self::of_wire(http, envelope.error),
            Err(_) => Self::bare(http, describe(body)),
        };
        status.retry_after = status.retry_after.or_else(|| retry_after(headers)).map(|wait| wait.min(LONGEST_WAIT));
        status
    }

    /// The error inside a success, if the body is one and nothing else.
    pub(super) fn inside_success(body: &[u8]) -> Option<Self> {
        let OneOf(OnlyError { error }) = serde_json::from_slice(body).ok()?;
        let code = error.code.as_u64().and_then(|code| u16::try_from(code).ok());
        let http = code.filter(|code| (400..600).contains(code)).unwrap_or(500);
        Some(Self::of_wire(http, error))
    }

    fn bare(http: u16, message: String) -> Self {
        let (word, reason, retry_after) = (String::new(), None, None);
        Self { http, word, message, reason, violations: Vec::new(), quotas: Vec::new(), retry_after }
    }

    fn of_wire(http: u16, error: WireError) -> Self {
        let message = error
            .message
            .filter(|text| !text.trim().is_empty())
            .unwrap_or_else(|| format!("error {} without a message", number_or_text(&error.code).unwrap_or_default()));
        let mut status = Self::bare(http, plain(&message));
        status.word = error.status.as_deref().map(plain).unwrap_or_default();
        for detail in error.details.into_iter().flatten() {
            status.add(Detail::deserialize(detail).unwrap_or_default());
        }
        status
    }

    fn add(&mut self, detail: Detail) {
        self.reason = self.reason.take().or(detail.reason);
        self.retry_after = self.retry_after.or(detail.retry_delay.as_deref().and_then(seconds));
        self.violations
            .extend(detail.field_violations.iter().map(|v| plain(&format!("{} {}", v.field, v.description))));
        self.quotas.extend(detail.violations.into_iter().map(quota_text).filter(|quota| !quota.is_empty()));
    }
}

/// "GenerateRequestsPerDayPerProjectPerModel-FreeTier (limit 20)".
fn quota_text(violation: QuotaViolation) -> String {
    let name = if violation.quota_id.is_empty() { violation.quota_metric } else { violation.quota_id };
    let limit = number_or_text(&violation.quota_value).map(|limit| format!(" (limit {limit})")).unwrap_or_default();
    plain(&format!("{name}{limit}"))
}

/// `36s`, `1.5s`.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().strip_suffix('s')?.parse().ok()?).ok()
}

/// `Retry-After`: seconds, or the date from which on to try.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    (date.with_timezone(&Utc) - Utc::now()).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::plain::LONGEST_TEXT;
    use proptest::prelude::*;
    use serde_json::json;

    /// JSON of any form, with the words of the API's errors among its names.
    fn wild() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(-?[0-9]{0,30}(\\.[0-9]+)?s|PerDay|file storage|spending cap|.*)".prop_map(Value::from),
        ];
        let name = "(code|message|status|details|reason|retryDelay|violations|fieldViolations|quotaId|quotaMetric|quotaValue|.)";
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(name, inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn read(body: &[u8], retry_after: &[u8]) -> ApiStatus {
        let mut headers = HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(retry_after) {
            headers.insert(http::header::RETRY_AFTER, value);
        }
        ApiStatus::read(429, &headers, body)
    }

    fn is_fit_to_show(status: &ApiStatus) -> bool {
        let texts = || status.quotas.iter().chain(&status.violations).chain([&status.message, &status.word]);
        status.quota().is_some()
            && status.retry_after.is_none_or(|wait| wait <= LONGEST_WAIT)
            && texts().all(|text| text.chars().count() <= LONGEST_TEXT + 1 && !text.contains(char::is_control))
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_status(body in any::<Vec<u8>>(), retry_after in any::<Vec<u8>>()) {
            prop_assert!(is_fit_to_show(&read(&body, &retry_after)));
        }

        #[test]
        fn any_json_is_a_status(error in wild(), retry_after in "(-?[0-9]{0,25}|.*)") {
            for body in [json!({ "error": error.clone() }), json!([{ "error": error.clone() }]), error] {
                prop_assert!(is_fit_to_show(&read(body.to_string().as_bytes(), retry_after.as_bytes())));
            }
        }
    }

    #[test]
    fn google_s_details_are_collected_whatever_their_type() {
        let body = br#"[{"error":{"code":429,"message":"You exceeded your quota.\nRetry.","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"QuotaFailure","violations":[{"quotaMetric":"m","quotaId":"TokensPerDay","quotaValue":"20"}]},
            {"@type":"Help","links":[{"url":"u"}]},{"@type":"RetryInfo","retryDelay":"36.5s"}]}}]"#;
        let status = ApiStatus::read(429, &HeaderMap::new(), body);
        assert_eq!(status.message, "You exceeded your quota. Retry.");
        assert_eq!(status.quotas, ["TokensPerDay (limit 20)"]);
        assert_eq!(status.retry_after, Some(Duration::from_millis(36_500)));
    }

    #[test]
    fn pages_and_empty_bodies_get_plain_words() {
        let read = |body: &[u8]| ApiStatus::read(502, &HeaderMap::new(), body).message;
        assert!(read(b"<!DOCTYPE html><h1>Bad gateway</h1>").contains("web page"));
        assert!(read(b" \n").contains("empty"));
        assert!(read(b"upstream \x1b[31mdied").contains("upstream [31mdied"));
    }

    #[test]
    fn an_error_code_may_be_a_word() {
        let status = ApiStatus::read(400, &HeaderMap::new(), br#"{"error":{"code":"invalid_request","message":"no"}}"#);
        assert_eq!((status.http, status.message.as_str()), (400, "no"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        let later = (Utc::now() + chrono::Duration::seconds(90)).to_rfc2822();
        headers.insert("retry-after", later.parse().unwrap());
        let wait = retry_after(&headers).unwrap().as_secs();
        assert!((85..=90).contains(&wait), "{wait}");
    }

    #[test]
    fn only_a_bare_error_makes_a_success_fail() {
        let inside = |body: &str| ApiStatus::inside_success(body.as_bytes());
        assert_eq!(inside(r#"{"error":{"code":400,"message":"Unsupported MIME type: jsonl"}}"#).unwrap().http, 400);
        assert_eq!(inside(r#"{"error":{"code":13,"message":"x"}}"#).unwrap().http, 500);
        assert_eq!(inside(r#"{"name":"batches/a","done":true,"error":{"code":1,"message":"cancelled"}}"#), None);
    }
}
