//! The server on standard input and output, as clients of both eras start it and talk to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::time::Duration;

use program::{Server, TOOLS, modern, request, tool_names};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};

#[test]
fn every_handshake_version_is_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let hello = Server::start().initialize(version);
        assert_eq!(hello["protocolVersion"], version);
        assert_eq!(hello["serverInfo"]["name"], "gemini-batch-mcp");
        assert_eq!(hello["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        let instructions = hello["instructions"].as_str().unwrap();
        assert!(instructions.contains("build_jsonl") && instructions.contains("get_results"));
    }
}

#[test]
fn a_client_without_handshake_discovers_and_lists() {
    let mut server = Server::start();
    let discovered = server.ask(&modern("server/discover", json!({})));
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{versions:?}");
    assert_eq!(tool_names(&server.ask(&modern("tools/list", json!({})))), TOOLS);
}

#[test]
fn tools_are_listed_in_the_order_in_which_a_job_meets_them() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    assert_eq!(tool_names(&server.ask(&request("tools/list", &json!({})))), TOOLS);
}

#[test]
fn a_mistake_in_the_arguments_is_a_result_that_names_what_is_known() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    let mistakes = [
        (json!({"job": "a"}), "unknown field `job`"),
        (json!({"jobs": "a"}), "jobs: invalid type"),
        (json!({"wait": true, "timeout_seconds": "soon"}), "timeout_seconds: invalid type"),
    ];
    for (arguments, cause) in mistakes {
        let answer = server.call("check_status", &arguments);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(&format!("\ncause: {cause}")), "{text}");
        assert!(text.starts_with("kind: invalid_argument\ndoing: "), "{text}");
        assert!(
            text.ends_with("\nhint: check_status takes jobs (array), wait (boolean), timeout_seconds (integer)"),
            "{text}"
        );
    }
}

#[test]
fn a_job_that_is_not_named_is_asked_for() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    for tool in ["get_results", "cancel_batch", "delete_batch"] {
        let answer = server.call(tool, &json!({}));
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("\ncause: missing field `job`\n"), "{tool}: {text}");
        assert!(text.contains("job (string, required)"), "{text}");
    }
}

#[test]
fn an_unknown_tool_is_a_protocol_error() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    assert_eq!(server.call("make_coffee", &json!({}))["error"]["code"], -32602);
}

#[test]
fn standard_output_carries_nothing_but_the_protocol() {
    let mut server = Server::start_with(|command| {
        command.env("RUST_LOG", "trace");
    });
    server.initialize("2025-11-25");
    server.send_line("this is no JSON");
    server.send_line("{\"jsonrpc\": \"2.0\", \"id\": 1}");
    server.send_line("[]");
    assert_eq!(tool_names(&server.ask(&request("tools/list", &json!({})))), TOOLS);
    for line in server.close().1 {
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(message["jsonrpc"], "2.0");
    }
}

#[test]
fn the_end_of_input_ends_the_process_at_once() {
    for greeted in [true, false] {
        let mut server = Server::start();
        if greeted {
            server.initialize("2025-11-25");
        }
        let (time, rest) = server.close();
        assert!(time < Duration::from_secs(1), "{time:?}");
        assert_eq!(rest, Vec::<String>::new());
        assert!(server.child.wait().unwrap().success(), "greeted: {greeted}");
    }
}

#[test]
fn it_starts_at_the_top_of_the_file_system_and_works_in_a_folder_of_its_own() {
    let mut server = Server::start_with(|command| {
        command.current_dir("/");
    });
    server.initialize("2025-11-25");
    assert_eq!(tool_names(&server.ask(&request("tools/list", &json!({})))), TOOLS);
    assert!(server.folder.path().join("gemini-batch").is_dir(), "no folder in the user's home");
}

#[tokio::test]
async fn a_client_library_lists_and_calls() {
    let folder = tempfile::tempdir().unwrap();
    let command = tokio::process::Command::from(program::program(folder.path()));
    let client = ().serve(TokioChildProcess::new(command).unwrap()).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(), TOOLS);
    let arguments = json!({"no_such_argument": 1}).as_object().unwrap().clone();
    let call = CallToolRequestParams::new("list_batches").with_arguments(arguments);
    let result: CallToolResult = client.call_tool(call).await.unwrap();
    assert_eq!(result.is_error, Some(true));
    client.cancel().await.unwrap();
}
