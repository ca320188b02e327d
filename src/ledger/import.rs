//! Jobs that the ledger does not know, put back from what is known elsewhere: the API's list, and the answers kept on
//! this machine.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::moment::text;
use super::steps::has_it;
use super::{Adoption, Ledger, PartId};
use crate::error::Result;
use crate::job::{ContentHash, Handle, JobState, Kind};

/// A batch at the API whose display name says that it is one of our jobs, or a part of one.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The job.
    pub handle: &'a Handle,
    /// Which part of it, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// Model, without `models/`.
    pub model: &'a str,
    /// What it asks for.
    pub kind: Kind,
    /// Requests in it; 0 if that is not known.
    pub requests: i64,
    /// Its name and where it stands, as far as a list tells.
    pub batch: Adoption<'a>,
}

/// A job of which only answers on this machine are left.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The job.
    pub handle: Handle,
    /// Requests in it, by its keys.
    pub requests: i64,
    /// Its parts of which there are answers.
    pub parts: Vec<KeptPart>,
}

/// The answers of a part.
#[derive(Debug, Clone, Copy)]
pub struct KeptPart {
    /// Which part, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// Result lines.
    pub lines: i64,
}

/// The model of a job of which only answers are left.
pub(super) const UNKNOWN_MODEL: &str = "unknown";

impl Ledger {
    /// Records batches found at the API, in one transaction. Those that are known already, or whose handle stands for
    /// another batch, are left alone. `owner` is whose they are at the API. How many were recorded.
    pub fn import(&self, found: &[Found<'_>], owner: &str) -> Result<i64> {
        self.write("recording jobs found at the API", |tx| {
            let mut recorded = 0;
            for batch in found {
                recorded += i64::from(import_one(tx, batch, owner)?);
            }
            Ok(recorded)
        })
    }

    /// Records jobs, or parts of jobs, that are not known as sent and have answers here. Of how many jobs some were recorded.
    pub fn import_kept(&self, kept: &[Kept]) -> Result<i64> {
        self.write("recording jobs by their answers", |tx| {
            let mut recorded = 0;
            for job in kept {
                recorded += i64::from(keep_one(tx, job)?);
            }
            Ok(recorded)
        })
    }
}

fn import_one(tx: &Transaction<'_>, found: &Found<'_>, owner: &str) -> rusqlite::Result<bool> {
    let recorded = "SELECT 1 FROM parts WHERE remote_name = ?1";
    if tx.query_row(recorded, [found.batch.remote_name], |_| Ok(())).optional()?.is_some() {
        return Ok(false);
    }
    let handle = match job_with_hash(tx, found.handle)? {
        Some(handle) => handle,
        None => {
            let made = found.batch.submitted_at.unwrap_or_else(Utc::now);
            let content = ContentHash::of_job(found.batch.remote_name, found.model, found.kind, 1);
            add_job(tx, found.handle, content.as_str(), found.model, found.kind, made, Some(owner))?;
            found.handle.clone()
        }
    };
    let part = PartId { handle: &handle, number: found.number };
    match known(tx, part, found.of, found.requests)? {
        // The handle stands for another batch, or for a job that was cut otherwise.
        Part::Other => return Ok(false),
        Part::Unsent => {}
        Part::Missing => add_part(tx, part, found.of, found.requests)?,
    }
    has_it(tx, part, &found.batch)?;
    tx.execute("UPDATE jobs SET origin = 'adopted' WHERE handle = ?1", [handle.as_str()])?;
    super::events::append(tx, Some(&handle), "adopted", &part.named(found.batch.remote_name))?;
    Ok(true)
}

fn keep_one(tx: &Transaction<'_>, job: &Kept) -> rusqlite::Result<bool> {
    let handle = match job_with_hash(tx, &job.handle)? {
        Some(handle) => handle,
        None => {
            add_job(tx, &job.handle, job.handle.as_str(), UNKNOWN_MODEL, Kind::Generate, Utc::now(), None)?;
            job.handle.clone()
        }
    };
    let now = text(Utc::now());
    let mut is_news = false;
    for kept in &job.parts {
        let part = PartId { handle: &handle, number: kept.number };
        match known(tx, part, kept.of, 0)? {
            Part::Other => continue,
            Part::Unsent => {}
            Part::Missing => add_part(tx, part, kept.of, if kept.of == 1 { job.requests } else { kept.lines })?,
        }
        // How many requests one of several parts had is not known: more than is here cannot be had.
        let all_there = kept.of > 1 || kept.lines >= job.requests;
        // Its answers came from the API, so it was there, and is to be paid for no second time.
        tx.execute(
            "UPDATE parts SET step = 'created', step_at = ?3, state = ?4, \
             collected_at = CASE WHEN ?5 THEN coalesce(collected_at, ?3) END WHERE handle = ?1 AND part = ?2",
            params![handle.as_str(), kept.number, now, JobState::Succeeded.as_str(), all_there],
        )?;
        is_news = true;
    }
    if !is_news {
        return Ok(false);
    }
    tx.execute(
        "UPDATE jobs SET origin = 'adopted', deleted_at = CASE WHEN EXISTS (SELECT 1 FROM parts WHERE parts.handle = ?1 \
         AND remote_name IS NOT NULL) THEN deleted_at ELSE coalesce(deleted_at, ?2) END, \
         collected_at = CASE WHEN (SELECT count(collected_at) = max(parts_in_all) FROM parts WHERE parts.handle = ?1) \
         THEN coalesce(collected_at, ?2) END WHERE handle = ?1",
        params![handle.as_str(), now],
    )?;
    super::jobs::bring_state_up_to_date(tx, &handle)?;
    super::events::append(tx, Some(&handle), "adopted", "by its answers on this machine")?;
    Ok(true)
}

fn add_job(
    tx: &Transaction<'_>,
    handle: &Handle,
    content: &str,
    model: &str,
    kind: Kind,
    made: DateTime<Utc>,
    owner: Option<&str>,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO jobs (handle, hash, content_hash, run, model, kind, requests, origin, created_at, owner) \
         VALUES (?1, ?2, ?3, 1, ?4, ?5, 0, 'adopted', ?6, ?7)",
        params![handle.as_str(), handle.hash(), content, model, kind.as_str(), text(made), owner],
    )?;
    Ok(())
}

