//! Calls over HTTP that take long: kept alive, left by their clients, cancelled, interrupted by the end of the server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::{BufRead, Read};
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{Call as SimulatorCall, ErrorBody, Fault, Pace};
use serde_json::{Value, json};
use support::http_server::{HttpServer, MODERN_STATUS_CALL, Sse, message, status};
use support::ledger;
use support::program::{self, PATIENCE, initialize, modern, request};
use support::session::Session;
use support::world::World;

/// A world with a job that will not end here, and a server in it.
fn waiting_world() -> (World, HttpServer) {
    let world = World::with(|options| options.pace = Pace::realistic());
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    world.reply(&["create", "requests.jsonl", "--model", "gemini-3-flash-preview"]);
    let server = HttpServer::of(world.command());
    (world, server)
}

/// A call that waits for that job.
fn wait_call(id: i64, seconds: i64) -> Value {
    let arguments = json!({"wait": true, "timeout_seconds": seconds});
    let mut call = request("tools/call", &json!({"name": "check_status", "arguments": arguments}));
    call["id"] = id.into();
    call
}

/// The same of a client from 2026-07-28 on.
fn modern_wait(seconds: i64) -> Value {
    let arguments = json!({"wait": true, "timeout_seconds": seconds});
    modern("tools/call", json!({"name": "check_status", "arguments": arguments}))
}

const LEGACY: [(&str, &str); 3] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
    ("MCP-Protocol-Version", "2025-11-25"),
];

/// How often the job was asked for at the API.
fn polls(world: &World) -> usize {
    world.simulator.log().count("GET", "/batches/")
}

/// Waits until the job was asked for once more.
#[track_caller]
fn polled_again(world: &World) {
    let (before, start) = (polls(world), Instant::now());
    while polls(world) == before {
        assert!(start.elapsed() < PATIENCE, "the job is not asked for");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether nobody asks for the job, for longer than the longest pause there is in the first seconds of a wait.
fn nobody_asks(world: &World) -> bool {
    std::thread::sleep(Duration::from_millis(300));
    let before = polls(world);
    std::thread::sleep(Duration::from_secs(4));
    polls(world) == before
}

/// The name that a client is given when it says hello.
fn say_hello(server: &HttpServer) -> String {
    let mut answer = server.send("POST", "/mcp", &LEGACY[..2], &initialize("2025-11-25").to_string());
    assert_eq!(status(&mut answer), 200);
    let names = answer.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let mut names = names.filter_map(|line| line.strip_prefix("mcp-session-id: ").map(str::to_owned));
    names.next().expect("the server gives the client a name")
}

#[test]
fn no_client_is_unknown_however_long_it_was_away() {
    let first = HttpServer::start();
    let name = say_hello(&first);
    drop(first);
    // Another run of the server never heard of it, and a third client never said hello at all.
    let server = HttpServer::start();
    for name in [name.as_str(), "never-given"] {
        let headers = [LEGACY.as_slice(), &[("Mcp-Session-Id", name)]].concat();
        let (code, answer) = server.ask("POST", "/mcp", &headers, &request("tools/list", &json!({})).to_string());
        assert_eq!(code, 200, "{answer}");
        assert!(message(&answer)["result"]["tools"].is_array());
    }
    // There is nothing to end, and no stream to open.
    for method in ["DELETE", "GET"] {
        assert_eq!(server.ask(method, "/mcp", &LEGACY, "").0, 405, "{method}");
    }
}

#[test]
fn a_long_call_has_its_headers_at_once_and_signs_of_life() {
    let (_world, server) = waiting_world();
    let start = Instant::now();
    let calls = [(LEGACY.as_slice(), wait_call(1, 17)), (MODERN_STATUS_CALL.as_slice(), modern_wait(19))];
    let answers = calls.map(|(headers, call)| server.send("POST", "/mcp", headers, &call.to_string()));
    let bodies = answers.map(|mut answer| {
        assert_eq!(status(&mut answer), 200);
        let mut lines = answer.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "x-accel-buffering: no"), "a proxy may keep it all until the end");
        assert!(start.elapsed() < Duration::from_secs(10), "headers came only after {:?}", start.elapsed());
        lines
    });
    // The modern one began with a sign of life.
    for (lines, least) in bodies.into_iter().zip([1, 2]) {
        let signs = lines.take_while(|line| !line.starts_with("data: {")).filter(|line| line.starts_with(':'));
        assert!(signs.count() >= least, "no sign of life before the answer");
    }
    assert!(start.elapsed() > Duration::from_secs(16), "{:?}", start.elapsed());
}

