//! `list_batches`: the jobs remembered here and those at the API, merged.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::bounds::at_most;
use super::observe::{self, When};
use super::part_counts::PartCounts;
use super::status::UNFINISHED;
use super::storage::{Listing, Storage};
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteBatch;
use crate::job::outcome::counted;
use crate::job::{Cost, Handle, JobState};
use crate::ledger::{JobRecord, PartRecord};
use crate::progress::Monitor;

/// Which jobs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListArgs {
    /// PENDING, RUNNING, SUCCEEDED, …; `queued`; or `unfinished`.
    pub state: Option<String>,
    /// Jobs a page: 20 unless asked, 100 at most.
    pub limit: Option<i64>,
    /// `cursor` of the page before.
    pub cursor: Option<String>,
    /// Ask the API too (default, where a key is set), and so see jobs made elsewhere.
    pub remote: Option<bool>,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListReply {
    /// The jobs: job, state, model, requests, created, remote_name, parts, retry_of, cost_usd (once its results were accounted for), known, if the API was asked (both, here: not there, api: made elsewhere).
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub jobs: Vec<ListedJob>,
    /// Pass it to get the next page. Left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Files at the API, if it was asked: how many, their bytes, of how many; bytes that are ours, and that can be removed.
    #[schemars(with = "Map<String, Value>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// US dollars sent today (UTC), waiting to be sent, and the daily budget.
    #[schemars(with = "Map<String, Value>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub today: Option<Today>,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
}

/// One job.
#[derive(Debug, Clone, Serialize)]
pub struct ListedJob {
    /// Handle, or batches/… name of a job made elsewhere.
    pub job: String,
    /// State, as last seen.
    pub state: String,
    /// Model.
    pub model: String,
    /// Requests in it, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<i64>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Name at the API; of a job of several parts that of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_name: Option<String>,
    /// Parts, where it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartCounts>,
    /// The job that it is a retry of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// What it cost in USD, once its results were accounted for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Where it is known: `both`, `here` (not at the API), `api` (made elsewhere). Left out where the API did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<&'static str>,
}

/// A day's money, in USD: what it cost, or its high estimate where that is not known yet.
#[derive(Debug, Clone, Serialize)]
pub struct Today {
    /// Sent.
    pub sent_usd: f64,
    /// Waits to be sent.
    pub waiting_usd: f64,
    /// Batches among both whose price is unknown, and in neither sum.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub unknown: i64,
    /// What may be spent in a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
}

impl fmt::Display for Today {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent, {} waiting", Cost::Usd(self.sent_usd), Cost::Usd(self.waiting_usd))?;
        if self.unknown > 0 {
            write!(f, ", and {} of unknown price", counted(self.unknown, "batch"))?;
        }
        self.budget_usd.map_or(Ok(()), |budget| write!(f, ", budget {}", Cost::Usd(budget)))
    }
}

