//! Keys and passwords of programs that slipped into a prompt: told apart by how they begin, never shown.
//!
//! Every line is looked at, so the search is for single bytes that are rare in prose, not for whole beginnings:
//! that takes a tenth of the time.

use memchr::{memchr_iter, memchr3_iter};

/// A kind of secret.
struct Kind {
    name: &'static str,
    /// How it begins.
    start: &'static [u8],
    /// A rare byte, and where it stands from the beginning on.
    rare: (u8, usize),
    /// Letters that follow the beginning at least.
    least: usize,
}

const KINDS: [Kind; 6] = [
    Kind { name: "a Google API key", start: b"AIza", rare: (b'z', 2), least: 30 },
    Kind { name: "an OpenAI or Anthropic key", start: b"sk-", rare: (b'-', 2), least: 20 },
    Kind { name: "a GitHub token", start: b"ghp_", rare: (b'_', 3), least: 30 },
    Kind { name: "a GitHub token", start: b"github_pat_", rare: (b'_', 6), least: 30 },
    Kind { name: "an AWS access key", start: b"AKIA", rare: (b'K', 1), least: 16 },
    Kind { name: "a Slack token", start: b"xox", rare: (b'-', 4), least: 15 },
];
const PEM: &[u8] = b"-----BEGIN ";

/// What a line holds that looks like a secret, in words.
pub fn find(line: &[u8]) -> Option<&'static str> {
    let mut rare = memchr3_iter(b'-', b'_', b'z', line).chain(memchr_iter(b'K', line));
    rare.find_map(|at| at_rare_byte(line, at))
}

fn at_rare_byte(line: &[u8], at: usize) -> Option<&'static str> {
    let byte = *line.get(at)?;
    let is_there = |kind: &&Kind| {
        let (rare, offset) = kind.rare;
        rare == byte && at.checked_sub(offset).is_some_and(|start| kind.starts_at(line, start))
    };
    match KINDS.iter().find(is_there) {
        Some(kind) => Some(kind.name),
        None => (byte == b'-' && is_private_key(line.get(at..)?)).then_some("a private key"),
    }
}

/// `-----BEGIN RSA PRIVATE KEY-----`, and not a certificate.
fn is_private_key(text: &[u8]) -> bool {
    text.strip_prefix(PEM).is_some_and(|rest| {
        let head = rest.get(..rest.len().min(40)).unwrap_or_default();
        memchr::memmem::find(head, b"PRIVATE KEY").is_some()
    })
}

impl Kind {
    /// Whether it is one, and not a word that happens to have these letters.
    fn starts_at(&self, line: &[u8], at: usize) -> bool {
        let Some(after) = line.get(at..).and_then(|text| text.strip_prefix(self.start)) else { return false };
        let before = at.checked_sub(1).and_then(|before| line.get(before));
        // The n of an escaped line break is no letter of the text.
        let escaped = at >= 2 && line.get(at - 2) == Some(&b'\\');
        let apart = escaped || before.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        let letters = after.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let (mut count, mut digits) = (0, 0);
        for byte in letters {
            count += 1;
            digits += usize::from(byte.is_ascii_digit());
        }
        // Words joined by hyphens have no digits.
        apart && count >= self.least && digits > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_beginning() {
        let body = "abcdefghij0123456789ABCDEFGHIJ0123456789";
        for start in ["AIza", "sk-proj-", "ghp_", "github_pat_", "xoxb-"] {
            let line = format!(r#"{{"text":"use\n{start}{body} please"}}"#);
            assert!(find(line.as_bytes()).is_some(), "{line}");
        }
        assert_eq!(find(b"key AKIAIOSFODNN7EXAMPLE."), Some("an AWS access key"));
        assert_eq!(find(b"-----BEGIN RSA PRIVATE KEY-----"), Some("a private key"));
    }

    #[test]
    fn words_that_only_look_alike_are_none() {
        for text in [
            "a task-oriented-and-risk-averse-and-desk-bound-approach-of-2024",
            "-----BEGIN CERTIFICATE-----",
            "AIza is how they begin",
            "sk-",
            "sk-learn-based-classification-pipelines",
            "xoxo",
        ] {
            assert_eq!(find(text.as_bytes()), None, "{text}");
        }
    }
}
