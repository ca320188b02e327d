//! Notices of jobs from outside: which are believed, and what is done about them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::address::Address;
use support::http_server::{HttpServer, message};
use support::program::{PATIENCE, program, request};
use support::scripted::{Reply, Scripted};
use support::signed::{self, by_secret, from_now};
use support::world::World;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_SECRET: &str = "whsec_bmV4dCBzZWNyZXQsIHdoaWxlIHRoZXkgY2hhbmdl";

/// A server that knows both secrets.
fn server(world: &World) -> HttpServer {
    let mut command = world.command();
    command.env("GEMINI_BATCH_WEBHOOK_SECRET", format!("{NEXT_SECRET} {SECRET}"));
    HttpServer::of(command)
}

/// A job that has ended at the API, which nobody here knows yet; its name there.
fn job(world: &World) -> String {
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    world.reply(&["create", "requests.jsonl", "--model", "gemini-3-flash-preview"]);
    let batches = std::fs::read_dir(world.path("api").join("batches")).unwrap();
    let file = batches.map(|entry| entry.unwrap().path()).next().unwrap();
    format!("batches/{}", file.file_stem().unwrap().to_str().unwrap())
}

fn state_as_known(world: &World) -> String {
    world.reply(&["list", "--local"])["jobs"][0]["state"].as_str().unwrap().to_owned()
}

fn succeeded(name: &str) -> String {
    json!({"type": "batch.succeeded", "version": "v1", "timestamp": "2026-11-22T10:00:00Z", "data": {"id": name}})
        .to_string()
}

