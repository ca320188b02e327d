//! What the user should know whichever tool was called: added to the next reply, once.

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, Tool};
use serde_json::Value;

use crate::ops::App;

/// The response with what there is to know, if it is a reply: after its text, and among its warnings where replies of
/// this tool have some.
pub(super) fn with_notes(response: CallToolResponse, app: &App, tool: Option<&Tool>) -> CallToolResponse {
    match response {
        CallToolResponse::Complete(mut result) => {
            add(&mut result, &app.take_notes(), tool.is_some_and(warns));
            CallToolResponse::Complete(result)
        }
        // A question comes first; its answer is followed by a reply.
        question => question,
    }
}

fn warns(tool: &Tool) -> bool {
    tool.output_schema.as_ref().and_then(|schema| schema.get("properties")?.get("warnings")).is_some()
}

fn add(result: &mut CallToolResult, notes: &[String], warns: bool) {
    if notes.is_empty() {
        return;
    }
    result.content.extend(notes.iter().map(|note| ContentBlock::text(format!("warning: {note}"))));
    let data = result.structured_content.as_mut().and_then(Value::as_object_mut).filter(|_| warns);
    let warnings = data.map(|data| data.entry("warnings").or_insert_with(|| Value::Array(Vec::new())));
    if let Some(Value::Array(warnings)) = warnings {
        warnings.extend(notes.iter().map(|note| Value::from(note.as_str())));
    }
}
