//! Which notices were here before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A sender tries again for a day (API reference §9).
const KEPT_S: i64 = 24 * 3600;
/// Signed notices that are remembered; one of a job is some, so this is thousands of jobs a day.
const MOST: usize = 16_384;

/// The notices of the last day.
#[derive(Default)]
pub(super) struct Seen {
    times: Mutex<HashMap<String, i64>>,
}

impl Seen {
    /// Takes note of a notice, and tells whether it is the first time.
    pub(super) fn is_new(&self, id: String, now: i64) -> bool {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() >= MOST {
            times.retain(|_, at| now - *at < KEPT_S);
        }
        if times.len() >= MOST
            && let Some(oldest) = times.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone())
        {
            times.remove(&oldest);
        }
        times.insert(id, now).is_none_or(|before| now - before >= KEPT_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_new_once() {
        let seen = Seen::default();
        assert!(seen.is_new("a".to_owned(), 0));
        assert!(!seen.is_new("a".to_owned(), KEPT_S - 1));
        assert!(seen.is_new("b".to_owned(), 1));
    }

    #[test]
    fn notices_are_remembered_within_bounds_and_the_newest_stay() {
        let seen = Seen::default();
        for at in 0..MOST as i64 + 10 {
            assert!(seen.is_new(at.to_string(), at));
        }
        assert_eq!(seen.times.lock().unwrap().len(), MOST);
        assert!(!seen.is_new((MOST + 9).to_string(), MOST as i64 + 10));
    }
}
