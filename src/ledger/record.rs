//! What the ledger knows of one job and of its parts.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rusqlite::{Connection, Params, Row};

use super::moment::moment;
use crate::job::{ContentHash, Handle, JobState, Kind};

/// How far the submission of a part has come. Each step is on disk before the next one touches the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Wanted; nothing was sent.
    Intended,
    /// Its requests are at the API.
    Uploaded,
    /// A create was sent or is about to be, and may still be under way; whether it arrived is not known.
    Creating,
    /// A create was sent and came to an end; whether it arrived is not known.
    Unclear,
    /// The API has the batch.
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

/// Which part of which job.
#[derive(Debug, Clone, Copy)]
pub struct PartId<'a> {
    /// The job.
    pub handle: &'a Handle,
    /// The part, from 1.
    pub number: u32,
}

/// What stands for the API's own state when it does not know the batch any more.
pub const GONE: &str = "NOT_FOUND";

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
    /// Request file.
    pub input_path: Option<String>,
    /// Its SHA-256.
    pub input_sha256: Option<String>,
    /// When it was last written to, as it was checked.
    pub input_modified: Option<DateTime<Utc>>,
    /// The job whose requests without an answer it repeats.
    pub retry_of: Option<Handle>,
    /// Queue priority at the API.
    pub priority: Option<i64>,
    /// Addresses that the API notifies.
    pub webhook_urls: Vec<String>,
    /// Whose it is at the API; see [`Gemini::owner`](crate::gemini::Gemini::owner).
    pub owner: Option<String>,
    /// More than this it may not cost, whatever the price is when it is sent.
    pub cap_usd: Option<f64>,
    /// Of what it was made, as JSON, where that is not what was built under its file's hash.
    pub build: Option<String>,
    /// Its parts in the order of the file; one, unless it is too large for one.
    pub parts: Vec<NewPart>,
}

impl NewJob {
    /// The first run of a job of which nothing else is known.
    pub fn new(handle: Handle, content: ContentHash, model: &str, kind: Kind, parts: Vec<NewPart>) -> Self {
        Self {
            handle,
            content,
            run: 1,
            model: model.to_owned(),
            kind,
            input_path: None,
            input_sha256: None,
            input_modified: None,
            retry_of: None,
            priority: None,
            webhook_urls: Vec::new(),
            owner: None,
            cap_usd: None,
            build: None,
            parts,
        }
    }

    /// Requests in all parts.
    pub fn requests(&self) -> i64 {
        self.parts.iter().map(|part| part.requests).sum()
    }

    /// The high estimate of all parts, if the price is known.
    pub fn high_usd(&self) -> Option<f64> {
        self.parts.iter().map(|part| part.high_usd).sum()
    }
}

/// A part to be remembered: some successive lines of the request file, one batch at the API.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPart {
    /// Which part, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// Where its lines start in the file.
    pub first_byte: u64,
    /// How many bytes they have; `None`: to the end of the file.
    pub bytes: Option<u64>,
    /// Requests in it.
    pub requests: i64,
    /// Input tokens, estimated.
    pub tokens: Option<i64>,
    /// The high estimate, if the price is known.
    pub high_usd: Option<f64>,
}

