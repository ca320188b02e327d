//! A simulator in a process of its own, and its clock and limits.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::*;

/// A process that is killed when the test ends, and the address it says it listens on.
async fn process(folder: &TempDir, arguments: &[&str]) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gemini-batch-mcp"));
    command.args(["simulate", "--quiet", "--pace", "realistic", "--dir", "api"]).args(arguments);
    command.current_dir(folder.path()).env("HOME", folder.path()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.unwrap();
    (child, line.unwrap().unwrap())
}

#[tokio::test]
async fn a_job_is_aged_by_a_file_while_the_simulator_runs() {
    // The world's own simulator is not asked; it lends its manners only.
    let world = World::new(Pace::instant()).await;
    let folder = tempfile::tempdir().unwrap();
    let (_process, url) = process(&folder, &["--clock-file", "clock"]).await;
    let input = |word: &str| {
        let request = json!({"contents": [{"parts": [{"text": format!("[[simulate:{word}]]")}]}]});
        json!({"batch": {"inputConfig": {"requests": {"requests": [{"request": request}]}}}})
    };
    let (_, stuck) = world.post(&format!("{url}{CREATE}"), input("job-expired")).await;
    let (_, good) = world.post(&format!("{url}{CREATE}"), input("json")).await;
    let mut seen = Vec::new();
    for seconds in ["0", "147600", "176400"] {
        std::fs::write(folder.path().join("clock"), seconds).unwrap();
        for batch in [&stuck, &good] {
            let (_, batch) = world.get(&format!("{url}/v1beta/{}", batch["name"].as_str().unwrap())).await;
            seen.push(batch["metadata"]["state"].as_str().unwrap().trim_start_matches("BATCH_STATE_").to_owned());
        }
    }
    assert_eq!(seen, ["PENDING", "PENDING", "RUNNING", "SUCCEEDED", "EXPIRED", "SUCCEEDED"]);
}

#[tokio::test]
async fn limits_are_set_by_flags() {
    let world = World::new(Pace::instant()).await;
    let folder = tempfile::tempdir().unwrap();
    let limits = ["--max-batches", "1", "--max-enqueued-tokens", "4", "--max-storage-bytes", "9"];
    let (_process, url) = process(&folder, &limits).await;
    let create = async |prompt: &str| {
        let request = json!({"contents": [{"parts": [{"text": prompt}]}]});
        let body = json!({"batch": {"inputConfig": {"requests": {"requests": [{"request": request}]}}}});
        world.post(&format!("{url}{CREATE}"), body).await.0
    };
    assert_eq!(create("more than four tokens have room for").await, 429);
    assert_eq!(create("short").await, 200);
    assert_eq!(create("a").await, 429);
    let start = world.ask(Method::POST, &format!("{url}/upload/v1beta/files"));
    let start = start.header("x-goog-upload-command", "start").header("x-goog-upload-header-content-length", 10);
    assert_eq!(start.send().await.unwrap().status(), 429);
}
