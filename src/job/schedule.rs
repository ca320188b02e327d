//! How often a batch is asked for: by its age, every second when it is young, every five minutes when it is old.
//!
//! News of a batch is so never much older than a tenth of the time it took so far, and a batch that lasts its whole
//! 48 hours is asked for about 640 times. The same pauses hold for all processes together: the ledger hands out each
//! look once.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_secs(1);
const USUAL_LONGEST: Duration = Duration::from_secs(5 * 60);
/// How soon a look that failed is repeated at the earliest.
const SHORTEST_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// A look that is slow to fail is repeated after so many times as long: it costs the far end something.
const COST: u32 = 5;

/// How much shorter or longer than planned a pause may be, so that many processes and jobs do not ask in step.
pub const JITTER: f64 = 0.1;
/// No pause is longer than this, whatever its jitter.
pub const LONGEST: Duration = Duration::from_secs(6 * 60);

/// The pause between two looks at a batch of this age: a tenth of it, 1 s at least and 5 min at most.
pub fn pause(age: Duration) -> Duration {
    (age / 10).clamp(SHORTEST, USUAL_LONGEST)
}

/// The pause after a look that failed and took so long: longer than usual, so that an outage is not made worse.
pub fn pause_after_failure(age: Duration, took: Duration) -> Duration {
    let longer = pause(age).saturating_mul(2).max(took.saturating_mul(COST));
    longer.clamp(SHORTEST_AFTER_FAILURE, USUAL_LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_young_batch_is_looked_at_every_second_and_an_old_one_every_five_minutes() {
        for (age, expected) in [(0, 1), (10, 1), (60, 6), (600, 60), (3_000, 300), (48 * 3600, 300)] {
            assert_eq!(pause(s(age)), s(expected), "at {age} s");
        }
    }

    #[test]
    fn a_whole_life_takes_few_looks() {
        let (mut age, mut looks) = (Duration::ZERO, 0);
        while age < s(48 * 3600) {
            age += pause(age);
            looks += 1;
        }
        assert!((600..680).contains(&looks), "{looks}");
    }

    #[test]
    fn after_a_failure_the_pause_is_longer_and_longer_still_if_it_was_slow_to_fail() {
        assert_eq!(pause_after_failure(s(1), s(0)), s(10));
        assert_eq!(pause_after_failure(s(600), s(1)), s(120));
        assert_eq!(pause_after_failure(s(60), s(40)), s(200));
        assert_eq!(pause_after_failure(s(48 * 3600), s(60)), s(300));
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        assert!(USUAL_LONGEST.mul_f64(1.0 + JITTER) < LONGEST);
    }
}
