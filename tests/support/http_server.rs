//! The real binary serving over HTTP, and a client that writes what it likes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::program::{self, PATIENCE};

/// What a client of 2026-07-28 sends with a call of `check_status`.
pub const MODERN_STATUS_CALL: [(&str, &str); 5] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
    ("MCP-Protocol-Version", "2026-07-28"),
    ("Mcp-Method", "tools/call"),
    ("Mcp-Name", "check_status"),
];

/// The server on a free port of loopback.
pub struct HttpServer {
    pub child: Child,
    pub authority: String,
    /// What it writes to standard error.
    log: Arc<Mutex<String>>,
    _folder: Option<tempfile::TempDir>,
}

impl HttpServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::of(program::program(folder.path()));
        server._folder = Some(folder);
        server
    }

    /// The server that a command becomes, once it is told to serve.
    pub fn of(command: Command) -> Self {
        Self::with(command, &[])
    }

    /// A server with further flags.
    pub fn with(mut command: Command, flags: &[&str]) -> Self {
        command.args(["serve", "--http", "127.0.0.1:0"]).args(flags).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (written, lines) = (log.clone(), BufReader::new(child.stderr.take().unwrap()).lines());
        let (told, address) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, rest)) = line.strip_prefix("MCP server at ").and_then(|rest| rest.split_once("://")) {
                    let _ = told.send(rest.split('/').next().unwrap().to_owned());
                }
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let authority = address.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{}", log.lock().unwrap()));
        Self { child, authority, log, _folder: None }
    }

    /// What a command says that refuses to serve like this, and the code it ends with.
    pub fn refused(mut command: Command, flags: &[&str]) -> (i32, String) {
        let output = command.arg("serve").args(flags).stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
    }

    /// Tells it to stop, in good order.
    #[cfg(unix)]
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Everything it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a request head and body; what comes back is read by the caller.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.authority));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that refuses a body may close before it has all of it.
        let _ = stream.write_all(body.as_bytes());
        BufReader::new(stream)
    }

    /// The status and the whole answer.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut answer = self.send(method, path, headers, body);
        let status = status(&mut answer);
        let mut rest = String::new();
        let _ = answer.read_to_string(&mut rest);
        (status, rest)
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], message: &Value) -> (u16, String) {
        let json = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
        self.ask("POST", path, &[&json, headers].concat(), &message.to_string())
    }

    /// The status of a small answer, if there is one.
    pub fn try_ask(&self, path: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(&self.authority).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nHost: {}\r\n\r\n", self.authority);
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// A session of the older transport, if there is room for one.
    pub fn try_open_sse(&self) -> Option<Sse> {
        let mut stream = self.send("GET", "/sse", &[("Accept", "text/event-stream")], "");
        if status(&mut stream) != 200 {
            return None;
        }
        let mut sse = Sse { stream, path: String::new() };
        sse.path = sse.next().1;
        Some(sse)
    }

    pub fn open_sse(&self) -> Sse {
        self.open_sse_with(&[])
    }

    pub fn open_sse_with(&self, headers: &[(&str, &str)]) -> Sse {
        let mut stream = self.send("GET", "/sse", &[&[("Accept", "text/event-stream")], headers].concat(), "");
        assert_eq!(status(&mut stream), 200);
        let mut sse = Sse { stream, path: String::new() };
        let (event, data) = sse.next();
        assert_eq!(event, "endpoint");
        sse.path = data;
        sse
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An open stream of the older transport.
pub struct Sse {
    pub stream: BufReader<TcpStream>,
    pub path: String,
}

impl Sse {
    /// The next event's name and data.
    pub fn next(&mut self) -> (String, String) {
        let (mut event, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the stream ended");
            let line = line.trim_end();
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut event);
            } else if let Some(text) = line.strip_prefix("data: ") {
                text.clone_into(&mut data);
            } else if line.is_empty() && !data.is_empty() {
                return (event, data);
            }
        }
    }

    pub fn message(&mut self) -> Value {
        serde_json::from_str(&self.next().1).unwrap()
    }
}

pub fn status(answer: &mut BufReader<TcpStream>) -> u16 {
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}")).parse().unwrap()
}

/// The message in the answer to a POST, which comes as a short stream of events.
pub fn message(answer: &str) -> Value {
    let data = answer.lines().filter_map(|line| line.strip_prefix("data: ")).find(|data| data.starts_with('{'));
    serde_json::from_str(data.unwrap_or_else(|| panic!("no message in {answer}"))).unwrap()
}
