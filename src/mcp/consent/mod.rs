//! What the user is asked before money is spent or something is removed, where the client can ask.
//!
//! A client that cannot is not held up: there the arguments `max_cost_usd`, `model` and `confirm` say what the user
//! agreed to, and a call that leaves them out is taken at its word. One that only lost the session in which it could be
//! asked, or found none, is not: there such a call is declined. Where the user can be asked, a limit in the call does not
//! speak for them: models pass one by themselves. Secrets are never asked for.

mod interview;
mod seal;

#[cfg(feature = "_conformance")]
pub(super) use interview::by_the_task;
pub(super) use interview::{Heard, Interview, Question, Takes, can_ask};
pub(super) use seal::Seal;

use rmcp::model::{ElicitationSchema, EnumSchema, InputRequiredResult};

use crate::error::{Error, Result};
use crate::job::outcome::counted;
use crate::job::text::{clip, one_line};
use crate::job::{Cost, Handle};
use crate::ops::choice::{self, Choice};
use crate::ops::create::{self, Agreed, CreateArgs, CreateReply};
use crate::ops::delete::{self, DeleteArgs, DeleteReply};
use crate::ops::retry::{self, RetryArgs, RetryReply};
use crate::ops::{App, models};
use crate::progress::Monitor;

/// Bytes of a name or path within a question.
const MOST_NAME_BYTES: usize = 120;
/// Models offered at a time.
const MOST_MODELS: usize = 12;

/// What became of the questions of a call.
pub(super) enum Settled<A> {
    /// The call may go on, with these arguments.
    Go(A),
    /// The client is to bring this to its user first.
    Ask(Box<InputRequiredResult>),
}

impl<P> Settled<P> {
    fn map<A>(self, args: impl FnOnce(P) -> A) -> Settled<A> {
        match self {
            Self::Go(planned) => Settled::Go(args(planned)),
            Self::Ask(question) => Settled::Ask(question),
        }
    }
}

/// Before a file becomes a paid job: which model, and whether at this price.
pub(super) async fn before_create(
    app: &App,
    mut args: CreateArgs,
    interview: &mut Interview,
    monitor: &dyn Monitor,
) -> Result<Settled<CreateArgs>> {
    if args.dry_run || !may_ask(app, interview) {
        return Ok(Settled::Go(args));
    }
    let estimate = async |args: CreateArgs| create::create(app, CreateArgs { dry_run: true, ..args }, monitor).await;
    match choice::of_model(app, &args, monitor).await? {
        Choice::Made => {}
        Choice::Earlier(model) => args.model = Some(model),
        Choice::Open => {
            let usual = estimate(CreateArgs { max_cost_usd: None, outline: true, ..args.clone() }).await?;
            match interview.ask(&which_model(app, &usual)?).await? {
                Heard::Answer(model) => args.model = model.as_str().map(str::to_owned),
                Heard::Later(question) => return Ok(Settled::Ask(question)),
            }
        }
    }
    if args.max_cost_usd.is_some() && interview.is_lost() {
        return Ok(Settled::Go(args));
    }
    let question = || async {
        let planned = estimate(args.clone()).await?;
        let again = (planned.run > 1).then(|| " They were submitted and paid before.".to_owned());
        whether_to_pay(app, planned, again).await
    };
    let settled = settle(interview, question).await?;
    Ok(settled.map(|agreed| CreateArgs { agreed: Some(agreed), ..args }))
}

/// Before requests are paid for again.
pub(super) async fn before_retry(
    app: &App,
    args: RetryArgs,
    interview: &mut Interview,
    monitor: &dyn Monitor,
) -> Result<Settled<RetryArgs>> {
    let is_agreed = args.max_cost_usd.is_some() && interview.is_lost();
    if args.dry_run || is_agreed || !may_ask(app, interview) {
        return Ok(Settled::Go(args));
    }
    let dry = RetryArgs { dry_run: true, ..args.clone() };
    let question = || async {
        let RetryReply { repeated, created, .. } = retry::retry(app, dry.clone(), monitor).await?;
        let again = (repeated.answered > 0).then(|| format!(" {} of them have an answer already.", repeated.answered));
        whether_to_pay(app, created, again).await
    };
    let settled = settle(interview, question).await?;
    Ok(settled.map(|agreed| RetryArgs { agreed: Some(agreed), ..args }))
}

/// Before a job is removed from the API.
pub(super) async fn before_delete(
    app: &App,
    args: DeleteArgs,
    interview: &mut Interview,
    monitor: &dyn Monitor,
) -> Result<Settled<DeleteArgs>> {
    if args.dry_run || args.confirm || !may_ask(app, interview) {
        return Ok(Settled::Go(args));
    }
    let dry = DeleteArgs { dry_run: true, ..args.clone() };
    let question = || async { Ok(((), whether_to_remove(&delete::delete(app, dry.clone(), monitor).await?)?)) };
    settle(interview, question).await.map(|settled| settled.map(|()| args))
}

