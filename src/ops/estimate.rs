//! Tokens and price of a request file, before anything is spent.

use std::fmt;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use crate::job::outcome::grouped;
use crate::job::{Cost, Kind, ModelTable, Usage};

/// Output tokens assumed for a request that sets no `maxOutputTokens`: low, expected, high.
///
/// A guess, and said to be one in every reply: short answers, a few paragraphs, a long text with thinking.
const OUTPUT_GUESS: [i64; 3] = [64, 400, 2_000];

/// What a request file asks for, counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// Requests in the file.
    pub requests: i64,
    /// Input tokens, estimated from the texts.
    pub input_tokens: i64,
    /// Requests that set `maxOutputTokens`.
    pub limited_requests: i64,
    /// The sum of the `maxOutputTokens` that are set.
    pub output_limit_sum: i64,
    /// Whether media or uploaded files are referenced, whose tokens are not counted.
    pub uncounted_media: bool,
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
}

impl Estimate {
    /// The estimate for a load on a model, at the prices of a day.
    pub fn new(load: &Load, model: &str, kind: Kind, table: &ModelTable, day: NaiveDate) -> Self {
        let price = table.get(model).and_then(|model| model.price_on(day));
        let output = output_tokens(load, kind);
        let mean_prompt = load.input_tokens / load.requests.max(1);
        let cost = |output_tokens: i64| {
            let usage = Usage { input_tokens: load.input_tokens, output_tokens, ..Usage::default() };
            Cost::of_requests(&usage, mean_prompt, price).usd()
        };
        let basis = match price {
            None => format!(
                "price unknown: no price of {model} in the table of {}; set max_cost_usd only with a priced model",
                table.as_of
            ),
            Some(_) => basis(load, kind, table.as_of),
        };
        let [low, expected, high] = output;
        Self {
            model: model.to_owned(),
            input_tokens: load.input_tokens,
            output_tokens: expected,
            low_usd: cost(low),
            expected_usd: cost(expected),
            high_usd: cost(high),
            basis,
        }
    }
}

fn output_tokens(load: &Load, kind: Kind) -> [i64; 3] {
    if kind == Kind::Embed {
        return [0; 3];
    }
    let unlimited = load.requests - load.limited_requests;
    let mean_limit = load.output_limit_sum / load.limited_requests.max(1);
    let [low, expected, high] = OUTPUT_GUESS;
    [
        unlimited * low + load.limited_requests * mean_limit.min(low),
        unlimited * expected + load.limited_requests * mean_limit.min(expected),
        unlimited * high + load.output_limit_sum,
    ]
}

fn basis(load: &Load, kind: Kind, as_of: NaiveDate) -> String {
    let mut text = format!("batch prices of {as_of}; input tokens estimated from text length (about ±20 %)");
    if kind == Kind::Generate && load.limited_requests < load.requests {
        let [low, expected, high] = OUTPUT_GUESS;
        text.push_str(&format!(
            "; output guessed at {low} to {high} tokens a request, {expected} expected: set maxOutputTokens for a firm upper bound"
        ));
    }
    if load.uncounted_media {
        text.push_str("; media and referenced files are not counted");
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
            // The basis says that the price is unknown, and why.
            _ => return f.write_str(&self.basis),
        }
        write!(f, " on {} [{}]", self.model, self.basis)
    }
}
