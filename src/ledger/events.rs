//! The log of what happened, only ever appended to. Never holds content or keys.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::Ledger;
use super::record::{text, time};
use crate::error::Result;
use crate::job::Handle;

/// What stands in the place of a handle where an event is about the ledger itself.
const LEDGER: &str = "ledger";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, RFC 3339.
    pub at: String,
    /// What happened: intended, uploaded, creating, unclear, created, refused, adopted, state, collected, deleted.
    pub event: String,
    /// To what, or how.
    pub detail: String,
}

impl Ledger {
    /// What happened to the ledger itself, oldest first: set aside, lost, rebuilt.
    pub fn own_events(&self) -> Result<Vec<Event>> {
        self.events(&Handle::from_ledger(LEDGER.to_owned()))
    }

    /// When the ledger was damaged or gone last: whatever was being submitted shortly before may not be known here.
    pub fn lost_at(&self) -> Result<Option<DateTime<Utc>>> {
        let lost = self.own_events()?.into_iter().rfind(|event| matches!(event.event.as_str(), "set aside" | "lost"));
        Ok(lost.and_then(|event| time(event.at)))
    }

    /// What happened to a job, oldest first.
    pub fn events(&self, handle: &Handle) -> Result<Vec<Event>> {
        self.read("reading events", |connection| {
            let mut query = connection.prepare("SELECT at, event, detail FROM events WHERE handle = ?1 ORDER BY id")?;
            query
                .query_map([handle.as_str()], |row| {
                    Ok(Event {
                        at: row.get(0)?,
                        event: row.get(1)?,
                        detail: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
                    })
                })?
                .collect()
        })
    }
}

/// Adds an event of the ledger itself.
pub(super) fn append_own(tx: &Transaction<'_>, event: &str, detail: &str) -> rusqlite::Result<()> {
    append(tx, Some(&Handle::from_ledger(LEDGER.to_owned())), event, detail)
}

pub(super) fn append(tx: &Transaction<'_>, handle: Option<&Handle>, event: &str, detail: &str) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO events (at, handle, event, detail) VALUES (?1, ?2, ?3, ?4)",
        params![text(Utc::now()), handle.map(Handle::as_str), event, detail],
    )?;
    Ok(())
}
