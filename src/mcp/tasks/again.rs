//! Which calls may become tasks, and what becomes of one whose process died.

use rmcp::model::JsonObject;
use serde_json::Value;

/// Bytes of arguments that are kept.
const MOST_ARGUMENTS: usize = 16 * 1024;
/// Arguments that are data rather than where it is: they are not kept.
const DATA: [&str; 3] = ["rows", "prompts", "requests"];

/// Whether calls of this tool may take long.
pub(super) fn may_take_long(tool: &str) -> bool {
    #[cfg(feature = "_conformance")]
    if crate::mcp::fixtures::MAY_TAKE_LONG.contains(&tool) {
        return true;
    }
    may_be_repeated(tool) || pays(tool)
}

/// Whether doing it twice is the same as once, whatever happened meanwhile.
fn may_be_repeated(tool: &str) -> bool {
    ["build_jsonl", "check_status", "get_results"].contains(&tool)
}

/// What pays is not repeated unasked: its price was agreed to for a file as it was, and the user may have cancelled the
/// job since. What it wrote down goes out by itself.
fn pays(tool: &str) -> bool {
    ["create_batch", "retry_batch"].contains(&tool)
}

/// What is kept of a call's arguments so that it can be made again. `None`: it is not to be.
pub(super) fn kept(tool: &str, arguments: &JsonObject) -> Option<Value> {
    let given = |name: &str| arguments.get(name).is_some_and(|value| !value.is_null());
    // A file may be somebody else's by then.
    let overwrites = arguments.get("overwrite").is_some_and(|value| *value == Value::Bool(true));
    if !may_be_repeated(tool) || overwrites || DATA.into_iter().any(given) {
        return None;
    }
    let kept = Value::Object(arguments.clone());
    (kept.to_string().len() <= MOST_ARGUMENTS).then_some(kept)
}

/// What to do when it was not ended and is not made again.
pub(super) fn advice(tool: &str) -> String {
    let what = match tool {
        tool if pays(tool) => {
            "it finds what was sent, sends the rest and pays nothing twice. With new_run look with list_batches first"
        }
        _ => "nothing is lost by that",
    };
    format!("the server that worked on it ended. Call {tool} again with the same arguments: {what}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_kept(tool: &str, arguments: Value) -> bool {
        kept(tool, arguments.as_object().unwrap()).is_some()
    }

    #[test]
    fn only_what_can_be_done_twice_without_harm_is_kept() {
        assert!(is_kept("check_status", json!({"wait": true})));
        assert!(is_kept("get_results", json!({"job": "a", "overwrite": false})));
        assert!(is_kept("build_jsonl", json!({"source": "a.csv", "rows": null})));
        assert!(!is_kept("get_results", json!({"job": "a", "overwrite": true})));
        assert!(!is_kept("build_jsonl", json!({"prompts": ["a"]})));
        assert!(!is_kept("build_jsonl", json!({"source": "a.csv", "system": "a".repeat(20_000)})));
        for tool in ["create_batch", "retry_batch", "delete_batch"] {
            assert!(!is_kept(tool, json!({"input": "a.jsonl"})), "{tool}");
        }
    }
}
