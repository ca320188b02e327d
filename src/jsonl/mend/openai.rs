//! OpenAI requests, and Anthropic's, which are much alike, said in the API's words. What has no equal is dropped and noted, or refused if the meaning would change.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{field, places};
use crate::jsonl::notes::{Fault, Notes};

/// Settings that mean the same here, and what they are called.
const SETTINGS: [(&str, &str); 14] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("n", "candidateCount"),
    ("max_tokens", "maxOutputTokens"),
    ("max_completion_tokens", "maxOutputTokens"),
    ("max_output_tokens", "maxOutputTokens"),
    ("stop", "stopSequences"),
    ("stop_sequences", "stopSequences"),
    ("seed", "seed"),
    ("frequency_penalty", "frequencyPenalty"),
    ("presence_penalty", "presencePenalty"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
];
/// Fields that are read apart.
const READ: [&str; 13] = [
    "model",
    "system",
    "messages",
    "input",
    "instructions",
    "prompt",
    "tools",
    "tool_choice",
    "response_format",
    "reasoning_effort",
    "dimensions",
    "encoding_format",
    "stream",
];

/// Whose words a request is in.
pub(super) const OPENAI: &str = "OpenAI request";
pub(super) const ANTHROPIC: &str = "Anthropic request";

/// A request from the body of such a one.
pub(super) fn request(
    theirs: &str,
    body: &Map<String, Value>,
    url: &str,
    notes: &mut Notes,
) -> Result<Map<String, Value>, Fault> {
    if body.contains_key("model") {
        notes.fix(format!("the model of the {theirs}"), "", "left out, all requests of a job go to the job's model");
    }
    let embeds = url.ends_with("/embeddings")
        || (url.is_empty() && !body.contains_key("messages") && body.contains_key("input"));
    let mut request = if embeds { vectors(body)? } else { chat(theirs, body, notes)? };
    if !embeds {
        settings(theirs, body, &mut request, notes)?;
        tools(body, &mut request);
    }
    for name in
        body.keys().filter(|name| !READ.contains(&name.as_str()) && !SETTINGS.iter().any(|(known, _)| known == name))
    {
        notes.lose(format!("{} of the {theirs}", field(name)), "", "left out, it has no equal here");
    }
    Ok(request)
}

fn vectors(body: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let input = match body.get("input") {
        Some(Value::String(text)) => text.as_str(),
        Some(Value::Array(texts)) => match texts.as_slice() {
            [Value::String(text)] => text.as_str(),
            _ => {
                return Err(Fault::new(
                    "body.input",
                    "it holds several texts",
                    "make a line of each, with a custom_id of its own",
                ));
            }
        },
        _ => return Err(Fault::new("body.input", "there is no text", "give the text to be embedded")),
    };
    let mut request = Map::from_iter([("content".to_owned(), json!({"parts": [{"text": input}]}))]);
    request.extend(body.get("dimensions").map(|count| ("outputDimensionality".to_owned(), count.clone())));
    Ok(request)
}

fn chat(theirs: &str, body: &Map<String, Value>, notes: &mut Notes) -> Result<Map<String, Value>, Fault> {
    let given = ["messages", "input", "prompt"].into_iter().find_map(|name| body.get(name));
    let messages = match given {
        Some(Value::Array(messages)) => messages.clone(),
        Some(text @ Value::String(_)) => vec![json!({"role": "user", "content": text})],
        _ => {
            return Err(Fault::new(
                "body",
                "there are no messages",
                "give body.messages, a list of {\"role\", \"content\"}",
            ));
        }
    };
    let mut chat = Chat::default();
    for system in ["instructions", "system"].into_iter().filter_map(|name| body.get(name)) {
        chat.system.extend(parts(system)?);
    }
    for (position, message) in messages.iter().enumerate() {
        let located = |fault: Fault| Fault { place: format!("messages.{position}"), ..fault };
        chat.message(message).map_err(located)?;
    }
    notes.fix(format!("an {theirs}"), "", "written as a Gemini request");
    let mut request = Map::from_iter([("contents".to_owned(), Value::Array(chat.contents))]);
    if !chat.system.is_empty() {
        request.insert("systemInstruction".to_owned(), json!({"parts": chat.system}));
    }
    Ok(request)
}

