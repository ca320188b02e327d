//! Requests with the mistakes that people make, put right where it is certain what was meant.
//!
//! What was changed is noted. What cannot be meant, or would only cost money, is a [`Fault`].

use serde_json::{Map, Value};

use super::notes::{Fault, Notes};
use super::schema::Schema;

mod answers;
mod contents;
mod line;
mod openai;
mod places;
mod rules;
mod spelling;
mod tools;

pub use line::Form;

/// Puts a request right, in place. Returns the schema that its answers are to follow, as JSON Schema.
pub fn mend(request: &mut Map<String, Value>, notes: &mut Notes) -> Result<Option<Value>, Fault> {
    if request.shift_remove("model").is_some() {
        notes.fix("`model` in the request", "", "left out, all requests of a job go to the job's model");
    }
    let message = Schema::get().named("Request");
    spelling::settle(request, message, "")?;
    places::settle(request, notes)?;
    contents::settle(request, notes)?;
    tools::settle(request, notes);
    spelling::settle(request, message, "")?;
    let schema = answers::settle(request, notes)?;
    rules::check(request, notes)?;
    Ok(schema)
}

/// One note for what was done in each request of many would be the same many times: the field by name only.
fn field(name: &str) -> String {
    super::finding::quoted(name)
}

/// The settings of a request.
fn config(request: &Map<String, Value>) -> Option<&Map<String, Value>> {
    request.get("generationConfig").and_then(Value::as_object)
}

#[cfg(test)]
mod tests;
