//! Tokens and price of a request file, before anything is spent.

use std::fmt;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use crate::job::media::{MediaTokens, proportional};
use crate::job::models::{Makes, Model};
use crate::job::outcome::{counted, grouped};
use crate::job::tokens::Counted;
use crate::job::{Cost, Kind, ModelTable, Usage};
use crate::jsonl::validate::Totals;

/// Low, expected, high.
type Range = [i64; 3];

/// How far the tokens of a text may be from what is estimated, in percent: lowest, expected, highest.
const TEXT: Range = [65, 100, 135];
/// Output tokens assumed for a request that sets no `maxOutputTokens`.
///
/// A guess, and said to be one in every reply: short answers, a few paragraphs, a long text with thinking.
const OUTPUT_GUESS: Range = [64, 400, 2_000];
/// Tokens by which the texts of one request may be rounded up together: few have more texts.
const ROUNDED: u64 = 4;
/// Tokens of a picture that is made (API reference §7: what a picture costs, by the price of its tokens).
const PICTURE: Range = [747, 1_120, 1_290];
/// Tokens of speech for ten tokens of the text that is spoken: 25 a second, at 2 to 5 tokens of text a second.
const SPEECH_FOR_TEN: Range = [50, 75, 125];

/// What a request file asks for, counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// Requests in the file.
    pub requests: i64,
    /// Input tokens, estimated from the texts.
    pub input_tokens: i64,
    /// Those of the longest request.
    pub longest: i64,
    /// Input tokens of media, as far as they could be measured.
    pub media: MediaTokens,
    /// Requests with media, files or cached content whose tokens are not counted.
    pub unmeasured: i64,
    /// Requests that may use a search tool, which is billed apart.
    pub grounded: i64,
    /// Requests that set `maxOutputTokens`.
    pub limited_requests: i64,
    /// The sum of the `maxOutputTokens` that are set.
    pub output_limit_sum: i64,
    /// Requests without such a limit whose answers ran to that of the model before.
    pub to_the_limit: i64,
    /// Answers asked for: one a request, or `candidateCount`.
    pub answers: i64,
    /// Requests that leave it to the model whether text comes back.
    pub unsaid: i64,
    /// Requests that ask for pictures.
    pub pictures: i64,
    /// Requests that ask for speech.
    pub speeches: i64,
    /// What the API counted of some of the requests.
    pub counted: Option<Counted>,
    /// What the input tokens are at most, where they are told from some of the requests.
    pub most_input_tokens: i64,
}

impl Load {
    /// The load of requests that were all read.
    pub fn of(totals: &Totals) -> Self {
        Self {
            requests: signed(totals.generate + totals.embed),
            input_tokens: signed(totals.input_tokens),
            longest: signed(totals.largest_input_tokens),
            media: totals.media,
            unmeasured: signed(totals.unmeasured),
            grounded: signed(totals.grounded),
            limited_requests: signed(totals.with_max_output_tokens),
            output_limit_sum: signed(totals.max_output_tokens),
            to_the_limit: 0,
            answers: signed(totals.candidates),
            unsaid: signed(totals.without_modalities),
            pictures: signed(totals.wants_images),
            speeches: signed(totals.wants_audio),
            counted: None,
            most_input_tokens: signed(totals.input_tokens),
        }
    }

    /// The load of `requests` like these, which have `text` bytes of text where these have `read`.
    #[must_use]
    pub fn extended(self, requests: u64, text: u64, read: u64) -> Self {
        let few = self.requests.unsigned_abs();
        let extended = |count: i64| signed(proportional(count.unsigned_abs(), requests, few));
        Self {
            requests: signed(requests),
            input_tokens: signed(proportional(self.input_tokens.unsigned_abs(), text, read)),
            longest: self.longest,
            media: self.media.extended(requests, few),
            unmeasured: extended(self.unmeasured),
            grounded: extended(self.grounded),
            limited_requests: extended(self.limited_requests),
            output_limit_sum: extended(self.output_limit_sum),
            to_the_limit: extended(self.to_the_limit),
            answers: extended(self.answers),
            unsaid: extended(self.unsaid),
            pictures: extended(self.pictures),
            speeches: extended(self.speeches),
            counted: self.counted,
            most_input_tokens: if requests > few {
                signed(most_tokens(text, requests))
            } else {
                self.most_input_tokens
            },
        }
    }

    /// The same with as many input tokens as there may be.
    #[must_use]
    pub fn at_most(self) -> Self {
        Self { input_tokens: self.most_input_tokens.max(self.input_tokens), ..self }
    }

