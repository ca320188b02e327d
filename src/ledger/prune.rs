//! Old jobs, forgotten for good.
//!
//! A job goes only with all its relatives: the job it repeats, the retries of both, and whichever job reads its answers
//! as rows. What any of them still needs stays.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};
use serde_json::json;

use super::moment::{text, time};
use super::{Ledger, events};
use crate::error::Result;
use crate::job::outcome::counted;
use crate::job::{Handle, JobState};

/// A job that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prunable {
    /// The job.
    pub handle: Handle,
    /// Requests in it.
    pub requests: i64,
    /// How it ended.
    pub state: JobState,
    /// When.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The jobs.
    pub handles: Vec<Handle>,
    /// Their request files, as far as no other job was made of the same.
    pub inputs: Vec<String>,
}

/// A job, as far as it matters here.
struct Candidate {
    job: Prunable,
    retry_of: Option<String>,
    input_sha256: Option<String>,
    /// What its requests were made of.
    source: Option<String>,
    /// Ended long ago, in all its parts, and its answers are here or were deleted.
    is_done_with: bool,
}

impl Ledger {
    /// Jobs that ended before this moment, are collected or deleted, and that nothing which stays needs; oldest first.
    pub fn prunable(&self, before: DateTime<Utc>) -> Result<Vec<Prunable>> {
        self.read("finding old jobs", |connection| prunable(connection, before, None))
    }

    /// Forgets those of these jobs that still may go, with all that is recorded of them; that it happened is an event.
    pub fn prune(&self, handles: &[Handle], before: DateTime<Utc>) -> Result<Pruned> {
        self.write("forgetting old jobs", |tx| {
            let going = prunable(tx, before, Some(handles))?;
            let there = inputs(tx)?;
            forget(tx, &going)?;
            let left = inputs(tx)?;
            let handles = going.into_iter().map(|job| job.handle).collect();
            Ok(Pruned { handles, inputs: there.difference(&left).cloned().collect() })
        })
    }
}

/// With `named`, what is not named is needed.
fn prunable(
    connection: &Connection,
    before: DateTime<Utc>,
    named: Option<&[Handle]>,
) -> rusqlite::Result<Vec<Prunable>> {
    let mut candidates = candidates(connection, before)?;
    if let Some(named) = named.map(|named| named.iter().collect::<HashSet<_>>()) {
        candidates.iter_mut().for_each(|candidate| candidate.is_done_with &= named.contains(&candidate.job.handle));
    }
    let sources = sources(connection)?;
    let staying = staying(&candidates, &sources, before);
    let going = candidates.iter().filter(|candidate| !staying.contains(candidate.job.handle.as_str()));
    Ok(going.map(|candidate| candidate.job.clone()).collect())
}

fn candidates(connection: &Connection, before: DateTime<Utc>) -> rusqlite::Result<Vec<Candidate>> {
    let ended = JobState::ALL.iter().filter(|state| state.is_terminal()).map(|state| format!("'{}'", state.as_str()));
    let ended = ended.collect::<Vec<_>>().join(", ");
    let given_up = "(held AND step IN ('intended', 'uploaded'))";
    let mut query = connection.prepare(&format!(
        "SELECT jobs.handle, jobs.requests, retry_of, input_sha256, jobs.state, \
         max(coalesce(ended_at, moved_at, submitted_at, step_at)) AS ended, \
         jobs.state IN ({ended}) AND min(parts.state IN ({ended}) OR {given_up}) AND count(*) = max(parts_in_all) AND \
         (jobs.collected_at IS NOT NULL OR deleted_at IS NOT NULL OR min(parts.collected_at IS NOT NULL OR {given_up})), \
         CASE WHEN json_valid(build) THEN json_extract(build, '$.source') END \
         FROM jobs JOIN parts ON parts.handle = jobs.handle GROUP BY jobs.handle ORDER BY ended, jobs.handle"
    ))?;
    let rows = query.query_map([], |row| {
        let ended_at = row.get::<_, Option<String>>(5)?.and_then(time);
        Ok(Candidate {
            job: Prunable {
                handle: Handle::from_ledger(row.get(0)?),
                requests: row.get(1)?,
                state: JobState::parse(&row.get::<_, String>(4)?),
                ended_at,
            },
            retry_of: row.get(2)?,
            input_sha256: row.get(3)?,
            source: row.get(7)?,
            is_done_with: row.get(6)? && ended_at.is_some_and(|ended| ended < before),
        })
    })?;
    rows.collect()
}

