//! What is asked for is written down before anything is sent.

use chrono::Utc;
use rusqlite::{Transaction, params};

use super::events::append;
use super::import::UNKNOWN_MODEL;
use super::jobs::{bring_state_up_to_date, by_handle, exactly, first};
use super::lease::{LEASE, name_of_job};
use super::moment::text;
use super::record::SELECT;
use super::spend::{ROUNDING, Spending, spending};
use super::{JobRecord, Ledger, NewJob, NewPart, PartId, PartRecord, Step};
use crate::error::Result;
use crate::job::{Handle, JobState};

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
        fill_in(tx, job, &known.handle)?;
        tx.execute("UPDATE jobs SET cancelled = 0 WHERE handle = ?1 AND cancelled", [known.handle.as_str()])?;
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
    fill_in(tx, job, &known.handle)?;
    if cut_anew {
        tx.execute("DELETE FROM parts WHERE handle = ?1", [known.handle.as_str()])?;
        append(tx, Some(&known.handle), "cut anew", &what_is_intended(job))?;
    }
    for part in added {
        insert_part(tx, &NewJob { handle: known.handle.clone(), ..job.clone() }, part)?;
        if !cut_anew {
            let part_id = PartId { handle: &known.handle, number: part.number };
            append(
                tx,
                Some(&known.handle),
                "intended",
                &part_id.named(&requests_and_price(part.requests, part.high_usd)),
            )?;
        }
    }
    if known.held {
        append(tx, Some(&known.handle), "released", "asked for again")?;
    }
    tx.execute(
        "UPDATE jobs SET input_path = ?2, input_sha256 = ?3, input_modified = ?4, held = 0, cancelled = 0, \
         requests = (SELECT sum(requests) FROM parts WHERE parts.handle = ?1), \
         build = coalesce(CASE WHEN ?5 THEN build END, ?7, (SELECT builds.origin FROM builds WHERE sha256 = ?3), build), \
         cap_usd = CASE WHEN held THEN ?6 ELSE coalesce(?6, cap_usd) END, deleted_at = NULL WHERE handle = ?1",
        // What was sent stays what it was made of.
        params![
            known.handle.as_str(),
            job.input_path,
            job.input_sha256,
            job.input_modified.map(text),
            known.is_sent(),
            job.cap_usd,
            job.build
        ],
    )?;
    bring_state_up_to_date(tx, &known.handle)?;
    Ok(Intended::Known(exactly(tx, &known.handle)?))
}

/// What a job that came back from the API was made of, and what it repeats, as far as that is not known any more: that it is
/// this job is told by its hash.
fn fill_in(tx: &Transaction<'_>, job: &NewJob, known: &Handle) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE jobs SET input_path = coalesce(input_path, ?2), input_sha256 = coalesce(input_sha256, ?3), \
         input_modified = CASE WHEN input_sha256 IS NULL THEN ?4 ELSE input_modified END, \
         retry_of = coalesce(retry_of, ?5), \
         build = coalesce(build, ?6, (SELECT builds.origin FROM builds WHERE sha256 = ?3)), \
         kind = CASE WHEN model = ?9 THEN ?8 ELSE kind END, model = CASE WHEN model = ?9 THEN ?7 ELSE model END \
         WHERE handle = ?1 AND origin = 'adopted'",
        params![
            known.as_str(),
            job.input_path,
            job.input_sha256,
            job.input_modified.map(text),
            job.retry_of.as_ref().map(Handle::as_str),
            job.build,
            job.model,
            job.kind.as_str(),
            UNKNOWN_MODEL
        ],
    )?;
    Ok(())
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
pub(super) fn is_retried(tx: &Transaction<'_>, job: &JobRecord) -> rusqlite::Result<bool> {
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
         input_modified, origin, high_usd, retry_of, priority, webhook_urls, owner, created_at, cap_usd, build) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'created', ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
         coalesce(?18, (SELECT builds.origin FROM builds WHERE sha256 = ?9)))",
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
            text(Utc::now()),
            job.cap_usd,
            job.build
        ],
    )?;
    Ok(())
}

fn insert_part(tx: &Transaction<'_>, job: &NewJob, part: &NewPart) -> rusqlite::Result<()> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO parts (handle, part, parts_in_all, display_name, first_byte, bytes, requests, tokens, high_usd, \
         step, step_at, state, priced_on) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
         (SELECT ?13 WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.handle = ?1 AND created_at >= ?13)))",
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
            JobState::Unsubmitted.as_str(),
            Utc::now().date_naive().to_string()
        ],
    )?;
    Ok(())
}

fn what_is_intended(job: &NewJob) -> String {
    match job.parts.len() {
        1 => requests_and_price(job.requests(), job.high_usd()),
        parts => format!("{} requests in {parts} parts, {}", job.requests(), at_most(job.high_usd())),
    }
}

fn requests_and_price(requests: i64, high_usd: Option<f64>) -> String {
    format!("{requests} requests, {}", at_most(high_usd))
}

fn at_most(usd: Option<f64>) -> String {
    usd.map_or("an unknown price".to_owned(), |usd| format!("{usd:.6} USD at most"))
}
