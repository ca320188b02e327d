//! Error answers, in the form Google gives them.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::fault::ErrorBody;
use super::reply::Reply;

/// The page the documentation links from errors.
const HELP: &str = "https://ai.google.dev/gemini-api/docs/rate-limits";

/// What the service says once a project has spent what it may in a month.
const SPENDING_CAP: &str = "Your project has exceeded its monthly spending cap. Please go to AI Studio at \
                            https://ai.studio/spend to manage your project spend cap.";

/// What the service says of every quota but spending caps.
const QUOTA: &str = "You exceeded your current quota, please check your plan and billing details. \
                     For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.";

/// A call that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    code: u16,
    status: &'static str,
    message: String,
    details: Vec<Value>,
}

impl Refusal {
    /// A refusal with the usual status word of an HTTP code.
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, status: status_word(code), message: message.into(), details: Vec::new() }
    }

    /// 400: something in the request is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 400: the state of the thing does not allow it.
    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self { status: "FAILED_PRECONDITION", ..Self::new(400, message) }
    }

    /// 400: the JSON body has something the schema does not know.
    pub(super) fn bad_payload(description: impl Into<String>, field: &str) -> Self {
        let description = description.into();
        let violation = json!({"field": field, "description": description});
        Self::invalid(description)
            .detail(json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}))
    }

    /// 404, as batches and unknown paths answer.
    pub(super) fn not_found() -> Self {
        Self::new(404, "Requested entity was not found.")
    }

    /// 429, as creates of batches answer it: which quota it is, and for how long, is not told.
    pub(super) fn quota() -> Self {
        Self::new(429, QUOTA).detail(help())
    }

    /// 429: so many bytes of files are the limit. The wording is that of google-genai issue 1172 and others.
    pub(super) fn storage_quota(limit: u64) -> Self {
        let metric = "generativelanguage.googleapis.com/file_storage_bytes";
        let violation = json!({"quotaMetric": metric, "quotaId": "FileStorageBytesPerProject",
                               "quotaValue": limit.to_string()});
        Self::new(429, format!("{QUOTA}\n* Quota exceeded for metric: {metric}, limit: {limit}"))
            .detail(quota_failure(violation))
            .detail(help())
    }

    /// Adds an entry to `details`.
    pub(super) fn detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "status": self.status});
        if let (false, Some(fields)) = (self.details.is_empty(), error.as_object_mut()) {
            fields.insert("details".into(), self.details.clone().into());
        }
        json!({"error": error})
    }

    /// The error as a reply of its own status.
    pub(super) fn reply(&self) -> Reply {
        Reply::json(&self.body()).with_status(self.code)
    }

    /// The error inside a reply of status 200, as uploads have it.
    pub(super) fn reply_inside_success(&self) -> Reply {
        Reply::json(&self.body())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Somebody else deleted it meanwhile.
            io::ErrorKind::NotFound => Self::not_found(),
            _ => Self::new(500, format!("An internal error has occurred: {error}")),
        }
    }
}

/// The reply of a fault that is an error status.
pub(super) fn faulty_reply(code: u16, body: ErrorBody) -> Reply {
    let refusal = Refusal::new(code, fault_message(code, body));
    let page = "<html><head><title>Error</title></head><body><h1>Error</h1>Try again later.</body></html>";
    match body {
        ErrorBody::Google { retry_after: None } => refusal.reply(),
        ErrorBody::Google { retry_after: Some(delay) } => refusal.detail(help()).detail(retry_info(delay)).reply(),
        ErrorBody::HelpOnly => refusal.detail(help()).reply(),
        ErrorBody::DailyQuota => {
            let failure = quota_failure(daily_violation());
            refusal.detail(failure).detail(help()).detail(retry_info(Duration::from_secs(36))).reply()
        }
        ErrorBody::SpendingCap => refusal.reply(),
        ErrorBody::Array => Reply::json(&json!([refusal.body()])).with_status(code),
        ErrorBody::Html => Reply::bytes("text/html; charset=UTF-8", page.into()).with_status(code),
        ErrorBody::Empty => Reply::bytes("text/plain", Vec::new()).with_status(code),
        ErrorBody::Malformed => Reply::bytes("application/json", b"{\"error\":{\"code\":".to_vec()).with_status(code),
    }
}

fn fault_message(code: u16, body: ErrorBody) -> String {
    match (code, body) {
        (_, ErrorBody::SpendingCap) => SPENDING_CAP.into(),
        (429, ErrorBody::Google { retry_after: Some(delay) }) => {
            format!("You exceeded your current quota. Please retry in {}s.", delay.as_secs_f64())
        }
        (429, _) => QUOTA.into(),
        (503, _) => "The model is overloaded. Please try again later.".into(),
        (504, _) => "Deadline expired before operation could complete.".into(),
        (500, _) => "An internal error has occurred. Please retry or report in the forum.".into(),
        _ => format!("A simulated fault of status {code}."),
    }
}

fn quota_failure(violation: Value) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]})
}

fn daily_violation() -> Value {
    json!({"quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model_per_day",
           "quotaId": "GenerateRequestsPerDayPerProjectPerModel",
           "quotaDimensions": {"location": "global", "model": "gemini-3.8-flash"},
           "quotaValue": "250"})
}

fn help() -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.Help",
           "links": [{"description": "Learn more about Gemini API quotas", "url": HELP}]})
}

fn retry_info(delay: Duration) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{}s", delay.as_secs_f64())})
}

fn status_word(code: u16) -> &'static str {
    match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ALREADY_EXISTS",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        500 => "INTERNAL",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}
