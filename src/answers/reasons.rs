//! The words the API uses for what went wrong: what each means, and what to do about it.

use std::borrow::Cow;

use crate::job::Outcome;

pub(super) const NO_LINE: &str = "no result line";
pub(super) const UNREADABLE: &str = "unreadable result line";
pub(super) const NO_RESPONSE: &str = "neither response nor error";
pub(super) const NO_CODE: &str = "error without a code";
pub(super) const NO_CANDIDATES: &str = "no candidates";
pub(super) const NO_CONTENT: &str = "no content";
pub(super) const ONLY_THOUGHTS: &str = "only thoughts";
pub(super) const ONLY_CODE: &str = "only code";
pub(super) const ONLY_SPACE: &str = "only white space";
pub(super) const NOT_JSON: &str = "not JSON";

/// What a finish reason says about the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The model came to its end.
    Fine,
    /// A filter stopped it.
    Blocked,
    /// The token limit stopped it.
    Truncated,
    /// It went wrong.
    Failed,
    /// A word that this program does not know.
    Unknown,
}

/// The meaning of a finish reason.
pub(super) fn verdict(finish_reason: &str) -> Verdict {
    match finish_reason {
        "STOP" => Verdict::Fine,
        "MAX_TOKENS" => Verdict::Truncated,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => Verdict::Blocked,
        "OTHER"
        | "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "IMAGE_OTHER"
        | "NO_IMAGE" => Verdict::Failed,
        _ => Verdict::Unknown,
    }
}

/// The word for an error code: gRPC numbers as they stand in result lines, HTTP ones in case.
pub(super) fn status_word(code: i64) -> Cow<'static, str> {
    Cow::Borrowed(match code {
        1 | 499 => "CANCELLED",
        2 => "UNKNOWN",
        3 | 400 => "INVALID_ARGUMENT",
        4 | 504 => "DEADLINE_EXCEEDED",
        5 | 404 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 | 403 => "PERMISSION_DENIED",
        8 | 429 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 | 409 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 | 501 => "UNIMPLEMENTED",
        13 | 500 => "INTERNAL",
        14 | 503 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 | 401 => "UNAUTHENTICATED",
        _ => return Cow::Owned(format!("code {code}")),
    })
}

/// What to do about rows with this outcome and reason, in a line.
pub fn remedy(outcome: Outcome, reason: &str) -> &'static str {
    match outcome {
        Outcome::Answered => "nothing to do",
        Outcome::Failed => for_failed(reason),
        Outcome::Blocked => for_blocked(reason.strip_prefix("prompt: ").unwrap_or(reason)),
        Outcome::Truncated => {
            "send these again with a higher maxOutputTokens (thinking counts towards it) or a lower thinking level"
        }
        Outcome::Empty => for_empty(reason),
        Outcome::Invalid if reason == NOT_JSON => {
            "send these again, with a response_schema if there was none; else say in the prompt that the answer is JSON and nothing else"
        }
        Outcome::Invalid => {
            "say in the prompt what this field has to be, or loosen the schema where the answers are right, then send these again"
        }
        Outcome::Missing => "send these requests again",
        Outcome::Pending => "wait: check_status says when the job has ended",
    }
}

fn for_failed(reason: &str) -> &'static str {
    match reason {
        "RESOURCE_EXHAUSTED" => "a quota was used up: send these again later, in smaller jobs if it happens again",
        "INTERNAL" | "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "ABORTED" | "UNKNOWN" | "CANCELLED" | "DATA_LOSS"
        | "OTHER" | "MALFORMED_RESPONSE" => "a fault of the moment on the API's side: send these again",
        "PERMISSION_DENIED" | "NOT_FOUND" | "UNAUTHENTICATED" => {
            "a file, cache or model it names is gone or belongs to another key: attach it again, then send these again"
        }
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" | "UNIMPLEMENTED" => {
            "the request itself is wrong: read the message, correct these rows or settings, then send these again"
        }
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MISSING_THOUGHT_SIGNATURE" => {
            "simplify the function declarations, or set the function calling mode to NONE, then send these again"
        }
        "NO_IMAGE" | "IMAGE_OTHER" => {
            "ask for an image in plain words, with IMAGE among responseModalities, then send these again"
        }
        UNREADABLE => "fetch the results again; if the lines are still unreadable, send these requests again",
        _ => "read the message; send these requests again",
    }
}

fn for_blocked(reason: &str) -> &'static str {
    match reason {
        "RECITATION" | "IMAGE_RECITATION" => {
            "ask for the model's own words, or a higher temperature, then send these again"
        }
        "LANGUAGE" => "write the prompt in a language that the model supports, then send these again",
        "PROHIBITED_CONTENT" | "IMAGE_PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" => {
            "no setting lifts this filter: change or leave out these rows"
        }
        _ => "rephrase the prompt, or loosen safetySettings where that is right, then send these again",
    }
}

fn for_empty(reason: &str) -> &'static str {
    match reason {
        ONLY_THOUGHTS => "send these again with a higher maxOutputTokens or a lower thinking level",
        ONLY_CODE => "ask for the result in words after the code, then send these again",
        _ => "send these again; if they stay empty, make the prompt say what to answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_as_the_words_of_grpc() {
        assert_eq!(
            [3, 8, 13, 14, 429].map(status_word),
            ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]
        );
        assert_eq!(status_word(-7), "code -7");
    }

    #[test]
    fn a_remedy_fits_the_reason() {
        assert!(remedy(Outcome::Truncated, "MAX_TOKENS").contains("maxOutputTokens"));
        assert!(remedy(Outcome::Blocked, "SAFETY").contains("safetySettings"));
        assert_eq!(remedy(Outcome::Blocked, "prompt: SPII"), remedy(Outcome::Blocked, "SPII"));
        assert!(!remedy(Outcome::Blocked, "prompt: SPII").contains("safetySettings"));
        assert_ne!(remedy(Outcome::Failed, "INVALID_ARGUMENT"), remedy(Outcome::Failed, "INTERNAL"));
    }

    #[test]
    fn every_outcome_has_a_remedy_for_words_never_seen() {
        for outcome in Outcome::ALL {
            assert!(!remedy(outcome, "NEVER_SEEN").is_empty());
        }
    }
}
