//! The steps of a part's submission, and what is seen of it afterwards.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::events::append;
use super::jobs::bring_state_up_to_date;
use super::lease::{Holder, MINE};
use super::moment::{moment, text};
use super::record::GONE;
use super::{Ledger, PartId, Step};
use crate::error::Result;
use crate::job::JobState;

/// What the API said of a batch.
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

/// A batch found at the API that this ledger did not know.
#[derive(Debug, Clone)]
pub struct Adoption<'a> {
    /// Its name there.
    pub remote_name: &'a str,
    /// Its state.
    pub state: JobState,
    /// When the API accepted it.
    pub submitted_at: Option<DateTime<Utc>>,
}

/// Whether a step was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It was.
    Mine,
    /// Somebody else holds the lease by now, or the job was held: nothing was recorded, and nothing may be sent.
    Lost,
    /// What was sent today leaves no room for it under the daily budget.
    OverBudget,
}

impl Ledger {
    /// An upload was started by the holder of the lease: what it takes to go on with it.
    pub fn uploading(&self, part: PartId<'_>, holder: Holder<'_>, session: &str) -> Result<Turn> {
        self.write("recording an upload", |tx| {
            let sql = format!("UPDATE parts SET upload_session = ?5 WHERE handle = ?1 AND part = ?4 AND {MINE}");
            let mine =
                tx.execute(&sql, params![part.handle.as_str(), holder.lease, holder.owner, part.number, session])? == 1;
            if mine {
                append(tx, Some(part.handle), "uploading", &part.named(""))?;
            }
            Ok(turn(mine))
        })
    }

    /// The requests are at the API, sent by the holder of the lease.
    pub fn uploaded(
        &self,
        part: PartId<'_>,
        holder: Holder<'_>,
        remote_file: &str,
        expires: Option<DateTime<Utc>>,
    ) -> Result<Turn> {
        self.write("recording an upload", |tx| {
            let sql = format!(
                "UPDATE parts SET step = 'uploaded', step_at = ?5, remote_file = ?6, file_expires = ?7, upload_session = NULL \
                 WHERE handle = ?1 AND part = ?4 AND step IN ('intended', 'uploaded', 'unclear', 'creating') AND {MINE}"
            );
            let now = text(Utc::now());
            let Holder { lease, owner } = holder;
            let given = params![part.handle.as_str(), lease, owner, part.number, now, remote_file, expires.map(text)];
            let mine = tx.execute(&sql, given)? == 1;
            if mine {
                append(tx, Some(part.handle), "uploaded", &part.named(remote_file))?;
            }
            Ok(turn(mine))
        })
    }

    /// A create is about to be sent by the holder of the lease. From here on nothing is repeated without
    /// a look at the API, and the part counts as paid today: `budget` is what may be paid in a day.
    pub fn creating(&self, part: PartId<'_>, holder: Holder<'_>, budget: Option<f64>) -> Result<Turn> {
        self.write("recording a create", |tx| {
            if let Some(budget) = budget
                && super::spend::leaves_no_room(tx, part, budget)?
            {
                return Ok(Turn::OverBudget);
            }
            let sql = format!(
                "UPDATE parts SET step = 'creating', step_at = ?5, sent_at = ?5, error = NULL, not_before = NULL, waits_for = NULL \
                 WHERE handle = ?1 AND part = ?4 AND step <> 'created' AND {MINE} \
                 AND NOT (SELECT held FROM jobs WHERE jobs.handle = ?1)"
            );
            let now = text(Utc::now());
            let given = params![part.handle.as_str(), holder.lease, holder.owner, part.number, now];
            let mine = tx.execute(&sql, given)? == 1;
            if mine {
                // What the other parts cost is not what the job costs any more.
                tx.execute("UPDATE jobs SET settled_usd = NULL WHERE handle = ?1", [part.handle.as_str()])?;
                append(tx, Some(part.handle), "creating", &part.named(""))?;
            }
            Ok(turn(mine))
        })
    }

    /// The create came to an end without telling whether the batch was made. From now on the API gets its time
    /// to show it.
    pub fn unclear(&self, part: PartId<'_>) -> Result<()> {
        self.step(part, Step::Unclear, "unclear")
    }

    /// The clock was set back since this step: what is waited for starts to count anew.
    pub fn restart_step(&self, part: PartId<'_>) -> Result<()> {
        self.write("correcting a time", |tx| {
            let sql = "UPDATE parts SET step_at = ?3 WHERE handle = ?1 AND part = ?2 AND step_at > ?3";
            tx.execute(sql, params![part.handle.as_str(), part.number, text(Utc::now())])?;
            Ok(())
        })
    }

