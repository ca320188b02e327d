//! The ledger's tables and their history.
//!
//! # Versions
//!
//! 1. `jobs`, `parts`, `builds`, `events`.
//! 2. `uploads`.
//! 3. Jobs of several parts: what each part is, what it waits for, when it was looked at; the state of the job as a whole;
//!    `leases`, `limits`.
//! 4. `tasks`; since when the API says that it does not know a batch.
//! 5. Jobs that were cancelled while they waited.
//! 6. Of what a job's own requests were made, whatever is built later; `clock`.
//! 7. On which day a part was priced, if not when its job was made.
//! 8. What a job may cost at most.
//!
//! A ledger of an older version is brought up to date when it is opened; a newer one is refused, so
//! that an old program cannot drop what it does not know.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};

/// The newest version.
pub(super) const VERSION: u32 = 8;

/// The tables of the newest version.
const TABLES: [&str; 9] = ["jobs", "parts", "builds", "events", "uploads", "leases", "limits", "tasks", "clock"];

/// What leads from each version to the next.
const STEPS: [&str; VERSION as usize] = [
    "
    CREATE TABLE jobs (
        handle        TEXT PRIMARY KEY,
        -- Hash of file, model and kind, the same for every run; with the run it makes the job.
        content_hash  TEXT NOT NULL,
        run           INTEGER NOT NULL,
        model         TEXT NOT NULL,
        kind          TEXT NOT NULL,
        requests      INTEGER NOT NULL,
        input_path    TEXT,
        input_sha256  TEXT,
        -- created here, or adopted: found at the API
        origin        TEXT NOT NULL,
        high_usd      REAL,
        retry_of      TEXT REFERENCES jobs (handle),
        created_at    TEXT NOT NULL,
        collected_at  TEXT,
        deleted_at    TEXT,
        UNIQUE (content_hash, run)
    ) STRICT;
    CREATE INDEX jobs_by_age ON jobs (created_at DESC);

    -- One remote batch each. A job has part 1, and more when it had to be split.
    CREATE TABLE parts (
        handle        TEXT NOT NULL REFERENCES jobs (handle),
        part          INTEGER NOT NULL,
        display_name  TEXT NOT NULL,
        -- intended, uploaded, creating, unclear, created
        step          TEXT NOT NULL,
        step_at       TEXT NOT NULL,
        remote_file   TEXT,
        file_expires  TEXT,
        remote_name   TEXT UNIQUE,
        state         TEXT NOT NULL,
        wire_state    TEXT,
        done          INTEGER NOT NULL DEFAULT 0,
        failed        INTEGER NOT NULL DEFAULT 0,
        error         TEXT,
        submitted_at  TEXT,
        ended_at      TEXT,
        -- When `done` last grew.
        moved_at      TEXT,
        lease_owner   TEXT,
        lease_until   TEXT,
        PRIMARY KEY (handle, part)
    ) STRICT;

    -- Of what a request file was made, so that answers can be joined to it.
    CREATE TABLE builds (
        sha256        TEXT PRIMARY KEY,
        origin        TEXT NOT NULL,
        built_at      TEXT NOT NULL
    ) STRICT;

    CREATE TABLE events (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        at            TEXT NOT NULL,
        handle        TEXT,
        event         TEXT NOT NULL,
        detail        TEXT
    ) STRICT;
    CREATE INDEX events_by_job ON events (handle, id);
",
    "
    -- Media at the API, by content: the same bytes are sent once while they live there.
    CREATE TABLE uploads (
        sha256        TEXT NOT NULL,
        -- Hash of key and service: another project cannot see the file.
        owner         TEXT NOT NULL,
        mime          TEXT NOT NULL,
        bytes         INTEGER NOT NULL,
        remote_name   TEXT NOT NULL,
        uri           TEXT NOT NULL,
        expires_at    TEXT NOT NULL,
        PRIMARY KEY (sha256, owner, mime)
    ) STRICT;
",
    "
    -- The last twelve digits of the handle: what a job is found by when its name is another one.
    ALTER TABLE jobs ADD COLUMN hash TEXT;
    UPDATE jobs SET hash = substr(handle, -12);
    -- As its parts make it.
    ALTER TABLE jobs ADD COLUMN state TEXT NOT NULL DEFAULT 'JOB_STATE_UNSUBMITTED';
    UPDATE jobs SET state = coalesce((SELECT state FROM parts WHERE parts.handle = jobs.handle), state);
    -- What is not sent yet is not to be sent.
    ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    -- Before, whatever was not sent stayed so until it was asked for again.
    UPDATE jobs SET held = 1 WHERE state = 'JOB_STATE_UNSUBMITTED';
    ALTER TABLE jobs ADD COLUMN input_modified TEXT;
    ALTER TABLE jobs ADD COLUMN priority INTEGER;
    -- A JSON list.
    ALTER TABLE jobs ADD COLUMN webhook_urls TEXT;
    -- Hash of key and service: jobs of another project cannot be seen.
    ALTER TABLE jobs ADD COLUMN owner TEXT;
    -- What it cost, once that is known.
    ALTER TABLE jobs ADD COLUMN settled_usd REAL;
    CREATE INDEX jobs_by_hash ON jobs (hash);
    CREATE INDEX jobs_by_state ON jobs (state, created_at DESC);
    CREATE INDEX jobs_by_retry ON jobs (retry_of) WHERE retry_of IS NOT NULL;

    ALTER TABLE parts ADD COLUMN parts_in_all INTEGER NOT NULL DEFAULT 1;
    -- Its lines in the request file; no number of bytes: to its end.
    ALTER TABLE parts ADD COLUMN first_byte INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE parts ADD COLUMN bytes INTEGER;
    ALTER TABLE parts ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE parts ADD COLUMN tokens INTEGER;
    ALTER TABLE parts ADD COLUMN high_usd REAL;
    UPDATE parts SET (requests, high_usd) = (SELECT requests, high_usd FROM jobs WHERE jobs.handle = parts.handle);
    -- When its create was sent, whatever became of that: the day on which it is paid.
    ALTER TABLE parts ADD COLUMN sent_at TEXT;
    UPDATE parts SET sent_at = coalesce(submitted_at, step_at) WHERE step NOT IN ('intended', 'uploaded');
    -- A secret: whoever has it can write to the file.
    ALTER TABLE parts ADD COLUMN upload_session TEXT;
    ALTER TABLE parts ADD COLUMN not_before TEXT;
    ALTER TABLE parts ADD COLUMN waits_for TEXT;
    ALTER TABLE parts ADD COLUMN collected_at TEXT;
    UPDATE parts SET collected_at = (SELECT collected_at FROM jobs WHERE jobs.handle = parts.handle);
    ALTER TABLE parts ADD COLUMN polled_at TEXT;
    ALTER TABLE parts ADD COLUMN next_poll_at TEXT;
    CREATE INDEX parts_by_step ON parts (step, state);
    CREATE INDEX parts_by_day ON parts (sent_at);
    CREATE INDEX parts_by_file ON parts (remote_file) WHERE remote_file IS NOT NULL;

    -- Who is doing what right now: `job HANDLE`, `queue`.
    CREATE TABLE leases (
        name          TEXT PRIMARY KEY,
        owner         TEXT NOT NULL,
        until         TEXT NOT NULL
    ) STRICT;

    -- What refusals taught of each model.
    CREATE TABLE limits (
        model         TEXT NOT NULL,
        owner         TEXT NOT NULL,
        -- Enqueued tokens that were too many.
        tokens        INTEGER,
        learned_at    TEXT NOT NULL,
        -- Refusals since the last success, and until when nothing is tried.
        refusals      INTEGER NOT NULL DEFAULT 0,
        pause_until   TEXT,
        PRIMARY KEY (model, owner)
    ) STRICT;
",
    "
    -- Calls of tools that outlast their answer.
    CREATE TABLE tasks (
        -- A secret of its owner: whoever has both can read the outcome.
        id            TEXT PRIMARY KEY,
        -- A hash of who called, or the transport where nobody logs in.
        owner         TEXT NOT NULL,
        tool          TEXT NOT NULL,
        -- JSON, as long as the call may have to be made again.
        arguments     TEXT,
        -- working, completed, failed, cancelled
        state         TEXT NOT NULL,
        -- What the tool answered, or the error: JSON.
        outcome       TEXT,
        message       TEXT,
        created_at    TEXT NOT NULL,
        updated_at    TEXT NOT NULL,
        expires_at    TEXT NOT NULL
    ) STRICT;
    CREATE INDEX tasks_by_end ON tasks (expires_at);

    -- Since when the API says that it does not know the batch.
    ALTER TABLE parts ADD COLUMN missing_since TEXT;
",
    "
    -- It was cancelled while some of it, or all, waited to be sent.
    ALTER TABLE jobs ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;
",
    "
    -- Of what its requests were made, as it was when they were submitted: the same requests may be built of other rows.
    ALTER TABLE jobs ADD COLUMN build TEXT;
    UPDATE jobs SET build = (SELECT builds.origin FROM builds WHERE sha256 = input_sha256);

    -- How far the API's clock is ahead of this machine's, once it was found to be.
    CREATE TABLE clock (
        one           INTEGER PRIMARY KEY CHECK (one = 1),
        ahead_s       INTEGER NOT NULL
    ) STRICT;
",
    "
    -- The day of the price behind high_usd, where that is not the day on which the job was made.
    ALTER TABLE parts ADD COLUMN priced_on TEXT;
",
    "
    -- What was agreed to when it was asked for; the price may rise while it waits.
    ALTER TABLE jobs ADD COLUMN cap_usd REAL;
",
];