/// Adds a part that was sent: where it was cut does not matter any more.
fn add_part(tx: &Transaction<'_>, part: PartId<'_>, of: u32, requests: i64) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO parts (handle, part, parts_in_all, display_name, requests, step, step_at, state) \
         VALUES (?1, ?2, ?3, ?4, ?5, 'created', ?6, ?7)",
        params![
            part.handle.as_str(),
            part.number,
            of,
            part.handle.part_name(part.number, of),
            requests,
            text(Utc::now()),
            JobState::Pending.as_str()
        ],
    )?;
    // A job that lost parts still knows how many requests it had.
    tx.execute(
        "UPDATE jobs SET requests = max(requests, (SELECT sum(requests) FROM parts WHERE parts.handle = ?1)) \
         WHERE handle = ?1",
        [part.handle.as_str()],
    )?;
    Ok(())
}

/// The job with this one's hash, whatever name stands before it.
fn job_with_hash(tx: &Transaction<'_>, handle: &Handle) -> rusqlite::Result<Option<Handle>> {
    let sql = "SELECT handle FROM jobs WHERE hash = ?1 ORDER BY handle = ?2 DESC LIMIT 1";
    let known: Option<String> = tx.query_row(sql, [handle.hash(), handle.as_str()], |row| row.get(0)).optional()?;
    Ok(known.map(Handle::from_ledger))
}

/// What is known of a part.
enum Part {
    /// Nothing.
    Missing,
    /// It was not sent, or nobody knows.
    Unsent,
    /// It is another batch, or the job was cut otherwise.
    Other,
}

fn known(tx: &Transaction<'_>, part: PartId<'_>, of: u32, requests: i64) -> rusqlite::Result<Part> {
    let cut: Option<u32> = tx
        .query_row("SELECT parts_in_all FROM parts WHERE handle = ?1 LIMIT 1", [part.handle.as_str()], |row| row.get(0))
        .optional()?;
    if cut.is_some_and(|cut| cut != of) {
        return Ok(Part::Other);
    }
    let sql = "SELECT step = 'created' OR (?3 > 0 AND requests <> ?3) FROM parts WHERE handle = ?1 AND part = ?2";
    let is_other: Option<bool> =
        tx.query_row(sql, params![part.handle.as_str(), part.number, requests], |row| row.get(0)).optional()?;
    Ok(match is_other {
        None => Part::Missing,
        Some(false) => Part::Unsent,
        Some(true) => Part::Other,
    })
}
