//! Of what each request file was made.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::moment::text;
use super::{JobRecord, Ledger};
use crate::error::Result;
use crate::job::Kind;
use crate::job::tokens::Counted;

/// How a request file came to be: enough to read its source rows again, in the same order, under the same keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildOrigin {
    /// The data set's path, or `job:HANDLE`. None: rows or prompts given in the call.
    pub source: Option<String>,
    /// How the data set is read.
    #[serde(default)]
    pub reading: serde_json::Value,
    /// Hash of the data set as it was, to tell whether it is still the same.
    #[serde(default)]
    pub source_hash: Option<String>,
    /// The rule that names each row, as the caller wrote it.
    pub key: Option<String>,
    /// The model the file was built for.
    pub model: Option<String>,
    /// What the requests ask for.
    pub kind: Kind,
    /// Whether the requests ask for JSON answers.
    #[serde(default)]
    pub expects_json: bool,
    /// The schema that the answers are to follow.
    #[serde(default)]
    pub response_schema: Option<serde_json::Value>,
    /// When the first of the media uploaded for it is dropped by the API.
    #[serde(default)]
    pub media_expires: Option<DateTime<Utc>>,
    /// What the API counted of some of its requests, for the model it was built for.
    #[serde(default)]
    pub counted: Option<Counted>,
    /// The larger file whose requests these are some of.
    #[serde(default)]
    pub sample_of: Option<SampleOf>,
    /// Of the requests of a retry: the mark of the call that chose them.
    #[serde(default)]
    pub retry_call: Option<String>,
}

/// The whole that a sample was taken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleOf {
    /// Where it was.
    pub path: String,
    /// Its hash.
    pub sha256: String,
    /// Requests in it.
    pub requests: i64,
}

impl BuildOrigin {
    /// That of a file that was made elsewhere.
    pub fn unknown(kind: Kind) -> Self {
        Self {
            source: None,
            reading: serde_json::Value::Null,
            source_hash: None,
            key: None,
            model: None,
            kind,
            expects_json: false,
            response_schema: None,
            media_expires: None,
            counted: None,
            sample_of: None,
            retry_call: None,
        }
    }
}

impl Ledger {
    /// Remembers the origin of the request file with this SHA-256; the newest one counts.
    pub fn remember_build(&self, sha256: &str, origin: &BuildOrigin) -> Result<()> {
        let origin = serde_json::to_string(origin).unwrap_or_default();
        self.write("recording a build", |tx| {
            tx.execute(
                "INSERT INTO builds (sha256, origin, built_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (sha256) DO UPDATE SET origin = excluded.origin, built_at = excluded.built_at",
                params![sha256, origin, text(Utc::now())],
            )?;
            Ok(())
        })
    }

    /// The origin of a job's requests, as it was when they were submitted, if they were built here. That of a job which
    /// was found at the API is the newest of its request file.
    pub fn origin_of(&self, job: &JobRecord) -> Result<Option<BuildOrigin>> {
        let sql = "SELECT coalesce(build, builds.origin) FROM jobs LEFT JOIN builds ON sha256 = input_sha256 WHERE handle = ?1";
        self.origin(sql, job.handle.as_str())
    }

    /// The newest origin of a request file, if it was built here.
    pub fn build_origin(&self, sha256: &str) -> Result<Option<BuildOrigin>> {
        self.origin("SELECT origin FROM builds WHERE sha256 = ?1", sha256)
    }

    fn origin(&self, sql: &str, of: &str) -> Result<Option<BuildOrigin>> {
        let found: Option<Option<String>> =
            self.read("reading a build", |connection| connection.query_row(sql, [of], |row| row.get(0)).optional())?;
        Ok(found.flatten().and_then(|origin| serde_json::from_str(&origin).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_remembered_by_the_hash_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let origin = BuildOrigin {
            source: Some("a.csv".into()),
            reading: serde_json::json!({"format": "csv"}),
            ..BuildOrigin::unknown(Kind::Embed)
        };
        ledger.remember_build("aa", &origin).unwrap();
        assert_eq!(ledger.build_origin("aa").unwrap(), Some(origin));
        assert_eq!(ledger.build_origin("bb").unwrap(), None);
    }
}
