//! Puts back what a damaged or lost ledger knew, from the API's list and from the answers kept on this machine.
//!
//! Nothing is asked for at start: the first call that goes to the API does it, and says so.

use std::fmt;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::vault::{Vault, lines};
use super::{App, import};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Handle;
use crate::job::outcome::counted;
use crate::ledger::JobRecord;
use crate::ledger::import::{Kept, KeptPart};
use crate::progress::Monitor;

const ACT: &str = "looking up the jobs at the API";
/// A call waits this long for it, and tries again only after this while.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(60);

/// What was put back.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RebuildReply {
    /// Batches at the API that were made by this program.
    pub at_the_api: i64,
    /// Those of them that are recorded now and were not before: jobs, or parts of jobs.
    pub recorded: i64,
    /// Jobs that are not at the API any more and were recorded by their answers on this machine.
    pub by_answers: i64,
    /// Jobs of which requests waited to be sent, and are not known any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<String>,
    /// What to call next.
    pub next: String,
}

impl fmt::Display for RebuildReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nnext: {}", self.sentence(), self.next)
    }
}

impl RebuildReply {
    /// "of 12 batches at the API 3 were recorded anew".
    fn sentence(&self) -> String {
        let batches = if self.at_the_api == 1 { "batch" } else { "batches" };
        let recorded = if self.recorded == 1 { "1 was".to_owned() } else { format!("{} were", self.recorded) };
        let answers = match self.by_answers {
            0 => String::new(),
            kept => format!("; {} by the answers kept on this machine", counted(kept, "more job")),
        };
        let forgotten = match self.forgotten.as_slice() {
            [] => String::new(),
            jobs => format!("; what of {} waited to be sent was lost: create it again", jobs.join(", ")),
        };
        format!("of {} {batches} at the API {recorded} recorded anew{answers}{forgotten}", self.at_the_api)
    }
}

/// Looks every batch at the API up in the ledger, and records those of ours that it does not know; then those jobs of
/// which only answers are left, here.
pub async fn rebuild(app: &App, monitor: &dyn Monitor) -> Result<RebuildReply> {
    monitor.check(ACT)?;
    let batches = super::find::at_the_api(app, None, &|name| Handle::parse_part(name).is_some()).await?;
    let recorded = import::as_ours(app, &batches).await?;
    let ledger = app.ledger()?;
    // Only now is it known what is not at the API.
    let by_answers = ledger.import_kept(&kept(app)?)?;
    let at_the_api = i64::try_from(batches.len()).unwrap_or(i64::MAX);
    let forgotten = forgotten(app)?;
    let next = "list_batches shows all jobs".to_owned();
    let reply = RebuildReply { at_the_api, recorded, by_answers, forgotten, next };
    ledger.completed(&reply.sentence())?;
    Ok(reply)
}

/// The same, where jobs may be missing, before a verb that goes to the API. What goes wrong keeps no verb from its
/// work: before a job is created it is looked up anyway.
pub(super) async fn if_incomplete(app: &App, monitor: &dyn Monitor) {
    let Some(ledger) = app.ledger().ok().filter(|ledger| app.can_connect() && ledger.is_incomplete()) else { return };
    let mut failed_at = app.rebuilding().await;
    if !ledger.is_incomplete() || failed_at.is_some_and(|at: Instant| at.elapsed() < PAUSE) {
        return;
    }
    let late = || Error::new(ErrorKind::Unavailable, ACT, format!("it takes longer than {} s", PATIENCE.as_secs()));
    match tokio::time::timeout(PATIENCE, rebuild(app, monitor)).await.unwrap_or_else(|_| Err(late())) {
        Ok(reply) => ledger.note(format!("the ledger is complete again: {}", reply.sentence())),
        Err(e) => {
            *failed_at = Some(Instant::now());
            ledger.note(format!("jobs may be missing from the ledger, and could not be looked up so far: {e}"));
        }
    }
}

/// A job that is new to the ledger but has its keys here was known before the ledger was lost. A create of it may have
/// been under way then: for as long as one takes to show up at the API, none is sent.
pub(super) fn mind_what_was_lost(app: &App, job: JobRecord) -> Result<JobRecord> {
    let ledger = app.ledger()?;
    let shows_up_within = app.config().settle;
    let is_recent =
        ledger.lost_at()?.is_some_and(|at| (app.now() - at).to_std().is_ok_and(|age| age < shows_up_within));
    if !is_recent || !Vault::handles(app).iter().any(|kept| kept.hash() == job.handle.hash()) {
        return Ok(job);
    }
    for part in &job.parts {
        ledger.unclear(job.part_id(part))?;
    }
    ledger.job(&job.handle)
}

/// Jobs that have answers here.
fn kept(app: &App) -> Result<Vec<Kept>> {
    let mut jobs = Vec::new();
    for handle in Vault::handles(app) {
        let vault = Vault::open(app, &handle)?;
        let parts = vault.kept_results()?.into_iter().filter_map(|(number, of, file)| {
            let lines = lines(&file).filter(|lines| *lines > 0)?;
            Some(KeptPart { number, of, lines })
        });
        let parts: Vec<_> = parts.collect();
        if !parts.is_empty() {
            let answers = parts.iter().map(|part| part.lines).sum();
            jobs.push(Kept { requests: lines(&vault.keys()?).unwrap_or(answers), handle, parts });
        }
    }
    Ok(jobs)
}

/// Jobs whose requests are here because some of them waited to be sent, and of which the ledger lacks parts.
fn forgotten(app: &App) -> Result<Vec<String>> {
    let mut jobs = Vec::new();
    for handle in Vault::handles(app) {
        if Vault::open(app, &handle)?.requests()?.exists() {
            let known = app.ledger()?.by_handle(&handle)?;
            let is_whole = |job: JobRecord| job.parts.first().is_some_and(|part| job.parts.len() == part.of as usize);
            if !known.is_some_and(is_whole) {
                jobs.push(handle.to_string());
            }
        }
    }
    Ok(jobs)
}