#[test]
fn a_modern_call_that_has_begun_to_be_answered_is_answered_to_the_end() {
    let (_world, server) = waiting_world();
    let mut answer = server.send("POST", "/mcp", &MODERN_STATUS_CALL, &modern_wait(4).to_string());
    assert_eq!(status(&mut answer), 200);
    let lines: Vec<_> = answer.lines().map_while(Result::ok).collect();
    let is_sign = |line: &&String| line.starts_with(':');
    assert!(lines.iter().any(|line| is_sign(&line)), "{lines:?}");
    let data = lines.iter().find(|line| line.starts_with("data: {")).unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!(message(data)["result"]["structuredContent"]["all_ended"], false);
}

#[test]
fn a_modern_call_ends_with_its_connection() {
    let (world, server) = waiting_world();
    let wait = || server.send("POST", "/mcp", &MODERN_STATUS_CALL, &modern_wait(45).to_string());
    // One of which nothing is told yet, and one that has begun to be answered.
    let mut begun = wait();
    assert_eq!(status(&mut begun), 200);
    let answer = wait();
    polled_again(&world);
    drop((begun, answer));
    assert!(nobody_asks(&world), "the call goes on without its client");
    assert_eq!(world.reply(&["list", "--local"])["jobs"][0]["state"], "JOB_STATE_PENDING", "the job was touched");
}

#[test]
fn a_legacy_call_goes_on_without_its_connection() {
    let (world, server) = waiting_world();
    let mut call = wait_call(1, 45);
    // Progress is told at every look: the server soon notices that nobody is there to hear it.
    call["params"]["_meta"] = json!({"progressToken": "p"});
    let answer = server.send("POST", "/mcp", &LEGACY, &call.to_string());
    polled_again(&world);
    drop(answer);
    for _ in 0..4 {
        polled_again(&world);
    }
}

#[test]
fn a_legacy_call_ends_when_its_own_client_cancels_it() {
    let (world, server) = waiting_world();
    let (mine, other) = (say_hello(&server), say_hello(&server));
    let cancel = |client: &str| {
        let notice = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}});
        let headers = [LEGACY.as_slice(), &[("Mcp-Session-Id", client)]].concat();
        assert_eq!(server.ask("POST", "/mcp", &headers, &notice.to_string()).0, 202);
    };
    let headers = [LEGACY.as_slice(), &[("Mcp-Session-Id", mine.as_str())]].concat();
    let mut answer = server.send("POST", "/mcp", &headers, &wait_call(5, 45).to_string());
    assert_eq!(status(&mut answer), 200);
    polled_again(&world);
    // Another client's request of the same id is another request.
    cancel(&other);
    polled_again(&world);
    cancel(&mine);
    let cancelled = Instant::now();
    let rest: String = answer.lines().map_while(Result::ok).collect();
    assert!(cancelled.elapsed() < Duration::from_secs(10), "{:?}", cancelled.elapsed());
    assert!(!rest.contains("\"result\""), "a cancelled call is answered: {rest}");
    assert!(nobody_asks(&world), "the call goes on although it is cancelled");
}

