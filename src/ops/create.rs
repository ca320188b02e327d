//! `create_batch`: a request file becomes one job at the API, once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::build::media_life;
use super::checked::{Checked, check};
use super::estimate::{Estimate, Load};
use super::found::{made_before, without_effect};
use super::given::request_file;
use super::model::{availability, makes_it, priced, suits, takes_batches, unpriced};
use super::part_counts::PartCounts;
use super::parts::{AskedLimits, parts};
use super::runs::{content_of, run_to_use};
use super::sample::create_sample;
use super::submit::{rehearse, submit};
use crate::error::{Error, ErrorKind, Result};
use crate::job::models::bare_name;
use crate::job::outcome::counted;
use crate::job::{Cost, Handle, JobState, Kind};
use crate::ledger::builds::BuildOrigin;
use crate::ledger::{JobRecord, NewJob, NewPart, PartRecord, Step};
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// Which requests to submit, and how.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreateArgs {
    /// Request file: JSONL with a `{"key", "request"}` object a line, as build_jsonl writes it.
    pub input: Option<String>,
    /// A few requests given here instead, each {"key", "request"}.
    pub requests: Option<Vec<Map<String, Value>>>,
    /// Model. Default: the one the file was built for.
    pub model: Option<String>,
    /// Readable start of the job's handle. Default: the file's name.
    pub name: Option<String>,
    /// Check and estimate only; nothing is sent.
    pub dry_run: bool,
    /// Submit only this many of the requests, spread over the file: its results tell what the whole would cost.
    pub sample: Option<i64>,
    /// Refuse if the high estimate is above this, or the price unknown.
    pub max_cost_usd: Option<f64>,
    /// Requests a part at most: larger files go out in parts.
    pub max_part_requests: Option<i64>,
    /// Bytes a part at most; the API takes 2 GB.
    pub max_part_bytes: Option<i64>,
    /// Submit again although the same content was submitted before, and pay again.
    pub new_run: bool,
    /// Queue priority among your own jobs, higher first.
    pub priority: Option<i64>,
    /// HTTPS addresses that Google notifies when the job ends.
    pub webhook_urls: Vec<String>,
    /// A dry run to tell about, before anything was chosen: whether there is money for it is no question yet.
    #[serde(skip)]
    #[schemars(skip)]
    pub outline: bool,
    /// Requests without a limit of their own whose answers ran to that of the model before.
    #[serde(skip)]
    #[schemars(skip)]
    pub to_the_limit: i64,
    /// What the user agreed to, or did not have to be asked about.
    #[serde(skip)]
    #[schemars(skip)]
    pub agreed: Option<Agreed>,
}

/// What a call was before it was made, for whoever pays.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// The job that it was: no other one is submitted.
    pub job: Handle,
    /// The most that the user was told it may cost, if they were asked and it is known: it is not sent above that, however long
    /// it waits.
    pub usd: Option<f64>,
}

/// How a call came to its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Submission {
    /// The job was submitted by this call.
    Created,
    /// The same content was submitted before: this is that job, nothing new was paid.
    Found,
    /// The job was at the API without being recorded here, and is now.
    Adopted,
    /// It waits to be sent, and goes out by itself: nothing was paid so far.
    Queued,
    /// Nothing was sent.
    DryRun,
}

impl Submission {
    /// What it means, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Found => "found: the same content was submitted before, nothing new is paid",
            Self::Adopted => "adopted: it was at the API already, nothing new is paid",
            Self::Queued => "queued: it goes out by itself, nothing is paid before",
            Self::DryRun => "dry run: nothing was sent",
        }
    }
}

/// The job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreateReply {
    /// Handle for all further calls. In a dry run: the handle it would get.
    pub job: String,
    /// State at the API.
    pub state: String,
    /// Whether the job was created, found or adopted.
    pub submission: Submission,
    /// Requests in it.
    pub requests: i64,
    /// Name at the API, batches/…; of a job of several parts that of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_name: Option<String>,
    /// Parts of a large job, by how far they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub parts: Option<PartCounts>,
    /// What the rest waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Tokens and price, as build_jsonl tells them.
    #[schemars(with = "Map<String, Value>")]
    pub estimate: Estimate,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
    /// Of a dry run: whether the call itself would send something.
    #[serde(skip)]
    pub sends: bool,
    /// What the requests ask for.
    #[serde(skip)]
    pub kind: Kind,
    /// Which run of these requests it is, from 1: each is paid.
    #[serde(skip)]
    pub run: u32,
}

