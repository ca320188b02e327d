//! The schema for answers: in the field that batch jobs obey, and in the API's dialect.

use serde_json::{Map, Value};

use crate::jsonl::notes::{Fault, Notes};
use crate::jsonl::response_schema;

const JSON: &str = "application/json";
const ENUM: &str = "text/x.enum";

/// Writes the schema as `responseSchema`. Returns it as JSON Schema.
pub(super) fn settle(request: &mut Map<String, Value>, notes: &mut Notes) -> Result<Option<Value>, Fault> {
    let Some(Value::Object(config)) = request.get_mut("generationConfig") else { return Ok(None) };
    for name in ["responseJsonSchema", "_responseJsonSchema"] {
        let Some(schema) = config.shift_remove(name) else { continue };
        if config.get("responseSchema").is_some_and(|other| *other != schema) {
            let cause = format!("both responseSchema and {name} are given, and differ");
            return Err(Fault::new("generationConfig", cause, "keep responseSchema: batch jobs do not obey the other"));
        }
        config.insert("responseSchema".to_owned(), schema);
        notes.fix(format!("`{name}`"), "", "written as responseSchema, which batch jobs obey");
    }
    let Some(given @ Value::Object(_)) = config.get("responseSchema") else { return Ok(None) };
    let schema = response_schema::read(given, notes).map_err(|fault| Fault {
        place: ["responseSchema", &fault.place].join(".").trim_end_matches('.').to_owned(),
        ..fault
    })?;
    config.insert("responseSchema".to_owned(), schema.sent);
    match config.get("responseMimeType").and_then(Value::as_str) {
        Some(JSON | ENUM) => {}
        None => _ = config.insert("responseMimeType".to_owned(), JSON.into()),
        Some(other) => {
            let what = format!("responseMimeType {} beside a schema", super::field(other));
            notes.fix(what, "", format!("set to {JSON}"));
            config.insert("responseMimeType".to_owned(), JSON.into());
        }
    }
    Ok(Some(schema.plain))
}
