//! Markers: what a prompt can ask the simulator for.
//!
//! `[[simulate:WORD]]` anywhere in the text of a prompt.

/// How every marker begins.
const OPENING: &[u8] = b"[[simulate:";

/// An outcome that a prompt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marker {
    /// The request ends in an error.
    Failed,
    /// The prompt is blocked.
    Blocked,
    /// The answer is held back for safety.
    Safety,
    /// The answer is cut off at the token limit.
    Truncated,
    /// The answer has no parts.
    Empty,
    /// The answer has no candidates.
    NoCandidates,
    /// The text of the answer is split over several parts.
    Multipart,
    /// Thoughts come before the answer.
    Thinking,
    /// The answer is JSON.
    Json,
    /// The answer is an image.
    Image,
    /// The answer is what the prompt says after the marker.
    Echo,
    /// The answer is cut off unless `maxOutputTokens` is 4096 or more.
    Tight,
    /// There is no answer line.
    Missing,
    /// The answer line comes twice.
    Duplicate,
    /// There is one more line, with a key nobody sent.
    Stranger,
    /// The answer line is no JSON.
    Garbage,
    /// The whole batch fails.
    JobFailed,
    /// The whole batch never ends, and so expires.
    JobExpired,
    /// The whole batch stays pending, and so expires.
    JobPending,
    /// The whole batch stops half-way, and so expires.
    JobStuck,
    /// If the whole batch is cancelled, fails or expires, half of it has answers.
    Partial,
}

impl Marker {
    /// All markers: the word in the prompt and what it does.
    pub const ALL: &[(Self, &'static str, &'static str)] = &[
        (Self::Failed, "failed", "the request ends in an error"),
        (Self::Blocked, "blocked", "the prompt is blocked"),
        (Self::Safety, "safety", "the answer is held back for safety"),
        (Self::Truncated, "truncated", "the answer is cut off at the token limit"),
        (Self::Empty, "empty", "the answer has no parts"),
        (Self::NoCandidates, "no-candidates", "the answer has no candidates"),
        (Self::Multipart, "multipart", "the text is split over several parts"),
        (Self::Thinking, "thinking", "thoughts come before the answer"),
        (Self::Json, "json", "the answer is JSON"),
        (Self::Image, "image", "the answer is an image"),
        (Self::Echo, "echo", "the answer is what the prompt says after the marker"),
        (Self::Tight, "tight", "the answer is cut off unless maxOutputTokens is 4096 or more"),
        (Self::Missing, "missing", "there is no answer line"),
        (Self::Duplicate, "duplicate", "the answer line comes twice"),
        (Self::Stranger, "stranger", "there is one more line, with an unknown key"),
        (Self::Garbage, "garbage", "the answer line is no JSON"),
        (Self::JobFailed, "job-failed", "the whole batch fails"),
        (Self::JobExpired, "job-expired", "the whole batch never ends, and so expires"),
        (Self::JobPending, "job-pending", "the whole batch stays pending, and so expires"),
        (Self::JobStuck, "job-stuck", "the whole batch stops half-way, and so expires"),
        (Self::Partial, "partial", "a batch that is cancelled, fails or expires has answers to half of it"),
    ];

    /// What a text says after its first marker.
    pub fn text_after(text: &str) -> &str {
        text.split_once("[[simulate:").and_then(|(_, rest)| rest.split_once("]]")).map_or(text, |(_, rest)| rest.trim())
    }

    /// The first marker in a text.
    pub fn find(text: &str) -> Option<Self> {
        let starts = memchr::memmem::find_iter(text.as_bytes(), OPENING);
        let rest = starts.filter_map(|at| text.get(at + OPENING.len()..));
        rest.filter_map(|rest| rest.split_once("]]")).find_map(|(word, _)| Self::of(word.trim()))
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, _)| *name == word).map(|(marker, ..)| *marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_anywhere_and_an_unknown_one_is_passed_over() {
        assert_eq!(Marker::find("Say hi [[simulate:blocked]] now"), Some(Marker::Blocked));
        assert_eq!(Marker::find("[[simulate:what]] [[simulate:job-failed]]"), Some(Marker::JobFailed));
        assert_eq!(Marker::find("[[simulate:failed"), None);
    }

    #[test]
    fn every_word_finds_its_marker() {
        for (marker, word, _) in Marker::ALL {
            assert_eq!(Marker::find(&format!("[[simulate:{word}]]")), Some(*marker));
        }
    }

    #[test]
    fn the_module_doc_names_every_word() {
        let doc: String = include_str!("mod.rs").lines().filter(|line| line.starts_with("//! |")).collect();
        for (_, word, _) in Marker::ALL {
            assert!(doc.contains(&format!("`{word}`")), "{word}");
        }
    }
}
