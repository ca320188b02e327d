//! `retry_batch`: the requests of a job that have no usable answer become a job of their own.

mod again;
mod choose;
mod settings;

pub(super) use again::is_last;
pub(super) use choose::sha256_of;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::App;
use super::create::{Agreed, CreateArgs, CreateReply, Repeat};
use super::lease::Lease;
use super::next::call;
use super::requests::as_submitted;
use super::results::Family;
use super::unfinished::refuse_unfinished;
use crate::error::Result;
use crate::job::outcome::counted;
use crate::job::{Outcome, OutcomeCounts};
use crate::ledger::JobRecord;
use crate::ledger::builds::BuildOrigin;
use crate::progress::Monitor;
use choose::{Chosen, write_requests};

/// Which job, which of its requests, and what to do otherwise this time.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryArgs {
    /// Handle of the job that ended.
    pub job: String,
    /// Repeat requests with these outcomes. Default: all but answered.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// Another model. Default: the same, or its successor if it is shut down.
    #[serde(default)]
    pub model: Option<String>,
    /// generationConfig fields to change in all of them. Without maxOutputTokens, truncated requests that set one get twice theirs.
    #[serde(default)]
    pub generation_config: Option<Map<String, Value>>,
    /// Check and estimate only; nothing is sent.
    #[serde(default)]
    pub dry_run: bool,
    /// Refuse if the high estimate is above this, or the price unknown.
    #[serde(default)]
    pub max_cost_usd: Option<f64>,
    /// What the user agreed to, or did not have to be asked about.
    #[serde(skip)]
    #[schemars(skip)]
    pub agreed: Option<Agreed>,
}

/// The new job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RetryReply {
    /// Job whose requests are repeated.
    pub retry_of: String,
    /// Requests repeated, by the outcome they had.
    #[schemars(with = "BTreeMap<String, i64>")]
    pub repeated: OutcomeCounts,
    /// What is asked otherwise than before. The new job follows, as create_batch replies it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The new job, in the fields of create_batch's reply.
    #[serde(flatten)]
    #[schemars(skip)]
    pub created: CreateReply,
}

impl fmt::Display for RetryReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated = Outcome::ALL.into_iter().filter(|outcome| self.repeated.get(*outcome) > 0);
        let repeated: Vec<_> = repeated.map(|outcome| format!("{} {outcome}", self.repeated.get(outcome))).collect();
        writeln!(f, "repeats {} of {}", repeated.join(", "), self.retry_of)?;
        for change in &self.changes {
            writeln!(f, "changed: {change}")?;
        }
        self.created.fmt(f)
    }
}

/// Submits the requests without a usable answer again, as a new job linked to the old one.
///
/// What is asked otherwise follows from why it did not answer: what was cut off gets more room, each request by itself;
/// a model that is off gives way to its successor. Blocked requests are repeated as they are unless the caller changes
/// something: the reply says that this rarely helps, and how to leave them out.
pub async fn retry(app: &App, args: RetryArgs, monitor: &dyn Monitor) -> Result<RetryReply> {
    if !args.dry_run {
        app.allow_changes("retrying a batch job")?;
    }
    super::rebuild::if_incomplete(app, monitor).await;
    let job = super::find::job(app, &args.job).await?;
    let job = super::observe::refresh_now(app, job).await?;
    refuse_unfinished(&job, "retrying")?;
    again::refuse_too_many(app, &job)?;
    let origin = app.ledger()?.origin_of(&job)?;
    as_submitted(app, &job)?;
    // One after the other: two calls with different settings would not see each other's job, and pay twice.
    let root = app.ledger()?.root_of(&job)?;
    let _turn = if args.dry_run { None } else { Some(Lease::of_retries(app, &root, monitor).await?) };
    let mut family = Family::gather(app, &job, true, monitor).await?;
    family.mind_others(app, &root, monitor).await?;
    family.refuse_unread()?;
    let is_lacking = family.misses_results();
    let (model, change) = again::model_of(app, &job, args.model.as_deref());
    let chosen = write_requests(app, &args, (family, &root), origin.as_ref(), &model, monitor).await?;
    // The rows are the same: the answers of the retry can be joined to them as well.
    let origin = origin.unwrap_or_else(|| BuildOrigin::unknown(job.kind));
    let retry_call = Some(chosen.call.clone());
    let origin = BuildOrigin { model: None, counted: None, sample_of: None, retry_call, ..origin };
    if job.input_sha256.as_ref() != Some(&chosen.sha256) {
        app.ledger()?.remember_build(&chosen.sha256, &origin)?;
    }
    let create = CreateArgs {
        model: Some(chosen.model.clone()),
        name: Some(job.handle.slug().to_owned()),
        dry_run: args.dry_run,
        max_cost_usd: args.max_cost_usd,
        to_the_limit: chosen.to_the_limit,
        agreed: args.agreed.clone(),
        ..CreateArgs::default()
    };
    let repeat = Repeat { job: &job, origin: &origin };
    let mut created = super::create::submit_file(app, chosen.path.clone(), Some(repeat), &create, monitor).await?;
    let may_come = args.outcomes.is_empty() && (is_lacking || chosen.may_come);
    created.warnings.extend(may_come.then(|| STILL_TO_COME.to_owned()));
    created.warnings.extend(warnings(&args, &job, &chosen, &created, change.is_some()));
    let changes = change.into_iter().chain(chosen.changes).collect();
    Ok(RetryReply { retry_of: job.handle.to_string(), repeated: chosen.repeated, changes, created })
}

const STILL_TO_COME: &str = "the API counts more finished requests than the results it gave with their keys, or has a batch no \
    more, or gave other results in their place: requests without a result may be billed and are left out here, as their answers may still come; outcomes [\"missing\"] repeats them all the same";

/// What is repeated with little hope, and what was repeated before.
fn warnings(
    args: &RetryArgs,
    job: &JobRecord,
    chosen: &Chosen,
    created: &CreateReply,
    another_model: bool,
) -> Vec<String> {
    let mut warnings: Vec<_> = chosen.warning.clone().into_iter().collect();
    let is_unchanged = args.generation_config.is_none() && !another_model;
    if is_unchanged && chosen.repeated.blocked > 0 {
        warnings.push(blocked(job, &chosen.repeated));
    }
    if let Some((left_out, root)) = &chosen.elsewhere {
        warnings.push(format!(
            "{} left out: answered since by {root} or other retries of it; get_results {{\"job\": \"{root}\"}} has all answers",
            counted(*left_out, "request")
        ));
    }
    if chosen.ended.contains(&created.job) {
        warnings.push(format!(
            "these requests were repeated in that job already; to repeat what it left unanswered, \
             retry_batch {{\"job\": \"{}\"}}",
            created.job
        ));
    }
    warnings
}

/// A prompt that was blocked is most often blocked again.
fn blocked(job: &JobRecord, repeated: &OutcomeCounts) -> String {
    let others = Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Blocked && repeated.get(*outcome) > 0);
    let others: Vec<_> = others.map(Outcome::as_str).collect();
    let way_out = match others.is_empty() {
        true => "another model or other prompts may help".to_owned(),
        false => format!(
            "another model or other prompts may help; {} leaves them out",
            call("retry_batch", json!({"job": job.handle.as_str(), "outcomes": others}))
        ),
    };
    format!(
        "{} repeated unchanged: most are blocked again, and their input is billed again; {way_out}",
        counted(repeated.blocked, "blocked request")
    )
}
