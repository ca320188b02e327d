//! The query parameter `fields`: only these fields of an answer, please (API reference §3.3).
//!
//! Names with commas between them, `a/b` or `a(b,c)` for fields of fields, `*` for all.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

use super::fields::camelised;
use super::refusal::Refusal;
use super::server::Ask;

/// The fields wanted of an object, each with those wanted of it. None named: all.
#[derive(Debug, Default, PartialEq, Eq)]
struct Selection(Vec<(String, Selection)>);

/// What `ask` wants of an answer whose fields at the top are `known`.
pub(super) fn selected(ask: &Ask, known: &[&str], answer: Value) -> Result<Value, Refusal> {
    let Some(wanted) = ask.query.get("fields").or_else(|| ask.query.get("$fields")) else { return Ok(answer) };
    let invalid = || Refusal::invalid(format!("Invalid field selection {wanted}"));
    let selection = Selection::parse(wanted).ok_or_else(invalid)?;
    match selection.0.iter().all(|(name, _)| name == "*" || known.contains(&name.as_str())) {
        true => Ok(selection.of(answer)),
        false => Err(invalid()),
    }
}

impl Selection {
    fn parse(text: &str) -> Option<Self> {
        let mut letters = text.chars().peekable();
        let selection = list(&mut letters)?;
        letters.next().is_none().then_some(selection)
    }

    fn of(&self, value: Value) -> Value {
        match value {
            Value::Object(fields) if !self.0.is_empty() => {
                let kept = fields.into_iter().filter_map(|(name, value)| {
                    let inner = self.find(&name)?.of(value);
                    Some((name, inner))
                });
                Value::Object(kept.collect())
            }
            Value::Array(values) => values.into_iter().map(|value| self.of(value)).collect(),
            other => other,
        }
    }

    fn find(&self, name: &str) -> Option<&Self> {
        self.0.iter().find(|(wanted, _)| wanted == "*" || wanted == name).map(|(_, inner)| inner)
    }
}

fn list(letters: &mut Peekable<Chars<'_>>) -> Option<Selection> {
    let mut wanted = vec![item(letters)?];
    while letters.next_if_eq(&',').is_some() {
        wanted.push(item(letters)?);
    }
    Some(Selection(wanted))
}

fn item(letters: &mut Peekable<Chars<'_>>) -> Option<(String, Selection)> {
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|c| c.is_alphanumeric() || "_@*".contains(*c)) {
        name.push(letter);
    }
    let inner = match letters.peek() {
        Some('/') => {
            letters.next();
            Selection(vec![item(letters)?])
        }
        Some('(') => {
            letters.next();
            let inner = list(letters)?;
            letters.next_if_eq(&')')?;
            inner
        }
        _ => Selection::default(),
    };
    (!name.is_empty()).then(|| (camelised(&name), inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(text: &str, value: Value) -> Option<Value> {
        Selection::parse(text).map(|selection| selection.of(value))
    }

    #[test]
    fn fields_of_fields_are_named_with_a_slash_or_in_brackets() {
        let value = json!({"name": "n", "metadata": {"state": "S", "model": "m"}, "list": [{"a": 1, "b": 2}]});
        assert_eq!(of("name,metadata(state)", value.clone()), Some(json!({"name": "n", "metadata": {"state": "S"}})));
        assert_eq!(of("metadata/model", value.clone()), Some(json!({"metadata": {"model": "m"}})));
        assert_eq!(of("list/b", value.clone()), Some(json!({"list": [{"b": 2}]})));
        assert_eq!(of("*", value.clone()), Some(value));
    }

    #[test]
    fn what_is_not_in_this_form_is_refused() {
        for text in ["", ",", "a(", "a(b", "a)", "a/", "a b", "()"] {
            assert_eq!(Selection::parse(text), None, "{text}");
        }
    }
}
