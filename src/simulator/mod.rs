//! The Gemini Batch API, pretended: an HTTP server on loopback.
//!
//! Deterministic answers, typed faults, a clock that can be moved. It writes its JSON from recorded
//! samples of the service and shares no type with the client, so that a misspelt field cannot agree
//! with itself. It was last compared with Google's Python SDK 3.4.0, which drives it in
//! `.ci/interop/google_genai.py`, and never with the service itself.
//!
//! State lives in a folder. Several simulators, in one process or in many, can share it: they show
//! the same uploads, files and batches, and refuse the same revoked keys. Limits, faults and the log
//! are each simulator's own. The state of a batch is computed from its age ([`Pace`]), and its answers
//! are written on first need; all that runs in the background is the delivery of webhooks. An upload
//! URL holds the address of the simulator that gave it out; the others take it with their own address
//! in its place, which the SDKs put there anyway.
//!
//! Whoever creates a batch with `webhookConfig.uris` is told when it has ended, if the address is plain
//! `http` on loopback: no other is ever called.
//!
//! A prompt can ask for an outcome with a marker, `[[simulate:WORD]]`:
//!
//! | Word | Outcome |
//! |---|---|
//! | `failed` | the request ends in an error |
//! | `blocked` | the prompt is blocked (`promptFeedback.blockReason`) |
//! | `safety` | the answer is held back (`finishReason` `SAFETY`) |
//! | `truncated` | the answer is cut off (`finishReason` `MAX_TOKENS`) |
//! | `empty`, `no-candidates` | the answer has no parts; no candidates |
//! | `multipart` | the text is split over several parts |
//! | `thinking` | thoughts come before the answer |
//! | `json`, `image` | the answer is JSON; an image |
//! | `echo` | the answer is what the prompt says after the marker |
//! | `tight` | the answer is cut off unless `maxOutputTokens` is 4096 or more |
//! | `missing`, `duplicate`, `stranger`, `garbage` | no line; two lines; one more, with an unknown key; no JSON |
//! | `job-failed`, `job-expired` | the whole batch fails; never ends, and so expires |
//! | `job-pending`, `job-stuck` | the whole batch stays pending; stops half-way: and so expires |
//! | `partial` | a batch that is cancelled, fails or expires has answers to half of it |
//!
//! [`Marker::ALL`] is the same list as data.

mod answer;
mod batch;
mod batches;
mod clock;
mod connection;
mod create;
mod exchange;
mod fault;
mod fields;
mod files;
mod limits;
mod lines;
mod log;
mod marker;
mod models;
mod operation;
mod pace;
mod paging;
mod project;
mod refusal;
mod reply;
mod results;
mod route;
mod schema;
mod selection;
mod server;
mod store;
mod uploads;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use clock::{Clock, FileClock, ManualClock, SystemClock};
pub use fault::{Call, ErrorBody, Fault, FaultPlan};
pub use limits::Limits;
pub use log::{LogEntry, RequestLog};
pub use marker::Marker;
pub use pace::Pace;

use crate::error::{Error, ErrorKind, Result};

/// How long [`Simulator::stop`] waits for requests under way.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a simulator is set up.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where the state is kept. Made if it does not exist.
    pub folder: PathBuf,
    /// Where it listens: on loopback only. Port 0 is any free one.
    pub address: SocketAddr,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Answers say its time, and not that of the machine.
    pub tells_its_time: bool,
    /// How fast batches created here run.
    pub pace: Pace,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// What a project may have at a time.
    pub limits: Limits,
    /// Chunks of an upload, other than the last, must be multiples of this.
    pub granularity: u64,
    /// Files of these MIME types are refused, as the service has done with `jsonl`.
    pub refused_mime_types: Vec<String>,
    /// The secret that signs webhooks, `whsec_…` as Standard Webhooks has it. Without one they carry a JWT, and
    /// `/.well-known/jwks.json` has the key to check it with.
    pub webhook_secret: Option<String>,
}

