//! Jobs: remembered, found, listed.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::events::append;
use super::intent::is_retried;
use super::lease::{Holder, MINE};
use super::moment::text;
use super::record::{SELECT, read_jobs};
use super::{JobRecord, Ledger, PartId};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{ContentHash, Handle, JobState};

/// Jobs that a beginning may fit before it is no help, and those of them that are named.
const MOST_ALIKE: usize = 200;
const MOST_NAMED: usize = 6;

/// The order in which jobs are listed: newest first, the parts of each in their own order.
const NEWEST_FIRST: &str = "ORDER BY created_at DESC, jobs.handle, part";

impl Ledger {
    /// The newest run of this content, if any was ever recorded.
    pub fn newest_run(&self, content: &ContentHash) -> Result<Option<JobRecord>> {
        let newest = "jobs.handle = (SELECT handle FROM jobs WHERE content_hash = ?1 ORDER BY run DESC LIMIT 1)";
        self.one(&format!("{SELECT} WHERE {newest} ORDER BY part"), content.as_str())
    }

    /// The job with exactly this handle.
    pub fn job(&self, handle: &Handle) -> Result<JobRecord> {
        self.by_handle(handle)?
            .ok_or_else(|| Error::internal("reading a job from the ledger", format!("{handle} is gone")))
    }

    /// The job with exactly this handle, if there is one.
    pub fn by_handle(&self, handle: &Handle) -> Result<Option<JobRecord>> {
        self.one(&format!("{SELECT} WHERE jobs.handle = ?1 ORDER BY part"), handle.as_str())
    }

    /// A job with this hash at the end of its handle, whatever name stands before it.
    pub fn by_hash(&self, hash: &str) -> Result<Option<JobRecord>> {
        let its_job = "jobs.handle = (SELECT handle FROM jobs WHERE hash = ?1 ORDER BY handle LIMIT 1)";
        self.one(&format!("{SELECT} WHERE {its_job} ORDER BY part"), hash)
    }

    /// The job of which this is a batch at the API.
    pub fn by_remote_name(&self, name: &str) -> Result<Option<JobRecord>> {
        let its_job = "jobs.handle = (SELECT handle FROM parts WHERE remote_name = ?1)";
        self.one(&format!("{SELECT} WHERE {its_job} ORDER BY part"), name)
    }