impl NewPart {
    /// The whole of a file.
    pub fn whole(requests: i64, tokens: Option<i64>, high_usd: Option<f64>) -> Self {
        Self { number: 1, of: 1, first_byte: 0, bytes: None, requests, tokens, high_usd }
    }
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
    /// When that file was last written to, as it was checked.
    pub input_modified: Option<DateTime<Utc>>,
    /// When it was first recorded.
    pub created_at: DateTime<Utc>,
    /// When its results were first complete on this machine.
    pub collected_at: Option<DateTime<Utc>>,
    /// When it was removed from the API.
    pub deleted_at: Option<DateTime<Utc>>,
    /// The job whose requests without an answer it repeats.
    pub retry_of: Option<Handle>,
    /// What is not sent yet is not to be sent: the caller gave up, or it cannot be.
    pub held: bool,
    /// It was cancelled while some of it waited to be sent.
    pub cancelled: bool,
    /// Queue priority at the API.
    pub priority: Option<i64>,
    /// Addresses that the API notifies.
    pub webhook_urls: Vec<String>,
    /// Whose it is at the API, where that was recorded.
    pub owner: Option<String>,
    /// What it cost, once that is known.
    pub settled_usd: Option<f64>,
    /// More than this it may not cost, whatever the price is when it is sent.
    pub cap_usd: Option<f64>,
    /// Its parts, in order; one, unless it was too large for one.
    pub parts: Vec<PartRecord>,
}

/// A part of a job as the ledger knows it: one batch at the API.
#[derive(Debug, Clone)]
pub struct PartRecord {
    /// Which part, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// Its name at the API, by which it is found again.
    pub display_name: String,
    /// Where its lines start in the request file.
    pub first_byte: u64,
    /// How many bytes they have; `None`: to the end of the file.
    pub bytes: Option<u64>,
    /// Requests in it.
    pub requests: i64,
    /// Input tokens, estimated.
    pub tokens: Option<i64>,
    /// The high estimate, if the price is known.
    pub high_usd: Option<f64>,
    /// How far its submission has come.
    pub step: Step,
    /// When it came there.
    pub step_at: DateTime<Utc>,
    /// An upload under way, as the client wrote it down. Whoever has it can write to the file.
    pub upload_session: Option<String>,
    /// Its requests at the API, `files/…`.
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
    /// Why it failed, or was refused.
    pub error: Option<String>,
    /// When the API accepted it.
    pub submitted_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When `done` last grew.
    pub moved_at: Option<DateTime<Utc>>,
    /// It is not sent before.
    pub not_before: Option<DateTime<Utc>>,
    /// What it waits for, in words.
    pub waits_for: Option<String>,
    /// When its results were complete on this machine.
    pub collected_at: Option<DateTime<Utc>>,
    /// When the API last told where it stands.
    pub polled_at: Option<DateTime<Utc>>,
    /// When it is to be asked again; see [`polls`](super::polls).
    pub next_poll_at: Option<DateTime<Utc>>,
    /// How far the API's clock is ahead of this machine's, as far as that is known.
    pub api_ahead: TimeDelta,
    /// The day of the price behind `high_usd`, if not that on which the job was made.
    pub priced_on: Option<NaiveDate>,
}

impl PartRecord {
    /// When the API accepted it, by this machine's clock.
    pub fn began(&self) -> Option<DateTime<Utc>> {
        self.submitted_at.map(|at| at - self.api_ahead)
    }

    /// This time by the API's clock.
    pub fn at_the_api(&self, here: DateTime<Utc>) -> DateTime<Utc> {
        here + self.api_ahead
    }

    /// Nothing of it is at the API but perhaps its requests: it costs nothing so far.
    pub fn is_unsent(&self) -> bool {
        matches!(self.step, Step::Intended | Step::Uploaded)
    }

    /// A create was sent, and nobody knows whether it arrived.
    pub fn is_unclear(&self) -> bool {
        matches!(self.step, Step::Creating | Step::Unclear)
    }

    /// The API did not know it any more: what became of it, and what it cost, nobody can tell.
    pub fn is_gone(&self) -> bool {
        self.wire_state.as_deref() == Some(GONE)
    }

    /// It has ended, and all that was paid for is on this machine.
    ///
    /// Requests that the API failed are usually not billed (API reference §7), and no other was done: a part that ended
    /// early without one success cost nothing.
    pub fn is_all_here(&self) -> bool {
        let gave_nothing = self.state != JobState::Succeeded && self.done <= self.failed;
        self.state.is_terminal() && (self.collected_at.is_some() || (gave_nothing && !self.is_gone()))
    }

