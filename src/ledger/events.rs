//! The log of what happened, only ever appended to. Never holds content or keys.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Ledger;
use super::moment::{text, time};
use crate::error::Result;
use crate::job::Handle;

/// The event of a call of the API; its detail is a [`CallDetail`](super::calls::CallDetail).
pub(super) const CALL: &str = "call";

/// What stands in the place of a handle where an event is about the ledger itself.
const LEDGER: &str = "ledger";
/// Tells, in SQL, which events say that the ledger was damaged or gone.
pub(super) const LOST: &str = "events.handle = 'ledger' AND event IN ('set aside', 'lost')";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, RFC 3339.
    pub at: String,
    /// The job; `ledger` for what is about the ledger itself; empty where no job is known.
    pub handle: String,
    /// What happened: intended, uploaded, creating, unclear, created, refused, adopted, state, collected, written, deleted, call;
    /// of the ledger itself: set aside, lost, rebuilt.
    pub event: String,
    /// To what, or how.
    pub detail: String,
}

impl Event {
    /// Reads `at, handle, event, detail`.
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            at: row.get(0)?,
            handle: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            event: row.get(2)?,
            detail: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        })
    }
}

/// Which events of some jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The newest so many; all, if there is no such number.
    pub newest: Option<usize>,
    /// Calls of the API, too.
    pub calls: bool,
}

/// Events, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Events {
    /// Those asked for.
    pub events: Vec<Event>,
    /// How many older ones there are besides.
    pub older: i64,
    /// How many calls of the API were left out.
    pub calls: i64,
}

/// All answers of a job were written to a file, which its detail names.
const WRITTEN: &str = "written";

impl Ledger {
    /// Notes that all answers of a job are in this file.
    pub fn written(&self, handle: &Handle, file: &str) -> Result<()> {
        self.write("recording where answers are", |tx| append(tx, Some(handle), WRITTEN, file))
    }

    /// The file that all answers of a job were written to last.
    pub fn last_written(&self, handle: &Handle) -> Result<Option<String>> {
        self.read("looking for answers that were written", |connection| {
            let sql = "SELECT detail FROM events WHERE handle = ?1 AND event = ?2 ORDER BY id DESC LIMIT 1";
            connection.query_row(sql, params![handle.as_str(), WRITTEN], |row| row.get(0)).optional()
        })
    }

    /// The jobs whose answers were written to some file.
    pub fn written_jobs(&self) -> Result<HashSet<Handle>> {
        self.read("looking for answers that were written", |connection| {
            let mut query = connection.prepare_cached("SELECT DISTINCT handle FROM events WHERE event = ?1")?;
            query.query_map([WRITTEN], |row| row.get(0).map(Handle::from_ledger))?.collect()
        })
    }

    /// What happened to a job, oldest first, without calls of the API.
    pub fn events(&self, handle: &Handle) -> Result<Vec<Event>> {
        let asked = Asked { newest: None, calls: false };
        Ok(self.events_of(std::slice::from_ref(handle), asked)?.events)
    }

    /// What happened to these jobs, oldest first.
    pub fn events_of(&self, handles: &[Handle], asked: Asked) -> Result<Events> {
        self.read("reading events", |connection| {
            let mut found: Vec<(i64, Event)> = Vec::new();
            let mut events = Events::default();
            let newest = asked.newest.map_or(-1, |newest| i64::try_from(newest).unwrap_or(i64::MAX));
            let mut query = connection.prepare(&format!(
                "SELECT at, handle, event, detail, id FROM events WHERE handle = ?1 AND (?2 OR event <> '{CALL}') \
                 ORDER BY id DESC LIMIT ?3"
            ))?;
            let mut count = connection.prepare(&format!(
                "SELECT count(*) FILTER (WHERE event <> '{CALL}'), count(*) FILTER (WHERE event = '{CALL}') \
                 FROM events WHERE handle = ?1"
            ))?;
            for handle in handles {
                let rows = query.query_map(params![handle.as_str(), asked.calls, newest], |row| {
                    Ok((row.get(4)?, Event::from_row(row)?))
                })?;
                found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
                let (others, calls): (i64, i64) =
                    count.query_row([handle.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
                events.older += others + if asked.calls { calls } else { 0 };
                events.calls += if asked.calls { 0 } else { calls };
            }
            found.sort_by_key(|(id, _)| *id);
            let shown = asked.newest.map_or(found.len(), |newest| newest.min(found.len()));
            events.older -= i64::try_from(shown).unwrap_or(i64::MAX);
            events.events = found.split_off(found.len() - shown).into_iter().map(|(_, event)| event).collect();
            Ok(events)
        })
    }

    /// What happened to the ledger itself, oldest first.
    pub fn own_events(&self) -> Result<Vec<Event>> {
        self.events(&Handle::from_ledger(LEDGER.to_owned()))
    }

    /// When the ledger was damaged or gone last: whatever was being submitted shortly before may not be known here.
    pub fn lost_at(&self) -> Result<Option<DateTime<Utc>>> {
        let lost = self.own_events()?.into_iter().rfind(|event| matches!(event.event.as_str(), "set aside" | "lost"));
        Ok(lost.and_then(|event| time(event.at)))
    }
}

/// Adds an event of the ledger itself.
pub(super) fn append_own(tx: &Transaction<'_>, event: &str, detail: &str) -> rusqlite::Result<()> {
    append(tx, Some(&Handle::from_ledger(LEDGER.to_owned())), event, detail)
}

pub(super) fn append(tx: &Transaction<'_>, handle: Option<&Handle>, event: &str, detail: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO events (at, handle, event, detail) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        text(Utc::now()),
        handle.map(Handle::as_str),
        event,
        detail
    ])?;
    Ok(())
}
