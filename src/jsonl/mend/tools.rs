//! Tools in the shapes people give them, and settings that should be lists.

use serde_json::{Map, Value, json};

use crate::jsonl::notes::Notes;
use crate::jsonl::response_schema;
use crate::jsonl::schema::{Schema, camel_case};

/// Puts tools and lists right.
pub(super) fn settle(request: &mut Map<String, Value>, notes: &mut Notes) {
    if let Some(tools) = request.shift_remove("tools") {
        let tools = list(tools, notes);
        if !tools.is_empty() {
            request.insert("tools".to_owned(), Value::Array(tools));
        }
    }
    let Some(Value::Object(config)) = request.get_mut("generationConfig") else { return };
    for name in ["stopSequences", "responseModalities"] {
        if let Some(word @ Value::String(_)) = config.get_mut(name) {
            *word = Value::Array(vec![word.take()]);
            notes.fix(format!("`{name}` was a string"), "", "made a list");
        }
    }
}

fn list(given: Value, notes: &mut Notes) -> Vec<Value> {
    let given = match given {
        Value::Array(tools) => tools,
        Value::Object(tool) => {
            notes.fix("`tools` was an object", "", "made a list");
            vec![Value::Object(tool)]
        }
        other => return vec![other],
    };
    let mut tools = Vec::with_capacity(given.len());
    let mut functions = Vec::new();
    for tool in given {
        match tool {
            Value::Object(tool) if tool.is_empty() => notes.fix("an empty tool {}", "", "left out"),
            Value::Object(tool) if tool.contains_key("function") => functions.extend(tool.get("function").cloned()),
            Value::Object(tool) if tool.contains_key("name") && !tool.contains_key("functionDeclarations") => {
                functions.push(Value::Object(tool));
            }
            Value::String(name) if is_tool(&name) => {
                notes.fix("a tool was a name", "", "made an object");
                tools.push(Value::Object(Map::from_iter([(camel_case(&name), json!({}))])));
            }
            other => tools.push(other),
        }
    }
    if !functions.is_empty() {
        notes.fix("functions as OpenAI or Anthropic spells them", "", "written as functionDeclarations");
        for function in functions.iter_mut().filter_map(Value::as_object_mut) {
            function.retain(|name, _| name != "strict" && name != "type");
            if let Some(schema) = function.shift_remove("input_schema") {
                function.insert("parameters".to_owned(), schema);
            }
        }
        tools.push(json!({"functionDeclarations": functions}));
    }
    for tool in &mut tools {
        let functions = tool.get_mut("functionDeclarations").and_then(Value::as_array_mut);
        functions
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
            .for_each(|function| parameters(function, notes));
    }
    tools
}

fn is_tool(name: &str) -> bool {
    Schema::get().named("Tool").is_some_and(|tool| tool.find(name).is_some())
}

/// The parameters of a function in the API's dialect, where they are a schema at all.
fn parameters(function: &mut Map<String, Value>, notes: &mut Notes) {
    let Some(given) = function.get("parameters") else { return };
    let without_properties = given.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty);
    if without_properties && given.get("type").and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case("object"))
    {
        function.shift_remove("parameters");
        return;
    }
    let mut inside = Notes::default();
    let Ok(schema) = response_schema::read(given, &mut inside) else { return };
    if schema.sent != *given {
        notes.fix("JSON Schema in the parameters of a function", "", "written in the API's dialect");
        if !inside.losses().is_empty() {
            notes.lose("parameters of a function", "", "what the API's dialect does not know was dropped");
        }
        function.insert("parameters".to_owned(), schema.sent);
    }
}
