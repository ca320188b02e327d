//! Reads what can still be read of a damaged ledger into a new one, row by row.
//!
//! Tables are read in the order of their row numbers, from below up to a page that cannot be read, then from above
//! down to it: what is lost is what lies on the damaged pages.

use std::ops::Range;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Statement, params, params_from_iter};

use super::files::Files;
use super::{failed, schema};
use crate::error::Result;

/// Beyond a gap of so many row numbers nothing is looked for.
const WIDEST_GAP: i64 = 1 << 32;

/// What could be read.
#[derive(Debug)]
pub(super) struct Salvaged {
    /// Jobs in the new ledger.
    pub(super) jobs: i64,
    /// Whether the new ledger has all tables.
    is_whole: bool,
}

/// The form of the new ledger before it is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// That of the damaged one, of whatever version it is; it is brought up to date like any other.
    AsItWas,
    /// The newest, filled as far as the columns are the same.
    Newest,
}

/// Fills a new database with what can be read of the damaged one, which is not changed.
pub(super) fn salvage(files: &Files) -> Result<Salvaged> {
    let old = open_damaged(files.main()).ok();
    if let Some(old) = &old {
        refuse_newer(old, files.main())?;
    }
    let salvaged = match fill(files, old.as_ref(), Shape::AsItWas) {
        Ok(salvaged) if salvaged.is_whole => salvaged,
        _ => fill(files, old.as_ref(), Shape::Newest)?,
    };
    files.rescued_whole()?;
    Ok(salvaged)
}

/// Opens what is there, as forgiving as SQLite can be, and without writing to it.
fn open_damaged(file: &Path) -> rusqlite::Result<Connection> {
    // Not read-only: the index of recent commits may have to be made anew.
    let mut old =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    old.busy_handler(Some(super::patience::wait_for_others))?;
    old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    old.pragma_update(None, "cell_size_check", true)?;
    // Lets a file be read that is shorter than it says.
    old.pragma_update(None, "writable_schema", true)?;
    old.pragma_update(None, "query_only", true)?;
    Ok(old)
}

/// A ledger of a newer version is not this program's to mend.
fn refuse_newer(old: &Connection, file: &Path) -> Result<()> {
    let failed = |e| failed("reading the damaged ledger's version", e);
    let Ok(version) = old.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)) else { return Ok(()) };
    let mut empty = Connection::open_in_memory().map_err(failed)?;
    schema::bring_up_to_date(&mut empty, file)?;
    let newest: u32 = empty.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if version <= newest {
        return Ok(());
    }
    empty.pragma_update(None, "user_version", version).map_err(failed)?;
    schema::bring_up_to_date(&mut empty, file)
}

fn fill(files: &Files, old: Option<&Connection>, shape: Shape) -> Result<Salvaged> {
    files.clear_rescued()?;
    let failed = |e| failed("saving what can be read of the damaged ledger", e);
    let mut new = Connection::open(files.being_rescued()).map_err(failed)?;
    new.pragma_update(None, "foreign_keys", false).map_err(failed)?;
    match old.filter(|_| shape == Shape::AsItWas) {
        Some(old) => like(old, &new).map_err(failed)?,
        None => schema::bring_up_to_date(&mut new, files.main())?,
    }
    if let Some(old) = old {
        copy_all(old, &new).map_err(failed)?;
    }
    schema::bring_up_to_date(&mut new, files.main())?;
    let is_whole = schema::missing_among(&schema::tables(&new).map_err(failed)?).is_none();
    let jobs = new.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).map_err(failed)?;
    new.close().map_err(|(_, e)| failed(e))?;
    Ok(Salvaged { jobs, is_whole })
}

/// Gives the new database the tables, the indices and the version of the old one.
fn like(old: &Connection, new: &Connection) -> rusqlite::Result<()> {
    let version: u32 = old.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut query = old.prepare(
        "SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite_%' AND sql LIKE 'CREATE %' \
         ORDER BY type DESC",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        new.execute(&row.get::<_, String>(0)?, [])?;
    }
    new.pragma_update(None, "user_version", version)
}

fn copy_all(old: &Connection, new: &Connection) -> rusqlite::Result<()> {
    let transaction = new.unchecked_transaction()?;
    for (table, has_rowid) in schema::tables(new)? {
        let columns = columns(new, &table)?;
        // A table that cannot be found any more has nothing to be read.
        let Ok(there) = self::columns(old, &table) else { continue };
        let both: Vec<String> = columns.into_iter().filter(|column| there.contains(column)).collect();
        if !both.is_empty() {
            Copy::new(old, new, &table, &both, has_rowid)?.run()?;
        }
    }
    mend_links(&transaction)?;
    transaction.commit()
}

