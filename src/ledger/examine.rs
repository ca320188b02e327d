//! The ledger looked at without a change to it: nothing is made, mended, set aside or brought up to date.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::files::Files;
use super::gate::Gate;
use super::opening::is_damage;
use super::patience::wait_for_others;
use super::{failed, schema};
use crate::error::{Error, Result};

/// The version of the tables that this program makes.
pub const VERSION: u32 = schema::VERSION;

/// What was found.
#[derive(Debug)]
pub struct Examined {
    /// Where the ledger is, or would be.
    pub file: PathBuf,
    /// What is there.
    pub condition: Condition,
    /// Damaged ones that were set aside, oldest first.
    pub set_aside: Vec<PathBuf>,
    /// Whether jobs of earlier days may be missing from it.
    pub is_incomplete: bool,
}

/// What is at the ledger's place.
#[derive(Debug)]
pub enum Condition {
    /// Nothing yet: the first call that needs one makes it.
    NotThere,
    /// A ledger whose tables and indexes agree.
    Sound {
        /// The version of its tables.
        version: u32,
        /// Jobs in it.
        jobs: i64,
    },
    /// A file that does not hold what was written.
    Damaged(String),
    /// It could not be looked at.
    Unreadable(Error),
}

/// Looks at the ledger in this folder. Takes about a second for 100,000 jobs.
pub fn examine(folder: &Path) -> Examined {
    let files = Files::perhaps_in(folder);
    let condition = match files.identity() {
        None => Condition::NotThere,
        Some(_) => look(&files).unwrap_or_else(Condition::Unreadable),
    };
    Examined {
        condition,
        set_aside: files.kept(),
        is_incomplete: files.incomplete().exists(),
        file: files.main().to_owned(),
    }
}

fn look(files: &Files) -> Result<Condition> {
    let gate = Gate::open(files.folder())?;
    let _pass = gate.share()?;
    let read = || -> rusqlite::Result<Condition> {
        let mut connection = open_to_read(files.main())?;
        connection.busy_handler(Some(wait_for_others))?;
        let version = schema::version(&connection)?;
        if version > VERSION {
            // Its tables are not known here.
            return Ok(Condition::Sound { version, jobs: 0 });
        }
        let verdict: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        if verdict != "ok" {
            return Ok(Condition::Damaged(verdict));
        }
        let jobs = connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))?;
        Ok(Condition::Sound { version, jobs })
    };
    read().map_err(|e| failed("looking at it", e)).or_else(|e| match is_damage(&e) {
        true => Ok(Condition::Damaged(e.cause().to_owned())),
        false => Err(e),
    })
}

/// A connection that cannot write.
pub(super) fn open_to_read(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}
