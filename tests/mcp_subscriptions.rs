//! Changes of a job are pushed to those who asked to hear of them, in the way of each era.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::{BufRead, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{Call, Fault};
use serde_json::{Value, json};
use support::http_server::{HttpServer, Sse, status};
use support::program::{self, PATIENCE, Server, modern, request};
use support::tasks::WaitingWorld;
use support::world::World;

fn server(world: &World) -> Server {
    Server::start_with(|command| {
        *command = world.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    })
}

/// A job that the API has ended, but nobody has looked since it was made.
fn job(world: &World) -> String {
    let request = json!({"key": "a", "request": {"contents": [{"parts": [{"text": "Why?"}]}]}});
    world.write("why.jsonl", &format!("{request}\n"));
    world.reply(&["create", "why.jsonl"])["job"].as_str().unwrap().to_owned()
}

fn next(server: &mut Server) -> Value {
    serde_json::from_str(&server.next_line()).unwrap()
}

#[test]
fn the_end_of_a_job_is_told_to_a_session_that_subscribed() {
    let world = World::new();
    let job = job(&world);
    let mut server = server(&world);
    let hello = server.initialize("2025-11-25");
    assert_eq!(hello["capabilities"]["resources"]["subscribe"], true);
    let uri = format!("batch://jobs/{job}/status");
    let subscribed = server.ask(&request("resources/subscribe", &json!({"uri": uri})));
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    let told = next(&mut server);
    assert_eq!((&told["method"], &told["params"]["uri"]), (&json!("notifications/resources/updated"), &json!(uri)));
    let answer = server.ask(&request("resources/read", &json!({"uri": uri})));
    assert!(answer["result"]["contents"][0]["text"].as_str().unwrap().contains("JOB_STATE_SUCCEEDED"), "{answer}");

    let ended = server.ask(&request("resources/unsubscribe", &json!({"uri": uri})));
    assert_eq!(ended["result"], json!({}), "{ended}");
    let nothing = server.ask(&request("resources/subscribe", &json!({"uri": "batch://jobs/no-0123456789ab/status"})));
    assert_eq!(nothing["error"]["code"], -32002, "{nothing}");
}

#[test]
fn what_another_process_does_is_told_to_a_stream() {
    let world = World::new();
    let job = job(&world);
    let mut server = server(&world);
    let uri = format!("batch://jobs/{job}/results");
    let wanted = ["batch://jobs", "batch://jobs", &uri, "batch://jobs/no-0123456789ab/status", "file:///etc/passwd"];
    let mut listen = modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": wanted}}));
    listen["id"] = json!("ear");
    server.send_line(&listen.to_string());
    let heard = next(&mut server);
    assert_eq!(heard["method"], "notifications/subscriptions/acknowledged", "{heard}");
    let accepted = json!({"resourceSubscriptions": ["batch://jobs", "batch://jobs", uri]});
    assert_eq!(heard["params"]["notifications"], accepted);
    world.reply(&["results", &job]);
    let mut told = Vec::new();
    while told.len() < 2 {
        let message = next(&mut server);
        assert_eq!(message["method"], "notifications/resources/updated", "{message}");
        assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "ear");
        let uri = message["params"]["uri"].clone();
        assert!(uri != "batch://jobs" || !told.contains(&uri), "what was asked for twice is told twice");
        // The state and the arrival of the results may be seen one after the other.
        if !told.contains(&uri) {
            told.push(uri);
        }
    }
    assert!(told.contains(&json!("batch://jobs")) && told.contains(&json!(uri)), "{told:?}");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "ear"}});
    server.send_line(&cancel.to_string());
    let alive = server.ask(&modern("resources/read", json!({"uri": uri})));
    assert!(alive["result"]["contents"][0]["text"].is_string(), "{alive}");
}

