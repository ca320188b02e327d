//! The ledger as JSON, a record a line, in a form that stays.
//!
//! # The form, version 1
//!
//! One object: `format`, `version`, `exported_at`, then the lists `jobs` (each with its `parts`), `builds`, `uploads`
//! and `events`. Names are those of the ledger's columns, times RFC 3339 in UTC, costs in US dollars, absent is `null`.
//! `builds[].origin` and `jobs[].build` are objects; the detail of a `call` event is the object `call`. Later versions of
//! this program may add fields; a field that changes or goes raises the version.
//!
//! A column is in it only if it is named here, so that no secret slips in with a new one.

use std::io::Write;

use chrono::{SecondsFormat, Utc};
use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Row, params};
use serde_json::{Map, Value, json};

use super::Ledger;
use super::salvage::columns;
use crate::error::{Error, Result};
use crate::job::Handle;

/// Raised when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// Records read at once; nothing is locked while they are written.
const PAGE: i64 = 500;

/// A table, the column that orders it, how a job's rows are told, and what is exported.
struct Table {
    name: &'static str,
    key: &'static str,
    of_jobs: &'static str,
    columns: &'static [&'static str],
}

const JOBS: Table = Table {
    name: "jobs",
    key: "handle",
    of_jobs: "handle IN (SELECT value FROM json_each(?2))",
    columns: &[
        "handle",
        "content_hash",
        "run",
        "model",
        "kind",
        "requests",
        "input_path",
        "input_sha256",
        "origin",
        "state",
        "held",
        "cancelled",
        "cap_usd",
        "input_modified",
        "priority",
        "high_usd",
        "settled_usd",
        "retry_of",
        "created_at",
        "collected_at",
        "deleted_at",
        "build",
    ],
};

const PARTS: Table = Table {
    name: "parts",
    key: "part",
    of_jobs: "handle = ?2",
    columns: &[
        "part",
        "parts_in_all",
        "display_name",
        "first_byte",
        "bytes",
        "requests",
        "tokens",
        "high_usd",
        "priced_on",
        "step",
        "step_at",
        "remote_file",
        "file_expires",
        "remote_name",
        "state",
        "wire_state",
        "done",
        "failed",
        "error",
        "not_before",
        "waits_for",
        "sent_at",
        "submitted_at",
        "ended_at",
        "moved_at",
        "polled_at",
        "missing_since",
        "collected_at",
    ],
};

const BUILDS: Table = Table {
    name: "builds",
    key: "sha256",
    of_jobs: "sha256 IN (SELECT input_sha256 FROM jobs JOIN json_each(?2) ON jobs.handle = value)",
    columns: &["sha256", "origin", "built_at"],
};

const UPLOADS: Table = Table {
    name: "uploads",
    key: "rowid",
    of_jobs: "?2 IS NULL",
    columns: &["sha256", "mime", "bytes", "remote_name", "uri", "expires_at"],
};

const EVENTS: Table = Table {
    name: "events",
    key: "id",
    of_jobs: "handle IN (SELECT value FROM json_each(?2))",
    columns: &["id", "at", "handle", "event", "detail"],
};

/// What of these tables is not exported: of use to this program only, or nobody else's business.
#[cfg(test)]
const LEFT_OUT: [(&str, &str); 9] = [
    ("jobs", "hash"),
    // Whoever has it may be able to send notices.
    ("jobs", "webhook_urls"),
    // Hashes of the key.
    ("jobs", "owner"),
    ("uploads", "owner"),
    // The right to upload.
    ("parts", "upload_session"),
    ("parts", "handle"),
    ("parts", "next_poll_at"),
    ("parts", "lease_owner"),
    ("parts", "lease_until"),
];

/// How many records were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Jobs.
    pub jobs: i64,
    /// Of what request files were made.
    pub builds: i64,
    /// Media at the API.
    pub uploads: i64,
    /// Events.
    pub events: i64,
}

/// A page of records, and where the next one starts.
type Page = (Vec<Map<String, Value>>, Option<Stored>);

