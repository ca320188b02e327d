//! What is remembered between calls and processes: one SQLite file.
//!
//! Is responsible for: jobs and how far each has come, which data set a request file was made of, which
//! media are at the API, calls that outlast their answer, and an append-only log of events. Several processes share one
//! ledger: WAL, short transactions, every commit on disk before the call returns. A damaged ledger is set aside, never deleted, and what can be read of it
//! goes on in a new one. Knows nothing of the network.

pub mod builds;
pub mod calls;
pub mod events;
pub mod examine;
pub mod export;
mod files;
mod gate;
pub mod glance;
pub mod history;
pub mod import;
pub mod intent;
pub mod jobs;
pub mod lease;
pub mod limits;
mod moment;
mod opening;
mod patience;
pub mod polls;
pub mod prune;
pub mod record;
mod rescue;
mod salvage;
mod schema;
pub mod spend;
pub mod steps;
pub mod tasks;
#[cfg(test)]
mod tests;
pub mod trial;
pub mod uploads;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use intent::Intended;
pub use record::{JobRecord, NewJob, NewPart, PartId, PartRecord, Step};
pub use steps::{Adoption, Turn};

use crate::error::{Error, ErrorKind, Result};
use files::Files;
use opening::{Open, is_busy, is_damage};
use patience::{Patience, aside};

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    open: Mutex<Open>,
    files: Files,
    notes: Mutex<Vec<String>>,
}

impl Ledger {
    /// Opens the ledger in this folder, or starts a new one. One that is damaged is set aside first, and what can be
    /// read of it is in the new one; [`take_notes`](Self::take_notes) says so.
    pub fn open(folder: &Path) -> Result<Self> {
        let files = Files::in_folder(folder)?;
        let (open, note) = aside(|| opening::open(&files))?;
        Ok(Self { open: Mutex::new(open), files, notes: Mutex::new(note.into_iter().collect()) })
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        self.files.main()
    }

    /// What the user should know and was not told yet.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds what the user should know.
    pub fn note(&self, note: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// Commits something that changes nothing, within seconds. A ledger that is damaged or gone is exchanged first, as by
    /// any call.
    pub fn try_writing(&self) -> Result<()> {
        match trial::commit(self.files.folder()) {
            Err(e) if is_damage(&e) || self.files.identity().is_none() => {
                self.read("looking at it", schema::version)?;
                trial::commit(self.files.folder())
            }
            tried => tried,
        }
    }

    /// Whether jobs of earlier days may be missing, because the ledger was damaged or gone.
    pub fn is_incomplete(&self) -> bool {
        self.files.incomplete().exists()
    }

    /// The missing jobs were looked up; `detail` says with what success.
    pub fn completed(&self, detail: &str) -> Result<()> {
        self.write("recording that the ledger is complete", |tx| events::append_own(tx, "rebuilt", detail))?;
        match std::fs::remove_file(self.files.incomplete()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", self.files.incomplete().display()), e))
            }
            _ => Ok(()),
        }
    }

    /// Runs one transaction. It holds the write lock from its start, so what it reads stays true.
    fn write<T>(&self, act: &str, mut body: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut transact = |connection: &Connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let value = body(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        // The disk takes its time.
        aside(|| self.run(act, &mut transact))
    }

    /// Runs a transaction to see what it would give, and takes all of it back.
    fn rehearse<T>(&self, act: &str, mut body: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.run(act, |connection| body(&Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?))
    }

    /// Runs a query.
    fn read<T>(&self, act: &str, body: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.run(act, body)
    }

    /// Runs something on the ledger, from its start again while other processes are in the way, and once more when
    /// the ledger turned out damaged and was exchanged.
    fn run<T>(&self, act: &str, mut body: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        // Whoever waited for others of this process has waited, too.
        let patience = Patience::new();
        let mut open = self.lock();
        let mut exchanged = false;
        loop {
            let outcome = self.on_this_file(&mut open, act, &mut body);
            match outcome {
                Ok(Some(value)) => return Ok(value),
                // Another process exchanged the ledger, or someone removed it.
                Ok(None) => self.take(&mut open, opening::open(&self.files)?),
                Err(e) if is_busy(&e) && patience.pause() => {}
                Err(e) if is_damage(&e) && !exchanged => {
                    exchanged = true;
                    let met_in = open.identity;
                    open.close(true);
                    self.take(&mut open, aside(|| opening::exchange(&self.files, met_in, &e))?);
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// `None` if the file at the ledger's place is not the one that is open.
    fn on_this_file<T>(
        &self,
        open: &mut Open,
        act: &str,
        body: &mut impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let _pass = open.gate.share()?;
        if open.identity.is_none() || open.identity != self.files.identity() {
            return Ok(None);
        }
        body(&open.connection).map(Some).map_err(|e| failed(act, e))
    }

    fn take(&self, open: &mut Open, (fresh, note): (Open, Option<String>)) {
        *open = fresh;
        note.into_iter().for_each(|note| self.note(note));
    }

    /// A transaction that panicked was rolled back: the connection behind a poisoned lock is sound.
    fn lock(&self) -> MutexGuard<'_, Open> {
        match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(open)) => open.into_inner(),
            Err(TryLockError::WouldBlock) => aside(|| self.open.lock().unwrap_or_else(PoisonError::into_inner)),
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
            "the ledger file is damaged and could not be set aside: end other programs that use it, then repeat the call"
        }
        _ => "check that GEMINI_BATCH_HOME names a folder on a local disk that can be written",
    };
    let cause = match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            format!("another process has been writing to it for {} s", patience::LONGEST.as_secs())
        }
        _ => e.to_string(),
    };
    Error::new(ErrorKind::Ledger, format!("using the ledger ({act})"), cause).hint(hint).caused_by(e)
}
