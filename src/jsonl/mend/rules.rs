//! What cannot go together, and what would only cost money.

use serde_json::{Map, Value};

use super::config;
use crate::jsonl::notes::{Fault, Notes};
use crate::jsonl::schema::camel_case;

/// Fields that only Vertex AI has, by the place where people put them.
const VERTEX: [(&str, &[&str]); 4] = [
    (
        "",
        &[
            "routingConfig",
            "modelSelectionConfig",
            "modelArmorConfig",
            "autoTruncate",
            "documentOcr",
            "audioTrackExtraction",
        ],
    ),
    (
        "generationConfig",
        &["routingConfig", "modelSelectionConfig", "audioTimestamp", "modelArmorConfig", "autoTruncate"],
    ),
    ("tools", &["retrieval", "enterpriseWebSearch", "parallelAiSearch"]),
    ("safetySettings", &["method"]),
];

/// Refuses what the API would refuse, or what cannot end well.
pub(super) fn check(request: &Map<String, Value>, notes: &mut Notes) -> Result<(), Fault> {
    vertex_only(request)?;
    cache(request)?;
    thinking(request)?;
    let last = request.get("contents").and_then(Value::as_array).and_then(|turns| turns.last());
    if last.and_then(|turn| turn.get("role")).is_some_and(|role| role == "model") {
        notes.lose("the last turn is the model's", "", "models answer a turn of the user: end with one");
    }
    Ok(())
}

fn vertex_only(request: &Map<String, Value>) -> Result<(), Fault> {
    for (place, names) in VERTEX {
        let objects: Vec<&Map<String, Value>> = match (place, request.get(place)) {
            ("", _) => vec![request],
            (_, Some(Value::Object(object))) => vec![object],
            (_, Some(Value::Array(items))) => items.iter().filter_map(Value::as_object).collect(),
            _ => Vec::new(),
        };
        let mut fields = objects.into_iter().flat_map(Map::keys);
        if let Some(name) = fields.find(|name| names.contains(&camel_case(name).as_str())) {
            return Err(Fault::new(place, format!("only Vertex AI has `{name}`"), "leave it out"));
        }
    }
    Ok(())
}

fn cache(request: &Map<String, Value>) -> Result<(), Fault> {
    let beside = ["systemInstruction", "tools", "toolConfig"].into_iter().find(|name| request.contains_key(*name));
    match beside {
        Some(name) if request.contains_key("cachedContent") => {
            let cause = format!("it cannot stand beside `{name}`");
            Err(Fault::new(
                "cachedContent",
                cause,
                format!("put `{name}` into the cached content itself, and leave it out here"),
            ))
        }
        _ => Ok(()),
    }
}

fn thinking(request: &Map<String, Value>) -> Result<(), Fault> {
    const PLACE: &str = "generationConfig.thinkingConfig";
    let Some(config) = config(request) else { return Ok(()) };
    let Some(Value::Object(thinking)) = config.get("thinkingConfig") else { return Ok(()) };
    let budget = thinking.get("thinkingBudget");
    if budget.is_some() && thinking.contains_key("thinkingLevel") {
        let cause = "thinkingLevel and thinkingBudget exclude each other";
        return Err(Fault::new(PLACE, cause, "keep thinkingLevel for Gemini 3 and later, thinkingBudget for 2.5"));
    }
    match (budget.and_then(number), config.get("maxOutputTokens").and_then(number)) {
        (Some(budget), Some(most)) if budget >= most && budget > 0 => {
            let cause = format!(
                "a thinkingBudget of {budget} leaves nothing of maxOutputTokens {most} for the answer, which would be cut off"
            );
            Err(Fault::new(PLACE, cause, format!("raise maxOutputTokens above {budget}, or lower the budget")))
        }
        _ => Ok(()),
    }
}

/// A whole number, also one that is written as a string.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
