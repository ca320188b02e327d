//! Clients that mean harm, or are broken: whatever they send, the server stays up, bounded, and there for the others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use support::http_server::{HttpServer, message};
use support::process::memory;
use support::program::{Server, TOOLS, initialize, program, request, tool_names};
use support::session::Session;
use support::world::World;

const KEY: &str = "a-key-that-must-never-be-seen";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// More than a server needs that has read the largest message there may be, many times over.
const MOST_MEMORY: u64 = 256 << 20;

const HEADERS: [(&str, &str); 2] =
    [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];

/// Arrays in arrays.
fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Messages that no client should send. None of them is a request for anything that costs.
fn bad_messages() -> Vec<String> {
    let call = |tool: &str, arguments: Value| {
        request("tools/call", &json!({"name": tool, "arguments": arguments})).to_string()
    };
    let mut messages: Vec<String> = [
        "",
        " ",
        "{",
        "}",
        "null",
        "true",
        "12",
        "\"text\"",
        "[]",
        "{}",
        "\u{feff}{}",
        r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":99999999999999999999999,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"no/such/method"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":null}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"check_status","arguments":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"none such"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":7}}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    messages.push(deep(100_000));
    messages.push(call("check_status", serde_json::from_str(&format!("{{\"jobs\":{}}}", deep(120))).unwrap()));
    messages.push(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}}"#, deep(50_000)));
    messages.push(call(&"x".repeat(1 << 20), json!({})));
    messages.push(call("get_results", json!({"job": "x".repeat(1 << 20)})));
    messages.push(call("get_results", json!({"job": "a\nERROR forged line\r\n\u{1b}[31mred\u{0}"})));
    messages.push(call("list_batches", json!({"cursor": "\u{0}", "limit": i64::MAX})));
    messages.push(call("build_jsonl", json!({"source": "../../../../etc/passwd", "template": "{{x}}"})));
    messages.push(call("build_jsonl", json!({"source": "/proc/self/environ", "template": "{{x}}"})));
    messages.push(format!("[{}]", vec![request("tools/list", &json!({})).to_string(); 1000].join(",")));
    messages
}

/// What a server may not say to anybody.
#[track_caller]
fn assert_nothing_secret(text: &str) {
    for secret in [KEY, SECRET, &SECRET[6..], "root:x:0"] {
        assert!(!text.contains(secret), "{secret} is told");
    }
}

/// A line of the log that a client made up.
#[track_caller]
fn assert_no_forged_line(log: &str) {
    assert!(!log.lines().any(|line| line.starts_with("ERROR forged")), "{log}");
    assert!(!log.contains('\u{1b}'), "a client colours the log");
}

#[track_caller]
fn assert_bounded(server: &std::process::Child) {
    if let Some((_, most)) = memory(server) {
        assert!(most < MOST_MEMORY, "{} MB", most >> 20);
    }
}

fn http_server() -> (HttpServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    // Where nobody listens.
    command.env("GOOGLE_API_KEY", KEY).env("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1");
    command.env("GEMINI_BATCH_WEBHOOK_SECRET", SECRET).env("RUST_LOG", "debug");
    (HttpServer::of(command), folder)
}

/// Another client is served as if nothing had happened.
#[track_caller]
fn assert_others_are_served(server: &HttpServer) {
    let (code, answer) = server.post("/mcp", &[], &request("tools/list", &json!({})));
    assert_eq!((code, tool_names(&message(&answer))), (200, TOOLS.to_vec()));
}

#[test]
fn bad_messages_on_standard_input() {
    let mut server = Server::start_with(|command| {
        command.env("GOOGLE_API_KEY", KEY).env("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1");
        command.env("RUST_LOG", "debug").stderr(Stdio::piped());
    });
    let mut errors = server.child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        let _ = std::io::Read::read_to_end(&mut errors, &mut log);
        String::from_utf8_lossy(&log).into_owned()
    });
    server.initialize("2025-11-25");
    for bad in bad_messages() {
        server.send_line(&bad);
    }
    server.send_bytes(b"\xff\xfe\x00 no text at all \xc3\x28\n");
    server.send_bytes(&[b'['; 20 << 20]);
    server.send_bytes(b"\n");
    let mut last = request("tools/list", &json!({}));
    last["id"] = "the last".into();
    assert_eq!(tool_names(&server.ask(&last)), TOOLS);
    assert_bounded(&server.child);
    let said = server.close().1.join("\n");
    let log = log.join().unwrap();
    assert_nothing_secret(&said);
    assert_nothing_secret(&log);
    assert_no_forged_line(&log);
}

