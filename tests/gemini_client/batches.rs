//! Creating, reading, listing and ending batches; models.

use std::time::Duration;

use gemini_batch_mcp::error::{Error, ErrorKind};
use gemini_batch_mcp::gemini::{Gemini, InlineResults, NewBatch, RemoteBatch, RemoteOutput, RetryPolicy, Settings};
use gemini_batch_mcp::job::{JobState, Kind};
use serde_json::{Value, json};

use super::address::Address;
use super::scripted::{Reply, Scripted};
use super::{KEY, scripted, settings, texts};

fn pending() -> Value {
    json!({"name": "batches/7h9w", "metadata": {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": "models/gemini-2.5-flash", "displayName": "nightly-42", "inputConfig": {"fileName": "files/85na"},
        "createTime": "2025-09-07T11:55:07.827892252Z", "updateTime": "2025-09-07T11:55:07.827892252Z",
        "batchStats": {"requestCount": "5", "pendingRequestCount": "5"},
        "state": "BATCH_STATE_PENDING", "name": "batches/7h9w"}})
}

fn from_file<'a>() -> NewBatch<'a> {
    NewBatch { display_name: "nightly-42", input_file: "files/85na", priority: None, webhook_uris: &[] }
}

async fn create(gemini: &Gemini) -> Result<RemoteBatch, Error> {
    gemini.create_batch("gemini-2.5-flash", Kind::Generate, from_file()).await
}

async fn got(body: Value) -> RemoteBatch {
    let (_server, gemini) = scripted([Reply::json(200, body)]).await;
    gemini.get_batch("batches/7h9w").await.unwrap()
}

#[tokio::test]
async fn a_file_batch_is_created_as_documented() {
    let (server, gemini) = scripted([Reply::json(200, pending())]).await;
    let batch = create(&gemini).await.unwrap();
    assert_eq!((batch.name.as_str(), batch.state), ("batches/7h9w", JobState::Pending));
    assert_eq!(batch.input_file.as_deref(), Some("files/85na"));
    let request = &server.seen()[0];
    assert_eq!(request.target, "/v1beta/models/gemini-2.5-flash:batchGenerateContent");
    assert_eq!(
        request.json(),
        json!({"batch": {"displayName": "nightly-42", "inputConfig": {"fileName": "files/85na"}}})
    );
}

#[tokio::test]
async fn a_batch_of_embeddings_carries_priority_and_webhooks() {
    let (server, gemini) = scripted([Reply::json(200, pending())]).await;
    let uris = ["https://example.org/hook".to_owned()];
    let batch = NewBatch { display_name: "e", priority: Some(-3), webhook_uris: &uris, ..from_file() };
    gemini.create_batch("models/gemini-embedding-001", Kind::Embed, batch).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.target, "/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent");
    assert_eq!(
        seen.json(),
        json!({"batch": {"displayName": "e", "priority": "-3", "inputConfig": {"fileName": "files/85na"},
            "webhookConfig": {"uris": ["https://example.org/hook"]}}})
    );
}