impl fmt::Display for CreateReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "job {} {} ({})", self.job, self.state, self.submission.as_str())?;
        writeln!(f, "{}, {}", counted(self.requests, "request"), self.estimate)?;
        if let Some(parts) = &self.parts {
            writeln!(f, "{parts}")?;
        }
        if let Some(why) = &self.waits_for {
            writeln!(f, "waits: {why}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// Submits a request file as one job, or finds the job that it already is.
pub async fn create(app: &App, args: CreateArgs, monitor: &dyn Monitor) -> Result<CreateReply> {
    if !args.dry_run {
        app.allow_changes("submitting a batch job")?;
    }
    super::rebuild::if_incomplete(app, monitor).await;
    refuse_open_webhooks(app, &args.webhook_urls)?;
    if args.sample.is_some() && args.requests.is_some() {
        return Err(Error::new(ErrorKind::InvalidArgument, "choosing a sample", "a sample is taken of a file")
            .hint("give input, or submit the requests without sample"));
    }
    let input = request_file(app, &args)?;
    if let Some(count) = args.sample {
        return create_sample(app, &input, count, &args, monitor).await;
    }
    submit_file(app, input, None, &args, monitor).await
}

/// Refuses what was planned in a dry run if the API knows no such model, or none that takes batches: nobody is asked about
/// the price of that.
pub async fn refuse_impossible(app: &App, planned: &CreateReply) -> Result<()> {
    if planned.sends { takes_batches(app, &planned.estimate.model, planned.kind).await } else { Ok(()) }
}

/// What a retry repeats.
pub(super) struct Repeat<'r> {
    /// The job whose requests are repeated.
    pub(super) job: &'r JobRecord,
    /// Of what those of them that are repeated were made, by which call.
    pub(super) origin: &'r BuildOrigin,
}

/// Submits this file as a job.
pub(super) async fn submit_file(
    app: &App,
    input: AllowedPath,
    repeat: Option<Repeat<'_>>,
    args: &CreateArgs,
    monitor: &dyn Monitor,
) -> Result<CreateReply> {
    let checked = check(app, &input, monitor).await?;
    let origin = app.ledger()?.build_origin(&checked.validation.sha256)?;
    let model = choose_model(app, args.model.as_deref(), origin.as_ref(), checked.kind);
    let mut warnings = checked.warnings();
    warnings.extend(availability(app, &model)?);
    suits(app, &model, checked.kind)?;

    let same_model = |origin: &&BuildOrigin| choose_model(app, None, Some(origin), checked.kind) == model;
    let counted = origin.as_ref().filter(same_model).and_then(|origin| origin.counted);
    let load = Load { counted, to_the_limit: args.to_the_limit, ..checked.load() };
    let estimate = Estimate::new(&load, &model, checked.kind, app.models(), app.today());
    warnings.extend(
        estimate.unsuited.as_ref().map(|unsuited| format!("{}: {}", unsuited.cause, makes_it(app, unsuited.asked))),
    );

    let limits = AskedLimits { requests: args.max_part_requests, bytes: args.max_part_bytes };
    let parts = parts(app, &input, &checked, limits, &estimate, monitor).await?;
    let job = new_job(app, args, &input, &checked, repeat.as_ref(), &model, parts)?;
    if let Some(agreed) = &args.agreed {
        refuse_another(&agreed.job, &job)?;
    }
    if !is_sent(app, &job)? {
        refuse_over_limit(app, args.max_cost_usd, &estimate)?;
    }
    let may_be_new = may_be_new(app, &job)?;
    if may_be_new {
        warnings.extend(media_life(origin.as_ref(), app.now())?);
    }
    if args.dry_run {
        let rehearsed = if args.outline { None } else { Some(rehearse(app, &job)?) };
        return dry_run_reply(app, &job, rehearsed.as_ref(), estimate, warnings);
    }
    if may_be_new {
        takes_batches(app, &model, checked.kind).await?;
    }
    let (job, submission) = submit(app, job, checked.keys, monitor).await?;
    warnings.extend(made_before(origin.as_ref(), app.ledger()?.origin_of(&job)?.as_ref()));
    warnings.extend(without_effect(args, &job));
    warnings.extend((args.new_run && submission == Submission::Created).then(|| PAYS_AGAIN.to_owned()));
    let next = next_step(&job, submission);
    Ok(CreateReply {
        job: job.handle.to_string(),
        state: job.state().to_string(),
        submission,
        requests: job.requests,
        remote_name: job.remote_names().next().map(str::to_owned),
        parts: PartCounts::of(&job),
        waits_for: job.waiting().find_map(|part| part.waits_for.clone()),
        estimate,
        warnings,
        next,
        sends: false,
        kind: checked.kind,
        run: job.run,
    })
}

const PAYS_AGAIN: &str = "the same call with new_run: true submits and pays once more; without it, it finds this job";

/// Refuses a job that is not the one that was agreed to, whatever its name: its file was changed since, as a rule.
fn refuse_another(agreed: &Handle, job: &NewJob) -> Result<()> {
    if agreed.hash() == job.handle.hash() {
        return Ok(());
    }
    let cause =
        format!("what was agreed to is the job {agreed}, and by now this is {}: its requests have changed", job.handle);
    Err(Error::new(ErrorKind::Declined, "submitting the job", cause)
        .hint("nothing was sent; make the call again, and what it is now is looked at anew"))
}

/// Whether all of it was sent before, so that it costs nothing more.
fn is_sent(app: &App, job: &NewJob) -> Result<bool> {
    let known = app.ledger()?.by_hash(job.handle.hash())?;
    let is_whole = |known: &JobRecord| known.parts.len() == job.parts.len();
    Ok(known.filter(is_whole).is_some_and(|known| known.parts.iter().all(|part| part.step == Step::Created)))
}

/// Whether the job cannot be at the API yet.
fn may_be_new(app: &App, job: &NewJob) -> Result<bool> {
    let known = app.ledger()?.newest_run(&job.content)?.filter(|known| known.run == job.run);
    Ok(known.is_none_or(|known| !known.is_sent()))
}

/// Google tells no address of a job that is not HTTPS. The simulator tells those on its own machine, which have none.
fn refuse_open_webhooks(app: &App, urls: &[String]) -> Result<()> {
    let is_google = !app.config().simulate && app.config().base_url.is_none();
    let is_fine = |url: &&String| {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let schemes = if is_google { ["https"].as_slice() } else { &["https", "http"] };
        schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) && !rest.trim_matches('/').is_empty()
    };
    match urls.iter().find(|url| !is_fine(url)) {
        None => Ok(()),
        Some(url) => {
            let cause = format!("{url:?} is no https:// address, and Google notifies no other");
            Err(Error::new(ErrorKind::InvalidArgument, "choosing who is notified", cause)
                .hint("give an https:// address that can be reached from the internet, or leave webhook_urls out. Nothing was sent"))
        }
    }
}

