//! Jobs: remembered, found, listed.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::record::{SELECT, text};
use super::{JobRecord, Ledger, NewJob, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{ContentHash, Handle, JobState};

/// Jobs that a beginning may fit before it is no help, and those of them that are named.
const MOST_ALIKE: usize = 200;
const MOST_NAMED: usize = 6;

/// A job found at the API that this ledger did not know.
#[derive(Debug, Clone)]
pub struct Adoption<'a> {
    /// Its name there.
    pub remote_name: &'a str,
    /// Its state.
    pub state: JobState,
    /// When the API accepted it.
    pub submitted_at: Option<DateTime<Utc>>,
}

impl Ledger {
    /// Remembers a job that is about to be submitted. If the same content and run is there already,
    /// from any process, that record is returned instead, and `false`.
    pub fn intend(&self, job: &NewJob) -> Result<(JobRecord, bool)> {
        self.write("recording a job", |tx| {
            let known = tx
                .query_row(
                    // The handle ends in the hash of content and run: it finds jobs that came back from the API.
                    &format!("{SELECT} WHERE (content_hash = ?1 AND run = ?2) OR jobs.handle LIKE '%-' || ?3"),
                    params![job.content.as_str(), job.run, job.handle.hash()],
                    JobRecord::from_row,
                )
                .optional()?;
            if let Some(known) = known {
                return Ok((known, false));
            }
            let now = text(Utc::now());
            tx.execute(
                "INSERT INTO jobs (handle, content_hash, run, model, kind, requests, input_path, input_sha256, origin, \
                 high_usd, retry_of, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'created', ?9, ?10, ?11)",
                params![
                    job.handle.as_str(),
                    job.content.as_str(),
                    job.run,
                    job.model,
                    job.kind.as_str(),
                    job.requests,
                    job.input_path,
                    job.input_sha256,
                    job.high_usd,
                    job.retry_of.as_ref().map(Handle::as_str),
                    now
                ],
            )?;
            tx.execute(
                "INSERT INTO parts (handle, part, display_name, step, step_at, state) VALUES (?1, 1, ?1, ?2, ?3, ?4)",
                params![job.handle.as_str(), Step::Intended.as_str(), now, JobState::Unsubmitted.as_str()],
            )?;
            super::events::append(tx, Some(&job.handle), "intended", &format!("{} requests", job.requests))?;
            let record =
                tx.query_row(&format!("{SELECT} WHERE jobs.handle = ?1"), [job.handle.as_str()], JobRecord::from_row)?;
            Ok((record, true))
        })
    }

    /// The newest run of this content, if any was ever recorded.
    pub fn newest_run(&self, content: &ContentHash) -> Result<Option<JobRecord>> {
        self.one(&format!("{SELECT} WHERE content_hash = ?1 ORDER BY run DESC LIMIT 1"), content.as_str())
    }

    /// The job with exactly this handle.
    pub fn job(&self, handle: &Handle) -> Result<JobRecord> {
        self.one(&format!("{SELECT} WHERE jobs.handle = ?1"), handle.as_str())?
            .ok_or_else(|| Error::internal("reading a job from the ledger", format!("{handle} is gone")))
    }

    /// Whether this handle, or another one with its hash, stands for another batch than this one at the API.
    pub fn is_another_job(&self, handle: &Handle, remote_name: &str) -> Result<bool> {
        let known = self.one(&format!("{SELECT} WHERE jobs.handle LIKE '%-' || ?1"), handle.hash())?;
        Ok(known.and_then(|job| job.remote_name).is_some_and(|name| name != remote_name))
    }

    /// The job that is this batch at the API.
    pub fn by_remote_name(&self, name: &str) -> Result<Option<JobRecord>> {
        self.one(&format!("{SELECT} WHERE remote_name = ?1"), name)
    }

