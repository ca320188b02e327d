//! Every call of the API as an event: which, with what outcome, how long it took. Never content, keys, or addresses
//! that work without a key.

use std::time::Duration;

use chrono::TimeDelta;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::events::{self, CALL, Event};
use crate::error::Result;
use crate::job::Handle;

/// Clocks that differ by less do not matter here, and answers take their time.
const CLOCKS_AGREE_S: i64 = 30;
/// The longest name of a resource that is kept.
const LONGEST_NAME: usize = 160;

/// One call of the API that came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteCall<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// What was called: `batches/…`, `files/…`, `models/…:batchGenerateContent`; a path of the API will do. A query is
    /// cut off: an upload's address holds the right to upload.
    pub resource: &'a str,
    /// The HTTP status; `None` if no answer came.
    pub status: Option<u16>,
    /// How long it took.
    pub latency: Duration,
    /// How far the API's clock is ahead of this machine's, if it said its time.
    pub ahead: Option<TimeDelta>,
    /// How it failed, in a word, if it did.
    pub class: Option<&'a str>,
}

/// A call as an event's detail holds it, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDetail {
    /// The HTTP method.
    pub method: String,
    /// What was called.
    pub resource: String,
    /// The HTTP status, if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Milliseconds until the answer.
    pub ms: u64,
    /// What sort of failure it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

impl Event {
    /// The call that it tells of, if it does.
    pub fn call(&self) -> Option<CallDetail> {
        if self.event == CALL { serde_json::from_str(&self.detail).ok() } else { None }
    }
}

/// Notes how far the API's clock is ahead, if that is news.
fn note_clock(tx: &Transaction<'_>, ahead: TimeDelta) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO clock (one, ahead_s) SELECT 1, ?1 WHERE abs(?1 - coalesce((SELECT ahead_s FROM clock), 0)) > ?2 \
         ON CONFLICT (one) DO UPDATE SET ahead_s = excluded.ahead_s",
    )?
    .execute([ahead.num_seconds(), CLOCKS_AGREE_S])?;
    Ok(())
}

impl Ledger {
    /// Writes a call down, as one of this job, or of the one whose batch or file was called.
    ///
    /// A call that changes something is on disk when this returns, as all else is. One that only reads, or sends a piece
    /// of a file, is safe from a crash of this process, and from one of the machine a moment later: a thousand polls are
    /// not worth a thousand waits for the disk.
    pub fn record_call(&self, call: &RemoteCall<'_>, handle: Option<&Handle>) -> Result<()> {
        let act = "recording a call of the API";
        let detail = detail(call);
        let text = serde_json::to_string(&detail).unwrap_or_default();
        let body = |tx: &Transaction<'_>| {
            let owner = match handle {
                Some(handle) => Some(handle.clone()),
                None => owner(tx, &detail.resource)?,
            };
            if let Some(ahead) = call.ahead {
                note_clock(tx, ahead)?;
            }
            events::append(tx, owner.as_ref(), events::CALL, &text)
        };
        match (call.method, detail.resource.as_str()) {
            ("GET" | "HEAD", _) | (_, "upload") => self.run(act, |connection| unhurried(connection, body)),
            _ => self.write(act, body),
        }
    }
}

/// Runs a transaction that reaches the disk with the next one that waits for it.
fn unhurried(connection: &Connection, body: impl Fn(&Transaction<'_>) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let run = || {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        body(&transaction)?;
        transaction.commit()
    };
    let outcome = run();
    connection.pragma_update(None, "synchronous", "FULL")?;
    outcome
}

fn detail(call: &RemoteCall<'_>) -> CallDetail {
    CallDetail {
        method: call.method.to_owned(),
        resource: resource(call.resource),
        status: call.status,
        ms: u64::try_from(call.latency.as_millis()).unwrap_or(u64::MAX),
        class: call.class.map(str::to_owned),
    }
}

/// The name of a resource without host, version, query, and whatever does not belong in a name.
fn resource(called: &str) -> String {
    let path = called.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.trim_start_matches('/');
    let is_version = |word: &str| word.starts_with('v') && word.get(1..2).is_some_and(|c| c.parse::<u8>().is_ok());
    let path = path.split_once('/').filter(|(word, _)| is_version(word)).map_or(path, |(_, rest)| rest);
    path.chars().filter(|c| c.is_ascii_graphic()).take(LONGEST_NAME).collect()
}

/// The job whose batch or uploaded file this is.
fn owner(tx: &Transaction<'_>, resource: &str) -> rusqlite::Result<Option<Handle>> {
    // `batches/x:cancel`, `files/x:download`
    let name = resource.split(':').next().unwrap_or_default();
    let column = match name.split_once('/') {
        Some(("batches", _)) => "remote_name",
        Some(("files", _)) => "remote_file",
        _ => return Ok(None),
    };
    let sql = format!("SELECT handle FROM parts WHERE {column} = ?1 ORDER BY rowid DESC LIMIT 1");
    Ok(tx.query_row(&sql, [name], |row| row.get(0)).optional()?.map(Handle::from_ledger))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_a_name_and_nothing_that_opens_a_door() {
        for (called, kept) in [
            ("batches/abc", "batches/abc"),
            ("/v1beta/batches/abc:cancel", "batches/abc:cancel"),
            ("https://example.com/v1/files/x?key=secret", "files/x"),
            ("upload/v1beta/files?upload_id=secret&upload_protocol=resumable", "upload/v1beta/files"),
            ("/upload/v1beta/files", "upload/v1beta/files"),
            ("models/m:batchGenerateContent#secret", "models/m:batchGenerateContent"),
            ("videos/a", "videos/a"),
            ("files/a b\n\u{1b}[31m", "files/ab[31m"),
        ] {
            assert_eq!(resource(called), kept);
        }
        assert_eq!(resource(&"x".repeat(1_000)).len(), LONGEST_NAME);
    }
}
