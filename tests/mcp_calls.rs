//! Whole calls through the server on standard input and output, against the embedded simulator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::time::Duration;

use program::{Server, request};
use serde_json::{Value, json};

/// A server on the simulator, with a data file of three rows in its folder.
fn simulated() -> Server {
    let mut server = Server::start_with(|command| {
        command.arg("--simulate");
        std::fs::write(command.get_current_dir().unwrap().join("planets.csv"), "id,name\n1,Mars\n2,Venus\n3,Earth\n")
            .unwrap();
    });
    server.initialize("2025-11-25");
    server
}

/// The structured reply of a call that succeeds; it is checked against what the tool promises.
fn reply(server: &mut Server, tool: &str, arguments: &Value) -> Value {
    let answer = server.call(tool, arguments);
    let result = &answer["result"];
    assert_eq!(result["isError"], false, "{answer}");
    let data = &result["structuredContent"];
    let tools = server.ask(&request("tools/list", &json!({})));
    let tools = tools["result"]["tools"].as_array().unwrap();
    let definition = tools.iter().find(|definition| definition["name"] == tool).unwrap();
    conforms(data, &definition["outputSchema"]);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.ends_with(&format!("next: {}", data["next"].as_str().unwrap())), "{text}");
    data.clone()
}

/// Whether data has the form that a schema of the plain kind used here promises.
fn conforms(data: &Value, schema: &Value) {
    let has_type = match schema["type"].as_str().unwrap() {
        "object" => data.is_object(),
        "array" => data.is_array(),
        "string" => data.is_string(),
        "integer" => data.is_i64(),
        "number" => data.is_number(),
        "boolean" => data.is_boolean(),
        other => panic!("unforeseen type {other}"),
    };
    assert!(has_type, "{data} is not {schema}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(data), "{data} is none of {words:?}");
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(data.get(required.as_str().unwrap()).is_some(), "{required} is missing in {data}");
    }
    // An object of which only that is said may hold anything.
    let is_told = schema.get("properties").or(schema.get("additionalProperties")).is_some();
    for (name, value) in data.as_object().into_iter().flatten().filter(|_| is_told) {
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let property = schema["properties"].get(name).or(others);
        let property = property.unwrap_or_else(|| panic!("{name} was not promised"));
        conforms(value, property);
    }
    for item in data.as_array().into_iter().flatten() {
        conforms(item, &schema["items"]);
    }
}

/// Submits the three rows; the job's handle.
fn submit(server: &mut Server) -> String {
    let arguments = json!({"source": "planets.csv", "template": "Describe {{name}}", "key": "id"});
    let built = reply(server, "build_jsonl", &arguments);
    assert_eq!(built["requests"], 3);
    let created = reply(server, "create_batch", &json!({"input": built["path"], "name": "planets"}));
    assert_eq!(created["submission"], "created");
    created["job"].as_str().unwrap().to_owned()
}

#[test]
fn four_calls_lead_from_a_data_file_to_a_file_of_answers() {
    let mut server = simulated();
    let job = submit(&mut server);
    let status = reply(&mut server, "check_status", &json!({"jobs": [job], "wait": true}));
    assert_eq!((&status["all_ended"], &status["jobs"][0]["state"]), (&json!(true), &json!("JOB_STATE_SUCCEEDED")));

    let answer = server.call("get_results", &json!({"job": job, "join": true, "output": "answered planets.csv"}));
    let results = &answer["result"]["structuredContent"];
    assert_eq!((&results["requests"], &results["outcomes"]["answered"]), (&json!(3), &json!(3)));
    let link = &answer["result"]["content"][1];
    assert_eq!((link["type"].as_str(), link["mimeType"].as_str()), (Some("resource_link"), Some("text/csv")));
    assert!(link["uri"].as_str().unwrap().ends_with("/answered%20planets.csv"), "{link}");
    let written = std::fs::metadata(results["path"].as_str().unwrap()).unwrap();
    assert_eq!(link["size"], written.len());

    let listed = reply(&mut server, "list_batches", &json!({}));
    assert_eq!(listed["jobs"][0]["job"], job.as_str());
    reply(&mut server, "get_results", &json!({"job": job}));
    reply(&mut server, "cancel_batch", &json!({"job": job}));
    reply(&mut server, "delete_batch", &json!({"job": job, "dry_run": true}));
}

