//! How long batches of a model took before.

use chrono::TimeDelta;
use rusqlite::{Row, params};

use super::moment::time;
use super::{JobRecord, Ledger};
use crate::error::Result;

/// The newest jobs that are looked through, and how many batches among them are enough to tell.
const NEWEST: i64 = 500;
const ENOUGH: i64 = 20;
/// A batch is of like size within this factor.
const ALIKE: i64 = 3;

/// A batch that went well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Past {
    /// Requests in it.
    pub requests: i64,
    /// From its submission to its end.
    pub took: TimeDelta,
    /// From its submission until it was first seen running, where it was.
    pub waited: Option<TimeDelta>,
}

impl Ledger {
    /// The newest batches of jobs that succeeded with the same model and kind as this one, and with about so many
    /// requests.
    pub fn past(&self, like: &JobRecord, requests: i64) -> Result<Vec<Past>> {
        self.read("reading how jobs went before", |connection| {
            let mut query = connection.prepare_cached(
                "SELECT parts.requests, submitted_at, ended_at, (SELECT min(at) FROM events WHERE events.handle = \
                 parts.handle AND event = 'state' AND detail = CASE part WHEN 1 THEN 'JOB_STATE_RUNNING' \
                 ELSE 'part ' || part || ': JOB_STATE_RUNNING' END) \
                 FROM (SELECT handle, model, kind, created_at FROM jobs WHERE state = 'JOB_STATE_SUCCEEDED' \
                 ORDER BY created_at DESC LIMIT ?5) AS ended JOIN parts ON parts.handle = ended.handle \
                 WHERE model = ?1 AND kind = ?2 AND parts.requests BETWEEN ?3 AND ?4 AND submitted_at IS NOT NULL \
                 AND ended_at IS NOT NULL ORDER BY ended.created_at DESC LIMIT ?6",
            )?;
            let (least, most) = (requests / ALIKE, requests.saturating_mul(ALIKE));
            let given = params![like.model, like.kind.as_str(), least, most, NEWEST, ENOUGH];
            let rows = query.query_map(given, past)?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows.into_iter().flatten().collect())
        })
    }
}

/// `None` where the times make no sense: clocks differ.
fn past(row: &Row<'_>) -> rusqlite::Result<Option<Past>> {
    let moment = |column| row.get::<_, Option<String>>(column).map(|text| text.and_then(time));
    let (submitted, ended, running) = (moment(1)?, moment(2)?, moment(3)?);
    let (Some(submitted), Some(ended)) = (submitted, ended) else { return Ok(None) };
    let waited = running.filter(|running| *running >= submitted && *running < ended).map(|running| running - submitted);
    Ok((ended > submitted).then_some(Past { requests: row.get(0)?, took: ended - submitted, waited }))
}
