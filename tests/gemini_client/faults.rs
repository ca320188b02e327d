//! Every fault at every step: what the client makes of it when it passes, and when it stays.
//!
//! The far end is honest but for one step, at which it fails once or always. What a cell is to say stands in
//! [`TABLE`]. Whatever happens, a create is sent once, an upload that succeeds is the file byte by byte, and no error
//! shows a secret or leaves its reader without a next step.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use gemini_batch_mcp::error::{Error, ErrorKind};
use gemini_batch_mcp::gemini::{Gemini, NewBatch, NewFile, Settings, Timeouts};
use gemini_batch_mcp::job::Kind;
use gemini_batch_mcp::progress::Silent;
use serde_json::json;

use super::address::Address;
use super::scripted::{Reply, Request, Scripted};
use super::upload::{CONTENT, done, file, more, received, started, whole};
use super::{KEY, settings, texts};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Start,
    Chunk,
    Finalize,
    Query,
    Create,
    Get,
    List,
    Download,
}

const STEPS: [Step; 8] = {
    use Step::*;
    [Start, Chunk, Finalize, Query, Create, Get, List, Download]
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nobody listens.
    Refused,
    /// The call is carried out; the answer breaks off.
    ResetMidBody,
    /// The call is carried out; there is no answer.
    ResetAfterActing,
    /// The call is carried out; the answer does not come.
    Timeout,
    /// An error with Google's body. Nothing is done.
    Status(u16),
    /// 429 with this `RetryInfo`. Nothing is done.
    Asked(&'static str),
    /// The page of a proxy, with a 200. Nothing is done.
    WebPage,
    /// The call is carried out; the answer is lost but for its 200.
    Empty,
    /// The call is carried out; the answer is no whole JSON, or no whole file.
    Malformed,
    /// The call is carried out; the answer ends before its end.
    Truncated,
    /// The call is carried out; the answer is shorter than it says, and nothing more comes.
    WrongLength,
}

/// What a cell is to say: when the fault comes once, and when it stays.
type Cell = (Option<ErrorKind>, Option<ErrorKind>);

/// Passes if it comes once; else the API cannot be reached.
const PASSES: Cell = (None, Some(ErrorKind::Unavailable));
const SLOW_DOWN: Cell = (None, Some(ErrorKind::Quota));
/// Nothing is lost: what the API has is asked for, or the answer says nothing that is needed.
const HARMLESS: Cell = (None, None);
/// A download that looks whole: whoever counts its lines finds out.
const UNSEEN: Cell = (None, None);
const GONE: Cell = both(ErrorKind::Unavailable);
const QUOTA: Cell = both(ErrorKind::Quota);
const UNCLEAR: Cell = both(ErrorKind::UnclearOutcome);
const STRANGE: Cell = both(ErrorKind::UnexpectedAnswer);

const fn both(kind: ErrorKind) -> Cell {
    (Some(kind), Some(kind))
}

#[rustfmt::skip]
const TABLE: [(Fault, [Cell; 8]); 15] = [
    // Fault                    start      chunk      finalize   query      create   get        list       download
    (Fault::Refused,           [GONE,      GONE,      GONE,      GONE,      GONE,    GONE,      GONE,      GONE]),
    (Fault::ResetMidBody,      [PASSES,    HARMLESS,  HARMLESS,  PASSES,    UNCLEAR, PASSES,    PASSES,    GONE]),
    (Fault::ResetAfterActing,  [PASSES,    HARMLESS,  HARMLESS,  PASSES,    UNCLEAR, PASSES,    PASSES,    PASSES]),
    (Fault::Timeout,           [PASSES,    HARMLESS,  HARMLESS,  PASSES,    UNCLEAR, PASSES,    PASSES,    PASSES]),
    (Fault::Status(408),       [PASSES,    PASSES,    PASSES,    PASSES,    UNCLEAR, PASSES,    PASSES,    PASSES]),
    (Fault::Status(429),       [SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, QUOTA,   SLOW_DOWN, SLOW_DOWN, SLOW_DOWN]),
    (Fault::Asked("0.05s"),    [SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, QUOTA,   SLOW_DOWN, SLOW_DOWN, SLOW_DOWN]),
    (Fault::Status(500),       [PASSES,    PASSES,    PASSES,    PASSES,    UNCLEAR, PASSES,    PASSES,    PASSES]),
    (Fault::Status(503),       [PASSES,    PASSES,    PASSES,    PASSES,    UNCLEAR, PASSES,    PASSES,    PASSES]),
    (Fault::Status(504),       [PASSES,    PASSES,    PASSES,    PASSES,    UNCLEAR, PASSES,    PASSES,    PASSES]),
    (Fault::WebPage,           [STRANGE,   PASSES,    PASSES,    HARMLESS,  UNCLEAR, STRANGE,   STRANGE,   STRANGE]),
    (Fault::Empty,             [STRANGE,   HARMLESS,  HARMLESS,  HARMLESS,  UNCLEAR, STRANGE,   STRANGE,   UNSEEN]),
    (Fault::Malformed,         [HARMLESS,  HARMLESS,  STRANGE,   HARMLESS,  UNCLEAR, STRANGE,   STRANGE,   UNSEEN]),
    (Fault::Truncated,         [PASSES,    HARMLESS,  HARMLESS,  PASSES,    UNCLEAR, PASSES,    PASSES,    GONE]),
    (Fault::WrongLength,       [PASSES,    HARMLESS,  HARMLESS,  PASSES,    UNCLEAR, PASSES,    PASSES,    GONE]),
];

/// The far end: it knows one upload.
struct Api {
    fault: Fault,
    at: Step,
    /// How often it is still to fail.
    left: usize,
    has: Arc<Mutex<Vec<u8>>>,
    ended: bool,
    /// Whether the chunk has broken after which the query comes.
    has_broken: bool,
}

fn step_of(request: &Request) -> Step {
    match (request.header("x-goog-upload-command"), request.method.as_str()) {
        ("start", _) => Step::Start,
        ("query", _) => Step::Query,
        ("upload", _) => Step::Chunk,
        ("upload, finalize" | "finalize", _) => Step::Finalize,
        (_, "POST") => Step::Create,
        _ if request.target.contains(":download") => Step::Download,
        _ if request.target.contains("/batches/") => Step::Get,
        _ => Step::List,
    }
}

impl Api {
    fn play(&mut self, request: &Request) -> Reply {
        let step = step_of(request);
        if step == Step::Chunk && self.at == Step::Query && !self.has_broken {
            // Without a break nothing is asked.
            self.has_broken = true;
            let broken = Reply::HangUp;
            return if self.fault == Fault::Refused { Reply::Last(broken.into()) } else { broken };
        }
        if step == self.at && self.left > 0 {
            self.left -= 1;
            return self.fail(step, request);
        }
        let answer = self.act(step, request);
        // Who is to be gone at a step goes after the one before.
        let is_before = match self.at {
            Step::Chunk => step == Step::Start,
            Step::Finalize => step == Step::Chunk && self.has.lock().unwrap().len() == 16,
            _ => false,
        };
        if self.fault == Fault::Refused && is_before { Reply::Last(answer.into()) } else { answer }
    }

    fn fail(&mut self, step: Step, request: &Request) -> Reply {
        let error = |code: u16, details| {
            Reply::json(code, json!({"error": {"code": code, "message": "no", "details": details}}))
        };
        match self.fault {
            Fault::Refused => unreachable!("nobody is there"),
            Fault::Status(code) => return error(code, json!([])),
            Fault::Asked(delay) => return error(429, json!([{ "retryDelay": delay }])),
            Fault::WebPage => return Reply::page(200),
            _ => {}
        }
        let Reply::Answer { status, headers, body } = self.act(step, request) else { unreachable!("it is honest") };
        let half = if body.is_empty() { b" ".to_vec() } else { body[..body.len() / 2].to_vec() };
        match self.fault {
            Fault::ResetMidBody => Reply::CutOff { announced: half.len() + 9, body: half },
            Fault::Timeout => Reply::Silence(Duration::from_secs(9)),
            Fault::Empty => Reply::empty(200),
            Fault::Malformed => Reply::Answer { status, headers, body: half },
            Fault::Truncated => Reply::Unended { body: half },
            Fault::WrongLength => Reply::Stall { announced: body.len() + 1, body },
            _ => Reply::HangUp,
        }
    }

    /// What an honest API does.
    fn act(&mut self, step: Step, request: &Request) -> Reply {
        let batch = json!({"name": "batches/b", "metadata": {"state": "BATCH_STATE_RUNNING"}});
        let mut has = self.has.lock().unwrap();
        match step {
            Step::Start => {
                has.clear();
                self.ended = false;
                started()
            }
            Step::Chunk | Step::Finalize => {
                if self.ended || request.header("x-goog-upload-offset") != has.len().to_string() {
                    return Reply::json(400, r#"{"error":{"code":400,"message":"wrong offset"}}"#);
                }
                has.extend_from_slice(&request.body);
                self.ended = step == Step::Finalize;
                if self.ended { done() } else { more() }
            }
            Step::Query if self.ended => done(),
            Step::Query => received(has.len() as u64),
            Step::Create | Step::Get => Reply::json(200, batch),
            Step::List => Reply::json(200, json!({ "operations": [batch] })),
            Step::Download => Reply::Answer { status: 200, headers: vec![], body: CONTENT.to_vec() },
        }
    }
}

/// One cell, walked once.
struct Walk {
    fault: Fault,
    at: Step,
    times: usize,
}

impl Walk {
    async fn walk(self) -> (String, Option<ErrorKind>) {
        let Self { fault, at, times } = self;
        let name = format!("{fault:?} at {at:?}, {}", if times == 1 { "once" } else { "always" });
        let has = Arc::new(Mutex::new(Vec::new()));
        let mut api = Api { fault, at, left: times, has: Arc::clone(&has), ended: false, has_broken: false };
        let server = Scripted::play(move |request| api.play(request)).await;
        let mut settings = settings(&server.base_url);
        let nobody = Address::new();
        if fault == Fault::Refused && !matches!(at, Step::Chunk | Step::Finalize | Step::Query) {
            settings.base_url = nobody.url();
        }
        let second = Duration::from_secs(1);
        let timeouts = Timeouts { connect: second, call: second, create: second, idle: second };
        let gemini = Gemini::new(Settings { timeouts, ..settings }).unwrap();
        let result = call(&gemini, at, &has).await;
        self::check(&name, at, &server, &result, times);
        (name, result.err().map(|error| error.kind()))
    }
}

/// Makes the call that comes to this step. A success is the whole truth.
async fn call(gemini: &Gemini, at: Step, has: &Mutex<Vec<u8>>) -> Result<(), Error> {
    match at {
        Step::Start | Step::Chunk | Step::Finalize | Step::Query => {
            let new = NewFile { range: whole(file(CONTENT)), display_name: "x", sha256: None };
            let sent = gemini.upload(new, None, &|_| Ok(()), &Silent::default()).await?;
            assert_eq!((sent.name.as_str(), has.lock().unwrap().as_slice()), ("files/new", CONTENT), "{at:?}");
        }
        Step::Create => {
            let input_file = "files/a";
            let batch = NewBatch { display_name: "n", input_file, priority: None, webhook_uris: &[] };
            gemini.create_batch("m", Kind::Generate, batch).await?;
        }
        Step::Get => assert_eq!(gemini.get_batch("batches/b").await?.name, "batches/b"),
        Step::List => assert_eq!(gemini.list_batches(9, None).await?.items.len(), 1),
        Step::Download => drop(gemini.download("files/r", &mut Vec::new(), &Silent::default()).await?),
    }
    Ok(())
}

/// What holds in every cell.
fn check(name: &str, at: Step, server: &Scripted, result: &Result<(), Error>, times: usize) {
    let seen = server.seen();
    let creates = seen.iter().filter(|request| step_of(request) == Step::Create).count();
    assert!(creates <= 1, "{name}: {creates} creates");
    assert!(at != Step::Create || creates == 1 || seen.is_empty(), "{name}");
    assert!(seen.len() <= 12, "{name}: {} requests", seen.len());
    let sent: usize =
        seen.iter().filter(|r| matches!(step_of(r), Step::Chunk | Step::Finalize)).map(|r| r.body.len()).sum();
    assert!(times > 1 || sent <= CONTENT.len() + 8, "{name}: {sent} bytes sent");
    if let Err(error) = result {
        let texts = texts(error);
        assert!(!texts.contains(KEY) && !texts.contains("SECRETSESSION"), "{name}: {texts}");
        assert!(error.next_step().is_some_and(|step| !step.is_empty()), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn every_fault_at_every_step_ends_as_the_table_says() {
    let cells = TABLE.iter().flat_map(|(fault, row)| {
        STEPS.into_iter().zip(row).flat_map(move |(at, (once, always))| {
            [(1, *once), (usize::MAX, *always)].map(|(times, expected)| (Walk { fault: *fault, at, times }, expected))
        })
    });
    let walks = futures_util::stream::iter(cells)
        .map(|(walk, expected)| async move { (walk.walk().await, expected) })
        .buffer_unordered(40)
        .collect::<Vec<_>>();
    let walked = tokio::time::timeout(Duration::from_secs(20), walks).await.expect("all cells in bounded time");
    assert_eq!(walked.len(), 2 * 8 * 15);
    let other = |((name, kind), expected)| (kind != expected).then(|| format!("{name}: {kind:?}, not {expected:?}"));
    let wrong: Vec<_> = walked.into_iter().filter_map(other).collect();
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
}
