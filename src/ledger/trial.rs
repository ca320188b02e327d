//! Whether the ledger could be written just now. It is tried on a connection of its own, so that whoever asks does not
//! wait behind those who wait already.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::failed;
use super::files::Files;
use super::gate::Gate;
use super::opening::is_busy;
use crate::error::{Error, ErrorKind, Result};

/// How long another program may be at it.
const SHORT: Duration = Duration::from_secs(2);

/// Commits something that changes nothing to the ledger in this folder: the version it has. Takes seconds at most.
pub(super) fn commit(folder: &Path) -> Result<()> {
    on_a_transaction(folder, |tx| {
        let version = super::schema::version(&tx)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()
    })
}

/// Takes the right to write to the ledger in this folder, and gives it back: nothing is written.
pub fn lock(folder: &Path) -> Result<()> {
    on_a_transaction(folder, |tx| tx.rollback())
}

fn on_a_transaction(folder: &Path, end: impl FnOnce(Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
    let files = Files::perhaps_in(folder);
    let gate = Gate::open(files.folder())?;
    let Some(_pass) = gate.share_now() else {
        let cause = "another process is mending it";
        return Err(
            Error::new(ErrorKind::Ledger, "using the ledger (trying to write)", cause).hint("look again in a minute")
        );
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = || {
        let connection = Connection::open_with_flags(files.main(), flags)?;
        connection.busy_timeout(SHORT)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        end(Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?)
    };
    attempt().map_err(|e| match failed("trying to write", e) {
        busy if is_busy(&busy) => {
            let cause = format!("another process has been writing to it for {} s", SHORT.as_secs());
            Error::new(ErrorKind::Ledger, busy.act(), cause).hint("if it stays so, see which program holds the file")
        }
        other => other,
    })
}