    /// The job that a caller means: a handle, the readable part of one, or the unique beginning of one. What only a
    /// job and its retries share means the job.
    pub fn find(&self, asked: &str) -> Result<Option<JobRecord>> {
        if let Some(exact) = self.one(&format!("{SELECT} WHERE jobs.handle = ?1"), asked)? {
            return Ok(Some(exact));
        }
        let starts = self.read("finding a job", |connection| {
            let query = format!("{SELECT} WHERE substr(jobs.handle, 1, length(?1)) = ?1 LIMIT {MOST_ALIKE}");
            connection.prepare(&query)?.query_map([asked], JobRecord::from_row)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let (named, others): (Vec<_>, Vec<_>) = starts.into_iter().partition(|job| job.handle.slug() == asked);
        let starts = if named.is_empty() { others } else { named };
        let handles: Vec<_> = starts.iter().map(|job| job.handle.clone()).collect();
        let is_retry = |job: &JobRecord| job.retry_of.as_ref().is_some_and(|first| handles.contains(first));
        let mut firsts = starts.into_iter().filter(|job| !is_retry(job));
        match (firsts.next(), firsts.next()) {
            (only, None) if handles.len() < MOST_ALIKE => Ok(only),
            _ => {
                let names: Vec<_> = handles.iter().take(MOST_NAMED).map(Handle::as_str).collect();
                Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("finding the job {asked}"),
                    "several jobs begin like this",
                )
                .hint(format!("name one of them whole: {}", names.join(", "))))
            }
        }
    }

    /// Jobs, newest first, in these states (all, if none is given), made before a moment.
    pub fn list(&self, states: &[JobState], before: Option<DateTime<Utc>>, limit: usize) -> Result<Vec<JobRecord>> {
        let words: Vec<_> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let among = if words.is_empty() { String::new() } else { format!("AND state IN ({})", words.join(", ")) };
        let before = before.map_or("9999".to_owned(), text);
        self.read("listing jobs", |connection| {
            let mut query = connection.prepare(&format!(
                "{SELECT} WHERE created_at < ?1 {among} ORDER BY created_at DESC, jobs.handle LIMIT ?2"
            ))?;
            query.query_map(params![before, limit as i64], JobRecord::from_row)?.collect()
        })
    }

    /// The retries of a job and the retries of those, in the order in which they were made.
    pub fn retries_of(&self, handle: &Handle) -> Result<Vec<JobRecord>> {
        self.read("reading the retries of a job", |connection| {
            let mut query = connection.prepare(&format!(
                "WITH RECURSIVE line(handle) AS (SELECT handle FROM jobs WHERE retry_of = ?1 \
                 UNION SELECT jobs.handle FROM jobs JOIN line ON jobs.retry_of = line.handle) \
                 {SELECT} WHERE jobs.handle IN (SELECT handle FROM line) AND jobs.handle <> ?1 \
                 ORDER BY created_at, jobs.handle"
            ))?;
            query.query_map([handle.as_str()], JobRecord::from_row)?.collect()
        })
    }

    /// Remembers a job that was found at the API under its handle, as created.
    pub fn adopt(&self, handle: &Handle, found: &Adoption<'_>) -> Result<JobRecord> {
        self.write("adopting a job", |tx| {
            tx.execute(
                "UPDATE parts SET step = 'created', step_at = ?2, remote_name = ?3, state = ?4, submitted_at = ?5 \
                 WHERE handle = ?1",
                params![
                    handle.as_str(),
                    text(Utc::now()),
                    found.remote_name,
                    found.state.as_str(),
                    found.submitted_at.map(text)
                ],
            )?;
            tx.execute("UPDATE jobs SET origin = 'adopted' WHERE handle = ?1", [handle.as_str()])?;
            super::events::append(tx, Some(handle), "adopted", found.remote_name)
        })?;
        self.job(handle)
    }

    /// Notes that the results are whole on this machine.
    pub fn collected(&self, handle: &Handle) -> Result<()> {
        self.mark(handle, "collected_at", "collected")
    }

    /// Notes that the job was removed from the API.
    pub fn deleted(&self, handle: &Handle) -> Result<()> {
        self.mark(handle, "deleted_at", "deleted")
    }

    fn mark(&self, handle: &Handle, column: &str, event: &str) -> Result<()> {
        self.write("marking a job", |tx| {
            let sql = format!("UPDATE jobs SET {column} = ?2 WHERE handle = ?1 AND {column} IS NULL");
            if tx.execute(&sql, params![handle.as_str(), text(Utc::now())])? == 1 {
                super::events::append(tx, Some(handle), event, "")?;
            }
            Ok(())
        })
    }

    fn one(&self, sql: &str, argument: &str) -> Result<Option<JobRecord>> {
        self.read("reading a job", |connection| connection.query_row(sql, [argument], JobRecord::from_row).optional())
    }
}
