//! Fields in the wrong place, among them all of the SDKs' `config`, moved to where the API wants them.

use serde_json::{Map, Value};

use super::field;
use crate::jsonl::notes::{Fault, Notes};
use crate::jsonl::schema::{Schema, camel_case};

const CONFIG: &str = "generationConfig";
/// Where a field may belong, the first that has it counts.
const HOMES: [(&str, &[&str]); 5] = [
    ("Request", &[]),
    ("GenerationConfig", &[CONFIG]),
    ("ThinkingConfig", &[CONFIG, "thinkingConfig"]),
    ("ImageConfig", &[CONFIG, "imageConfig"]),
    ("SpeechConfig", &[CONFIG, "speechConfig"]),
];
/// What other interfaces call a field.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("maxTokens", "maxOutputTokens"),
    ("maxCompletionTokens", "maxOutputTokens"),
    ("stop", "stopSequences"),
    ("n", "candidateCount"),
    ("system", "systemInstruction"),
    ("systemPrompt", "systemInstruction"),
    ("systemInstructions", "systemInstruction"),
    ("reasoningEffort", "thinkingLevel"),
];
/// What an SDK's `config` says to the SDK itself.
const FOR_THE_SDK: [&str; 4] = ["httpOptions", "abortSignal", "shouldReturnHttpResponse", "automaticFunctionCalling"];

/// Moves what stands in the wrong place.
pub(super) fn settle(request: &mut Map<String, Value>, notes: &mut Notes) -> Result<(), Fault> {
    for (name, how) in [("config", "as the SDKs spell it"), ("parameters", "as Vertex AI spells it")] {
        match request.shift_remove(name) {
            None => {}
            Some(Value::Object(config)) => {
                spread(request, config, notes)?;
                notes.fix(format!("`{name}`, {how}"), "", "its fields were put where the API wants them");
            }
            Some(_) => {
                return Err(Fault::new(name, "it is not an object", "name it generationConfig and give an object"));
            }
        }
    }
    move_strays(request, "Request", &[], notes)?;
    move_strays(request, "GenerationConfig", &[CONFIG], notes)?;
    if request.get(CONFIG).and_then(Value::as_object).is_some_and(Map::is_empty) {
        request.shift_remove(CONFIG);
    }
    Ok(())
}

fn spread(request: &mut Map<String, Value>, config: Map<String, Value>, notes: &mut Notes) -> Result<(), Fault> {
    for (name, value) in config {
        if value.is_null() {
            continue;
        }
        let camel = other_name(&camel_case(&name));
        if FOR_THE_SDK.contains(&camel.as_str()) {
            notes.lose(field(&name), "", "it speaks to the SDK, left out");
            continue;
        }
        let path = home(&camel).map_or([CONFIG].as_slice(), |path| path);
        put(request, path, &camel, value)?;
    }
    Ok(())
}

/// Moves the fields that the message at `path` does not have, and another one has.
fn move_strays(request: &mut Map<String, Value>, message: &str, path: &[&str], notes: &mut Notes) -> Result<(), Fault> {
    let Some(message) = Schema::get().named(message) else { return Ok(()) };
    let Some(there) = object_at(request, path) else { return Ok(()) };
    let strays: Vec<String> = there.keys().filter(|name| message.find(name).is_none()).cloned().collect();
    for name in strays {
        let camel = other_name(&camel_case(&name));
        let Some(home) = home(&camel) else { continue };
        let Some(value) = object_at(request, path).and_then(|there| there.shift_remove(&name)) else { continue };
        if value.is_null() {
            continue;
        }
        put(request, home, &camel, value)?;
        let place = if home.is_empty() { "the request itself".to_owned() } else { home.join(".") };
        match home == path {
            true => notes.fix(field(&name), "", format!("written as `{camel}`")),
            false => notes.fix(format!("{} in the wrong place", field(&name)), "", format!("moved to {place}")),
        }
    }
    Ok(())
}

fn object_at<'r>(request: &'r mut Map<String, Value>, path: &[&str]) -> Option<&'r mut Map<String, Value>> {
    path.iter().try_fold(request, |object, step| object.get_mut(*step)?.as_object_mut())
}

fn home(name: &str) -> Option<&'static [&'static str]> {
    let has = |message: &str| Schema::get().named(message).is_some_and(|message| message.find(name).is_some());
    HOMES.iter().find(|(message, _)| has(message)).map(|(_, path)| *path)
}

fn other_name(name: &str) -> String {
    OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name, |(_, ours)| ours).to_owned()
}

/// Sets a field, unless it has another value there.
pub(super) fn put(request: &mut Map<String, Value>, path: &[&str], name: &str, value: Value) -> Result<(), Fault> {
    let mut object = request;
    for step in path {
        let next = object.entry(*step).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = next else {
            return Err(Fault::new(*step, "it is not an object", "give an object such as {\"temperature\": 0.2}"));
        };
        object = next;
    }
    let place = path.iter().copied().chain([name]).collect::<Vec<_>>().join(".");
    match object.get_mut(name) {
        None => _ = object.insert(name.to_owned(), value),
        Some(there) if *there == value => {}
        Some(Value::Object(there)) => {
            let Value::Object(more) = value else { return Err(twice(&place)) };
            for (name, value) in more {
                match there.get(&name) {
                    Some(other) if *other != value => return Err(twice(&format!("{place}.{name}"))),
                    _ => _ = there.insert(name, value),
                }
            }
        }
        Some(_) => return Err(twice(&place)),
    }
    Ok(())
}

fn twice(place: &str) -> Fault {
    Fault::new(place, "it is given twice, in two places, and differs", "keep one of them")
}
