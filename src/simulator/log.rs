//! What was asked: one entry a request, from the moment it begins; never content or keys.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::clock::Clock;
use super::fault::Call;

/// Older entries are dropped beyond this many, and counted.
const KEPT: usize = 200_000;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When it came in, by the simulator's clock.
    pub time: DateTime<Utc>,
    /// When its reply was ready or its connection ended; `None` while it is under way.
    pub ended: Option<DateTime<Utc>>,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query, where keys and upload ids stand.
    pub path: String,
    /// The call it is; `None` where the API has no such method.
    pub call: Option<Call>,
    /// The status of the reply; `None` while it is under way, and where the connection ended without one.
    pub status: Option<u16>,
    /// How many bytes of the request body have been taken in.
    pub received: u64,
}

/// The requests of one simulator, oldest first. Clones share one log.
///
/// It keeps the last 200,000 entries. What is counted by [`Call`] is exact however many there were.
#[derive(Debug, Clone, Default)]
pub struct RequestLog(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    entries: VecDeque<Arc<Mutex<LogEntry>>>,
    /// Entries that stood before the first one.
    dropped: u64,
    tallies: HashMap<Call, Arc<Tally>>,
}

/// What is counted of one call.
#[derive(Debug, Default)]
struct Tally {
    begun: AtomicU64,
    ended: AtomicU64,
    received: AtomicU64,
}

impl RequestLog {
    /// All entries that are kept, in the order in which the requests began.
    pub fn entries(&self) -> Vec<LogEntry> {
        lock(&self.0).entries.iter().map(|entry| lock(entry).clone()).collect()
    }

    /// How many requests of this method, begun or ended, had a path that contains `part`, among those kept.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let matches = |entry: &LogEntry| entry.method == method && entry.path.contains(part);
        lock(&self.0).entries.iter().filter(|entry| matches(&lock(entry))).count()
    }

    /// How many requests have begun to make this call.
    pub fn calls(&self, call: Call) -> u64 {
        self.tally(call).begun.load(Ordering::SeqCst)
    }

    /// How many of them are under way.
    pub fn under_way(&self, call: Call) -> u64 {
        let tally = self.tally(call);
        // In this order: one that begins in between is not counted, and the difference is never negative.
        let ended = tally.ended.load(Ordering::SeqCst);
        tally.begun.load(Ordering::SeqCst) - ended
    }

    /// How many bytes of request bodies all of them brought so far.
    pub fn received(&self, call: Call) -> u64 {
        self.tally(call).received.load(Ordering::SeqCst)
    }

    /// How many entries are no longer kept.
    pub fn dropped(&self) -> u64 {
        lock(&self.0).dropped
    }

    /// Forgets all entries and counts. Requests under way are not heard of any more.
    pub fn clear(&self) {
        *lock(&self.0) = Book::default();
    }

    /// Opens the entry of a request; it is closed when the guard goes, however the request ends.
    pub(super) fn open(&self, clock: Arc<dyn Clock>, method: &str, path: &str, call: Option<Call>) -> OpenEntry {
        let (time, method, path) = (clock.now(), method.into(), path.into());
        let entry = LogEntry { time, ended: None, method, path, call, status: None, received: 0 };
        let entry = Arc::new(Mutex::new(entry));
        let mut book = lock(&self.0);
        if book.entries.len() == KEPT {
            book.entries.pop_front();
            book.dropped += 1;
        }
        book.entries.push_back(Arc::clone(&entry));
        let tally = call.map(|call| Arc::clone(book.tallies.entry(call).or_default())).unwrap_or_default();
        tally.begun.fetch_add(1, Ordering::SeqCst);
        OpenEntry { clock, meter: Meter { entry, tally } }
    }

    fn tally(&self, call: Call) -> Arc<Tally> {
        Arc::clone(lock(&self.0).tallies.entry(call).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entry of a request under way.
pub(super) struct OpenEntry {
    clock: Arc<dyn Clock>,
    meter: Meter,
}

/// Counts the bytes that one request brings.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    entry: Arc<Mutex<LogEntry>>,
    tally: Arc<Tally>,
}

impl OpenEntry {
    /// Counts the bytes taken in.
    pub(super) fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Notes the status of the reply.
    pub(super) fn answered(&self, status: u16) {
        lock(&self.meter.entry).status = Some(status);
    }
}

impl Meter {
    /// So many more.
    pub(super) fn add(&self, bytes: u64) {
        lock(&self.entry).received += bytes;
        self.tally.received.fetch_add(bytes, Ordering::SeqCst);
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        lock(&self.meter.entry).ended = Some(self.clock.now());
        self.meter.tally.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::ManualClock;

    fn open(log: &RequestLog) -> OpenEntry {
        log.open(Arc::new(ManualClock::default()), "GET", "/v1/batches", Some(Call::ListBatches))
    }

    #[test]
    fn old_entries_are_dropped_and_counted_and_the_counts_stay_exact() {
        let log = RequestLog::default();
        (0..KEPT + 3).for_each(|_| drop(open(&log)));
        assert_eq!((log.entries().len(), log.dropped()), (KEPT, 3));
        assert_eq!(log.calls(Call::ListBatches), KEPT as u64 + 3);
    }

    #[test]
    fn what_began_before_the_log_was_cleared_does_not_come_back() {
        let log = RequestLog::default();
        let before = open(&log);
        log.clear();
        let after = open(&log);
        drop(before);
        assert_eq!((log.calls(Call::ListBatches), log.under_way(Call::ListBatches)), (1, 1));
        assert!(log.entries()[0].ended.is_none());
        drop(after);
        assert_eq!(log.under_way(Call::ListBatches), 0);
    }
}
