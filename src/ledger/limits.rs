//! How much of each model is enqueued, and what refusals taught of how much may be.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, params};

use super::Ledger;
use super::moment::{text, time};
use crate::error::Result;

/// What was learned is forgotten after this. The API refuses far below its limits at times (API reference §8), limits are
/// raised, others of the project end their jobs: to be refused again costs nothing, to wait for a job may take a day.
const MEMORY: TimeDelta = TimeDelta::hours(1);
/// The first pause after a refusal; it doubles with every further one.
const FIRST_PAUSE: TimeDelta = TimeDelta::minutes(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(16);

/// What is at the API and has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Enqueued {
    /// Batches of all models.
    pub batches: i64,
    /// Input tokens of those of one model, estimated.
    pub tokens: i64,
}

/// What refusals taught of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Learned {
    /// Enqueued tokens that were too many.
    pub too_many: Option<i64>,
    /// Nothing is tried before.
    pub pause_until: Option<DateTime<Utc>>,
}

impl Ledger {
    /// What this ledger's jobs have at the API under one owner. A create of unknown outcome counts.
    pub fn enqueued(&self, model: &str, owner: &str) -> Result<Enqueued> {
        self.read("adding up what is enqueued", |connection| {
            connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(CASE WHEN model = ?1 THEN tokens END), 0) \
                     FROM parts JOIN jobs ON jobs.handle = parts.handle \
                     WHERE (owner IS NULL OR owner = ?2) AND (step IN ('creating', 'unclear') OR (step = 'created' AND \
                     parts.state NOT IN ('JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED', 'JOB_STATE_CANCELLED', 'JOB_STATE_EXPIRED')))",
                )?
                .query_row(params![model, owner], |row| Ok(Enqueued { batches: row.get(0)?, tokens: row.get(1)? }))
        })
    }

    /// What refusals taught of a model, as far as it still counts.
    pub fn learned(&self, model: &str, owner: &str) -> Result<Learned> {
        let now = Utc::now();
        let found = self.read("reading a limit", |connection| {
            connection
                .prepare_cached("SELECT tokens, learned_at, pause_until FROM limits WHERE model = ?1 AND owner = ?2")?
                .query_row(params![model, owner], |row| {
                    Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
                })
                .optional()
        })?;
        let Some((tokens, learned_at, pause_until)) = found else { return Ok(Learned::default()) };
        let is_fresh = time(learned_at).is_some_and(|at| is_fresh(at, now));
        // A pause longer than any is of a clock that was set back.
        let pause_until =
            pause_until.and_then(time).filter(|until| *until > now && *until - now <= TimeDelta::hours(24));
        Ok(Learned { too_many: tokens.filter(|_| is_fresh), pause_until })
    }

    /// The API had no room: `wanted` tokens beside `enqueued` ones were too many. Returns until when nothing is tried.
    pub fn no_room(
        &self,
        model: &str,
        owner: &str,
        (enqueued, wanted): (i64, Option<i64>),
        asked: Option<TimeDelta>,
    ) -> Result<DateTime<Utc>> {
        self.write("recording a limit", |tx| {
            let known = tx
                .query_row(
                    "SELECT tokens, learned_at, refusals FROM limits WHERE model = ?1 AND owner = ?2",
                    params![model, owner],
                    |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, String>(1)?, row.get::<_, i32>(2)?)),
                )
                .optional()?;
            let (tokens, learned_at, refusals) = known.unwrap_or_default();
            let doubled = FIRST_PAUSE * 2_i32.saturating_pow(refusals.clamp(0, 8).unsigned_abs());
            let pause = asked.unwrap_or_else(|| doubled.min(LONGEST_PAUSE));
            let now = Utc::now();
            // With nothing else enqueued it says nothing of how much may be beside each other.
            let taught = wanted.filter(|_| enqueued > 0).map(|wanted| enqueued.saturating_add(wanted));
            let learned_at = time(learned_at).filter(|at| is_fresh(*at, now));
            let tokens = [tokens.filter(|_| learned_at.is_some()), taught].into_iter().flatten().min();
            let learned_at = if taught.is_some() { now } else { learned_at.unwrap_or(now) };
            tx.execute(
                "INSERT INTO limits (model, owner, tokens, learned_at, refusals, pause_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (model, owner) DO UPDATE SET tokens = excluded.tokens, learned_at = excluded.learned_at, \
                 refusals = excluded.refusals, pause_until = excluded.pause_until",
                params![model, owner, tokens, text(learned_at), refusals + 1, text(now + pause)],
            )?;
            Ok(now + pause)
        })
    }

    /// The API took a batch: pauses are over, and so many enqueued tokens are not too many.
    pub fn had_room(&self, model: &str, owner: &str, enqueued: i64) -> Result<()> {
        self.write("recording a limit", |tx| {
            tx.execute(
                "UPDATE limits SET refusals = 0, pause_until = NULL, tokens = CASE WHEN tokens > ?3 THEN tokens END \
                 WHERE model = ?1 AND owner = ?2",
                params![model, owner, enqueued],
            )?;
            Ok(())
        })
    }
}

/// Whether what was learned then counts still.
fn is_fresh(learned_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    learned_at <= now && now - learned_at < MEMORY
}
