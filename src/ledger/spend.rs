//! What is spent and what is promised, by the day.
//!
//! A part counts on the day (UTC) on which its create was sent, with its high estimate until what it cost is known.
//! What waits to be sent counts as today's: it may go out at any moment. Jobs that were made elsewhere are not this
//! ledger's spending. On a day on which the ledger was lost, nobody can tell them from its own: those of our names count,
//! at an unknown price.

use chrono::{NaiveDate, NaiveTime, Utc};
use rusqlite::{Connection, params};

use super::events::LOST;
use super::moment::text;
use super::{JobRecord, Ledger, PartId};
use crate::error::Result;
use crate::job::Handle;

/// A day's money.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spending {
    /// Sent that day: what it cost, or its high estimate where that is not known yet, in US dollars.
    pub sent_usd: f64,
    /// Waits to be sent: high estimates, in US dollars.
    pub waiting_usd: f64,
    /// Parts among both whose price is unknown; they are in neither sum.
    pub unknown: i64,
}

impl Spending {
    /// Both sums.
    pub fn total_usd(&self) -> f64 {
        self.sent_usd + self.waiting_usd
    }
}

/// What a part costs: its share of what the parts that were sent did cost, else its high estimate.
const PRICE: &str = "CASE WHEN settled_usd IS NULL OR sent_at IS NULL THEN parts.high_usd \
     ELSE settled_usd * (1.0 * parts.requests / (SELECT max(sum(sent.requests), 1) FROM parts AS sent \
     WHERE sent.handle = parts.handle AND sent.sent_at IS NOT NULL)) END";

impl Ledger {
    /// What is spent and promised today.
    pub fn spending_today(&self) -> Result<Spending> {
        self.read("adding up the day's spending", |connection| spending(connection, Utc::now().date_naive(), None))
    }

    /// Notes what a job cost, once; a correction by later results replaces it.
    pub fn settle(&self, handle: &Handle, usd: f64) -> Result<()> {
        self.write("recording a cost", |tx| {
            let sql = "UPDATE jobs SET settled_usd = ?2 WHERE handle = ?1 AND settled_usd IS NOT ?2";
            if tx.execute(sql, params![handle.as_str(), usd])? == 1 {
                super::events::append(tx, Some(handle), "settled", &format!("{usd:.6} USD"))?;
            }
            Ok(())
        })
    }
}

impl Ledger {
    /// Notes what a part that waits costs at most by the price of another day.
    pub fn reprice(&self, part: PartId<'_>, usd: f64, day: NaiveDate) -> Result<()> {
        self.write("recording a price", |tx| {
            let sql =
                "UPDATE parts SET high_usd = ?3, priced_on = ?4 WHERE handle = ?1 AND part = ?2 AND sent_at IS NULL";
            tx.execute(sql, params![part.handle.as_str(), part.number, usd, day.to_string()])?;
            super::events::append(
                tx,
                Some(part.handle),
                "priced",
                &part.named(&format!("{usd:.6} USD at most, by the price of {day}")),
            )
        })
    }
}

/// What is spent on a day, and what waits, without what waits of one job.
pub(super) fn spending(
    connection: &Connection,
    day: NaiveDate,
    without: Option<&Handle>,
) -> rusqlite::Result<Spending> {
    let start = day.and_time(NaiveTime::MIN).and_utc();
    let end = start + chrono::TimeDelta::days(1);
    let sql = format!(
        "SELECT coalesce(sum(CASE WHEN sent_at IS NOT NULL THEN usd END), 0.0), \
                coalesce(sum(CASE WHEN sent_at IS NULL THEN usd END), 0.0), \
                coalesce(sum(usd IS NULL), 0) \
         FROM (SELECT sent_at, {PRICE} AS usd FROM parts JOIN jobs ON jobs.handle = parts.handle \
               WHERE (origin = 'created' OR parts.high_usd IS NOT NULL OR (jobs.handle NOT LIKE 'batches/%' AND EXISTS \
                      (SELECT 1 FROM events WHERE {LOST} AND at >= ?1 AND at < ?2))) AND \
               ((sent_at >= ?1 AND sent_at < ?2) OR (sent_at IS NULL AND step IN ('intended', 'uploaded') AND NOT held AND jobs.handle <> ?3)))"
    );
    let without = without.map_or("", Handle::as_str);
    connection.prepare_cached(&sql)?.query_row(params![text(start), text(end), without], |row| {
        Ok(Spending { sent_usd: row.get(0)?, waiting_usd: row.get(1)?, unknown: row.get(2)? })
    })
}

/// Whether this part would take what is sent today over the budget.
pub(super) fn leaves_no_room(connection: &Connection, part: PartId<'_>, budget: f64) -> rusqlite::Result<bool> {
    let sent = spending(connection, Utc::now().date_naive(), None)?.sent_usd;
    let this: Option<f64> = connection.query_row(
        "SELECT high_usd FROM parts WHERE handle = ?1 AND part = ?2",
        params![part.handle.as_str(), part.number],
        |row| row.get(0),
    )?;
    // An unknown price keeps no budget.
    Ok(this.is_none_or(|usd| sent + usd > budget + ROUNDING))
}

/// Sums of many small prices are off by less than this.
pub(crate) const ROUNDING: f64 = 1e-9;

/// What a job is expected to cost at most, and what it did cost where that is known.
impl JobRecord {
    /// The high estimate of all parts, if the price is known.
    pub fn high_usd(&self) -> Option<f64> {
        self.parts.iter().map(|part| part.high_usd).sum()
    }
}
