//! Calls that outlast their answer (`io.modelcontextprotocol/tasks`), over HTTP: whose they are, and who is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gemini_batch_mcp::ledger::lease::LEASE;
use gemini_batch_mcp::simulator::{Call, Fault};
use serde_json::{Value, json};
use support::http_server::{HttpServer, MODERN_STATUS_CALL, message};
use support::ledger::{open, time_passes};
use support::program::{PATIENCE, Server, wait_for_end};
use support::signed::{self, from_now};
use support::tasks::{WaitingWorld, about, call, ended, id_of};
use support::world::World;

const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://batch.example.com/mcp";

/// Posts a request as a client of 2026-07-28 does, as somebody or without a login.
fn ask_as(server: &HttpServer, token: Option<&str>, request: &Value) -> (u16, String) {
    let params = &request["params"];
    let name = params["taskId"].as_str().or(params["name"].as_str()).unwrap();
    let login = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", request["method"].as_str().unwrap()),
        ("Mcp-Name", name),
    ];
    headers.extend(login.as_deref().map(|login| ("Authorization", login)));
    server.post("/mcp", &headers, request)
}

fn ask(server: &HttpServer, request: &Value) -> Value {
    message(&ask_as(server, None, request).1)
}

fn wait() -> Value {
    call("check_status", &json!({"wait": true}))
}

/// A server that takes the tokens of an issuer whose keys are in a file.
fn with_oauth(waiting: &WaitingWorld) -> HttpServer {
    waiting.world.write("keys.json", &signed::key_set().to_string());
    let flags = ["--oauth-issuer", ISSUER, "--oauth-audience", AUDIENCE, "--oauth-jwks", "keys.json"];
    let proxy = ["--behind-proxy", "--allowed-host", "batch.example.com"];
    HttpServer::with(waiting.world.command(), &[proxy.as_slice(), flags.as_slice()].concat())
}

fn token(subject: Option<&str>, scope: &str) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": from_now(300), "scope": scope});
    if let Some(subject) = subject {
        claims["sub"] = subject.into();
    }
    signed::token(&claims)
}

#[test]
fn a_task_outlives_its_connection_and_another_server_tells_its_end() {
    let waiting = WaitingWorld::new();
    let first = HttpServer::of(waiting.world.command());
    // The answer ends the stream, and the client closes its connection.
    let id = id_of(&ask(&first, &wait()));
    assert_eq!(ask(&first, &about("tasks/get", &id))["result"]["status"], "working");
    let second = HttpServer::of(waiting.world.command());
    assert_eq!(ask(&second, &about("tasks/get", &id))["result"]["status"], "working");
    waiting.job_ends();
    let task = ended(|| ask(&second, &about("tasks/get", &id)));
    assert_eq!(task["result"]["structuredContent"]["all_ended"], true, "{task}");
}

#[test]
fn a_call_whose_client_leaves_before_it_is_a_task_ends() {
    let waiting = WaitingWorld::new();
    let server = HttpServer::of(waiting.world.command());
    let (before, start) = (waiting.polls(), Instant::now());
    let answer = server.send("POST", "/mcp", &MODERN_STATUS_CALL, &wait().to_string());
    while waiting.polls() == before {
        assert!(start.elapsed() < PATIENCE, "the job is not asked for");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(answer);
    // Longer than it would take to become a task.
    std::thread::sleep(Duration::from_secs(3));
    let polls = waiting.polls();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(waiting.polls(), polls, "the call goes on without its client");
    let tasks: i64 = open(&waiting.world).query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 0);
}

#[test]
fn nobody_but_its_owner_finds_a_task() {
    let waiting = WaitingWorld::new();
    let server = with_oauth(&waiting);
    let (ada, bob) = (token(Some("ada"), "batch:write"), token(Some("bob"), "batch:write"));
    let id = id_of(&message(&ask_as(&server, Some(&ada), &wait()).1));
    for method in ["tasks/get", "tasks/cancel"] {
        let refused = message(&ask_as(&server, Some(&bob), &about(method, &id)).1);
        let unknown = message(&ask_as(&server, Some(&bob), &about(method, "0123456789abcdef0123456789abcdef")).1);
        assert_eq!((&refused["error"]["code"], &refused["error"]), (&json!(-32602), &unknown["error"]), "{method}");
    }
    // Nor whoever starts the program, nor who reaches it without a login.
    let mut at_home = Server::start_with(|command: &mut Command| {
        *command = waiting.world.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    });
    assert_eq!(at_home.ask(&about("tasks/get", &id))["error"]["code"], -32602);
    let open_to_all = HttpServer::of(waiting.world.command());
    assert_eq!(ask(&open_to_all, &about("tasks/get", &id))["error"]["code"], -32602);

    // The right to look is enough to see one's own, another token of the same person, another run of the server.
    drop(server);
    let server = with_oauth(&waiting);
    let looking = token(Some("ada"), "batch:read");
    let seen = message(&ask_as(&server, Some(&looking), &about("tasks/get", &id)).1);
    assert_eq!(seen["result"]["status"], "working", "{seen}");
    assert_eq!(ask_as(&server, Some(&looking), &about("tasks/cancel", &id)).0, 403);
    let ended = message(&ask_as(&server, Some(&ada), &about("tasks/cancel", &id)).1);
    assert_eq!(ended["result"], json!({"resultType": "complete"}));
}

