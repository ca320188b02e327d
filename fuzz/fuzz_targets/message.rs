//! Any bytes from a client, between a greeting and a ping: every line that comes back is a message of the protocol, and
//! the ping is answered.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use gemini_batch_mcp::config::Config;
use gemini_batch_mcp::mcp::stdio::serve_on;
use gemini_batch_mcp::ops::App;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};

const GREETING: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"fuzz","version":"0"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n"
);
const PING: &str = "\n{\"jsonrpc\":\"2.0\",\"id\":\"the last one\",\"method\":\"ping\"}\n";
/// More than any answer here takes.
const PATIENCE: Duration = Duration::from_secs(8);

static WORLD: LazyLock<(TempDir, Runtime)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("root")).expect("a folder");
    (folder, Builder::new_current_thread().enable_all().build().expect("a runtime"))
});

/// What a server without a key that changes nothing works with: what is called here costs nothing. It ends with its server.
fn app(folder: &TempDir) -> App {
    let (home, root) = (folder.path().join("home"), folder.path().join("root"));
    let config = Config { simulate: false, read_only: true, ..Config::simulated(home, root) };
    App::new(config).expect("settings that are fine")
}

fuzz_target!(|bytes: &[u8]| {
    let (folder, runtime) = &*WORLD;
    let (mut to_server, input) = duplex(1 << 20);
    let (output, mut from_server) = duplex(1 << 20);
    let said = runtime.block_on(async {
        let server = tokio::spawn(serve_on(app(folder), input, output, std::future::pending()));
        for part in [GREETING.as_bytes(), bytes, PING.as_bytes()] {
            to_server.write_all(part).await.expect("the server reads on");
        }
        let mut said = Vec::new();
        let answered = async {
            while !text(&said).contains("\"the last one\"") && from_server.read_buf(&mut said).await.expect("it speaks") > 0 {}
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("the ping is answered");
        drop(to_server);
        tokio::time::timeout(PATIENCE, from_server.read_to_end(&mut said)).await.expect("it ends").expect("it speaks");
        server.await.expect("no panic").expect("it ends well");
        said
    });
    assert!(text(&said).contains("\"the last one\""), "{}", text(&said));
    for line in text(&said).lines() {
        let message: Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
    }
});

fn text(said: &[u8]) -> &str {
    std::str::from_utf8(said).expect("text")
}
