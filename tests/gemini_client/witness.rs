//! What a witness of the calls is told: every exchange once, and nothing that is secret.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gemini_batch_mcp::gemini::{CallRecord, FileRange, Gemini, NewBatch, NewFile, Settings, Witness};
use gemini_batch_mcp::job::Kind;
use gemini_batch_mcp::progress::Silent;
use serde_json::json;

use super::address::Address;
use super::scripted::{Reply, Scripted};
use super::upload::{CONTENT, done, file, more, received, started};
use super::{KEY, settings};

#[derive(Debug, Default)]
struct Book(Mutex<Vec<CallRecord>>);

impl Witness for Book {
    fn saw(&self, call: &CallRecord) {
        self.0.lock().unwrap().push(call.clone());
    }
}

impl Book {
    fn told(&self) -> Vec<String> {
        let told = |call: &CallRecord| {
            let status = call.status.map_or("-".to_owned(), |status| status.to_string());
            format!("{} {} {status} {}", call.method, call.resource, call.outcome)
        };
        self.0.lock().unwrap().iter().map(told).collect()
    }
}

async fn watched(script: impl IntoIterator<Item = Reply>) -> (Scripted, Gemini, Arc<Book>) {
    let server = Scripted::start(script).await;
    let book = Arc::new(Book::default());
    // A path in front of the version is no part of a resource.
    let base_url = format!("{}/gateway", server.base_url);
    let witness = Some(Arc::clone(&book) as Arc<dyn Witness>);
    let gemini = Gemini::new(Settings { base_url, witness, ..settings("") }).unwrap();
    (server, gemini, book)
}

fn batch() -> Reply {
    Reply::json(200, json!({"name": "batches/b", "metadata": {"state": "BATCH_STATE_RUNNING"}}))
}

fn refused(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({"error": {"code": status, "message": message}}))
}

#[tokio::test]
async fn every_call_is_told_with_what_it_is_about() {
    let page = || Reply::json(200, "{}");
    let script = [batch(), batch(), page(), page(), page(), page(), Reply::json(200, json!({"totalTokens": 3}))];
    let (_server, gemini, book) = watched(script).await;
    let input_file = "files/in";
    let new = NewBatch { display_name: "secret-name", input_file, priority: None, webhook_uris: &[] };
    gemini.create_batch("m", Kind::Generate, new).await.unwrap();
    gemini.get_batch("batches/b").await.unwrap();
    gemini.list_batches(9, Some("secret-token")).await.unwrap();
    gemini.cancel_batch("batches/b").await.unwrap();
    gemini.delete_file("files/in").await.unwrap();
    gemini.inline_results("batches/b", &mut Vec::new()).await.unwrap();
    gemini.count_tokens("m", Kind::Generate, r#"{"contents":"secret"}"#).await.unwrap();
    assert_eq!(
        book.told(),
        [
            "POST models/m:batchGenerateContent 200 ok",
            "GET batches/b 200 ok",
            "GET batches 200 ok",
            "POST batches/b:cancel 200 ok",
            "DELETE files/in 200 ok",
            "GET batches/b 200 ok",
            "POST models/m:countTokens 200 ok",
        ]
    );
}

#[tokio::test]
async fn every_request_of_an_upload_is_told_without_its_secret() {
    let (_server, gemini, book) = watched([started(), more(), Reply::HangUp, received(8), more(), done()]).await;
    let new = NewFile { range: FileRange::whole(file(CONTENT)).unwrap(), display_name: "x", sha256: None };
    gemini.upload(new, None, &|_| Ok(()), &Silent::default()).await.unwrap();
    let ok = "POST upload 200 ok";
    assert_eq!(book.told(), [ok, ok, "POST upload - lost", ok, ok, ok]);
    let all = format!("{:?}", book.0.lock().unwrap());
    assert!(!all.contains("SECRET") && !all.contains("elsewhere") && !all.contains(KEY), "{all}");
}

#[tokio::test]
async fn every_try_is_told_with_how_it_failed() {
    let told = [
        (Reply::HangUp, "- lost"),
        (Reply::CutOff { announced: 99, body: b"{".to_vec() }, "200 lost"),
        (Reply::Silence(Duration::from_secs(2)), "- timed_out"),
        (Reply::Stall { announced: 99, body: b"{".to_vec() }, "200 timed_out"),
        (Reply::empty(408), "408 timed_out"),
        (refused(429, "slow down"), "429 throttled"),
        (refused(503, "no"), "503 server_fault"),
    ];
    for (reply, how) in told {
        for stream in [false, true] {
            let fine = Reply::json(200, json!({"name": "files/a"}));
            let (server, gemini, book) = watched([reply.clone(), fine]).await;
            if stream {
                // A stream that has begun is not repeated by the client.
                let _ = gemini.download("files/a", &mut Vec::new(), &Silent::default()).await;
            } else {
                gemini.get_file("files/a").await.unwrap();
            }
            let path = if stream { "files/a:download" } else { "files/a" };
            assert_eq!(book.told()[0], format!("GET {path} {how}"));
            assert_eq!(book.told().len(), server.seen().len(), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_that_is_final_is_told_once() {
    let inside = Reply::json(200, json!({"error": {"code": 400, "message": "inside"}}));
    let told = [
        (refused(404, "no"), "404 refused"),
        (inside, "200 refused"),
        (Reply::empty(302), "302 redirected"),
        (Reply::page(200), "200 unreadable"),
    ];
    for (reply, how) in told {
        let (_server, gemini, book) = watched([reply]).await;
        gemini.get_file("files/a").await.unwrap_err();
        assert_eq!(book.told(), [format!("GET files/a {how}")]);
    }
    // Read from a temporary file, and of a stream.
    let (_server, gemini, book) = watched([Reply::page(200), Reply::page(200)]).await;
    gemini.get_batch("batches/a").await.unwrap_err();
    gemini.download("files/a", &mut Vec::new(), &Silent::default()).await.unwrap_err();
    assert_eq!(book.told(), ["GET batches/a 200 unreadable", "GET files/a:download 200 unreadable"]);
}

#[tokio::test]
async fn nothing_sent_is_told_as_such() {
    let nobody = Address::new();
    let book = Arc::new(Book::default());
    let witness = Some(Arc::clone(&book) as Arc<dyn Witness>);
    let gemini = Gemini::new(Settings { base_url: nobody.url(), witness, ..settings("") }).unwrap();
    gemini.get_file("files/a").await.unwrap_err();
    assert_eq!(book.told(), vec!["GET files/a - not_sent"; 3]);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_told_too() {
    let (_server, gemini, book) = watched([Reply::Silence(Duration::from_secs(2))]).await;
    let given_up = tokio::time::timeout(Duration::from_millis(100), gemini.get_file("files/a")).await;
    assert!(given_up.is_err());
    assert_eq!(book.told(), ["GET files/a - abandoned"]);
    assert!(book.0.lock().unwrap()[0].latency >= Duration::from_millis(90));
}
