//! What is repeated, how often, and how long to wait before.
//!
//! | Failure | Calls that may be repeated | Create |
//! |---|---|---|
//! | nothing was sent (refused, no such host, no TLS) | repeated | not repeated, but known not to have arrived |
//! | sent, then reset or cut off | repeated | not repeated: the outcome is unclear |
//! | no answer in time; 408, 499 | repeated | not repeated: the outcome is unclear |
//! | 500, 502, 503, 504 and other 5xx | repeated | not repeated: the outcome is unclear |
//! | 429, a limit per minute or unnamed | repeated | not repeated: the caller decides when |
//! | 429, a limit per day, a spending cap, full storage | not repeated | not repeated |
//! | refused: any other 4xx, a redirect | not repeated | not repeated |
//! | a success that cannot be read | not repeated | not repeated: the outcome is unclear |
//! | a failure on this machine | not repeated | not repeated |
//!
//! Repetition is bounded in count and in time. The wait is drawn from zero to a limit that doubles
//! (["full jitter"](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)), and is
//! at least what the API asks for with `RetryInfo` or `Retry-After`. If it asks for more than the
//! longest allowed wait, the call gives up at once: the caller knows better what to do meanwhile.

use std::time::{Duration, Instant};

use super::call::Repeat;
use super::failure::{Class, Failure};

/// How often and how long a call is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries in all, the first one included.
    pub max_tries: u32,
    /// The limit of the first wait; it doubles with every further one.
    pub base: Duration,
    /// The longest single wait.
    pub cap: Duration,
    /// No try starts later than this after the first failure: a single one may take longer.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: 5,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(60),
            total: Duration::from_secs(180),
        }
    }
}

impl RetryPolicy {
    /// Starts counting the tries of one call.
    pub(super) fn start(self) -> Tries {
        Tries { policy: self, made: 1, failing_since: None }
    }
}

/// The tries of one call so far.
#[derive(Debug)]
pub(super) struct Tries {
    policy: RetryPolicy,
    made: u32,
    failing_since: Option<Instant>,
}

impl Tries {
    /// How long to wait before the next try, or `None` to give up.
    pub(super) fn after(&mut self, failure: &Failure, repeat: Repeat) -> Option<Duration> {
        if !may_pass(failure.class(), repeat) || self.made >= self.policy.max_tries {
            return None;
        }
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let asked = failure.asked_delay().unwrap_or_default();
        let wait = self.jittered().max(asked);
        if asked > self.policy.cap || since.elapsed() + wait > self.policy.total {
            return None;
        }
        self.made += 1;
        Some(wait)
    }

    /// Forgets earlier failures: there was progress since.
    pub(super) fn reset(&mut self) {
        *self = self.policy.start();
    }

    fn jittered(&self) -> Duration {
        let doubled = self.policy.base.saturating_mul(1 << (self.made - 1).min(16));
        doubled.min(self.policy.cap).mul_f64(fastrand::f64())
    }
}

/// Whether this failure may pass by itself and the call may be repeated. Exhaustive on purpose.
fn may_pass(class: Class, repeat: Repeat) -> bool {
    match (class, repeat) {
        (Class::NotSent | Class::Lost | Class::TimedOut | Class::ServerFault | Class::Throttled, Repeat::Safe) => true,
        (
            Class::Exhausted
            | Class::StorageFull
            | Class::Refused
            | Class::Redirected
            | Class::Unreadable
            | Class::Local,
            Repeat::Safe,
        ) => false,
        (
            Class::NotSent
            | Class::Lost
            | Class::TimedOut
            | Class::ServerFault
            | Class::Throttled
            | Class::Exhausted
            | Class::StorageFull
            | Class::Refused
            | Class::Redirected
            | Class::Unreadable
            | Class::Local,
            Repeat::Never,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_tries: 4,
            base: Duration::from_millis(100),
            cap: Duration::from_millis(150),
            total: Duration::from_secs(9),
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_tries_are_counted() {
        let mut tries = policy().start();
        let waits: Vec<_> = std::iter::from_fn(|| tries.after(&Failure::Lost("reset".into()), Repeat::Safe)).collect();
        assert_eq!(waits.len(), 3);
        assert!(waits[0] <= Duration::from_millis(100));
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(150)));
    }

    #[test]
    fn no_try_starts_after_the_total_time() {
        let mut tries = RetryPolicy { total: Duration::ZERO, base: Duration::from_secs(1), ..policy() }.start();
        assert_eq!(tries.after(&Failure::Lost("reset".into()), Repeat::Safe), None);
    }

    #[test]
    fn a_try_that_takes_longer_than_the_total_is_repeated() {
        let mut tries = RetryPolicy { total: Duration::from_millis(60), base: Duration::ZERO, ..policy() }.start();
        std::thread::sleep(Duration::from_millis(70));
        assert!(tries.after(&Failure::Lost("reset".into()), Repeat::Safe).is_some());
        std::thread::sleep(Duration::from_millis(70));
        assert_eq!(tries.after(&Failure::Lost("reset".into()), Repeat::Safe), None);
    }

    #[test]
    fn progress_starts_the_count_anew() {
        let mut tries = RetryPolicy { max_tries: 2, ..policy() }.start();
        for _ in 0..5 {
            assert!(tries.after(&Failure::Lost("reset".into()), Repeat::Safe).is_some());
            tries.reset();
        }
    }
}
