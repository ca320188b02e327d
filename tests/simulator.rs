//! The simulator over real HTTP, request by request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, ManualClock, Options, Pace, Simulator};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GRANULARITY: usize = 1024;

/// A simulator in a folder of its own, and how to ask it.
struct World {
    simulator: Simulator,
    clock: ManualClock,
    folder: TempDir,
    client: Client,
    key: &'static str,
}

impl World {
    async fn new(pace: Pace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::default();
        let simulator = start(&folder, &clock, pace).await;
        Self { simulator, clock, folder, client: client(), key: "test-key" }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.simulator.url()) };
        self.client.request(method, url).header("x-goog-api-key", self.key)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.ask(Method::GET, path).send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.ask(Method::POST, path).body(body.to_string()).send().await.unwrap()).await
    }

    async fn start_upload(&self, length: usize, mime: &str) -> String {
        let answer = self
            .ask(Method::POST, "/upload/v1beta/files")
            .header("x-goog-upload-protocol", "resumable")
            .header("x-goog-upload-command", "start")
            .header("x-goog-upload-header-content-length", length)
            .header("x-goog-upload-header-content-type", mime)
            .body(json!({"file": {"displayName": "requests.jsonl"}}).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.headers()["x-goog-upload-status"], "active");
        assert_eq!(answer.headers()["x-goog-upload-chunk-granularity"], "1024");
        answer.headers()["x-goog-upload-url"].to_str().unwrap().to_owned()
    }

    fn chunk(&self, url: &str, command: &str, offset: usize, bytes: &[u8]) -> RequestBuilder {
        self.client
            .post(url)
            .header("x-goog-upload-command", command)
            .header("x-goog-upload-offset", offset)
            .body(bytes.to_vec())
    }

    async fn upload(&self, text: &str) -> String {
        let url = self.start_upload(text.len(), "application/jsonl").await;
        let (status, body) = read(self.chunk(&url, "upload, finalize", 0, text.as_bytes()).send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        body["file"]["name"].as_str().unwrap().to_owned()
    }

    async fn create(&self, input: Value) -> (u16, Value) {
        let body = json!({"batch": {"displayName": "b", "inputConfig": input}});
        self.post("/v1beta/models/gemini-3.8-flash:batchGenerateContent", body).await
    }

    async fn create_from(&self, text: &str) -> String {
        let file = self.upload(text).await;
        let (status, batch) = self.create(json!({"fileName": file})).await;
        assert_eq!(status, 200, "{batch}");
        batch["name"].as_str().unwrap().to_owned()
    }

    async fn download(&self, file: &str) -> String {
        let answer = self.ask(Method::GET, &format!("/v1beta/{file}:download?alt=media")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }
}

impl World {
    /// Posts without looking at the reply before all is sent, as simple clients do.
    async fn send_then_read(&self, path: &str, headers: &str, body: &[u8]) -> String {
        let host = self.simulator.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).await.unwrap();
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        let head = format!("{head}content-length: {length}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }
}

async fn start(folder: &TempDir, clock: &ManualClock, pace: Pace) -> Simulator {
    let mut options = Options::new(folder.path());
    options.clock = Arc::new(clock.clone());
    options.pace = pace;
    options.granularity = GRANULARITY as u64;
    options.refused_mime_types = vec!["jsonl".into()];
    Simulator::start(options).await.unwrap()
}

fn client() -> Client {
    // The client wants a TLS provider even where it never speaks TLS.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn line(key: &str, prompt: &str) -> String {
    let contents = json!([{"role": "user", "parts": [{"text": prompt}]}]);
    json!({"key": key, "request": {"contents": contents}}).to_string()
}

fn lines(count: usize) -> String {
    (0..count).map(|n| line(&format!("r-{n}"), &format!("Question {n}")) + "\n").collect()
}

fn keys(text: &str) -> Vec<String> {
    let key = |line: &str| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
    text.lines().map(key).collect()
}

#[tokio::test]
async fn a_file_is_uploaded_in_chunks_whose_offsets_are_checked() {
    let world = World::new(Pace::instant()).await;
    let bytes = vec![b'x'; 2500];
    let url = world.start_upload(bytes.len(), "application/jsonl").await;
    let first = world.chunk(&url, "upload", 0, &bytes[..2048]).send().await.unwrap();
    assert_eq!(first.headers()["x-goog-upload-status"], "active");
    for offset in [0, 1024, 2049] {
        let wrong = world.chunk(&url, "upload", offset, b"").send().await.unwrap();
        assert_eq!(wrong.status(), 400);
    }
    let query = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(query.headers()["x-goog-upload-size-received"], "2048");
    let last = world.chunk(&url, "upload, finalize", 2048, &bytes[2048..]).send().await.unwrap();
    assert_eq!(last.headers()["x-goog-upload-status"], "final");
    let (_, body) = read(last).await;
    assert_eq!(body["file"]["sizeBytes"], "2500");
    assert_eq!(body["file"]["state"], "ACTIVE");
    let again = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(again.headers()["x-goog-upload-status"], "final");
}

#[tokio::test]
async fn a_refusal_reaches_a_caller_who_reads_only_after_sending_all() {
    let world = World::new(Pace::instant()).await;
    let large = vec![b'x'; 24 * 1024 * 1024];
    let url = world.start_upload(large.len(), "text/plain").await;
    let upload = url.replace(world.simulator.url(), "");
    let chunk = "x-goog-upload-command: upload\r\nx-goog-upload-offset: 7\r\n";
    assert!(world.send_then_read(&upload, chunk, &large).await.starts_with("HTTP/1.1 400 "));
    world.simulator.faults().next(Call::UploadChunk, Fault::Status { code: 503, body: ErrorBody::Empty });
    assert!(world.send_then_read(&upload, chunk, &large).await.starts_with("HTTP/1.1 503 "));
    let create = "/v1beta/models/gemini-3.8-flash:batchGenerateContent?key=k";
    let refusal = world.send_then_read(create, "", &large).await;
    assert!(refusal.starts_with("HTTP/1.1 400 "));
    assert!(refusal.contains("payload size exceeds the limit"));
}

#[tokio::test]
async fn a_hash_is_the_base64_of_its_hexadecimal_text() {
    let world = World::new(Pace::instant()).await;
    let file = world.upload("abc").await;
    let (_, shown) = world.get(&format!("/v1beta/{file}")).await;
    let expected = "YmE3ODE2YmY4ZjAxY2ZlYTQxNDE0MGRlNWRhZTIyMjNiMDAzNjFhMzk2MTc3YTljYjQxMGZmNjFmMjAwMTVhZA==";
    assert_eq!(shown["sha256Hash"], expected);
}

#[tokio::test]
async fn uploads_of_a_wrong_length_or_in_crooked_chunks_are_refused() {
    let world = World::new(Pace::instant()).await;
    let url = world.start_upload(3000, "text/plain").await;
    assert_eq!(world.chunk(&url, "upload", 0, &[b'x'; 1000]).send().await.unwrap().status(), 400);
    let query = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(query.headers()["x-goog-upload-size-received"], "0");
    let short = world.chunk(&url, "upload, finalize", 0, &[b'x'; 2999]).send().await.unwrap();
    assert_eq!(short.status(), 400);
    let other = world.start_upload(10, "text/plain").await;
    assert_eq!(world.chunk(&other, "upload, finalize", 0, &[b'x'; 11]).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_refused_mime_type_is_an_error_inside_a_success() {
    let world = World::new(Pace::instant()).await;
    let url = world.start_upload(1, "jsonl").await;
    let (status, body) = read(world.chunk(&url, "upload, finalize", 0, b"x").send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(body["error"]["message"], "Unsupported MIME type: jsonl");
    world.simulator.faults().next(Call::Finalize, Fault::UnsupportedMime);
    let url = world.start_upload(1, "text/plain").await;
    let (_, body) = read(world.chunk(&url, "upload, finalize", 0, b"x").send().await.unwrap()).await;
    assert_eq!(body["error"]["message"], "Unsupported MIME type: text/plain");
}

#[tokio::test]
async fn files_are_listed_in_pages_newest_first_and_deleted() {
    let world = World::new(Pace::instant()).await;
    assert_eq!(world.get("/v1/files").await, (200, json!({})));
    let mut names = Vec::new();
    for n in 0..12 {
        names.insert(0, world.upload(&format!("file {n}")).await);
        world.clock.advance(Duration::from_secs(1));
    }
    let (_, first) = world.get("/v1beta/files").await;
    let (_, second) = world.get(&format!("/v1beta/files?pageToken={}", first["nextPageToken"].as_str().unwrap())).await;
    let shown = [&first, &second].into_iter().flat_map(|page| page["files"].as_array().unwrap());
    assert_eq!(shown.map(|file| file["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), names);
    assert_eq!(first["files"].as_array().unwrap().len(), 10);
    assert!(second.get("nextPageToken").is_none());

    let (status, _) = read(world.ask(Method::DELETE, &format!("/v1beta/{}", names[0])).send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(world.get(&format!("/v1beta/{}", names[0])).await.0, 403);
}

#[tokio::test]
async fn a_file_dies_after_48_hours_and_its_batch_goes_on() {
    let world = World::new(Pace::realistic()).await;
    let file = world.upload(&lines(2)).await;
    world.clock.advance(Duration::from_secs(48 * 3600 - 1));
    let (_, batch) = world.create(json!({"fileName": file})).await;
    world.clock.advance(Duration::from_secs(1));
    let (status, refusal) = world.get(&format!("/v1beta/{file}")).await;
    assert_eq!((status, &refusal["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
    assert_eq!(world.create(json!({"fileName": file})).await.0, 403);
    world.clock.advance(Duration::from_secs(24 * 3600));
    let (_, done) = world.get(&format!("/v1beta/{}", batch["name"].as_str().unwrap())).await;
    assert_eq!(done["metadata"]["state"], "BATCH_STATE_SUCCEEDED");
    assert_eq!(world.download(done["response"]["responsesFile"].as_str().unwrap()).await.lines().count(), 2);
}

#[tokio::test]
async fn a_batch_moves_through_its_states_and_leaves_zero_counters_out() {
    let world = World::new(Pace::demo()).await;
    let file = world.upload(&lines(60)).await;
    let (_, created) = world.create(json!({"file_name": file})).await;
    let name = created["name"].as_str().unwrap();
    assert_eq!(created["metadata"]["batchStats"], json!({"requestCount": "60", "pendingRequestCount": "60"}));
    assert_eq!(created["metadata"]["state"], "BATCH_STATE_PENDING");
    assert!(created.get("done").is_none());
    let type_name = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch";
    assert_eq!(created["metadata"]["@type"], type_name);

    world.clock.advance(Duration::from_secs(2));
    let (_, running) = world.get(&format!("/v1beta/{name}")).await;
    let expected = json!({"requestCount": "60", "successfulRequestCount": "20", "pendingRequestCount": "40"});
    assert_eq!(running["metadata"]["batchStats"], expected);

    world.clock.advance(Duration::from_secs(2));
    let (_, done) = world.get(&format!("/v1/{name}")).await;
    assert_eq!(done["done"], true);
    let stats = json!({"requestCount": "60", "successfulRequestCount": "60"});
    assert_eq!(done["metadata"]["batchStats"], stats);
    assert_eq!(done["metadata"]["output"]["responsesFile"], done["response"]["responsesFile"]);
    assert_eq!(done["metadata"]["endTime"], "2026-11-22T12:00:04.000000Z");
}

#[tokio::test]
async fn results_are_complete_shuffled_and_the_same_every_time() {
    let world = World::new(Pace::instant()).await;
    let text = lines(300);
    let name = world.create_from(&text).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let results = world.download(batch["response"]["responsesFile"].as_str().unwrap()).await;
    assert_eq!(results, world.download(batch["response"]["responsesFile"].as_str().unwrap()).await);
    let (answered, asked) = (keys(&results), keys(&text));
    assert!(answered.windows(64).all(|window| !asked.windows(64).any(|other| window == other)));
    assert_eq!(answered.len(), 300);
    assert_eq!(answered.into_iter().collect::<BTreeSet<_>>(), asked.into_iter().collect());
}

#[tokio::test]
async fn a_result_file_has_a_name_too_long_for_everything_but_download() {
    let world = World::new(Pace::instant()).await;
    let name = world.create_from(&lines(1)).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let file = batch["response"]["responsesFile"].as_str().unwrap();
    assert_eq!(file.trim_start_matches("files/").len(), 42);
    let (status, refusal) = world.get(&format!("/v1beta/{file}")).await;
    assert_eq!(status, 400);
    assert!(refusal["error"]["message"].as_str().unwrap().contains("cannot be more than 40 characters"));
    assert_eq!(world.ask(Method::DELETE, &format!("/v1beta/{file}")).send().await.unwrap().status(), 400);
    let path = format!("/download/v1beta/{file}:download?alt=media");
    assert_eq!(world.ask(Method::GET, &path).send().await.unwrap().status(), 200);
    let uploaded = world.upload("x").await;
    assert_eq!(world.get(&format!("/v1beta/{uploaded}:download?alt=media")).await.0, 400);
}

#[tokio::test]
async fn markers_change_the_lines_of_the_result_file() {
    let world = World::new(Pace::instant()).await;
    let words = ["failed", "missing", "duplicate", "stranger", "blocked"];
    let text: Vec<_> = words.iter().map(|word| line(word, &format!("Hi [[simulate:{word}]]"))).collect();
    let name = world.create_from(&text.join("\n")).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let stats = json!({"requestCount": "5", "successfulRequestCount": "4", "failedRequestCount": "1"});
    assert_eq!(batch["metadata"]["batchStats"], stats);
    let mut found = keys(&world.download(batch["response"]["responsesFile"].as_str().unwrap()).await);
    found.sort();
    assert_eq!(found, ["blocked", "duplicate", "duplicate", "failed", "nobody-sent-this", "stranger"]);
}

#[tokio::test]
async fn inline_answers_are_nested_twice_and_left_out_of_lists() {
    let world = World::new(Pace::instant()).await;
    let request = |n: u32| json!({"request": {"contents": [{"parts": [{"text": format!("q {n}")}]}]}, "metadata": {"key": format!("r-{n}")}});
    let input = json!({"requests": {"requests": [request(1), request(2)]}});
    let (status, created) = world.create(input).await;
    assert_eq!(status, 200, "{created}");
    let (_, batch) = world.get(&format!("/v1beta/{}", created["name"].as_str().unwrap())).await;
    let answers = batch["response"]["inlinedResponses"]["inlinedResponses"].as_array().unwrap();
    assert_eq!(&batch["metadata"]["output"]["inlinedResponses"]["inlinedResponses"], &json!(answers));
    let keys: BTreeSet<_> = answers.iter().map(|answer| answer["metadata"]["key"].as_str().unwrap()).collect();
    assert_eq!(keys, BTreeSet::from(["r-1", "r-2"]));
    let (_, list) = world.get("/v1beta/batches").await;
    assert!(!list.to_string().contains("inlinedResponses"));
    assert_eq!(list["operations"][0]["done"], true);
}

#[tokio::test]
async fn a_bad_line_refuses_the_whole_create_and_leaves_nothing_behind() {
    let world = World::new(Pace::instant()).await;
    let bad = r#"{"key":"b","request":{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"maxTokens":1}}}"#;
    let file = world.upload(&format!("{}\n{bad}\n", line("a", "hi"))).await;
    let (status, refusal) = world.create(json!({"fileName": file})).await;
    assert_eq!(status, 400);
    let message = refusal["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Error on line 2: invalid JSON, near column "), "{message}");
    assert!(message.ends_with("no such field: 'maxTokens'"), "{message}");
    assert_eq!(world.get("/v1beta/batches").await, (200, json!({})));
}

#[tokio::test]
async fn batches_are_listed_in_pages_newest_first() {
    let world = World::new(Pace::instant()).await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.insert(0, world.create_from(&lines(1)).await);
        world.clock.advance(Duration::from_secs(1));
    }
    let (_, first) = world.get("/v1beta/batches?pageSize=2").await;
    let token = first["nextPageToken"].as_str().unwrap();
    let (_, second) = world.get(&format!("/v1beta/batches?pageSize=2&pageToken={token}")).await;
    let shown = [&first, &second].into_iter().flat_map(|page| page["operations"].as_array().unwrap());
    assert_eq!(shown.map(|batch| batch["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn a_cancelled_batch_is_terminal_and_a_deleted_one_is_gone() {
    let world = World::new(Pace::demo()).await;
    let name = world.create_from(&lines(4)).await;
    let cancel = format!("/v1beta/{name}:cancel");
    assert_eq!(world.post(&cancel, json!({})).await, (200, json!({})));
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    assert_eq!((&batch["done"], &batch["error"]["code"]), (&json!(true), &json!(1)));
    assert_eq!(batch["metadata"]["state"], "BATCH_STATE_CANCELLED");
    let (status, refusal) = world.post(&cancel, json!({})).await;
    assert_eq!((status, &refusal["error"]["status"]), (400, &json!("FAILED_PRECONDITION")));
    let delete = || world.ask(Method::DELETE, &format!("/v1beta/{name}")).send();
    assert_eq!(delete().await.unwrap().status(), 200);
    assert_eq!(delete().await.unwrap().status(), 404);
    assert_eq!(world.get(&format!("/v1beta/{name}")).await.0, 404);
}

#[tokio::test]
async fn batches_fail_and_expire_on_demand() {
    let world = World::new(Pace::demo()).await;
    let failing = world.create_from(&line("a", "[[simulate:job-failed]]")).await;
    let expiring = world.create_from(&line("a", "[[simulate:job-expired]]")).await;
    world.clock.advance(Duration::from_secs(48 * 3600));
    for (name, state) in [(failing, "BATCH_STATE_FAILED"), (expiring, "BATCH_STATE_EXPIRED")] {
        let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
        assert_eq!(batch["metadata"]["state"], state);
        assert!(batch["error"]["code"].is_u64() && batch.get("response").is_none());
    }
}

#[tokio::test]
async fn the_priority_of_a_batch_can_be_changed() {
    let world = World::new(Pace::demo()).await;
    let name = world.create_from(&lines(1)).await;
    let path = format!("/v1beta/{name}:updateGenerateContentBatch?updateMask=priority");
    let answer = world.ask(Method::PATCH, &path).body(r#"{"priority":"-3"}"#).send().await.unwrap();
    assert_eq!(read(answer).await.1["priority"], "-3");
    assert_eq!(world.get(&format!("/v1beta/{name}")).await.1["metadata"]["priority"], "-3");
}

#[tokio::test]
async fn models_are_checked() {
    let world = World::new(Pace::instant()).await;
    let create = async |model: &str, verb: &str| {
        let body = json!({"batch": {"inputConfig": {"fileName": "files/none"}}});
        world.post(&format!("/v1beta/models/{model}:{verb}"), body).await.0
    };
    assert_eq!(create("gemini-9", "batchGenerateContent").await, 404);
    assert_eq!(create("gemini-3-pro-preview", "batchGenerateContent").await, 404);
    assert_eq!(create("gemini-3.1-flash-live-preview", "batchGenerateContent").await, 400);
    assert_eq!(create("gemini-embedding-001", "batchGenerateContent").await, 400);
    assert_eq!(create("gemini-3.8-flash", "asyncBatchEmbedContent").await, 400);
    let (_, models) = world.get("/v1beta/models?pageSize=1000").await;
    assert!(models["models"].as_array().unwrap().len() >= 12);
    let (_, model) = world.get("/v1beta/models/gemini-3-flash-preview").await;
    assert_eq!(model["inputTokenLimit"], 1_048_576);
    let body = json!({"contents": [{"parts": [{"text": "four letters"}]}]});
    let (_, counted) = world.post("/v1beta/models/gemini-3.8-flash:countTokens", body).await;
    assert_eq!(counted["totalTokens"], 3);
}

#[tokio::test]
async fn keys_are_asked_for_and_projects_see_only_their_own() {
    let mut world = World::new(Pace::instant()).await;
    let bare = client().get(format!("{}/v1beta/files", world.simulator.url())).send().await.unwrap();
    assert_eq!(bare.status(), 403);
    let query = client().get(format!("{}/v1beta/files?key=k", world.simulator.url())).send().await.unwrap();
    assert_eq!(query.status(), 200);
    let file = world.upload(&lines(1)).await;
    let name = world.create_from(&lines(1)).await;
    world.key = "invalid";
    let (status, refusal) = world.get("/v1beta/batches").await;
    assert_eq!((status, &refusal["error"]["details"][0]["reason"]), (400, &json!("API_KEY_INVALID")));
    world.key = "of another project";
    assert_eq!(world.get("/v1beta/batches").await, (200, json!({})));
    assert_eq!(world.get(&format!("/v1beta/{name}")).await.0, 404);
    assert_eq!(world.create(json!({"fileName": file})).await.0, 403);
    let written = std::fs::read_dir(world.folder.path().join("files")).unwrap();
    let records = written.map(|entry| std::fs::read_to_string(entry.unwrap().path().join("file.json")).unwrap());
    assert!(records.into_iter().all(|record| !record.contains("test-key")));
}

#[tokio::test]
async fn two_simulators_on_one_folder_show_the_same() {
    let world = World::new(Pace::demo()).await;
    let other = start(&world.folder, &world.clock, Pace::instant()).await;
    let name = world.create_from(&lines(3)).await;
    let seen = world.get(&format!("{}/v1beta/{name}", other.url())).await;
    assert_eq!(seen, world.get(&format!("/v1beta/{name}")).await);
    assert_eq!(seen.1["metadata"]["state"], "BATCH_STATE_PENDING");
    world.post(&format!("{}/v1beta/{name}:cancel", other.url()), json!({})).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    assert_eq!(batch["metadata"]["state"], "BATCH_STATE_CANCELLED");
}

#[tokio::test]
async fn an_upload_goes_on_at_another_simulator_of_the_folder() {
    let world = World::new(Pace::instant()).await;
    let url = world.start_upload(1500, "text/plain").await;
    world.chunk(&url, "upload", 0, &[b'x'; 1024]).send().await.unwrap();
    let other = start(&world.folder, &world.clock, Pace::instant()).await;
    let url = url.replace(world.simulator.url(), other.url());
    let last = world.chunk(&url, "upload, finalize", 1024, &[b'x'; 476]).send().await.unwrap();
    assert_eq!(read(last).await.1["file"]["sizeBytes"], "1500");
}

#[tokio::test]
async fn a_create_whose_reply_is_lost_was_made_all_the_same() {
    let world = World::new(Pace::instant()).await;
    let file = world.upload(&lines(1)).await;
    let body = json!({"batch": {"displayName": "once", "inputConfig": {"fileName": file}}}).to_string();
    let create =
        || world.ask(Method::POST, "/v1beta/models/gemini-3.8-flash:batchGenerateContent").body(body.clone()).send();
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetBeforeActing);
    assert!(create().await.is_err());
    assert_eq!(world.get("/v1beta/batches").await.1, json!({}));
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetAfterActing);
    assert!(create().await.is_err());
    let (_, list) = world.get("/v1beta/batches").await;
    assert_eq!(list["operations"][0]["metadata"]["displayName"], "once");
    assert_eq!(list["operations"].as_array().unwrap().len(), 1);
    assert_eq!(create().await.unwrap().status(), 200);
}

#[tokio::test]
async fn error_bodies_come_in_every_form() {
    let world = World::new(Pace::instant()).await;
    let faults = world.simulator.faults();
    let forms = [
        ErrorBody::Google { retry_after: Some(Duration::from_millis(36_500)) },
        ErrorBody::HelpOnly,
        ErrorBody::Array,
        ErrorBody::Html,
        ErrorBody::Empty,
        ErrorBody::Malformed,
    ];
    let mut seen = Vec::new();
    for body in forms {
        faults.next(Call::ListBatches, Fault::Status { code: 429, body });
        let (status, answer) = world.get("/v1/batches").await;
        assert_eq!(status, 429);
        seen.push(answer);
    }
    assert_eq!(seen[0]["error"]["details"][1]["retryDelay"], "36.5s");
    assert_eq!(seen[1]["error"]["details"].as_array().unwrap().len(), 1);
    assert_eq!(seen[2][0]["error"]["status"], "RESOURCE_EXHAUSTED");
    assert!(seen[3].as_str().unwrap().starts_with("<html>"));
    assert_eq!(seen[4], "");
    assert_eq!(seen[5], "{\"error\":{\"code\":");
    assert_eq!(world.get("/v1/batches").await.0, 200);
}

#[tokio::test]
async fn downloads_break_off_or_end_early_on_demand() {
    let world = World::new(Pace::instant()).await;
    let name = world.create_from(&lines(20)).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let file = batch["response"]["responsesFile"].as_str().unwrap();
    let whole = world.download(file).await;
    let path = format!("/v1beta/{file}:download?alt=media");
    world.simulator.faults().next(Call::Download, Fault::CutBodyAfter(100));
    let cut = world.ask(Method::GET, &path).send().await.unwrap();
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    assert!(cut.bytes().await.is_err());
    world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(100));
    assert_eq!(world.download(file).await, whole[..100]);
    assert_eq!(world.download(file).await, whole);
}

#[tokio::test]
async fn an_upload_that_breaks_off_keeps_what_has_arrived() {
    let world = World::new(Pace::instant()).await;
    let bytes = vec![b'x'; 4096];
    let url = world.start_upload(bytes.len(), "text/plain").await;
    world.simulator.faults().next(Call::Finalize, Fault::ResetAfterReading(1500));
    assert!(world.chunk(&url, "upload, finalize", 0, &bytes).send().await.is_err());
    let query = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(query.headers()["x-goog-upload-size-received"], "1500");
    let rest = world.chunk(&url, "upload, finalize", 1500, &bytes[1500..]).send().await.unwrap();
    assert_eq!(rest.status(), 200);
    world.simulator.faults().next(Call::GetFile, Fault::WrongLength);
    let (_, body) = read(rest).await;
    let (_, shown) = world.get(&format!("/v1beta/{}", body["file"]["name"].as_str().unwrap())).await;
    assert_eq!(shown["sizeBytes"], "4097");
}

#[tokio::test]
async fn success_can_be_shown_before_the_output_is_there() {
    let world = World::new(Pace::instant()).await;
    let name = world.create_from(&lines(1)).await;
    world.simulator.faults().next_times(Call::GetBatch, 2, Fault::SucceededWithoutOutput);
    for expected in [false, false, true] {
        let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
        assert_eq!(batch["metadata"]["state"], "BATCH_STATE_SUCCEEDED");
        assert_eq!(batch.pointer("/response/responsesFile").is_some(), expected);
        assert_eq!(batch["metadata"].get("output").is_some(), expected);
    }
}

#[tokio::test]
async fn the_log_tells_what_was_asked_without_keys() {
    let world = World::new(Pace::instant()).await;
    world.get("/v1beta/files?key=secret").await;
    world.simulator.faults().next(Call::GetBatch, Fault::ResetBeforeActing);
    world.ask(Method::GET, "/v1beta/batches/abc").send().await.unwrap_err();
    let url = world.start_upload(5, "text/plain").await;
    world.chunk(&url, "upload, finalize", 0, b"12345").send().await.unwrap();
    let entries = world.simulator.log().entries();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.path.as_str(), entry.status)).collect();
    assert_eq!(seen[..2], [("/v1beta/files", Some(200)), ("/v1beta/batches/abc", None)]);
    assert_eq!(entries.last().unwrap().received, 5);
    assert_eq!(world.simulator.log().count("POST", "/upload/"), 2);
}

#[tokio::test]
async fn embeddings_are_batched_too() {
    let world = World::new(Pace::instant()).await;
    let request = json!({"content": {"parts": [{"text": "a"}]}, "output_dimensionality": 3});
    let file = world.upload(&json!({"key": "e-1", "request": request}).to_string()).await;
    let body = json!({"batch": {"inputConfig": {"fileName": file}}});
    let (status, created) = world.post("/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent", body).await;
    assert_eq!(status, 200, "{created}");
    let (_, batch) = world.get(&format!("/v1beta/{}", created["name"].as_str().unwrap())).await;
    assert!(batch["response"]["@type"].as_str().unwrap().ends_with("v1main.EmbedContentBatchOutput"));
    let results = world.download(batch["response"]["responsesFile"].as_str().unwrap()).await;
    let answer: Value = serde_json::from_str(&results).unwrap();
    assert_eq!(answer["response"]["embedding"]["values"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.address = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(Simulator::start(options).await.unwrap_err().to_string().contains("loopback"));
    let simulator = Simulator::start(Options::new(folder.path())).await.unwrap();
    let url = format!("{}/v1beta/models?key=k", simulator.url());
    assert_eq!(client().get(&url).send().await.unwrap().status(), 200);
    simulator.stop().await;
    assert!(client().get(&url).send().await.is_err());
}
