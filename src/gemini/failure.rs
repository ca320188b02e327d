//! What went wrong with one attempt, and the error that it becomes in the end.

use std::time::Duration;

use super::call::{Call, Repeat, Subject};
use super::quota::QuotaKind;
use super::status::ApiStatus;
use crate::error::{Error, ErrorKind};

/// The failure of one attempt.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection: nothing left this machine.
    NotSent(String),
    /// The connection broke after something was sent.
    Lost(String),
    /// No answer, or no more of it, in this time.
    TimedOut(Duration),
    /// The API reports an error.
    Status(Box<ApiStatus>),
    /// A success that is not what it has to be.
    Unreadable(String),
    /// Something failed on this machine.
    Local(Error),
}

/// What the retry policy needs to know of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    NotSent,
    Lost,
    TimedOut,
    ServerFault,
    Throttled,
    Exhausted,
    StorageFull,
    Refused,
    Redirected,
    Unreadable,
    Local,
}

impl Class {
    /// The class as a witness is told.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
            Self::ServerFault => "server_fault",
            Self::Throttled => "throttled",
            Self::Exhausted => "exhausted",
            Self::StorageFull => "storage_full",
            Self::Refused => "refused",
            Self::Redirected => "redirected",
            Self::Unreadable => "unreadable",
            Self::Local => "local",
        }
    }
}

impl Failure {
    /// A failure of the HTTP client. Its text never holds the URL.
    pub(super) fn of_client(error: reqwest::Error, waited: Duration) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::NotSent(root_cause(&error))
        } else if error.is_timeout() {
            Self::TimedOut(waited)
        } else if error.is_builder() {
            Self::Local(Error::internal("building a request", root_cause(&error)))
        } else {
            Self::Lost(root_cause(&error))
        }
    }

    pub(super) fn class(&self) -> Class {
        match self {
            Self::NotSent(_) => Class::NotSent,
            Self::Lost(_) => Class::Lost,
            Self::TimedOut(_) => Class::TimedOut,
            Self::Unreadable(_) => Class::Unreadable,
            Self::Local(_) => Class::Local,
            Self::Status(status) => match status.http {
                408 | 499 => Class::TimedOut,
                429 => match status.quota_kind() {
                    QuotaKind::Storage => Class::StorageFull,
                    QuotaKind::Exhausted => Class::Exhausted,
                    QuotaKind::Throttled => Class::Throttled,
                },
                300..400 => Class::Redirected,
                500.. => Class::ServerFault,
                _ => Class::Refused,
            },
        }
    }

    /// The HTTP status, where there was an answer that was no success.
    pub(super) fn http(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.http),
            _ => None,
        }
    }

    /// How long the API asks to wait before the next try.
    pub(super) fn asked_delay(&self) -> Option<Duration> {
        match self {
            Self::Status(status) => status.retry_after,
            _ => None,
        }
    }

    /// The error that the caller gets when this was the last attempt.
    pub(super) fn into_error(self, call: &Call) -> Error {
        if call.repeat == Repeat::Never && self.leaves_outcome_open() {
            return Error::new(ErrorKind::UnclearOutcome, &call.act, self.cause())
                .hint("it may have arrived: look for it by its display name in the list of batches; do not send it again before");
        }
        if call.subject == Subject::WholeBatch && self.looks_undeliverable() {
            return undeliverable(&call.act, &self.cause());
        }
        match self {
            Self::Local(error) => error,
            Self::Status(status) => refused(call, &status),
            Self::Unreadable(_) => Error::new(ErrorKind::UnexpectedAnswer, &call.act, self.cause())
                .hint("check GOOGLE_GEMINI_BASE_URL and GOOGLE_GENAI_API_VERSION if they are set, and any proxy"),
            Self::NotSent(_) => Error::new(ErrorKind::Unavailable, &call.act, self.cause())
                .hint("nothing was sent; check the network, the proxy and GOOGLE_GEMINI_BASE_URL, then try again"),
            Self::Lost(_) | Self::TimedOut(_) => {
                Error::new(ErrorKind::Unavailable, &call.act, self.cause()).hint("try again later")
            }
        }
    }

    /// Whether the API may have done what it was asked to, although it failed. Exhaustive on purpose.
    fn leaves_outcome_open(&self) -> bool {
        match self.class() {
            Class::Lost | Class::TimedOut | Class::ServerFault | Class::Redirected | Class::Unreadable => true,
            Class::NotSent
            | Class::Throttled
            | Class::Exhausted
            | Class::StorageFull
            | Class::Refused
            | Class::Local => false,
        }
    }

    /// Whether it is how the API fails with results that are too large for one answer (API reference §0.6).
    fn looks_undeliverable(&self) -> bool {
        matches!(self, Self::TimedOut(_)) || matches!(self.http(), Some(503 | 504))
    }

    pub(super) fn cause(&self) -> String {
        match self {
            Self::NotSent(why) => format!("cannot connect: {why}"),
            Self::Lost(why) => format!("the connection broke: {why}"),
            Self::TimedOut(after) => format!("no answer within {} s", after.as_secs_f64().ceil()),
            Self::Unreadable(why) => why.clone(),
            Self::Status(status) => status_cause(status),
            Self::Local(error) => error.cause().to_owned(),
        }
    }
}

