//! The ledger as seen from outside the program: time that passes, and locks that others hold.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rusqlite::{Connection, params};

use super::world::World;

/// Where times stand that this machine's clock told.
const OWN_TIMES: [(&str, &str); 14] = [
    ("jobs", "created_at"),
    ("parts", "step_at"),
    ("parts", "not_before"),
    ("parts", "polled_at"),
    ("parts", "next_poll_at"),
    ("parts", "sent_at"),
    ("parts", "moved_at"),
    ("parts", "missing_since"),
    ("leases", "until"),
    ("limits", "learned_at"),
    ("limits", "pause_until"),
    ("tasks", "created_at"),
    ("tasks", "updated_at"),
    ("tasks", "expires_at"),
];

/// The ledger's file.
pub fn file(world: &World) -> PathBuf {
    world.path("home").join("ledger.sqlite3")
}

/// A connection of its own.
pub fn open(world: &World) -> Connection {
    let connection = Connection::open(file(world)).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
}

/// So much time passes, as the ledger sees it: leases run out, what was waited for is due.
pub fn time_passes(world: &World, time: Duration) {
    if has_tables(world) {
        move_times(world, -TimeDelta::from_std(time).unwrap());
    }
}

/// Whether a program came so far as to start a ledger.
fn has_tables(world: &World) -> bool {
    file(world).exists()
        && open(world).pragma_query_value(None, "user_version", |row| row.get(0)).is_ok_and(|n: i64| n > 0)
}

/// The clock of this machine was another one when everything so far was written: it was that much ahead.
pub fn move_times(world: &World, ahead: TimeDelta) {
    let connection = open(world);
    for (table, column) in OWN_TIMES {
        let select = format!("SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL");
        let rows: Vec<(i64, String)> = connection
            .prepare(&select)
            .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .unwrap();
        for (row, time) in rows {
            let moved = DateTime::parse_from_rfc3339(&time).unwrap().with_timezone(&Utc) + ahead;
            let text = moved.to_rfc3339_opts(SecondsFormat::Micros, true);
            connection
                .execute(&format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1"), params![row, text])
                .unwrap();
        }
    }
}

/// What SQLite itself says of the file.
pub fn is_sound(world: &World) -> bool {
    let said: String = open(world).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    said == "ok"
}