impl Ledger {
    /// Writes the ledger as JSON; of these jobs only, if some are named. Memory is one page, whatever the ledger.
    pub fn export(&self, sink: &mut dyn Write, only: Option<&[Handle]>) -> Result<Exported> {
        let only = only.map(|handles| json!(handles.iter().map(Handle::as_str).collect::<Vec<_>>()).to_string());
        let only = only.as_deref();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let head =
            format!("{{\"format\": \"gemini-batch-mcp ledger\", \"version\": {VERSION}, \"exported_at\": \"{now}\"");
        put(sink, &head)?;
        let exported = Exported {
            jobs: self.list_of(sink, &JOBS, only)?,
            builds: self.list_of(sink, &BUILDS, only)?,
            uploads: self.list_of(sink, &UPLOADS, only)?,
            events: self.list_of(sink, &EVENTS, only)?,
        };
        put(sink, "}\n")?;
        sink.flush().map_err(failed)?;
        Ok(exported)
    }

    fn list_of(&self, sink: &mut dyn Write, table: &Table, only: Option<&str>) -> Result<i64> {
        put(sink, &format!(",\n\"{}\": [", table.name))?;
        let mut written = 0;
        let mut next = None;
        loop {
            let (records, after) =
                self.read("exporting the ledger", |connection| page(connection, table, &next, only))?;
            for record in records {
                put(sink, if written == 0 { "\n" } else { ",\n" })?;
                put(sink, &Value::Object(record).to_string())?;
                written += 1;
            }
            if after.is_none() {
                break;
            }
            next = after;
        }
        put(sink, "\n]")?;
        Ok(written)
    }
}

fn put(sink: &mut dyn Write, text: &str) -> Result<()> {
    sink.write_all(text.as_bytes()).map_err(failed)
}

fn failed(e: std::io::Error) -> Error {
    Error::io("writing the export of the ledger", e)
}

fn page(connection: &Connection, table: &Table, after: &Option<Stored>, only: Option<&str>) -> rusqlite::Result<Page> {
    let there = columns(connection, table.name)?;
    let shown: Vec<&str> =
        table.columns.iter().copied().filter(|column| there.iter().any(|name| name == column)).collect();
    let among = if only.is_some() { table.of_jobs } else { "?2 IS NULL" };
    let sql = format!(
        "SELECT {}, {} FROM {} WHERE (?1 IS NULL OR {1} > ?1) AND {among} ORDER BY {1} LIMIT {PAGE}",
        shown.join(", "),
        table.key,
        table.name
    );
    let mut query = connection.prepare_cached(&sql)?;
    let mut rows = query.query(params![after, only])?;
    let (mut records, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let mut record = record(row, &shown)?;
        if table.name == JOBS.name {
            let handle: String = row.get(shown.len())?;
            let (parts, _) = page(connection, &PARTS, &None, Some(&handle))?;
            record.insert("parts".to_owned(), Value::from(parts.into_iter().map(Value::Object).collect::<Vec<_>>()));
        }
        records.push(record);
        last = Some(row.get(shown.len())?);
    }
    let is_full = i64::try_from(records.len()).unwrap_or(0) == PAGE;
    Ok((records, last.filter(|_| is_full)))
}

fn record(row: &Row<'_>, names: &[&str]) -> rusqlite::Result<Map<String, Value>> {
    let mut record = Map::new();
    for (column, name) in names.iter().enumerate() {
        let value = match row.get_ref(column)? {
            ValueRef::Integer(number) => Value::from(number),
            ValueRef::Real(number) => Value::from(number),
            ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text)),
            ValueRef::Null | ValueRef::Blob(_) => Value::Null,
        };
        record.insert((*name).to_owned(), value);
    }
    let parsed = |text: &Value| serde_json::from_str::<Value>(text.as_str()?).ok().filter(Value::is_object);
    for name in ["origin", "build"] {
        if let Some(origin) = record.get(name).and_then(parsed) {
            record.insert(name.to_owned(), origin);
        }
    }
    let is_call = record.get("event").is_some_and(|event| event == super::events::CALL);
    if let Some(call) = record.get("detail").filter(|_| is_call).and_then(parsed) {
        record.insert("detail".to_owned(), Value::Null);
        record.insert("call".to_owned(), call);
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_exported_or_left_out_on_purpose() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        for table in [JOBS, PARTS, BUILDS, UPLOADS, EVENTS] {
            for column in ledger.read("a test", |connection| columns(connection, table.name)).unwrap() {
                let left_out = LEFT_OUT.contains(&(table.name, column.as_str()));
                let is_exported = table.columns.contains(&column.as_str());
                assert!(left_out != is_exported, "{}.{column}: export it or leave it out, and say which", table.name);
            }
        }
    }
}
