//! The server over HTTP: both transports, both eras, and who is not let in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use program::{PATIENCE, TOOLS, initialize, modern, request, tool_names};
use rmcp::ServiceExt;
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};

/// The server on a free port of loopback.
struct HttpServer {
    child: Child,
    authority: String,
    _folder: tempfile::TempDir,
}

impl HttpServer {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program::program(folder.path());
        command.args(["serve", "--http", "127.0.0.1:0"]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let authority = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { child, authority, _folder: folder }
    }

    /// Sends a request head and body; what comes back is read by the caller.
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.authority));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that refuses a body may close before it has all of it.
        let _ = stream.write_all(body.as_bytes());
        BufReader::new(stream)
    }

    /// The status and the whole answer.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut answer = self.send(method, path, headers, body);
        let status = status(&mut answer);
        let mut rest = String::new();
        let _ = answer.read_to_string(&mut rest);
        (status, rest)
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], message: &Value) -> (u16, String) {
        let json = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
        self.ask("POST", path, &[&json, headers].concat(), &message.to_string())
    }

    fn open_sse(&self) -> Sse {
        let mut stream = self.send("GET", "/sse", &[("Accept", "text/event-stream")], "");
        assert_eq!(status(&mut stream), 200);
        let mut sse = Sse { stream, path: String::new() };
        let (event, data) = sse.next();
        assert_eq!(event, "endpoint");
        sse.path = data;
        sse
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An open stream of the older transport.
struct Sse {
    stream: BufReader<TcpStream>,
    path: String,
}

impl Sse {
    /// The next event's name and data.
    fn next(&mut self) -> (String, String) {
        let (mut event, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the stream ended");
            let line = line.trim_end();
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut event);
            } else if let Some(text) = line.strip_prefix("data: ") {
                text.clone_into(&mut data);
            } else if line.is_empty() && !data.is_empty() {
                return (event, data);
            }
        }
    }

    fn message(&mut self) -> Value {
        serde_json::from_str(&self.next().1).unwrap()
    }
}

fn status(answer: &mut BufReader<TcpStream>) -> u16 {
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}")).parse().unwrap()
}

/// The message in the answer to a POST, which comes as a short stream of events.
fn message(answer: &str) -> Value {
    let data = answer.lines().filter_map(|line| line.strip_prefix("data: ")).find(|data| data.starts_with('{'));
    serde_json::from_str(data.unwrap_or_else(|| panic!("no message in {answer}"))).unwrap()
}

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
fn foreign_hosts_and_pages_are_refused_on_every_path() {
    let server = HttpServer::start();
    let sse = server.open_sse();
    for (method, path) in [("POST", "/mcp"), ("GET", "/sse"), ("POST", &sse.path), ("GET", "/healthz")] {
        let body = initialize("2025-11-25").to_string();
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

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = program::program(folder.path()).args(["serve", "--http", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("other machines") && text.contains("hint: use 127.0.0.1"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_stop_signal_ends_the_server_although_clients_listen() {
    let mut server = HttpServer::start();
    let _sse = server.open_sse();
    let told = Instant::now();
    let kill = std::process::Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert!(program::wait_for_end(&mut server.child).success());
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}
