//! What is remembered between calls and processes: one SQLite file.
//!
//! Is responsible for: jobs and how far each has come, which data set a request file was made of, which
//! media are at the API, and an append-only log of events. Several processes share one ledger: WAL, short transactions, every
//! commit on disk before the call returns. Knows nothing of the network.

pub mod builds;
pub mod events;
pub mod history;
pub mod jobs;
pub mod lease;
pub mod limits;
pub mod polls;
pub mod record;
mod schema;
pub mod spend;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod uploads;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use jobs::Intended;
pub use record::{JobRecord, NewJob, NewPart, PartRecord, Step};
pub use steps::{Adoption, PartId, Turn};

use crate::error::{Error, ErrorKind, Result};

/// How long a writer waits for another process's transaction; those take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    connection: Mutex<Connection>,
    file: PathBuf,
}

impl Ledger {
    /// Opens the ledger in this folder, or starts a new one.
    pub fn open(folder: &Path) -> Result<Self> {
        let file = folder.join("ledger.sqlite3");
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::io(format!("creating the ledger's folder {}", folder.display()), e)
                .hint("set GEMINI_BATCH_HOME to a folder that can be written")
        })?;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&file)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            use_write_ahead_log(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        };
        let mut connection = open().map_err(|e| failed(&format!("opening {}", file.display()), e))?;
        schema::bring_up_to_date(&mut connection, &file)?;
        Ok(Self { connection: Mutex::new(connection), file })
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Runs one transaction. It holds the write lock from its start, so what it reads stays true.
    fn write<T>(&self, act: &str, body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let run = || -> rusqlite::Result<T> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = body(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|e| failed(act, e))
    }

    /// Runs a query.
    fn read<T>(&self, act: &str, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        body(&self.lock()).map_err(|e| failed(act, e))
    }

    /// A transaction that panicked was rolled back: the connection behind a poisoned lock is sound.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Switches a new file to WAL; the switch, unlike everything later, does not wait for other processes.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        let mode: rusqlite::Result<String> = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
        if mode?.eq_ignore_ascii_case("wal") {
            return Ok(());
        }
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && tries < 200 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

fn failed(act: &str, e: rusqlite::Error) -> Error {
    let hint = match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            "try again in a moment; if it stays so, see which program holds the file"
        }
        Some(rusqlite::ErrorCode::DiskFull) => "the disk is full: free some space, then repeat the call",
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            "the ledger file is damaged: move it aside and repeat the call; jobs are found again at the API by their handle"
        }
        _ => "check that GEMINI_BATCH_HOME names a folder on a local disk that can be written",
    };
    let cause = match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            format!("another process has been writing to it for {} s", BUSY_TIMEOUT.as_secs())
        }
        _ => e.to_string(),
    };
    Error::new(ErrorKind::Ledger, format!("using the ledger ({act})"), cause).hint(hint).caused_by(e)
}
