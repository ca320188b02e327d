//! The steps of a submission and what is seen of a job afterwards.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::record::text;
use super::{Ledger, Step};
use crate::error::Result;
use crate::job::{Handle, JobState};

/// What the API said of a job.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Its state.
    pub state: JobState,
    /// The wire's own word for it.
    pub wire_state: String,
    /// Requests done.
    pub done: i64,
    /// Requests done with an error.
    pub failed: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Ledger {
    /// The request file is at the API, sent by the holder of the lease. `false` if somebody else holds it by
    /// now: then the job may have come further, and nothing is recorded.
    pub fn uploaded(
        &self,
        handle: &Handle,
        owner: &str,
        remote_file: &str,
        expires: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        self.write("recording an upload", |tx| {
            let mine = tx.execute(
                "UPDATE parts SET step = 'uploaded', step_at = ?2, remote_file = ?3, file_expires = ?4 \
                 WHERE handle = ?1 AND lease_owner = ?5",
                params![handle.as_str(), text(Utc::now()), remote_file, expires.map(text), owner],
            )?;
            if mine == 1 {
                super::events::append(tx, Some(handle), "uploaded", remote_file)?;
            }
            Ok(mine == 1)
        })
    }

    /// A create is about to be sent by the holder of the lease. From here on nothing is repeated without
    /// a look at the API. `false` if somebody else holds the lease by now: then nothing may be sent.
    pub fn creating(&self, handle: &Handle, owner: &str) -> Result<bool> {
        self.write("recording a create", |tx| {
            let mine = tx.execute(
                "UPDATE parts SET step = 'creating', step_at = ?2, error = NULL WHERE handle = ?1 AND lease_owner = ?3",
                params![handle.as_str(), text(Utc::now()), owner],
            )?;
            if mine == 1 {
                super::events::append(tx, Some(handle), "creating", "")?;
            }
            Ok(mine == 1)
        })
    }

    /// The create came to an end without telling whether the job was made. From now on the API gets its time
    /// to show it.
    pub fn unclear(&self, handle: &Handle) -> Result<()> {
        self.step(handle, Step::Unclear, "unclear", "")
    }

    /// The API said clearly that it did not create the job: it may be tried again.
    pub fn refused(&self, handle: &Handle, why: &str) -> Result<()> {
        self.write("recording a refusal", |tx| {
            tx.execute(
                "UPDATE parts SET step = 'uploaded', step_at = ?2, error = ?3 WHERE handle = ?1",
                params![handle.as_str(), text(Utc::now()), why],
            )?;
            super::events::append(tx, Some(handle), "refused", why)
        })
    }

    /// The uploaded file is gone: the next attempt starts over.
    pub fn upload_lost(&self, handle: &Handle) -> Result<()> {
        self.step(handle, Step::Intended, "upload lost", "")
    }

    /// The uploaded file of a submitted job was deleted.
    pub fn upload_removed(&self, handle: &Handle) -> Result<()> {
        self.write("recording a deleted upload", |tx| {
            tx.execute(
                "UPDATE parts SET remote_file = NULL, file_expires = NULL WHERE handle = ?1",
                [handle.as_str()],
            )?;
            super::events::append(tx, Some(handle), "upload deleted", "")
        })
    }

    /// The API has the job.
    pub fn created(
        &self,
        handle: &Handle,
        remote_name: &str,
        state: JobState,
        at: Option<DateTime<Utc>>,
    ) -> Result<()> {
        self.write("recording a create", |tx| {
            let now = Utc::now();
            tx.execute(
                "UPDATE parts SET step = 'created', step_at = ?2, remote_name = ?3, state = ?4, submitted_at = ?5 \
                 WHERE handle = ?1",
                params![handle.as_str(), text(now), remote_name, state.as_str(), text(at.unwrap_or(now))],
            )?;
            super::events::append(tx, Some(handle), "created", remote_name)
        })
    }

    /// Takes note of what the API said of a job. A job that has ended stays ended.
    pub fn observe(&self, handle: &Handle, seen: &Observation) -> Result<()> {
        self.write("recording a state", |tx| {
            let (before, done): (String, i64) =
                tx.query_row("SELECT state, done FROM parts WHERE handle = ?1", [handle.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            if JobState::parse(&before).is_terminal() && !seen.state.is_terminal() {
                return Ok(());
            }
            let moved = (seen.done > done).then(|| text(Utc::now()));
            tx.execute(
                "UPDATE parts SET state = ?2, wire_state = ?3, done = max(done, ?4), failed = max(failed, ?5), error = ?6, \
                 ended_at = ?7, moved_at = coalesce(?8, moved_at) WHERE handle = ?1",
                params![
                    handle.as_str(),
                    seen.state.as_str(),
                    seen.wire_state,
                    seen.done,
                    seen.failed,
                    seen.error,
                    seen.ended_at.map(text),
                    moved
                ],
            )?;
            if before != seen.state.as_str() {
                super::events::append(tx, Some(handle), "state", seen.state.as_str())?;
            }
            Ok(())
        })
    }

    fn step(&self, handle: &Handle, step: Step, event: &str, detail: &str) -> Result<()> {
        self.write("recording a step", |tx| {
            tx.execute(
                "UPDATE parts SET step = ?2, step_at = ?3 WHERE handle = ?1",
                params![handle.as_str(), step.as_str(), text(Utc::now())],
            )?;
            super::events::append(tx, Some(handle), event, detail)
        })
    }
}
