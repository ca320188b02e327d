//! Jobs: remembered, found, listed.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::events::append;
use super::lease::{Holder, LEASE, MINE, name_of_job};
use super::moment::text;
use super::record::{SELECT, read_jobs};
use super::spend::{ROUNDING, Spending, spending};
use super::{JobRecord, Ledger, NewJob, NewPart, PartId, PartRecord, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{ContentHash, Handle, JobState};

/// Jobs that a beginning may fit before it is no help, and those of them that are named.
const MOST_ALIKE: usize = 200;
const MOST_NAMED: usize = 6;

/// The order in which jobs are listed: newest first, the parts of each in their own order.
const NEWEST_FIRST: &str = "ORDER BY created_at DESC, jobs.handle, part";

/// What became of the wish for a job.
#[derive(Debug)]
pub enum Intended {
    /// It is remembered now.
    New(JobRecord),
    /// The same content and run was remembered before, by any process.
    Known(JobRecord),
    /// It repeats requests of this job, some of which are to be sent, or under way: they would be asked twice. Nothing was
    /// recorded.
    TooEarly(JobRecord),
    /// The same job, cut in other places: some of what is wanted is in no part of it. Nothing was recorded.
    CutOtherwise(JobRecord),
    /// It does not fit into the daily budget, with what is spent and promised today. Nothing was recorded.
    OverBudget(Spending),
}

impl Ledger {
    /// Remembers a job that is about to be submitted, if the day's budget leaves room for it.
    pub fn intend(&self, job: &NewJob, budget: Option<f64>) -> Result<Intended> {
        self.write("recording a job", |tx| intended(tx, job, budget))
    }

    /// What would become of such a job now. Nothing is recorded.
    pub fn would_intend(&self, job: &NewJob, budget: Option<f64>) -> Result<Intended> {
        self.rehearse("looking for room for a job", |tx| intended(tx, job, budget))
    }

    /// The newest run of this content, if any was ever recorded.
    pub fn newest_run(&self, content: &ContentHash) -> Result<Option<JobRecord>> {
        let newest = "jobs.handle = (SELECT handle FROM jobs WHERE content_hash = ?1 ORDER BY run DESC LIMIT 1)";
        self.one(&format!("{SELECT} WHERE {newest} ORDER BY part"), content.as_str())
    }

    /// The job with exactly this handle.
    pub fn job(&self, handle: &Handle) -> Result<JobRecord> {
        self.by_handle(handle)?
            .ok_or_else(|| Error::internal("reading a job from the ledger", format!("{handle} is gone")))
    }

    /// The job with exactly this handle, if there is one.
    pub fn by_handle(&self, handle: &Handle) -> Result<Option<JobRecord>> {
        self.one(&format!("{SELECT} WHERE jobs.handle = ?1 ORDER BY part"), handle.as_str())
    }

    /// A job with this hash at the end of its handle, whatever name stands before it.
    pub fn by_hash(&self, hash: &str) -> Result<Option<JobRecord>> {
        let its_job = "jobs.handle = (SELECT handle FROM jobs WHERE hash = ?1 ORDER BY handle LIMIT 1)";
        self.one(&format!("{SELECT} WHERE {its_job} ORDER BY part"), hash)
    }

    /// The job of which this is a batch at the API.
    pub fn by_remote_name(&self, name: &str) -> Result<Option<JobRecord>> {
        let its_job = "jobs.handle = (SELECT handle FROM parts WHERE remote_name = ?1)";
        self.one(&format!("{SELECT} WHERE {its_job} ORDER BY part"), name)
    }

    /// The job that a caller means: a handle, the readable part of one, or the unique beginning of one. What only a
    /// job and its retries share means the job.
    pub fn find(&self, asked: &str) -> Result<Option<JobRecord>> {
        if let Some(exact) = self.one(&format!("{SELECT} WHERE jobs.handle = ?1 ORDER BY part"), asked)? {
            return Ok(Some(exact));
        }
        let starts = self.read("finding a job", |connection| {
            let fit = "SELECT handle FROM jobs WHERE substr(handle, 1, length(?1)) = ?1 ORDER BY handle LIMIT ?2";
            let sql = format!("{SELECT} WHERE jobs.handle IN ({fit}) ORDER BY jobs.handle, part");
            read_jobs(connection, &sql, params![asked, MOST_ALIKE as i64])
        })?;
        let (named, others): (Vec<_>, Vec<_>) = starts.into_iter().partition(|job| job.handle.slug() == asked);
        let starts = if named.is_empty() { others } else { named };
        let handles: Vec<_> = starts.iter().map(|job| job.handle.clone()).collect();
        let named = |job: &JobRecord| format!("{} ({})", job.handle, job.model);
        let names: Vec<_> = starts.iter().take(MOST_NAMED).map(named).collect();
        let is_retry = |job: &JobRecord| job.retry_of.as_ref().is_some_and(|first| handles.contains(first));
        let mut firsts = starts.into_iter().filter(|job| !is_retry(job));
        match (firsts.next(), firsts.next()) {
            (only, None) if handles.len() < MOST_ALIKE => Ok(only),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("finding the job {asked}"),
                "several jobs begin like this",
            )
            .hint(format!("name one of them whole: {}", names.join(", ")))),
        }
    }

    /// Handles of the newest jobs.
    pub fn newest_handles(&self, limit: usize) -> Result<Vec<Handle>> {
        self.read("listing handles", |connection| {
            let mut query = connection.prepare_cached("SELECT handle FROM jobs ORDER BY created_at DESC LIMIT ?1")?;
            query.query_map([limit as i64], |row| row.get(0).map(Handle::from_ledger))?.collect()
        })
    }

    /// The model of the newest job of this request file.
    pub fn model_of_file(&self, sha256: &str) -> Result<Option<String>> {
        self.read("looking for the model of a file", |connection| {
            let sql = "SELECT model FROM jobs WHERE input_sha256 = ?1 ORDER BY created_at DESC LIMIT 1";
            connection.query_row(sql, [sha256], |row| row.get(0)).optional()
        })
    }

    /// How many jobs there are.
    pub fn count_jobs(&self) -> Result<i64> {
        self.read("counting jobs", |connection| connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)))
    }

    /// Jobs, newest first, in these states (all, if none is given), made before a moment.
    pub fn list(&self, states: &[JobState], before: Option<DateTime<Utc>>, limit: usize) -> Result<Vec<JobRecord>> {
        let words: Vec<_> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let among = if words.is_empty() { "TRUE".to_owned() } else { format!("state IN ({})", words.join(", ")) };
        self.page(&among, before, limit)
    }

    /// Those of them that have something to be sent as soon as there is room.
    pub fn list_waiting(&self, before: Option<DateTime<Utc>>, limit: usize) -> Result<Vec<JobRecord>> {
        let waits = "NOT held AND handle IN (SELECT handle FROM parts WHERE step IN ('intended', 'uploaded'))";
        self.page(waits, before, limit)
    }

    fn page(&self, among: &str, before: Option<DateTime<Utc>>, limit: usize) -> Result<Vec<JobRecord>> {
        let before = before.map_or("9999".to_owned(), text);
        self.read("listing jobs", |connection| {
            let page = format!(
                "SELECT handle FROM jobs WHERE created_at < ?1 AND {among} ORDER BY created_at DESC, handle LIMIT ?2"
            );
            let sql = format!("{SELECT} WHERE jobs.handle IN ({page}) {NEWEST_FIRST}");
            read_jobs(connection, &sql, params![before, limit as i64])
        })
    }

    /// Jobs of which something waits to be sent or was sent without a clear outcome, those that were wanted first
    /// coming first.
    pub fn to_be_sent(&self) -> Result<Vec<JobRecord>> {
        self.read("reading the queue", |connection| {
            // By name: what is not `created` cannot be looked up in an index.
            let open = "SELECT handle FROM parts WHERE step IN ('intended', 'uploaded', 'creating', 'unclear')";
            let sql = format!(
                "{SELECT} WHERE jobs.handle IN ({open}) AND (NOT held OR EXISTS (SELECT 1 FROM parts AS p WHERE \
                 p.handle = jobs.handle AND p.step IN ('creating', 'unclear'))) ORDER BY created_at, jobs.handle, part"
            );
            read_jobs(connection, &sql, [])
        })
    }

    /// The retries of a job and the retries of those, in the order in which they were made.
    pub fn retries_of(&self, handle: &Handle) -> Result<Vec<JobRecord>> {
        self.read("reading the retries of a job", |connection| {
            let sql = format!(
                "WITH RECURSIVE line(handle) AS (SELECT handle FROM jobs WHERE retry_of = ?1 \
                 UNION SELECT jobs.handle FROM jobs JOIN line ON jobs.retry_of = line.handle) \
                 {SELECT} WHERE jobs.handle IN (SELECT handle FROM line) AND jobs.handle <> ?1 \
                 ORDER BY created_at, jobs.handle, part"
            );
            read_jobs(connection, &sql, [handle.as_str()])
        })
    }

    /// The first job of the line that a retry belongs to; itself for one that is no retry.
    pub fn root_of(&self, job: &JobRecord) -> Result<Handle> {
        self.read("looking for the job of a retry", |connection| {
            let sql = "WITH RECURSIVE line(handle, retry_of) AS (SELECT handle, retry_of FROM jobs WHERE handle = ?1 \
                       UNION SELECT jobs.handle, jobs.retry_of FROM jobs JOIN line ON jobs.handle = line.retry_of) \
                       SELECT handle FROM line WHERE retry_of IS NULL";
            connection.query_row(sql, [job.handle.as_str()], |row| row.get(0).map(Handle::from_ledger))
        })
    }

    /// What is not sent yet is not to be sent, as the caller wants the job no more.
    pub fn cancel_waiting(&self, handle: &Handle) -> Result<()> {
        self.write("cancelling a job", |tx| {
            let sql = "UPDATE jobs SET held = 1, cancelled = 1 WHERE handle = ?1 AND NOT (held AND cancelled)";
            if tx.execute(sql, [handle.as_str()])? == 1 {
                bring_state_up_to_date(tx, handle)?;
                append(tx, Some(handle), "held", "cancelled before it was sent")?;
            }
            Ok(())
        })
    }

    /// What another call gave up is wanted all the same, unless it was cancelled or is repeated by a retry meanwhile.
    pub fn want_still(&self, handle: &Handle) -> Result<()> {
        self.write("releasing a job", |tx| {
            if is_retried(tx, &exactly(tx, handle)?)? {
                return Ok(());
            }
            let sql = "UPDATE jobs SET held = 0 WHERE handle = ?1 AND held AND NOT cancelled";
            if tx.execute(sql, [handle.as_str()])? == 1 {
                bring_state_up_to_date(tx, handle)?;
                append(tx, Some(handle), "released", "wanted by another call")?;
            }
            Ok(())
        })
    }

    /// What is not sent yet is not to be sent: the holder of the lease gives it up. Who lost the lease gives nothing up,
    /// as another is at it.
    pub fn give_up(&self, handle: &Handle, holder: Holder<'_>, why: &str) -> Result<()> {
        self.write("holding a job", |tx| {
            let sql = format!("UPDATE jobs SET held = 1 WHERE handle = ?1 AND NOT held AND {MINE}");
            if tx.execute(&sql, params![handle.as_str(), holder.lease, holder.owner])? == 1 {
                bring_state_up_to_date(tx, handle)?;
                append(tx, Some(handle), "held", why)?;
            }
            Ok(())
        })
    }

    /// Notes that the results of a part are whole on this machine.
    pub fn collected(&self, part: PartId<'_>) -> Result<()> {
        self.write("recording results", |tx| {
            let now = text(Utc::now());
            let given = params![part.handle.as_str(), part.number, now];
            let sql = "UPDATE parts SET collected_at = ?3 WHERE handle = ?1 AND part = ?2 AND collected_at IS NULL";
            if tx.execute(sql, given)? == 0 {
                return Ok(());
            }
            tx.execute(
                "UPDATE jobs SET collected_at = ?2 WHERE handle = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM parts WHERE parts.handle = ?1 AND parts.collected_at IS NULL)",
                params![part.handle.as_str(), now],
            )?;
            append(tx, Some(part.handle), "collected", &part.named(""))
        })
    }

    /// Whose it is at the API: of the key that its first part goes out with, while nobody else sends it. What was uploaded
    /// with another key is nothing to this one.
    pub fn owned_by(&self, handle: &Handle, owner: &str) -> Result<()> {
        self.write("recording whose job it is", |tx| {
            let is_sent = "EXISTS (SELECT 1 FROM parts WHERE handle = ?1 AND step NOT IN ('intended', 'uploaded'))";
            let sql = format!("UPDATE jobs SET owner = ?2 WHERE handle = ?1 AND owner IS NOT ?2 AND NOT {is_sent}");
            if tx.execute(&sql, params![handle.as_str(), owner])? == 1 {
                tx.execute(
                    "UPDATE parts SET step = 'intended', remote_file = NULL, file_expires = NULL, upload_session = NULL \
                     WHERE handle = ?1",
                    [handle.as_str()],
                )?;
            }
            Ok(())
        })
    }

    /// Notes that the job was removed from the API.
    pub fn deleted(&self, handle: &Handle) -> Result<()> {
        self.write("recording a deletion", |tx| {
            let sql = "UPDATE jobs SET deleted_at = ?2 WHERE handle = ?1 AND deleted_at IS NULL";
            if tx.execute(sql, params![handle.as_str(), text(Utc::now())])? == 1 {
                append(tx, Some(handle), "deleted", "")?;
            }
            Ok(())
        })
    }

    fn one(&self, sql: &str, argument: &str) -> Result<Option<JobRecord>> {
        self.read("reading a job", |connection| first(connection, sql, [argument]))
    }
}

