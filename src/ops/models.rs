//! Which models there are, what a batch costs on each, and whether the API takes batches for it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteModel;
use crate::job::Kind;
use crate::job::models::{Availability, Makes, Model, Price};
use crate::job::text::{clip, one_line};

/// How long the API is waited for: the table says most of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Models that only the API knows, and how long their names may be.
const MOST_OTHERS: usize = 40;
const MOST_NAME_BYTES: usize = 80;

/// The models.
#[derive(Debug, Clone, Serialize)]
pub struct ModelsReply {
    /// What the prices are.
    pub prices: &'static str,
    /// The day on which they were true.
    pub as_of: String,
    /// Those with a price, or with a reason why not to use them.
    pub models: Vec<KnownModel>,
    /// Others that take batches, as the API says: their price is not known here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One model.
#[derive(Debug, Clone, Serialize)]
pub struct KnownModel {
    /// Its name, as every `model` argument takes it.
    pub name: String,
    /// What it makes: text, images, speech, vectors.
    pub makes: &'static str,
    /// It is taken when no model is named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Whether the API takes batches for it. Left out when the API was not asked or does not know the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<bool>,
    /// The price today. Left out when unknown.
    #[serde(flatten)]
    pub price: Option<ModelPrice>,
    /// When it ends, and what to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// USD per million tokens at batch rate.
#[derive(Debug, Clone, Serialize)]
pub struct ModelPrice {
    /// Input tokens.
    pub input_usd: f64,
    /// Output tokens, thinking included.
    pub output_usd: f64,
    /// Tokens of pictures that it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_output_usd: Option<f64>,
    /// Above so many input tokens another price holds: tokens, input, output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_prompts: Option<(i64, f64, f64)>,
}

/// All models of the table, and what the API says of them, where it can be asked.
pub async fn models(app: &App) -> Result<ModelsReply> {
    let (remote, warning) = at_the_api(app).await;
    let table = app.models();
    let others = remote.iter().flatten().filter(|remote| table.get(&remote.name).is_none() && takes_any(remote));
    Ok(ModelsReply {
        prices: "USD per million tokens at batch rate, half of single calls",
        as_of: table.as_of.to_string(),
        models: table.all().iter().map(|model| known(app, model, remote.as_deref())).collect(),
        others: others.map(|remote| one_line(&clip(&remote.name, MOST_NAME_BYTES))).take(MOST_OTHERS).collect(),
        warnings: warning.into_iter().collect(),
    })
}

/// The names of the models that may be used today, those first that are used when none is named.
pub fn usable(app: &App) -> Vec<String> {
    let open = |model: &&Model| !matches!(model.availability(app.today()), Availability::Closed(_));
    let mut models: Vec<&Model> = app.models().all().iter().filter(open).collect();
    models.sort_by_key(|model| !is_default(app, model));
    models.into_iter().map(|model| model.name.clone()).collect()
}

/// A model with its price, in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub name: String,
    price: Option<String>,
}

impl fmt::Display for Offered {
    /// "gemini-3.8-flash 0.375 and 1.875".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.price.as_deref().unwrap_or("unknown"))
    }
}

/// The usable models that make what this one makes, itself first.
pub fn like(app: &App, name: &str) -> Vec<Offered> {
    let table = app.models();
    let itself = table.get(name);
    let makes_same = |model: &Model| itself.is_some_and(|itself| makes(itself) == makes(model));
    let others = usable(app).into_iter().filter(|other| other != name);
    let others = others.filter(|other| table.get(other).is_some_and(makes_same));
    let offered = |name: String| {
        let price = table.get(&name).and_then(|model| model.price_on(app.today()));
        Offered { price: price.map(|price| format!("{} and {}", price.input, price.output)), name }
    };
    std::iter::once(name.to_owned()).chain(others).map(offered).collect()
}

/// None and why, when the API cannot be asked.
async fn at_the_api(app: &App) -> (Option<Vec<RemoteModel>>, Option<String>) {
    if !app.can_connect() {
        let why = "no API key is set: what the API says of each model is left out";
        return (None, Some(why.to_owned()));
    }
    let asked = tokio::time::timeout(PATIENCE, async { app.gemini().await?.models().await }).await;
    let answer = asked.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Unavailable, "listing models", "the API did not answer in time"))
    });
    match answer {
        Ok(models) => (Some(models), None),
        Err(e) => (None, Some(format!("the API could not be asked ({e}): what it says of each model is left out"))),
    }
}

fn takes_any(remote: &RemoteModel) -> bool {
    [Kind::Generate, Kind::Embed].into_iter().any(|kind| remote.takes_batches(kind))
}

fn known(app: &App, model: &Model, remote: Option<&[RemoteModel]>) -> KnownModel {
    let there = remote.into_iter().flatten().find(|remote| remote.name == model.name);
    KnownModel {
        name: model.name.clone(),
        makes: makes(model),
        default: is_default(app, model),
        batch: there.map(|remote| remote.takes_batches(model.kind)),
        price: model.price_on(app.today()).map(ModelPrice::from),
        note: match model.availability(app.today()) {
            Availability::Open => None,
            Availability::EndsSoon(text) | Availability::Closed(text) => Some(text),
        },
    }
}

/// What a model that the table does not know is for, as far as its name says so.
pub(super) fn said_to_be_for(name: &str) -> Option<(Kind, Makes)> {
    let words = [
        ("image", (Kind::Generate, Makes::Images)),
        ("tts", (Kind::Generate, Makes::Speech)),
        ("embedding", (Kind::Embed, Makes::Text)),
    ];
    words.into_iter().find(|(word, _)| name.contains(word)).map(|(_, purpose)| purpose)
}

/// What a model makes, in a word.
fn makes(model: &Model) -> &'static str {
    match (model.kind, model.makes) {
        (Kind::Embed, _) => "vectors",
        (Kind::Generate, Makes::Text) => "text",
        (Kind::Generate, Makes::Images) => "images",
        (Kind::Generate, Makes::Speech) => "speech",
    }
}

fn is_default(app: &App, model: &Model) -> bool {
    let table = app.models();
    let usual = match model.kind {
        Kind::Embed => table.default_for(Kind::Embed),
        Kind::Generate => table.default_to_make(model.makes),
    };
    model.name == usual
}

impl From<&Price> for ModelPrice {
    fn from(price: &Price) -> Self {
        Self {
            input_usd: price.input,
            output_usd: price.output,
            image_output_usd: price.image_output,
            long_prompts: price.long.as_ref().map(|long| (long.above_tokens, long.input, long.output)),
        }
    }
}