#[test]
fn a_client_that_repeats_an_id_harms_only_itself() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    for _ in 0..200 {
        server.send_line(&request("tools/list", &json!({})).to_string());
    }
    let mut last = request("tools/list", &json!({}));
    last["id"] = "another".into();
    assert_eq!(tool_names(&server.ask(&last)), TOOLS);
    assert_bounded(&server.child);
}

#[test]
fn bad_messages_over_http() {
    let (server, _folder) = http_server();
    for bad in bad_messages() {
        let (code, answer) = server.ask("POST", "/mcp", &HEADERS, &bad);
        let short: String = bad.chars().take(80).collect();
        assert!(code < 500, "{code} for {short}");
        assert_nothing_secret(&answer);
    }
    for path in ["/mcp", "/message?sessionId=x", "/webhook", "/sse", "/", "/mcp/../healthz", "/%00", "/mcp%2f"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "X"] {
            let (code, answer) = server.ask(method, path, &HEADERS, "{}");
            assert!((400..500).contains(&code), "{code} for {method} {path}");
            assert_nothing_secret(&answer);
        }
    }
    assert_others_are_served(&server);
    assert_bounded(&server.child);
    assert_nothing_secret(&server.log());
    assert_no_forged_line(&server.log());
}

#[test]
fn requests_that_are_no_http() {
    let (server, _folder) = http_server();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n";
    for raw in [
        "\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}".to_owned(),
        format!("{head}Content-Length: -1\r\n\r\n"),
        format!("{head}Content-Length: 99999999999999999999\r\n\r\n"),
        format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
        format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
        format!("{head}X: a\r\n b\r\n\r\n"),
        format!("{head}{}\r\n", "X: y\r\n".repeat(5_000)),
        format!("{}\r\n", "x".repeat(1 << 20)),
    ] {
        let mut stream = TcpStream::connect(&server.authority).unwrap();
        let _ = stream.write_all(raw.as_bytes());
        drop(stream);
    }
    assert_others_are_served(&server);
    assert_bounded(&server.child);
}

#[test]
fn messages_that_break_off_or_never_end() {
    let (server, _folder) = http_server();
    let mut open = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(&server.authority).unwrap();
        let head = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{}: {}\r\n", HEADERS[0].0, HEADERS[0].1);
        let _ = write!(stream, "{head}{}: {}\r\nContent-Length: 16000000\r\n\r\n{{\"jso", HEADERS[1].0, HEADERS[1].1);
        if number % 2 == 0 {
            open.push(stream);
        }
    }
    assert_others_are_served(&server);
    assert_bounded(&server.child);
}

#[test]
fn enormous_messages_over_http() {
    let (server, _folder) = http_server();
    let largest = (16 << 20) - 200;
    for body in [
        deep(largest / 2),
        format!("[{}1]", "1,".repeat(largest / 2)),
        format!("{{{}\"x\":1}}", "\"x\":1,".repeat(largest / 6)),
        request("tools/call", &json!({"name": "check_status", "arguments": {"jobs": vec![""; largest / 3]}}))
            .to_string(),
        request("tools/call", &json!({"name": "x".repeat(largest)})).to_string(),
    ] {
        let (code, _) = server.ask("POST", "/mcp", &HEADERS, &body);
        assert!(code < 500, "{code}");
    }
    assert_others_are_served(&server);
    assert_bounded(&server.child);
}

