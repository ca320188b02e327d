//! The real binary in a folder of its own, and the messages to drive it with.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The binary, to be run in a folder, with nothing set that this machine may have set.
pub fn program(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gemini-batch-mcp"));
    command.current_dir(folder).env("HOME", folder).env("GEMINI_BATCH_HOME", folder.join("home"));
    for name in ["COLUMNS", "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "RUST_LOG"] {
        command.env_remove(name);
    }
    for name in ["GEMINI_BATCH_MODELS", "GEMINI_BATCH_READ_ONLY", "GEMINI_BATCH_ROOTS", "GEMINI_BATCH_SIMULATE"] {
        command.env_remove(name);
    }
    command.env_remove("GEMINI_BATCH_HTTP_TOKEN").env_remove("GEMINI_BATCH_WEBHOOK_SECRET");
    command
}

/// A server on standard input and output, talked to line by line.
pub struct Server {
    pub child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    pub folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(settings: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        settings(&mut command);
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, lines, folder }
    }

    pub fn send_line(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends what need not be text.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Sends a request and waits for the answer with its id.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.send_line(&request.to_string());
        loop {
            let answer: Value = serde_json::from_str(&self.next_line()).unwrap();
            if answer["id"] == request["id"] {
                return answer;
            }
        }
    }

    pub fn next_line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line on standard output")
    }

    /// Says hello as clients up to 2025-11-25 do.
    pub fn initialize(&mut self, version: &str) -> Value {
        let answer = self.ask(&initialize(version));
        self.send_line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        answer["result"].clone()
    }

    pub fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask(&request("tools/call", &json!({"name": tool, "arguments": arguments})))
    }

    /// Closes standard input; how long it took to end, and everything still on standard output.
    pub fn close(&mut self) -> (Duration, Vec<String>) {
        self.input = None;
        let closed = Instant::now();
        wait_for_end(&mut self.child);
        (closed.elapsed(), self.lines.iter().collect())
    }

    /// Tells it to stop; how long it took to end.
    #[cfg(unix)]
    pub fn terminate(&mut self) -> Duration {
        let told = Instant::now();
        let kill = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        wait_for_end(&mut self.child);
        told.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a process has ended, but not for ever.
pub fn wait_for_end(child: &mut Child) -> std::process::ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "the process does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

pub fn initialize(version: &str) -> Value {
    let client = json!({"name": "test", "version": "0"});
    request("initialize", &json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}))
}

/// A request as clients from 2026-07-28 on send it, each complete in itself.
pub fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    request(method, &params)
}

/// The tools in the order in which they are to be listed.
pub const TOOLS: [&str; 8] = [
    "build_jsonl",
    "create_batch",
    "check_status",
    "get_results",
    "retry_batch",
    "list_batches",
    "cancel_batch",
    "delete_batch",
];

/// The names in an answer to `tools/list`.
pub fn tool_names(answer: &Value) -> Vec<&str> {
    answer["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}