    /// The job that a caller means: a handle, the readable part of one, or the unique beginning of one. What only a
    /// job and its retries share means the job.
    pub fn find(&self, asked: &str) -> Result<Option<JobRecord>> {
        if let Some(exact) = self.one(&format!("{SELECT} WHERE jobs.handle = ?1 ORDER BY part"), asked)? {
            return Ok(Some(exact));
        }
        let starts = self.read("finding a job", |connection| {
            let fit = "SELECT handle FROM jobs WHERE substr(handle, 1, length(?1)) = ?1 ORDER BY handle LIMIT ?2";
            let sql = format!("{SELECT} WHERE jobs.handle IN ({fit}) ORDER BY jobs.handle, part");
            read_jobs(connection, &sql, params![asked, MOST_ALIKE as i64])
        })?;
        let (named, others): (Vec<_>, Vec<_>) = starts.into_iter().partition(|job| job.handle.slug() == asked);
        let starts = if named.is_empty() { others } else { named };
        let handles: Vec<_> = starts.iter().map(|job| job.handle.clone()).collect();
        let named = |job: &JobRecord| format!("{} ({})", job.handle, job.model);
        let names: Vec<_> = starts.iter().take(MOST_NAMED).map(named).collect();
        let is_retry = |job: &JobRecord| job.retry_of.as_ref().is_some_and(|first| handles.contains(first));
        let mut firsts = starts.into_iter().filter(|job| !is_retry(job));
        match (firsts.next(), firsts.next()) {
            (only, None) if handles.len() < MOST_ALIKE => Ok(only),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("finding the job {asked}"),
                "several jobs begin like this",
            )
            .hint(format!("name one of them whole: {}", names.join(", ")))),
        }
    }

    /// Handles of the newest jobs.
    pub fn newest_handles(&self, limit: usize) -> Result<Vec<Handle>> {
        self.read("listing handles", |connection| {
            let mut query = connection.prepare_cached("SELECT handle FROM jobs ORDER BY created_at DESC LIMIT ?1")?;
            query.query_map([limit as i64], |row| row.get(0).map(Handle::from_ledger))?.collect()
        })
    }

    /// The model of the newest job of this request file.
    pub fn model_of_file(&self, sha256: &str) -> Result<Option<String>> {
        self.read("looking for the model of a file", |connection| {
            let sql = "SELECT model FROM jobs WHERE input_sha256 = ?1 ORDER BY created_at DESC LIMIT 1";
            connection.query_row(sql, [sha256], |row| row.get(0)).optional()
        })
    }

    /// How many jobs there are.
    pub fn count_jobs(&self) -> Result<i64> {
        self.read("counting jobs", |connection| connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)))
    }

    /// Jobs, newest first, in these states (all, if none is given), made before a moment.
    pub fn list(&self, states: &[JobState], before: Option<DateTime<Utc>>, limit: usize) -> Result<Vec<JobRecord>> {
        let words: Vec<_> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let among = if words.is_empty() { "TRUE".to_owned() } else { format!("state IN ({})", words.join(", ")) };
        self.page(&among, before, limit)
    }

    /// Those of them that have something to be sent as soon as there is room.
    pub fn list_waiting(&self, before: Option<DateTime<Utc>>, limit: usize) -> Result<Vec<JobRecord>> {
        let waits = "NOT held AND handle IN (SELECT handle FROM parts WHERE step IN ('intended', 'uploaded'))";
        self.page(waits, before, limit)
    }

    fn page(&self, among: &str, before: Option<DateTime<Utc>>, limit: usize) -> Result<Vec<JobRecord>> {
        let before = before.map_or("9999".to_owned(), text);
        self.read("listing jobs", |connection| {
            let page = format!(
                "SELECT handle FROM jobs WHERE created_at < ?1 AND {among} ORDER BY created_at DESC, handle LIMIT ?2"
            );
            let sql = format!("{SELECT} WHERE jobs.handle IN ({page}) {NEWEST_FIRST}");
            read_jobs(connection, &sql, params![before, limit as i64])
        })
    }

    /// Jobs of which something waits to be sent or was sent without a clear outcome, those that were wanted first
    /// coming first.
    pub fn to_be_sent(&self) -> Result<Vec<JobRecord>> {
        self.read("reading the queue", |connection| {
            // By name: what is not `created` cannot be looked up in an index.
            let open = "SELECT handle FROM parts WHERE step IN ('intended', 'uploaded', 'creating', 'unclear')";
            let sql = format!(
                "{SELECT} WHERE jobs.handle IN ({open}) AND (NOT held OR EXISTS (SELECT 1 FROM parts AS p WHERE \
                 p.handle = jobs.handle AND p.step IN ('creating', 'unclear'))) ORDER BY created_at, jobs.handle, part"
            );
            read_jobs(connection, &sql, [])
        })
    }

    /// The retries of a job and the retries of those, in the order in which they were made.
    pub fn retries_of(&self, handle: &Handle) -> Result<Vec<JobRecord>> {
        self.read("reading the retries of a job", |connection| {
            let sql = format!(
                "WITH RECURSIVE line(handle) AS (SELECT handle FROM jobs WHERE retry_of = ?1 \
                 UNION SELECT jobs.handle FROM jobs JOIN line ON jobs.retry_of = line.handle) \
                 {SELECT} WHERE jobs.handle IN (SELECT handle FROM line) AND jobs.handle <> ?1 \
                 ORDER BY created_at, jobs.handle, part"
            );
            read_jobs(connection, &sql, [handle.as_str()])
        })
    }

    /// The first job of the line that a retry belongs to; itself for one that is no retry.
    pub fn root_of(&self, job: &JobRecord) -> Result<Handle> {
        self.read("looking for the job of a retry", |connection| {
            let sql = "WITH RECURSIVE line(handle, retry_of) AS (SELECT handle, retry_of FROM jobs WHERE handle = ?1 \
                       UNION SELECT jobs.handle, jobs.retry_of FROM jobs JOIN line ON jobs.handle = line.retry_of) \
                       SELECT handle FROM line WHERE retry_of IS NULL";
            connection.query_row(sql, [job.handle.as_str()], |row| row.get(0).map(Handle::from_ledger))
        })
    }

    /// What is not sent yet is not to be sent, as the caller wants the job no more.
    pub fn cancel_waiting(&self, handle: &Handle) -> Result<()> {
        self.write("cancelling a job", |tx| {
            let sql = "UPDATE jobs SET held = 1, cancelled = 1 WHERE handle = ?1 AND NOT (held AND cancelled)";
            if tx.execute(sql, [handle.as_str()])? == 1 {
                bring_state_up_to_date(tx, handle)?;
                append(tx, Some(handle), "held", "cancelled before it was sent")?;
            }
            Ok(())
        })
    }

    /// What another call gave up is wanted all the same, unless it was cancelled or is repeated by a retry meanwhile.
    pub fn want_still(&self, handle: &Handle) -> Result<()> {
        self.write("releasing a job", |tx| {
            if is_retried(tx, &exactly(tx, handle)?)? {
                return Ok(());
            }
            let sql = "UPDATE jobs SET held = 0 WHERE handle = ?1 AND held AND NOT cancelled";
            if tx.execute(sql, [handle.as_str()])? == 1 {
                bring_state_up_to_date(tx, handle)?;
                append(tx, Some(handle), "released", "wanted by another call")?;
            }
            Ok(())
        })
    }

    /// What is not sent yet is not to be sent: the holder of the lease gives it up. Who lost the lease gives nothing up,
    /// as another is at it.
    pub fn give_up(&self, handle: &Handle, holder: Holder<'_>, why: &str) -> Result<()> {
        self.write("holding a job", |tx| {
            let sql = format!("UPDATE jobs SET held = 1 WHERE handle = ?1 AND NOT held AND {MINE}");
            if tx.execute(&sql, params![handle.as_str(), holder.lease, holder.owner])? == 1 {
                bring_state_up_to_date(tx, handle)?;
                append(tx, Some(handle), "held", why)?;
            }
            Ok(())
        })
    }

    /// Notes that the results of a part are whole on this machine.
    pub fn collected(&self, part: PartId<'_>) -> Result<()> {
        self.write("recording results", |tx| {
            let now = text(Utc::now());
            let given = params![part.handle.as_str(), part.number, now];
            let sql = "UPDATE parts SET collected_at = ?3 WHERE handle = ?1 AND part = ?2 AND collected_at IS NULL";
            if tx.execute(sql, given)? == 0 {
                return Ok(());
            }
            tx.execute(
                "UPDATE jobs SET collected_at = ?2 WHERE handle = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM parts WHERE parts.handle = ?1 AND parts.collected_at IS NULL)",
                params![part.handle.as_str(), now],
            )?;
            append(tx, Some(part.handle), "collected", &part.named(""))
        })
    }

    /// Whose it is at the API: of the key that its first part goes out with, while nobody else sends it. What was uploaded
    /// with another key is nothing to this one.
    pub fn owned_by(&self, handle: &Handle, owner: &str) -> Result<()> {
        self.write("recording whose job it is", |tx| {
            let is_sent = "EXISTS (SELECT 1 FROM parts WHERE handle = ?1 AND step NOT IN ('intended', 'uploaded'))";
            let sql = format!("UPDATE jobs SET owner = ?2 WHERE handle = ?1 AND owner IS NOT ?2 AND NOT {is_sent}");
            if tx.execute(&sql, params![handle.as_str(), owner])? == 1 {
                tx.execute(
                    "UPDATE parts SET step = 'intended', remote_file = NULL, file_expires = NULL, upload_session = NULL \
                     WHERE handle = ?1",
                    [handle.as_str()],
                )?;
            }
            Ok(())
        })
    }

    /// Notes that the job was removed from the API.
    pub fn deleted(&self, handle: &Handle) -> Result<()> {
        self.write("recording a deletion", |tx| {
            let sql = "UPDATE jobs SET deleted_at = ?2 WHERE handle = ?1 AND deleted_at IS NULL";
            if tx.execute(sql, params![handle.as_str(), text(Utc::now())])? == 1 {
                append(tx, Some(handle), "deleted", "")?;
            }
            Ok(())
        })
    }

    fn one(&self, sql: &str, argument: &str) -> Result<Option<JobRecord>> {
        self.read("reading a job", |connection| first(connection, sql, [argument]))
    }
}

pub(super) fn first(
    connection: &Connection,
    sql: &str,
    given: impl rusqlite::Params,
) -> rusqlite::Result<Option<JobRecord>> {
    Ok(read_jobs(connection, sql, given)?.into_iter().next())
}

pub(super) fn exactly(connection: &Connection, handle: &Handle) -> rusqlite::Result<JobRecord> {
    by_handle(connection, handle)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

pub(super) fn by_handle(connection: &Connection, handle: &Handle) -> rusqlite::Result<Option<JobRecord>> {
    first(connection, &format!("{SELECT} WHERE jobs.handle = ?1 ORDER BY part"), [handle.as_str()])
}

/// Keeps the state of the job as its parts make it.
pub(super) fn bring_state_up_to_date(tx: &Transaction<'_>, handle: &Handle) -> rusqlite::Result<()> {
    let state = exactly(tx, handle)?.state();
    tx.execute("UPDATE jobs SET state = ?2 WHERE handle = ?1", params![handle.as_str(), state.as_str()])?;
    Ok(())
}
