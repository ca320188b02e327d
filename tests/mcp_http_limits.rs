//! What one client takes from a server over HTTP is bounded, and comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use support::http_server::HttpServer;
use support::ledger;
use support::process::{memory, open_files};
use support::program::{PATIENCE, initialize, program};
use support::session::Session;
use support::world::World;

const MEGABYTE: u64 = 1 << 20;

/// Waits until something is so.
#[track_caller]
fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn thousands_of_sessions_opened_and_dropped_leave_nothing_behind() {
    let server = HttpServer::start();
    let open_and_drop = |times: usize| {
        for number in 0..times {
            let mut sse = None;
            // A place may be free only once the server noticed that its client is gone.
            becomes("no place comes back", || {
                sse = server.try_open_sse();
                sse.is_some()
            });
            // Some say hello first, some even that not.
            if number % 3 == 0 {
                server.post(&sse.unwrap().path, &[], &initialize("2024-11-05"));
            }
        }
    };
    open_and_drop(200);
    let (before, files) = (memory(&server.child), open_files(&server.child));
    open_and_drop(1800);
    if let (Some((before, _)), Some(files)) = (before, files) {
        becomes("files stay open", || open_files(&server.child).unwrap() <= files.max(20));
        let after = memory(&server.child).unwrap().0;
        assert!(after < before + 8 * MEGABYTE, "{before} bytes became {after}");
    }
    assert_eq!(server.ask("GET", "/healthz", &[], "").0, 200);
}

#[test]
fn thousands_of_sessions_that_nobody_ends_leave_room_for_those_in_use() {
    let server = HttpServer::start();
    let (mine, forgotten) = (Session::open(&server), Session::open(&server));
    let _standing = mine.listen(None);
    let open = |times: usize| {
        for number in 0..times {
            // Some say nothing more than hello, some leave a question open, some go while they listen.
            match number % 3 {
                0 => drop(server.post("/mcp", &[], &initialize("2025-11-25"))),
                1 => drop(Session::open(&server).listen(None)),
                _ => drop(Session::open(&server)),
            }
        }
    };
    open(300);
    let before = memory(&server.child);
    open(1700);
    if let Some((before, _)) = before {
        becomes("memory is not given back", || memory(&server.child).unwrap().0 < before + 8 * MEGABYTE);
    }
    assert_eq!((mine.listen(None).status, forgotten.listen(None).status), (200, 404));
    // To be forgotten harms no call.
    for session in [mine, forgotten] {
        assert!(session.ask("tools/list", &json!({}))["result"]["tools"].is_array());
    }
}

#[test]
fn when_every_session_is_in_use_a_client_is_served_without() {
    let world = World::new();
    world.write("why.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Why?"}]}]}}"#);
    let mut command = world.command();
    command.env("GEMINI_BATCH_CONFIRM_ABOVE_USD", "0");
    let server = HttpServer::of(command);
    let _open: Vec<_> = (0..128).map(|_| Session::open(&server).listen(None)).collect();
    let (code, answer) = server.post("/mcp", &[], &initialize("2025-11-25"));
    assert_eq!(code, 200);
    assert!(!answer.contains("mcp-session-id") && !answer.contains("\"subscribe\""), "{answer}");
    // One that could be asked is not taken at its word for want of room.
    let mut hello = initialize("2025-11-25");
    hello["params"]["capabilities"] = json!({"elicitation": {}});
    let (_, answer) = server.post("/mcp", &[], &hello);
    let name = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    let without =
        Session { server: &server, id: name.expect("a name to be known by").to_owned(), login: String::new() };
    let arguments = json!({"input": "why.jsonl", "model": "gemini-3-flash-preview"});
    let answer = without.ask("tools/call", &json!({"name": "create_batch", "arguments": arguments}));
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("kind: declined"), "{answer}");
    assert_eq!(world.jobs_at_the_api(), 0);
    // It is not led to say hello again and again.
    assert_eq!(without.listen(None).status, 405);
    assert!(without.ask("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn connections_are_bounded_and_their_places_come_back() {
    let server = HttpServer::start();
    let mut open: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(&server.authority).unwrap()).collect();
    let is_closed = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        matches!(stream.read(&mut [0]), Ok(0)) || stream.write(b"x").is_err()
    };
    becomes("all connections are taken up", || open.iter_mut().rev().take(80).all(is_closed));
    if let Some(files) = open_files(&server.child) {
        assert!(files < 600, "{files} files");
    }
    drop(open);
    becomes("the server serves nobody", || server.try_ask("/healthz") == Some(200));
}

#[test]
fn a_client_that_sends_no_request_is_hung_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.env("GEMINI_BATCH_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let server = HttpServer::of(command);
    let beginnings = [
        "",
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\n",
        // A notice that nobody can tell to be signed before it is there.
        "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ];
    let streams = beginnings.map(|beginning| {
        let mut stream = TcpStream::connect(&server.authority).unwrap();
        stream.write_all(beginning.as_bytes()).unwrap();
        stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
        stream
    });
    for (mut stream, beginning) in streams.into_iter().zip(beginnings) {
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok(), "the server waits for what follows {beginning:?}");
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");
    }
}

#[test]
fn a_head_may_be_long_but_not_without_bound() {
    let server = HttpServer::start();
    let ask = |bytes: usize| server.ask("GET", "/healthz", &[("X-Long", &"x".repeat(bytes))], "").0;
    assert_eq!(ask(16 * 1024), 200);
    assert_eq!(ask(200 * 1024), 431);
}

#[test]
fn a_server_without_a_ledger_runs_but_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-folder");
    std::fs::write(&file, "").unwrap();
    let mut command = program(folder.path());
    command.env("GEMINI_BATCH_HOME", file.join("home"));
    let server = HttpServer::of(command);
    assert_eq!(server.ask("GET", "/healthz", &[], "").0, 200);
    let (code, text) = server.ask("GET", "/readyz", &[], "");
    assert_eq!(code, 503);
    assert!(!text.contains("no-folder"), "{text}");
    let well = HttpServer::start();
    assert_eq!(well.ask("GET", "/readyz", &[], "").0, 200);
}

#[test]
fn a_server_whose_ledger_another_program_holds_is_not_ready_until_that_lets_go() {
    let world = World::new();
    world.reply(&["list"]);
    let held = ledger::open(&world);
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let server = HttpServer::of(world.command());
    assert_eq!(server.ask("GET", "/readyz", &[], "").0, 503);
    becomes("the log says why", || server.log().contains("another process has been writing to it for 2 s"));
    held.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.ask("GET", "/readyz", &[], "").0, 200);
}

#[cfg(unix)]
#[test]
fn a_server_without_room_is_not_ready() {
    let world = World::new();
    world.reply(&["list"]);
    let server = HttpServer::of(world.command_with_files_of(64));
    assert_eq!(server.ask("GET", "/readyz", &[], "").0, 503);
    becomes("the log says why", || server.log().contains("not ready: writing in "));
}

#[test]
fn a_ledger_that_is_gone_is_begun_anew_by_who_asks_whether_it_can_be_used() {
    let world = World::new();
    let server = HttpServer::of(world.command());
    assert_eq!(server.ask("GET", "/readyz", &[], "").0, 200);
    std::fs::remove_dir_all(world.path("home")).unwrap();
    becomes("the ledger is there again", || {
        assert_eq!(server.ask("GET", "/readyz", &[], "").0, 200);
        ledger::file(&world).exists()
    });
}