    /// The API has it, and it has not ended.
    pub fn is_active(&self) -> bool {
        self.step == Step::Created && !self.state.is_terminal()
    }
}

/// What a job is as a whole, told from its parts.
impl JobRecord {
    /// Where it stands.
    pub fn state(&self) -> JobState {
        if self.is_withdrawn() {
            return JobState::Cancelled;
        }
        let sent = self.parts.iter().filter(|part| !self.is_given_up(part));
        let state = JobState::of_parts(sent.map(|part| part.state));
        let rest_was_cancelled = self.cancelled && self.parts.iter().any(|part| self.is_given_up(part));
        if state == JobState::Succeeded && rest_was_cancelled { JobState::Cancelled } else { state }
    }

    /// A part that will not be sent, beside others that were.
    fn is_given_up(&self, part: &PartRecord) -> bool {
        self.held && part.is_unsent() && self.is_sent()
    }

    /// Cancelled before anything of it was sent.
    pub fn is_withdrawn(&self) -> bool {
        self.cancelled && self.held && !self.is_sent()
    }

    /// Whether anything of it was sent to be run, as far as is known.
    pub fn is_sent(&self) -> bool {
        self.parts.iter().any(|part| !part.is_unsent())
    }

    /// Whether it was submitted by somebody else than `owner`: to them it looks as if it were not there.
    pub fn is_foreign_to(&self, owner: &str) -> bool {
        self.owner.as_deref().is_some_and(|submitter| submitter != owner)
    }

    /// How many requests its parts have, as far as is known.
    pub fn requests_of_parts(&self) -> i64 {
        self.parts.iter().map(|part| part.requests).sum()
    }

    /// What names one of its parts.
    pub fn part_id(&self, part: &PartRecord) -> PartId<'_> {
        PartId { handle: &self.handle, number: part.number }
    }

    /// Parts that wait to be sent.
    pub fn waiting(&self) -> impl Iterator<Item = &PartRecord> {
        self.parts.iter().filter(|part| part.is_unsent() && !self.held)
    }

    /// A part whose create had no clear outcome.
    pub fn unclear(&self) -> Option<&PartRecord> {
        self.parts.iter().find(|part| part.is_unclear())
    }

    /// Requests done, as last seen.
    pub fn done(&self) -> i64 {
        self.parts.iter().map(|part| part.done).sum()
    }

    /// Requests done with an error, as last seen.
    pub fn failed(&self) -> i64 {
        self.parts.iter().map(|part| part.failed).sum()
    }

    /// Why it failed, or was refused; of no interest any more for what the caller has withdrawn.
    pub fn error(&self) -> Option<&str> {
        let is_withdrawn = |part: &PartRecord| self.cancelled && self.held && part.is_unsent();
        self.parts.iter().filter(|part| !is_withdrawn(part)).find_map(|part| part.error.as_deref())
    }

    /// When the API accepted the first of it, by this machine's clock.
    pub fn began(&self) -> Option<DateTime<Utc>> {
        self.parts.iter().filter_map(PartRecord::began).min()
    }

    /// When the API first accepted something of it.
    pub fn submitted_at(&self) -> Option<DateTime<Utc>> {
        self.parts.iter().filter_map(|part| part.submitted_at).min()
    }

    /// When all of it had ended.
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        if self.state().is_terminal() { self.parts.iter().filter_map(|part| part.ended_at).max() } else { None }
    }

    /// When the number of requests done last grew.
    pub fn moved_at(&self) -> Option<DateTime<Utc>> {
        self.parts.iter().filter_map(|part| part.moved_at).max()
    }

    /// Names at the API, `batches/…`.
    pub fn remote_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| part.remote_name.as_deref())
    }
}