#[test]
fn without_a_key_everything_works_that_needs_none_and_the_rest_says_so() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    let built = reply(&mut server, "build_jsonl", &json!({"prompts": ["Why?"], "output": "why.jsonl"}));
    let answer = server.call("create_batch", &json!({"input": built["path"]}));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let error = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(error.contains("key_missing") && error.contains("GOOGLE_API_KEY"), "{error}");
}

#[test]
fn rows_that_are_given_in_the_call_become_requests() {
    let mut server = simulated();
    let rows = json!([{"id": "m", "name": "Mars"}, {"id": "v", "name": "Venus", "moons": 0}]);
    let mut arguments =
        json!({"rows": rows, "template": "{{ name }}, {{ moons }}", "key": "id", "output": "rows.jsonl"});
    let refused = server.call("build_jsonl", &arguments)["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(refused.contains("row 1") && refused.contains("moons"), "{refused}");
    arguments["template"] = json!("{{ name }}?");
    let built = reply(&mut server, "build_jsonl", &arguments);
    assert_eq!(built["requests"], 2, "{built}");
    let line = "{\"key\":\"m\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"Mars?\"}]}]}}";
    assert!(built["first_requests"].to_string().contains("Mars?"), "{built}");
    let file = std::fs::read_to_string(built["path"].as_str().unwrap()).unwrap();
    assert_eq!(file.lines().next(), Some(line));
    arguments["prompts"] = json!(["one"]);
    let both = server.call("build_jsonl", &arguments)["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(both.contains("give one of source (a file or job:HANDLE), rows or prompts"), "{both}");
}

#[test]
fn a_wait_tells_its_progress_to_a_client_that_asked_for_it() {
    let mut server = simulated();
    let job = submit(&mut server);
    let mut call = request("tools/call", &json!({"name": "check_status", "arguments": {"jobs": [job], "wait": true}}));
    call["params"]["_meta"] = json!({"progressToken": "mine"});
    server.send_line(&call.to_string());
    let mut told = 0;
    loop {
        let message: Value = serde_json::from_str(&server.next_line()).unwrap();
        if message["id"] == call["id"] {
            break;
        }
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(message["params"]["progressToken"], "mine");
        told += 1;
    }
    assert!(told > 0, "no progress was told");
}

#[test]
fn a_cancelled_wait_is_not_answered_and_does_not_cancel_the_job() {
    let mut server = simulated();
    let job = submit(&mut server);
    let mut call = request("tools/call", &json!({"name": "check_status", "arguments": {"jobs": [job], "wait": true}}));
    call["id"] = json!("wait");
    server.send_line(&call.to_string());
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "wait"}});
    server.send_line(&cancel.to_string());
    server.send_line(&request("tools/call", &call["params"]).to_string());
    let only_answer: Value = serde_json::from_str(&server.next_line()).unwrap();
    assert_eq!(only_answer["id"], 7, "the cancelled call was answered");
    assert_eq!(only_answer["result"]["structuredContent"]["jobs"][0]["state"], "JOB_STATE_SUCCEEDED");
    assert_eq!(server.close().1, Vec::<String>::new(), "the cancelled call was answered");
}

#[test]
fn a_client_that_leaves_during_a_wait_is_not_waited_for() {
    let mut server = simulated();
    let job = submit(&mut server);
    let wait = request("tools/call", &json!({"name": "check_status", "arguments": {"jobs": [job], "wait": true}}));
    server.send_line(&wait.to_string());
    let (time, _) = server.close();
    assert!(time < Duration::from_millis(1_900), "{time:?}");
}