#[test]
fn who_needs_no_ledger_does_not_wait_for_one_that_another_process_holds() {
    let (world, server) = waiting_world();
    let holder = ledger::open(&world);
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let arguments = json!({"input": "requests.jsonl", "model": "gemini-3-flash-preview"});
    let create = request("tools/call", &json!({"name": "create_batch", "arguments": arguments})).to_string();
    // More than the server has threads.
    let mut calls: Vec<_> = (0..9).map(|_| server.send("POST", "/mcp", &LEGACY, &create)).collect();
    for call in &mut calls {
        assert_eq!(status(call), 200);
    }
    for _ in 0..40 {
        let asked = Instant::now();
        assert_eq!(server.ask("GET", "/healthz", &[], "").0, 200);
        assert_eq!(server.post("/mcp", &LEGACY[2..], &request("ping", &json!({}))).0, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "everybody waits: {:?}", asked.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    holder.execute_batch("COMMIT").unwrap();
    for mut call in calls {
        let mut answer = String::new();
        call.read_to_string(&mut answer).unwrap();
        assert_eq!(message(&answer)["result"]["structuredContent"]["submission"], "found", "{answer}");
    }
}

#[cfg(unix)]
#[test]
fn a_call_in_flight_is_answered_although_the_server_is_told_to_stop() {
    let (_world, mut server) = waiting_world();
    let mut answer = server.send("POST", "/mcp", &LEGACY, &wait_call(1, 2).to_string());
    assert_eq!(status(&mut answer), 200);
    server.terminate();
    let rest: Vec<String> = answer.lines().map_while(Result::ok).collect();
    let data = rest.iter().find(|line| line.starts_with("data: {")).unwrap_or_else(|| panic!("no answer: {rest:?}"));
    assert_eq!(message(data)["result"]["structuredContent"]["all_ended"], false);
    assert!(program::wait_for_end(&mut server.child).success());
}

/// A session of the older transport in which this call is under way.
fn called_at_sse(server: &HttpServer, call: &Value) -> Sse {
    let mut sse = server.open_sse();
    let path = sse.path.clone();
    server.post(&path, &[], &initialize("2024-11-05"));
    sse.message();
    server.post(&path, &[], &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(server.post(&path, &[], call).0, 202);
    sse
}

#[cfg(unix)]
#[test]
fn the_older_transport_too_answers_a_call_in_flight_when_the_server_is_told_to_stop() {
    let (world, mut server) = waiting_world();
    let mut sse = called_at_sse(&server, &wait_call(1, 2));
    polled_again(&world);
    server.terminate();
    let answer = sse.message();
    assert_eq!(answer["result"]["structuredContent"]["all_ended"], false, "{answer}");
    assert!(program::wait_for_end(&mut server.child).success());
}

#[cfg(unix)]
#[test]
fn a_call_that_takes_longer_than_the_servers_patience_is_stopped_with_it_and_told_so() {
    let (world, mut server) = waiting_world();
    let mut sse = called_at_sse(&server, &wait_call(1, 3000));
    let in_session = Session::open(&server).post(&wait_call(2, 3000));
    let calls = [(LEGACY.as_slice(), wait_call(3, 3000)), (MODERN_STATUS_CALL.as_slice(), modern_wait(3000))];
    let answers = calls.map(|(headers, call)| server.send("POST", "/mcp", headers, &call.to_string()));
    polled_again(&world);
    let told = Instant::now();
    server.terminate();
    assert!(program::wait_for_end(&mut server.child).success());
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    let is_told = |answer: &Value| {
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(text.contains("kind: cancelled") && text.contains("nothing is lost"), "{text}");
        assert!(text.contains("cause: the server is stopping") && !text.contains("by the caller"), "{text}");
    };
    for mut answer in answers {
        let mut rest = String::new();
        assert!(answer.read_to_string(&mut rest).is_ok() && rest.ends_with("0\r\n\r\n"), "it broke off: {rest}");
        is_told(&message(&rest));
    }
    is_told(&sse.message());
    is_told(&{ in_session }.next().expect("an answer"));
    assert_eq!(world.reply(&["list", "--local"])["jobs"][0]["state"], "JOB_STATE_PENDING", "the job was touched");
}

#[cfg(unix)]
#[test]
fn what_is_sent_behind_an_answer_is_sent_whole_before_the_server_ends() {
    let world = World::new();
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(SimulatorCall::CreateBatch, full);
    let waits = world.reply(&["create", "requests.jsonl", "--model", "gemini-3-flash-preview"]);
    assert_eq!(waits["submission"], "queued", "{waits}");
    ledger::time_passes(&world, Duration::from_secs(120));
    world.simulator.faults().next(SimulatorCall::CreateBatch, Fault::Delay(Duration::from_secs(1)));
    let mut server = HttpServer::of(world.command());
    let list = request("tools/call", &json!({"name": "list_batches", "arguments": {"remote": false}}));
    let (_, answer) = server.post("/mcp", &LEGACY[2..], &list);
    assert_eq!(message(&answer)["result"]["isError"], false, "{answer}");
    let start = Instant::now();
    while world.simulator.log().under_way(SimulatorCall::CreateBatch) == 0 {
        assert!(start.elapsed() < PATIENCE, "it is not sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.terminate();
    assert!(program::wait_for_end(&mut server.child).success());
    let job = &world.reply(&["list", "--local"])["jobs"][0];
    assert_eq!((&job["state"], world.jobs_at_the_api()), (&json!("JOB_STATE_PENDING"), 1), "{job}");
}

/// How a client can make a call, and give it up.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// The older transport: with a notice.
    Sse,
    /// A session at `/mcp`: with a notice.
    Session,
    /// `/mcp` from 2026-07-28 on: it hangs up.
    HangUp,
}

const WAYS: [Way; 3] = [Way::Sse, Way::Session, Way::HangUp];

/// Makes a call, waits until it is under way, and gives it up; it must have stopped soon, and is not answered.
#[track_caller]
fn given_up(server: &HttpServer, way: Way, tool: &str, arguments: &Value, is_under_way: impl Fn() -> bool) {
    let params = json!({"name": tool, "arguments": arguments});
    let mut call = request("tools/call", &params);
    call["id"] = "given up".into();
    let notice = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "given up"}});
    let wait = |what: &str, patience: Duration, is_so: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < patience, "{way:?}: {tool} {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let begins = || wait("does not begin", PATIENCE, &is_under_way);
    let stops = || wait("does not stop", Duration::from_secs(3), &|| !is_under_way());
    match way {
        Way::Sse => {
            let mut sse = called_at_sse(server, &call);
            let path = sse.path.clone();
            begins();
            assert_eq!(server.post(&path, &[], &notice).0, 202);
            stops();
            server.post(&path, &[], &request("ping", &json!({})));
            let next = sse.message();
            assert_eq!(next["id"], 7, "a call that was given up is answered: {next}");
        }
        Way::Session => {
            let session = Session::open_with(server, "", &json!({}));
            let mut events = session.post(&call);
            begins();
            assert_eq!(session.tell(&notice), 202);
            stops();
            assert_eq!(events.next(), None, "a call that was given up is answered");
        }
        Way::HangUp => {
            let headers = [MODERN_STATUS_CALL[0], MODERN_STATUS_CALL[1], MODERN_STATUS_CALL[2], MODERN_STATUS_CALL[3]];
            let headers = [headers.as_slice(), &[("Mcp-Name", tool)]].concat();
            let stream = server.send("POST", "/mcp", &headers, &modern("tools/call", params).to_string());
            begins();
            drop(stream);
            stops();
        }
    }
}

/// The reply to a call that is made to its end.
fn answer_to(server: &HttpServer, tool: &str, arguments: &Value) -> Value {
    let call = request("tools/call", &json!({"name": tool, "arguments": arguments}));
    message(&server.post("/mcp", &LEGACY[2..], &call).1)["result"]["structuredContent"].clone()
}

/// Files of the folder that are being written, and were written to.
fn being_written(world: &World) -> bool {
    let entries = std::fs::read_dir(world.folder.path()).unwrap().map_while(Result::ok);
    let mut unfinished = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".unfinished"));
    unfinished.any(|entry| entry.metadata().is_ok_and(|about| about.len() > 0))
}