    /// What the estimate cannot hold, in words.
    pub fn uncounted(&self) -> Option<&'static str> {
        match (self.unmeasured > 0 && self.counted.is_none(), self.grounded > 0) {
            (true, _) => Some("the requests refer to media, files or caches, whose tokens are not counted"),
            (_, true) => Some("the requests may search, which is billed apart"),
            _ => None,
        }
    }

    /// What they ask for that a model does not make.
    fn unsuited(&self, model: &Model) -> Option<Unsuited> {
        if model.kind == Kind::Embed {
            return None;
        }
        let texts = match model.makes {
            Makes::Text => 0,
            // Asked for text in so many words it gives text alone.
            Makes::Images => self.unsaid,
            Makes::Speech => self.requests - self.speeches,
        };
        let asked = [(Makes::Images, self.pictures), (Makes::Speech, self.speeches), (Makes::Text, texts)];
        let (asked, of) = asked.into_iter().find(|(asked, count)| *asked != model.makes && *count > 0)?;
        let (name, makes, wanted) = (&model.name, model.makes.as_str(), asked.as_str());
        let mut cause = format!("{name} makes {makes}, and the requests ask for {wanted}");
        if of < self.requests {
            cause.push_str(&format!(" ({} of {})", grouped(of), grouped(self.requests)));
        }
        Some(Unsuited { asked, cause })
    }

    /// Input tokens of all, and those of media among them.
    pub fn input(&self, model: &str) -> Usage {
        let [pictures, frames, sound] =
            [self.media.pictures.of(model), self.media.frames.of(model), self.media.sound].map(signed);
        let all = [pictures, frames, sound].into_iter().fold(self.input_tokens, i64::saturating_add);
        if let Some(counted) = self.counted.filter(|counted| counted.estimated == 0) {
            // Nothing can be told here: a request has about what those have on average.
            let input_tokens = proportion(counted.tokens, self.requests, counted.requests);
            return Usage { input_tokens, ..Usage::default() };
        }
        let scaled = |tokens: i64| match self.counted {
            Some(counted) => signed(proportional(
                tokens.unsigned_abs(),
                counted.tokens.unsigned_abs(),
                counted.estimated.unsigned_abs(),
            )),
            _ => tokens,
        };
        Usage {
            input_tokens: scaled(all),
            image_input_tokens: scaled(pictures),
            video_input_tokens: scaled(frames),
            audio_input_tokens: scaled(sound),
            ..Usage::default()
        }
    }

    /// The same if the texts have more or fewer tokens than it seems. What the API counted is as it is.
    fn text_at(&self, percent: i64, input: Usage) -> Usage {
        if self.counted.is_some() {
            return input;
        }
        let text = proportion(self.input_tokens, percent, 100);
        Usage { input_tokens: input.input_tokens.saturating_sub(self.input_tokens).saturating_add(text), ..input }
    }

    /// Tokens in and out, low, expected, high, of a model that gives so many at most for a request.
    fn used(&self, input: Usage, kind: Kind, most: i64) -> [Usage; 3] {
        [0, 1, 2].map(|level| {
            let of = |range: Range| range.get(level).copied().unwrap_or_default();
            let mut used = self.text_at(of(TEXT), input);
            if kind == Kind::Generate {
                let pictures = self.share(self.pictures, self.answers).saturating_mul(of(PICTURE));
                let spoken = self.share(self.speeches, self.input_tokens).saturating_mul(of(SPEECH_FOR_TEN)) / 10;
                let texts = self.requests - self.pictures - self.speeches;
                let text = self.share(texts, self.text(of(OUTPUT_GUESS), level, most));
                let output_tokens = text.saturating_add(pictures).saturating_add(spoken);
                used += Usage { output_tokens, image_tokens: pictures, audio_tokens: spoken, ..Usage::default() };
            }
            used
        })
    }

    /// Output tokens if all answers were text of `guess` tokens, at the high level as long as the limits allow, and no
    /// longer than the model makes them.
    fn text(&self, guess: i64, level: usize, most: i64) -> i64 {
        let [guess, most] = [guess, most].map(|tokens| self.share(self.answers, tokens));
        let allowed = self.output_limit_sum.min(self.limited_requests.saturating_mul(most));
        let limit = allowed / self.limited_requests.max(1);
        let limited = if level == 2 { allowed } else { self.limited_requests.saturating_mul(limit.min(guess)) };
        let long = self.to_the_limit.min(self.requests - self.limited_requests);
        let long_each = if level == 0 { guess } else { most };
        let others = self.requests - self.limited_requests - long;
        others.saturating_mul(guess).saturating_add(limited).saturating_add(long.saturating_mul(long_each))
    }

    /// `amount` of all requests, as it falls to `part` of them.
    fn share(&self, part: i64, amount: i64) -> i64 {
        proportion(amount, part.max(0), self.requests)
    }
}

/// No script has more tokens than a quarter of its bytes, but each text is rounded up.
fn most_tokens(text: u64, requests: u64) -> u64 {
    (text / 4).saturating_add(requests.saturating_mul(ROUNDED))
}

fn proportion(count: i64, many: i64, few: i64) -> i64 {
    signed(proportional(count.unsigned_abs(), many.unsigned_abs(), few.unsigned_abs()))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Requests for something else than the model makes: what that would cost nobody can tell.
#[derive(Debug, Clone)]
pub struct Unsuited {
    /// What they ask for.
    pub asked: Makes,
    /// In words.
    pub cause: String,
}

/// Tokens and price, low to high.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Estimate {
    /// Model the price is for.
    pub model: String,
    /// Input tokens, estimated.
    pub input_tokens: i64,
    /// Output tokens expected.
    pub output_tokens: i64,
    /// Lowest likely price in USD at batch rate. Left out when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_usd: Option<f64>,
    /// Expected price in USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_usd: Option<f64>,
    /// Highest likely price in USD; what `max_cost_usd` is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_usd: Option<f64>,
    /// What the figures rest on.
    pub basis: String,
    /// What the figures do not hold, in words.
    #[serde(skip)]
    pub uncounted: Option<&'static str>,
    /// What the model does not make.
    #[serde(skip)]
    pub unsuited: Option<Unsuited>,
}