fn first(connection: &Connection, sql: &str, given: impl rusqlite::Params) -> rusqlite::Result<Option<JobRecord>> {
    Ok(read_jobs(connection, sql, given)?.into_iter().next())
}

fn exactly(connection: &Connection, handle: &Handle) -> rusqlite::Result<JobRecord> {
    by_handle(connection, handle)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn by_handle(connection: &Connection, handle: &Handle) -> rusqlite::Result<Option<JobRecord>> {
    first(connection, &format!("{SELECT} WHERE jobs.handle = ?1 ORDER BY part"), [handle.as_str()])
}

fn intended(tx: &Transaction<'_>, job: &NewJob, budget: Option<f64>) -> rusqlite::Result<Intended> {
    // The handle ends in the hash of content and run: it finds jobs that came back from the API.
    let known = first(
        tx,
        &format!("{SELECT} WHERE (content_hash = ?1 AND run = ?2) OR hash = ?3 ORDER BY jobs.handle, part"),
        params![job.content.as_str(), job.run, job.handle.hash()],
    )?;
    if !known.as_ref().is_some_and(JobRecord::is_sent)
        && let Some(repeated) = &job.retry_of
        && let Some(repeated) = by_handle(tx, repeated)?.filter(is_open)
    {
        return Ok(Intended::TooEarly(repeated));
    }
    if let Some(known) = known {
        return complete(tx, job, &known, budget);
    }
    if let Some(over) = over_budget(tx, job.high_usd(), None, budget)? {
        return Ok(Intended::OverBudget(over));
    }
    insert(tx, job)?;
    for part in &job.parts {
        insert_part(tx, job, part)?;
    }
    append(tx, Some(&job.handle), "intended", &what_is_intended(job))?;
    Ok(Intended::New(exactly(tx, &job.handle)?))
}

/// A job that is known already: parts of it that are not are added, as when some came back from the API, and what is
/// not sent yet is sent from the file that was just checked. If nothing of it was, it is cut as it is wanted now.
fn complete(tx: &Transaction<'_>, job: &NewJob, known: &JobRecord, budget: Option<f64>) -> rusqlite::Result<Intended> {
    let is_new = |part: &&NewPart| !known.parts.iter().any(|other| other.number == part.number);
    let same_cut = known.parts.iter().all(|part| job.parts.iter().any(|other| is_cut_alike(part, other)));
    // What was given up and is repeated by a retry would be paid twice.
    let is_open = known.parts.iter().any(|part| part.step != Step::Created) && !(known.held && is_retried(tx, known)?);
    let cut_anew = is_open && !same_cut && is_free(tx, known)?;
    if !same_cut && !cut_anew && lacks(known, job.requests()) {
        return Ok(Intended::CutOtherwise(known.clone()));
    }
    let added: Vec<_> = job.parts.iter().filter(|part| cut_anew || (same_cut && is_new(part))).collect();
    if added.is_empty() && !is_open {
        return Ok(Intended::Known(exactly(tx, &known.handle)?));
    }
    // What was given up before is wanted again: it has to fit as if it were new.
    if known.held || !added.is_empty() {
        let unsent = known.parts.iter().filter(|part| part.is_unsent() && !cut_anew).map(|part| part.high_usd);
        let wanted: Option<f64> = unsent.chain(added.iter().map(|part| part.high_usd)).sum();
        if let Some(over) = over_budget(tx, wanted, Some(&known.handle), budget)? {
            return Ok(Intended::OverBudget(over));
        }
    }
    if cut_anew {
        tx.execute("DELETE FROM parts WHERE handle = ?1", [known.handle.as_str()])?;
        append(tx, Some(&known.handle), "cut anew", &what_is_intended(job))?;
    }
    for part in added {
        insert_part(tx, &NewJob { handle: known.handle.clone(), ..job.clone() }, part)?;
    }
    tx.execute(
        "UPDATE jobs SET input_path = ?2, input_sha256 = ?3, input_modified = ?4, held = 0, cancelled = 0, \
         requests = (SELECT sum(requests) FROM parts WHERE parts.handle = ?1), \
         build = coalesce(CASE WHEN ?5 THEN build END, (SELECT builds.origin FROM builds WHERE sha256 = ?3), build) \
         WHERE handle = ?1",
        // What was sent stays what it was made of.
        params![known.handle.as_str(), job.input_path, job.input_sha256, job.input_modified.map(text), known.is_sent()],
    )?;
    bring_state_up_to_date(tx, &known.handle)?;
    Ok(Intended::Known(exactly(tx, &known.handle)?))
}

/// Whether a part that is known is this one. Of one that was found at the API not all is known.
fn is_cut_alike(known: &PartRecord, other: &NewPart) -> bool {
    let same_place = known.step == Step::Created || known.first_byte == other.first_byte;
    let same_size = known.requests == 0 || known.requests == other.requests;
    (known.number, known.of) == (other.number, other.of) && same_place && same_size
}

/// Whether some of so many requests are in no part of it. Of a part found at the API the number may not be known.
fn lacks(known: &JobRecord, requests: i64) -> bool {
    let all_known = known.parts.iter().all(|part| part.requests > 0);
    all_known && known.requests_of_parts() < requests
}

/// Whether nothing of it was sent, and nobody is about to send it: a lease that has run out is taken from who held it.
fn is_free(tx: &Transaction<'_>, job: &JobRecord) -> rusqlite::Result<bool> {
    let (lease, now) = (name_of_job(&job.handle), Utc::now());
    let over = "DELETE FROM leases WHERE name = ?1 AND until NOT BETWEEN ?2 AND ?3";
    tx.execute(over, params![lease, text(now), text(now + LEASE)])?;
    let held: bool = tx.query_row("SELECT EXISTS (SELECT 1 FROM leases WHERE name = ?1)", [lease], |row| row.get(0))?;
    Ok(!held && job.parts.iter().all(PartRecord::is_unsent))
}

/// Whether some of it is to be sent, may be at the API, or is being worked on there.
fn is_open(job: &JobRecord) -> bool {
    job.waiting().next().is_some() || job.unclear().is_some() || job.parts.iter().any(PartRecord::is_active)
}

/// Whether a retry of it was sent, or may be.
fn is_retried(tx: &Transaction<'_>, job: &JobRecord) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM jobs JOIN parts ON parts.handle = jobs.handle WHERE retry_of = ?1 \
               AND (step NOT IN ('intended', 'uploaded') OR NOT held))";
    tx.query_row(sql, [job.handle.as_str()], |row| row.get(0))
}

/// The day's money, if a job of this price does not fit into it.
fn over_budget(
    tx: &Transaction<'_>,
    wanted: Option<f64>,
    without: Option<&Handle>,
    budget: Option<f64>,
) -> rusqlite::Result<Option<Spending>> {
    let Some(budget) = budget else { return Ok(None) };
    let today = spending(tx, Utc::now().date_naive(), without)?;
    // An unknown price keeps no budget.
    let fits = wanted.is_some_and(|usd| today.unknown == 0 && today.total_usd() + usd <= budget + ROUNDING);
    Ok((!fits).then_some(today))
}

fn insert(tx: &Transaction<'_>, job: &NewJob) -> rusqlite::Result<()> {
    let urls = (!job.webhook_urls.is_empty()).then(|| serde_json::to_string(&job.webhook_urls).unwrap_or_default());
    tx.execute(
        "INSERT INTO jobs (handle, hash, content_hash, run, model, kind, requests, input_path, input_sha256, \
         input_modified, origin, high_usd, retry_of, priority, webhook_urls, owner, created_at, build) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'created', ?11, ?12, ?13, ?14, ?15, ?16, \
         (SELECT builds.origin FROM builds WHERE sha256 = ?9))",
        params![
            job.handle.as_str(),
            job.handle.hash(),
            job.content.as_str(),
            job.run,
            job.model,
            job.kind.as_str(),
            job.requests(),
            job.input_path,
            job.input_sha256,
            job.input_modified.map(text),
            job.high_usd(),
            job.retry_of.as_ref().map(Handle::as_str),
            job.priority,
            urls,
            job.owner,
            text(Utc::now())
        ],
    )?;
    Ok(())
}

fn insert_part(tx: &Transaction<'_>, job: &NewJob, part: &NewPart) -> rusqlite::Result<()> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO parts (handle, part, parts_in_all, display_name, first_byte, bytes, requests, tokens, high_usd, \
         step, step_at, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            job.handle.as_str(),
            part.number,
            part.of,
            job.handle.part_name(part.number, part.of),
            signed(part.first_byte),
            part.bytes.map(signed),
            part.requests,
            part.tokens,
            part.high_usd,
            Step::Intended.as_str(),
            text(Utc::now()),
            JobState::Unsubmitted.as_str()
        ],
    )?;
    Ok(())
}

fn what_is_intended(job: &NewJob) -> String {
    let price = job.high_usd().map_or("an unknown price".to_owned(), |usd| format!("{usd:.6} USD at most"));
    match job.parts.len() {
        1 => format!("{} requests, {price}", job.requests()),
        parts => format!("{} requests in {parts} parts, {price}", job.requests()),
    }
}

/// Keeps the state of the job as its parts make it.
pub(super) fn bring_state_up_to_date(tx: &Transaction<'_>, handle: &Handle) -> rusqlite::Result<()> {
    let state = exactly(tx, handle)?.state();
    tx.execute("UPDATE jobs SET state = ?2 WHERE handle = ?1", params![handle.as_str(), state.as_str()])?;
    Ok(())
}
