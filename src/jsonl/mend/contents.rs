//! Texts and messages in any of the shapes people give them, made the objects that the API takes.

use serde_json::{Map, Value, json};

use super::openai;
use crate::jsonl::notes::{Fault, Notes};
use crate::jsonl::schema::{Mark, Schema};

/// Makes the contents and the system instruction of a request objects.
pub(super) fn settle(request: &mut Map<String, Value>, notes: &mut Notes) -> Result<(), Fault> {
    embed_words(request, notes);
    if let Some(content) = request.get_mut("content") {
        *content = Value::Object(single(content.take(), "content", notes)?);
    }
    if let Some(contents) = request.get_mut("contents") {
        let (turns, system) = turns(contents.take(), notes)?;
        *contents = Value::Array(turns);
        if !system.is_empty() {
            notes.fix("a system message among `contents`", "", "moved to systemInstruction");
            let mut parts =
                request.get("systemInstruction").map(|given| parts_of(given.clone())).transpose()?.unwrap_or_default();
            parts.extend(system);
            request.insert("systemInstruction".to_owned(), json!({"parts": parts}));
        }
    }
    if let Some(system) = request.get_mut("systemInstruction") {
        let mut content = single(system.take(), "systemInstruction", notes)?;
        if content.get("role").is_some_and(|role| role == "system") {
            content.shift_remove("role");
        }
        *system = Value::Object(content);
    }
    Ok(())
}

/// An SDK's call for vectors says `contents` where the API says `content`.
fn embed_words(request: &mut Map<String, Value>, notes: &mut Notes) {
    let embeds = ["taskType", "outputDimensionality"].iter().any(|name| request.contains_key(*name));
    if !embeds || request.contains_key("content") {
        return;
    }
    if let Some(contents) = request.shift_remove("contents") {
        let only = match contents {
            Value::Array(mut items) if items.len() == 1 => items.pop().unwrap_or_default(),
            other => other,
        };
        request.insert("content".to_owned(), only);
        notes.fix("`contents` of a request for vectors", "", "written as `content`");
    }
}

/// One content.
fn single(given: Value, name: &str, notes: &mut Notes) -> Result<Map<String, Value>, Fault> {
    let was = match &given {
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(object) if !is_tidy(object) => "not a content with parts",
        _ => "",
    };
    if !was.is_empty() {
        notes.fix(format!("`{name}` was {was}"), "", "made an object");
    }
    content(given).map_err(|fault| Fault { place: name.to_owned(), ..fault })
}

fn is_tidy(content: &Map<String, Value>) -> bool {
    content.get("parts").and_then(Value::as_array).is_some_and(|parts| parts.iter().all(is_tidy_part))
}

fn is_tidy_part(part: &Value) -> bool {
    part.as_object().is_some_and(|part| !part.contains_key("type"))
}

/// The turns of a conversation, and the parts of system messages among them.
fn turns(given: Value, notes: &mut Notes) -> Result<(Vec<Value>, Vec<Value>), Fault> {
    let was = match &given {
        Value::String(_) => "a string",
        Value::Object(_) => "an object",
        Value::Array(items) if items.iter().any(|item| !item.as_object().is_some_and(is_tidy)) => {
            "a list of other things than contents with parts"
        }
        _ => "",
    };
    if !was.is_empty() {
        notes.fix(format!("`contents` was {was}"), "", "made a list of objects");
    }
    let items = match given {
        Value::Array(items) => items,
        other => vec![other],
    };
    let (mut turns, mut system): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    // Texts and parts that follow one another make one turn of the user, as in the SDKs.
    let mut loose: Vec<Value> = Vec::new();
    for (position, item) in items.into_iter().enumerate() {
        let located = |fault| Fault { place: format!("contents.{position}"), ..fault };
        if is_loose(&item) {
            loose.extend(parts_of(item).map_err(located)?);
            continue;
        }
        flush(&mut loose, &mut turns);
        let mut content = content(item).map_err(located)?;
        match content.get("role").and_then(Value::as_str) {
            Some("system" | "developer") => {
                system.extend(content.shift_remove("parts").map(parts_of).transpose()?.unwrap_or_default())
            }
            Some("assistant") => {
                notes.fix("the role `assistant`", "", "written as `model`");
                content.insert("role".to_owned(), "model".into());
                turns.push(Value::Object(content));
            }
            _ => turns.push(Value::Object(content)),
        }
    }
    flush(&mut loose, &mut turns);
    Ok((turns, system))
}

fn flush(loose: &mut Vec<Value>, turns: &mut Vec<Value>) {
    if !loose.is_empty() {
        turns.push(json!({"role": "user", "parts": std::mem::take(loose)}));
    }
}

/// A text or a part that stands where a content should.
fn is_loose(item: &Value) -> bool {
    match item {
        Value::String(_) => true,
        Value::Object(object) => !object.contains_key("role") && is_part(object),
        _ => false,
    }
}

fn is_part(object: &Map<String, Value>) -> bool {
    let Some(part) = Schema::get().named("Part") else { return false };
    let data = part.marked(Mark::Data);
    !object.contains_key("parts")
        && object
            .keys()
            .any(|name| part.find(name).is_some_and(|(index, _)| data & (1 << index) != 0) || name == "type")
}

/// A content of whatever was given for one.
fn content(given: Value) -> Result<Map<String, Value>, Fault> {
    let Value::Object(mut object) = given else {
        return Ok(Map::from_iter([("parts".to_owned(), Value::Array(parts_of(given)?))]));
    };
    let words = ["parts", "content", "text"].into_iter().find(|name| object.contains_key(*name));
    let parts = match words.and_then(|name| object.shift_remove(name)) {
        Some(parts) => parts_of(parts)?,
        None if is_part(&object) => {
            let role = object.shift_remove("role");
            let part = std::mem::take(&mut object);
            object.extend(role.map(|role| ("role".to_owned(), role)));
            vec![Value::Object(part)]
        }
        None => return Ok(object),
    };
    object.insert("parts".to_owned(), Value::Array(parts));
    Ok(object)
}

/// The parts in a text, a list, a part or a content.
fn parts_of(given: Value) -> Result<Vec<Value>, Fault> {
    match given {
        Value::Array(items) => items.into_iter().map(part).collect(),
        Value::Object(mut object) if object.contains_key("parts") => {
            parts_of(object.shift_remove("parts").unwrap_or_default())
        }
        other => Ok(vec![part(other)?]),
    }
}

fn part(given: Value) -> Result<Value, Fault> {
    match given {
        Value::String(text) => Ok(json!({"text": text})),
        Value::Object(object) if object.contains_key("type") => openai::part(&object),
        other => Ok(other),
    }
}