#[derive(Default)]
struct Chat {
    contents: Vec<Value>,
    system: Vec<Value>,
    /// The names of the functions that were called, by the id of the call.
    calls: HashMap<String, String>,
}

impl Chat {
    fn message(&mut self, message: &Value) -> Result<(), Fault> {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("user");
        let content = message.get("content").unwrap_or(&Value::Null);
        match role {
            "system" | "developer" => self.system.extend(parts(content)?),
            "user" => self.turn("user", parts(content)?),
            "assistant" => {
                let mut parts = parts(content)?;
                for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                    parts.push(self.call(call)?);
                }
                self.turn("model", parts);
            }
            "tool" => {
                let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
                let unknown = || {
                    Fault::new(
                        "",
                        "it answers a call that no message made",
                        "keep the assistant's tool_calls before it",
                    )
                };
                let name = self.calls.get(id).ok_or_else(unknown)?;
                let answer = json!({"functionResponse": {"name": name, "response": {"result": text_of(content)}}});
                self.turn("user", vec![answer]);
            }
            other => {
                return Err(Fault::new(
                    "",
                    format!("there is no role {}", field(other)),
                    "use system, user, assistant or tool",
                ));
            }
        }
        Ok(())
    }

    /// Adds parts; messages of one side that follow one another are one turn.
    fn turn(&mut self, role: &str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        if let Some(last) = self.contents.last_mut().filter(|last| last.get("role").is_some_and(|there| there == role))
            && let Some(Value::Array(there)) = last.get_mut("parts")
        {
            return there.extend(parts);
        }
        self.contents.push(json!({"role": role, "parts": parts}));
    }

    fn call(&mut self, call: &Value) -> Result<Value, Fault> {
        let at = |name: &str| call.get("function").and_then(|function| function.get(name)).and_then(Value::as_str);
        let name = at("name")
            .ok_or_else(|| Fault::new("", "a tool call names no function", "give tool_calls[].function.name"))?;
        let args: Value = serde_json::from_str(at("arguments").unwrap_or("{}"))
            .map_err(|_| Fault::new("", "the arguments of a tool call are not JSON", "give a JSON object as text"))?;
        if let Some(id) = call.get("id").and_then(Value::as_str) {
            self.calls.insert(id.to_owned(), name.to_owned());
        }
        Ok(json!({"functionCall": {"name": name, "args": args}}))
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect(),
        other => other.to_string(),
    }
}

fn parts(content: &Value) -> Result<Vec<Value>, Fault> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![json!({"text": text})]),
        Value::Array(given) => given
            .iter()
            .map(|given| match given {
                Value::String(text) => Ok(json!({"text": text})),
                Value::Object(given) => part(given),
                _ => Err(Fault::new(
                    "",
                    "a part of the content is neither text nor object",
                    "give {\"type\": \"text\", \"text\": \"…\"}",
                )),
            })
            .collect(),
        _ => Err(Fault::new("", "the content is neither text nor a list", "give a text, or a list of parts")),
    }
}

