//! Where the simulator takes the time from.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// Tells the time. Everything that ages in the simulator ages by its clock.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The clock of the machine, moved by the seconds that a file says: another process can move it at any time.
///
/// The file is read at each look. It holds a whole number, negative for the past. While it is missing, or
/// holds something else (it may just be written), the clock stays moved as it was.
#[derive(Debug)]
pub struct FileClock {
    path: PathBuf,
    moved: Mutex<TimeDelta>,
}

impl FileClock {
    /// A clock that is moved by what the file at `path` says.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), moved: Mutex::default() }
    }
}

impl Clock for FileClock {
    fn now(&self) -> DateTime<Utc> {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        *moved = text.trim().parse().ok().and_then(TimeDelta::try_seconds).unwrap_or(*moved);
        let now = Utc::now();
        now.checked_add_signed(*moved).unwrap_or(now)
    }
}

/// A clock that stands still until it is told to move: a day's job runs in a test at once.
///
/// Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(start)))
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Default for ManualClock {
    /// A clock that shows noon of 22 November 2026.
    fn default() -> Self {
        Self::new(DateTime::from_timestamp(1_795_348_800, 0).unwrap_or_default())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time as the API writes it.
pub(super) fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_moves_the_clock_and_what_is_no_number_leaves_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let clock = FileClock::new(file.path());
        let mut moved = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            (clock.now() - Utc::now() + TimeDelta::seconds(1)).num_hours()
        };
        let seen = ["", "147600", "", "4x", "0", "-7200\n", "99999999999999999999"].map(&mut moved);
        assert_eq!(seen, [0, 41, 41, 41, 0, -1, -1]);
    }

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = ManualClock::default();
        let other = clock.clone();
        clock.advance(Duration::from_secs(90));
        assert_eq!(written(other.now()), "2026-11-22T12:01:30.000000Z");
    }
}