#[test]
fn bad_messages_on_the_older_transport() {
    let (server, _folder) = http_server();
    let mut victim = server.open_sse();
    let victims_path = victim.path.clone();
    server.post(&victims_path, &[], &initialize("2024-11-05"));
    victim.message();
    let attacker = server.open_sse();
    server.post(&attacker.path, &[], &initialize("2024-11-05"));
    for bad in bad_messages() {
        let code = server.ask("POST", &attacker.path, &HEADERS, &bad).0;
        let short: String = bad.chars().take(80).collect();
        assert!(code < 500, "{code} for {short}");
    }
    // One that never reads what it is told, and says ever more.
    let mut refused = 0;
    for id in 0..2_000 {
        let mut stream = TcpStream::connect(&server.authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut list = request("tools/list", &json!({}));
        list["id"] = id.into();
        let list = list.to_string();
        let head = format!("POST {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", attacker.path);
        write!(stream, "{head}Content-Length: {}\r\n\r\n{list}", list.len()).unwrap();
        let mut answer = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
        refused += usize::from(!answer.starts_with("HTTP/1.1 202"));
        if refused > 3 {
            break;
        }
    }
    assert!(refused > 3, "a client that reads nothing is heard without end");
    for session in ["", "x", "../x", &"0".repeat(32), "%00"] {
        let code = server.ask("POST", &format!("/message?sessionId={session}"), &HEADERS, "{}").0;
        assert_eq!(code, 404, "{session}");
    }
    server.post(&victims_path, &[], &request("tools/list", &json!({})));
    assert_eq!(tool_names(&victim.message()), TOOLS);
    assert_others_are_served(&server);
    assert_bounded(&server.child);
    assert_nothing_secret(&server.log());
}

#[test]
fn bad_messages_within_a_session() {
    let (server, _folder) = http_server();
    let (victim, attacker) = (Session::open(&server), Session::open(&server));
    let mut standing = victim.listen(None);
    let name = ("Mcp-Session-Id", attacker.id.as_str());
    for bad in bad_messages() {
        let (code, answer) = server.ask("POST", "/mcp", &[&HEADERS[..], &[name]].concat(), &bad);
        let short: String = bad.chars().take(80).collect();
        assert!(code < 500, "{code} for {short}");
        assert_nothing_secret(&answer);
    }
    // Answers to what was never asked, and places that never were.
    for id in 0..300 {
        attacker.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"action": "accept", "content": {"pay": true}}}));
    }
    for place in ["", "-", "0-18446744073709551615", "18446744073709551615-0", "1-0/../2", &"9".repeat(10_000)] {
        assert!(attacker.listen(Some(place)).status < 500, "{place}");
    }
    // Listeners and calls that nobody reads, and names that are guessed.
    let _unread: Vec<_> = (0..100).map(|_| attacker.listen(None)).collect();
    for id in 0..400 {
        let mut list = request("tools/list", &json!({}));
        list["id"] = id.into();
        drop(attacker.post(&list));
    }
    for number in 0..100 {
        let guess = Session { id: format!("{number:032x}"), ..victim.clone() };
        assert_eq!((guess.listen(None).status, guess.end()), (404, 404));
    }
    assert_eq!(tool_names(&victim.ask("tools/list", &json!({}))), TOOLS);
    assert_others_are_served(&server);
    assert_bounded(&server.child);
    assert_nothing_secret(&server.log());
    assert_no_forged_line(&server.log());
    assert_eq!(victim.end(), 204);
    assert_eq!(standing.next(), None, "the victim was told what was not for it");
}

/// What an argument may name.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    /// A file to read.
    Read(&'static str),
    /// A file to write.
    Write,
    /// A folder to write in.
    Folder,
    /// No place of this machine, whatever it is given.
    Nothing,
}

use Names::{Folder, Nothing, Read};

