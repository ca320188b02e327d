//! The simulator over real HTTP, request by request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "simulator/batches.rs"]
mod batches;
#[path = "simulator/clock_file.rs"]
mod clock_file;
#[path = "simulator/endings.rs"]
mod endings;
#[path = "simulator/faults.rs"]
mod faults;
#[path = "simulator/files.rs"]
mod files;
#[path = "simulator/limits.rs"]
mod limits;
#[path = "simulator/log.rs"]
mod log;
#[path = "simulator/service.rs"]
mod service;
#[path = "simulator/silence.rs"]
mod silence;
#[path = "simulator/webhooks.rs"]
mod webhooks;

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
const CREATE: &str = "/v1beta/models/gemini-3.8-flash:batchGenerateContent";

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
        Self::with(|options| options.pace = pace).await
    }

    async fn with(setup: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::default();
        let simulator = start(&folder, &clock, setup).await;
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

    fn upload_start(&self) -> RequestBuilder {
        self.ask(Method::POST, "/upload/v1beta/files")
            .header("x-goog-upload-protocol", "resumable")
            .header("x-goog-upload-command", "start")
            .body(json!({"file": {"displayName": "requests.jsonl"}}).to_string())
    }

    async fn start_upload(&self, length: usize, mime: &str) -> String {
        let start = self.upload_start().header("x-goog-upload-header-content-length", length);
        let answer = start.header("x-goog-upload-header-content-type", mime).send().await.unwrap();
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
        self.post(CREATE, json!({"batch": {"displayName": "b", "inputConfig": input}})).await
    }

    /// How many batches there are, whoever made them.
    fn batches_made(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("batches")).unwrap().count()
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

async fn start(folder: &TempDir, clock: &ManualClock, setup: impl FnOnce(&mut Options)) -> Simulator {
    let mut options = Options::new(folder.path());
    options.clock = Arc::new(clock.clone());
    options.pace = Pace::instant();
    options.granularity = GRANULARITY as u64;
    options.refused_mime_types = vec!["jsonl".into()];
    setup(&mut options);
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

/// Waits until something holds, but not for ever.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it never holds");
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