pub(super) fn bring_up_to_date(connection: &mut Connection, file: &Path) -> Result<()> {
    let act = format!("opening {}", file.display());
    let version = version(connection).map_err(|e| super::failed(&act, e))?;
    if version > VERSION {
        return Err(Error::new(
            ErrorKind::Ledger,
            act,
            format!("it has version {version}, this program knows versions up to {VERSION}"),
        )
        .hint("use the newer gemini-batch-mcp that wrote it, or set GEMINI_BATCH_HOME to another folder"));
    }
    if version < VERSION { migrate(connection, VERSION).map_err(|e| super::failed(&act, e)) } else { Ok(()) }
}

/// Takes the steps up to a version.
pub(super) fn migrate(connection: &mut Connection, to: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have done it meanwhile.
    let done = version(&transaction)?;
    for step in STEPS.iter().take(to as usize).skip(done as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}

/// Every table that is there, and whether its rows are numbered.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, bool)>> {
    let mut query = connection.prepare(
        "SELECT name, wr = 0 FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'",
    )?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// A table that a ledger of the newest version has, and these are without.
pub(super) fn missing_among(tables: &[(String, bool)]) -> Option<&'static str> {
    TABLES.into_iter().find(|needed| !tables.iter().any(|(table, _)| table == needed))
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// An empty ledger as an older program left it.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn of_version(folder: &Path, version: u32) -> Connection {
    let mut old = Connection::open(folder.join("ledger.sqlite3")).unwrap();
    migrate(&mut old, version).unwrap();
    old
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;
    use crate::job::JobState;
    use crate::ledger::Ledger;

    /// Overwrites the page where an index begins.
    fn damage(old: Connection, index: &str) {
        let file = old.path().unwrap().to_owned();
        let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1";
        let (page, size): (u32, u32) = old.query_row(sql, [index], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        drop(old);
        let mut file = std::fs::File::options().write(true).open(file).unwrap();
        file.seek(SeekFrom::Start(u64::from((page - 1) * size))).unwrap();
        file.write_all(&vec![0xA5; size as usize]).unwrap();
    }

    #[test]
    fn jobs_of_an_older_ledger_are_whole_and_what_was_not_sent_stays_so() {
        for is_damaged in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let old = of_version(folder.path(), 2);
            for (handle, step, state) in [
                ("sent-00000000000a", "created", "JOB_STATE_RUNNING"),
                ("not-00000000000b", "uploaded", "JOB_STATE_UNSUBMITTED"),
            ] {
                let now = "2026-11-01T00:00:00.000000Z";
                old.execute_batch(&format!(
                    "INSERT INTO jobs (handle, content_hash, run, model, kind, requests, input_sha256, origin, high_usd, created_at) \
                     VALUES ('{handle}', '{handle}', 1, 'm', 'generate', 7, 'aa', 'created', 0.5, '{now}'); \
                     INSERT INTO parts (handle, part, display_name, step, step_at, state) \
                     VALUES ('{handle}', 1, '{handle}', '{step}', '{now}', '{state}')"
                ))
                .unwrap();
            }
            if is_damaged {
                damage(old, "sqlite_autoindex_builds_1");
            }
            let ledger = Ledger::open(folder.path()).unwrap();
            assert_eq!(ledger.take_notes().is_empty(), !is_damaged);
            let sent = ledger.find("sent").unwrap().unwrap();
            assert_eq!(
                (sent.state(), sent.held, sent.requests, sent.parts[0].requests),
                (JobState::Running, false, 7, 7)
            );
            assert_eq!(ledger.list(&[JobState::Running], None, 9).unwrap().len(), 1);
            assert!(ledger.find("not").unwrap().unwrap().held);
            assert!(ledger.to_be_sent().unwrap().is_empty());
        }
    }
}