/// Every argument of every tool that can hold a text: those that name a file or a folder, with one that they may name.
const ARGUMENTS: [(&str, &[(&str, Names)]); 8] = [
    (
        "build_jsonl",
        &[
            ("source", Read("rows.csv")),
            ("attach", Read("paper.pdf")),
            ("response_schema", Read("schema.json")),
            ("output", Names::Write),
            ("format", Nothing),
            ("delimiter", Nothing),
            ("rows", Nothing),
            ("prompts", Nothing),
            ("template", Nothing),
            ("system", Nothing),
            ("key", Nothing),
            ("model", Nothing),
            ("voice", Nothing),
            ("generation_config", Nothing),
            ("request", Nothing),
        ],
    ),
    (
        "create_batch",
        &[
            ("input", Read("requests.jsonl")),
            ("requests", Nothing),
            ("model", Nothing),
            ("name", Nothing),
            ("webhook_urls", Nothing),
        ],
    ),
    ("check_status", &[("jobs", Nothing)]),
    (
        "get_results",
        &[
            ("output", Names::Write),
            ("media_dir", Folder),
            ("schema", Read("schema.json")),
            ("job", Nothing),
            ("format", Nothing),
            ("keys", Nothing),
            ("search", Nothing),
            ("where", Nothing),
            ("count_by", Nothing),
        ],
    ),
    ("retry_batch", &[("job", Nothing), ("model", Nothing), ("generation_config", Nothing)]),
    ("list_batches", &[("state", Nothing), ("cursor", Nothing)]),
    ("cancel_batch", &[("job", Nothing)]),
    ("delete_batch", &[("job", Nothing)]),
];

