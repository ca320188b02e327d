//! The server over HTTP: both transports, both eras, and who is not let in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::BufRead;
use std::time::{Duration, Instant};

use rmcp::ServiceExt;
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};
use support::http_server::{HttpServer, Sse, message, status};
use support::program::{self, PATIENCE, TOOLS, initialize, modern, request, tool_names};

#[test]
fn streamable_http_speaks_with_and_without_handshake() {
    let server = HttpServer::start();
    let (code, answer) = server.post("/mcp", &[], &initialize("2025-11-25"));
    assert_eq!((code, &message(&answer)["result"]["serverInfo"]["name"]), (200, &json!("gemini-batch-mcp")));
    let (code, answer) =
        server.post("/mcp", &[("MCP-Protocol-Version", "2025-11-25")], &request("tools/list", &json!({})));
    assert_eq!((code, tool_names(&message(&answer))), (200, TOOLS.to_vec()));
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    let (code, answer) = server.post("/mcp", &headers, &modern("tools/list", json!({})));
    assert_eq!((code, tool_names(&message(&answer))), (200, TOOLS.to_vec()));
    // Only of a method that there is not the status says so.
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "check_status")];
    let wrong = modern("tools/call", json!({"name": "check_status", "arguments": []}));
    assert_eq!(server.post("/mcp", &headers, &wrong).0, 200);
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/cal")];
    assert_eq!(server.post("/mcp", &headers, &modern("tools/cal", json!({}))).0, 404);
}

#[test]
fn what_is_no_message_is_told_in_the_words_of_the_protocol() {
    let server = HttpServer::start();
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    for (body, code) in [("{\"jsonrpc\"", -32700), ("", -32700), ("{}", -32600), ("{\"id\": 5}", -32600)] {
        let (status, answer) = server.ask("POST", "/mcp", &headers, body);
        let error: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
        assert_eq!((status, &error["error"]["code"]), (400, &json!(code)), "{body}: {answer}");
        assert_eq!(error["id"], if body.contains("id") { json!(5) } else { json!(null) });
    }
    let text = [("Content-Type", "text/plain"), headers[1]];
    assert_eq!(server.ask("POST", "/mcp", &text, &request("tools/list", &json!({})).to_string()).0, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_library_lists_and_calls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = HttpServer::start();
    let transport = StreamableHttpClientTransport::from_uri(format!("http://{}/mcp", server.authority));
    let client = ().serve(transport).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(), TOOLS);
    let arguments = json!({"no_such_argument": 1}).as_object().unwrap().clone();
    let call = rmcp::model::CallToolRequestParams::new("list_batches").with_arguments(arguments);
    assert_eq!(client.call_tool(call).await.unwrap().is_error, Some(true));
    client.cancel().await.unwrap();
}

