//! Which answers to show and write: by key, outcome, text, or a field of the parsed answer.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::job::Outcome;

use super::Answer;

/// What an answer has to be to pass. Everything passes an empty filter.
#[derive(Debug, Default)]
pub struct Filter {
    outcomes: Vec<Outcome>,
    keys: HashSet<String>,
    /// Folded.
    text: Option<String>,
    fields: Vec<(FieldPath, Value)>,
}

impl Filter {
    /// Any of these outcomes, and any of these keys; without any, all.
    pub fn new(outcomes: &[Outcome], keys: &[String]) -> Self {
        Self { outcomes: outcomes.to_vec(), keys: keys.iter().cloned().collect(), ..Self::default() }
    }

    /// Only answers that hold this text, in any case.
    pub fn holding(mut self, text: Option<&str>) -> Result<Self> {
        if let Some(text) = text {
            if text.is_empty() {
                return Err(bad("search is empty").hint("give the text to look for, or leave search out"));
            }
            self.text = Some(folded(text));
        }
        Ok(self)
    }

    /// Only answers in JSON whose fields have these values.
    pub fn with_fields(mut self, fields: &Map<String, Value>) -> Result<Self> {
        for (name, value) in fields {
            self.fields.push((FieldPath::parse(name)?, value.clone()));
        }
        Ok(self)
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.keys.is_empty() && self.text.is_none() && self.fields.is_empty()
    }

    /// Whether an answer of this outcome counts by its fields: one that is not as it was asked for only if somebody asks
    /// for it.
    pub fn heeds_fields_of(&self, outcome: Outcome) -> bool {
        outcome == Outcome::Answered || self.outcomes.contains(&outcome)
    }

    /// Whether it needs the JSON of answers.
    pub fn needs_json(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether an answer passes; `json` is what its text says, if it is JSON.
    pub fn lets_through(&self, key: &str, answer: &Answer<'_>, json: Option<&Value>) -> bool {
        (self.outcomes.is_empty() || self.outcomes.contains(&answer.outcome))
            && (self.keys.is_empty() || self.keys.contains(key))
            && self.fields.iter().all(|(path, wanted)| json.is_some_and(|json| path.holds(json, wanted)))
            && self.text.as_ref().is_none_or(|text| folded(&answer.cell()).contains(text.as_str()))
    }
}

/// A text without its cases: what differs in case only becomes the same.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // By way of capitals, so that ß meets SS and ς meets σ.
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// An answer that is a single value, or a list of them, has no fields: it goes by the name of its column.
const ANSWER: &str = "answer";

/// The name of a field: with dots it reaches into objects, with numbers or without into lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// Reads a name such as `category` or `product.size`.
    pub fn parse(name: &str) -> Result<Self> {
        let names: Vec<_> = name.split('.').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(bad(format!("{name:?} is not the name of a field"))
                .hint("name a field of the answers, e.g. category, or product.size inside an object"));
        }
        Ok(Self(names))
    }

    /// All that the name stands for in a value.
    pub fn values<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = Vec::new();
        collect(value, &self.0, &mut found);
        if found.is_empty() && !value.is_object() && self.0 == [ANSWER] {
            found.push(value);
        }
        found
    }

    fn holds(&self, value: &Value, wanted: &Value) -> bool {
        self.values(value).into_iter().any(|found| match found {
            Value::Array(items) => found == wanted || items.iter().any(|item| same(item, wanted)),
            found => same(found, wanted),
        })
    }
}

fn collect<'v>(value: &'v Value, names: &[String], found: &mut Vec<&'v Value>) {
    let Some((first, rest)) = names.split_first() else { return found.push(value) };
    match value {
        // A name may have dots of its own.
        Value::Object(fields) => match (fields.get(&names.join(".")), fields.get(first)) {
            (Some(whole), _) => found.push(whole),
            (None, Some(inside)) => collect(inside, rest, found),
            (None, None) => {}
        },
        Value::Array(items) => match first.parse::<usize>() {
            Ok(number) => items.get(number).into_iter().for_each(|item| collect(item, rest, found)),
            Err(_) => items.iter().for_each(|item| collect(item, names, found)),
        },
        _ => {}
    }
}

/// The same JSON; 1 is 1.0, and a number or a truth value is its own text.
fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Bool(value), Value::String(text)) | (Value::String(text), Value::Bool(value)) => {
            text == if *value { "true" } else { "false" }
        }
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            let digits = number.to_string();
            digits == *text
        }
        _ => found == wanted,
    }
}

fn bad(cause: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, "choosing answers", cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_that_differ_in_case_only_fold_to_the_same() {
        for (one, other) in [("Straße", "STRASSE"), ("ΟΔΟΣ", "οδος"), ("ÅNGSTRÖM", "ångström"), ("Plain", "pLAIN")]
        {
            assert_eq!(folded(one), folded(other));
        }
        assert_ne!(folded("a"), folded("ä"));
    }

    #[test]
    fn a_name_reaches_into_objects_and_lists() {
        let value = json!({"a": {"b": 1, "c.d": 2}, "tags": ["x", "y"], "items": [{"n": 1}, {"n": 2}]});
        let values =
            |name: &str| FieldPath::parse(name).unwrap().values(&value).into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(values("a.b"), [json!(1)]);
        assert_eq!(values("a.c.d"), [json!(2)]);
        assert_eq!(values("tags"), [json!(["x", "y"])]);
        assert_eq!(values("tags.1"), [json!("y")]);
        assert_eq!(values("items.n"), [json!(1), json!(2)]);
        assert!(values("nothing.here").is_empty() && values("answer").is_empty());
        let answer = FieldPath::parse("answer").unwrap();
        assert_eq!(answer.values(&json!("a")), [&json!("a")]);
        assert_eq!(answer.values(&json!([{"answer": 1}])), [&json!(1)]);
        for bad in ["", ".", "a.", "a..b"] {
            assert_eq!(FieldPath::parse(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn values_are_compared_as_json_and_numbers_also_as_text() {
        let holds = |field: Value, wanted: Value| FieldPath::parse("f").unwrap().holds(&json!({"f": field}), &wanted);
        assert!(holds(json!("toys"), json!("toys")) && !holds(json!("toys"), json!("Toys")));
        assert!(holds(json!(5), json!("5")) && holds(json!("5"), json!(5)) && holds(json!(5.0), json!(5)));
        assert!(holds(json!(true), json!("true")) && !holds(json!(null), json!("null")));
        assert!(holds(json!(["a", "b"]), json!("b")) && holds(json!(["a"]), json!(["a"])));
        assert!(holds(json!({"x": 1}), json!({"x": 1})));
    }
}
