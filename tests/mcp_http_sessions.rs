//! Sessions at `/mcp`: their clients are asked and told of changes, and harmed by nothing that ends one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction,
    Implementation, ResourceUpdatedNotificationParam, SubscribeRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::{Value, json};
use support::http_server::HttpServer;
use support::program::{self, PATIENCE, request};
use support::session::{Events, Session};
use support::tasks::WaitingWorld;
use support::world::World;
use tokio::sync::mpsc;

/// A world with a request file, and a server that asks before every job.
fn asking() -> (World, HttpServer) {
    let world = World::new();
    let line = json!({"key": "a", "request": {"contents": [{"parts": [{"text": "Why?"}]}]}});
    world.write("why.jsonl", &format!("{line}\n"));
    let mut command = world.command();
    command.env("GEMINI_BATCH_CONFIRM_ABOVE_USD", "0");
    let server = HttpServer::of(command);
    (world, server)
}

fn create() -> Value {
    let arguments = json!({"input": "why.jsonl", "model": "gemini-3-flash-preview"});
    request("tools/call", &json!({"name": "create_batch", "arguments": arguments}))
}

/// The question of a call, on the call's own stream.
#[track_caller]
fn question(events: &mut Events) -> Value {
    let question = events.next().expect("a question");
    assert_eq!(question["method"], "elicitation/create", "{question}");
    assert!(question["params"]["message"].as_str().unwrap().contains("1 request to"), "{question}");
    question
}

fn answer(question: &Value, answer: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": question["id"], "result": answer})
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"pay": true}})
}

