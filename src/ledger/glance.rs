//! A glance at the ledger that never waits and never writes into it: how much runs, what ended, what today cost.
//!
//! Which ends somebody was told of is in a small file beside the ledger, `ledger.seen`, a handle a line, and in another,
//! `ledger.unseen`, which answers came home where nobody looked: a status bar asks several times a second, and nothing of
//! that may hold up a process that works.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;

use super::examine::open_to_read;
use super::failed;
use super::files::Files;
use super::gate::Gate;
use super::moment::text;
use super::spend::{Spending, spending};
use crate::error::{Error, Result};
use crate::job::JobState;

/// A job that was made before that is no news, whoever was told of it. It lives two days at most, and each one more in
/// question has to be looked at.
const NEWS: TimeDelta = TimeDelta::days(7);
/// From here on such a file is cut to its newer half: some ten thousand of them.
const LONGEST: usize = 512 * 1024;
/// Pages that are kept.
const FEW_PAGES: i64 = 16;
/// The version from which on jobs have a state of their own.
const JOBS_HAVE_STATES: u32 = 3;

/// What a glance shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Glance {
    /// Jobs of which something is at the API and has not ended.
    pub running: i64,
    /// Jobs of which nothing is sent yet, and which go out by themselves.
    pub waiting: i64,
    /// Requests in those that run.
    pub requests: i64,
    /// Those that are done.
    pub done: i64,
    /// Jobs that succeeded, whose answers nobody fetched, and of which nobody was told.
    pub succeeded: usize,
    /// Jobs that failed or expired, of which nobody was told.
    pub failed: usize,
    /// Today's money.
    pub today: Spending,
}

/// Glances at the ledger in this folder. `None`: there is none, or somebody is exchanging it.
pub fn glance(folder: &Path) -> Result<Option<Glance>> {
    let files = Files::perhaps_in(folder);
    if files.identity().is_none() {
        return Ok(None);
    }
    let gate = Gate::open(folder)?;
    let Some(_pass) = gate.share_now() else { return Ok(None) };
    let look = || -> rusqlite::Result<Option<Glance>> {
        let connection = open_to_read(files.main())?;
        // Each page is wanted once: to get memory for it takes longer than to read it.
        connection.pragma_update(None, "cache_size", FEW_PAGES)?;
        if super::schema::version(&connection)? < JOBS_HAVE_STATES {
            return Ok(None);
        }
        read(&connection, folder, Utc::now()).map(Some)
    };
    look().or_else(|e| match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Ok(None),
        _ => Err(failed("glancing at it", e)),
    })
}

fn read(connection: &Connection, folder: &Path, now: DateTime<Utc>) -> rusqlite::Result<Glance> {
    let mut glance = Glance { today: spending(connection, now.date_naive(), None)?, ..Glance::default() };
    (glance.running, glance.waiting, glance.requests, glance.done) = connection.query_row(
        "SELECT count(DISTINCT CASE WHEN jobs.state <> 'JOB_STATE_UNSUBMITTED' THEN jobs.handle END), \
         count(DISTINCT CASE WHEN jobs.state = 'JOB_STATE_UNSUBMITTED' THEN jobs.handle END), \
         coalesce(sum(CASE WHEN jobs.state <> 'JOB_STATE_UNSUBMITTED' THEN parts.requests END), 0), \
         coalesce(sum(CASE WHEN jobs.state <> 'JOB_STATE_UNSUBMITTED' THEN parts.done END), 0) \
         FROM jobs JOIN parts ON parts.handle = jobs.handle WHERE jobs.state IN \
         ('JOB_STATE_PENDING', 'JOB_STATE_RUNNING', 'JOB_STATE_UNKNOWN', 'JOB_STATE_UNSUBMITTED') \
         AND NOT (held AND jobs.state = 'JOB_STATE_UNSUBMITTED')",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let mut ended = connection.prepare(
        "SELECT handle, state, collected_at IS NOT NULL FROM jobs WHERE \
         state IN ('JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED', 'JOB_STATE_EXPIRED') \
         AND created_at >= ?1 AND deleted_at IS NULL",
    )?;
    let mut rows = ended.query([text(now - NEWS)])?;
    // Usually there is no such job, and the files are not read.
    let (mut seen, mut unseen) = (None, None);
    while let Some(row) = rows.next()? {
        let (handle, state, is_here): (String, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // Whoever fetched the answers knows of the end.
        let is_known = is_here && !unseen.get_or_insert_with(|| Noted::read(folder, UNSEEN)).handles.contains(&handle);
        if is_known || seen.get_or_insert_with(|| Noted::read(folder, SEEN)).handles.contains(&handle) {
            continue;
        }
        match JobState::parse(&state) {
            JobState::Succeeded => glance.succeeded += 1,
            _ => glance.failed += 1,
        }
    }
    Ok(glance)
}

/// Notes that somebody was told that these jobs have ended.
pub fn told(folder: &Path, handles: &[&str]) -> Result<()> {
    note(folder, SEEN, handles)
}

/// Notes that the answers of this job come home where nobody looks: its end is news all the same.
pub fn fetched_unseen(folder: &Path, handle: &str) -> Result<()> {
    note(folder, UNSEEN, &[handle])
}

fn note(folder: &Path, name: &str, handles: &[&str]) -> Result<()> {
    if handles.is_empty() {
        return Ok(());
    }
    let mut noted = Noted::read(folder, name);
    let news: Vec<&str> = handles.iter().copied().filter(|handle| !noted.handles.contains(*handle)).collect();
    if news.is_empty() {
        return Ok(());
    }
    let lines: String = news.iter().flat_map(|handle| [*handle, "\n"]).collect();
    noted.add(&lines).map_err(|e| Error::io(format!("writing {}", noted.file.display()), e))
}

const SEEN: &str = "ledger.seen";
const UNSEEN: &str = "ledger.unseen";

/// A file of handles.
struct Noted {
    file: PathBuf,
    text: String,
    handles: HashSet<String>,
}

impl Noted {
    /// One that cannot be read is as good as none.
    fn read(folder: &Path, name: &str) -> Self {
        let file = folder.join(name);
        let text = fs::read_to_string(&file).unwrap_or_default();
        let handles = text.lines().map(str::to_owned).collect();
        Self { file, text, handles }
    }

    fn add(&mut self, lines: &str) -> std::io::Result<()> {
        if self.text.len() <= LONGEST {
            // At once, so that two who add do not mix their lines.
            return OpenOptions::new().append(true).create(true).open(&self.file)?.write_all(lines.as_bytes());
        }
        let newer = self.text.lines().skip(self.handles.len() / 2).flat_map(|line| [line, "\n"]);
        fs::write(&self.file, newer.chain([lines]).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_ends_stays_small_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let handle = |n: usize| format!("products-{n:012x}");
        let all: Vec<String> = (0..30_000).map(handle).collect();
        told(folder.path(), &all.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        told(folder.path(), &["one-more"]).unwrap();
        let seen = Noted::read(folder.path(), SEEN);
        assert!(seen.text.len() < LONGEST);
        assert!(seen.handles.contains("one-more") && seen.handles.contains(&handle(29_999)));
        told(folder.path(), &["one-more"]).unwrap();
        assert_eq!(Noted::read(folder.path(), SEEN).text, seen.text);
    }
}