#[test]
fn the_older_transport_answers_on_its_stream() {
    let server = HttpServer::start();
    let mut sse = server.open_sse();
    let path = sse.path.clone();
    assert_eq!(server.post(&path, &[], &initialize("2024-11-05")).0, 202);
    assert_eq!(sse.message()["result"]["protocolVersion"], "2024-11-05");
    server.post(&path, &[], &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    server.post(&path, &[], &request("tools/list", &json!({})));
    assert_eq!(tool_names(&sse.message()), TOOLS);
    assert_eq!(server.ask("POST", &path, &[], "no JSON").0, 400);
    // Sessions do not hear each other.
    let other = server.open_sse();
    assert_ne!(other.path, path);
}

#[test]
fn a_client_that_vanishes_leaves_no_session_behind() {
    let server = HttpServer::start();
    let mut sse = server.open_sse();
    let path = sse.path.clone();
    server.post(&path, &[], &initialize("2024-11-05"));
    sse.message();
    drop(sse);
    let vanished = Instant::now();
    while server.post(&path, &[], &request("ping", &json!({}))).0 != 404 {
        assert!(vanished.elapsed() < PATIENCE, "the session outlives its client");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sessions_are_bounded_and_their_places_come_back() {
    let server = HttpServer::start();
    let mut open: Vec<Sse> = (0..64).map(|_| server.open_sse()).collect();
    assert_eq!(server.ask("GET", "/sse", &[], "").0, 503);
    open.pop();
    let freed = Instant::now();
    loop {
        let mut answer = server.send("GET", "/sse", &[], "");
        if status(&mut answer) == 200 {
            break;
        }
        assert!(freed.elapsed() < PATIENCE, "the place of a closed session is never free again");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_proxy_is_to_collect_a_stream_before_it_hands_it_on() {
    let server = HttpServer::start();
    let accept = ("Accept", "application/json, text/event-stream");
    let json = ("Content-Type", "application/json");
    let hello = initialize("2025-11-25").to_string();
    for (method, path, body) in [("GET", "/sse", ""), ("POST", "/mcp", &hello)] {
        let answer = server.send(method, path, &[accept, json], body);
        let head: Vec<String> = answer.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        assert!(head.contains(&"x-accel-buffering: no".to_owned()), "{method} {path}: {head:?}");
        assert!(head.contains(&"cache-control: no-cache".to_owned()), "{method} {path}: {head:?}");
    }
}

#[test]
fn foreign_hosts_and_pages_are_refused_on_every_path() {
    let folder = tempfile::tempdir().unwrap();
    let oauth = ["--oauth-issuer", "https://as.example", "--oauth-audience", "https://batch.example.com/mcp"];
    let flags = [oauth.as_slice(), &["--webhook-audience", "https://batch.example.com/webhook"]].concat();
    let server = HttpServer::with(program::program(folder.path()), &flags);
    let body = initialize("2025-11-25").to_string();
    for (method, path) in [
        ("POST", "/mcp"),
        ("GET", "/mcp"),
        ("DELETE", "/mcp"),
        ("GET", "/sse"),
        ("POST", "/message?sessionId=x"),
        ("POST", "/webhook"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("GET", "/.well-known/oauth-protected-resource/sse"),
    ] {
        let code = server.ask(method, path, &[], &body).0;
        assert!([200, 401].contains(&code), "{method} {path} is not served: {code}");
        for header in [("Host", "evil.example"), ("Origin", "http://evil.example"), ("Origin", "null")] {
            assert_eq!(server.ask(method, path, &[header], &body).0, 403, "{method} {path} {header:?}");
        }
    }
    assert_eq!(server.ask("GET", "/healthz", &[("Origin", "http://localhost:3000")], "").0, 200);
}

#[test]
fn a_message_may_be_large_but_not_without_bound() {
    let server = HttpServer::start();
    let sse = server.open_sse();
    let json = ("Content-Type", "application/json");
    let accept = ("Accept", "application/json, text/event-stream");
    let message = |bytes: usize| {
        let empty = initialize("2025-11-25").to_string();
        format!("{empty}{}", " ".repeat(bytes - empty.len()))
    };
    let limit = 16 << 20;
    for path in ["/mcp", &sse.path] {
        assert!(server.ask("POST", path, &[json, accept], &message(limit)).0 < 300, "{path}");
        assert_eq!(server.ask("POST", path, &[json, accept], &message(limit + 1)).0, 413, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_stop_signal_ends_the_server_although_clients_listen() {
    for listens in [true, false] {
        let mut server = HttpServer::start();
        let _sse = listens.then(|| server.open_sse());
        let told = Instant::now();
        server.terminate();
        // Also when it has only just said where it is.
        assert!(program::wait_for_end(&mut server.child).success(), "{listens}");
        assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_end_of_its_terminal_ends_it_in_good_order_unless_it_was_started_to_outlive_that() {
    let folder = tempfile::tempdir().unwrap();
    // However these tests were started.
    let start = |how: &str| {
        let real = program::program(folder.path());
        let mut command = std::process::Command::new("env");
        command.arg(how).arg(real.get_program()).current_dir(folder.path());
        command.envs(real.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let server = HttpServer::of(command);
        server.signal("-HUP");
        server
    };
    assert!(program::wait_for_end(&mut start("--default-signal=HUP").child).success());

    let mut server = start("--ignore-signal=HUP");
    assert_eq!(server.ask("GET", "/healthz", &[], "").0, 200);
    server.terminate();
    assert!(program::wait_for_end(&mut server.child).success());
}