#[test]
fn what_a_retry_adds_and_what_a_job_came_to_are_changes_too() {
    let world = World::new();
    world.write(
        "why.jsonl",
        &format!(
            "{}\n",
            json!({"key": "a", "request": {"contents": [{"parts": [{"text": "Why? [[simulate:failed]]"}]}]}})
        ),
    );
    let job = world.reply(&["create", "why.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job, "--wait"]);
    let mut server = server(&world);
    let of_job = |what: &str| format!("batch://jobs/{job}/{what}");
    let with_retries = [of_job("results"), of_job("manifest"), of_job("answers")];
    let mut wanted = vec!["batch://jobs".to_owned(), of_job("status")];
    wanted.extend(with_retries.clone());
    let listen = modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": wanted}}));
    server.send_line(&listen.to_string());
    assert_eq!(next(&mut server)["method"], "notifications/subscriptions/acknowledged");
    let mut told = |until: &[String]| {
        let mut told = Vec::new();
        while !until.iter().all(|uri| told.contains(uri)) {
            told.push(next(&mut server)["params"]["uri"].as_str().unwrap().to_owned());
        }
        told
    };
    // Its answers are accounted for: it is known what it cost.
    world.results(&[&job]);
    told(&["batch://jobs".to_owned(), of_job("results")]);
    world.reply(&["retry", &job]);
    let told = told(&with_retries);
    assert!(!told.contains(&of_job("status")), "the job stands where it stood: {told:?}");
}

#[test]
fn what_another_process_does_is_told_while_the_api_is_slow() {
    let world = WaitingWorld::new();
    world.world.simulator.faults().next(Call::GetBatch, Fault::Hang);
    let mut server = server(&world.world);
    let wanted = ["batch://jobs".to_owned(), format!("batch://jobs/{}/status", world.job)];
    let listen = modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": wanted}}));
    server.send_line(&listen.to_string());
    assert_eq!(next(&mut server)["method"], "notifications/subscriptions/acknowledged");
    let start = Instant::now();
    while world.world.simulator.log().under_way(Call::GetBatch) == 0 {
        assert!(start.elapsed() < PATIENCE, "the API is not asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    job(&world.world);
    let changed = Instant::now();
    assert_eq!(next(&mut server)["params"]["uri"], "batch://jobs");
    assert!(changed.elapsed() < Duration::from_secs(8), "{:?}", changed.elapsed());
    assert_eq!(world.world.simulator.log().under_way(Call::GetBatch), 1, "the API was not slow");
}

#[test]
fn what_cannot_be_looked_at_yet_is_watched_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("in-the-way");
    std::fs::write(&in_the_way, "").unwrap();
    let mut server = Server::start_with(|command| {
        command.arg("--simulate").env("GEMINI_BATCH_HOME", in_the_way.join("home"));
    });
    server.initialize("2025-11-25");
    let subscribed = server.ask(&request("resources/subscribe", &json!({"uri": "batch://jobs"})));
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    std::fs::remove_file(&in_the_way).unwrap();
    assert_eq!(next(&mut server)["params"]["uri"], "batch://jobs");
}

/// What a client of 2026-07-28 hears at `/mcp` that listens there.
fn listen(server: &HttpServer, uris: &[String]) -> Sse {
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "subscriptions/listen"),
    ];
    let listen = modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris}}));
    let mut stream = server.send("POST", "/mcp", &headers, &listen.to_string());
    assert_eq!(status(&mut stream), 200);
    Sse { stream, path: String::new() }
}

fn accepted(ear: &mut Sse) -> Value {
    let heard = ear.message();
    assert_eq!(heard["method"], "notifications/subscriptions/acknowledged", "{heard}");
    heard["params"]["notifications"]["resourceSubscriptions"].clone()
}

#[cfg(unix)]
#[test]
fn a_listener_over_http_is_told_of_changes_and_does_not_hold_up_the_end_of_the_server() {
    let world = World::new();
    let uris = [format!("batch://jobs/{}/results", job(&world))];
    let mut server = HttpServer::of(world.command());
    let mut ear = listen(&server, &uris);
    assert_eq!(accepted(&mut ear), json!(uris));
    let told = ear.message();
    assert_eq!((&told["method"], &told["params"]["uri"]), (&json!("notifications/resources/updated"), &json!(uris[0])));
    server.terminate();
    let start = Instant::now();
    assert!(ear.message()["result"].is_object(), "it is not told that this is the end");
    assert!(program::wait_for_end(&mut server.child).success());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn nobody_listens_to_more_than_can_be_looked_at() {
    let world = World::new();
    let job = job(&world);
    let server = HttpServer::of(world.command());
    let uris: Vec<_> = (0..150).map(|offset| format!("batch://jobs/{job}/results/all/{offset}")).collect();
    let mut ears: Vec<_> = (0..65).map(|_| listen(&server, &uris[..1])).collect();
    let start = Instant::now();
    while !ears.iter_mut().rev().any(|ear| is_refused(ear, Duration::from_millis(5))) {
        assert!(start.elapsed() < PATIENCE, "one more than there is room for listens");
    }
    // Whoever hangs up makes room.
    ears.clear();
    let mut ear = listen(&server, &uris);
    assert_eq!(accepted(&mut ear), json!(uris[..100]), "more resources than are looked at");
    while is_refused(&mut ear, Duration::from_millis(300)) {
        assert!(start.elapsed() < PATIENCE, "no place comes back");
        ear = listen(&server, &uris);
    }
}

/// Whether a listener is told within this time that there is no room.
fn is_refused(ear: &mut Sse, time: Duration) -> bool {
    ear.stream.get_ref().set_read_timeout(Some(time)).unwrap();
    ear.stream.by_ref().lines().map_while(Result::ok).any(|line| line.contains("so many are listening"))
}
