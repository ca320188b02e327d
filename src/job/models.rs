//! What is known of each model: batch price, limits, shutdown date, successor.
//!
//! The facts are one dated data file, `models.json`, compiled in. Prices are USD per million tokens
//! at the batch rate, as the pricing page of ai.google.dev gives them on the date in the file; limits are
//! those of its page on rate limits (API reference §6).

use chrono::NaiveDate;
use serde::Deserialize;

use super::Kind;
use crate::error::{Error, ErrorKind, Result};

/// How long the API lets a job wait before it expires: a model must live longer than that.
const JOB_LIFETIME_DAYS: i64 = 2;
/// A shutdown this near is pointed out.
const SOON_DAYS: i64 = 60;

/// Output tokens that models give, and dimensions that those for vectors give, where the table says nothing else.
const OUTPUT_LIMIT: i64 = 65_536;
const DIMENSIONS: i64 = 3_072;

/// The table of known models.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    /// The day on which the table was true.
    pub as_of: NaiveDate,
    default_model: String,
    default_embedding_model: String,
    #[serde(default)]
    default_image_model: Option<String>,
    #[serde(default)]
    default_speech_model: Option<String>,
    /// What the API takes, whatever the model.
    #[serde(default)]
    pub limits: Limits,
    models: Vec<Model>,
}

/// What the API takes of one project.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Batches that have not ended.
    pub active_batches: i64,
    /// Bytes of a request file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub storage_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { active_batches: 100, file_bytes: 2 << 30, storage_bytes: 20_000_000_000 }
    }
}

/// What a model that generates is made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Makes {
    /// Text.
    #[default]
    Text,
    /// Pictures, with text beside them.
    Images,
    /// Speech.
    Speech,
}

impl Makes {
    /// What it makes, in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Images => "images",
            Self::Speech => "speech",
        }
    }
}

/// One model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name as the API takes it, without `models/`.
    pub name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default = "generate")]
    /// What it can be asked for.
    pub kind: Kind,
    /// What it is made for.
    #[serde(default)]
    pub makes: Makes,
    /// The day from which the API no longer serves it.
    pub shutdown: Option<NaiveDate>,
    /// What Google names as its replacement.
    pub successor: Option<String>,
    /// The longest prompt it takes, in tokens, where that is not the usual one.
    pub input_limit: Option<i64>,
    /// The longest answer it gives, in tokens, where that is not the usual one.
    pub output_limit: Option<i64>,
    /// Input tokens that may be enqueued at a time, by tier from 1, where a figure is known.
    #[serde(default)]
    enqueued_tokens: Vec<Option<i64>>,
    prices: Vec<Price>,
}

fn generate() -> Kind {
    Kind::Generate
}

/// A batch price in USD per million tokens, from a day on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    from: Option<NaiveDate>,
    /// Input tokens.
    pub input: f64,
    /// Output tokens, thinking included.
    pub output: f64,
    /// Input tokens read from a cache; without a figure they count as input.
    pub cached: Option<f64>,
    /// Audio input tokens, where they cost something else.
    pub audio_input: Option<f64>,
    /// Image input tokens, where they cost something else.
    pub image_input: Option<f64>,
    /// Video input tokens, where they cost something else.
    pub video_input: Option<f64>,
    /// Image output tokens, where they cost something else.
    pub image_output: Option<f64>,
    /// What cached tokens cost in single calls, where that is not twice the batch price.
    live_cached: Option<f64>,
    /// What long prompts cost instead.
    pub long: Option<LongPrice>,
}

/// The price of requests whose prompt is longer than a limit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// Applies to prompts of more input tokens than this.
    pub above_tokens: i64,
    /// Input tokens.
    pub input: f64,
    /// Output tokens.
    pub output: f64,
    /// Cached input tokens.
    pub cached: Option<f64>,
    /// What they cost in single calls, where that is not twice the batch price.
    live_cached: Option<f64>,
}

/// Whether a model may be used today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Nothing speaks against it.
    Open,
    /// It will be shut down soon: the text says when, and what to use instead.
    EndsSoon(String),
    /// It is off, or will be before a job could end: the text says so.
    Closed(String),
}

