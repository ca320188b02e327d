//! What was asked: one entry a request, never content or keys.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

/// Older entries are dropped beyond this many.
const KEPT: usize = 10_000;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When it came in.
    pub time: DateTime<Utc>,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query, where keys and upload ids stand.
    pub path: String,
    /// The status of the reply; `None` where the connection ended without one.
    pub status: Option<u16>,
    /// How many bytes of the request body were taken in.
    pub received: u64,
}

/// The requests of one simulator, oldest first. Clones share one log.
#[derive(Debug, Clone, Default)]
pub struct RequestLog(Arc<Mutex<VecDeque<LogEntry>>>);

impl RequestLog {
    /// All entries, in the order in which the requests ended.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lock().iter().cloned().collect()
    }

    /// How many requests of this method had a path that contains `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.lock().iter().filter(|entry| entry.method == method && entry.path.contains(part)).count()
    }

    /// Forgets all entries.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Opens the entry of a request; it is written when the guard goes, however the request ends.
    pub(super) fn open(&self, time: DateTime<Utc>, method: &str, path: &str) -> OpenEntry {
        let entry = LogEntry { time, method: method.into(), path: path.into(), status: None, received: 0 };
        OpenEntry { log: self.clone(), entry, received: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LogEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a request under way.
pub(super) struct OpenEntry {
    log: RequestLog,
    entry: LogEntry,
    received: Arc<AtomicU64>,
}

impl OpenEntry {
    /// Counts the bytes taken in.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    /// Notes the status of the reply.
    pub(super) fn answered(&mut self, status: u16) {
        self.entry.status = Some(status);
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        self.entry.received = self.received.load(Ordering::Relaxed);
        let mut entries = self.log.lock();
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(self.entry.clone());
    }
}