fn choose_model(app: &App, asked: Option<&str>, origin: Option<&BuildOrigin>, kind: Kind) -> String {
    let built_for = origin.and_then(|origin| origin.model.as_deref());
    bare_name(asked.or(built_for).unwrap_or(app.models().default_for(kind))).to_owned()
}

fn refuse_over_limit(app: &App, limit: Option<f64>, estimate: &Estimate) -> Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    if !limit.is_finite() || limit < 0.0 {
        let cause = format!("max_cost_usd is {limit}, and has to be an amount in US dollars, 0 or more");
        return Err(Error::new(ErrorKind::InvalidArgument, "checking the cost", cause)
            .hint("give the most that this job may cost, or leave it out. Nothing was sent"));
    }
    let refuse = |cause: String, hint: &str| Err(Error::new(ErrorKind::Budget, "checking the cost", cause).hint(hint));
    match estimate.high_usd {
        Some(high) if high <= limit => Ok(()),
        Some(high) => refuse(
            over(Cost::Usd(high), Cost::Usd(limit)),
            "lower it by maxOutputTokens in generation_config, a cheaper model or fewer rows; or raise max_cost_usd. Nothing was sent",
        ),
        None if let Some(unsuited) = &estimate.unsuited => refuse(
            format!("{}: what that costs is unknown, so max_cost_usd cannot be kept", unsuited.cause),
            &format!("{}. Nothing was sent", makes_it(app, unsuited.asked)),
        ),
        None if let (Some(_), Some(uncounted)) = (estimate.low_usd, estimate.uncounted) => refuse(
            format!("{uncounted}, so max_cost_usd cannot be kept"),
            "submit a few of them first (sample: 20, without max_cost_usd) to see what they cost. Nothing was sent",
        ),
        None => refuse(
            format!("{}, so max_cost_usd cannot be kept", unpriced(app, &estimate.model)),
            &format!("{}. Nothing was sent", priced(app, &estimate.model)),
        ),
    }
}