impl ModelTable {
    /// The table that is compiled in.
    pub fn embedded() -> Result<Self> {
        serde_json::from_str(include_str!("models.json"))
            .map_err(|e| Error::internal("reading the embedded model table", e.to_string()))
    }

    /// A table of the same form, written by the user.
    pub fn from_json(text: &str, origin: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, format!("reading the model table {origin}"), e.to_string())
                .hint("it must have the form of src/job/models.json in the project's repository")
        })
    }

    /// The model used when none is named.
    pub fn default_for(&self, kind: Kind) -> &str {
        match kind {
            Kind::Generate => &self.default_model,
            Kind::Embed => &self.default_embedding_model,
        }
    }

    /// The model used when none is named and the requests ask for this.
    ///
    /// A table of the user's own may be older than these defaults: then it is the one for text.
    pub fn default_to_make(&self, makes: Makes) -> &str {
        let named = match makes {
            Makes::Text => None,
            Makes::Images => self.default_image_model.as_deref(),
            Makes::Speech => self.default_speech_model.as_deref(),
        };
        named.unwrap_or(&self.default_model)
    }

    /// The entry for a name or alias, with or without `models/`.
    pub fn get(&self, name: &str) -> Option<&Model> {
        let name = bare_name(name);
        self.models.iter().find(|model| model.name == name || model.aliases.iter().any(|alias| alias == name))
    }

    /// All known models.
    pub fn all(&self) -> &[Model] {
        &self.models
    }

    /// The longest answer of a model, in tokens; of one that is not in the table, that of most models.
    pub fn most_output(&self, model: &str) -> i64 {
        self.get(model).map_or(OUTPUT_LIMIT, Model::most_output)
    }
}

impl Model {
    /// The longest answer that it gives, in tokens; of a model for vectors, the most dimensions.
    pub fn most_output(&self) -> i64 {
        self.output_limit.unwrap_or(if self.kind == Kind::Embed { DIMENSIONS } else { OUTPUT_LIMIT })
    }

    /// The batch price on a day, if it is known.
    pub fn price_on(&self, day: NaiveDate) -> Option<&Price> {
        self.prices.iter().rfind(|price| price.from.is_none_or(|from| from <= day))
    }

    /// How many times as dear it is on one day as on another, by the tokens that became dearer most; `None` if the price is the
    /// same, or unknown.
    pub fn dearer(&self, on: NaiveDate, than: NaiveDate) -> Option<f64> {
        let (now, then) = (self.price_on(on)?, self.price_on(than)?);
        let ratios =
            now.all().into_iter().zip(then.all()).filter(|(_, then)| *then > 0.0).map(|(now, then)| now / then);
        ratios.reduce(f64::max).filter(|_| now.from != then.from)
    }

    /// Input tokens that a project of this tier may have enqueued at a time, if that is known.
    pub fn enqueued_tokens(&self, tier: u8) -> Option<i64> {
        *self.enqueued_tokens.get(usize::from(tier).checked_sub(1)?)?
    }

    /// Whether a job may start on a day.
    pub fn availability(&self, day: NaiveDate) -> Availability {
        let Some(shutdown) = self.shutdown else { return Availability::Open };
        let instead = self.successor.as_ref().map_or(String::new(), |name| format!("; use {name} instead"));
        let left = (shutdown - day).num_days();
        if left <= 0 {
            Availability::Closed(format!("{} was shut down on {shutdown}{instead}", self.name))
        } else if left <= JOB_LIFETIME_DAYS {
            Availability::Closed(format!(
                "{} is shut down on {shutdown}, which may be before the job ends{instead}",
                self.name
            ))
        } else if left <= SOON_DAYS {
            Availability::EndsSoon(format!("{} is shut down on {shutdown}{instead}", self.name))
        } else {
            Availability::Open
        }
    }
}

/// A batch costs half of what single calls do, but for some cached tokens.
const LIVE: f64 = 2.0;

impl Price {
    /// What each kind of token costs.
    fn all(&self) -> [f64; 6] {
        let [audio, image, video] =
            [self.audio_input, self.image_input, self.video_input].map(|usd| usd.unwrap_or(self.input));
        [self.input, audio, image, video, self.output, self.image_output.unwrap_or(self.output)]
    }