/// Request files whose rows are the answers of a job: that job's name, and when the file was built.
fn sources(connection: &Connection) -> rusqlite::Result<HashMap<String, (String, DateTime<Utc>)>> {
    let mut query = connection.prepare(
        "SELECT sha256, substr(source, 5), built_at FROM \
         (SELECT sha256, built_at, json_extract(origin, '$.source') AS source FROM builds WHERE json_valid(origin)) \
         WHERE source LIKE 'job:%'",
    )?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, time(row.get(2)?).unwrap_or_default()))))?;
    rows.collect()
}

/// Those that are not done with, and whatever hangs together with them.
fn staying<'c>(
    candidates: &'c [Candidate],
    sources: &'c HashMap<String, (String, DateTime<Utc>)>,
    before: DateTime<Utc>,
) -> HashSet<&'c str> {
    let mut related: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut submitted = HashSet::new();
    for candidate in candidates {
        let handle = candidate.job.handle.as_str();
        if let Some(first) = &candidate.retry_of {
            related.entry(handle).or_default().push(first);
            related.entry(first).or_default().push(handle);
        }
        if let Some(source) = candidate.source.as_deref().and_then(|source| source.strip_prefix("job:")) {
            related.entry(handle).or_default().push(source);
        }
        if let Some(sha256) = &candidate.input_sha256 {
            submitted.insert(sha256.as_str());
            if let Some((source, _)) = sources.get(sha256) {
                related.entry(handle).or_default().push(source);
            }
        }
    }
    // A request file that was made of a job's answers not long ago may be submitted yet.
    let awaited =
        sources.iter().filter(|(sha256, (_, built_at))| *built_at >= before && !submitted.contains(sha256.as_str()));
    let awaited = awaited.map(|(_, (source, _))| source.as_str());
    let needed = candidates.iter().filter(|candidate| !candidate.is_done_with);
    let mut next: Vec<&str> = needed.map(|candidate| candidate.job.handle.as_str()).chain(awaited).collect();
    let mut staying = HashSet::new();
    while let Some(handle) = next.pop() {
        if staying.insert(handle) {
            next.extend(related.get(handle).into_iter().flatten());
        }
    }
    staying
}

fn inputs(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut query = connection.prepare("SELECT DISTINCT input_path FROM jobs WHERE input_path IS NOT NULL")?;
    query.query_map([], |row| row.get(0))?.collect()
}

fn forget(tx: &Transaction<'_>, jobs: &[Prunable]) -> rusqlite::Result<()> {
    let handles = json!(jobs.iter().map(|job| job.handle.as_str()).collect::<Vec<_>>()).to_string();
    tx.execute("DELETE FROM events WHERE handle IN (SELECT value FROM json_each(?1))", [&handles])?;
    for (table, column) in referring(tx)? {
        let sql = format!("DELETE FROM \"{table}\" WHERE \"{column}\" IN (SELECT value FROM json_each(?1))");
        tx.execute(&sql, [&handles])?;
    }
    tx.execute("DELETE FROM jobs WHERE handle IN (SELECT value FROM json_each(?1))", [&handles])?;
    for job in jobs {
        let ended = job.ended_at.map_or(String::new(), |ended| format!(", ended {}", text(ended)));
        let detail = format!("{}{ended}, {}", counted(job.requests, "request"), job.state);
        events::append(tx, Some(&job.handle), "pruned", &detail)?;
    }
    Ok(())
}

/// Every column of other tables that names a job.
fn referring(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut query = connection.prepare(
        "SELECT tables.name, keys.\"from\" FROM sqlite_schema AS tables, pragma_foreign_key_list(tables.name) AS keys \
         WHERE tables.type = 'table' AND keys.\"table\" = 'jobs' AND tables.name <> 'jobs'",
    )?;
    query.query_map(params![], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
