//! Who sees the calls: every exchange with the API is told once, however it ended.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use http::{HeaderMap, StatusCode};
use reqwest::Method;

use super::date;
use super::failure::Failure;

/// One request to the API and what became of it. Never what was in it: no content, no key, no query, no upload id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path below the version: `batches/abc:cancel`, `files`, `models/m:batchGenerateContent`. `upload` for all
    /// requests of an upload.
    pub resource: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// From the first byte sent to the last one read.
    pub latency: Duration,
    /// How far the API's clock is ahead of this machine's, to a second or so; `None`: it did not say.
    pub ahead: Option<TimeDelta>,
    /// `ok`, or how it failed: `not_sent`, `lost`, `timed_out`, `server_fault`, `throttled`, `exhausted`, `storage_full`,
    /// `refused`, `redirected`, `unreadable`, `local` (this machine), `abandoned` (the caller wanted it no more).
    pub outcome: &'static str,
}

/// Is told of every exchange with the API: each try of a call, each chunk of an upload, each question about one.
pub trait Witness: fmt::Debug + Send + Sync {
    /// An exchange has ended. Called on the thread that makes the calls: it must not wait, and not panic.
    fn saw(&self, call: &CallRecord);
}

/// An exchange that is under way. It is told when it is dropped, so that none is missed or told twice.
#[derive(Debug)]
pub(super) struct Sighting {
    witness: Option<Arc<dyn Witness>>,
    start: Instant,
    record: CallRecord,
}

impl Sighting {
    pub(super) fn new(witness: Option<Arc<dyn Witness>>, method: &Method, resource: String) -> Self {
        let (method, start) = (method.to_string(), Instant::now());
        let record =
            CallRecord { method, resource, status: None, latency: Duration::ZERO, ahead: None, outcome: "abandoned" };
        Self { witness, start, record }
    }

    /// The head of an answer has come.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.record.status = Some(status.as_u16());
        self.record.ahead = date::ahead(headers, Utc::now());
    }

    /// It has ended in this way.
    pub(super) fn ended<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        self.record.outcome = "ok";
        result.map_err(|failure| self.failed(failure))
    }

    /// It has failed.
    pub(super) fn failed(&mut self, failure: Failure) -> Failure {
        self.record.outcome = failure.class().as_str();
        failure
    }
}

impl Drop for Sighting {
    fn drop(&mut self) {
        self.record.latency = self.start.elapsed();
        tracing::debug!(call = ?self.record, "called the API");
        if let Some(witness) = &self.witness {
            witness.saw(&self.record);
        }
    }
}