    /// What the same tokens cost in single calls.
    #[must_use]
    pub fn live(&self) -> Self {
        let twice = |price: Option<f64>| price.map(|price| price * LIVE);
        let long = self.long.as_ref().map(|long| LongPrice {
            input: long.input * LIVE,
            output: long.output * LIVE,
            cached: long.live_cached.or(twice(long.cached)),
            ..long.clone()
        });
        Self {
            from: self.from,
            input: self.input * LIVE,
            output: self.output * LIVE,
            cached: self.live_cached.or(twice(self.cached)),
            audio_input: twice(self.audio_input),
            image_input: twice(self.image_input),
            video_input: twice(self.video_input),
            image_output: twice(self.image_output),
            live_cached: self.live_cached,
            long,
        }
    }
}

/// A model's name without `models/`.
pub fn bare_name(name: &str) -> &str {
    let name = name.trim();
    name.strip_prefix("models/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_models_are_in_the_table_and_open() {
        let table = ModelTable::embedded().unwrap();
        for kind in [Kind::Generate, Kind::Embed] {
            let model = table.get(table.default_for(kind)).unwrap();
            assert_eq!(model.kind, kind);
            assert_eq!(model.availability(table.as_of), Availability::Open);
            assert!(model.price_on(table.as_of).is_some());
        }
        for makes in [Makes::Text, Makes::Images, Makes::Speech] {
            let model = table.get(table.default_to_make(makes)).unwrap();
            assert_eq!((model.kind, model.makes), (Kind::Generate, makes));
            assert_eq!(model.availability(table.as_of), Availability::Open);
        }
    }

    #[test]
    fn a_price_changes_on_its_day() {
        let table = ModelTable::embedded().unwrap();
        let flash = table.get("models/gemini-flash-latest").unwrap();
        assert_eq!(flash.name, "gemini-3.8-flash");
        assert_eq!(flash.price_on(day("2026-12-31")).unwrap().input, 0.375);
        assert_eq!(flash.price_on(day("2027-01-01")).unwrap().input, 0.75);
    }

    #[test]
    fn a_model_closes_two_days_before_its_shutdown_and_names_its_successor() {
        let table = ModelTable::embedded().unwrap();
        let old = table.get("gemini-2.5-flash").unwrap();
        assert_eq!(
            old.availability(day("2026-11-22")),
            Availability::EndsSoon(
                "gemini-2.5-flash is shut down on 2026-12-01; use gemini-3.5-flash-lite instead".into()
            )
        );
        assert!(matches!(old.availability(day("2026-11-29")), Availability::Closed(_)));
        assert!(matches!(old.availability(day("2026-12-01")), Availability::Closed(_)));
    }

    #[test]
    fn single_calls_cost_twice_as_much_but_for_some_cached_tokens() {
        let table = ModelTable::embedded().unwrap();
        let live = |name: &str| table.get(name).unwrap().price_on(table.as_of).unwrap().live();
        let flash = live("gemini-3.5-flash");
        assert_eq!((flash.input, flash.output, flash.cached), (1.5, 9.0, Some(0.15)));
        assert_eq!(live("gemini-3.5-flash-lite").cached, Some(0.03));
        let pro = live("gemini-3.1-pro-preview");
        let long = pro.long.unwrap();
        assert_eq!((pro.cached, long.input, long.output, long.cached), (Some(0.2), 4.0, 18.0, Some(0.4)));
        assert_eq!(live("gemini-3-pro-image").image_output, Some(120.0));
    }

    #[test]
    fn limits_are_known_by_tier_or_not_at_all() {
        let table = ModelTable::embedded().unwrap();
        let of = |name: &str, tier| table.get(name).unwrap().enqueued_tokens(tier);
        assert_eq!(of("gemini-3-flash-preview", 1), Some(3_000_000));
        assert_eq!(of("gemini-3-flash-preview", 3), Some(500_000_000));
        assert_eq!(of("gemini-3.8-flash", 2), None);
        assert_eq!((of("gemini-3.7-flash", 1), of("gemini-3-flash-preview", 0)), (None, None));
        assert_eq!(table.limits.active_batches, 100);
    }

    #[test]
    fn a_price_that_is_not_known_is_none() {
        let table = ModelTable::embedded().unwrap();
        assert!(table.get("gemini-3-pro-preview").unwrap().price_on(table.as_of).is_none());
        assert!(table.get("gemini-99").is_none());
    }
}