/// Files that each argument of a tool would take, with a word that nobody may read outside.
const FILES: [(&str, &str); 4] = [
    ("rows.csv", "x,empty\nWORD,\n"),
    ("paper.pdf", "%PDF-1.4 WORD"),
    ("schema.json", r#"{"type": "object", "title": "WORD"}"#),
    ("requests.jsonl", r#"{"key": "WORD", "request": {"contents": [{"parts": [{"text": "WORD"}]}]}}"#),
];

/// Why a place is refused.
const REFUSALS: [&str; 3] =
    ["lies outside the allowed folders", "it is a link to nowhere", "it lies in the folder where jobs are remembered"];

/// A call that succeeds, with the argument set to a path.
fn with_path(tool: &str, argument: &str, schema: &Value, path: &str, job: &Value) -> Value {
    let mut call = match tool {
        "build_jsonl" => json!({"source": "rows.csv", "template": "{{ x }}", "output": "out.jsonl", "overwrite": true}),
        "create_batch" => json!({"input": "requests.jsonl", "dry_run": true}),
        "get_results" => json!({"job": job, "output": "out.jsonl", "overwrite": true}),
        "retry_batch" | "delete_batch" => json!({"job": job, "dry_run": true}),
        "check_status" => json!({"jobs": [job]}),
        "cancel_batch" => json!({"job": job}),
        _ => json!({}),
    };
    call[argument] = match (schema["type"].as_str().unwrap(), schema["items"]["type"].as_str()) {
        // Not a column, but a template that makes the path.
        _ if argument == "attach" => json!([format!("{path}{{{{ empty }}}}")]),
        ("string", _) => path.into(),
        ("object", _) => json!({"$ref": path}),
        ("array", Some("string")) => json!([path]),
        ("array", _) => json!([{"key": path, "file": path}]),
        (other, _) => panic!("{tool}: no value for {argument}, which is a {other}"),
    };
    call
}

/// The arguments of a tool that can hold a text of the caller's.
fn of_text(tool: &Value) -> BTreeMap<&str, &Value> {
    let can =
        |schema: &Value| ["string", "object"].iter().any(|kind| schema["type"] == *kind) && schema["enum"].is_null();
    let properties = tool["inputSchema"]["properties"].as_object().unwrap().iter();
    properties
        .filter(|(_, schema)| can(schema) || can(&schema["items"]))
        .map(|(name, schema)| (name.as_str(), schema))
        .collect()
}

/// Everything in a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

#[test]
fn no_argument_of_any_tool_leads_out_of_the_allowed_folders() {
    const SECRET_WORD: &str = "seventeen-secrets";
    let (world, outside) = (World::new(), tempfile::tempdir().unwrap());
    for (name, text) in FILES {
        fs::write(outside.path().join(name), text.replace("WORD", SECRET_WORD)).unwrap();
        world.write(name, &text.replace("WORD", "plain"));
        symlink(outside.path().join(name), world.path(&format!("link-{name}"))).unwrap();
    }
    fs::create_dir(world.path("sub")).unwrap();
    symlink(outside.path(), world.path("link")).unwrap();
    symlink(outside.path().join("not-there"), world.path("nowhere")).unwrap();
    let before = contents(outside.path());
    let out = format!("../{}", outside.path().file_name().unwrap().to_str().unwrap());
    let absolute = outside.path().to_str().unwrap();

    let job = world.reply(&["create", "requests.jsonl"])["job"].clone();
    world.reply(&["status", job.as_str().unwrap(), "--wait"]);
    let mut agent = Server::start_with(|command| {
        command.current_dir(world.folder.path()).env("GEMINI_BATCH_HOME", world.path("home"));
        command.env("GOOGLE_API_KEY", "a-key-for-tests").env("GOOGLE_GEMINI_BASE_URL", world.simulator.url());
    });
    agent.initialize("2025-11-25");
    let listed = agent.ask(&request("tools/list", &json!({})));
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert_eq!(tool_names(&listed), ARGUMENTS.map(|(tool, _)| tool));
    for (tool, (name, arguments)) in tools.iter().zip(ARGUMENTS) {
        let schemas = of_text(tool);
        let told: BTreeSet<_> = arguments.iter().map(|(argument, _)| *argument).collect();
        assert_eq!(
            schemas.keys().copied().collect::<BTreeSet<_>>(),
            told,
            "{name}: say in ARGUMENTS what each may name"
        );
        for (argument, names) in arguments {
            let mut call = |path: &str| {
                let answer = agent.call(name, &with_path(name, argument, schemas[argument], path, &job));
                let text = answer.to_string();
                assert!(!text.contains(SECRET_WORD), "{name} {argument}: {path}: {text}");
                (answer["result"]["isError"] == true, text)
            };
            let file = if let Read(file) = names { file } else { "rows.csv" };
            let mut paths = vec![format!("{out}/{file}"), format!("{absolute}/{file}"), format!("link/{file}")];
            paths.extend([format!("sub/../{out}/{file}"), format!("link-{file}"), format!("file://{absolute}/{file}")]);
            paths.push(format!("file://localhost{}/%2e%2e%2F{out}/{file}", world.path("sub").display()));
            match names {
                Read(_) if *argument == "source" => {
                    paths.extend([
                        format!("{out}/*"),
                        format!("{absolute}/**/*"),
                        "link/*".to_owned(),
                        "link".to_owned(),
                    ]);
                }
                Names::Write => {
                    paths.extend([format!("{out}/new.jsonl"), "link/new.jsonl".to_owned(), "nowhere".to_owned()]);
                }
                Folder => {
                    paths.extend([out.clone(), format!("{out}/new"), "link".to_owned(), "link/new".to_owned()]);
                }
                _ => {}
            }
            if [Names::Write, Folder].contains(names) {
                paths
                    .extend(["home/ledger.sqlite3", "home/jobs/new.jsonl", "sub/../home/new.jsonl"].map(str::to_owned));
            }
            for path in &paths {
                let (is_refused, text) = call(path);
                let is_told = REFUSALS.iter().any(|why| text.contains(why));
                assert!(*names == Nothing || (is_refused && is_told), "{name} {argument}: {path}: {text}");
            }
            // It was the path that was refused.
            let good = match names {
                Read(file) => file,
                Names::Write => "sub/good.jsonl",
                Folder => "sub/good",
                Nothing => continue,
            };
            let (is_refused, text) = call(good);
            assert!(!is_refused, "{name} {argument}: {text}");
        }
    }
    assert_eq!(contents(outside.path()), before, "something outside was changed");
    assert!(
        world.results(&[job.as_str().unwrap(), "--limit", "1"])["outcomes"]["answered"] == 1,
        "the ledger is whole"
    );
}
