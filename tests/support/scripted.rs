//! A server on loopback that answers from a script and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::address::Address;

/// What the server does with the next request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Announces `announced` bytes, sends `body` and hangs up.
    CutOff { announced: usize, body: Vec<u8> },
    /// Hangs up without a word.
    HangUp,
    /// Says nothing for so long.
    Silence(Duration),
    /// Sends the head and `body` of a longer answer, then nothing more.
    Stall { announced: usize, body: Vec<u8> },
    /// Begins an answer of unknown length with `body` and hangs up before its end.
    Unended { body: Vec<u8> },
    /// Does this, and is gone: from then on connections are refused.
    Last(Box<Reply>),
}

impl Reply {
    /// An answer with JSON.
    pub fn json(status: u16, body: impl ToString) -> Self {
        Self::Answer {
            status,
            headers: vec![("Content-Type".into(), "application/json; charset=UTF-8".into())],
            body: body.to_string().into_bytes(),
        }
    }

    /// An answer with a web page.
    pub fn page(status: u16) -> Self {
        let body = b"<!DOCTYPE html><html><body>Bad gateway</body></html>".to_vec();
        Self::Answer { status, headers: vec![("Content-Type".into(), "text/html".into())], body }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self::Answer { status, headers: vec![], body: vec![] }
    }

    /// Adds a header to an answer.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.into(), value.to_string()));
        }
        self
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The server. It ends with the test's runtime.
#[derive(Clone)]
pub struct Scripted {
    pub base_url: String,
    script: Arc<Mutex<VecDeque<Reply>>>,
    play: Arc<Mutex<Play>>,
    seen: Arc<Mutex<Vec<Request>>>,
    accepting: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Held after the last reply, too: nobody is to answer then.
    _address: Arc<Address>,
}

type Play = dyn FnMut(&Request) -> Reply + Send;

impl Scripted {
    /// Starts a server with this script. `{base}` in a header becomes its own URL.
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script: Arc<Mutex<VecDeque<Reply>>> = Arc::new(Mutex::new(script.into_iter().collect()));
        let lines = Arc::clone(&script);
        let over = || Reply::json(418, r#"{"error":{"message":"the script is over"}}"#);
        let play = move |_: &Request| lines.lock().expect("no panic").pop_front().unwrap_or_else(over);
        Self { script, ..Self::play(play).await }
    }

    /// Starts a server that decides by the request. `{base}` in a header becomes its own URL.
    pub async fn play(play: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let address = Address::new();
        let listener = TcpListener::bind(address.socket).await.expect("the address is ours");
        let server = Self {
            base_url: address.url(),
            script: Arc::default(),
            play: Arc::new(Mutex::new(play)),
            seen: Arc::default(),
            accepting: Arc::default(),
            _address: Arc::new(address),
        };
        let played = server.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = played.clone();
                tokio::spawn(async move { server.serve(BufStream::new(stream)).await });
            }
        });
        *server.accepting.lock().expect("no panic") = Some(accepting);
        server
    }

    /// Adds a reply, where it has to name this server's own address.
    pub fn then(&self, reply: Reply) {
        self.script.lock().unwrap().push_back(reply);
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").clone()
    }

    /// How much of the script was not needed.
    pub fn left(&self) -> usize {
        self.script.lock().expect("no panic").len()
    }

    async fn serve(self, mut stream: BufStream<TcpStream>) {
        while let Some(request) = read_request(&mut stream).await {
            let reply = (self.play.lock().expect("no panic"))(&request);
            self.seen.lock().expect("no panic").push(request);
            let (reply, is_last) = match reply {
                Reply::Last(reply) => (*reply, true),
                reply => (reply, false),
            };
            if is_last {
                self.refuse_connections().await;
            }
            if !self.reply(&mut stream, reply).await || is_last {
                return;
            }
        }
    }

    async fn refuse_connections(&self) {
        let accepting = self.accepting.lock().expect("no panic").take();
        if let Some(accepting) = accepting {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// Whether the connection lives on.
    async fn reply(&self, stream: &mut BufStream<TcpStream>, reply: Reply) -> bool {
        match reply {
            Reply::Answer { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head += &format!("{name}: {}\r\n", value.replace("{base}", &self.base_url));
                }
                send(stream, &[head.as_bytes(), b"\r\n", &body].concat()).await
            }
            Reply::CutOff { announced, body } => {
                send(stream, &started(announced, &body)).await;
                false
            }
            Reply::Stall { announced, body } => {
                send(stream, &started(announced, &body)).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
                false
            }
            Reply::Unended { body } => {
                let head = format!("HTTP/1.1 200 Scripted\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
                send(stream, &[head.as_bytes(), &body, b"\r\n"].concat()).await;
                false
            }
            Reply::HangUp | Reply::Last(_) => false,
            Reply::Silence(time) => {
                tokio::time::sleep(time).await;
                false
            }
        }
    }
}

fn started(announced: usize, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 Scripted\r\nContent-Length: {announced}\r\n\r\n").as_bytes(), body].concat()
}

async fn send(stream: &mut BufStream<TcpStream>, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

async fn read_request(stream: &mut BufStream<TcpStream>) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { method, target, headers, body })
}