/// A look at a whole batch that was not answered, for this cause. What makes it so is no passing thing, perhaps.
pub fn undeliverable(act: &str, cause: &str) -> Error {
    let likely = "either the API is busy, or this is a batch of inline requests whose answers are too large for it to ever \
                  deliver; such a job is billed all the same";
    Error::new(ErrorKind::Unavailable, act, format!("{cause}; {likely}")).hint(
        "wait some minutes and try again; if it fails for an hour, cancel the job if it still runs, and send the requests in \
         a file: its answers come as a file of any size",
    )
}

/// The innermost cause: "Connection refused" rather than "error sending request".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Turns an error status into a domain error. The only place that knows what a status means.
fn refused(call: &Call, status: &ApiStatus) -> Error {
    if let Some(quota) = status.quota() {
        let error = Error::new(ErrorKind::Quota, &call.act, status_cause(status));
        return error.hint(quota.hint()).caused_by(quota);
    }
    let subject = blamed(call.subject, status);
    let (kind, hint) = match status.http {
        400 | 401 if is_about_key(status) => (ErrorKind::Auth, KEY_HINT.to_owned()),
        400 if status.word == "FAILED_PRECONDITION" => precondition(subject),
        400 => (ErrorKind::Refused, request_hint(subject, status)),
        401 => (ErrorKind::Auth, KEY_HINT.to_owned()),
        // The API says so of files that have expired, too (API reference §8).
        403 if subject == Subject::File && call.subject == Subject::Create => {
            (ErrorKind::NotFound, forbidden_hint(subject).to_owned())
        }
        403 => (ErrorKind::Auth, forbidden_hint(subject).to_owned()),
        // Proxies say 404, too, and so does the API of a version that has no batches: a batch is not gone by that.
        404 if matches!(subject, Subject::Batch | Subject::WholeBatch) && status.word != "NOT_FOUND" => {
            let hint =
                "this 404 is not the API's own: check GOOGLE_GEMINI_BASE_URL, GOOGLE_GENAI_API_VERSION and the proxy";
            (ErrorKind::UnexpectedAnswer, hint.to_owned())
        }
        404 => (ErrorKind::NotFound, missing_hint(subject).to_owned()),
        409 if status.word == "ALREADY_EXISTS" => (ErrorKind::AlreadyExists, "choose another name".to_owned()),
        409 => (ErrorKind::WrongState, "look at its state, then try again".to_owned()),
        408 | 499 | 500.. => (ErrorKind::Unavailable, "try again later".to_owned()),
        300..400 => {
            (ErrorKind::UnexpectedAnswer, "redirects are not followed: check GOOGLE_GEMINI_BASE_URL".to_owned())
        }
        _ => (ErrorKind::Refused, request_hint(subject, status)),
    };
    let missing_model = status.http == 404 && matches!(subject, Subject::Model | Subject::Create);
    let lead = if missing_model { "unknown or withdrawn model: " } else { "" };
    Error::new(kind, &call.act, format!("{lead}{}", status_cause(status))).hint(hint)
}

