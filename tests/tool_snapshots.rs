//! What a model reads of each tool, word by word, and rules that hold for all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use gemini_batch_mcp::config::{Caller, Config, Flags};
use gemini_batch_mcp::mcp::BatchServer;
use gemini_batch_mcp::ops::App;
use serde_json::{Value, json};

fn tools() -> Vec<Value> {
    let config = Config::read(&Flags::default(), Caller::Person).unwrap();
    let server = BatchServer::new(App::new(config).unwrap());
    server.tools().iter().map(|tool| serde_json::to_value(tool).unwrap()).collect()
}

/// Every schema inside a schema, itself included.
fn all_schemas(schema: &Value) -> Vec<&Value> {
    let properties = schema["properties"].as_object().into_iter().flatten().map(|(_, property)| property);
    let inside = properties.chain(schema.get("items"));
    std::iter::once(schema).chain(inside.flat_map(all_schemas)).collect()
}

#[test]
fn every_tool_reads_as_it_was_reviewed() {
    for tool in tools() {
        insta::assert_json_snapshot!(tool["name"].as_str().unwrap(), tool);
    }
}

#[test]
fn the_list_stays_within_what_a_model_can_afford() {
    let mut without_output = tools();
    for tool in &mut without_output {
        *tool = json!({"name": tool["name"], "description": tool["description"], "inputSchema": tool["inputSchema"]});
    }
    let size = |tools: &[Value]| serde_json::to_vec(tools).unwrap().len();
    assert!(size(&without_output) <= 10_000, "{} bytes", size(&without_output));
    assert!(size(&tools()) <= 20_000, "{} bytes", size(&tools()));
}

#[test]
fn every_tool_has_a_title_a_description_and_all_four_hints() {
    for tool in tools() {
        assert!(!tool["title"].as_str().unwrap().is_empty());
        let description = tool["description"].as_str().unwrap();
        assert!((20..400).contains(&description.len()) && !description.contains('\n'), "{description}");
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{}: {hint}", tool["name"]);
        }
    }
}

#[test]
fn every_argument_is_described_and_no_other_is_taken() {
    for tool in tools() {
        let input = &tool["inputSchema"];
        assert_eq!(input["additionalProperties"], false, "{}", tool["name"]);
        for (name, argument) in input["properties"].as_object().unwrap() {
            assert!(argument["description"].is_string(), "{}: {name}", tool["name"]);
        }
    }
}

#[test]
fn every_schema_is_plain_enough_for_every_client() {
    let known = ["type", "properties", "required", "items", "enum", "description", "additionalProperties"];
    for tool in tools() {
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            assert_eq!(schema["type"], "object");
            for part in all_schemas(schema) {
                // One type each: no union with null, no anyOf, no $ref, no format.
                assert!(part["type"].is_string(), "{}: {part}", tool["name"]);
                for keyword in part.as_object().unwrap().keys() {
                    assert!(known.contains(&keyword.as_str()), "{}: {keyword} in {part}", tool["name"]);
                }
            }
        }
    }
}
