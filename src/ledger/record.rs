//! What the ledger knows of one job.

use chrono::{DateTime, Utc};
use rusqlite::Row;

use crate::job::{ContentHash, Handle, JobState, Kind};

/// How far a submission has come. Each step is on disk before the next one touches the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Wanted; nothing was sent.
    Intended,
    /// The request file is at the API.
    Uploaded,
    /// A create was sent or is about to be, and may still be under way; whether it arrived is not known.
    Creating,
    /// A create was sent and came to an end; whether it arrived is not known.
    Unclear,
    /// The API has the job.
    Created,
}

impl Step {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Uploaded => "uploaded",
            Self::Creating => "creating",
            Self::Unclear => "unclear",
            Self::Created => "created",
        }
    }

    /// An unknown word is taken for the step in which nothing may be repeated.
    fn parse(text: &str) -> Self {
        match text {
            "intended" => Self::Intended,
            "uploaded" => Self::Uploaded,
            "unclear" => Self::Unclear,
            "created" => Self::Created,
            _ => Self::Creating,
        }
    }
}

/// A job to be remembered.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its handle, also its display name at the API.
    pub handle: Handle,
    /// Hash of what it is, without the run.
    pub content: ContentHash,
    /// Which deliberate repetition of this content, from 1.
    pub run: u32,
    /// Model, without `models/`.
    pub model: String,
    /// What it asks for.
    pub kind: Kind,
    /// Requests in it.
    pub requests: i64,
    /// Request file.
    pub input_path: Option<String>,
    /// Its SHA-256.
    pub input_sha256: Option<String>,
    /// The high estimate, if the price is known.
    pub high_usd: Option<f64>,
    /// The job whose requests without an answer it repeats.
    pub retry_of: Option<Handle>,
}

/// A job as the ledger knows it.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Handle.
    pub handle: Handle,
    /// Model.
    pub model: String,
    /// What it asks for.
    pub kind: Kind,
    /// Requests in it.
    pub requests: i64,
    /// Which run of its content.
    pub run: u32,
    /// Request file it was made from.
    pub input_path: Option<String>,
    /// That file's SHA-256.
    pub input_sha256: Option<String>,
    /// When it was first recorded.
    pub created_at: DateTime<Utc>,
    /// When its results were first complete on this machine.
    pub collected_at: Option<DateTime<Utc>>,
    /// When it was removed from the API.
    pub deleted_at: Option<DateTime<Utc>>,
    /// How far its submission has come.
    pub step: Step,
    /// When it came there.
    pub step_at: DateTime<Utc>,
    /// Uploaded request file, `files/…`.
    pub remote_file: Option<String>,
    /// When the API drops that file.
    pub file_expires: Option<DateTime<Utc>>,
    /// Name at the API, `batches/…`.
    pub remote_name: Option<String>,
    /// State as last seen.
    pub state: JobState,
    /// The wire's own word for the state.
    pub wire_state: Option<String>,
    /// Requests done, as last seen.
    pub done: i64,
    /// Requests done with an error, as last seen.
    pub failed: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// When the API accepted it.
    pub submitted_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When `done` last grew.
    pub moved_at: Option<DateTime<Utc>>,
    /// The job whose requests without an answer it repeats.
    pub retry_of: Option<Handle>,
}

/// Selects what [`JobRecord::from_row`] reads, in its order.
pub(super) const SELECT: &str = "SELECT jobs.handle, model, kind, requests, run, input_path, input_sha256, created_at, \
     collected_at, deleted_at, step, step_at, remote_file, file_expires, remote_name, state, wire_state, done, failed, \
     error, submitted_at, ended_at, moved_at, retry_of FROM jobs JOIN parts ON parts.handle = jobs.handle AND parts.part = 1";

impl JobRecord {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            handle: Handle::from_ledger(row.get(0)?),
            model: row.get(1)?,
            kind: Kind::parse(&row.get::<_, String>(2)?).unwrap_or(Kind::Generate),
            requests: row.get(3)?,
            run: row.get(4)?,
            input_path: row.get(5)?,
            input_sha256: row.get(6)?,
            created_at: time(row.get(7)?).unwrap_or_default(),
            collected_at: row.get::<_, Option<String>>(8)?.and_then(time),
            deleted_at: row.get::<_, Option<String>>(9)?.and_then(time),
            step: Step::parse(&row.get::<_, String>(10)?),
            step_at: time(row.get(11)?).unwrap_or_default(),
            remote_file: row.get(12)?,
            file_expires: row.get::<_, Option<String>>(13)?.and_then(time),
            remote_name: row.get(14)?,
            state: JobState::parse(&row.get::<_, String>(15)?),
            wire_state: row.get(16)?,
            done: row.get(17)?,
            failed: row.get(18)?,
            error: row.get(19)?,
            submitted_at: row.get::<_, Option<String>>(20)?.and_then(time),
            ended_at: row.get::<_, Option<String>>(21)?.and_then(time),
            moved_at: row.get::<_, Option<String>>(22)?.and_then(time),
            retry_of: row.get::<_, Option<String>>(23)?.map(Handle::from_ledger),
        })
    }
}

/// A moment as the ledger writes it: sorts as text.
pub(super) fn text(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

pub(super) fn time(text: String) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(&text).ok().map(|moment| moment.with_timezone(&Utc))
}
