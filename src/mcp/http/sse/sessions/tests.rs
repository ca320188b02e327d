use super::*;

use rmcp::model::NumberOrString;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::Config;
use crate::mcp::http::pulse::MOST_CALLS;
use crate::ops::App;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

fn sessions(hello: Duration, idle: Duration) -> (Sessions, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::simulated(folder.path().join("home"), folder.path().to_owned());
    let server = BatchServer::new(App::new(config).unwrap());
    (Sessions::new(server, Limits { hello, idle }, Share::All), folder)
}

fn message(value: Value) -> Incoming {
    serde_json::from_value(value).unwrap()
}

async fn greet(sessions: &Sessions, id: &str) {
    let client = json!({"name": "test", "version": "0"});
    let params = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    assert_eq!(sessions.say(id, message(hello)).await, Said::Heard);
    let greeted = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(sessions.say(id, message(greeted)).await, Said::Heard);
}

/// Waits until the session has ended, and tells how long that took.
async fn ended(sessions: &Sessions, id: &str, end: &CancellationToken) -> Duration {
    let start = Instant::now();
    tokio::time::timeout(LONG, end.cancelled()).await.expect("the session does not end");
    while sessions.has(id, None) {
        tokio::task::yield_now().await;
    }
    start.elapsed()
}

#[tokio::test]
async fn a_session_without_a_word_ends() {
    let (sessions, _folder) = sessions(SHORT, LONG);
    let (_stream, end) = sessions.open("a", None).unwrap();
    ended(&sessions, "a", &end).await;
    assert_eq!(
        sessions.say("a", message(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))).await,
        Said::Ended
    );
}

#[tokio::test]
async fn a_session_that_falls_silent_ends_after_a_while() {
    let (sessions, _folder) = sessions(LONG, SHORT * 3);
    let (mut stream, end) = sessions.open("a", None).unwrap();
    greet(&sessions, "a").await;
    stream.recv().await.unwrap();
    assert!(ended(&sessions, "a", &end).await >= SHORT, "it did not wait");
}

#[tokio::test]
async fn a_session_with_a_call_in_flight_is_not_silent() {
    let (sessions, _folder) = sessions(LONG, SHORT);
    let (mut stream, end) = sessions.open("a", None).unwrap();
    greet(&sessions, "a").await;
    stream.recv().await.unwrap();
    let pulse = sessions.lock().get("a").unwrap().pulse.clone();
    // A call that is never answered.
    pulse.send_modify(|pulse| pulse.in_flight.extend([NumberOrString::Number(9)]));
    tokio::time::sleep(SHORT * 4).await;
    assert!(sessions.has("a", None) && !end.is_cancelled());
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}});
    assert_eq!(sessions.say("a", message(cancelled)).await, Said::Heard);
    ended(&sessions, "a", &end).await;
}

#[tokio::test]
async fn answers_are_taken_off_what_is_in_flight() {
    let (sessions, _folder) = sessions(LONG, LONG);
    let (mut stream, _end) = sessions.open("a", None).unwrap();
    greet(&sessions, "a").await;
    stream.recv().await.unwrap();
    for id in 2..5 {
        sessions.say("a", message(json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}))).await;
        stream.recv().await.unwrap();
    }
    sessions.say("a", message(json!({"jsonrpc": "2.0", "id": "x", "method": "no/such"}))).await;
    stream.recv().await.unwrap();
    let pulse = sessions.lock().get("a").unwrap().pulse.clone();
    assert!(pulse.borrow().in_flight.is_empty(), "{:?}", pulse.borrow().in_flight);
}

#[tokio::test]
async fn a_session_whose_server_closes_ends_at_once_if_it_rests() {
    let (sessions, _folder) = sessions(LONG, LONG);
    let (mut stream, end) = sessions.open("a", None).unwrap();
    greet(&sessions, "a").await;
    stream.recv().await.unwrap();
    sessions.server.app.ending().closing().cancel();
    assert!(ended(&sessions, "a", &end).await < LONG / 2);
}

#[tokio::test]
async fn calls_at_a_time_are_bounded() {
    let (sessions, _folder) = sessions(LONG, LONG);
    let (_stream, _end) = sessions.open("a", None).unwrap();
    let pulse = sessions.lock().get("a").unwrap().pulse.clone();
    let many = (0..MOST_CALLS as i64).map(NumberOrString::Number);
    pulse.send_modify(|pulse| pulse.in_flight = many.collect());
    let call = json!({"jsonrpc": "2.0", "id": "one more", "method": "tools/list"});
    pulse.send_modify(|pulse| pulse.in_flight.retain(|id| *id != NumberOrString::Number(5)));
    assert_eq!(
        sessions.say("a", message(json!({"jsonrpc": "2.0", "id": 6, "method": "tools/list"}))).await,
        Said::Refused(Refusal::Twice)
    );
    pulse.send_modify(|pulse| pulse.in_flight.extend([NumberOrString::Number(5)]));
    assert_eq!(sessions.say("a", message(call)).await, Said::Refused(Refusal::TooMuch));
}