#[test]
fn a_build_that_is_given_up_stops_and_leaves_no_part_of_a_file() {
    let world = World::new();
    let rows: String = (0..200_000).map(|row| format!("{row},some words about it\n")).collect();
    world.write("rows.csv", &format!("id,about\n{rows}"));
    let server = HttpServer::of(world.command());
    for way in WAYS {
        let build = json!({"source": "rows.csv", "template": "{{ about }}?", "key": "id", "output": "r.jsonl"});
        given_up(&server, way, "build_jsonl", &build, || being_written(&world));
        let left: Vec<_> = std::fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let is_new = |path: &&std::path::PathBuf| path.is_file() && !path.ends_with("rows.csv");
        assert_eq!(left.iter().find(is_new), None, "{way:?}");
    }
}

#[test]
fn an_upload_that_is_given_up_stops_and_the_same_call_sends_it_once() {
    let world = World::new();
    let server = HttpServer::of(world.command());
    for (number, way) in WAYS.into_iter().enumerate() {
        let file = format!("{number}.jsonl");
        let line = json!({"key": "a", "request": {"contents": [{"parts": [{"text": format!("Hello {number}")}]}]}});
        world.write(&file, &line.to_string());
        let create = json!({"input": file, "model": "gemini-3-flash-preview"});
        world.simulator.faults().next(SimulatorCall::Finalize, Fault::Hang);
        // It ends with a word in the ledger: the job is not to go out before it is asked for again.
        let log = world.simulator.log();
        let is_held = || {
            let waits = "SELECT count(*) FROM jobs WHERE held";
            ledger::open(&world).query_row(waits, [], |row| row.get(0)).is_ok_and(|held: u32| held > 0)
        };
        let has_begun = || log.calls(SimulatorCall::Finalize) > 2 * number as u64;
        let is_under_way = || has_begun() && (log.under_way(SimulatorCall::Finalize) > 0 || !is_held());
        given_up(&server, way, "create_batch", &create, is_under_way);
        assert_eq!((world.jobs_at_the_api(), world.read(&file)), (number, line.to_string()), "{way:?}");
        let sent = answer_to(&server, "create_batch", &create);
        assert_eq!((&sent["state"], world.jobs_at_the_api()), (&json!("JOB_STATE_PENDING"), number + 1), "{way:?}");
    }
}

#[test]
fn a_download_that_is_given_up_stops_and_leaves_no_part_of_a_file() {
    let world = World::new();
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    let job = world.reply(&["create", "requests.jsonl", "--model", "gemini-3-flash-preview"])["job"].clone();
    let server = HttpServer::of(world.command());
    let collect = json!({"job": job, "output": "answers.jsonl"});
    for way in WAYS {
        world.simulator.faults().next(SimulatorCall::Download, Fault::Hang);
        let log = world.simulator.log();
        given_up(&server, way, "get_results", &collect, || log.under_way(SimulatorCall::Download) > 0);
        assert!(!world.path("answers.jsonl").exists() && !being_written(&world), "{way:?}");
    }
    assert_eq!(answer_to(&server, "get_results", &collect)["outcomes"]["answered"], 1);
    assert_eq!(world.lines("answers.jsonl").len(), 1);
}