impl Estimate {
    /// The estimate for a load on a model, at the prices of a day.
    pub fn new(load: &Load, model: &str, kind: Kind, table: &ModelTable, day: NaiveDate) -> Self {
        let known = table.get(model);
        let unsuited = known.and_then(|known| load.unsuited(known));
        let price = known.filter(|_| unsuited.is_none()).and_then(|model| model.price_on(day));
        let input = load.input(model);
        let [low, expected, high] = load.used(input, kind, known.map_or(i64::MAX, Model::most_output));
        let mean = |usage: &Usage| usage.input_tokens / load.requests.max(1);
        let cost = |usage: &Usage, prompt: i64| Cost::of_requests(usage, prompt, price).usd();
        // If one prompt is long, all may be priced as long ones.
        let longest = if load.counted.is_some() { load.longest } else { proportion(load.longest, TEXT[2], 100) };
        let uncounted = load.uncounted();
        let is_all = uncounted.is_none();
        Self {
            model: model.to_owned(),
            input_tokens: input.input_tokens,
            output_tokens: expected.output_tokens,
            low_usd: cost(&low, mean(&low)),
            // Nobody knows how much more it is.
            expected_usd: cost(&expected, mean(&expected)).filter(|_| is_all),
            high_usd: cost(&high, mean(&high).max(longest)).filter(|_| is_all),
            basis: basis(load, kind, model, price.map(|_| ()).ok_or(unsuited.as_ref()), table.as_of),
            uncounted,
            unsuited,
        }
    }
}

fn basis(load: &Load, kind: Kind, model: &str, price: Result<(), Option<&Unsuited>>, as_of: NaiveDate) -> String {
    let mut text = match price {
        Ok(()) => format!("batch prices of {as_of}"),
        Err(Some(unsuited)) => format!("price unknown: {}", unsuited.cause),
        Err(None) => format!(
            "price unknown: no price of {model} in the table of {as_of}; set max_cost_usd only with a priced model"
        ),
    };
    text.push_str(&match load.counted {
        Some(counted) => format!("; input tokens {counted}"),
        None => {
            "; input tokens estimated from text length (about ±15 % for English prose, ±35 % for other text)".into()
        }
    });
    if !load.media.is_zero() {
        text.push_str("; measured media by Google's rules");
    }
    if load.unmeasured > 0 && load.counted.is_none() {
        let requests = counted(load.unmeasured, "request");
        text.push_str(&format!(
            "; media, files or caches of {requests} are not counted, their length is not known here"
        ));
    }
    if kind == Kind::Generate {
        text.push_str(&output_basis(load));
    }
    if load.grounded > 0 {
        let fee = if model.starts_with("gemini-2") { "$35 per 1,000 prompts" } else { "$14 per 1,000 queries" };
        text.push_str(&format!("; search is billed apart and not in it: {fee}, not halved"));
    }
    text
}

fn output_basis(load: &Load) -> String {
    let mut text = String::new();
    if load.pictures > 0 {
        let [low, _, high] = PICTURE.map(grouped);
        text.push_str(&format!("; {low} to {high} tokens a picture"));
    }
    if load.speeches > 0 {
        text.push_str("; length of the speech guessed from that of the text");
    }
    if load.to_the_limit > 0 {
        let requests = counted(load.to_the_limit, "request");
        text.push_str(&format!("; {requests} counted at the model's own output limit, which cut them off before"));
    }
    let texts = load.requests - load.pictures - load.speeches;
    if texts > 0 && load.limited_requests + load.to_the_limit < load.requests {
        let [low, expected, high] = OUTPUT_GUESS;
        text.push_str(&format!(
            "; output guessed at {low} to {high} tokens a request, {expected} expected: set maxOutputTokens for a firm upper bound"
        ));
    }
    text
}

impl fmt::Display for Estimate {
    /// "about 3,100,000 input tokens, $1.20 to $4.90 (expected $2.10) on gemini-3.8-flash".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "about {} input tokens, ", grouped(self.input_tokens))?;
        match (self.low_usd, self.expected_usd, self.high_usd) {
            (Some(low), Some(expected), Some(high)) if low < high => {
                write!(f, "{} to {} (expected {})", Cost::Usd(low), Cost::Usd(high), Cost::Usd(expected))?;
            }
            (_, Some(expected), _) => write!(f, "{}", Cost::Usd(expected))?,
            (Some(low), ..) => write!(f, "at least {}", Cost::Usd(low))?,
            // The basis says that the price is unknown, and why.
            _ => return f.write_str(&self.basis),
        }
        write!(f, " on {} [{}]", self.model, self.basis)
    }
}

#[cfg(test)]
mod tests;
