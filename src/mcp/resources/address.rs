//! Addresses of resources: what a client writes, and what it means.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::job::Outcome;

/// What every address of this server begins with.
const SCHEME: &str = "batch://";
/// The word for answers of every outcome.
const ALL: &str = "all";
/// What stays as it is in a part of an address (RFC 3986 §2.3): names of jobs made elsewhere hold a slash.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mcp) enum Address {
    /// The newest jobs.
    Jobs,
    /// Where a job stands.
    Status(String),
    /// What a job is of.
    Manifest(String),
    /// A job's answers.
    Results {
        job: String,
        /// Only those with this outcome.
        outcome: Option<Outcome>,
        /// The first of them.
        offset: i64,
    },
    /// The lines of all answers of a job, from a byte on.
    Answers {
        job: String,
        offset: u64,
        /// How many bytes there were when it was told where they go on.
        of: Option<u64>,
    },
    /// Models and prices.
    Models,
    /// What a request line is.
    RequestLine,
    /// How to work with this server, for a model.
    Skill,
}

impl Address {
    /// What a client means, if it is anything here.
    pub(in crate::mcp) fn parse(text: &str) -> Option<Self> {
        if text == super::skill::URI {
            return Some(Self::Skill);
        }
        let parts: Vec<&str> = text.strip_prefix(SCHEME)?.split('/').collect();
        Some(match parts.as_slice() {
            ["jobs"] => Self::Jobs,
            ["models"] => Self::Models,
            ["docs", "request-line"] => Self::RequestLine,
            ["jobs", job, "status"] => Self::Status(unescaped(job)?),
            ["jobs", job, "manifest"] => Self::Manifest(unescaped(job)?),
            ["jobs", job, "answers"] => Self::answers(unescaped(job)?),
            ["jobs", job, "answers", place] => {
                let (offset, of) = place.split_once('-').map_or((*place, None), |(offset, of)| (offset, Some(of)));
                let of = of.map(str::parse).transpose().ok()?;
                Self::Answers { job: unescaped(job)?, offset: offset.parse().ok()?, of }
            }
            ["jobs", job, "results"] => Self::results(unescaped(job)?),
            ["jobs", job, "results", word, offset] => Self::Results {
                job: unescaped(job)?,
                outcome: outcome(word)?,
                offset: offset.parse().ok().filter(|offset| *offset >= 0)?,
            },
            _ => return None,
        })
    }

    /// All answers of a job, from the first.
    pub(in crate::mcp) fn results(job: String) -> Self {
        Self::Results { job, outcome: None, offset: 0 }
    }

    /// The lines of a job's answers, from the first.
    pub(in crate::mcp) fn answers(job: String) -> Self {
        Self::Answers { job, offset: 0, of: None }
    }

    /// The job that it is of.
    pub(in crate::mcp) fn job(&self) -> Option<&str> {
        match self {
            Self::Status(job) | Self::Manifest(job) | Self::Results { job, .. } | Self::Answers { job, .. } => {
                Some(job)
            }
            Self::Jobs | Self::Models | Self::RequestLine | Self::Skill => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = self.job().map(|job| utf8_percent_encode(job, ESCAPED).to_string()).unwrap_or_default();
        match self {
            Self::Jobs => write!(f, "{SCHEME}jobs"),
            Self::Status(_) => write!(f, "{SCHEME}jobs/{job}/status"),
            Self::Manifest(_) => write!(f, "{SCHEME}jobs/{job}/manifest"),
            Self::Results { outcome: None, offset: 0, .. } => write!(f, "{SCHEME}jobs/{job}/results"),
            Self::Results { outcome, offset, .. } => {
                write!(f, "{SCHEME}jobs/{job}/results/{}/{offset}", outcome.map_or(ALL, Outcome::as_str))
            }
            Self::Answers { offset: 0, of: None, .. } => write!(f, "{SCHEME}jobs/{job}/answers"),
            Self::Answers { offset, of: None, .. } => write!(f, "{SCHEME}jobs/{job}/answers/{offset}"),
            Self::Answers { offset, of: Some(of), .. } => write!(f, "{SCHEME}jobs/{job}/answers/{offset}-{of}"),
            Self::Models => write!(f, "{SCHEME}models"),
            Self::RequestLine => write!(f, "{SCHEME}docs/request-line"),
            Self::Skill => f.write_str(super::skill::URI),
        }
    }
}

/// The words that may stand for an outcome.
pub(in crate::mcp) fn outcome_words() -> impl Iterator<Item = &'static str> {
    std::iter::once(ALL).chain(Outcome::ALL.into_iter().map(Outcome::as_str))
}

/// None for all outcomes; nothing at all for what is no such word.
#[expect(clippy::option_option, reason = "the word for all is a word, too")]
fn outcome(word: &str) -> Option<Option<Outcome>> {
    let named = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
    (named.is_some() || word == ALL).then_some(named)
}

fn unescaped(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_read_as_it_is_written() {
        let job = || "products-0123456789ab".to_owned();
        for (address, text) in [
            (Address::Jobs, "batch://jobs"),
            (Address::Models, "batch://models"),
            (Address::RequestLine, "batch://docs/request-line"),
            (Address::Status(job()), "batch://jobs/products-0123456789ab/status"),
            (Address::Manifest("batches/a?b".to_owned()), "batch://jobs/batches%2Fa%3Fb/manifest"),
            (Address::results(job()), "batch://jobs/products-0123456789ab/results"),
            (Address::answers(job()), "batch://jobs/products-0123456789ab/answers"),
            (
                Address::Answers { job: job(), offset: 262_200, of: None },
                "batch://jobs/products-0123456789ab/answers/262200",
            ),
            (
                Address::Answers { job: job(), offset: 24_880, of: Some(99_000) },
                "batch://jobs/products-0123456789ab/answers/24880-99000",
            ),
            (
                Address::Results { job: job(), outcome: Some(Outcome::Failed), offset: 40 },
                "batch://jobs/products-0123456789ab/results/failed/40",
            ),
            (
                Address::Results { job: job(), outcome: None, offset: 10 },
                "batch://jobs/products-0123456789ab/results/all/10",
            ),
        ] {
            assert_eq!(address.to_string(), text);
            assert_eq!(Address::parse(text), Some(address));
        }
    }

    #[test]
    fn what_is_no_address_means_nothing() {
        for text in [
            "",
            "batch://",
            "file:///etc/passwd",
            "batch://jobs/",
            "batch://jobs//status",
            "batch://jobs/a",
            "batch://jobs/a/status/b",
            "batch://jobs/a/results/some/0",
            "batch://jobs/a/results/all/-1",
            "batch://jobs/a/results/all/x",
            "batch://jobs/a/answers/-1",
            "batch://jobs/a/answers/1-",
            "batch://jobs/%ff/status",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
