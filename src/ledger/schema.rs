//! The ledger's tables and their history.
//!
//! # Versions
//!
//! 1. `jobs`, `parts`, `builds`, `events`.
//! 2. `uploads`.
//!
//! A ledger of an older version is brought up to date when it is opened; a newer one is refused, so
//! that an old program cannot drop what it does not know.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};

/// The newest version.
const VERSION: u32 = 2;

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
    if version < VERSION { migrate(connection).map_err(|e| super::failed(&act, e)) } else { Ok(()) }
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have done it meanwhile.
    let done = version(&transaction)?;
    for step in STEPS.iter().skip(done as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
