//! Opens the ledger: finds it, checks it, and starts a new one where it is damaged or gone.
//!
//! The check is cheap, a look at both ends of each table; damage further in shows when it is met, and is treated
//! the same. Not damage: a newer version, a lock, a folder that cannot be written, a full disk.

use rusqlite::{Connection, Transaction, TransactionBehavior, config::DbConfig, ffi};

use super::files::{Files, Identity};
use super::gate::Gate;
use super::patience::{Patience, wait_for_others};
use super::{events, failed, rescue, schema};
use crate::error::{Error, Result};

/// Bytes that the file of recent commits may keep when all of them are in the database.
const RECENT: i64 = 8 << 20;

/// An open ledger.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) gate: Gate,
    /// The file that the connection has open. Another one at its place: the ledger was exchanged or removed.
    pub(super) identity: Option<Identity>,
}

impl Open {
    /// Closes the connection. With `damaged` nothing is moved from the recent commits to the database any more.
    pub(super) fn close(&mut self, damaged: bool) {
        self.identity = None;
        let Ok(nothing) = Connection::open_in_memory() else { return };
        let connection = std::mem::replace(&mut self.connection, nothing);
        if damaged {
            // Without it the commits are moved after all, which loses nothing either.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        drop(connection);
    }
}

impl Drop for Open {
    /// The last one to close removes the file of recent commits, by its name: not while the ledger is exchanged.
    fn drop(&mut self) {
        if self.identity.is_none() {
            return;
        }
        let Ok(nothing) = Connection::open_in_memory() else { return };
        let _pass = self.gate.share();
        drop(std::mem::replace(&mut self.connection, nothing));
    }
}

/// Opens the ledger; with it what the user should know, if anything was wrong.
pub(super) fn open(files: &Files) -> Result<(Open, Option<String>)> {
    files.make_folder()?;
    let gate = Gate::open(files.folder())?;
    let healthy = {
        let _pass = gate.share()?;
        match files.identity().map(|_| connect(files)) {
            Some(Err(e)) if !is_damage(&e) => return Err(e),
            Some(Ok(connection)) => Some((connection, files.identity())),
            Some(Err(_)) | None => None,
        }
    };
    match healthy {
        Some((connection, identity)) => Ok((Open { connection, gate, identity }, None)),
        None => start_over(files, gate, None),
    }
}

/// Exchanges a ledger in which damage was met while it was in use.
pub(super) fn exchange(files: &Files, met_in: Option<Identity>, error: &Error) -> Result<(Open, Option<String>)> {
    start_over(files, Gate::open(files.folder())?, met_in.map(|file| (file, error)))
}

/// Makes a ledger where there is none that can be used, unless another process just did.
fn start_over(files: &Files, gate: Gate, met: Option<(Identity, &Error)>) -> Result<(Open, Option<String>)> {
    let pass = gate.alone()?;
    let there = files.identity();
    let known = met.filter(|(file, _)| there == Some(*file)).map(|(_, error)| error.cause().to_owned());
    let trouble = match (there, known) {
        (Some(_), Some(cause)) => Some(rescue::rescue(files, &cause)?),
        (Some(_), None) => match connect(files) {
            Err(e) if is_damage(&e) => Some(rescue::rescue(files, e.cause())?),
            other => other.map(|_| None)?,
        },
        (None, _) => rescue::begin(files)?,
    };
    let connection = connect(files)?;
    if let Some(trouble) = &trouble {
        write_down(&connection, trouble).map_err(|e| failed("recording what happened to the ledger", e))?;
    }
    let identity = files.identity();
    drop(pass);
    Ok((Open { connection, gate, identity }, trouble.map(|trouble| trouble.note)))
}

fn write_down(connection: &Connection, trouble: &rescue::Trouble) -> rusqlite::Result<()> {
    let tx = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    events::append_own(&tx, trouble.event, &trouble.detail)?;
    tx.commit()
}

/// Opens the file as it is, brings it up to date and checks it.
fn connect(files: &Files) -> Result<Connection> {
    let patience = Patience::new();
    loop {
        match try_to_connect(files) {
            Err(e) if is_busy(&e) && patience.pause() => {}
            other => return other,
        }
    }
}

fn try_to_connect(files: &Files) -> Result<Connection> {
    let main = files.main();
    let failed = |e| failed(&format!("opening {}", main.display()), e);
    let set_up = || -> rusqlite::Result<Connection> {
        let mut connection = Connection::open(main)?;
        connection.busy_handler(Some(wait_for_others))?;
        // Unlike all that comes later, the switch does not wait for other processes.
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What a busy day made of the file of recent commits is given back.
        connection.pragma_update(None, "journal_size_limit", RECENT)?;
        has_lost_its_version(&connection)?;
        Ok(connection)
    };
    let mut connection = set_up().map_err(failed)?;
    schema::bring_up_to_date(&mut connection, main)?;
    check(&connection, files).map_err(failed)?;
    Ok(connection)
}

/// Tables in a file that says it was never set up: its first page is not what it was.
fn has_lost_its_version(connection: &Connection) -> rusqlite::Result<()> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version == 0 && tables > 0 { Err(damage("it has tables, but no version")) } else { Ok(()) }
}

/// Reads both ends of each table, and measures the file.
fn check(connection: &Connection, files: &Files) -> rusqlite::Result<()> {
    let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    if files.is_cut_off(page.max(1).into()) {
        return Err(damage("it is cut off"));
    }
    let tables = schema::tables(connection)?;
    if let Some(gone) = schema::missing_among(&tables) {
        return Err(damage(&format!("its table {gone} is gone")));
    }
    for (table, has_rowid) in tables {
        let orders: &[&str] = if has_rowid { &["ORDER BY rowid", "ORDER BY rowid DESC"] } else { &[""] };
        for order in orders {
            let mut rows = connection.prepare(&format!("SELECT * FROM \"{table}\" {order} LIMIT 1"))?;
            rows.query([])?.next()?;
        }
    }
    Ok(())
}

fn damage(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(what.to_owned()))
}

/// Whether a failure means that the file does not hold what was written.
pub(super) fn is_damage(error: &Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match sqlite_error(error) {
        // Only text was ever written where text is read.
        Some(rusqlite::Error::Utf8Error(..)) => true,
        Some(e) => matches!(e.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
        None => false,
    }
}

/// Whether a failure means that another process was in the way.
pub(super) fn is_busy(error: &Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed};
    let code = sqlite_error(error).and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed))
}

fn sqlite_error(error: &Error) -> Option<&rusqlite::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
