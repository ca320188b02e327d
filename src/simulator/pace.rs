//! How fast simulated jobs run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a job waits and runs. It is stored with the job: a job keeps the pace it was created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// How long a job stays pending.
    pub pending: Duration,
    /// How long one request runs.
    pub per_request: Duration,
    /// No job runs shorter than this.
    pub minimum_running: Duration,
    /// No job runs longer than this.
    pub maximum_running: Duration,
}

impl Pace {
    /// For people who watch: a second pending, then two to four seconds of moving counts.
    pub fn demo() -> Self {
        Self {
            pending: Duration::from_secs(1),
            per_request: Duration::from_millis(50),
            minimum_running: Duration::from_secs(2),
            maximum_running: Duration::from_secs(4),
        }
    }

    /// For tests: a job has ended by the first time anybody asks.
    pub fn instant() -> Self {
        Self {
            pending: Duration::ZERO,
            per_request: Duration::ZERO,
            minimum_running: Duration::ZERO,
            maximum_running: Duration::ZERO,
        }
    }

    /// Like a good day of the service: minutes for small jobs, hours for large ones.
    pub fn realistic() -> Self {
        Self {
            pending: Duration::from_secs(2 * 60),
            per_request: Duration::from_millis(300),
            minimum_running: Duration::from_secs(3 * 60),
            maximum_running: Duration::from_secs(20 * 3600),
        }
    }

    /// How long a job of so many requests runs.
    pub(super) fn running(&self, requests: u64) -> Duration {
        let count = u32::try_from(requests).unwrap_or(u32::MAX);
        self.per_request.saturating_mul(count).min(self.maximum_running).max(self.minimum_running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_time_stays_between_its_bounds() {
        let pace = Pace::demo();
        assert_eq!(pace.running(1), Duration::from_secs(2));
        assert_eq!(pace.running(60), Duration::from_secs(3));
        assert_eq!(pace.running(1_000_000), Duration::from_secs(4));
    }
}
