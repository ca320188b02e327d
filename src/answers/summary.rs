//! Adding answers up: outcomes, tokens, money, what went wrong and how often, a few samples.

use serde::Serialize;

use crate::job::models::Price;
use crate::job::text::clip;
use crate::job::{Cost, Outcome, OutcomeCounts, Usage};

use super::Answer;
use super::reasons::{NOT_JSON, remedy};

/// Kinds of failure that are told apart; the rest is one group for each outcome.
const MOST_GROUPS: usize = 40;
const OTHER: &str = "other reasons";
const EXAMPLES: usize = 3;
const SAMPLES: usize = 3;
/// Reasons, messages and example keys are shortened to this many bytes.
const MOST_BYTES: usize = 200;

/// What became of the requests of a job. The numbers add up.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Requests by outcome.
    pub outcomes: OutcomeCounts,
    /// Tokens used, as far as the API says.
    pub usage: Usage,
    /// What they cost; unknown if the price or the usage of an answer is.
    pub cost: Cost,
    /// What the same would have cost in single calls.
    pub live_cost: Cost,
    /// What those cost of which it is known, in US dollars.
    pub least_usd: f64,
    /// How much single requests differ in what they take.
    pub spread: Spread,
    /// The first answers, shortened.
    pub samples: Vec<Sample>,
    groups: Vec<FailureGroup>,
    sample_bytes: usize,
}

/// Sums of squares, to tell how far off a sum over some of the requests may be for all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spread {
    /// Of the cost.
    pub cost: f64,
    /// Of the output tokens.
    pub output: f64,
}

impl Spread {
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    fn add(&mut self, usage: &Usage, cost: Cost) {
        self.output += (usage.output_tokens as f64).powi(2);
        if let Cost::Usd(usd) = cost {
            self.cost += usd * usd;
        }
    }
}

/// Requests that did not answer, for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct FailureGroup {
    /// What became of them.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// The same in the API's words, for the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many.
    pub count: i64,
    /// The first keys.
    pub example_keys: Vec<String>,
    /// What to do about it.
    pub remedy: String,
}

/// An answer to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct Sample {
    /// The key of the request.
    pub key: String,
    /// The answer's text, or the JSON that came in its place, cut off with `…` if it is long.
    pub text: String,
}

impl Summary {
    /// Nothing yet. A sample's text gets at most `sample_bytes` bytes.
    pub fn new(sample_bytes: usize) -> Self {
        Self {
            outcomes: OutcomeCounts::default(),
            usage: Usage::default(),
            cost: Cost::Usd(0.0),
            live_cost: Cost::Usd(0.0),
            least_usd: 0.0,
            spread: Spread::default(),
            samples: Vec::new(),
            groups: Vec::new(),
            sample_bytes,
        }
    }

    /// Counts one answer, paid at `price`.
    pub fn add(&mut self, key: &str, answer: &Answer<'_>, price: Option<&Price>) {
        self.pay(answer, price);
        self.count(key, answer);
    }

    /// Counts one answer that is [paid](Self::pay) for elsewhere.
    pub fn count(&mut self, key: &str, answer: &Answer<'_>) {
        self.outcomes.add(answer.outcome, 1);
        match answer.outcome {
            Outcome::Answered => self.show(key, answer),
            Outcome::Pending => {}
            _ => self.group(key, answer),
        }
    }

    /// What went wrong, most frequent first.
    pub fn failures(&self) -> Vec<FailureGroup> {
        let mut groups = self.groups.clone();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then(a.outcome.cmp(&b.outcome)).then(a.reason.cmp(&b.reason)));
        groups
    }

    /// Adds up what one answer used and cost, whether or not it is the one that counts for its key. Returns what it cost.
    pub fn pay(&mut self, answer: &Answer<'_>, price: Option<&Price>) -> Cost {
        let cost = match &answer.usage {
            Some(usage) => {
                let cost = Cost::of_request(usage, price);
                self.usage += *usage;
                self.live_cost += Cost::of_request(usage, price.map(Price::live).as_ref());
                self.spread.add(usage, cost);
                cost
            }
            // It was paid for, and nobody says how much.
            None if matches!(answer.outcome, Outcome::Answered | Outcome::Truncated | Outcome::Invalid) => {
                self.live_cost = Cost::Unknown;
                Cost::Unknown
            }
            None => Cost::Usd(0.0),
        };
        self.cost += cost;
        self.least_usd += if let Cost::Usd(usd) = cost { usd } else { 0.0 };
        cost
    }

    /// There is more that was paid for than was counted here.
    pub fn doubt_cost(&mut self) {
        self.cost = Cost::Unknown;
        self.live_cost = Cost::Unknown;
    }

    fn show(&mut self, key: &str, answer: &Answer<'_>) {
        if self.samples.len() < SAMPLES {
            let text = clip(&answer.cell(), self.sample_bytes);
            self.samples.push(Sample { key: clip(key, MOST_BYTES), text });
        }
    }

    fn group(&mut self, key: &str, answer: &Answer<'_>) {
        let reason = clip(answer.reason.as_deref().unwrap_or_default(), MOST_BYTES);
        let place = self.place_of(answer, reason);
        if let Some(group) = self.groups.get_mut(place) {
            group.count += 1;
            if group.example_keys.len() < EXAMPLES {
                group.example_keys.push(clip(key, MOST_BYTES));
            }
        }
    }

    /// The group for this reason; a new one while there is room, then the one for the rest.
    fn place_of(&mut self, answer: &Answer<'_>, reason: String) -> usize {
        let outcome = answer.outcome;
        if let Some(place) = self.find(outcome, &reason) {
            return place;
        }
        let (reason, message) = if self.groups.len() < MOST_GROUPS {
            // Where one answer stops being JSON says nothing of the others.
            let message = answer.message.as_deref().filter(|_| reason != NOT_JSON);
            (reason, message.map(|message| clip(message, MOST_BYTES)))
        } else if let Some(place) = self.find(outcome, OTHER) {
            return place;
        } else {
            (OTHER.to_owned(), None)
        };
        let remedy = remedy(outcome, &reason).to_owned();
        self.groups.push(FailureGroup { outcome, reason, message, count: 0, example_keys: Vec::new(), remedy });
        self.groups.len() - 1
    }

    fn find(&self, outcome: Outcome, reason: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.outcome == outcome && group.reason == reason)
    }
}

#[cfg(test)]
mod tests;
