//! Keys and passwords of programs that slipped into a prompt: told apart by how they begin, never shown.

use memchr::memmem::Finder;

/// A kind of secret.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    start: Finder<'static>,
    /// Letters that must follow at least.
    least: usize,
}

/// Looks for secrets in request lines.
#[derive(Debug)]
pub struct Secrets {
    kinds: Vec<Kind>,
}

/// How each kind begins, and how many letters it has at least after that.
const KINDS: [(&str, &str, usize); 7] = [
    ("a Google API key", "AIza", 30),
    ("an OpenAI or Anthropic key", "sk-", 20),
    ("a GitHub token", "ghp_", 30),
    ("a GitHub token", "github_pat_", 30),
    ("an AWS access key", "AKIA", 16),
    ("a Slack token", "xox", 15),
    ("a private key", "-----BEGIN ", 0),
];

impl Default for Secrets {
    fn default() -> Self {
        let kind =
            |(name, start, least): (&'static str, &'static str, usize)| Kind { name, start: Finder::new(start), least };
        Self { kinds: KINDS.map(kind).into() }
    }
}

impl Secrets {
    /// What a line holds that looks like a secret, in words.
    pub fn find(&self, line: &[u8]) -> Option<&'static str> {
        self.kinds.iter().find(|kind| kind.is_in(line)).map(|kind| kind.name)
    }
}

impl Kind {
    fn is_in(&self, line: &[u8]) -> bool {
        self.start.find_iter(line).any(|at| self.starts_at(line, at))
    }

    /// Whether it is one, and not a word that happens to have these letters.
    fn starts_at(&self, line: &[u8], at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| line.get(before));
        // The n of an escaped line break is no letter of the text.
        let escaped = at >= 2 && line.get(at - 2) == Some(&b'\\');
        let apart = escaped || before.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        let after = line.get(at + self.start.needle().len()..).unwrap_or_default();
        if self.least == 0 {
            let head = after.get(..after.len().min(40)).unwrap_or_default();
            return memchr::memmem::find(head, b"PRIVATE KEY").is_some();
        }
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
        let secrets = Secrets::default();
        let body = "abcdefghij0123456789ABCDEFGHIJ0123456789";
        for start in ["AIza", "sk-proj-", "ghp_", "github_pat_", "xoxb-"] {
            let line = format!(r#"{{"text":"use\n{start}{body} please"}}"#);
            assert!(secrets.find(line.as_bytes()).is_some(), "{line}");
        }
        assert_eq!(secrets.find(b"key AKIAIOSFODNN7EXAMPLE."), Some("an AWS access key"));
        assert_eq!(secrets.find(b"-----BEGIN RSA PRIVATE KEY-----"), Some("a private key"));
    }

    #[test]
    fn words_that_only_look_alike_are_none() {
        let secrets = Secrets::default();
        for text in [
            "a task-oriented-and-risk-averse-and-desk-bound-approach-of-2024",
            "-----BEGIN CERTIFICATE-----",
            "AIza is how they begin",
            "sk-",
            "sk-learn-based-classification-pipelines",
            "xoxo",
        ] {
            assert_eq!(secrets.find(text.as_bytes()), None, "{text}");
        }
    }
}