impl Options {
    /// State in `folder`, any free port, the clock of the machine, the pace of a demonstration.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            clock: Arc::new(SystemClock),
            tells_its_time: false,
            pace: Pace::demo(),
            faults: FaultPlan::none(),
            limits: Limits::none(),
            granularity: 8 * 1024 * 1024,
            refused_mime_types: Vec::new(),
            webhook_secret: None,
        }
    }
}

/// A running simulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    log: RequestLog,
    faults: FaultPlan,
    limits: Limits,
    store: store::Store,
    /// Stops the server when it goes.
    stop: DropGuard,
    server: JoinHandle<std::io::Result<()>>,
}

impl Simulator {
    /// Starts to listen.
    pub async fn start(options: Options) -> Result<Self> {
        let address = options.address;
        let act = || format!("starting the simulator on {address}");
        if !address.ip().is_loopback() {
            return Err(Error::new(ErrorKind::InvalidArgument, act(), "it listens on loopback addresses only")
                .hint("use 127.0.0.1 or [::1]"));
        }
        let store = store::Store::open(options.folder.clone())
            .map_err(|e| Error::io(format!("opening the folder of the simulator, {}", options.folder.display()), e))?;
        let listener = TcpListener::bind(address).await.map_err(|e| Error::io(act(), e))?;
        let url = format!("http://{}", listener.local_addr().map_err(|e| Error::io(act(), e))?);
        let service = server::Service {
            store,
            clock: options.clock,
            tells_its_time: options.tells_its_time,
            pace: options.pace,
            faults: options.faults,
            limits: options.limits,
            log: RequestLog::default(),
            url,
            granularity: options.granularity.max(1),
            refused_mime_types: options.refused_mime_types,
            signer: webhook::Signer::new(options.webhook_secret.as_deref())?,
            stopped: CancellationToken::new(),
        };
        Ok(Self::run(service, listener))
    }

    fn run(service: server::Service, listener: TcpListener) -> Self {
        let (url, log, faults) = (service.url.clone(), service.log.clone(), service.faults.clone());
        let (limits, store, stopped) = (service.limits.clone(), service.store.clone(), service.stopped.clone());
        let stop = stopped.clone().drop_guard();
        let service = Arc::new(service);
        tokio::spawn(webhook::watch(Arc::clone(&service)));
        let app = Router::new().fallback(server::answer).with_state(service);
        let serving =
            axum::serve(connection::Door(listener), app.into_make_service_with_connect_info::<connection::Cutter>())
                .with_graceful_shutdown(async move { stopped.cancelled().await });
        let server = tokio::spawn(async move { serving.await });
        Self { url, log, faults, limits, store, stop, server }
    }

    /// The base URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was asked so far.
    pub fn log(&self) -> &RequestLog {
        &self.log
    }

    /// What goes wrong; faults can be added at any time.
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// What a project may have at a time; it can be changed at any time.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Refuses this key from now on, as the service refuses one that was revoked or never existed.
    ///
    /// What its project has stays, and is there again after [`restore_key`](Self::restore_key).
    pub fn revoke_key(&self, key: &str) -> Result<()> {
        self.set_revoked(key, true)
    }

    /// Takes the key again.
    pub fn restore_key(&self, key: &str) -> Result<()> {
        self.set_revoked(key, false)
    }

    fn set_revoked(&self, key: &str, revoked: bool) -> Result<()> {
        project::set_revoked(&self.store, key, revoked)
            .map_err(|e| Error::io("noting in the simulator that a key is revoked", e))
    }

    /// Stops: takes no more requests, and ends those under way.
    pub async fn stop(self) {
        let Self { stop, mut server, .. } = self;
        drop(stop);
        if tokio::time::timeout(PATIENCE, &mut server).await.is_err() {
            server.abort();
        }
    }
}
