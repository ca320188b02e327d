//! Whether a model may be used, told before anything is spent.

use super::{App, models, nearest};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::job::models::{Availability, Makes, Model, bare_name};

/// Input tokens that Gemini models take, where the table says nothing else (API reference §7).
const INPUT_LIMIT: i64 = 1_048_576;

/// Refuses a model that is shut down, or will be before the job could end; warns of one that soon will be.
pub(super) fn availability(app: &App, model: &str) -> Result<Option<String>> {
    let Some(known) = app.models().get(model) else {
        let meant = meant(app, model).map_or(String::new(), |meant| format!(" ({meant})"));
        return Ok(Some(format!("{}, and whether it takes batches{meant}", unpriced(app, model))));
    };
    match known.availability(app.today()) {
        Availability::Open => Ok(None),
        Availability::EndsSoon(text) => Ok(Some(text)),
        Availability::Closed(text) => {
            let hint = match &known.successor {
                Some(successor) => format!("pass model: \"{successor}\"; nothing was sent"),
                None => "choose another model; nothing was sent".to_owned(),
            };
            Err(Error::new(ErrorKind::InvalidArgument, format!("choosing the model {model}"), text).hint(hint))
        }
    }
}

/// Why the price of a model is unknown.
pub(super) fn unpriced(app: &App, model: &str) -> String {
    match app.models().get(model) {
        None => format!("{model} is not in the price table of {}: its price is unknown", app.models().as_of),
        Some(_) => format!("the price of {model} is unknown"),
    }
}

/// Which models have a price, those first that this one may be a slip of.
pub(super) fn priced(app: &App, model: &str) -> String {
    let near = near(app, model);
    match near.as_slice() {
        [] => {}
        [_] => return format!("{} That one has a price", did_you_mean(&near)),
        _ => return format!("{} Those have a price", did_you_mean(&near)),
    }
    let usable = models::usable(app);
    let has_price = |name: &&String| app.models().get(name).is_some_and(|model| model.price_on(app.today()).is_some());
    let names: Vec<_> = usable.iter().filter(has_price).map(String::as_str).collect();
    format!("models with a price are {}", names.join(", "))
}

/// "did you mean gemini-3.8-flash?", if a model is called nearly so.
fn meant(app: &App, model: &str) -> Option<String> {
    let near = near(app, model);
    (!near.is_empty()).then(|| did_you_mean(&near))
}

fn did_you_mean(names: &[String]) -> String {
    format!("did you mean {}?", names.join(" or "))
}

/// The models that are called nearly so, of those that make what the name says.
fn near(app: &App, model: &str) -> Vec<String> {
    let model = bare_name(model);
    let said = models::said_to_be_for(model);
    let suits = |name: &String| said.is_none() || app.models().get(name).map(|known| (known.kind, known.makes)) == said;
    let usable = models::usable(app);
    let others = usable.iter().filter(|name| *name != model && suits(name));
    nearest::of(model, others.map(|name| (name.as_str(), name))).into_iter().cloned().collect()
}

/// Which model to take for what another one does not make.
pub(super) fn makes_it(app: &App, asked: Makes) -> String {
    format!("pass model: \"{}\", which does", app.models().default_to_make(asked))
}

/// Refuses a model that does not do what the requests ask for.
pub(super) fn suits(app: &App, model: &str, kind: Kind) -> Result<()> {
    let Some(known) = app.models().get(model).filter(|known| known.kind != kind) else { return Ok(()) };
    let (makes, asked, other) = match kind {
        Kind::Generate => ("makes vectors, not text", "generate", "build with kind: \"embed\", or "),
        Kind::Embed => ("makes no vectors", "embed", ""),
    };
    let hint = format!("{other}pass model: \"{}\"; nothing was sent", app.models().default_for(kind));
    let cause = format!("{} {makes}, and the requests ask to {asked}", known.name);
    Err(Error::new(ErrorKind::InvalidArgument, format!("choosing the model {model}"), cause).hint(hint))
}

/// Refuses a model that takes no batches, before anything is uploaded for it. The API is asked only about models that the
/// table does not know; what it cannot say now, it says to the create.
pub(super) async fn takes_batches(app: &App, model: &str, kind: Kind) -> Result<()> {
    if app.models().get(model).is_some() || model.contains('/') {
        return Ok(());
    }
    let default = match models::said_to_be_for(model) {
        Some((Kind::Generate, makes)) => app.models().default_to_make(makes),
        _ => app.models().default_for(kind),
    };
    let refuse = |meant: Option<String>, cause: String| {
        let meant = meant.map_or(String::new(), |meant| format!("{meant} Else "));
        Err(Error::new(ErrorKind::InvalidArgument, format!("choosing the model {model}"), cause).hint(format!(
            "{meant}pass model: \"{default}\", or another that the API lists with batches; nothing was sent"
        )))
    };
    match app.gemini().await?.model(model).await {
        Ok(known) if known.takes_batches(kind) || known.methods.is_empty() => Ok(()),
        Ok(known) => {
            refuse(None, format!("it takes no batches to {}, only {}", kind.as_str(), known.methods.join(", ")))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            refuse(meant(app, model), format!("the API has no such model: {}", e.cause()))
        }
        Err(_) => Ok(()),
    }
}

/// The longest answer that a model gives, in tokens; of a model for vectors, the most dimensions. Unknown of a model that the
/// table does not know.
pub(super) fn output_limit(app: &App, model: &str) -> Option<i64> {
    app.models().get(model).map(Model::most_output)
}

/// The longest prompt that a model takes, in tokens, and whether a longer one is refused rather than cut off.
pub(super) fn input_limit(app: &App, model: &str, kind: Kind) -> (i64, bool) {
    let known = app.models().get(model).and_then(|known| known.input_limit);
    (known.unwrap_or(INPUT_LIMIT), kind == Kind::Generate)
}