impl fmt::Display for ListReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for job in &self.jobs {
            let requests = job.requests.map_or("? requests".to_owned(), |n| counted(n, "request"));
            write!(f, "{} {} {requests} {} {}", job.job, job.state, job.model, job.created)?;
            match job.known {
                Some("here") => write!(f, " (not at the API)")?,
                Some("api") => write!(f, " (made elsewhere)")?,
                _ => {}
            }
            let parts = job.parts.map(|parts| parts.to_string());
            let cost = job.cost_usd.map(|usd| Cost::Usd(usd).to_string());
            let retry_of = job.retry_of.as_ref().map(|first| format!("retry of {first}"));
            parts.iter().chain(&cost).chain(&retry_of).try_for_each(|more| write!(f, ", {more}"))?;
            writeln!(f)?;
        }
        if let Some(today) = &self.today {
            writeln!(f, "today: {today}")?;
        }
        if let Some(storage) = &self.storage {
            writeln!(f, "files at the API: {storage}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

const USUAL_LIMIT: i64 = 20;
const LONGEST_LIMIT: i64 = 100;
/// How long the files at the API are listed, and jobs looked at that have ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lists jobs, newest first. The API is asked once, for its newest jobs; older ones come from the ledger.
pub async fn list(app: &App, args: ListArgs, monitor: &dyn Monitor) -> Result<ListReply> {
    let limit = at_most("listing jobs", ("limit", args.limit.unwrap_or(USUAL_LIMIT)), 1..=LONGEST_LIMIT)?;
    let states = asked_states(args.state.as_deref())?;
    let queued = args.state.as_deref().is_some_and(is_queued);
    let before = args.cursor.as_deref().map(read_cursor).transpose()?;
    let mut warnings = Vec::new();
    if args.limit.is_some_and(|limit| limit > LONGEST_LIMIT) {
        warnings.push(format!("a page holds at most {LONGEST_LIMIT} jobs of this machine; cursor gets the next ones"));
    }
    let ask = args.remote.unwrap_or(before.is_none()) && before.is_none();
    if ask {
        super::rebuild::if_incomplete(app, monitor).await;
    }
    let remote =
        if ask { remote_jobs(app, args.remote == Some(true), &mut warnings).await? } else { Remote::default() };
    let (elsewhere, ended) = take_note(app, &remote.batches)?;
    look_at_ends(app, &ended, &mut warnings).await;
    let storage = if ask && app.can_connect() { storage(app, &mut warnings).await? } else { None };

    let ledger = app.ledger()?;
    let mut local =
        if queued { ledger.list_waiting(before, limit + 1) } else { ledger.list(&states, before, limit + 1) }?;
    let more = local.len() > limit;
    local.truncate(limit);
    let cursor = more.then(|| local.last().map(|job| job.created_at.to_rfc3339())).flatten();
    let mut jobs: Vec<_> = local.iter().map(|job| listed(job, &remote)).collect();
    let of_states = |job: &&&RemoteBatch| states.is_empty() || states.contains(&job.state);
    jobs.extend(elsewhere.iter().filter(of_states).map(|batch| foreign(batch)));
    jobs.sort_by(|a, b| b.created.cmp(&a.created));
    let next = match &cursor {
        Some(cursor) => format!("{} for older ones; check_status or get_results with a job", next_page(&args, cursor)),
        None if jobs.is_empty() => why_none(app, &args, elsewhere.len())?,
        None => "check_status or get_results with a job".to_owned(),
    };
    Ok(ListReply { jobs, cursor, storage, today: today(app)?, warnings, next })
}

/// The same call, for the page that begins at the cursor.
fn next_page(args: &ListArgs, cursor: &str) -> String {
    let asked = [
        ("state", args.state.as_deref().map(Value::from)),
        ("limit", args.limit.map(Value::from)),
        ("remote", args.remote.map(Value::from)),
        ("cursor", Some(cursor.into())),
    ];
    let call: Map<_, _> = asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    super::next::call("list_batches", Value::Object(call))
}

/// What to do where nothing is listed: there may be other jobs.
fn why_none(app: &App, args: &ListArgs, elsewhere: usize) -> Result<String> {
    let all = app.ledger()?.count_jobs()? + i64::try_from(elsewhere).unwrap_or(i64::MAX);
    Ok(match &args.state {
        _ if all == 0 => "there are no jobs yet: build_jsonl makes a request file, create_batch submits it".to_owned(),
        _ if args.cursor.is_some() => "there are no older jobs; list_batches begins anew".to_owned(),
        Some(state) => format!("none of {} is {state}; list_batches without state lists them", counted(all, "job")),
        None => "check_status or get_results with a job".to_owned(),
    })
}

/// What lies at the API. A list of jobs is worth having without it.
async fn storage(app: &App, warnings: &mut Vec<String>) -> Result<Option<Storage>> {
    match tokio::time::timeout(PATIENCE, Listing::of(app)).await {
        Ok(Ok(listing)) => Storage::of(app, &listing).map(Some),
        Ok(Err(e)) => {
            warnings.push(format!("the files at the API could not be listed ({e})"));
            Ok(None)
        }
        Err(_) => {
            warnings.push("the files at the API could not be listed in time".to_owned());
            Ok(None)
        }
    }
}

/// Today's money, if there is any, or a budget.
pub(super) fn today(app: &App) -> Result<Option<Today>> {
    let spending = app.ledger()?.spending_today()?;
    let budget_usd = app.config().daily_budget_usd;
    let rounded = |usd: f64| Cost::Usd(usd).usd().unwrap_or(usd);
    let today = Today {
        sent_usd: rounded(spending.sent_usd),
        waiting_usd: rounded(spending.waiting_usd),
        unknown: spending.unknown,
        budget_usd,
    };
    Ok((budget_usd.is_some() || spending.unknown > 0 || spending.total_usd() > 0.0).then_some(today))
}

/// Jobs of which something goes out by itself, as create_batch calls them, those among them of which some is at the API.
fn is_queued(state: &str) -> bool {
    state.eq_ignore_ascii_case("queued")
}

fn asked_states(asked: Option<&str>) -> Result<Vec<JobState>> {
    match asked {
        None => Ok(Vec::new()),
        Some(word) if word.eq_ignore_ascii_case("unfinished") => Ok(UNFINISHED.to_vec()),
        // None that the API has.
        Some(word) if is_queued(word) => Ok(vec![JobState::Unsubmitted]),
        Some(word) => match JobState::parse(word) {
            JobState::Unknown => {
                Err(Error::new(ErrorKind::InvalidArgument, "listing jobs", format!("there is no state {word}"))
                    .hint("use unfinished, queued, PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED or EXPIRED"))
            }
            state => Ok(vec![state]),
        },
    }
}

fn read_cursor(cursor: &str) -> Result<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(cursor).map(|moment| moment.with_timezone(&Utc)).map_err(|_| {
        Error::new(ErrorKind::InvalidArgument, "listing jobs", format!("{cursor} is not a cursor"))
            .hint("pass the cursor of the reply before, or leave it out")
    })
}

/// The newest jobs at the API.
#[derive(Default)]
struct Remote {
    batches: Vec<RemoteBatch>,
    /// There are no others.
    is_all: bool,
}

/// Asks for them. Without a key, or when it fails, the list is the ledger's unless the API was asked for.
async fn remote_jobs(app: &App, demanded: bool, warnings: &mut Vec<String>) -> Result<Remote> {
    if !app.can_connect() && !demanded {
        warnings.push("no API key is set: only jobs remembered on this machine are listed".to_owned());
        return Ok(Remote::default());
    }
    match async { app.gemini().await?.list_batches(100, None).await }.await {
        Ok(page) => Ok(Remote { is_all: page.next.is_none(), batches: page.items }),
        Err(e) if !demanded => {
            warnings.push(format!("the API could not be asked ({e}): only jobs remembered on this machine are listed"));
            Ok(Remote::default())
        }
        Err(e) => Err(e),
    }
}

/// A part that has ended, as the API's list says, and the look at it that will say how.
struct End {
    job: JobRecord,
    part: PartRecord,
    when: When,
}

/// Writes down what the API said of known jobs. Returns the batches of others, and the ends that are not known here.
fn take_note<'a>(app: &App, remote: &'a [RemoteBatch]) -> Result<(Vec<&'a RemoteBatch>, Vec<End>)> {
    let ledger = app.ledger()?;
    let (mut elsewhere, mut ended) = (Vec::new(), Vec::new());
    for batch in remote {
        let Some(job) = ledger.by_remote_name(&batch.name)? else {
            if !is_awaited(app, batch)? {
                elsewhere.push(batch);
            }
            continue;
        };
        let part = job.parts.iter().find(|part| part.remote_name.as_ref() == Some(&batch.name));
        let Some(part) = part.cloned() else { continue };
        if batch.state.is_terminal() && !part.state.is_terminal() {
            // One that said so before, without its output, is asked for by its schedule.
            let is_news = part.wire_state.as_ref() != Some(&batch.wire_state);
            ended.push(End { job, part, when: if is_news { When::Now } else { When::Due } });
        } else {
            observe::record(app, job.part_id(&part), batch)?;
        }
    }
    Ok((elsewhere, ended))
}