#[test]
fn a_user_is_asked_before_money_is_spent() {
    let (world, server) = asking();
    let session = Session::open(&server);
    let mut call = session.post(&create());
    let asked = question(&mut call);
    assert_eq!(session.tell(&answer(&asked, &json!({"action": "decline"}))), 202);
    let declined = call.next().unwrap();
    assert_eq!((&declined["result"]["isError"], world.jobs_at_the_api()), (&json!(true), 0), "{declined}");
    assert_eq!(call.next(), None, "a stream ends with its answer");

    // An id is used once in a session.
    let mut again = create();
    again["id"] = json!("again");
    let mut call = session.post(&again);
    let asked = question(&mut call);
    // Another session's yes, to a question of the same number, is an answer to nothing.
    let other = Session::open(&server);
    let mut others = other.post(&create());
    assert_eq!(question(&mut others)["id"], 0);
    for id in 0..3 {
        other.tell(&answer(&json!({"id": id}), &json!({"action": "decline"})));
    }
    assert_eq!(session.tell(&answer(&asked, &yes())), 202);
    assert_eq!(call.next().unwrap()["result"]["structuredContent"]["submission"], "created");
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn a_subscriber_is_told_when_a_job_changes() {
    let world = WaitingWorld::new();
    let server = HttpServer::of(world.world.command());
    let session = Session::open(&server);
    let uri = format!("batch://jobs/{}/status", world.job);
    assert_eq!(session.ask("resources/subscribe", &json!({"uri": uri}))["result"], json!({}));
    let mut standing = session.listen(None);
    assert_eq!(standing.status, 200);
    // From the second stream on only the newest is told: the others may be dead.
    let mut newer = session.listen(None);
    newer.place();
    world.job_ends();
    assert_ne!(world.state(), "JOB_STATE_PENDING");
    let told = newer.next().unwrap();
    assert_eq!((&told["method"], &told["params"]["uri"]), (&json!("notifications/resources/updated"), &json!(uri)));
    // What was told may be heard again from a place before it, and is not told twice otherwise.
    drop(newer);
    assert_eq!(session.listen(Some("0-0")).next().unwrap(), told);
    assert_eq!(session.ask("resources/unsubscribe", &json!({"uri": uri}))["result"], json!({}));
    assert_eq!(session.end(), 204);
    assert_eq!(standing.next(), None, "a stream outlives its session, or is told what another one was");
}

#[test]
fn nothing_is_looked_after_for_a_subscriber_who_is_away_and_nothing_is_missed() {
    let world = WaitingWorld::new();
    let server = HttpServer::of(world.world.command());
    let session = Session::open(&server);
    let uri = format!("batch://jobs/{}/status", world.job);
    assert_eq!(session.ask("resources/subscribe", &json!({"uri": uri}))["result"], json!({}));
    let before = world.polls();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(world.polls(), before, "the job is asked for although nobody would hear of it");
    world.job_ends();
    assert_eq!(session.listen(None).next().unwrap()["params"]["uri"], uri);
}

#[test]
fn the_answer_of_a_call_whose_connection_broke_can_be_fetched() {
    let world = WaitingWorld::new();
    let server = HttpServer::of(world.world.command());
    let session = Session::open(&server);
    let wait = json!({"name": "check_status", "arguments": {"wait": true, "timeout_seconds": 120}});
    let mut call = session.post(&request("tools/call", &wait));
    let place = call.place();
    drop(call);
    world.job_ends();
    let start = Instant::now();
    while world.world.reply(&["list", "--local"])["jobs"][0]["state"] != "JOB_STATE_SUCCEEDED" {
        assert!(start.elapsed() < PATIENCE, "the call does not go on");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut rest = session.listen(Some(&place));
    assert_eq!(rest.next().unwrap()["result"]["structuredContent"]["all_ended"], true);
    assert_eq!(rest.next(), None);
    // After the answer nothing comes, and a client must not be led to ask for it for ever.
    for place in [rest.place(), "77-0".to_owned(), "x".to_owned()] {
        assert_eq!(session.listen(Some(&place)).status, 405, "{place}");
    }
}

#[test]
fn a_session_ends_when_its_client_says_so() {
    let server = HttpServer::start();
    let (session, other) = (Session::open(&server), Session::open(&server));
    assert_ne!(session.id, other.id);
    let mut standing = session.listen(None);
    assert_eq!(session.end(), 204);
    assert_eq!(standing.next(), None);
    for gone in [session.post(&request("tools/list", &json!({}))).status, session.listen(None).status, session.end()] {
        assert_eq!(gone, 404);
    }
    assert!(other.ask("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn a_session_that_is_not_known_is_no_reason_to_fail() {
    let (world, server) = asking();
    let name = Session::open(&server).id;
    drop(server);
    let server = HttpServer::of(world.command());
    for name in [name, "never-given".to_owned(), "x".repeat(5_000), String::new()] {
        let session = Session { server: &server, id: name, login: String::new() };
        assert!(session.ask("tools/list", &json!({}))["result"]["tools"].is_array());
        let job = json!({"name": "create_batch", "arguments": {"input": "why.jsonl", "dry_run": true}});
        assert_eq!(session.ask("tools/call", &job)["result"]["isError"], false);
        assert_eq!(session.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})), 202);
        // What needs a session says so.
        let refused = session.ask("resources/subscribe", &json!({"uri": "batch://jobs"}));
        assert!(refused["error"]["message"].as_str().unwrap().contains("connect again"), "{refused}");
        let missing = if session.id.is_empty() { 405 } else { 404 };
        assert_eq!((session.listen(None).status, session.end()), (missing, missing));
    }
}

#[test]
fn who_lost_the_session_to_be_asked_in_pays_and_removes_nothing_unasked() {
    let (world, server) = asking();
    let asked = Session::open(&server).id;
    let unasked = Session::open_with(&server, "", &json!({})).id;
    let only_links = Session::open_with(&server, "", &json!({"elicitation": {"url": {}}})).id;
    drop(server);
    let mut command = world.command();
    command.env("GEMINI_BATCH_CONFIRM_ABOVE_USD", "0");
    let server = HttpServer::of(command);
    let session = |id: &str| Session { server: &server, id: id.to_owned(), login: String::new() };
    let call = |id: &str, tool: &str, arguments: Value| {
        session(id).ask("tools/call", &json!({"name": tool, "arguments": arguments}))["result"].clone()
    };
    let is_refused = |result: &Value, instead: &str| {
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
        assert!(text.contains("kind: declined") && text.contains("connect this server again"), "{text}");
        assert!(text.contains(instead), "{text}");
    };
    let job = json!({"input": "why.jsonl", "model": "gemini-3-flash-preview"});
    is_refused(&call(&asked, "create_batch", job.clone()), "max_cost_usd");
    is_refused(&call(&asked, "create_batch", json!({"input": "why.jsonl"})), "pass it as model");
    assert_eq!(world.jobs_at_the_api(), 0);
    let mut agreed = job.clone();
    agreed["max_cost_usd"] = json!(1);
    let created = call(&asked, "create_batch", agreed);
    assert_eq!(created["structuredContent"]["submission"], "created", "{created}");
    // What is there costs nothing.
    assert_eq!(call(&asked, "create_batch", job)["structuredContent"]["submission"], "found");
    let name = &created["structuredContent"]["job"];
    world.reply(&["status", name.as_str().unwrap(), "--wait"]);
    is_refused(&call(&asked, "delete_batch", json!({"job": name})), "confirm: true");
    assert_eq!(world.jobs_at_the_api(), 1);
    assert_eq!(call(&asked, "delete_batch", json!({"job": name, "confirm": true}))["isError"], false);
    assert_eq!(world.jobs_at_the_api(), 0);
    // Clients that never could be asked are taken at their word, as before.
    for id in [&unasked, &only_links] {
        let job = json!({"input": "why.jsonl", "model": "gemini-3-flash-preview", "new_run": true});
        assert_eq!(call(id, "create_batch", job)["structuredContent"]["submission"], "created");
    }
}

#[test]
fn calls_of_a_session_are_told_apart_by_their_ids() {
    let world = WaitingWorld::new();
    let server = HttpServer::of(world.world.command());
    let session = Session::open(&server);
    let wait = |id: i64| {
        let arguments = json!({"wait": true, "timeout_seconds": 120});
        let mut call = request("tools/call", &json!({"name": "check_status", "arguments": arguments}));
        call["id"] = id.into();
        call
    };
    let (mut one, mut two) = (session.post(&wait(1)), session.post(&wait(2)));
    let again = session.post(&wait(1)).next().unwrap();
    assert!(again["error"]["message"].as_str().unwrap().contains("not answered yet"), "{again}");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(session.tell(&cancel), 202);
    assert_eq!(one.next(), None, "a cancelled call is answered");
    world.job_ends();
    assert_eq!(two.next().unwrap()["id"], 2);
}

/// A client whose user always agrees.
struct Agreeing(mpsc::UnboundedSender<String>);

impl ClientHandler for Agreeing {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("test", "0"))
    }

    async fn create_elicitation(
        &self,
        _question: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, rmcp::ErrorData> {
        self.0.send("asked".to_owned()).unwrap();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"pay": true})))
    }

    async fn on_resource_updated(
        &self,
        update: ResourceUpdatedNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.0.send(update.uri).unwrap();
    }
}

