//! Who may use the ledger's file, and who may exchange it: locks on two files of their own.
//!
//! Everybody shares the room for the time of one transaction. Whoever sets a damaged ledger aside holds it alone, so
//! that nobody writes into a file that is being taken away. All come in by the door, which whoever wants to be alone
//! holds shut: else others would come and go for ever. Locks go with their process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::patience::Patience;
use crate::error::{Error, ErrorKind, Result};

const HINT: &str = "check that GEMINI_BATCH_HOME names a folder on a local disk that can be written";

/// The lock files, open.
#[derive(Debug)]
pub(super) struct Gate {
    door: File,
    room: File,
}

/// The right to be in, given back when dropped.
#[derive(Debug)]
pub(super) struct Pass<'g> {
    _room: Locked<'g>,
    _door: Option<Locked<'g>>,
}

#[derive(Debug)]
struct Locked<'g>(&'g File);

impl Gate {
    /// Opens the lock files in this folder, which are made if they are not there.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        Ok(Self { door: open(&folder.join("ledger.door"))?, room: open(&folder.join("ledger.lock"))? })
    }

    /// To use the ledger beside others.
    pub(super) fn share(&self) -> Result<Pass<'_>> {
        let _door = lock(&self.door, File::try_lock_shared)?;
        Ok(Pass { _room: lock(&self.room, File::try_lock_shared)?, _door: None })
    }

    /// To use it beside others if that takes no waiting; `None` while somebody is exchanging it.
    pub(super) fn share_now(&self) -> Option<Pass<'_>> {
        fn taken(file: &File) -> Option<Locked<'_>> {
            (!matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))).then_some(Locked(file))
        }
        let _door = Some(taken(&self.door)?);
        Some(Pass { _room: taken(&self.room)?, _door })
    }

    /// To exchange it while nobody else uses it.
    pub(super) fn alone(&self) -> Result<Pass<'_>> {
        let door = lock(&self.door, File::try_lock)?;
        Ok(Pass { _room: lock(&self.room, File::try_lock)?, _door: Some(door) })
    }
}

fn open(file: &Path) -> Result<File> {
    let opened = OpenOptions::new().read(true).append(true).create(true).open(file);
    opened.map_err(|e| {
        let act = format!("using the ledger (opening {})", file.display());
        Error::new(ErrorKind::Ledger, act, e.to_string()).hint(HINT).caused_by(e)
    })
}

fn lock(file: &File, take: fn(&File) -> Result<(), TryLockError>) -> Result<Locked<'_>> {
    let failed = |cause: &str, hint: &str| {
        Err(Error::new(ErrorKind::Ledger, "using the ledger (waiting for its lock)", cause).hint(hint))
    };
    let patience = Patience::new();
    loop {
        match take(file) {
            Ok(()) => return Ok(Locked(file)),
            Err(TryLockError::WouldBlock) if patience.pause() => {}
            Err(TryLockError::WouldBlock) => {
                return failed("another process is mending it", "make the same call again in a minute");
            }
            // Some network drives have no such locks; SQLite's own then do what they can.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => return Ok(Locked(file)),
            Err(TryLockError::Error(e)) => return failed(&e.to_string(), HINT),
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // What fails here is given back when the file is closed.
        let _ = self.0.unlock();
    }
}