fn over(high: Cost, limit: Cost) -> String {
    format!("the high estimate is {}, above max_cost_usd {}", high.beside(limit), limit.beside(high))
}

fn new_job(
    app: &App,
    args: &CreateArgs,
    input: &AllowedPath,
    checked: &Checked,
    repeat: Option<&Repeat<'_>>,
    model: &str,
    parts: Vec<NewPart>,
) -> Result<NewJob> {
    let (kind, sha256) = (checked.kind, checked.validation.sha256.as_str());
    let retry_of = repeat.map(|repeat| &repeat.job.handle);
    let of_run = |run: u32| content_of(sha256, retry_of, (model, kind), run);
    let content = of_run(1);
    let run = run_to_use(app, of_run, args.new_run)?;
    let name = args.name.as_deref().unwrap_or_else(|| default_name(args, input));
    Ok(NewJob {
        handle: Handle::new(name, &of_run(run)),
        content,
        run,
        model: model.to_owned(),
        kind,
        input_path: Some(input.to_string()),
        input_sha256: Some(sha256.to_owned()),
        input_modified: checked.modified,
        retry_of: retry_of.cloned(),
        priority: args.priority,
        webhook_urls: args.webhook_urls.clone(),
        owner: None,
        cap_usd: lower(args.max_cost_usd, args.agreed.as_ref().and_then(|agreed| agreed.usd)),
        build: repeat.and_then(|repeat| serde_json::to_string(repeat.origin).ok()),
        parts,
    })
}

/// Of the limits that there are, the one that allows less.
fn lower(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::min)
}

/// "products" for products.requests.jsonl.
pub(super) fn default_name<'a>(args: &CreateArgs, input: &'a AllowedPath) -> &'a str {
    if args.requests.is_some() {
        return "inline";
    }
    let stem = input.stem();
    stem.strip_suffix(".requests").unwrap_or(stem)
}

/// `rehearsed` is the job as the call itself would remember it.
fn dry_run_reply(
    app: &App,
    job: &NewJob,
    rehearsed: Option<&JobRecord>,
    estimate: Estimate,
    warnings: Vec<String>,
) -> Result<CreateReply> {
    let known = app.ledger()?.newest_run(&job.content)?.filter(|known| known.run == job.run);
    let is_released = |known: &JobRecord| known.held && rehearsed.is_some_and(|job| !job.held);
    let sends = known.as_ref().is_none_or(|known| is_released(known) && known.parts.iter().any(PartRecord::is_unsent));
    let next = match &known {
        Some(job) if sends => format!(
            "this content is job {}, of which not all was sent: the same call without dry_run submits the rest",
            job.handle
        ),
        Some(job) => format!("this content is job {} already: check_status {{\"jobs\": [\"{0}\"]}}", job.handle),
        None => "the same call without dry_run submits it".to_owned(),
    };
    Ok(CreateReply {
        job: known.as_ref().map_or(&job.handle, |known| &known.handle).to_string(),
        state: known.as_ref().map_or(JobState::Unsubmitted, JobRecord::state).to_string(),
        submission: Submission::DryRun,
        requests: job.requests(),
        remote_name: known.as_ref().and_then(|known| known.remote_names().next().map(str::to_owned)),
        parts: PartCounts::planned(&job.parts),
        waits_for: None,
        estimate,
        warnings,
        next,
        sends,
        kind: job.kind,
        run: job.run,
    })
}

fn next_step(job: &JobRecord, submission: Submission) -> String {
    match job.state() {
        JobState::Succeeded => format!("get_results {{\"job\": \"{}\"}}", job.handle),
        state if state.is_terminal() && submission == Submission::Found => format!(
            "this job ended as {state}: get_results {{\"job\": \"{}\"}} shows what came back, and which call asks for the \
             rest",
            job.handle
        ),
        _ if submission == Submission::Queued => format!(
            "nothing to do: it goes out when there is room; check_status {{\"jobs\": [\"{}\"]}} in some minutes tells how far it is",
            job.handle
        ),
        _ => format!("check_status {{\"jobs\": [\"{}\"]}} in 60 s; do other work meanwhile", job.handle),
    }
}
