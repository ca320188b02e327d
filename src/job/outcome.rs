//! What became of each request.

use std::fmt;

/// What became of one request. Every key of a job has exactly one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Outcome {
    /// A usable answer came back.
    Answered,
    /// The API reported an error for this request.
    Failed,
    /// The prompt or the answer was stopped by a safety or policy filter.
    Blocked,
    /// The answer stopped at the output token limit.
    Truncated,
    /// The model answered with nothing.
    Empty,
    /// The answer does not match the schema that was asked for.
    Invalid,
    /// The job ended and nothing came back for this key.
    Missing,
    /// The job has not ended yet.
    Pending,
}

impl Outcome {
    /// Every outcome, in the order in which they are reported.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Failed,
        Self::Blocked,
        Self::Truncated,
        Self::Empty,
        Self::Invalid,
        Self::Missing,
        Self::Pending,
    ];

    /// The outcome as it is written in replies and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Truncated => "truncated",
            Self::Empty => "empty",
            Self::Invalid => "invalid",
            Self::Missing => "missing",
            Self::Pending => "pending",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many requests had which outcome. The counts add up to the requests of the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct OutcomeCounts {
    /// Requests with a usable answer.
    pub answered: i64,
    /// Requests that the API answered with an error.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub failed: i64,
    /// Requests stopped by a safety or policy filter.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub blocked: i64,
    /// Answers cut off at the output token limit.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub truncated: i64,
    /// Answers without content.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub empty: i64,
    /// Answers that do not match the schema asked for.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub invalid: i64,
    /// Requests for which nothing came back.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub missing: i64,
    /// Requests of a job that has not ended.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub pending: i64,
}

impl OutcomeCounts {
    /// Counts `n` more requests with this outcome.
    pub fn add(&mut self, outcome: Outcome, n: i64) {
        *match outcome {
            Outcome::Answered => &mut self.answered,
            Outcome::Failed => &mut self.failed,
            Outcome::Blocked => &mut self.blocked,
            Outcome::Truncated => &mut self.truncated,
            Outcome::Empty => &mut self.empty,
            Outcome::Invalid => &mut self.invalid,
            Outcome::Missing => &mut self.missing,
            Outcome::Pending => &mut self.pending,
        } += n;
    }

    /// How many requests had this outcome.
    pub fn get(&self, outcome: Outcome) -> i64 {
        match outcome {
            Outcome::Answered => self.answered,
            Outcome::Failed => self.failed,
            Outcome::Blocked => self.blocked,
            Outcome::Truncated => self.truncated,
            Outcome::Empty => self.empty,
            Outcome::Invalid => self.invalid,
            Outcome::Missing => self.missing,
            Outcome::Pending => self.pending,
        }
    }

    /// All requests.
    pub fn total(&self) -> i64 {
        Outcome::ALL.iter().map(|outcome| self.get(*outcome)).sum()
    }
}

impl fmt::Display for OutcomeCounts {
    /// "39,911 answered, 61 blocked, 28 truncated = 40,000".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for outcome in Outcome::ALL {
            let count = self.get(outcome);
            if count == 0 && outcome != Outcome::Answered {
                continue;
            }
            if !first {
                f.write_str(", ")?;
            }
            write!(f, "{} {outcome}", grouped(count))?;
            first = false;
        }
        write!(f, " = {}", grouped(self.total()))
    }
}

/// A whole number with thousands separated: `31,200`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 request`, `31,200 requests`.
pub fn counted(number: i64, thing: &str) -> String {
    let plural = match number {
        1 => "",
        _ if thing.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {thing}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_read_well() {
        let mut counts = OutcomeCounts::default();
        counts.add(Outcome::Answered, 39_911);
        counts.add(Outcome::Blocked, 61);
        counts.add(Outcome::Truncated, 28);
        assert_eq!(counts.total(), 40_000);
        assert_eq!(counts.to_string(), "39,911 answered, 61 blocked, 28 truncated = 40,000");
    }

    #[test]
    fn every_outcome_is_counted_in_its_own_place() {
        let mut counts = OutcomeCounts::default();
        for (n, outcome) in (1..).zip(Outcome::ALL) {
            counts.add(outcome, n);
        }
        for (n, outcome) in (1..).zip(Outcome::ALL) {
            assert_eq!(counts.get(outcome), n);
            assert_eq!(serde_json::to_value(counts).unwrap()[outcome.as_str()], n);
        }
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            ["0", "999", "1,000", "-1,234,567"],
            [0, 999, 1000, -1_234_567].map(grouped).each_ref().map(String::as_str)
        );
    }
}
