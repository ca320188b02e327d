//! What can go wrong, in a form that both a person and a model can act on.
//!
//! An [`Error`] is a *kind* to branch on, the *act* that failed (with its object), the *cause*, and,
//! wherever the caller can do something about it, a *hint*: the next thing to do.

use std::fmt;

/// The result of anything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is: the word an agent branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is missing, malformed or contradicts another one.
    InvalidArgument,
    /// A file given as input is not what it has to be.
    InvalidInput,
    /// A job, a file or a model of that name does not exist.
    NotFound,
    /// Something of that name exists and would have to be overwritten.
    AlreadyExists,
    /// A path lies outside the allowed folders.
    PathNotAllowed,
    /// No API key is set.
    KeyMissing,
    /// The API refused the key, or the key may not do this.
    Auth,
    /// A quota or rate limit of the API is used up for now.
    Quota,
    /// A cost limit set by the caller would be exceeded, or cannot be checked.
    Budget,
    /// The API refused the request as wrong.
    Refused,
    /// The API cannot be reached, or fails on its side; trying later may help.
    Unavailable,
    /// A create was sent and nobody knows whether it arrived. It must be looked up, never repeated.
    UnclearOutcome,
    /// The job is in a state that does not allow this.
    WrongState,
    /// The caller cancelled the call.
    Cancelled,
    /// The user was asked and did not agree, or could not be asked.
    Declined,
    /// Reading or writing local files failed.
    Io,
    /// The ledger cannot be read or written.
    Ledger,
    /// The API answered something this program does not understand.
    UnexpectedAnswer,
    /// A bug in this program.
    Internal,
}

impl ErrorKind {
    /// The kind as it is written in replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::PathNotAllowed => "path_not_allowed",
            Self::KeyMissing => "key_missing",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::Budget => "budget",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::UnclearOutcome => "unclear_outcome",
            Self::WrongState => "wrong_state",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::Io => "io",
            Self::Ledger => "ledger",
            Self::UnexpectedAnswer => "unexpected_answer",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure: what was being done to what, why it failed, and what to do next.
///
/// Boxed inside, so that a `Result` stays small.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    act: String,
    cause: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind`: `act` says what was being done to what ("reading products.csv"),
    /// `cause` why it failed.
    pub fn new(kind: ErrorKind, act: impl Into<String>, cause: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, act: act.into(), cause: cause.into(), hint: None, source: None }))
    }

    /// A local file operation that failed.
    pub fn io(act: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            _ => ErrorKind::Io,
        };
        let error = Self::new(kind, act, source.to_string());
        let error = match way_out(source.kind()) {
            Some(hint) => error.hint(hint),
            None => error,
        };
        error.caused_by(source)
    }

    /// A bug: something that cannot happen did.
    pub fn internal(act: impl Into<String>, cause: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, act, cause)
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error, told to have been met while something else was done.
    #[must_use]
    pub fn with_act(mut self, act: impl Into<String>) -> Self {
        self.0.act = act.into();
        self
    }

    /// The same error, with another word on why it failed.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = cause.into();
        self
    }

    /// Keeps the underlying error, for logs.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// The word to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done, to what.
    pub fn act(&self) -> &str {
        &self.0.act
    }

    /// Why it failed.
    pub fn cause(&self) -> &str {
        &self.0.cause
    }

    /// What to do next, where the caller can do something.
    pub fn next_step(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// What can be done about a failure of the system.
fn way_out(kind: std::io::ErrorKind) -> Option<&'static str> {
    use std::io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match kind {
        StorageFull | QuotaExceeded | FileTooLarge => Some("make room on the disk, then make the same call again"),
        PermissionDenied | ReadOnlyFilesystem => Some("allow this program to use it, or choose another place"),
        _ => None,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.act, self.0.cause)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.0.kind)?;
        match &self.0.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_text_names_the_act_then_the_cause() {
        let error = Error::new(ErrorKind::NotFound, "reading a.csv", "no such file").hint("check the path");
        assert_eq!(error.to_string(), "reading a.csv: no such file");
        assert_eq!(format!("{error:?}"), "[not_found] reading a.csv: no such file (hint: check the path)");
    }

    #[test]
    fn kind_is_written_as_serde_writes_it() {
        for kind in [ErrorKind::InvalidArgument, ErrorKind::UnclearOutcome, ErrorKind::KeyMissing, ErrorKind::Io] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
