//! Filters on a column that need no template engine: `{{ name | upper }}`,
//! `{{ tags | split(";") | join(", ") }}`.
//!
//! They are most of what templates ask for beyond columns, and cost a fraction this way. Only what
//! does with text exactly what the engine does is taken; everything else stays with the engine.

use std::borrow::Cow;

use memchr::memmem::Finder;

use super::row::Slot;

/// A column and what is done to its text.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) slot: Slot,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Upper,
    Lower,
    Trim,
    Replace(Box<Finder<'static>>, String),
}

/// A filter as it is written, with its arguments.
struct Call<'t> {
    name: &'t str,
    arguments: Vec<&'t str>,
}

impl Chain {
    /// Reads the inside of a tag; `None` when there is more to it.
    pub(super) fn parse(inside: &str) -> Option<Self> {
        let (name, filters) = inside.split_once('|')?;
        let name = name.trim();
        let is_word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let steps = is_word.then(|| steps(calls(filters)?)).flatten()?;
        Some(Self { slot: Slot::new(name), steps })
    }

    /// What becomes of a text; `None` when that would be longer than `limit` bytes.
    pub(super) fn apply<'t>(&self, text: &'t str, limit: usize) -> Option<Cow<'t, str>> {
        self.steps.iter().try_fold(Cow::Borrowed(text), |text, step| step.apply(text, limit))
    }
}

impl Step {
    fn apply<'t>(&self, text: Cow<'t, str>, limit: usize) -> Option<Cow<'t, str>> {
        Some(match self {
            Self::Upper => Cow::Owned(text.to_uppercase()),
            Self::Lower => Cow::Owned(text.to_lowercase()),
            Self::Trim if text.trim().len() == text.len() => text,
            Self::Trim => Cow::Owned(text.trim().to_owned()),
            Self::Replace(from, to) => Cow::Owned(replace(&text, from, to, limit)?),
        })
    }
}

fn replace(text: &str, from: &Finder<'_>, to: &str, limit: usize) -> Option<String> {
    let mut made = String::with_capacity(text.len() + to.len());
    let mut rest = 0;
    for at in from.find_iter(text.as_bytes()) {
        made.push_str(text.get(rest..at)?);
        made.push_str(to);
        rest = at + from.needle().len();
        if made.len() > limit {
            return None;
        }
    }
    made.push_str(text.get(rest..)?);
    Some(made)
}

fn steps(calls: Vec<Call<'_>>) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut calls = calls.into_iter();
    while let Some(Call { name, arguments }) = calls.next() {
        match (name, arguments.as_slice()) {
            ("upper", []) => steps.push(Step::Upper),
            ("lower", []) => steps.push(Step::Lower),
            ("trim", []) => steps.push(Step::Trim),
            // Text is never absent.
            ("default" | "d", [] | [_]) => {}
            ("replace", [from, to]) => steps.push(replacing(from, to)?),
            // Split by one text and joined by another is the one replaced by the other.
            ("split", [from]) => {
                let join = calls.next().filter(|next| next.name == "join" && next.arguments.len() < 2)?;
                steps.push(replacing(from, join.arguments.first().unwrap_or(&""))?);
            }
            _ => return None,
        }
    }
    Some(steps)
}

fn replacing(from: &str, to: &str) -> Option<Step> {
    (!from.is_empty()).then(|| Step::Replace(Box::new(Finder::new(from).into_owned()), to.to_owned()))
}

/// Filters separated by bars.
fn calls(mut text: &str) -> Option<Vec<Call<'_>>> {
    let mut calls = Vec::new();
    loop {
        let (call, rest) = call(text.trim_start())?;
        calls.push(call);
        if rest.is_empty() {
            return Some(calls);
        }
        text = rest.strip_prefix('|')?;
    }
}

