//! Batches looked for in a list of pages: what is not found must certainly not be there.

use chrono::{DateTime, TimeDelta, Utc};
use gemini_batch_mcp::error::ErrorKind;
use gemini_batch_mcp::gemini::{Gemini, RemoteBatch};
use serde_json::{Value, json};

use super::scripted;
use super::scripted::Reply;

fn at(hours_ago: i64) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap().to_utc() - TimeDelta::hours(hours_ago)
}

fn batch(id: &str, name: &str, hours_ago: i64) -> Value {
    json!({"name": format!("batches/{id}"), "metadata": {"displayName": name, "createTime": at(hours_ago),
        "inputConfig": {"fileName": format!("files/{id}")}}})
}

fn page(operations: &[Value], next: &str) -> Reply {
    Reply::json(200, json!({"operations": operations, "nextPageToken": next}))
}

/// The ids of the batches called "mine", in the order in which they were found.
async fn mine(gemini: &Gemini, since: Option<DateTime<Utc>>) -> Vec<String> {
    let found = gemini.find_batches(since, &|batch| batch.display_name.as_deref() == Some("mine")).await.unwrap();
    found.into_iter().map(|batch| batch.name.trim_start_matches("batches/").to_owned()).collect()
}

#[tokio::test]
async fn all_that_fit_are_found_on_all_pages_each_once() {
    let script = [
        page(&[batch("a", "mine", 1), batch("b", "other", 2)], "t2"),
        // One was created meanwhile: the last one is met again.
        page(&[batch("a", "mine", 1), batch("c", "mine", 900)], "t3"),
        page(&[], "t4"),
        page(&[batch("d", "mine", 2000)], ""),
    ];
    let (server, gemini) = scripted(script).await;
    assert_eq!(mine(&gemini, None).await, ["a", "c", "d"]);
    let targets: Vec<_> = server.seen().into_iter().map(|request| request.target).collect();
    assert_eq!(targets[0], "/v1beta/batches?pageSize=100");
    assert_eq!(targets[3], "/v1beta/batches?pageSize=100&pageToken=t4");
}

#[tokio::test]
async fn what_was_found_says_when_and_of_which_file() {
    let (_server, gemini) = scripted([page(&[batch("a", "mine", 1)], "")]).await;
    let found: Vec<RemoteBatch> = gemini.find_batches(Some(at(0)), &|_| true).await.unwrap();
    assert_eq!((found[0].create_time, found[0].input_file.as_deref()), (Some(at(1)), Some("files/a")));
}

#[tokio::test]
async fn reading_ends_a_day_before_the_time() {
    // Within a page the order does not matter, and a clock may be wrong by hours.
    let script = [
        page(&[batch("a", "mine", 30), batch("b", "mine", 1), batch("c", "mine", 31)], "t2"),
        page(&[batch("d", "mine", 23)], "t3"),
        page(&[batch("e", "mine", 26), batch("f", "other", 26)], "t4"),
    ];
    let (server, gemini) = scripted(script).await;
    assert_eq!(mine(&gemini, Some(at(1))).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_page_that_does_not_say_or_is_not_newest_first_ends_nothing() {
    let timeless = json!({"name": "batches/x", "metadata": {"displayName": "other"}});
    for old in [vec![batch("a", "other", 99), timeless], vec![batch("a", "other", 99), batch("b", "other", 98)], vec![]]
    {
        let (_server, gemini) = scripted([page(&old, "t2"), page(&[batch("c", "mine", 1)], "")]).await;
        assert_eq!(mine(&gemini, Some(at(2))).await, ["c"], "{old:?}");
    }
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_no_proof_of_absence() {
    let partial = json!({"operations": [batch("a", "mine", 1)], "unreachable": ["regions/x"]});
    let stuck = || page(&[batch("a", "other", 1)], "t2");
    let endless: Vec<_> = (0..2_001).map(|n| page(&[], &format!("t{n}"))).collect();
    for script in [vec![Reply::json(200, partial)], vec![stuck(), stuck(), stuck()], endless] {
        let (_server, gemini) = scripted(script).await;
        let failed = gemini.find_batches(Some(at(0)), &|_| true).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
        assert!(failed.cause().contains("may be there all the same"), "{failed:?}");
    }
    let (_server, gemini) = scripted([page(&[], "t2"), Reply::page(403)]).await;
    assert_eq!(gemini.find_batches(None, &|_| true).await.unwrap_err().kind(), ErrorKind::Auth);
}