/// A create fails for its model, or for its file if the message says so.
fn blamed(subject: Subject, status: &ApiStatus) -> Subject {
    let names_file = ["File ", "file ", "files/"].iter().any(|word| status.message.contains(word));
    if subject == Subject::Create && names_file && status.http != 400 { Subject::File } else { subject }
}

/// What to do about a missing or wrong key.
pub(super) const KEY_HINT: &str = "set GOOGLE_API_KEY or GEMINI_API_KEY to a valid key from AI Studio";

fn is_about_key(status: &ApiStatus) -> bool {
    let reason = status.reason.as_deref().unwrap_or_default();
    reason.starts_with("API_KEY_")
        || status.message.contains("API key not valid")
        || status.message.contains("API key expired")
}

/// "Error on line 3: … (400 INVALID_ARGUMENT; contents must have parts)".
fn status_cause(status: &ApiStatus) -> String {
    let mut notes = vec![format!("{} {}", status.http, status.word).trim_end().to_owned()];
    notes.extend(status.violations.iter().filter(|violation| !status.message.contains(violation.as_str())).cloned());
    notes.extend(status.quotas.iter().map(|quota| format!("used up: {quota}")));
    format!("{} ({})", status.message, notes.join("; "))
}

fn precondition(subject: Subject) -> (ErrorKind, String) {
    match subject {
        Subject::Batch | Subject::WholeBatch => {
            (ErrorKind::WrongState, "look at the state of the batch first".to_owned())
        }
        Subject::File | Subject::Model | Subject::Create => (
            ErrorKind::Refused,
            "check that billing is on for the project of the key and that the API serves your region".to_owned(),
        ),
    }
}

fn request_hint(subject: Subject, status: &ApiStatus) -> String {
    match line_number(&status.message) {
        Some(line) => format!("correct line {line} of the request file and submit it anew; nothing was created"),
        None if status.message.contains("Unsupported MIME type") => "the API takes no such file".to_owned(),
        None if subject == Subject::Create => {
            "correct what the API names, then try again; nothing was created".to_owned()
        }
        None => "correct what the API names, then try again".to_owned(),
    }
}

/// The line in "Error on line 17: …".
fn line_number(message: &str) -> Option<u64> {
    let rest = message.split_once("Error on line ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn forbidden_hint(subject: Subject) -> &'static str {
    match subject {
        Subject::File => {
            "files belong to the project of the key, and end 48 hours after they came: an upload can be made again, results cannot"
        }
        Subject::Batch | Subject::WholeBatch => {
            "a batch belongs to the project of the key that created it: use a key of that project"
        }
        Subject::Model | Subject::Create => "check in AI Studio what the key may do, and that billing is on",
    }
}

fn missing_hint(subject: Subject) -> &'static str {
    match subject {
        Subject::Model | Subject::Create => "choose a model that the API lists now; names and shutdowns change",
        Subject::File => "files end 48 hours after they came: an upload can be made again, results cannot",
        Subject::Batch | Subject::WholeBatch => {
            "check the name, and that the key is of the project that created the batch"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_number_is_found() {
        assert_eq!(line_number("Error on line 17: invalid JSON, near column 1032"), Some(17));
        assert_eq!(line_number("Error on line x"), None);
        assert_eq!(line_number("Invalid value"), None);
    }
}
