//! What is asked otherwise in a retry: what the caller wants, and more room for what was cut off.

use serde_json::{Map, Value};

use crate::answers::Answer;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Outcome;
use crate::job::outcome::{counted, grouped};

const LIMIT: &str = "maxOutputTokens";

/// Changes the requests of a retry, and keeps count of what it changed.
#[derive(Debug, Default)]
pub(super) struct Settings {
    asked: Option<Map<String, Value>>,
    /// The longest answer that the model gives, in tokens, thinking included. It is also what the API allows where a
    /// request sets no limit (API reference §7).
    most: i64,
    changed: i64,
    raised: Raised,
    /// Cut off, and there is no more room to be given.
    at_the_limit: i64,
    /// Those of them that set no limit.
    without_limit: i64,
}

/// The limits that were raised.
#[derive(Debug, Default)]
struct Raised {
    count: i64,
    /// Smallest and largest, before and after.
    from: Option<(i64, i64)>,
    to: Option<(i64, i64)>,
}

impl Settings {
    /// The generationConfig fields that the caller wants in every request, to a model whose longest answer has so many
    /// tokens.
    pub(super) fn new(asked: Option<Map<String, Value>>, most: i64) -> Self {
        Self { asked, most, ..Self::default() }
    }

    /// The request as it is repeated; `None` if nothing is to be changed. `answer` is what came back for it, when it was
    /// repeated for so many times.
    pub(super) fn change(
        &mut self,
        line: &[u8],
        (answer, repeated): (&Answer<'_>, u32),
        act: &str,
    ) -> Result<Option<Vec<u8>>> {
        let is_cut_off = answer.outcome == Outcome::Truncated && !self.limit_is_asked();
        if self.asked.is_none() && !is_cut_off {
            return Ok(None);
        }
        let bad = |e: serde_json::Error| Error::new(ErrorKind::InvalidInput, act, e.to_string());
        let mut line: Value = serde_json::from_slice(line).map_err(bad)?;
        let Some(config) = config_of(&mut line) else { return Ok(None) };
        if let Some(asked) = &self.asked {
            asked.iter().for_each(|(name, value)| set(config, name, value.clone()));
            self.changed += 1;
        }
        if is_cut_off {
            self.give_room(config, answer, repeated);
        }
        serde_json::to_vec(&line).map(Some).map_err(bad)
    }

    fn limit_is_asked(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.keys().any(|name| is_same(name, LIMIT)))
    }

    /// Twice the room that was not enough. A request without a limit had all there is.
    fn give_room(&mut self, config: &mut Map<String, Value>, answer: &Answer<'_>, repeated: u32) {
        let before = config.iter().find(|(name, _)| is_same(name, LIMIT)).and_then(|(_, value)| whole_number(value));
        match before.filter(|limit| (1..self.most).contains(limit)) {
            Some(before) => {
                let used = answer.usage.map_or(0, |usage| usage.output_tokens);
                let limit = more_than(before, used, repeated).min(self.most);
                set(config, LIMIT, limit.into());
                self.raised.note(before, limit);
            }
            None => {
                self.at_the_limit += 1;
                self.without_limit += i64::from(before.is_none());
            }
        }
    }

    /// What was changed, for a reader.
    pub(super) fn changes(&self) -> Vec<String> {
        let mut changes = Vec::new();
        if let Some(asked) = &self.asked {
            let names: Vec<_> = asked.keys().map(String::as_str).collect();
            changes.push(format!("{} as asked for, in {}", names.join(", "), counted(self.changed, "request")));
        }
        if let (Some(from), Some(to)) = (self.raised.from, self.raised.to) {
            let requests = counted(self.raised.count, "truncated request");
            changes.push(format!("{LIMIT} of {requests} raised from {} to {}", range(from), range(to)));
        }
        changes
    }

    /// Requests whose answers may be as long as the model makes them, as they were before.
    pub(super) fn without_limit(&self) -> i64 {
        self.without_limit
    }

    /// What is repeated with little hope, because there was nothing to change.
    pub(super) fn warning(&self) -> Option<String> {
        (self.at_the_limit > 0).then(|| {
            format!(
                "{} ran to the model's own limit: repeated unchanged they may be cut off again, and are billed again; \
                 ask for shorter answers, lower the thinking (thinkingConfig), or leave truncated out of outcomes",
                counted(self.at_the_limit, "truncated request")
            )
        })
    }
}

impl Raised {
    fn note(&mut self, from: i64, to: i64) {
        self.count += 1;
        let widen = |range: Option<(i64, i64)>, value: i64| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        };
        (self.from, self.to) = (widen(self.from, from), widen(self.to, to));
    }
}

/// Twice the limit that was not enough: earlier retries doubled the one of the request, or were asked for a higher one.
fn more_than(limit: i64, used: i64, repeated: u32) -> i64 {
    let mut tried = limit.saturating_mul(1 << repeated.min(16));
    while tried < used {
        tried = tried.saturating_mul(2);
    }
    tried.saturating_mul(2)
}

fn range((low, high): (i64, i64)) -> String {
    if low == high { grouped(low) } else { format!("{} … {}", grouped(low), grouped(high)) }
}

/// The generationConfig of a request line, in the spelling that it has.
fn config_of(line: &mut Value) -> Option<&mut Map<String, Value>> {
    let request = line.get_mut("request")?.as_object_mut()?;
    let name = if request.contains_key("generation_config") { "generation_config" } else { "generationConfig" };
    request.entry(name).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// Sets a field; one of the same name in the other spelling would contradict it.
fn set(config: &mut Map<String, Value>, name: &str, value: Value) {
    config.retain(|known, _| known == name || !is_same(known, name));
    config.insert(name.to_owned(), value);
}

/// Both spellings that the API takes: `maxOutputTokens`, `max_output_tokens`.
fn is_same(one: &str, other: &str) -> bool {
    one.replace('_', "").eq_ignore_ascii_case(&other.replace('_', ""))
}

/// Whole numbers may come as text.
fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_twice_what_was_not_enough() {
        let tries = [
            (512, 512, 0, 1024),
            (512, 500, 0, 1024),
            (512, 1020, 0, 2048),
            (512, 3, 1, 2048),
            (512, 3, 40, 512 << 17),
            (3, 0, 0, 6),
            (40_000, 40_000, 0, 80_000),
        ];
        for (limit, used, repeated, raised) in tries {
            assert_eq!(more_than(limit, used, repeated), raised, "{limit} {used} {repeated}");
        }
    }

    #[test]
    fn a_field_is_set_once_whatever_its_spelling() {
        let mut config = serde_json::json!({"max_output_tokens": "5", "topK": 1}).as_object().cloned().unwrap();
        set(&mut config, LIMIT, 7.into());
        assert_eq!(Value::Object(config), serde_json::json!({"topK": 1, "maxOutputTokens": 7}));
    }
}
