//! Changes of a job are pushed to those who asked to hear of them, in the way of each era.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;

use serde_json::{Value, json};
use support::program::{Server, modern, request};
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
    let wanted = ["batch://jobs", &uri, "batch://jobs/no-0123456789ab/status", "file:///etc/passwd"];
    let mut listen = modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": wanted}}));
    listen["id"] = json!("ear");
    server.send_line(&listen.to_string());
    let heard = next(&mut server);
    assert_eq!(heard["method"], "notifications/subscriptions/acknowledged", "{heard}");
    assert_eq!(heard["params"]["notifications"], json!({"resourceSubscriptions": ["batch://jobs", uri]}));
    world.reply(&["results", &job]);
    let mut told = Vec::new();
    while told.len() < 2 {
        let message = next(&mut server);
        assert_eq!(message["method"], "notifications/resources/updated", "{message}");
        assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "ear");
        let uri = message["params"]["uri"].clone();
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
