//! What a tool answers: a short text for the model, the same as data, and never more than a budget.

use std::fmt;

use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorData, InputRequiredResult, Resource};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::progress::BY_THE_CALLER;

/// Bytes of text a model is given at most.
const TEXT_BUDGET: usize = 8 * 1024;
/// Bytes of structured content at most.
const DATA_BUDGET: usize = 24 * 1024;
/// Longest string and longest list kept, in the order in which they are tried.
const CLIPS: [(usize, usize); 5] = [(4_000, 500), (1_000, 100), (300, 50), (200, 20), (100, 5)];

/// A verb's reply on its way to the client.
pub(super) struct Reply<T> {
    data: T,
    links: Vec<Resource>,
}

impl<T> Reply<T> {
    /// Adds a file that the client may open.
    pub(super) fn with_link(mut self, link: Option<Resource>) -> Self {
        self.links.extend(link);
        self
    }
}

impl<T> From<T> for Reply<T> {
    fn from(data: T) -> Self {
        Self { data, links: Vec::new() }
    }
}

impl<T: Serialize + fmt::Display> IntoCallToolResult for Reply<T> {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        let data = serde_json::to_value(&self.data)
            .map_err(|e| ErrorData::internal_error(format!("writing a reply: {e}"), None))?;
        let text = clip_text(self.data.to_string(), TEXT_BUDGET);
        let links = self.links.into_iter().map(ContentBlock::resource_link);
        let mut result = CallToolResult::success(std::iter::once(ContentBlock::text(text)).chain(links).collect());
        result.structured_content = Some(clip_data(data));
        Ok(result.into())
    }
}

/// What a tool answers that may have to ask the user first.
pub(super) enum Answer<T> {
    Reply(Reply<T>),
    Question(Box<InputRequiredResult>),
}

impl<T> From<T> for Answer<T> {
    fn from(data: T) -> Self {
        Self::Reply(data.into())
    }
}

impl<T: Serialize + fmt::Display> IntoCallToolResult for Answer<T> {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            Self::Reply(reply) => reply.into_call_tool_result(),
            Self::Question(question) => Ok((*question).into()),
        }
    }
}

/// A verb's failure on its way to the client: a result the model reads, unless it is our bug.
pub(super) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoCallToolResult for Failure {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        let error = self.0;
        if error.kind() == ErrorKind::Internal {
            tracing::error!("{error:?}");
            return Err(ErrorData::internal_error(error.to_string(), None));
        }
        let hint = error.next_step().map_or(String::new(), |hint| format!("\nhint: {hint}"));
        let text = format!("kind: {}\ndoing: {}\ncause: {}{hint}", error.kind(), error.act(), error.cause());
        // No structured content: clients hold it against the tool's output schema even when the call
        // failed, and the model would read of missing fields instead of what went wrong.
        Ok(CallToolResult::error(vec![ContentBlock::text(clip_text(text, TEXT_BUDGET))]).into())
    }
}

/// The answer of a call while its server stops: if the call was stopped, it was by that, not by its caller.
pub(super) fn told_of_the_end(mut response: CallToolResponse) -> CallToolResponse {
    let by_the_server = "the server is stopping; start it again, or call another one with the same ledger";
    if let CallToolResponse::Complete(CallToolResult { is_error: Some(true), content, .. }) = &mut response {
        for text in content.iter_mut().filter_map(|block| match block {
            ContentBlock::Text(text) => Some(&mut text.text),
            _ => None,
        }) {
            *text = text.replace(&format!("cause: {BY_THE_CALLER}"), &format!("cause: {by_the_server}"));
        }
    }
    response
}

/// The text within a budget. Its last line names what to do next, so the middle goes.
fn clip_text(text: String, budget: usize) -> String {
    if text.len() <= budget {
        return text;
    }
    let tail = text.rfind('\n').map_or("", |at| text.get(at..).unwrap_or_default());
    let tail = head(tail, budget / 4);
    let kept = head(&text, budget - tail.len() - 40);
    format!("{kept}\n(clipped, {} bytes in all){tail}", text.len())
}

/// The longest beginning of at most so many bytes.
fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// The data within its budget, still of the form that its schema promises.
pub(super) fn clip_data(mut data: Value) -> Value {
    for (longest_string, longest_list) in CLIPS {
        if serde_json::to_vec(&data).map_or(0, |bytes| bytes.len()) <= DATA_BUDGET {
            break;
        }
        clip_value(&mut data, longest_string, longest_list);
    }
    data
}

fn clip_value(value: &mut Value, longest_string: usize, longest_list: usize) {
    match value {
        Value::String(text) if text.len() > longest_string => {
            *text = format!("{}… (clipped)", head(text, longest_string));
        }
        Value::Array(items) => {
            items.truncate(longest_list);
            items.iter_mut().for_each(|item| clip_value(item, longest_string, longest_list));
        }
        Value::Object(fields) => fields.values_mut().for_each(|v| clip_value(v, longest_string, longest_list)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(response: Result<CallToolResponse, ErrorData>) -> CallToolResult {
        match response.unwrap() {
            CallToolResponse::Complete(result) => result,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failure_says_kind_act_cause_and_hint_and_nothing_a_client_would_hold_against_the_schema() {
        let error = Error::new(ErrorKind::NotFound, "opening a.csv", "no such file").hint("give another path");
        let result = complete(Err::<Reply<String>, _>(Failure(error)).into_call_tool_result());
        assert_eq!(result.is_error, Some(true));
        let text = &result.content[0].as_text().unwrap().text;
        assert_eq!(text, "kind: not_found\ndoing: opening a.csv\ncause: no such file\nhint: give another path");
        assert_eq!(result.structured_content, None);
    }

    #[test]
    fn a_bug_is_a_protocol_error() {
        let error = Failure(Error::internal("adding", "two and two make five")).into_call_tool_result().unwrap_err();
        assert_eq!(error.code.0, -32603);
    }

    #[test]
    fn a_reply_over_budget_is_clipped_and_still_says_what_is_next() {
        #[derive(Serialize)]
        struct Huge {
            samples: Vec<String>,
            next: String,
        }
        impl fmt::Display for Huge {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}\nnext: {}", self.samples.join("\n"), self.next)
            }
        }
        let huge = Huge { samples: vec!["é".repeat(10_000); 1_000], next: "stop".to_owned() };
        let result = complete(Reply::from(huge).into_call_tool_result());
        let text = &result.content[0].as_text().unwrap().text;
        assert!(text.len() <= TEXT_BUDGET && text.contains("clipped") && text.ends_with("\nnext: stop"), "{text}");
        let data = result.structured_content.unwrap();
        assert!(serde_json::to_vec(&data).unwrap().len() <= DATA_BUDGET);
        assert_eq!(data["next"], "stop");
        assert!(data["samples"][0].as_str().unwrap().ends_with("(clipped)"));
    }
}