    /// The API said clearly to the holder of the lease that it did not create the batch, or it was not asked to: it may be
    /// tried again, and nothing was spent.
    pub fn refused(&self, part: PartId<'_>, holder: Holder<'_>, why: &str) -> Result<Turn> {
        self.not_sent(part, holder, "refused", Some(why))
    }

    /// The batch is certainly not at the API, although a create was sent: the holder of the lease may send it again, and
    /// nothing was spent.
    pub fn absent(&self, part: PartId<'_>, holder: Holder<'_>) -> Result<Turn> {
        self.not_sent(part, holder, "absent", None)
    }

    /// Who lost the lease does not know what its next holder has sent meanwhile.
    fn not_sent(&self, part: PartId<'_>, holder: Holder<'_>, event: &str, why: Option<&str>) -> Result<Turn> {
        self.write("recording that nothing was created", |tx| {
            let sql = format!(
                "UPDATE parts SET step = CASE WHEN remote_file IS NULL THEN 'intended' ELSE 'uploaded' END, step_at = ?5, \
                 sent_at = NULL, error = coalesce(?6, error) \
                 WHERE handle = ?1 AND part = ?4 AND step <> 'created' AND {MINE}"
            );
            let Holder { lease, owner } = holder;
            let given = params![part.handle.as_str(), lease, owner, part.number, text(Utc::now()), why];
            let mine = tx.execute(&sql, given)? == 1;
            if mine {
                bring_state_up_to_date(tx, part.handle)?;
                append(tx, Some(part.handle), event, &part.named(why.unwrap_or_default()))?;
            }
            Ok(turn(mine))
        })
    }

    /// The part is not sent before `until`, for a reason that a person can read.
    pub fn wait(&self, part: PartId<'_>, until: DateTime<Utc>, why: &str) -> Result<()> {
        self.write("recording a wait", |tx| {
            let sql = "UPDATE parts SET not_before = ?3, waits_for = ?4 WHERE handle = ?1 AND part = ?2 \
                       AND (waits_for IS NOT ?4 OR not_before IS NOT ?3)";
            let known: Option<String> = tx
                .query_row(
                    "SELECT waits_for FROM parts WHERE handle = ?1 AND part = ?2",
                    params![part.handle.as_str(), part.number],
                    |row| row.get(0),
                )
                .optional()?
                .flatten();
            tx.execute(sql, params![part.handle.as_str(), part.number, text(until), why])?;
            if known.as_deref() != Some(why) {
                append(tx, Some(part.handle), "waiting", &part.named(why))?;
            }
            Ok(())
        })
    }

    /// The uploaded requests are gone: the next attempt starts over.
    pub fn upload_lost(&self, part: PartId<'_>) -> Result<()> {
        self.write("recording a lost upload", |tx| {
            tx.execute(
                "UPDATE parts SET step = 'intended', step_at = ?3, remote_file = NULL, file_expires = NULL, \
                 upload_session = NULL WHERE handle = ?1 AND part = ?2 AND step IN ('intended', 'uploaded')",
                params![part.handle.as_str(), part.number, text(Utc::now())],
            )?;
            append(tx, Some(part.handle), "upload lost", &part.named(""))
        })
    }

    /// The uploaded requests of a part that has ended were deleted.
    pub fn upload_removed(&self, part: PartId<'_>) -> Result<()> {
        self.write("recording a deleted upload", |tx| {
            tx.execute(
                "UPDATE parts SET remote_file = NULL, file_expires = NULL WHERE handle = ?1 AND part = ?2",
                params![part.handle.as_str(), part.number],
            )?;
            append(tx, Some(part.handle), "upload deleted", &part.named(""))
        })
    }

    /// The API has the batch.
    pub fn created(&self, part: PartId<'_>, found: &Adoption<'_>) -> Result<()> {
        self.write("recording a create", |tx| {
            has_it(tx, part, found)?;
            append(tx, Some(part.handle), "created", &part.named(found.remote_name))
        })
    }

    /// The batch was found at the API under its name: it is taken for what was created.
    pub fn adopt(&self, part: PartId<'_>, found: &Adoption<'_>) -> Result<()> {
        self.write("adopting a batch", |tx| {
            // What was sent from here is this ledger's spending, also if the reply was lost.
            let not_from_here = "UPDATE jobs SET origin = 'adopted' WHERE handle = ?1 AND NOT EXISTS \
                (SELECT 1 FROM parts WHERE parts.handle = ?1 AND sent_at IS NOT NULL)";
            tx.execute(not_from_here, [part.handle.as_str()])?;
            has_it(tx, part, found)?;
            append(tx, Some(part.handle), "adopted", &part.named(found.remote_name))
        })
    }