/// Selects what [`read_jobs`] reads, in its order; what comes behind it chooses among `jobs`.
pub(super) const SELECT: &str = "SELECT jobs.handle, model, kind, jobs.requests, run, input_path, input_sha256, \
     input_modified, created_at, jobs.collected_at, deleted_at, retry_of, held, priority, webhook_urls, owner, settled_usd, cancelled, \
     part, parts_in_all, display_name, first_byte, bytes, parts.requests, tokens, parts.high_usd, step, step_at, upload_session, \
     remote_file, file_expires, remote_name, parts.state, wire_state, done, failed, error, submitted_at, ended_at, \
     moved_at, not_before, waits_for, parts.collected_at, polled_at, next_poll_at, (SELECT ahead_s FROM clock), priced_on, cap_usd \
     FROM jobs JOIN parts ON parts.handle = jobs.handle";

/// The jobs that a query of [`SELECT`] gives, the rows of each job one after the other.
pub(super) fn read_jobs(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<JobRecord>> {
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query(params)?;
    let mut jobs: Vec<JobRecord> = Vec::new();
    while let Some(row) = rows.next()? {
        let part = PartRecord::from_row(row)?;
        match jobs.last_mut() {
            Some(job) if job.handle.as_str() == row.get_ref(0)?.as_str()? => job.parts.push(part),
            _ => jobs.push(JobRecord { parts: vec![part], ..JobRecord::from_row(row)? }),
        }
    }
    Ok(jobs)
}

impl JobRecord {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let urls: Option<String> = row.get(14)?;
        Ok(Self {
            handle: Handle::from_ledger(row.get(0)?),
            model: row.get(1)?,
            kind: Kind::parse(&row.get::<_, String>(2)?).unwrap_or(Kind::Generate),
            requests: row.get(3)?,
            run: row.get(4)?,
            input_path: row.get(5)?,
            input_sha256: row.get(6)?,
            input_modified: moment(row, 7)?,
            created_at: moment(row, 8)?.unwrap_or_default(),
            collected_at: moment(row, 9)?,
            deleted_at: moment(row, 10)?,
            retry_of: row.get::<_, Option<String>>(11)?.map(Handle::from_ledger),
            held: row.get(12)?,
            priority: row.get(13)?,
            webhook_urls: urls.and_then(|urls| serde_json::from_str(&urls).ok()).unwrap_or_default(),
            owner: row.get(15)?,
            settled_usd: row.get(16)?,
            cancelled: row.get(17)?,
            cap_usd: row.get(47)?,
            parts: Vec::new(),
        })
    }
}

impl PartRecord {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(18)?,
            of: row.get(19)?,
            display_name: row.get(20)?,
            first_byte: row.get::<_, i64>(21)?.unsigned_abs(),
            bytes: row.get::<_, Option<i64>>(22)?.map(i64::unsigned_abs),
            requests: row.get(23)?,
            tokens: row.get(24)?,
            high_usd: row.get(25)?,
            step: Step::parse(&row.get::<_, String>(26)?),
            step_at: moment(row, 27)?.unwrap_or_default(),
            upload_session: row.get(28)?,
            remote_file: row.get(29)?,
            file_expires: moment(row, 30)?,
            remote_name: row.get(31)?,
            state: JobState::parse(&row.get::<_, String>(32)?),
            wire_state: row.get(33)?,
            done: row.get(34)?,
            failed: row.get(35)?,
            error: row.get(36)?,
            submitted_at: moment(row, 37)?,
            ended_at: moment(row, 38)?,
            moved_at: moment(row, 39)?,
            not_before: moment(row, 40)?,
            waits_for: row.get(41)?,
            collected_at: moment(row, 42)?,
            polled_at: moment(row, 43)?,
            next_poll_at: moment(row, 44)?,
            api_ahead: TimeDelta::seconds(row.get::<_, Option<i64>>(45)?.unwrap_or(0)),
            priced_on: row.get::<_, Option<String>>(46)?.and_then(|day| day.parse().ok()),
        })
    }
}
