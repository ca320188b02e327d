//! Holding answers against what was asked for: JSON, or JSON of a schema.
//!
//! JSON inside a Markdown code fence is JSON: the fence is taken off, and [`Answer::unfenced`] says so.

use std::borrow::Cow;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::error::Result;
use crate::job::Outcome;
use crate::job::text::clip;

use super::reasons;
use super::{Answer, schema};

/// How much of a value or a rule a message may quote.
const QUOTED: usize = 80;
const FENCE: &str = "```";

/// What answers have to be, and whether their content is wanted.
#[derive(Debug, Default, Clone)]
pub struct Checker {
    json: bool,
    parse: bool,
    schema: Option<Validator>,
}

impl Checker {
    /// Answers of any kind, or with `json` those in JSON; of this schema, if one is given, in JSON Schema or in
    /// the API's dialect.
    pub fn new(json: bool, schema: Option<&Value>) -> Result<Self> {
        let schema = schema.map(schema::compile).transpose()?;
        Ok(Self { json: json || schema.is_some(), parse: false, schema })
    }

    /// The same, and the JSON of each answer is [given](Self::check) back.
    #[must_use]
    pub fn parsing(self, parse: bool) -> Self {
        Self { parse, ..self }
    }

    /// Decides whether an answer is what it has to be. Returns its JSON as well, if that was read.
    pub fn check<'a>(&self, answer: Answer<'a>) -> (Answer<'a>, Option<Value>) {
        if self.schema.is_none() && !self.parse {
            return (if self.json { must_be_json(answer) } else { answer }, None);
        }
        let mut answer = if self.json { must_be_json(answer) } else { answer };
        let Some(value) = answer.text.as_deref().and_then(parsed) else { return (answer, None) };
        let schema = self.schema.as_ref().filter(|_| answer.outcome == Outcome::Answered);
        if let Some(Err(error)) = schema.map(|schema| schema.validate(&value)) {
            let (reason, message) = complaint(&error);
            answer.outcome = Outcome::Invalid;
            answer.reason = Some(Cow::Owned(reason));
            answer.message = Some(Cow::Owned(message));
        }
        (answer, Some(value))
    }
}

/// An answer in JSON mode whose text is not JSON is invalid.
pub(super) fn must_be_json(mut answer: Answer<'_>) -> Answer<'_> {
    let Some(text) = answer.text.as_deref().filter(|_| answer.outcome == Outcome::Answered) else { return answer };
    let Err(error) = serde_json::from_str::<IgnoredAny>(text) else { return answer };
    if let Some(inside) = unfenced(text).filter(|inside| serde_json::from_str::<IgnoredAny>(inside).is_ok()) {
        let length = inside.len();
        let start = inside.as_ptr().addr() - text.as_ptr().addr();
        answer.text = answer.text.map(|text| cut(text, start, length));
        answer.unfenced = true;
        return answer;
    }
    answer.outcome = Outcome::Invalid;
    answer.message = Some(Cow::Owned(error.to_string()));
    answer.reason = Some(Cow::Borrowed(reasons::NOT_JSON));
    answer
}

/// The JSON that a text is, with or without a fence.
fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(unfenced(text)?).ok())
}

/// What stands between the fences of a Markdown code block.
fn unfenced(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix(FENCE)?.strip_suffix(FENCE)?;
    let (language, inside) = inside.split_once('\n')?;
    let plain = language.trim_end().chars().all(|c| c.is_ascii_alphanumeric());
    plain.then(|| inside.trim())
}

fn cut(text: Cow<'_, str>, start: usize, length: usize) -> Cow<'_, str> {
    let part = start..start + length;
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(part).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(part).unwrap_or_default().to_owned()),
    }
}

/// A reason that many answers may share, and the message for this one: "price: not of type number" and
/// "/price: \"12\" is not of type \"number\"".
fn complaint(error: &ValidationError<'_>) -> (String, String) {
    let path = error.instance_path().as_str();
    let names = path.split('/').skip(1).map(|name| if is_index(name) { "[]" } else { name });
    let field = names.collect::<Vec<_>>().join(".");
    let place = if field.is_empty() { "the answer" } else { &field };
    let reason = format!("{}: {}", clip(place, QUOTED), rule(error));
    let value = clip(&error.instance().to_string(), QUOTED);
    let message = clip(&error.masked_with(value.as_str()).to_string(), 3 * QUOTED);
    (reason, format!("{}: {message}", if path.is_empty() { "/" } else { path }))
}

fn is_index(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The rule that was broken, in words that do not depend on the answer.
fn rule(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Required { property } => format!("{} is missing", clip(&property.to_string(), QUOTED)),
        ValidationErrorKind::Type { .. } => {
            // "the value is not of type \"number\"".
            let text = error.masked_with("").to_string().replace('"', "");
            text.trim().strip_prefix("is ").unwrap_or(&text).to_owned()
        }
        ValidationErrorKind::Enum { .. } => "none of the values allowed".to_owned(),
        ValidationErrorKind::Constant { .. } => "not the value asked for".to_owned(),
        ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::UnevaluatedProperties { .. } => {
            "has fields that the schema does not allow".to_owned()
        }
        ValidationErrorKind::Minimum { limit } => format!("less than {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("more than {limit}"),
        ValidationErrorKind::MinLength { limit } => format!("shorter than {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("longer than {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("fewer than {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("more than {limit} items"),
        kind => format!("breaks {}", kind.keyword()),
    }
}

#[cfg(test)]
mod tests;
