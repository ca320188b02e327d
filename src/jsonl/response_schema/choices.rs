//! `enum` and `const`: the API takes strings only.

use serde_json::{Map, Value};

use crate::jsonl::notes::Notes;

/// Values that a description names in place of an enum.
const MOST_NAMED: usize = 20;

/// Writes the allowed values as the dialect can say them. Returns whether null is one of them.
pub(super) fn write(values: &[Value], made: &mut Map<String, Value>, place: &str, notes: &mut Notes) -> bool {
    let null = values.contains(&Value::Null);
    let rest: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    let is_string = |made: &Map<String, Value>| made.get("type").is_none_or(|kind| kind == "STRING");
    if rest.is_empty() {
        made.insert("type".to_owned(), "NULL".into());
        return false;
    }
    if rest.iter().all(|value| value.is_string()) && is_string(made) {
        let (empty, words): (Vec<_>, Vec<_>) = rest.into_iter().partition(|value| value.as_str() == Some(""));
        if !empty.is_empty() {
            notes.lose("the empty string in an enum", place, "dropped, the API refuses it");
        }
        made.insert("type".to_owned(), "STRING".into());
        if !words.is_empty() {
            made.insert("enum".to_owned(), words.into_iter().cloned().collect());
        }
        return null;
    }
    if let (None, Some(word)) = (made.get("type"), common_type(&rest)) {
        made.insert("type".to_owned(), word.into());
    }
    describe(&rest, made);
    let done =
        "the API knows enums of strings only: said in the description instead; answers are still held against it here";
    notes.lose("an enum of other values than strings", place, done);
    null
}

/// The one type that all values have.
fn common_type(values: &[&Value]) -> Option<&'static str> {
    let all = |test: fn(&Value) -> bool| values.iter().all(|value| test(value));
    let is_whole = |value: &Value| value.is_i64() || value.is_u64();
    match () {
        () if all(is_whole) => Some("INTEGER"),
        () if all(Value::is_number) => Some("NUMBER"),
        () if all(Value::is_boolean) => Some("BOOLEAN"),
        () if all(Value::is_string) => Some("STRING"),
        () => None,
    }
}

fn describe(values: &[&Value], made: &mut Map<String, Value>) {
    let named: Vec<String> = values.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    let said = match (named.as_slice(), values.len() > MOST_NAMED) {
        ([only], _) => format!("Always {only}."),
        (_, true) => format!("One of {}…", named.join(", ")),
        (_, false) => format!("One of {}.", named.join(", ")),
    };
    let description = match made.get("description").and_then(Value::as_str) {
        Some(given) => format!("{given} {said}"),
        None => said,
    };
    made.insert("description".to_owned(), description.into());
}
