//! The ledger of a world, changed as time or a clock would have changed it.

use rusqlite::{Connection, Params};

use super::world::World;

/// Runs one change on the ledger.
pub fn change(world: &World, sql: &str, params: impl Params) {
    let connection = Connection::open(world.path("home").join("ledger.sqlite3")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    assert!(connection.execute(sql, params).unwrap() > 0, "nothing was changed by {sql}");
}

/// A column of the first part of a job.
pub fn column(world: &World, handle: &str, column: &str) -> Option<String> {
    let connection = Connection::open(world.path("home").join("ledger.sqlite3")).unwrap();
    let sql = format!("SELECT {column} FROM parts WHERE handle = ?1 AND part = 1");
    connection.query_row(&sql, [handle], |row| row.get(0)).unwrap()
}

/// Makes a job older by so many seconds: everything that is known of its parts happened that much earlier.
pub fn age(world: &World, handle: &str, seconds: i64) {
    let columns = ["step_at", "sent_at", "submitted_at", "moved_at", "polled_at", "next_poll_at", "missing_since"];
    let earlier = columns.map(|column| format!("{column} = strftime('%Y-%m-%dT%H:%M:%f000Z', {column}, ?2)"));
    let sql = format!("UPDATE parts SET {} WHERE handle = ?1", earlier.join(", "));
    change(world, &sql, (handle, format!("-{seconds} seconds")));
}

/// Makes a job one that succeeded after so many seconds.
pub fn succeeded(world: &World, handle: &str, seconds: i64) {
    age(world, handle, seconds);
    let state = "JOB_STATE_SUCCEEDED";
    let sql = "UPDATE parts SET state = ?2, done = requests, ended_at = strftime('%Y-%m-%dT%H:%M:%f000Z', submitted_at, ?3) \
               WHERE handle = ?1";
    change(world, sql, (handle, state, format!("+{seconds} seconds")));
    change(world, "UPDATE jobs SET state = ?2 WHERE handle = ?1", (handle, state));
}