/// List entries leave results out: an end is noted only when the job itself is asked for. The next look at the job would
/// do it; done here, the state that is shown is the one by which jobs are selected.
async fn look_at_ends(app: &App, ended: &[End], warnings: &mut Vec<String>) {
    let looks: Vec<_> = ended.iter().map(|end| observe::look(app, &end.job, &end.part, end.when)).collect();
    let looks = stream::iter(looks).buffer_unordered(observe::AT_ONCE).collect::<Vec<_>>();
    let trouble = match tokio::time::timeout(PATIENCE, looks).await {
        Ok(looked) => looked.into_iter().find_map(Result::err).map(|e| e.to_string()),
        Err(_) => Some("no answer in time".to_owned()),
    };
    if let Some(why) = trouble {
        warnings.push(format!(
            "jobs that have ended are listed as they were last seen: the API could not be asked for them ({why})"
        ));
    }
}

/// Carries the name of a part that was sent without a clear answer: it is of that job, which takes it up when it is
/// looked at.
fn is_awaited(app: &App, batch: &RemoteBatch) -> Result<bool> {
    let Some((handle, number, _)) = batch.display_name.as_deref().and_then(Handle::parse_part) else {
        return Ok(false);
    };
    let job = app.ledger()?.by_handle(&handle)?;
    let part = job.as_ref().and_then(|job| job.parts.iter().find(|part| part.number == number));
    Ok(part.is_some_and(|part| part.remote_name.is_none()))
}

/// A job as it is remembered here.
pub(super) fn remembered(job: &JobRecord) -> ListedJob {
    listed(job, &Remote::default())
}

fn listed(job: &JobRecord, remote: &Remote) -> ListedJob {
    let there = remote.batches.iter().find(|batch| job.remote_names().any(|name| name == batch.name));
    ListedJob {
        job: job.handle.to_string(),
        state: job.state().to_string(),
        model: job.model.clone(),
        requests: Some(job.requests),
        created: job.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        remote_name: job.remote_names().next().map(str::to_owned),
        parts: PartCounts::of(job),
        retry_of: job.retry_of.as_ref().map(ToString::to_string),
        cost_usd: job.settled_usd.and_then(|usd| Cost::Usd(usd).usd()),
        known: if there.is_some() { Some("both") } else { remote.is_all.then_some("here") },
    }
}

fn foreign(batch: &RemoteBatch) -> ListedJob {
    ListedJob {
        job: batch.name.clone(),
        state: batch.state.to_string(),
        model: batch.model.clone(),
        requests: batch.counts.total,
        created: batch.create_time.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default(),
        remote_name: Some(batch.name.clone()),
        parts: None,
        retry_of: None,
        cost_usd: None,
        known: Some("api"),
    }
}
