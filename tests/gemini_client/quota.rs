//! Which limit a 429 is about: what it takes to go on differs.

use std::time::Duration;

use gemini_batch_mcp::error::{Error, ErrorKind};
use gemini_batch_mcp::gemini::{FileRange, Gemini, NewBatch, NewFile, Quota, QuotaKind, quota_of};
use gemini_batch_mcp::job::Kind;
use gemini_batch_mcp::progress::Silent;
use serde_json::{Value, json};

use super::scripted;
use super::scripted::Reply;
use super::upload::{CONTENT, file};
use super::{KEY, texts};

const BOILERPLATE: &str = "You exceeded your current quota, please check your plan and billing details.";

fn refusal(message: &str, details: Value) -> Reply {
    let error = json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message, "details": details});
    Reply::json(429, json!({ "error": error }))
}

fn violation(metric: &str, id: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
        {"quotaMetric": format!("generativelanguage.googleapis.com/{metric}"), "quotaId": id, "quotaValue": "20"}]})
}

fn help() -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": "https://ai.google.dev/gemini-api/docs/rate-limits"}]})
}

fn asks(delay: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
}

async fn create(gemini: &Gemini) -> Error {
    let batch = NewBatch { display_name: "n", input_file: "files/a", priority: None, webhook_uris: &[] };
    gemini.create_batch("m", Kind::Generate, batch).await.unwrap_err()
}

/// What a create learns from this answer.
async fn learned(reply: Reply) -> Quota {
    let (server, gemini) = scripted([reply]).await;
    let failed = create(&gemini).await;
    assert_eq!((failed.kind(), server.seen().len()), (ErrorKind::Quota, 1), "{failed:?}");
    *quota_of(&failed).expect("a quota")
}

#[tokio::test]
async fn a_create_tells_which_limit_it_met() {
    let half_a_minute = Some(Duration::from_secs(36));
    let per_day = violation("batch_requests", "BatchRequestsPerDayPerProjectPerModel");
    let enqueued = violation("batch_enqueued_tokens", "BatchEnqueuedTokensPerProjectPerModel");
    let cases = [
        (refusal(BOILERPLATE, json!([per_day.clone(), help()])), QuotaKind::Exhausted, None),
        (refusal(BOILERPLATE, json!([per_day, asks("36s")])), QuotaKind::Exhausted, half_a_minute),
        (refusal("Your project has exceeded its monthly spending cap.", json!([])), QuotaKind::Exhausted, None),
        (refusal("Your prepayment credits are depleted.", json!([])), QuotaKind::Exhausted, None),
        // A rate of ten minutes: it passes.
        (refusal("You exceeded your spend-based rate limit.", json!([help()])), QuotaKind::Throttled, None),
        (refusal(BOILERPLATE, json!([help()])), QuotaKind::Throttled, None),
        (refusal(BOILERPLATE, json!([enqueued, asks("36s")])), QuotaKind::Throttled, half_a_minute),
        (Reply::empty(429), QuotaKind::Throttled, None),
        (Reply::page(429).with("Retry-After", 36), QuotaKind::Throttled, half_a_minute),
        // The words of the API go before those of a front end.
        (refusal(BOILERPLATE, json!([asks("36s")])).with("Retry-After", 7), QuotaKind::Throttled, half_a_minute),
        (
            refusal(BOILERPLATE, json!([violation("cached_content_storage", "CachedContentStorage")])),
            QuotaKind::Throttled,
            None,
        ),
    ];
    for (reply, kind, retry_after) in cases {
        assert_eq!(learned(reply.clone()).await, Quota { kind, retry_after }, "{reply:?}");
    }
}

#[tokio::test]
async fn a_wait_without_end_is_cut_to_a_day() {
    let quota = learned(refusal(BOILERPLATE, json!([asks("9223372036854775807s")]))).await;
    assert_eq!(quota.retry_after, Some(Duration::from_secs(24 * 60 * 60)));
}

#[tokio::test]
async fn full_storage_says_how_to_make_room() {
    // As the API has been seen to answer it.
    let named = violation("file_storage_bytes", "FileStorageBytesPerProject");
    for reply in [
        refusal(BOILERPLATE, json!([named, help(), asks("9223372036854775807s")])),
        refusal(
            "Quota exceeded for metric: generativelanguage.googleapis.com/file_storage_bytes, limit: 21474836480",
            json!([]),
        ),
    ] {
        let (server, gemini) = scripted([reply]).await;
        let new = NewFile { range: FileRange::whole(file(CONTENT)).unwrap(), display_name: "x", sha256: None };
        let failed = gemini.upload(new, None, &|_| Ok(()), &Silent::default()).await.unwrap_err();
        assert_eq!(
            (failed.kind(), server.seen().len()),
            (ErrorKind::Quota, 1),
            "asking again makes no room: {failed:?}"
        );
        assert_eq!(quota_of(&failed), Some(&Quota { kind: QuotaKind::Storage, retry_after: None }));
        let hint = failed.next_step().unwrap();
        for word in ["48 hours", "list_batches", "delete_batch", "files: true"] {
            assert!(hint.contains(word), "{hint}");
        }
    }
}

#[tokio::test]
async fn what_is_exhausted_is_not_said_to_pass_in_half_a_minute() {
    let per_day = violation("batch_requests", "BatchRequestsPerDayPerProjectPerModel");
    let (_server, gemini) = scripted([refusal(BOILERPLATE, json!([per_day, asks("36s")]))]).await;
    let failed = create(&gemini).await;
    assert!(!failed.next_step().unwrap().contains("36"), "{failed:?}");
    assert!(failed.cause().contains("BatchRequestsPerDayPerProjectPerModel (limit 20)"), "{failed:?}");
}

#[tokio::test]
async fn the_limit_is_told_of_an_answer_that_repeats_the_key_too() {
    let (_server, gemini) = scripted([refusal(&format!("spending cap of {KEY}"), json!([]))]).await;
    let failed = create(&gemini).await;
    assert_eq!(quota_of(&failed).map(|quota| quota.kind), Some(QuotaKind::Exhausted));
    assert!(!texts(&failed).contains(KEY));
}

#[tokio::test]
async fn no_other_failure_is_about_a_limit() {
    for status in [400, 403, 500, 503] {
        let (_server, gemini) =
            scripted([Reply::json(status, json!({"error": {"code": 429, "message": "spending cap"}}))]).await;
        assert_eq!(quota_of(&create(&gemini).await), None, "{status}");
    }
}
