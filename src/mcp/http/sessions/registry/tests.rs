use super::*;

use rmcp::transport::Transport;
use serde_json::json;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

fn sessions(most: usize, idle: Duration) -> Sessions {
    Sessions::new(Ending::default(), Limits { most, most_of_one: most, idle })
}

fn hello() -> Hello {
    Hello { owner: Owner::anyone(), can_be_asked: false }
}

fn call(id: i64) -> Incoming {
    serde_json::from_value(json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"})).unwrap()
}

/// Waits until a session has ended.
async fn ended(sessions: &Sessions, id: &SessionId) {
    let end = async {
        while sessions.known(id).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, end).await.expect("the session does not end");
}

#[tokio::test]
async fn the_one_unused_for_longest_makes_room() {
    let sessions = sessions(3, LONG);
    let (busy, _transport) = sessions.open(&hello()).unwrap();
    let (listening, _transport) = sessions.open(&hello()).unwrap();
    let (idle, mut transport) = sessions.open(&hello()).unwrap();
    let answer = sessions.create_stream(&busy, call(1)).await.unwrap();
    drop(answer);
    let standing = sessions.create_standalone_stream(&listening).await.unwrap();
    let (newer, _transport) = sessions.open(&hello()).unwrap();
    assert!(sessions.known(&idle).is_err() && transport.receive().await.is_none());
    assert!([&busy, &listening, &newer].iter().all(|id| sessions.known(id).is_ok()));
    let _held = sessions.create_standalone_stream(&newer).await.unwrap();
    assert!(!sessions.has_room(&hello().owner) && matches!(sessions.open(&hello()), Err(Refused::Full)));
    drop(standing);
    assert!(sessions.has_room(&hello().owner) && sessions.open(&hello()).is_ok());
    assert!(sessions.known(&listening).is_err());
}

#[tokio::test]
async fn one_whose_client_is_about_to_speak_does_not_make_room() {
    let sessions = sessions(2, LONG);
    let (sought, mut transport) = sessions.open(&hello()).unwrap();
    let greeting =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "0"}});
    let greeting = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": greeting});
    let greeting: Incoming = serde_json::from_value(greeting).unwrap();
    let answer = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}});
    let server = async {
        transport.receive().await.unwrap();
        transport.send(serde_json::from_value(answer).unwrap()).await.unwrap();
    };
    let (greeted, ()) = tokio::join!(sessions.initialize_session(&sought, greeting), server);
    greeted.unwrap();
    let (idle, _transport) = sessions.open(&hello()).unwrap();
    assert!(sessions.find(&sought, &hello().owner).is_some());
    let (_newer, _transport) = sessions.open(&hello()).unwrap();
    assert!(sessions.known(&sought).is_ok() && sessions.known(&idle).is_err());
}

#[tokio::test]
async fn what_comes_after_the_end_is_refused_and_not_lost() {
    let sessions = sessions(2, LONG);
    let (id, _transport) = sessions.open(&hello()).unwrap();
    let session = sessions.known(&id).unwrap();
    sessions.close(&id);
    assert!(matches!(session.events_of(call(1)).await.map(drop), Err(Refused::Ended)));
    assert!(matches!(session.tell(call(2)).await, Err(Refused::Ended)));
}

#[tokio::test]
async fn a_session_that_rests_too_long_ends_unless_somebody_listens_or_waits() {
    let sessions = sessions(9, SHORT);
    let (busy, mut transport) = sessions.open(&hello()).unwrap();
    let (listening, _transport) = sessions.open(&hello()).unwrap();
    let (idle, _transport) = sessions.open(&hello()).unwrap();
    drop(sessions.create_stream(&busy, call(1)).await.unwrap());
    let standing = sessions.create_standalone_stream(&listening).await.unwrap();
    ended(&sessions, &idle).await;
    tokio::time::sleep(SHORT * 3).await;
    assert!(sessions.known(&busy).is_ok() && sessions.known(&listening).is_ok());
    drop(standing);
    let answer = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}});
    transport.send(serde_json::from_value(answer).unwrap()).await.unwrap();
    ended(&sessions, &busy).await;
    ended(&sessions, &listening).await;
}

#[tokio::test]
async fn a_server_that_closes_waits_for_calls_and_not_for_listeners() {
    let sessions = sessions(9, LONG);
    let (busy, mut transport) = sessions.open(&hello()).unwrap();
    let (listening, other) = sessions.open(&hello()).unwrap();
    drop(other);
    drop(sessions.create_stream(&busy, call(1)).await.unwrap());
    let _standing = sessions.create_standalone_stream(&listening).await.unwrap();
    let ending = sessions.ending.clone();
    let end = tokio::spawn(async move { ending.in_good_order(LONG, std::future::pending(), LONG).await });
    ended(&sessions, &listening).await;
    assert!(sessions.known(&busy).is_ok() && !sessions.has_room(&hello().owner));
    let answer = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}});
    transport.send(serde_json::from_value(answer).unwrap()).await.unwrap();
    ended(&sessions, &busy).await;
    tokio::time::sleep(SHORT).await;
    assert!(!end.is_finished(), "what goes on is not waited for");
    drop(transport);
    tokio::time::timeout(LONG / 2, end).await.expect("the server waits for nothing").unwrap();
}

#[tokio::test]
async fn ends_by_clients_are_remembered_but_not_for_ever() {
    let sessions = sessions(2, LONG);
    let (first, _transport) = sessions.open(&hello()).unwrap();
    sessions.end(&first);
    assert!(sessions.has_ended(&first) && sessions.known(&first).is_err());
    for _ in 0..MOST_ENDED {
        let (id, _transport) = sessions.open(&hello()).unwrap();
        sessions.end(&id);
    }
    assert!(!sessions.has_ended(&first));
    assert_eq!(lock(&sessions.ended).len(), MOST_ENDED);
}

#[tokio::test]
async fn whoever_has_a_share_of_sessions_makes_room_for_more_with_their_own() {
    let sessions = Sessions::new(Ending::default(), Limits { most: 4, most_of_one: 2, idle: LONG });
    let of = |name: &str| Hello { owner: Owner::of_subject("https://as.example", name), can_be_asked: false };
    let (other, _transport) = sessions.open(&of("ada")).unwrap();
    let (first, _transport) = sessions.open(&of("bob")).unwrap();
    let (second, _transport) = sessions.open(&of("bob")).unwrap();
    let (third, _transport) = sessions.open(&of("bob")).unwrap();
    assert!(sessions.known(&first).is_err() && [&other, &second, &third].iter().all(|id| sessions.known(id).is_ok()));
    // In use, the share is all there is for them, and others find room.
    let _held = sessions.create_standalone_stream(&second).await.unwrap();
    let _held_too = sessions.create_standalone_stream(&third).await.unwrap();
    assert!(!sessions.has_room(&of("bob").owner) && matches!(sessions.open(&of("bob")), Err(Refused::Full)));
    assert!(sessions.open(&of("eve")).is_ok() && sessions.known(&other).is_ok());
}