fn send(server: &HttpServer, id: &str, time: i64, signature: &str, body: &str) -> u16 {
    let time = time.to_string();
    let headers = [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", signature)];
    server.ask("POST", "/webhook", &headers, body).0
}

#[track_caller]
fn becomes_known(world: &World, state: &str) {
    let told = Instant::now();
    while state_as_known(world) != state {
        assert!(told.elapsed() < PATIENCE, "the job is not looked at: {}", state_as_known(world));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_signed_notice_has_the_job_looked_at() {
    let world = World::new();
    let name = job(&world);
    assert_eq!(state_as_known(&world), "JOB_STATE_PENDING");
    let server = server(&world);
    let (body, time) = (succeeded(&name), from_now(0));
    assert_eq!(send(&server, "msg_1", time, &by_secret(SECRET, "msg_1", time, &body), &body), 204);
    becomes_known(&world, "JOB_STATE_SUCCEEDED");
}

#[test]
fn what_is_not_signed_or_not_fresh_is_refused() {
    let world = World::new();
    let name = job(&world);
    let server = server(&world);
    let (body, time) = (succeeded(&name), from_now(0));
    let right = by_secret(SECRET, "msg_1", time, &body);
    assert_eq!(send(&server, "msg_1", time, "v1,AAAA", &body), 401);
    assert_eq!(send(&server, "msg_2", time, &right, &body), 401, "another id");
    assert_eq!(send(&server, "msg_1", time + 1, &right, &body), 401, "another time");
    assert_eq!(send(&server, "msg_1", time, &right, &body.replace("succeeded", "failed")), 401, "another body");
    assert_eq!(server.ask("POST", "/webhook", &[], &body).0, 401, "no signature");
    for off in [-301 - 20, 301 + 20] {
        let time = time + off;
        assert_eq!(send(&server, "msg_1", time, &by_secret(SECRET, "msg_1", time, &body), &body), 400, "{off} s off");
    }
    let long = format!("{body}{}", " ".repeat(64 * 1024));
    assert_eq!(send(&server, "msg_1", time, &by_secret(SECRET, "msg_1", time, &long), &long), 413);
    let nonsense = "[]";
    assert_eq!(send(&server, "msg_1", time, &by_secret(SECRET, "msg_1", time, nonsense), nonsense), 400);
    assert_eq!(state_as_known(&world), "JOB_STATE_PENDING", "a job was looked at for nothing");
}

#[test]
fn a_notice_that_was_here_before_is_answered_and_changes_nothing() {
    let world = World::new();
    let name = job(&world);
    let server = server(&world);
    let time = from_now(0);
    // The first of this id is of a job that nobody knows.
    let other = succeeded("batches/nobodys");
    assert_eq!(send(&server, "msg_1", time, &by_secret(NEXT_SECRET, "msg_1", time, &other), &other), 204);
    let body = succeeded(&name);
    assert_eq!(send(&server, "msg_1", time, &by_secret(SECRET, "msg_1", time, &body), &body), 204);
    // A later one is done with before the repeated one could be: both would be the same look.
    let ping = json!({"type": "video.generated", "data": {"id": name}}).to_string();
    assert_eq!(send(&server, "msg_2", time, &by_secret(SECRET, "msg_2", time, &ping), &ping), 204);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(state_as_known(&world), "JOB_STATE_PENDING");
    assert_eq!(send(&server, "msg_3", time, &by_secret(SECRET, "msg_3", time, &body), &body), 204);
    becomes_known(&world, "JOB_STATE_SUCCEEDED");
}

#[test]
fn names_that_lead_elsewhere_are_not_asked_for() {
    let world = World::new();
    job(&world);
    let server = server(&world);
    for (number, name) in ["../files/x", "batches/../x", "batches/a?b", "", "batches/", "a\nb"].iter().enumerate() {
        let (id, time, body) = (format!("msg_{number}"), from_now(0), succeeded(name));
        assert_eq!(send(&server, &id, time, &by_secret(SECRET, &id, time, &body), &body), 204, "{name}");
    }
    assert_eq!(server.ask("GET", "/healthz", &[], "").0, 200);
    assert_eq!(state_as_known(&world), "JOB_STATE_PENDING");
}

#[test]
fn without_a_secret_nobody_is_listened_to() {
    let server = HttpServer::start();
    assert_eq!(server.ask("POST", "/webhook", &[], "{}").0, 404);
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.env("GEMINI_BATCH_WEBHOOK_SECRET", "whsec_short").args(["serve", "--http", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("GEMINI_BATCH_WEBHOOK_SECRET") && !text.contains("whsec_short"), "{text}");
}

/// A server that believes Google's own signature, and whose Google is scripted.
fn server_of_scripted_google(runtime: &tokio::runtime::Runtime, folder: &std::path::Path) -> HttpServer {
    let google = runtime.block_on(Scripted::start([Reply::json(200, signed::key_set())]));
    let mut command = program(folder);
    command.env("GOOGLE_GEMINI_BASE_URL", &google.base_url).env("GOOGLE_API_KEY", "a-key-for-tests");
    command.env("RUST_LOG", "debug");
    HttpServer::with(command, &["--webhook-audience", "https://me.example/webhook"])
}

#[test]
fn a_notice_with_a_token_of_googles_is_believed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = server_of_scripted_google(&runtime, folder.path());
    let body = succeeded("batches/nobodys");
    let claims = |audience: &str, end: i64| json!({"iss": "google", "aud": audience, "exp": from_now(end)});
    let ask = |signature: &str| server.ask("POST", "/webhook", &[("Webhook-Signature", signature)], &body).0;
    let ours = "https://me.example/webhook";
    assert_eq!(ask(&signed::token(&claims(ours, 300))), 204);
    assert_eq!(ask(&signed::token(&json!({"aud": ["other", ours], "exp": from_now(300)}))), 204);
    assert_eq!(ask(&signed::token(&claims("https://other.example", 300))), 401, "for another");
    assert_eq!(ask(&signed::token(&claims(ours, -300))), 401, "ended");
    assert_eq!(ask(&signed::token(&json!({"aud": ours}))), 401, "without an end");
    let right = signed::token(&claims(ours, 300));
    assert_eq!(ask(&right[..right.len() - 4]), 401, "cut off");
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    for (alg, kid) in [("RS256", "unknown"), ("HS256", signed::KID), ("none", signed::KID), ("RS512", signed::KID)] {
        assert_eq!(ask(&signed::token_with(&header(alg, kid), &claims(ours, 300))), 401, "{alg} {kid}");
    }
    // What a token says is told of on the line that says so.
    let odd = signed::token_with(&header("none\nthe owner logged in", signed::KID), &claims(ours, 300));
    assert_eq!(ask(&odd), 401);
    let start = Instant::now();
    while !server.log().contains("the owner logged in") {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.log().lines().all(|line| !line.starts_with("the owner")), "{}", server.log());
    // A secret's kind of signature is nothing here.
    assert_eq!(ask(&by_secret(SECRET, "a", 1, &body)), 401);
}

#[test]
fn a_notice_of_the_embedded_simulator_is_believed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(Scripted::start([Reply::empty(204)]));
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.arg("--simulate");
    let address = format!("{}/webhook", listener.base_url.trim_end_matches('/'));
    let server = HttpServer::with(command, &["--webhook-audience", &address]);
    let requests = json!([{"key": "a", "request": {"contents": [{"parts": [{"text": "Hello"}]}]}}]);
    let arguments = json!({"requests": requests, "model": "gemini-3-flash-preview", "webhook_urls": [address]});
    let (_, answer) =
        server.post("/mcp", &[], &request("tools/call", &json!({"name": "create_batch", "arguments": arguments})));
    assert_eq!(message(&answer)["result"]["isError"], false, "{answer}");
    let told = Instant::now();
    while listener.seen().is_empty() {
        assert!(told.elapsed() < PATIENCE, "there is no notice");
        std::thread::sleep(Duration::from_millis(20));
    }
    let notice = listener.seen().remove(0);
    let signature = notice.header("webhook-signature").to_owned();
    let body = String::from_utf8(notice.body).unwrap();
    assert_eq!(server.ask("POST", "/webhook", &[("Webhook-Signature", &signature)], &body).0, 204);
    assert_eq!(server.ask("POST", "/webhook", &[("Webhook-Signature", &signature[..99])], &body).0, 401);
}

#[test]
fn a_notice_that_cannot_be_checked_now_is_to_come_again() {
    let (folder, nobody) = (tempfile::tempdir().unwrap(), Address::new());
    let mut command = program(folder.path());
    command.env("GOOGLE_GEMINI_BASE_URL", nobody.url()).env("GOOGLE_API_KEY", "a-key-for-tests");
    let server = HttpServer::with(command, &["--webhook-audience", "https://me.example/webhook"]);
    let signed = signed::token(&json!({"aud": "https://me.example/webhook", "exp": from_now(300)}));
    let (code, answer) = server.ask("POST", "/webhook", &[("Webhook-Signature", &signed)], "{}");
    assert!(code == 503 && answer.contains("retry-after: "), "{code} {answer}");
}

/// The other signature: the public key taken for a shared secret, an old trick (RFC 8725 §2.1).
#[test]
fn the_public_key_is_no_secret() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = server_of_scripted_google(&runtime, folder.path());
    let claims: Value = json!({"aud": "https://me.example/webhook", "exp": from_now(300)});
    let forged = signed::token_by_public_key(&claims);
    assert_eq!(server.ask("POST", "/webhook", &[("Webhook-Signature", &forged)], "{}").0, 401);
}