/// One filter and what follows it.
fn call(text: &str) -> Option<(Call<'_>, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let mut arguments = Vec::new();
    let Some(mut rest) = rest.trim_start().strip_prefix('(') else {
        return Some((Call { name, arguments }, rest.trim_start()));
    };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            return Some((Call { name, arguments }, after.trim_start()));
        }
        if !arguments.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
        let (argument, after) = literal(rest)?;
        arguments.push(argument);
        rest = after;
    }
}

/// A string without escapes and what follows it.
fn literal(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inside, after) = text.get(1..)?.split_once(quote)?;
    (!inside.contains('\\')).then_some((inside, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::template::Template;
    use crate::source::{Row, RowProblem};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn rendered(template: &str, row: &Map<String, Value>) -> Result<String, RowProblem> {
        let mut text = String::new();
        Template::compile(template).unwrap().render_into(&Row::object(1, None, row), &mut text).map(|()| text)
    }

    /// The same by the template engine, which alone knows comments.
    fn by_the_engine(template: &str, row: &Map<String, Value>) -> Result<String, RowProblem> {
        rendered(&format!("{{# #}}{template}"), row)
    }

    #[test]
    fn filters_with_literal_arguments_make_a_chain_and_others_do_not() {
        for text in ["a|upper", "a | trim | lower", "a | replace('x', \"\")", "a|split(\";\") | join(', ')", "a | d()"]
        {
            assert!(Chain::parse(text).is_some(), "{text}");
        }
        for text in [
            "a",
            "a | title",
            "a | split",
            "a | split(';')",
            "a | split(';') | upper | join",
            "a | split('') | join",
            "a | replace('', 'x')",
            "a | default(b)",
            "a | replace('\\n', ' ')",
            "a | upper }} {{ b",
            "a.b | upper",
            "a | upper(",
            "a | join(', ')",
            "a || upper",
            "| upper",
        ] {
            assert!(Chain::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_not_text_is_left_to_the_engine_with_its_words() {
        let Value::Object(row) = json!({"n": 5, "list": ["a", "b"], "none": null}) else { panic!("no object") };
        for template in
            ["{{ n | upper }}", "{{ list | upper }}", "{{ none | default('x') }}", "{{ gone | default('x') }}"]
        {
            assert_eq!(rendered(template, &row), by_the_engine(template, &row), "{template}");
        }
        assert_eq!(rendered("{{ none | default('x') }}", &row).unwrap(), "x");
        for template in ["{{ none | upper }}", "{{ gone | upper }}", "{{ n | split(';') | join }}"] {
            assert_eq!(rendered(template, &row).is_err(), by_the_engine(template, &row).is_err(), "{template}");
        }
        assert!(rendered("{{ gone | upper }}", &row).unwrap_err().cause.contains("no column \"gone\""));
    }

    #[test]
    fn a_text_does_not_grow_beyond_the_limit() {
        let chain = Chain::parse("a | replace('x', '0123456789')").unwrap();
        assert_eq!(chain.apply("xx", 20).unwrap(), "01234567890123456789");
        assert_eq!(chain.apply("xxx", 20), None);
    }

    proptest! {
        #[test]
        fn a_chain_makes_what_the_engine_makes(
            text in "(?s)([ a-cA-C;ßİé\"\n]|;;|. ){0,20}",
            filters in proptest::collection::vec(prop_oneof![
                Just("upper"), Just("lower()"), Just("trim"), Just("default('z')"), Just("replace(';', '<a>')"),
                Just("split(';') | join(', ')"), Just("split(\"a\")|join"), Just("replace('aa', 'a')"), Just("split('é;')|join('')"),
            ], 1..4),
        ) {
            let row = Map::from_iter([("a".to_owned(), Value::from(text))]);
            let template = format!("x {{{{ a | {} }}}} {{{{ a }}}}\n", filters.join(" | "));
            let is_chain = Chain::parse(&format!("a|{}", filters.join("|"))).is_some();
            prop_assert!(is_chain);
            prop_assert_eq!(rendered(&template, &row), by_the_engine(&template, &row));
        }
    }
}