    /// The API says that it does not know the batch. Since when it has said so.
    pub fn missing(&self, part: PartId<'_>) -> Result<DateTime<Utc>> {
        self.write("recording a missing batch", |tx| {
            let sql = "UPDATE parts SET missing_since = coalesce(missing_since, ?3) WHERE handle = ?1 AND part = ?2 \
                       RETURNING missing_since";
            let given = params![part.handle.as_str(), part.number, text(Utc::now())];
            tx.query_row(sql, given, |row| Ok(moment(row, 0)?.unwrap_or_else(Utc::now)))
        })
    }

    /// Takes note of what the API said of a batch. One that has ended stays ended, unless it had only been taken for gone.
    pub fn observe(&self, part: PartId<'_>, seen: &Observation) -> Result<()> {
        self.write("recording a state", |tx| {
            let before: Option<(String, i64, bool)> = tx
                .query_row(
                    "SELECT state, done, wire_state IS ?3 FROM parts WHERE handle = ?1 AND part = ?2",
                    params![part.handle.as_str(), part.number, GONE],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()?;
            let Some((before, done, was_gone)) = before else { return Ok(()) };
            if JobState::parse(&before).is_terminal() && !seen.state.is_terminal() && !was_gone {
                return Ok(());
            }
            let now = text(Utc::now());
            let moved = (seen.done > done).then(|| now.clone());
            let ended = seen.ended_at.map(text).or_else(|| seen.state.is_terminal().then(|| now.clone()));
            tx.execute(
                "UPDATE parts SET state = ?3, wire_state = ?4, done = max(done, ?5), failed = max(failed, ?6), error = ?7, \
                 ended_at = CASE WHEN ?11 THEN ?8 ELSE coalesce(ended_at, ?8) END, moved_at = coalesce(?9, moved_at), \
                 polled_at = ?10, missing_since = CASE WHEN ?4 = ?12 THEN missing_since END WHERE handle = ?1 AND part = ?2",
                params![
                    part.handle.as_str(),
                    part.number,
                    seen.state.as_str(),
                    seen.wire_state,
                    seen.done,
                    seen.failed,
                    seen.error,
                    ended,
                    moved,
                    now,
                    was_gone,
                    GONE
                ],
            )?;
            if before != seen.state.as_str() {
                bring_state_up_to_date(tx, part.handle)?;
                append(tx, Some(part.handle), "state", &part.named(seen.state.as_str()))?;
            }
            Ok(())
        })
    }

    fn step(&self, part: PartId<'_>, step: Step, event: &str) -> Result<()> {
        self.write("recording a step", |tx| {
            // Another process may have found the batch meanwhile.
            let sql = "UPDATE parts SET step = ?3, step_at = ?4 WHERE handle = ?1 AND part = ?2 AND step <> 'created'";
            let now = text(Utc::now());
            if tx.execute(sql, params![part.handle.as_str(), part.number, step.as_str(), now])? == 1 {
                append(tx, Some(part.handle), event, &part.named(""))?;
            }
            Ok(())
        })
    }
}

impl PartId<'_> {
    /// What happened to which part: the first one goes without saying.
    pub(super) fn named(self, what: &str) -> String {
        match (self.number, what) {
            (1, what) => what.to_owned(),
            (number, "") => format!("part {number}"),
            (number, what) => format!("part {number}: {what}"),
        }
    }
}

fn turn(mine: bool) -> Turn {
    if mine { Turn::Mine } else { Turn::Lost }
}

pub(super) fn has_it(tx: &Transaction<'_>, part: PartId<'_>, found: &Adoption<'_>) -> rusqlite::Result<()> {
    let now = Utc::now();
    no_stranger(tx, part, found.remote_name)?;
    tx.execute(
        "UPDATE parts SET step = 'created', step_at = ?3, remote_name = ?4, state = ?5, submitted_at = ?6, \
         sent_at = coalesce(sent_at, ?6), error = NULL, not_before = NULL, waits_for = NULL, upload_session = NULL, \
         next_poll_at = NULL WHERE handle = ?1 AND part = ?2",
        params![
            part.handle.as_str(),
            part.number,
            text(now),
            found.remote_name,
            found.state.as_str(),
            text(found.submitted_at.unwrap_or(now))
        ],
    )?;
    bring_state_up_to_date(tx, part.handle)
}

/// A batch that was recorded under the name it has at the API is this part: it is no job of its own any more.
fn no_stranger(tx: &Transaction<'_>, part: PartId<'_>, remote_name: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM parts WHERE remote_name = ?1 AND handle = ?1 AND handle <> ?2";
    if tx.execute(sql, params![remote_name, part.handle.as_str()])? == 1 {
        tx.execute("UPDATE jobs SET retry_of = ?2 WHERE retry_of = ?1", params![remote_name, part.handle.as_str()])?;
        tx.execute("DELETE FROM jobs WHERE handle = ?1", [remote_name])?;
    }
    Ok(())
}
