use super::*;

use rmcp::model::NumberOrString;
use serde_json::{Value, json};

/// The stream of a call with this id, which is its progress token as well.
fn begin(streams: &mut Streams, id: i64) -> u64 {
    let params = json!({"name": "x", "_meta": {"progressToken": id}});
    let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    streams.begin(&serde_json::from_value(call).unwrap())
}

fn say(streams: &mut Streams, message: Value) {
    streams.say(serde_json::from_value(message).unwrap());
}

fn progress(streams: &mut Streams, token: i64, progress: u64) {
    let params = json!({"progressToken": token, "progress": progress});
    say(streams, json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
}

fn answer(streams: &mut Streams, id: i64) {
    say(streams, json!({"jsonrpc": "2.0", "id": id, "error": {"code": 1, "message": "x"}}));
}

fn updated(streams: &mut Streams, uri: &str) {
    say(streams, json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}));
}

/// Everything there is to hear, by number, and whether more may follow.
fn hear(streams: &mut Streams, listener: Listener) -> (Vec<u64>, bool) {
    let mut heard = Vec::new();
    loop {
        match streams.hear(listener) {
            Heard::Message(place, _) => heard.push(place.at),
            Heard::Nothing => return (heard, true),
            Heard::End => return (heard, false),
        }
    }
}

#[test]
fn each_message_goes_to_the_stream_it_belongs_to() {
    let mut streams = Streams::new();
    let (one, two) = (begin(&mut streams, 1), begin(&mut streams, 2));
    let ears = [one, two, STANDING].map(|stream| streams.listen(stream, None).unwrap());
    progress(&mut streams, 2, 1);
    updated(&mut streams, "a");
    progress(&mut streams, 9, 1);
    answer(&mut streams, 1);
    assert_eq!(ears.map(|ear| hear(&mut streams, ear)), [(vec![1], false), (vec![1], true), (vec![1, 2], true)]);
    // An answer to nobody is told nobody.
    answer(&mut streams, 1);
    assert_eq!(hear(&mut streams, ears[2]), (vec![], true));
}

#[test]
fn a_stream_goes_on_where_its_listener_stopped() {
    let mut streams = Streams::new();
    let stream = begin(&mut streams, 1);
    let first = streams.listen(stream, None).unwrap();
    progress(&mut streams, 1, 1);
    assert_eq!(hear(&mut streams, first), (vec![1], true));
    progress(&mut streams, 1, 2);
    // The first connection is dead, but nobody knows: what it is not told is not lost.
    let second = streams.listen(stream, Some(0)).unwrap();
    assert_eq!(hear(&mut streams, first), (vec![], true));
    assert_eq!(hear(&mut streams, second), (vec![1, 2], true));
    streams.leave(second);
    assert_eq!(hear(&mut streams, first), (vec![], true), "what the other heard is said again");
    answer(&mut streams, 1);
    streams.leave(first);
    let third = streams.listen(stream, Some(2)).unwrap();
    assert_eq!(hear(&mut streams, third), (vec![3], false));
    assert!(streams.listen(stream, Some(3)).is_none(), "there is more after the answer");
    assert!(streams.listen(99, Some(0)).is_none(), "there is a stream that never was");
}

#[test]
fn what_is_kept_is_bounded_and_questions_outlast_notices() {
    let mut streams = Streams::new();
    let ask = json!({"message": "?", "requestedSchema": {"type": "object", "properties": {}}, "mode": "form"});
    say(&mut streams, json!({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create", "params": ask}));
    for _ in 0..1000 {
        updated(&mut streams, "a");
    }
    let ear = streams.listen(STANDING, None).unwrap();
    let heard = hear(&mut streams, ear).0;
    assert_eq!((heard.len(), heard[0], heard[1]), (MOST_KEPT, 1, 1001 + 2 - MOST_KEPT as u64));
    for id in 0..1000 {
        begin(&mut streams, id);
        answer(&mut streams, id);
        begin(&mut streams, id);
        streams.cancel(&NumberOrString::Number(id));
    }
    assert_eq!(streams.streams.len(), MOST_ANSWERED + 1);
}

#[test]
fn an_answer_that_is_listened_to_is_kept_until_it_is_heard() {
    let mut streams = Streams::new();
    let ears: Vec<_> = (0..100)
        .map(|id| {
            let stream = begin(&mut streams, id);
            streams.listen(stream, None).unwrap()
        })
        .collect();
    (0..100).for_each(|id| answer(&mut streams, id));
    for ear in ears {
        assert_eq!(hear(&mut streams, ear), (vec![1], false));
        streams.leave(ear);
    }
    assert_eq!(streams.streams.len(), MOST_ANSWERED + 1);
}

#[test]
fn a_long_call_is_not_forgotten_for_later_ones_that_ended_before_it() {
    let mut streams = Streams::new();
    let long = begin(&mut streams, 0);
    let ear = streams.listen(long, None).unwrap();
    streams.leave(ear);
    for id in 1..=MOST_ANSWERED as i64 {
        begin(&mut streams, id);
        answer(&mut streams, id);
    }
    answer(&mut streams, 0);
    let ear = streams.listen(long, Some(0)).expect("the answer is gone");
    assert_eq!(hear(&mut streams, ear), (vec![1], false));
}

#[test]
fn places_are_read_as_they_are_written() {
    let place = Place { stream: 3, at: 14 };
    assert_eq!(Place::parse(&place.to_string()), Some(place));
    for wrong in ["", "3", "-", "3-", "-3-4", "a-b", "3-99999999999999999999999"] {
        assert_eq!(Place::parse(wrong), None, "{wrong}");
    }
}
