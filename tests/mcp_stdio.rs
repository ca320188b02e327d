//! The server on standard input and output, as clients of both eras start it and talk to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, Pace};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};
use support::ledger;
use support::program::{self, Server, TOOLS, modern, request, tool_names};
use support::world::World;

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
        (json!({"jobs": 5}), "jobs: invalid type"),
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
fn types_are_called_as_json_does_and_a_tool_that_is_not_there_by_its_name() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    for (tool, arguments, expected) in [
        ("create_batch", json!({"input": "a", "max_cost_usd": "much"}), "expected a number"),
        ("create_batch", json!({"input": "a", "sample": 1.5}), "the number `1.5`, expected a whole number"),
        ("build_jsonl", json!({"source": "a", "request": "b"}), "expected an object"),
        ("check_status", json!({"jobs": {}}), "invalid type: an object, expected a list"),
    ] {
        let answer = server.call(tool, &arguments);
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(expected), "{tool} {arguments}: {text}");
    }
    let error = server.call("create_job", &json!({}))["error"].clone();
    assert_eq!(error["code"], -32602);
    let words = error["message"].as_str().unwrap();
    assert_eq!(words, format!("there is no tool create_job; there are {}", TOOLS.join(", ")));
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
fn what_needs_no_answer_is_nothing_to_begin_with_and_no_end() {
    let mut server = Server::start();
    server.send_line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
    server.send_line(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string());
    assert_eq!(server.initialize("2025-11-25")["serverInfo"]["name"], "gemini-batch-mcp");
    assert_eq!(tool_names(&server.ask(&request("tools/list", &json!({})))), TOOLS);
}

#[test]
fn parameters_that_cannot_be_read_are_told_and_not_taken_for_an_unknown_method() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    for (method, params) in [
        ("tools/call", json!({"nam": "check_status"})),
        ("tools/call", json!({"name": "check_status", "arguments": "job"})),
        ("resources/read", json!({})),
        ("prompts/get", json!({"name": 7})),
    ] {
        for request in [request(method, &params), modern(method, params.clone())] {
            let error = server.ask(&request)["error"].clone();
            assert_eq!(error["code"], -32602, "{error}");
            assert!(error["message"].as_str().unwrap().contains(&format!("the parameters of {method}")), "{error}");
        }
    }
    assert_eq!(server.ask(&request("tools/cal", &json!({})))["error"]["code"], -32601);
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
fn the_end_of_input_or_a_signal_ends_the_process_at_once() {
    let end: [fn(&mut Server) -> Duration; 2] = [|_| Duration::ZERO, Server::terminate];
    for (end, greeted) in [(end[0], true), (end[0], false), (end[1], true)] {
        let mut server = Server::start();
        if greeted {
            server.initialize("2025-11-25");
        }
        let told = end(&mut server);
        let (time, rest) = server.close();
        assert!(told + time < Duration::from_secs(1), "{told:?}, {time:?}");
        assert_eq!(rest, Vec::<String>::new());
        assert!(server.child.wait().unwrap().success(), "greeted: {greeted}");
    }
}

#[test]
fn a_line_may_be_long_but_one_beyond_the_limit_is_dropped_and_the_next_is_heard() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    let padded = |bytes: usize| {
        let mut list = request("tools/list", &json!({"cursor": ""}));
        let empty = list.to_string().len();
        list["params"]["_meta"] = json!({"padding": ""});
        let padding = bytes - empty - json!({"padding": ""}).to_string().len() - ",\"_meta\":".len();
        list["params"]["_meta"]["padding"] = "x".repeat(padding).into();
        list["params"].as_object_mut().unwrap().remove("cursor");
        list
    };
    assert_eq!(tool_names(&server.ask(&padded(15 << 20))), TOOLS);
    let mut too_long = padded(17 << 20);
    too_long["id"] = "too long".into();
    server.send_line(&too_long.to_string());
    let answer = server.ask(&request("tools/list", &json!({})));
    assert_eq!(tool_names(&answer), TOOLS);
    assert!(server.close().1.iter().all(|line| !line.contains("too long")));
}