/// The names of a table's columns.
pub(super) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
    query.query_map([table], |row| row.get(0))?.collect()
}

/// Makes rows fit each other again where one of two is lost. A job without a part is forgotten: how it was cut is not
/// known any more.
fn mend_links(new: &Connection) -> rusqlite::Result<()> {
    new.execute_batch(
        "DELETE FROM jobs WHERE handle NOT IN (SELECT handle FROM parts);
         DELETE FROM parts WHERE handle NOT IN (SELECT handle FROM jobs);
         UPDATE jobs SET retry_of = NULL WHERE retry_of NOT IN (SELECT handle FROM jobs);",
    )
}

/// The copying of one table.
struct Copy<'c> {
    old: &'c Connection,
    table: String,
    columns: String,
    has_rowid: bool,
    insert: Statement<'c>,
}

/// How far a scan came.
struct Scan {
    /// The last row that was read.
    last: Option<i64>,
    /// Whether there was nothing that could not be read.
    whole: bool,
}

impl<'c> Copy<'c> {
    fn new(
        old: &'c Connection,
        new: &'c Connection,
        table: &str,
        columns: &[String],
        has_rowid: bool,
    ) -> rusqlite::Result<Self> {
        let places = vec!["?"; columns.len()].join(", ");
        let columns = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let insert = new.prepare(&format!("INSERT OR IGNORE INTO \"{table}\" ({columns}) VALUES ({places})"))?;
        Ok(Self { old, table: table.to_owned(), columns, has_rowid, insert })
    }

    fn run(&mut self) -> rusqlite::Result<()> {
        if !self.has_rowid {
            self.scan("0", "", 0..i64::MAX)?;
            return Ok(());
        }
        let mut from = 0;
        loop {
            let up = self.scan("rowid", "ORDER BY rowid", from..i64::MAX)?;
            if up.whole {
                return Ok(());
            }
            let gap = up.last.map_or(from, |last| last + 1);
            let Some(beyond) = self.beyond(gap) else { return Ok(()) };
            self.scan("rowid", "ORDER BY rowid DESC", gap..beyond)?;
            from = beyond;
        }
    }

    /// Copies rows until one cannot be read. Failures of the new database are errors, those of the old one are not.
    fn scan(&mut self, number: &str, order: &str, rows: Range<i64>) -> rusqlite::Result<Scan> {
        let mut scan = Scan { last: None, whole: false };
        let within = if self.has_rowid { "WHERE rowid >= ?1 AND rowid < ?2" } else { "WHERE ?1 < ?2" };
        let sql = format!("SELECT {number}, {} FROM \"{}\" NOT INDEXED {within} {order}", self.columns, self.table);
        let Ok(mut query) = self.old.prepare(&sql) else { return Ok(scan) };
        let columns = query.column_count();
        let Ok(mut rows) = query.query(params![rows.start, rows.end]) else { return Ok(scan) };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    scan.last = row.get(0).ok();
                    let values: rusqlite::Result<Vec<Value>> = (1..columns).map(|column| row.get(column)).collect();
                    if let Ok(values) = values {
                        insert(&mut self.insert, values)?;
                    }
                }
                Ok(None) => {
                    scan.whole = true;
                    return Ok(scan);
                }
                Err(_) => return Ok(scan),
            }
        }
    }

    /// A row beyond a gap that can be read, found in growing steps.
    fn beyond(&self, gap: i64) -> Option<i64> {
        let sql = format!("SELECT rowid FROM \"{}\" NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT 1", self.table);
        let mut step = 1;
        while step < WIDEST_GAP {
            match self.old.query_row(&sql, [gap.saturating_add(step)], |row| row.get(0)) {
                Ok(row) => return Some(row),
                Err(rusqlite::Error::QueryReturnedNoRows) => return None,
                Err(_) => step *= 2,
            }
        }
        None
    }
}

/// Adds a row; one that contradicts what a row of this table may be, or another row, is no row.
fn insert(statement: &mut Statement<'_>, values: Vec<Value>) -> rusqlite::Result<()> {
    match statement.execute(params_from_iter(values)) {
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => Ok(()),
        other => other.map(drop),
    }
}
