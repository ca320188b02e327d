//! Counting the values of one field of the answers.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::Result;
use crate::job::Outcome;
use crate::job::outcome::grouped;
use crate::job::text::clip;

use super::select::FieldPath;

/// Values told apart: bounds the memory.
const MOST_VALUES: usize = 10_000;
/// Values named in a reply, and bytes of each.
const MOST_NAMED: usize = 50;
const MOST_BYTES: usize = 48;
/// Bytes of all names together.
const NAMES_BYTES: usize = 2_000;

/// How often each value came.
#[derive(Debug)]
pub struct Tally {
    field: FieldPath,
    counts: HashMap<String, i64>,
    /// Values that came when there was no more room.
    beyond: i64,
}

impl Tally {
    /// Counts the values of this field.
    pub fn of(field: &str) -> Result<Self> {
        Ok(Self { field: FieldPath::parse(field)?, counts: HashMap::new(), beyond: 0 })
    }

    /// Counts one request of this outcome and what its answer is as JSON: each element where the field is a list. One
    /// without JSON or without the field counts as that, and what has no usable answer by its outcome.
    pub fn add(&mut self, outcome: Outcome, json: Option<&Value>) {
        let Some(json) = json else {
            return match outcome {
                Outcome::Answered => self.note("(not JSON)"),
                outcome => self.note(&format!("({outcome})")),
            };
        };
        let values = self.field.values(json);
        if values.is_empty() {
            self.note("(no such field)");
        }
        for value in values {
            match value {
                Value::Array(items) if items.is_empty() => self.note("(empty list)"),
                Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
                value => self.add_value(value),
            }
        }
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.note(text),
            Value::Null => self.note("(null)"),
            value => self.note(&value.to_string()),
        }
    }

    fn note(&mut self, value: &str) {
        let value = clip(value, MOST_BYTES);
        if let Some(count) = self.counts.get_mut(&value) {
            *count += 1;
        } else if self.counts.len() < MOST_VALUES {
            self.counts.insert(value, 1);
        } else {
            self.beyond += 1;
        }
    }

    /// The counts, most frequent first; the rare ones are one sum.
    pub fn most_frequent(&self, plain: impl Fn(&str) -> String) -> Map<String, Value> {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut named: Map<String, Value> = Map::new();
        let (mut bytes, mut rest, mut others) = (0, self.beyond, 0);
        for (value, count) in all {
            let name = plain(value);
            let known = named.get(&name).and_then(Value::as_i64);
            if known.is_some() || (named.len() < MOST_NAMED && bytes < NAMES_BYTES) {
                bytes += name.len() + 8;
                named.insert(name, (count + known.unwrap_or(0)).into());
            } else {
                rest += count;
                others += 1;
            }
        }
        if rest > 0 {
            let more = if self.beyond > 0 { "more than " } else { "" };
            named.insert(format!("…{more}{} other values", grouped(others)), rest.into());
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn counts(tally: &Tally) -> Value {
        tally.most_frequent(str::to_owned).into()
    }

    #[test]
    fn values_are_counted_most_frequent_first() {
        let mut tally = Tally::of("kind").unwrap();
        for json in [json!({"kind": "toy"}), json!({"kind": ["toy", "gift"]}), json!({"kind": null}), json!({})] {
            tally.add(Outcome::Answered, Some(&json));
        }
        tally.add(Outcome::Answered, None);
        tally.add(Outcome::Missing, None);
        tally.add(Outcome::Invalid, None);
        tally.add(Outcome::Answered, Some(&json!({"kind": "toy"})));
        let expected = json!({
            "toy": 3, "(invalid)": 1, "(missing)": 1, "(no such field)": 1, "(not JSON)": 1, "(null)": 1, "gift": 1
        });
        assert_eq!(counts(&tally), expected);
        assert_eq!(counts(&tally).as_object().unwrap().keys().next().unwrap(), "toy");
    }

    #[test]
    fn rare_values_are_one_sum_and_memory_is_bounded() {
        let mut tally = Tally::of("n").unwrap();
        for n in 0..12_000 {
            tally.add(Outcome::Answered, Some(&json!({"n": n})));
            tally.add(Outcome::Answered, Some(&json!({"n": "often"})));
        }
        assert_eq!(tally.counts.len(), MOST_VALUES);
        let counts = counts(&tally);
        assert_eq!(counts["often"], 12_000);
        assert_eq!(counts["…more than 9,950 other values"], 12_000 - 49);
        let sum: i64 = counts.as_object().unwrap().values().filter_map(Value::as_i64).sum();
        assert_eq!(sum, 24_000);
    }
}