#[test]
fn calls_at_a_time_are_each_answered_once_and_a_slow_one_holds_up_no_other() {
    let (world, mut server) = waiting_world();
    let call = |id: i64, tool: &str, arguments: Value| {
        let mut call = request("tools/call", &json!({"name": tool, "arguments": arguments}));
        call["id"] = id.into();
        call.to_string()
    };
    server.send_line(&call(0, "check_status", json!({"wait": true, "timeout_seconds": 45})));
    for id in 1..=100 {
        server.send_line(&call(id, "list_batches", json!({"remote": false})));
    }
    let mut answered: Vec<i64> = (0..100)
        .map(|_| serde_json::from_str::<Value>(&server.next_line()).unwrap())
        .map(|answer| {
            assert_eq!(answer["result"]["structuredContent"]["jobs"].as_array().unwrap().len(), 1, "{answer}");
            answer["id"].as_i64().unwrap()
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=100).collect::<Vec<_>>());
    drop(world);
}

#[test]
fn a_ping_does_not_wait_for_a_ledger_that_another_process_holds() {
    let (world, mut server) = waiting_world();
    let holder = ledger::open(&world);
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let arguments = json!({"input": "requests.jsonl", "model": "gemini-3-flash-preview"});
    // More than the server has threads.
    for id in 100..109 {
        let mut create = request("tools/call", &json!({"name": "create_batch", "arguments": arguments}));
        create["id"] = id.into();
        server.send_line(&create.to_string());
    }
    for _ in 0..40 {
        let asked = Instant::now();
        assert_eq!(server.ask(&request("ping", &json!({})))["result"], json!({}));
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    holder.execute_batch("COMMIT").unwrap();
    for _ in 100..109 {
        let answer: Value = serde_json::from_str(&server.next_line()).unwrap();
        assert_eq!(answer["result"]["structuredContent"]["submission"], "found", "{answer}");
    }
}

#[test]
fn the_end_of_input_ends_a_call_and_not_the_job() {
    let (world, mut server) = waiting_world();
    let arguments = json!({"wait": true, "timeout_seconds": 45});
    server.send_line(&request("tools/call", &json!({"name": "check_status", "arguments": arguments})).to_string());
    let polls = || world.simulator.log().count("GET", "/batches/");
    let sent = Instant::now();
    while polls() == 0 {
        assert!(sent.elapsed() < program::PATIENCE, "the call does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (time, rest) = server.close();
    assert!(time < Duration::from_secs(2), "{time:?}");
    assert!(server.child.wait().unwrap().success());
    assert!(rest.len() <= 1, "{rest:?}");
    assert_eq!(world.simulator.log().count("POST", ":cancel"), 0);
    let looked = world.run(&["status", "--json"]);
    assert_eq!((looked.code, &looked.json()["jobs"][0]["state"]), (3, &json!("JOB_STATE_PENDING")));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_call_and_it_is_told_so() {
    let (world, mut server) = waiting_world();
    let arguments = json!({"wait": true, "timeout_seconds": 45});
    server.send_line(&request("tools/call", &json!({"name": "check_status", "arguments": arguments})).to_string());
    let sent = Instant::now();
    while world.simulator.log().count("GET", "/batches/") == 0 {
        assert!(sent.elapsed() < program::PATIENCE, "the call does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let time = server.terminate();
    assert!(time < Duration::from_secs(2), "{time:?}");
    let (_, rest) = server.close();
    assert!(rest.len() == 1 && rest[0].contains("cause: the server is stopping"), "{rest:?}");
}

/// What is being sent behind an answer when the server is brought to its end is sent whole.
fn ends_in_good_order(end: impl FnOnce(&mut Server) -> Duration) {
    let world = World::new();
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    let waits = world.reply(&["create", "requests.jsonl", "--model", "gemini-3-flash-preview"]);
    assert_eq!(waits["submission"], "queued", "{waits}");
    ledger::time_passes(&world, Duration::from_secs(120));
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_millis(300)));
    let mut server = server_of(&world);
    assert_eq!(server.call("list_batches", &json!({"remote": false}))["result"]["isError"], false);
    let asked = Instant::now();
    while world.simulator.log().under_way(Call::CreateBatch) == 0 {
        assert!(asked.elapsed() < program::PATIENCE, "it is not sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    let time = end(&mut server);
    assert!(time < Duration::from_secs(2), "{time:?}");
    assert_eq!(world.reply(&["list", "--local"])["jobs"][0]["state"], "JOB_STATE_PENDING");
}

#[test]
fn what_is_sent_behind_an_answer_is_sent_whole_although_input_has_ended() {
    ends_in_good_order(|server| server.close().0);
}

#[test]
fn what_is_sent_behind_an_answer_is_sent_whole_although_the_process_is_told_to_stop() {
    ends_in_good_order(Server::terminate);
}

/// A world with a job that will not end here, and a server in it.
fn waiting_world() -> (World, Server) {
    let world = World::with(|options| options.pace = Pace::realistic());
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    world.reply(&["create", "requests.jsonl", "--model", "gemini-3-flash-preview"]);
    let server = server_of(&world);
    (world, server)
}

fn server_of(world: &World) -> Server {
    let mut server = Server::start_with(|command| {
        command.current_dir(world.folder.path()).env("GEMINI_BATCH_HOME", world.path("home"));
        command.env("GOOGLE_API_KEY", "a-key-for-tests").env("GOOGLE_GEMINI_BASE_URL", world.simulator.url());
    });
    server.initialize("2025-11-25");
    server
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

#[test]
fn a_root_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut command = program::program(folder.path());
    let output = command.args(["serve", "--root", "file"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("it is no folder"), "{said}");
}

#[test]
fn where_no_folder_of_its_own_can_be_made_it_says_how_to_name_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut command = program::program(folder.path());
    command.current_dir("/").env("HOME", folder.path().join("file")).arg("serve");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("--root or GEMINI_BATCH_ROOTS"), "{said}");
}

/// A thread that the machine does not give is a panic of whoever checks a large file on several: nobody else can be
/// blamed for one here.
#[cfg(target_os = "linux")]
#[test]
fn a_call_that_a_panic_stops_is_answered_and_standard_output_stays_the_protocols() {
    let mut server = Server::start_with(|command| {
        command.env("RUST_MIN_STACK", (1_u64 << 47).to_string()).stderr(Stdio::piped());
    });
    let line = json!({"key": "a", "request": {"contents": [{"parts": [{"text": "x".repeat(1000)}]}]}});
    std::fs::write(server.folder.path().join("r.jsonl"), format!("{line}\n").repeat(3000)).unwrap();
    let log = server.child.stderr.take().unwrap();
    let log = std::thread::spawn(|| std::io::read_to_string(log).unwrap());
    server.initialize("2025-11-25");
    for _ in 0..2 {
        let answer = server.call("create_batch", &json!({"input": "r.jsonl", "dry_run": true}));
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
    }
    assert_eq!(server.call("list_batches", &json!({}))["result"]["isError"], false, "others go on");
    // Whatever was on standard output so far was read as JSON, line by line.
    assert_eq!(server.close().1, Vec::<String>::new());
    assert!(log.join().unwrap().contains("panicked at"));
}

#[test]
fn a_client_that_hears_no_log_is_answered() {
    let mut server = Server::start_with(|command| {
        command.env("RUST_LOG", "debug").stderr(Stdio::piped());
    });
    drop(server.child.stderr.take());
    server.initialize("2025-11-25");
    assert_eq!(server.call("list_batches", &json!({}))["result"]["isError"], false);
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

#[test]
fn every_call_that_takes_long_tells_how_far_it_is() {
    let world = World::new();
    world.write("planets.csv", "id,name\n1,Mars\n2,Venus\n");
    let mut server = server_of(&world);
    let slow = Fault::Delay(Duration::from_millis(1200));
    for call in [Call::CountTokens, Call::Finalize, Call::CreateBatch, Call::Download] {
        world.simulator.faults().nth(call, 1, slow);
    }
    let mut told = |tool: &str, arguments: Value| {
        let mut call = request("tools/call", &json!({"name": tool, "arguments": arguments}));
        call["params"]["_meta"] = json!({"progressToken": tool});
        server.send_line(&call.to_string());
        let mut values = Vec::new();
        loop {
            let message: Value = serde_json::from_str(&server.next_line()).unwrap();
            if message["id"] == call["id"] {
                assert_eq!(message["result"]["isError"], false, "{message}");
                assert!(!values.is_empty(), "{tool} told nothing");
                assert!(values.is_sorted_by(|one, next| one < next), "{tool} told {values:?}");
                return message["result"]["structuredContent"].clone();
            }
            assert_eq!(message["params"]["progressToken"], tool, "{message}");
            values.push(message["params"]["progress"].as_f64().unwrap());
        }
    };
    let built = told(
        "build_jsonl",
        json!({"source": "planets.csv", "template": "{{name}}?", "key": "id", "count_tokens": true}),
    );
    let created = told("create_batch", json!({"input": built["path"]}));
    world.run(&["status", created["job"].as_str().unwrap(), "--wait"]);
    told("get_results", json!({"job": created["job"], "output": "out.csv"}));
}