/// Goes on if there is nothing to ask, or the answer is yes. Somebody may think for minutes, and what is asked about
/// may change meanwhile: a yes holds for what it would be asked about when it comes. What that is goes along.
async fn settle<P, F>(interview: &mut Interview, question: impl Fn() -> F) -> Result<Settled<P>>
where
    F: Future<Output = Result<(P, Option<Question>)>>,
{
    let mut agreed = None;
    loop {
        let (planned, question) = question().await?;
        let Some(question) = question.filter(|question| agreed.as_ref() != Some(&question.about)) else {
            return Ok(Settled::Go(planned));
        };
        match interview.ask(&question).await? {
            Heard::Answer(_) if interview.waits() => agreed = Some(question.about),
            Heard::Answer(_) => return Ok(Settled::Go(planned)),
            Heard::Later(question) => return Ok(Settled::Ask(question)),
        }
    }
}

/// Whether a question makes sense: what the verb refuses anyway is not asked about.
fn may_ask(app: &App, interview: &Interview) -> bool {
    interview.is_possible() && app.can_connect() && !app.config().read_only
}

/// The job that is planned, and what to ask about it: nothing if it costs nothing new, or little. `again` says what of it was
/// paid before.
async fn whether_to_pay(app: &App, planned: CreateReply, again: Option<String>) -> Result<(Agreed, Option<Question>)> {
    let question = whether_at_this_price(app, &planned, &again.unwrap_or_default()).await?;
    let usd = planned.estimate.high_usd.filter(|_| question.is_some());
    Ok((Agreed { job: Handle::from_ledger(planned.job), usd }, question))
}

async fn whether_at_this_price(app: &App, planned: &CreateReply, again: &str) -> Result<Option<Question>> {
    let estimate = &planned.estimate;
    let is_little = estimate.high_usd.is_some_and(|high| high <= app.config().confirm_above_usd);
    if !planned.sends || is_little {
        return Ok(None);
    }
    create::refuse_impossible(app, planned).await?;
    let price = match (estimate.low_usd, estimate.expected_usd, estimate.high_usd) {
        (Some(low), Some(expected), Some(high)) => {
            format!("about {}, between {} and {}", Cost::Usd(expected), Cost::Usd(low), Cost::Usd(high))
        }
        (Some(low), ..) => format!("at least {}", Cost::Usd(low)),
        _ => "an unknown price".to_owned(),
    };
    let uncounted = estimate.uncounted.map_or(String::new(), |what| format!(" That is not all: {what}."));
    Ok(Some(Question {
        name: "pay",
        about: format!("{} {:?} {:?}", planned.job, estimate.high_usd, estimate.uncounted),
        message: format!(
            "Submit {} to {} as the batch job {}, for {price}?{again}{uncounted}",
            counted(planned.requests, "request"),
            name(&estimate.model),
            name(&planned.job)
        ),
        form: yes_or_no("pay", "Submit and pay")?,
        takes: Takes::Yes,
        act: "submitting the job",
        hint: "nothing was sent; ask the user what to change: model, rows, maxOutputTokens. Where nobody is there to be asked, they \
               can set GEMINI_BATCH_CONFIRM_ABOVE_USD for this server beforehand"
            .to_owned(),
        in_the_call: "pass max_cost_usd with a price that they agreed to",
    }))
}

/// None if nothing is left there.
fn whether_to_remove(planned: &DeleteReply) -> Result<Option<Question>> {
    if planned.removed.is_empty() {
        return Ok(None);
    }
    let named: Vec<String> = planned.removed.iter().map(ToString::to_string).collect();
    Ok(Some(Question {
        name: "remove",
        about: format!("{} {named:?}", planned.job),
        message: format!(
            "Remove the batch job {} from the Gemini API ({})? Its answers stay on this machine.",
            name(&planned.job),
            named.join("; ")
        ),
        form: yes_or_no("remove", "Remove it")?,
        takes: Takes::Yes,
        act: "removing the job",
        hint: "nothing was removed".to_owned(),
        in_the_call: "pass confirm: true if the user agreed to it",
    }))
}

/// The models that do the same as the one that would be taken.
fn which_model(app: &App, usual: &CreateReply) -> Result<Question> {
    let model = &usual.estimate.model;
    let offered = models::like(app, model);
    let prices: Vec<String> = offered.iter().take(MOST_MODELS).map(ToString::to_string).collect();
    let names: Vec<String> = offered.iter().take(MOST_MODELS).map(|offered| offered.name.clone()).collect();
    let choices = EnumSchema::builder(names.clone()).title("Model").with_default(model.as_str());
    let choices = choices.map_err(|e| Error::internal("offering models", e))?.build();
    let form = ElicitationSchema::builder().required_enum_schema("model", choices).build();
    Ok(Question {
        name: "model",
        about: usual.job.clone(),
        message: format!(
            "Which model should answer {}? Batch prices in USD per million tokens, input and output: {}.",
            counted(usual.requests, "request"),
            prices.join("; ")
        ),
        form: form.map_err(|e| Error::internal("offering models", e))?,
        takes: Takes::OneOf(names),
        act: "choosing a model",
        hint: format!(
            "nothing was sent; ask the user for a model and pass it as model. Where they leave it to you, or nobody is there: the same call \
             with \"model\": \"{model}\""
        ),
        in_the_call: "pass the model that they named",
    })
}

fn yes_or_no(field: &str, title: &'static str) -> Result<ElicitationSchema> {
    let form = ElicitationSchema::builder().required_bool_with(field, |yes| yes.title(title)).build();
    form.map_err(|e| Error::internal("asking the user", e))
}

/// Strangers' text within a question.
fn name(text: &str) -> String {
    one_line(&clip(text, MOST_NAME_BYTES))
}