#[test]
fn a_call_that_writes_is_not_made_again_for_who_may_only_look() {
    let waiting = WaitingWorld::new();
    let (ada, looking) = (token(Some("ada"), "batch:write"), token(Some("ada"), "batch:read"));
    let waited = {
        let server = with_oauth(&waiting);
        id_of(&message(&ask_as(&server, Some(&ada), &wait()).1))
    };
    waiting.job_ends();
    waiting.world.simulator.faults().next(Call::Download, Fault::Delay(Duration::from_secs(20)));
    let collected = {
        let server = with_oauth(&waiting);
        let collect = call("get_results", &json!({"job": waiting.job, "output": "answers.jsonl"}));
        id_of(&message(&ask_as(&server, Some(&ada), &collect).1))
    };
    time_passes(&waiting.world, LEASE + Duration::from_secs(1));
    waiting.world.simulator.faults().clear();

    let server = with_oauth(&waiting);
    let seen = |token: &str, id: &str| message(&ask_as(&server, Some(token), &about("tasks/get", id)).1);
    let refused = seen(&looking, &collected);
    assert_eq!((&refused["result"]["status"], &refused["result"]["error"]["code"]), (&json!("failed"), &json!(-32603)));
    assert!(refused["result"]["statusMessage"].as_str().unwrap().contains("Call get_results again"), "{refused}");
    // What only looks goes on, and with the right to write so does what writes.
    assert_eq!(ended(|| seen(&looking, &waited))["result"]["structuredContent"]["all_ended"], true);
    assert!(!waiting.world.path("answers.jsonl").exists(), "it was made again");
    assert_eq!(ended(|| seen(&ada, &collected))["result"]["structuredContent"]["outcomes"]["answered"], 1);
    assert_eq!(waiting.world.lines("answers.jsonl").len(), 1);
}

#[test]
fn the_token_of_a_server_is_an_owner_of_its_own() {
    let waiting = WaitingWorld::new();
    let server = |token: &str| {
        let mut command = waiting.world.command();
        command.env("GEMINI_BATCH_HTTP_TOKEN", token);
        HttpServer::of(command)
    };
    let (token, other) = ("5f0b-a-token-for-tests-9c1e-and-long-enough", "another-token-for-tests-9c1e-also-long");
    let first = server(token);
    let id = id_of(&message(&ask_as(&first, Some(token), &wait()).1));
    let asked = |server: &HttpServer, token| message(&ask_as(server, Some(token), &about("tasks/get", &id)).1);
    assert_eq!(asked(&server(token), token)["result"]["status"], "working");
    assert_eq!(asked(&server(other), other)["error"]["code"], -32602);
    let owner: String = open(&waiting.world).query_row("SELECT owner FROM tasks", [], |row| row.get(0)).unwrap();
    assert!(!owner.contains(token), "{owner}");
}

#[test]
fn for_somebody_without_a_name_there_are_no_tasks() {
    let waiting = WaitingWorld::new();
    let server = with_oauth(&waiting);
    let nameless = token(None, "batch:write");
    let short = call("check_status", &json!({"wait": true, "timeout_seconds": 3}));
    let answer = message(&ask_as(&server, Some(&nameless), &short).1);
    assert_eq!(answer["result"]["structuredContent"]["all_ended"], false, "{answer}");
}

/// A world with a request file, and a call that makes a job of it.
fn world_with_requests() -> (World, Value) {
    let world = World::new();
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    (world, call("create_batch", &json!({"input": "requests.jsonl", "model": "gemini-3-flash-preview"})))
}

/// Ends a server that is in a hurry.
#[cfg(unix)]
fn hurried_end(mut server: HttpServer) {
    let start = Instant::now();
    while server.child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "the server does not end");
        server.terminate();
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
#[test]
fn the_end_of_the_server_waits_for_a_task_that_is_almost_done() {
    let (world, create) = world_with_requests();
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_millis(2500)));
    let mut first = HttpServer::of(world.command());
    let id = id_of(&ask(&first, &create));
    first.terminate();
    assert!(wait_for_end(&mut first.child).success());
    let task = ask(&HttpServer::of(world.command()), &about("tasks/get", &id));
    assert_eq!(task["result"]["result"]["structuredContent"]["submission"], "created", "{task}");
}

#[cfg(unix)]
#[test]
fn a_wait_that_the_end_of_its_server_has_stopped_goes_on_in_the_next_one_at_once() {
    let waiting = WaitingWorld::new();
    let first = HttpServer::of(waiting.world.command());
    let id = id_of(&ask(&first, &wait()));
    hurried_end(first);
    let second = HttpServer::of(waiting.world.command());
    assert_eq!(ask(&second, &about("tasks/get", &id))["result"]["status"], "working");
    waiting.job_ends();
    let task = ended(|| ask(&second, &about("tasks/get", &id)));
    assert_eq!(task["result"]["structuredContent"]["all_ended"], true, "{task}");
}

#[cfg(unix)]
#[test]
fn a_submission_that_the_end_of_its_server_has_stopped_goes_out_from_the_next_one() {
    let (world, create) = world_with_requests();
    world.simulator.faults().next(Call::Finalize, Fault::DelayBeforeActing(Duration::from_secs(20)));
    let first = HttpServer::of(world.command());
    let id = id_of(&ask(&first, &create));
    hurried_end(first);
    let second = HttpServer::of(world.command());
    let task = ask(&second, &about("tasks/get", &id));
    assert_eq!(task["result"]["status"], "failed", "{task}");
    assert!(task["result"]["statusMessage"].as_str().unwrap().contains("Call create_batch again"), "{task}");
    ask(&second, &call("list_batches", &json!({"remote": false})));
    let start = Instant::now();
    while world.jobs_at_the_api() == 0 {
        assert!(start.elapsed() < PATIENCE, "it does not go out");
        std::thread::sleep(Duration::from_millis(20));
    }
    let again = ask(&second, &create);
    assert_eq!((&again["result"]["isError"], world.jobs_at_the_api()), (&json!(false), 1), "{again}");
}
