//! A client up to 2025-11-25 that has a session at `/mcp`, and hears what it is told there.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::http_server::{HttpServer, status};
use super::program::{PATIENCE, initialize, request};

const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
    ("MCP-Protocol-Version", "2025-11-25"),
];

/// A session, and how its client logs in.
#[derive(Clone)]
pub struct Session<'a> {
    pub server: &'a HttpServer,
    pub id: String,
    pub login: String,
}

impl<'a> Session<'a> {
    /// Says hello, as a client whose user can be asked.
    pub fn open(server: &'a HttpServer) -> Self {
        Self::open_as(server, "")
    }

    pub fn open_as(server: &'a HttpServer, token: &str) -> Self {
        Self::open_with(server, token, &json!({"elicitation": {}}))
    }

    /// Says hello as a client that can do this.
    pub fn open_with(server: &'a HttpServer, token: &str, capabilities: &Value) -> Self {
        let mut session = Self { server, id: String::new(), login: format!("Bearer {token}") };
        let mut hello = initialize("2025-11-25");
        hello["params"]["capabilities"] = capabilities.clone();
        let mut events = session.post(&hello);
        assert_eq!(events.next().unwrap()["result"]["capabilities"]["resources"]["subscribe"], true);
        session.id = events.session.expect("the session has a name");
        assert_eq!(session.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})), 202);
        session
    }

    /// The same session's name, used by somebody else.
    pub fn used_by(&self, token: &str) -> Self {
        Self { login: format!("Bearer {token}"), ..self.clone() }
    }

    fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Events {
        let login = [("Authorization", self.login.as_str())];
        let name = [("Mcp-Session-Id", self.id.as_str())];
        let name = if self.id.is_empty() { &name[..0] } else { &name[..] };
        let headers = [&HEADERS, login.as_slice(), name, headers].concat();
        Events::of(self.server.send(method, "/mcp", &headers, body))
    }

    /// Posts a message; what comes back.
    pub fn post(&self, message: &Value) -> Events {
        self.send("POST", &[], &message.to_string())
    }

    /// Posts what has no answer; the status.
    pub fn tell(&self, message: &Value) -> u16 {
        self.post(message).status
    }

    /// Asks and hears the answer, if nothing else is said before.
    pub fn ask(&self, method: &str, params: &Value) -> Value {
        self.post(&request(method, params)).next().expect("an answer")
    }

    /// Opens the standing stream, or another after a place.
    pub fn listen(&self, after: Option<&str>) -> Events {
        let after: Vec<_> = after.map(|place| ("Last-Event-ID", place)).into_iter().collect();
        self.send("GET", &after, "")
    }

    pub fn end(&self) -> u16 {
        self.send("DELETE", &[], "").status
    }
}

/// What the server answers, read as it comes.
pub struct Events {
    pub status: u16,
    /// The name of a session that was opened.
    pub session: Option<String>,
    /// The place of the last event.
    pub place: Option<String>,
    stream: BufReader<TcpStream>,
}

impl Events {
    fn of(mut stream: BufReader<TcpStream>) -> Self {
        let status = status(&mut stream);
        let head = stream.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let names = head.filter_map(|line| line.strip_prefix("mcp-session-id: ").map(str::to_owned));
        let session = names.last();
        Self { status, session, place: None, stream }
    }

    /// Reads on until the place of the stream is known.
    pub fn place(&mut self) -> String {
        while self.place.is_none() {
            assert!(self.line().is_some(), "the stream ended");
        }
        self.place.clone().unwrap()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).expect("the stream goes on or ends") == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if let Some(place) = line.strip_prefix("id: ") {
            self.place = Some(place.to_owned());
        }
        Some(line)
    }
}

impl Iterator for Events {
    type Item = Value;

    /// The next message.
    fn next(&mut self) -> Option<Value> {
        let start = Instant::now();
        loop {
            // Signs of life are no messages.
            assert!(start.elapsed() < 2 * PATIENCE, "nothing is said");
            let line = self.line()?;
            if let Some(data) = line.strip_prefix("data: ").filter(|data| data.starts_with('{')) {
                let message = serde_json::from_str(data).unwrap();
                // Its id may stand behind it.
                while self.line().is_some_and(|line| !line.is_empty()) {}
                return Some(message);
            }
        }
    }
}
