//! Request lines in the forms that people have them: ours, bare requests, OpenAI's, Anthropic's, Vertex AI's, the SDKs'.

use serde_json::{Map, Value};

use super::{field, openai};
use crate::jsonl::notes::{Fault, Notes};
use crate::jsonl::schema::Schema;

/// What a row that is a request line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The request under `request`: ours, Vertex AI's, or one with `metadata`.
    Wrapped,
    /// The request itself, with a key among its fields or without one.
    Bare,
    /// An OpenAI batch line.
    OpenAiLine,
    /// The body of an OpenAI request.
    OpenAiBody,
    /// An Anthropic batch line.
    AnthropicLine,
}

/// Fields that may name a request, and are no part of it.
const KEYS: [&str; 4] = ["key", "custom_id", "customId", "id"];

impl Form {
    /// Which form a row has; none if it is something else, such as a row of data or an answer.
    pub fn of(row: &Map<String, Value>) -> Option<Self> {
        let is_list = |name: &str| row.get(name).is_some_and(Value::is_array);
        let is_object = |name: &str| row.get(name).is_some_and(Value::is_object);
        if row.contains_key("response") {
            return None;
        }
        let says_what = |body: &Value| ["messages", "input", "prompt"].iter().any(|name| body.get(name).is_some());
        if row.get("body").is_some_and(says_what) {
            return Some(Self::OpenAiLine);
        }
        if row.get("params").and_then(|params| params.get("messages")).is_some_and(Value::is_array) {
            return Some(Self::AnthropicLine);
        }
        if is_object("request") {
            return Some(Self::Wrapped);
        }
        if is_list("messages") {
            return Some(Self::OpenAiBody);
        }
        let has_contents = is_list("contents") || is_object("contents");
        let has_content = row.get("content").is_some_and(|content| content.get("parts").is_some());
        // A text alone might be a column of a data set, unless all that stands beside it belongs to a request.
        let request = Schema::get().named("Request");
        let belongs = |name: &str| {
            KEYS.contains(&name) || name == "config" || request.is_some_and(|request| request.find(name).is_some())
        };
        let is_text = || row.get("contents").is_some_and(Value::is_string) && row.keys().all(|name| belongs(name));
        (has_contents || has_content || is_text()).then_some(Self::Bare)
    }

    /// What names the requests of lines like this one, as a rule for keys; none if nothing does.
    pub fn key(row: &Map<String, Value>) -> Option<String> {
        let named = KEYS.into_iter().find(|name| row.get(*name).is_some_and(|key| key.is_string() || key.is_number()));
        let in_metadata = || row.get("metadata")?.get("key").map(|_| "{{ metadata.key }}".to_owned());
        named.map(str::to_owned).or_else(in_metadata)
    }

    /// The request in a row of any of these forms, as far as it can be had; still to be mended.
    pub fn request(row: &Map<String, Value>, notes: &mut Notes) -> Result<Map<String, Value>, Fault> {
        let object = |name: &str| row.get(name).and_then(Value::as_object);
        match Self::of(row) {
            Some(Self::Wrapped) => {
                let beside = row
                    .keys()
                    .filter(|name| !KEYS.contains(&name.as_str()) && *name != "request" && *name != "metadata");
                beside.for_each(|name| notes.lose(format!("{} beside `request`", field(name)), "", "left out"));
                let request = object("request").cloned().unwrap_or_default();
                match request.contains_key("messages") {
                    true => openai::request(openai::OPENAI, &request, "", notes),
                    false => Ok(request),
                }
            }
            Some(Self::Bare) => {
                notes.fix("the request was not wrapped", "", "written as {\"key\", \"request\"}");
                Ok(without_key(row))
            }
            Some(Self::OpenAiLine) => {
                let url = row.get("url").and_then(Value::as_str).unwrap_or_default();
                openai::request(openai::OPENAI, object("body").unwrap_or(&Map::new()), url, notes)
            }
            Some(Self::OpenAiBody) => openai::request(openai::OPENAI, &without_key(row), "", notes),
            Some(Self::AnthropicLine) => {
                openai::request(openai::ANTHROPIC, object("params").unwrap_or(&Map::new()), "", notes)
            }
            None => Err(Fault::new("", "the row is not a request line, as the first one is", "mend or remove it")),
        }
    }
}

fn without_key(row: &Map<String, Value>) -> Map<String, Value> {
    let is_part = |name: &str| !KEYS.contains(&name) && name != "metadata";
    row.iter().filter(|(name, _)| is_part(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
