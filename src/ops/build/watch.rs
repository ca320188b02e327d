//! An eye on the requests as they are made: what would be paid for nothing, or should not leave the house.

use std::collections::HashSet;

use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64;

use crate::job::outcome::{counted, grouped};
use crate::job::text::clip;
use crate::jsonl::check::check_line;
use crate::jsonl::secrets;

/// Requests that are compared with one another.
const COMPARED: u64 = 5_000;
/// One in so many requests that repeat another is worth a word.
const ONE_IN: u64 = 10;
/// A key that a warning names.
const KEY_BYTES: usize = 60;

/// What has been seen so far.
pub(super) struct Watch {
    secret_lines: i64,
    /// The first key whose request holds something that looks like a secret, and what.
    first_secret: Option<(String, &'static str)>,
    requests: HashSet<u64>,
    compared: u64,
    input_limit: i64,
    /// Longer prompts are refused, not cut off.
    refused: bool,
    long: i64,
    longest: i64,
}

impl Watch {
    /// For a model that takes prompts of so many tokens, and refuses longer ones or cuts them off.
    pub(super) fn new((input_limit, refused): (i64, bool)) -> Self {
        Self {
            secret_lines: 0,
            first_secret: None,
            requests: HashSet::new(),
            compared: 0,
            input_limit,
            refused,
            long: 0,
            longest: 0,
        }
    }

    /// Looks at a line. The error says why it should not be sent at all.
    pub(super) fn see(&mut self, key: &str, line: &[u8]) -> Result<(), String> {
        self.length(line)?;
        if let Some(kind) = secrets::find(line) {
            self.secret_lines += 1;
            self.first_secret.get_or_insert_with(|| (clip(key, KEY_BYTES), kind));
        }
        if self.compared < COMPARED {
            let start = memmem::find(line, b"\",\"request\":").unwrap_or_default();
            self.requests.insert(xxh3_64(line.get(start..).unwrap_or_default()));
            self.compared += 1;
        }
        Ok(())
    }

    /// Only the tokens of long lines are counted: none has more tokens than a quarter of its bytes, roughly.
    fn length(&mut self, line: &[u8]) -> Result<(), String> {
        let near = self.input_limit / 10 * 9;
        if i64::try_from(line.len() / 4).unwrap_or(i64::MAX) < near {
            return Ok(());
        }
        let tokens = i64::try_from(check_line(line, 1, &mut Vec::new()).input_tokens).unwrap_or(i64::MAX);
        // The estimate may be a third too high.
        if self.refused && tokens > self.input_limit / 2 * 3 {
            let (tokens, limit) = (grouped(tokens), grouped(self.input_limit));
            return Err(format!("the prompt has about {tokens} tokens, the model takes {limit}"));
        }
        if tokens >= near {
            self.long += 1;
            self.longest = self.longest.max(tokens);
        }
        Ok(())
    }

    /// What to say at the end.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let distinct = self.requests.len() as u64;
        let repeated = self.compared - distinct;
        if self.compared > 1 && distinct == 1 {
            warnings.push("every request is the same: the template makes the same prompt of every row".to_owned());
        } else if repeated > 0 && repeated * ONE_IN >= self.compared {
            warnings.push(format!(
                "{repeated} of the first {} repeat another one word by word, and each is paid for",
                counted(i64::try_from(self.compared).unwrap_or(i64::MAX), "request")
            ));
        }
        if let Some((key, kind)) = &self.first_secret {
            let (count, holds) =
                (counted(self.secret_lines, "request"), if self.secret_lines == 1 { "holds" } else { "hold" });
            warnings.push(format!(
                "{count} {holds} what looks like {kind} or another secret, first in {key:?}: take it out before sending"
            ));
        }
        if self.long > 0 {
            let what = if self.refused { "near or over" } else { "near or over, and cut off at," };
            let (longest, limit) = (grouped(self.longest), grouped(self.input_limit));
            warnings.push(format!(
                "{} {what} the model's input limit of {limit} tokens; the longest has about {longest}",
                counted(self.long, "prompt")
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, text: &str) -> Vec<u8> {
        format!("{{\"key\":\"{key}\",\"request\":{{\"contents\":[{{\"parts\":[{{\"text\":\"{text}\"}}]}}]}}}}")
            .into_bytes()
    }

    fn warned(texts: &[&str]) -> String {
        let mut watch = Watch::new((1_000_000, false));
        for (key, text) in texts.iter().enumerate() {
            watch.see(&key.to_string(), &line(&key.to_string(), text)).unwrap();
        }
        watch.warnings().join("\n")
    }

    #[test]
    fn requests_that_repeat_others_are_told_where_they_are_many() {
        assert_eq!(warned(&[]), "");
        assert_eq!(warned(&["one"]), "");
        assert!(warned(&["one", "one"]).starts_with("every request is the same"));
        assert_eq!(warned(&["one", "two", "three"]), "");
        assert!(warned(&["one", "two", "one"]).starts_with("1 of the first 3 requests repeat another one"));
        let mut many: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        many.push("0".to_owned());
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(warned(&many), "", "one in eleven");
        assert!(warned(&many[1..]).is_empty());
    }

    #[test]
    fn what_looks_like_a_secret_is_told_with_how_many_and_where_first() {
        let secret = "AIzaSyA0123456789abcdefghijklmnopqrstuv";
        assert!(warned(&["one", secret, "three"]).starts_with("1 request holds what looks like"));
        let two = warned(&["one", secret, &format!("{secret} and more")]);
        assert!(two.starts_with("2 requests hold what looks like") && two.contains("first in \"1\""), "{two}");
    }

    #[test]
    fn prompts_near_what_the_model_takes_are_told_and_longer_ones_refused_where_it_refuses_them() {
        let see = |words: usize, refused: bool| {
            let mut watch = Watch::new((1_000, refused));
            let seen = watch.see("a", &line("a", &"word ".repeat(words)));
            (seen.is_ok(), watch.long, watch.longest)
        };
        assert_eq!(see(700, true), (true, 0, 0));
        let (is_taken, long, longest) = see(750, true);
        assert!(is_taken && long == 1 && (900..1_000).contains(&longest), "{longest}");
        assert!(see(1_150, true).0, "the estimate may be a third too high");
        assert!(!see(1_250, true).0);
        assert!(see(1_250, false).0, "it is cut off");
        let told = |refused: bool| {
            let mut watch = Watch::new((1_000, refused));
            watch.see("a", &line("a", "short")).unwrap();
            assert!(watch.warnings().is_empty());
            watch.see("b", &line("b", &"word ".repeat(750))).unwrap();
            watch.warnings().join("\n")
        };
        assert!(
            told(true).starts_with("1 prompt near or over the model's input limit of 1,000 tokens"),
            "{}",
            told(true)
        );
        assert!(told(false).starts_with("1 prompt near or over, and cut off at, the model's"), "{}", told(false));
    }
}
