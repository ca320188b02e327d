//! What is repeated, what is not, and what each failure becomes.

use std::time::{Duration, Instant};

use gemini_batch_mcp::error::ErrorKind;
use gemini_batch_mcp::gemini::{FileRange, Gemini, NewBatch, NewFile, RetryPolicy, Settings};
use gemini_batch_mcp::job::Kind;
use gemini_batch_mcp::progress::Silent;
use serde_json::json;

use super::address::Address;
use super::scripted::{Reply, Scripted};
use super::{KEY, scripted, settings, texts};

fn found() -> Reply {
    Reply::json(200, json!({"name": "files/a", "state": "ACTIVE"}))
}

fn error(status: u16, word: &str, message: &str) -> Reply {
    Reply::json(status, json!({"error": {"code": status, "status": word, "message": message}}))
}

#[tokio::test]
async fn failures_that_may_pass_are_repeated() {
    let passing = [
        error(500, "INTERNAL", "oops"),
        error(503, "UNAVAILABLE", "overloaded"),
        error(504, "DEADLINE_EXCEEDED", "slow"),
        error(429, "RESOURCE_EXHAUSTED", "too fast"),
        error(408, "", "client"),
        error(499, "CANCELLED", "client"),
        Reply::page(502),
        Reply::HangUp,
        Reply::CutOff { announced: 100, body: b"{\"name\":".to_vec() },
        Reply::Silence(Duration::from_millis(600)),
    ];
    for reply in passing {
        let (server, gemini) = scripted([reply.clone(), found()]).await;
        assert_eq!(gemini.get_file("files/a").await.unwrap().name, "files/a", "{reply:?}");
        assert_eq!(server.seen().len(), 2, "{reply:?}");
    }
}

#[tokio::test]
async fn refusals_are_not_repeated_and_have_their_kind() {
    let refusals = [
        (error(400, "INVALID_ARGUMENT", "no such field"), ErrorKind::Refused),
        (error(401, "UNAUTHENTICATED", "who?"), ErrorKind::Auth),
        (error(403, "PERMISSION_DENIED", "no"), ErrorKind::Auth),
        (error(404, "NOT_FOUND", "gone"), ErrorKind::NotFound),
        (error(409, "ALREADY_EXISTS", "taken"), ErrorKind::AlreadyExists),
        (error(409, "ABORTED", "busy"), ErrorKind::WrongState),
        (Reply::page(404), ErrorKind::NotFound),
        (Reply::page(200), ErrorKind::UnexpectedAnswer),
        (Reply::empty(200), ErrorKind::UnexpectedAnswer),
        (Reply::empty(302).with("Location", "{base}/elsewhere"), ErrorKind::UnexpectedAnswer),
        (Reply::json(200, r#"{"error":{"code":400,"message":"inside"}}"#), ErrorKind::Refused),
    ];
    for (reply, kind) in refusals {
        let (server, gemini) = scripted([reply.clone(), found()]).await;
        let failed = gemini.get_file("files/a").await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{reply:?} {failed:?}");
        assert_eq!(server.seen().len(), 1, "{reply:?}");
        assert!(failed.next_step().is_some(), "{failed:?}");
    }
}

#[tokio::test]
async fn tries_are_bounded_and_the_last_cause_is_told() {
    let (server, gemini) = scripted((0..9).map(|n| error(503, "UNAVAILABLE", &format!("overloaded {n}")))).await;
    let failed = gemini.get_file("files/a").await.unwrap_err();
    assert_eq!((server.seen().len(), failed.kind()), (3, ErrorKind::Unavailable));
    assert!(failed.cause().contains("overloaded 2"), "{failed:?}");
}

#[tokio::test]
async fn the_delay_that_the_api_asks_for_is_kept() {
    let asked = json!({"error": {"code": 429, "message": "slow down",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.3s"}]}});
    let (_server, gemini) = scripted([Reply::json(429, asked), found()]).await;
    let start = Instant::now();
    gemini.get_file("files/a").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());

    let (_server, gemini) = scripted([Reply::page(503).with("Retry-After", 1), found()]).await;
    let start = Instant::now();
    gemini.get_file("files/a").await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_delay_longer_than_the_cap_is_told_at_once() {
    let (server, gemini) = scripted([Reply::page(429).with("Retry-After", 3600), found()]).await;
    let failed = gemini.get_file("files/a").await.unwrap_err();
    assert_eq!((failed.kind(), server.seen().len()), (ErrorKind::Quota, 1));
    assert!(failed.next_step().unwrap().contains("wait 3600 s"), "{failed:?}");
}

#[tokio::test]
async fn a_quota_per_day_is_named_and_not_repeated() {
    let body = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota",
        "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20"}]}]}});
    let (server, gemini) = scripted([Reply::json(429, body), found()]).await;
    let failed = gemini.get_file("files/a").await.unwrap_err();
    assert_eq!((failed.kind(), server.seen().len()), (ErrorKind::Quota, 1));
    assert!(failed.cause().contains("GenerateRequestsPerDayPerProjectPerModel-FreeTier (limit 20)"), "{failed:?}");
}

#[tokio::test]
async fn a_bad_key_is_told_from_a_bad_request() {
    let body = json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Please pass a valid API key.",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}]);
    let (_server, gemini) = scripted([Reply::json(400, body)]).await;
    let failed = gemini.models().await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Auth);
    assert_eq!(failed.next_step(), Some("set GOOGLE_API_KEY or GEMINI_API_KEY to a valid key from AI Studio"));
}