#[tokio::test]
async fn a_create_whose_outcome_is_unclear_is_sent_once_and_says_so() {
    let unclear = [
        Reply::HangUp,
        Reply::Silence(Duration::from_millis(600)),
        Reply::CutOff { announced: 500, body: b"{\"name\":\"bat".to_vec() },
        Reply::json(500, r#"{"error":{"code":500,"message":"oops","status":"INTERNAL"}}"#),
        Reply::page(502),
        Reply::page(503),
        Reply::empty(504),
        Reply::empty(408),
        Reply::empty(499),
        Reply::page(200),
        Reply::empty(200),
        Reply::json(200, "{}"),
        Reply::empty(303),
        Reply::json(200, r#"{"error":{"code":13,"message":"oops"}}"#),
    ];
    for reply in unclear {
        let (server, gemini) = scripted([reply.clone(), Reply::json(200, pending())]).await;
        let failed = create(&gemini).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::UnclearOutcome, "{reply:?} {failed:?}");
        assert!(failed.next_step().unwrap().contains("display name"), "{failed:?}");
        assert_eq!(server.seen().len(), 1, "{reply:?}");
        assert!(!texts(&failed).contains(KEY));
    }
}

#[tokio::test]
async fn a_create_that_certainly_failed_says_so_and_is_sent_once() {
    let clear =
        [(400, ErrorKind::Refused), (403, ErrorKind::Auth), (404, ErrorKind::NotFound), (429, ErrorKind::Quota)];
    for (status, kind) in clear {
        let reply = Reply::json(status, json!({"error": {"code": status, "message": "no"}}));
        let (server, gemini) = scripted([reply, Reply::json(200, pending())]).await;
        let failed = create(&gemini).await.unwrap_err();
        assert_eq!((failed.kind(), server.seen().len()), (kind, 1), "{failed:?}");
    }
    let inside = Reply::json(200, r#"{"error":{"code":400,"message":"Unsupported model"}}"#);
    let (_server, gemini) = scripted([inside]).await;
    assert_eq!(create(&gemini).await.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_create_that_never_left_is_unavailable() {
    let nobody = Address::new();
    let gemini = Gemini::new(Settings { base_url: nobody.url(), ..settings("") }).unwrap();
    let failed = create(&gemini).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert!(failed.next_step().unwrap().contains("nothing was sent"), "{failed:?}");
}

#[tokio::test]
async fn a_quota_names_the_wait_and_a_missing_model_is_named() {
    let asked = json!({"error": {"code": 429, "message": "quota", "details": [{"retryDelay": "36s"}]}});
    let (_server, gemini) = scripted([Reply::json(429, asked)]).await;
    let failed = create(&gemini).await.unwrap_err();
    assert!(failed.next_step().unwrap().contains("wait 36 s"), "{failed:?}");

    let gone = json!({"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}});
    let (_server, gemini) = scripted([Reply::json(404, gone)]).await;
    let failed = create(&gemini).await.unwrap_err();
    assert!(failed.cause().starts_with("unknown or withdrawn model"), "{failed:?}");
}

#[tokio::test]
async fn a_file_that_the_key_may_not_use_is_not_taken_for_a_model() {
    let refusal = |message: &str| {
        Reply::json(403, json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": message}}))
    };
    let about_file = "You do not have permission to access the File 85na or it may not exist.";
    for (message, kind, hint) in [
        (about_file, ErrorKind::NotFound, "an upload can be made again"),
        ("Generative Language API is blocked", ErrorKind::Auth, "AI Studio"),
    ] {
        let (_server, gemini) = scripted([refusal(message)]).await;
        let failed = create(&gemini).await.unwrap_err();
        assert_eq!(failed.kind(), kind);
        assert!(failed.next_step().unwrap().contains(hint), "{failed:?}");
    }
    let gone = json!({"error": {"code": 404, "message": "files/85na is not found"}});
    let (_server, gemini) = scripted([Reply::json(404, gone)]).await;
    assert!(!create(&gemini).await.unwrap_err().cause().contains("model"));
}

#[tokio::test]
async fn counters_are_strings_or_numbers_and_left_out_when_zero() {
    let mut body = pending();
    body["metadata"]["batchStats"] = json!({"requestCount": "5", "successfulRequestCount": 5});
    let counts = got(body).await.counts;
    assert_eq!((counts.total, counts.succeeded, counts.failed, counts.pending), (Some(5), Some(5), Some(0), Some(0)));

    let mut body = pending();
    body["metadata"]["batchStats"] = Value::Null;
    let counts = got(body).await.counts;
    assert_eq!((counts.total, counts.failed), (None, None));
}

#[tokio::test]
async fn both_spellings_of_a_state_are_read_and_strange_ones_survive() {
    for (word, state) in [
        ("BATCH_STATE_RUNNING", JobState::Running),
        ("JOB_STATE_RUNNING", JobState::Running),
        ("BATCH_STATE_UNSPECIFIED", JobState::Pending),
        ("BATCH_STATE_PAUSED", JobState::Unknown),
    ] {
        let mut body = pending();
        body["metadata"]["state"] = json!(word);
        let batch = got(body).await;
        assert_eq!((batch.state, batch.wire_state.as_str()), (state, word));
    }
}

#[tokio::test]
async fn unknown_fields_survive() {
    let mut body = pending();
    body["metadata"]["newThing"] = json!({"a": [1, "2"]});
    body["newer"] = json!(1);
    let batch = got(body).await;
    assert_eq!(batch.other.get("newThing"), Some(&json!({"a": [1, "2"]})));
    assert_eq!(batch.other.keys().collect::<Vec<_>>(), ["newThing"]);
}

#[tokio::test]
async fn the_message_type_tells_what_a_batch_asks_for() {
    for (message, kind) in [
        ("type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch", Some(Kind::Generate)),
        ("type.googleapis.com/google.ai.generativelanguage.v1beta.EmbedContentBatch", Some(Kind::Embed)),
        ("type.googleapis.com/google.ai.generativelanguage.v1main.DreamBatch", None),
    ] {
        let mut body = pending();
        body["metadata"]["@type"] = json!(message);
        assert_eq!(got(body).await.kind, kind);
    }
}

#[tokio::test]
async fn without_a_state_the_operation_tells() {
    let state = |body| async { got(body).await.state };
    assert_eq!(state(json!({"name": "batches/a"})).await, JobState::Pending);
    assert_eq!(state(json!({"name": "batches/a", "done": true, "response": {}})).await, JobState::Succeeded);
    assert_eq!(state(json!({"name": "batches/a", "done": true, "error": {"code": 1}})).await, JobState::Cancelled);
    assert_eq!(state(json!({"name": "batches/a", "done": true, "error": {"code": 13}})).await, JobState::Failed);
}

#[tokio::test]
async fn an_error_has_a_number_or_a_word() {
    for (code, text) in [(json!(13), "13"), (json!("invalid_request"), "invalid_request")] {
        let batch = got(json!({"name": "batches/a", "done": true, "error": {"code": code, "message": "oh\nno"}})).await;
        let error = batch.error.unwrap();
        assert_eq!((error.code.as_str(), error.message.as_str()), (text, "oh no"));
    }
}

#[tokio::test]
async fn output_is_looked_for_in_both_places() {
    let done = |response: Value, output: Value| {
        let mut body = pending();
        body["metadata"]["state"] = json!("BATCH_STATE_SUCCEEDED");
        body["metadata"]["output"] = output;
        body["done"] = json!(true);
        body["response"] = response;
        body
    };
    let file = json!({"responsesFile": "files/batch-o08h"});
    let inline = json!({"inlinedResponses": {"inlinedResponses": [{"response": {}}]}});
    let there = RemoteOutput::File("files/batch-o08h".into());
    assert_eq!(got(done(file.clone(), Value::Null)).await.output, there);
    assert_eq!(got(done(Value::Null, file)).await.output, there);
    assert_eq!(got(done(inline.clone(), Value::Null)).await.output, RemoteOutput::Inline);
    assert_eq!(got(done(json!({}), inline)).await.output, RemoteOutput::Inline);
    // Succeeded before the output is there: the caller asks again.
    let early = got(done(json!({"@type": "x"}), Value::Null)).await;
    assert_eq!((early.state, early.output), (JobState::Succeeded, RemoteOutput::None));
}

#[tokio::test]
async fn a_wrapped_batch_is_unwrapped_and_a_page_is_named() {
    let batch = got(json!([pending()])).await;
    assert_eq!(batch.name, "batches/7h9w");
    let (_server, gemini) = scripted([Reply::page(200)]).await;
    let failed = gemini.get_batch("batches/7h9w").await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::UnexpectedAnswer);
    assert!(failed.cause().contains("web page"), "{failed:?}");
}

#[tokio::test]
async fn an_empty_list_is_an_empty_object_and_pages_are_followed_by_token() {
    let page = json!({"operations": [pending()], "nextPageToken": "t2"});
    let (server, gemini) = scripted([Reply::json(200, page), Reply::json(200, "{}")]).await;
    let first = gemini.list_batches(50, None).await.unwrap();
    assert_eq!((first.items.len(), first.next.as_deref()), (1, Some("t2")));
    let second = gemini.list_batches(50, Some("t2")).await.unwrap();
    assert_eq!((second.items.len(), second.next), (0, None));
    let targets: Vec<_> = server.seen().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/v1beta/batches?pageSize=50", "/v1beta/batches?pageSize=50&pageToken=t2"]);
}

#[tokio::test]
async fn cancel_and_delete_take_any_empty_answer() {
    let (server, gemini) = scripted([Reply::json(200, "{}"), Reply::empty(200)]).await;
    gemini.cancel_batch("batches/a").await.unwrap();
    gemini.delete_batch("batches/a").await.unwrap();
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("POST", "/v1beta/batches/a:cancel"));
    assert_eq!(seen[0].header("content-length"), "0");
    assert_eq!((seen[1].method.as_str(), seen[1].target.as_str()), ("DELETE", "/v1beta/batches/a"));
}

#[tokio::test]
async fn cancelling_what_has_ended_is_a_wrong_state() {
    let ended = json!({"error": {"code": 400, "message": "already done", "status": "FAILED_PRECONDITION"}});
    let (_server, gemini) = scripted([Reply::json(400, ended)]).await;
    assert_eq!(gemini.cancel_batch("batches/a").await.unwrap_err().kind(), ErrorKind::WrongState);
}

#[tokio::test]
async fn names_from_outside_reach_no_other_path() {
    let (server, gemini) = scripted([]).await;
    for name in ["batches/../files/x", "batches/a?key=1", "7h9w", "batches/a:cancel", ""] {
        assert_eq!(gemini.get_batch(name).await.unwrap_err().kind(), ErrorKind::InvalidArgument, "{name}");
        assert_eq!(gemini.cancel_batch(name).await.unwrap_err().kind(), ErrorKind::InvalidArgument, "{name}");
    }
    assert_eq!(gemini.model("../files").await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(server.seen().is_empty());
}

async fn inline(body: String) -> (InlineResults, Vec<Value>) {
    let (_server, gemini) = scripted([Reply::json(200, body)]).await;
    let mut sink = Vec::new();
    let results = gemini.inline_results("batches/a", &mut sink).await.unwrap();
    let text = String::from_utf8(sink).unwrap();
    (results, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test]
async fn inline_results_become_lines_once_with_their_keys() {
    let list = json!({"inlinedResponses": {"inlinedResponses": [
        {"response": {"candidates": [{"content": "a\nb"}]}, "metadata": {"key": "r-2"}},
        {"metadata": {"key": "r-1"}, "error": {"code": 3, "message": "no"}}]}});
    let body = json!({"name": "batches/a", "metadata": {"state": "BATCH_STATE_SUCCEEDED", "output": list}, "done": true,
        "response": list});
    let (results, lines) = inline(serde_json::to_string_pretty(&body).unwrap()).await;
    assert_eq!(results, InlineResults { lines: 2, without_key: 0 });
    assert_eq!(
        lines,
        [
            json!({"key": "r-2", "response": {"candidates": [{"content": "a\nb"}]}}),
            json!({"key": "r-1", "error": {"code": 3, "message": "no"}})
        ]
    );
}

#[tokio::test]
async fn inline_results_may_be_in_the_metadata_only_and_without_keys() {
    let list = json!({"inlinedResponses": {"inlinedResponses": [{"response": {"a": 1}}, {"metadata": {}}]}});
    let body = json!([{"name": "batches/a", "metadata": {"output": list}, "response": {"inlinedResponses": null}}]);
    let (results, lines) = inline(body.to_string()).await;
    assert_eq!(results, InlineResults { lines: 2, without_key: 2 });
    assert_eq!(lines[0], json!({"key": "#0", "response": {"a": 1}}));
    assert_eq!(lines[1]["key"], "#1");
    assert!(lines[1]["error"]["message"].is_string());
}

#[tokio::test]
async fn a_large_inline_batch_that_breaks_off_is_fetched_again() {
    let text = "x".repeat(3_000_000);
    let body = json!({"response": {"inlinedResponses": {"inlinedResponses": [
        {"response": {"text": text}, "metadata": {"key": "k"}}]}}})
    .to_string();
    let cut = Reply::CutOff { announced: body.len(), body: body.as_bytes()[..2_000_000].to_vec() };
    let (server, gemini) = scripted([cut, Reply::json(200, body)]).await;
    let mut sink = Vec::new();
    let results = gemini.inline_results("batches/a", &mut sink).await.unwrap();
    assert_eq!((results.lines, server.seen().len()), (1, 2));
    assert_eq!(serde_json::from_slice::<Value>(&sink).unwrap()["response"]["text"], text);
}

#[tokio::test]
async fn a_batch_that_the_api_cannot_deliver_is_explained_not_hammered() {
    let failures = [
        Reply::json(503, json!({"error": {"code": 503, "message": "unavailable", "status": "UNAVAILABLE"}})),
        Reply::empty(504),
        Reply::Silence(Duration::from_secs(2)),
    ];
    for reply in failures {
        for fetch in [false, true] {
            let server = Scripted::start(vec![reply.clone(); 9]).await;
            let retry = RetryPolicy { max_tries: 8, ..settings("").retry };
            let gemini = Gemini::new(Settings { retry, ..settings(&server.base_url) }).unwrap();
            let failed = if fetch {
                gemini.inline_results("batches/a", &mut Vec::new()).await.unwrap_err()
            } else {
                gemini.get_batch("batches/a").await.unwrap_err()
            };
            assert_eq!((failed.kind(), server.seen().len()), (ErrorKind::Unavailable, 3), "{failed:?}");
            for word in ["inline", "too large", "billed"] {
                assert!(failed.cause().contains(word), "{failed:?}");
            }
            for word in ["wait", "cancel", "file"] {
                assert!(failed.next_step().unwrap().contains(word), "{failed:?}");
            }
        }
    }
}

#[tokio::test]
async fn another_failure_of_a_batch_is_not_laid_to_its_size() {
    for reply in [Reply::empty(500), Reply::HangUp] {
        let (_server, gemini) = scripted(vec![reply; 9]).await;
        let failed = gemini.get_batch("batches/a").await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
        assert!(!failed.cause().contains("large"), "{failed:?}");
    }
    let (server, gemini) = scripted([Reply::empty(503), Reply::empty(503), Reply::json(200, pending())]).await;
    gemini.get_batch("batches/7h9w").await.unwrap();
    assert_eq!(server.left(), 0);
}

#[tokio::test]
async fn inline_results_of_a_page_are_no_results() {
    let (_server, gemini) = scripted([Reply::page(200)]).await;
    let failed = gemini.inline_results("batches/a", &mut Vec::new()).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::UnexpectedAnswer);
    assert!(failed.cause().contains("web page"), "{failed:?}");
}

#[tokio::test]
async fn models_are_listed_over_all_pages() {
    let page = |name: &str, token: &str| {
        Reply::json(
            200,
            json!({"models": [{"name": name, "inputTokenLimit": 1_048_576, "outputTokenLimit": "65536",
            "supportedGenerationMethods": ["generateContent", "batchGenerateContent"]}], "nextPageToken": token}),
        )
    };
    let (server, gemini) = scripted([page("models/a", "t"), page("models/b", "")]).await;
    let models = gemini.models().await.unwrap();
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((models[0].input_token_limit, models[0].output_token_limit), (Some(1_048_576), Some(65_536)));
    assert!(models[0].takes_batches(Kind::Generate) && !models[0].takes_batches(Kind::Embed));
    assert_eq!(server.seen()[1].target, "/v1beta/models?pageSize=1000&pageToken=t");
}

#[tokio::test]
async fn tokens_are_counted_for_a_whole_request() {
    let counted = Reply::json(200, json!({"totalTokens": 31}));
    let (server, gemini) = scripted([counted.clone(), counted]).await;
    let request = r#"{"contents":[{"parts":[{"text":"a"}]}],"systemInstruction":{"parts":[{"text":"b"}]}}"#;
    assert_eq!(gemini.count_tokens("gemini-2.5-flash", Kind::Generate, request).await.unwrap(), 31);
    let seen = &server.seen()[0];
    assert_eq!(seen.target, "/v1beta/models/gemini-2.5-flash:countTokens");
    assert_eq!(seen.json()["generateContentRequest"]["model"], "models/gemini-2.5-flash");
    assert_eq!(seen.json()["generateContentRequest"]["contents"][0]["parts"][0]["text"], "a");
    let request = r#"{"content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING"}"#;
    gemini.count_tokens("gemini-embedding-001", Kind::Embed, request).await.unwrap();
    assert_eq!(server.seen()[1].json(), json!({"contents": [{"parts": [{"text": "a"}]}]}));
}