#[test]
#[expect(deprecated, reason = "it is of the revisions that have sessions")]
fn a_client_library_is_asked_and_told() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_world, server) = asking();
    let server = Arc::new(server);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let (told, mut heard) = mpsc::unbounded_channel();
        let transport = StreamableHttpClientTransport::from_uri(format!("http://{}/mcp", server.authority));
        let client = Agreeing(told).serve(transport).await.unwrap();
        client.subscribe(SubscribeRequestParams::new("batch://jobs")).await.unwrap();
        let params = create()["params"]["arguments"].as_object().unwrap().clone();
        let created =
            client.call_tool(CallToolRequestParams::new("create_batch").with_arguments(params)).await.unwrap();
        assert_eq!(created.structured_content.unwrap()["submission"], "created");
        assert_eq!(heard.recv().await.unwrap(), "asked");
        let update = tokio::time::timeout(PATIENCE, heard.recv()).await.expect("no update").unwrap();
        assert_eq!(update, "batch://jobs");
        client.cancel().await.unwrap();
    });
}

#[cfg(unix)]
#[test]
fn nobody_who_listens_holds_up_the_end_of_the_server() {
    let mut server = HttpServer::start();
    let mut standing = Session::open(&server).listen(None);
    let told = Instant::now();
    let kill = std::process::Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(standing.next(), None);
    assert!(program::wait_for_end(&mut server.child).success());
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}