/// One part of a message's content, told by its `type`.
pub(super) fn part(given: &Map<String, Value>) -> Result<Value, Fault> {
    let kind = given.get("type").and_then(Value::as_str).unwrap_or_default();
    let inside = |name: &str, field: &str| given.get(name)?.get(field)?.as_str();
    match kind {
        "text" | "input_text" | "output_text" => Ok(json!({"text": given.get("text").cloned().unwrap_or_default()})),
        "image_url" | "input_image" => {
            let url = inside("image_url", "url").or_else(|| given.get("image_url")?.as_str()).unwrap_or_default();
            data_url(url)
        }
        "file" | "input_file" => {
            data_url(inside("file", "file_data").or_else(|| given.get("file_data")?.as_str()).unwrap_or_default())
        }
        "input_audio" => {
            let format = inside("input_audio", "format").unwrap_or("wav");
            let data = inside("input_audio", "data").unwrap_or_default();
            Ok(json!({"inlineData": {"mimeType": format!("audio/{format}"), "data": data}}))
        }
        "image" | "document" if inside("source", "type") == Some("base64") => {
            let [mime, data] = ["media_type", "data"].map(|field| inside("source", field).unwrap_or_default());
            Ok(json!({"inlineData": {"mimeType": mime, "data": data}}))
        }
        other => Err(Fault::new(
            "",
            format!("a part of the type {} has no equal here", field(other)),
            "use text, image_url or input_audio",
        )),
    }
}

/// A `data:` URL as media inside the request.
fn data_url(url: &str) -> Result<Value, Fault> {
    let inside = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inside {
        Some((mime, data)) => Ok(json!({"inlineData": {"mimeType": mime, "data": data}})),
        None => Err(Fault::new(
            "",
            "it refers to a picture or file elsewhere",
            "download it and give its content as a data: URL; or build anew with attach",
        )),
    }
}

fn settings(
    theirs: &str,
    body: &Map<String, Value>,
    request: &mut Map<String, Value>,
    notes: &mut Notes,
) -> Result<(), Fault> {
    let mut set = |name: &str, value: Value| places::put(request, &["generationConfig"], name, value);
    for (name, ours) in SETTINGS {
        match body.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => set(ours, value.clone())?,
        }
    }
    if let Some(effort) = body.get("reasoning_effort").filter(|effort| !effort.is_null()) {
        match thinking(effort) {
            Some(thinking) => set("thinkingConfig", thinking)?,
            None => {
                let what = format!("reasoning_effort {} of the {theirs}", field(&text_of(effort)));
                notes.lose(what, "", "left out, it has no equal here");
            }
        }
    }
    let format = body.get("response_format");
    match format.and_then(|format| format.get("type")).and_then(Value::as_str) {
        Some("json_object") => set("responseMimeType", "application/json".into())?,
        Some("json_schema") => {
            let schema = format.and_then(|format| format.get("json_schema")).and_then(|named| named.get("schema"));
            if let Some(schema) = schema {
                set("responseSchema", schema.clone())?;
            }
            set("responseMimeType", "application/json".into())?;
        }
        _ => {}
    }
    Ok(())
}

/// How much is thought, in the API's words. No thinking at all is a budget of none there.
fn thinking(effort: &Value) -> Option<Value> {
    match effort.as_str()? {
        "none" => Some(json!({"thinkingBudget": 0})),
        effort @ ("minimal" | "low" | "medium" | "high" | "xhigh") => {
            Some(json!({"thinkingLevel": effort.to_ascii_uppercase()}))
        }
        _ => None,
    }
}

fn tools(body: &Map<String, Value>, request: &mut Map<String, Value>) {
    request.extend(body.get("tools").map(|tools| ("tools".to_owned(), tools.clone())));
    let mode = match body.get("tool_choice") {
        Some(Value::String(word)) => match word.as_str() {
            "none" => json!({"mode": "NONE"}),
            "required" => json!({"mode": "ANY"}),
            _ => json!({"mode": "AUTO"}),
        },
        Some(Value::Object(choice)) => {
            let name = choice.get("function").and_then(|function| function.get("name")).or_else(|| choice.get("name"));
            match (name, choice.get("type").and_then(Value::as_str)) {
                (Some(name), _) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
                (None, Some("any")) => json!({"mode": "ANY"}),
                (None, Some("none")) => json!({"mode": "NONE"}),
                (None, _) => return,
            }
        }
        _ => return,
    };
    request.insert("toolConfig".to_owned(), json!({"functionCallingConfig": mode}));
}