#[tokio::test]
async fn field_violations_and_lines_are_kept() {
    let body = json!({"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT",
        "details": [{"fieldViolations": [{"field": "batch.priority", "description": "must be a number"}]}]}});
    let (_server, gemini) = scripted([Reply::json(400, body)]).await;
    let failed = gemini.get_file("files/a").await.unwrap_err();
    assert!(failed.cause().contains("batch.priority must be a number"), "{failed:?}");

    let line = "Error on line 17: invalid JSON, near column 1032: no such field: 'thinking_config'";
    let (_server, gemini) = scripted([error(400, "INVALID_ARGUMENT", line)]).await;
    let failed = gemini.get_file("files/a").await.unwrap_err();
    assert!(failed.cause().contains(line), "{failed:?}");
    assert!(failed.next_step().unwrap().contains("line 17"), "{failed:?}");
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let nobody = Address::new();
    let gemini = Gemini::new(settings(&nobody.url())).unwrap();
    let failed = gemini.get_file("files/a").await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert!(failed.cause().contains("refused"), "{failed:?}");
}

#[tokio::test]
async fn the_key_goes_in_a_header_and_nowhere_else() {
    let (server, gemini) = scripted([found()]).await;
    gemini.get_file("files/a").await.unwrap();
    let request = &server.seen()[0];
    assert_eq!(request.header("x-goog-api-key"), KEY);
    assert_eq!(request.target, "/v1beta/files/a");
    assert_eq!(request.header("x-server-timeout"), "1");
}

#[tokio::test]
async fn the_key_is_in_no_error_even_if_the_api_repeats_it() {
    let echo = format!("api_key:{KEY} is blocked");
    for reply in [
        error(403, "PERMISSION_DENIED", &echo),
        error(503, "UNAVAILABLE", &echo),
        Reply::Answer { status: 400, headers: vec![], body: echo.clone().into_bytes() },
        Reply::Answer { status: 200, headers: vec![], body: echo.clone().into_bytes() },
        Reply::HangUp,
        Reply::Silence(Duration::from_millis(600)),
    ] {
        let (_server, gemini) = scripted(vec![reply; 3]).await;
        let failed = gemini.get_file("files/a").await.unwrap_err();
        assert!(!texts(&failed).contains(KEY), "{failed:?}");
        assert!(!format!("{gemini:?}").contains(KEY));
    }
    let nobody = Address::new();
    let failed = Gemini::new(settings(&nobody.url())).unwrap().models().await.unwrap_err();
    assert!(!texts(&failed).contains(KEY), "{failed:?}");
    assert!(!format!("{:?}", settings(&nobody.url())).contains(KEY));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_without_showing_the_key() {
    let refused = |settings: Settings| Gemini::new(settings).unwrap_err();
    let base = "https://generativelanguage.googleapis.com";
    assert_eq!(refused(Settings { key: "  \n".into(), ..settings(base) }).kind(), ErrorKind::KeyMissing);
    let broken = refused(Settings { key: "AIza\nSecret".into(), ..settings(base) });
    assert_eq!(broken.kind(), ErrorKind::Auth);
    assert!(!texts(&broken).contains("Secret"));
    for base in ["", "ftp://host", "no url", "https://user:word@host", "https://host?key=1"] {
        assert_eq!(refused(settings(base)).kind(), ErrorKind::InvalidArgument, "{base}");
    }
    let version = Settings { api_version: "v1/../x".into(), ..settings(base) };
    assert_eq!(refused(version).kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let server = Scripted::start([found()]).await;
    let base = format!("{}/gateway", server.base_url);
    Gemini::new(settings(&base)).unwrap().get_file("files/a").await.unwrap();
    assert_eq!(server.seen()[0].target, "/gateway/v1beta/files/a");
}

#[tokio::test]
async fn a_page_token_is_escaped() {
    let (server, gemini) = scripted([Reply::json(200, json!({"files": [], "nextPageToken": ""}))]).await;
    assert_eq!(gemini.list_files(100, Some("a&b=c d")).await.unwrap().next, None);
    assert_eq!(server.seen()[0].target, "/v1beta/files?pageSize=100&pageToken=a%26b%3Dc+d");
}

#[tokio::test]
async fn one_try_means_one_request() {
    let server = Scripted::start([Reply::HangUp, found()]).await;
    let retry = RetryPolicy { max_tries: 1, ..RetryPolicy::default() };
    let gemini = Gemini::new(Settings { retry, ..settings(&server.base_url) }).unwrap();
    assert_eq!(gemini.get_file("files/a").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn calls_may_run_on_any_thread() {
    fn on_any_thread<T: Send>(_call: T) {}
    let (_server, gemini) = scripted([]).await;
    let (monitor, mut sink) = (Silent::default(), Vec::new());
    let input_file = "files/a";
    let batch = NewBatch { display_name: "a", input_file, priority: None, webhook_uris: &[] };
    on_any_thread(gemini.create_batch("m", Kind::Generate, batch));
    on_any_thread(gemini.get_batch("batches/a"));
    let range = FileRange::whole(tempfile::tempfile().unwrap()).unwrap();
    let new = NewFile { range, display_name: "a", sha256: None };
    on_any_thread(gemini.upload(new, None, &|_| Ok(()), &monitor));
    on_any_thread(gemini.find_batches(None, &|_| true));
    on_any_thread(gemini.download("files/a", &mut sink, &monitor));
    on_any_thread(gemini.inline_results("batches/a", &mut sink));
}
