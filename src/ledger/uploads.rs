//! Media at the API, by content, so that the same bytes are sent once.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::Ledger;
use super::moment::{text, time};
use crate::error::Result;

/// A file's content, and whose it is at the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// SHA-256 of its bytes.
    pub sha256: &'a str,
    /// Whose files these are; see [`Gemini::owner`](crate::gemini::Gemini::owner).
    pub owner: &'a str,
    /// Its MIME type.
    pub mime: &'a str,
}

/// A file at the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// `files/…`.
    pub name: String,
    /// What request lines refer to it by.
    pub uri: String,
    /// Its size.
    pub bytes: u64,
    /// When the API drops it.
    pub expires_at: DateTime<Utc>,
}

impl Ledger {
    /// The upload of this content, if it lives beyond `until`.
    pub fn upload_of(&self, content: Content<'_>, until: DateTime<Utc>) -> Result<Option<Upload>> {
        self.read("reading an upload", |connection| {
            connection
                .query_row(
                    "SELECT remote_name, uri, bytes, expires_at FROM uploads \
                     WHERE sha256 = ?1 AND owner = ?2 AND mime = ?3 AND expires_at > ?4",
                    params![content.sha256, content.owner, content.mime, text(until)],
                    |row| {
                        Ok(Upload {
                            name: row.get(0)?,
                            uri: row.get(1)?,
                            bytes: row.get::<_, i64>(2)?.unsigned_abs(),
                            expires_at: time(row.get(3)?).unwrap_or_default(),
                        })
                    },
                )
                .optional()
        })
    }

    /// Remembers the newest upload of this content; those that the API dropped by `now` are forgotten.
    pub fn remember_upload(&self, content: Content<'_>, upload: &Upload, now: DateTime<Utc>) -> Result<()> {
        self.write("recording an upload", |tx| {
            tx.execute("DELETE FROM uploads WHERE expires_at <= ?1", [text(now)])?;
            tx.execute(
                "INSERT OR REPLACE INTO uploads (sha256, owner, mime, bytes, remote_name, uri, expires_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    content.sha256,
                    content.owner,
                    content.mime,
                    i64::try_from(upload.bytes).unwrap_or(i64::MAX),
                    upload.name,
                    upload.uri,
                    text(upload.expires_at)
                ],
            )?;
            Ok(())
        })
    }

    /// Files at the API that were uploaded from here and live beyond `now`, and whether they are requests of a job that
    /// has ended.
    pub fn uploaded_files(&self, now: DateTime<Utc>) -> Result<Vec<(String, bool)>> {
        self.read("reading the uploads", |connection| {
            let ended =
                "jobs.state IN ('JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED', 'JOB_STATE_CANCELLED', 'JOB_STATE_EXPIRED')";
            let sql = format!(
                "SELECT remote_file, {ended} OR (held AND jobs.state = 'JOB_STATE_UNSUBMITTED') \
                 FROM parts JOIN jobs ON jobs.handle = parts.handle \
                 WHERE remote_file IS NOT NULL AND (file_expires IS NULL OR file_expires > ?1) \
                 UNION ALL SELECT remote_name, 0 FROM uploads WHERE expires_at > ?1"
            );
            let mut query = connection.prepare_cached(&sql)?;
            query.query_map([text(now)], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Forgets an upload that is gone, or of no use.
    pub fn forget_upload(&self, name: &str) -> Result<()> {
        self.write("forgetting an upload", |tx| {
            tx.execute("DELETE FROM uploads WHERE remote_name = ?1", [name])?;
            Ok(())
        })
    }
}
