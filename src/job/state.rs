//! The states of a job, as users see them.

use std::fmt;

/// Where a job stands. Spelled `JOB_STATE_*` to the outside, as Google's SDKs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Recorded here, not yet accepted by the API.
    Unsubmitted,
    /// Accepted and queued.
    Pending,
    /// Being worked on.
    Running,
    /// Ended; single requests may still have failed.
    Succeeded,
    /// Ended without results.
    Failed,
    /// Ended because someone cancelled it.
    Cancelled,
    /// Ended because it was not done within 48 hours.
    Expired,
    /// A state this program does not know: the job is polled on, and the wire's word is shown.
    Unknown,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Unsubmitted,
        Self::Pending,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
        Self::Unknown,
    ];

    /// The state as it is written in replies and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsubmitted => "JOB_STATE_UNSUBMITTED",
            Self::Pending => "JOB_STATE_PENDING",
            Self::Running => "JOB_STATE_RUNNING",
            Self::Succeeded => "JOB_STATE_SUCCEEDED",
            Self::Failed => "JOB_STATE_FAILED",
            Self::Cancelled => "JOB_STATE_CANCELLED",
            Self::Expired => "JOB_STATE_EXPIRED",
            Self::Unknown => "JOB_STATE_UNKNOWN",
        }
    }

    /// Reads any spelling: `JOB_STATE_RUNNING`, `BATCH_STATE_RUNNING`, `RUNNING`, `running`.
    ///
    /// `*_UNSPECIFIED` counts as pending (API reference §3.4); any other word is [`Unknown`](Self::Unknown).
    pub fn parse(text: &str) -> Self {
        let upper = text.to_ascii_uppercase();
        let word = upper.strip_prefix("JOB_STATE_").or_else(|| upper.strip_prefix("BATCH_STATE_")).unwrap_or(&upper);
        match word {
            "UNSUBMITTED" => Self::Unsubmitted,
            "PENDING" | "UNSPECIFIED" => Self::Pending,
            "RUNNING" => Self::Running,
            "SUCCEEDED" => Self::Succeeded,
            "FAILED" => Self::Failed,
            "CANCELLED" => Self::Cancelled,
            "EXPIRED" => Self::Expired,
            _ => Self::Unknown,
        }
    }

    /// The state of a job whose parts are in these states.
    ///
    /// It has ended when all parts have, and succeeded only if all of them did; the worst end counts.
    pub fn of_parts(states: impl Iterator<Item = Self> + Clone) -> Self {
        let any = |wanted: Self| states.clone().any(|state| state == wanted);
        let all = |wanted: Self| states.clone().all(|state| state == wanted);
        if all(Self::Unsubmitted) {
            return Self::Unsubmitted;
        }
        if states.clone().all(Self::is_terminal) {
            let worst_first = [Self::Failed, Self::Expired, Self::Cancelled];
            return worst_first.into_iter().find(|worst| any(*worst)).unwrap_or(Self::Succeeded);
        }
        if any(Self::Unknown) {
            return Self::Unknown;
        }
        // Some parts wait while others have come further: work is being done.
        let waits = states.clone().all(|state| matches!(state, Self::Pending | Self::Unsubmitted));
        if waits { Self::Pending } else { Self::Running }
    }

    /// Whether the job will not change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_wire_prefixes_and_bare_words_are_read() {
        for state in JobState::ALL {
            let word = state.as_str().trim_start_matches("JOB_STATE_");
            assert_eq!(JobState::parse(state.as_str()), state);
            assert_eq!(JobState::parse(&format!("BATCH_STATE_{word}")), state);
            assert_eq!(JobState::parse(&word.to_lowercase()), state);
        }
    }

    #[test]
    fn a_job_has_ended_when_its_parts_have_and_the_worst_end_counts() {
        use JobState::{Cancelled, Expired, Failed, Pending, Running, Succeeded, Unknown, Unsubmitted};
        for (parts, whole) in [
            (&[Succeeded, Succeeded][..], Succeeded),
            (&[Succeeded, Expired, Cancelled], Expired),
            (&[Cancelled, Succeeded], Cancelled),
            (&[Expired, Failed], Failed),
            (&[Succeeded, Unsubmitted], Running),
            (&[Failed, Pending], Running),
            (&[Pending, Unsubmitted], Pending),
            (&[Unsubmitted, Unsubmitted], Unsubmitted),
            (&[Unknown, Succeeded], Unknown),
        ] {
            assert_eq!(JobState::of_parts(parts.iter().copied()), whole, "{parts:?}");
        }
    }

    #[test]
    fn an_unheard_of_state_is_polled_on() {
        assert_eq!(JobState::parse("BATCH_STATE_PAUSED"), JobState::Unknown);
        assert!(!JobState::Unknown.is_terminal());
    }
}
