//! How far the parts of a job have come.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::job::JobState;
use crate::ledger::{JobRecord, NewPart};

/// Parts of a job by how far they have come; together they are all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PartCounts {
    /// All parts.
    pub total: i64,
    /// Not sent so far.
    pub waiting: i64,
    /// At the API, and not ended.
    pub running: i64,
    /// Ended well.
    pub succeeded: i64,
    /// Ended otherwise, or given up before they were sent.
    pub ended_badly: i64,
}

impl PartCounts {
    /// Those of a job that has several.
    pub(super) fn of(job: &JobRecord) -> Option<Self> {
        let mut counts = Self::default();
        for part in &job.parts {
            counts.total += 1;
            *match part.state {
                JobState::Succeeded => &mut counts.succeeded,
                state if state.is_terminal() => &mut counts.ended_badly,
                _ if part.is_unsent() && job.held => &mut counts.ended_badly,
                _ if part.is_unsent() => &mut counts.waiting,
                _ => &mut counts.running,
            } += 1;
        }
        (counts.total > 1).then_some(counts)
    }

    /// Those of a job that would have several.
    pub(super) fn planned(parts: &[NewPart]) -> Option<Self> {
        let total = i64::try_from(parts.len()).unwrap_or(i64::MAX);
        (total > 1).then_some(Self { total, waiting: total, ..Self::default() })
    }
}

impl fmt::Display for PartCounts {
    /// "3 parts: 1 waiting, 1 running, 1 succeeded".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parts", self.total)?;
        let named = [
            (self.waiting, "waiting"),
            (self.running, "running"),
            (self.succeeded, "succeeded"),
            (self.ended_badly, "ended badly"),
        ];
        let named: Vec<_> =
            named.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if named.is_empty() { Ok(()) } else { write!(f, ": {}", named.join(", ")) }
    }
}
