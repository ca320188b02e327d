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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{ContentHash, Handle, Kind};
    use crate::ledger::{Ledger, NewJob, Step};

    fn job(parts: u32) -> JobRecord {
        let folder = tempfile::tempdir().unwrap();
        let content = ContentHash::of_job("a", "m", Kind::Generate, 1);
        let new = |number| NewPart { number, of: parts, ..NewPart::whole(1, None, None) };
        let parts = (1..=parts).map(new).collect();
        let new = NewJob::new(Handle::new("a", &content), content, "m", Kind::Generate, parts);
        let ledger = Ledger::open(folder.path()).unwrap();
        ledger.intend(&new, None).unwrap();
        ledger.job(&new.handle).unwrap()
    }

    #[test]
    fn each_part_counts_once_as_what_it_is() {
        let mut job = job(5);
        for (at, state) in [JobState::Succeeded, JobState::Failed, JobState::Running].into_iter().enumerate() {
            (job.parts[at].step, job.parts[at].state) = (Step::Created, state);
        }
        assert_eq!(
            PartCounts::of(&job).unwrap().to_string(),
            "5 parts: 2 waiting, 1 running, 1 succeeded, 1 ended badly"
        );
        job.held = true;
        assert_eq!(PartCounts::of(&job).unwrap().to_string(), "5 parts: 1 running, 1 succeeded, 3 ended badly");
    }

    #[test]
    fn a_job_of_one_part_has_no_counts() {
        assert_eq!(PartCounts::of(&job(1)), None);
        let planned = |parts: usize| PartCounts::planned(&vec![NewPart::whole(1, None, None); parts]);
        assert_eq!(planned(1), None);
        assert_eq!(planned(2).unwrap().to_string(), "2 parts: 2 waiting");
    }
}
