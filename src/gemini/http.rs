//! One call: its URL, the key, the deadline, repetition, and reading the body.

use std::future::Future;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};
use serde::de::DeserializeOwned;
use tempfile::SpooledTempFile;

use super::call::Call;
use super::client::{body, client};
use super::failure::Failure;
use super::json;
use super::key::{self, Key};
use super::plain::describe;
use super::retry::RetryPolicy;
use super::settings::{self, Settings, Timeouts};
use super::status::ApiStatus;
use super::witness::{Sighting, Witness};
use crate::error::{Error, Result};

/// The longest answer of a small call.
const SMALL: usize = 16 * 1024 * 1024;
/// How much of an error body is read.
const ERROR_BODY: usize = 256 * 1024;
/// Larger answers than this are kept in a temporary file.
const IN_MEMORY: usize = 1024 * 1024;
/// What a witness is told that the requests of an upload are about.
pub(super) const UPLOAD: &str = "upload";

/// The client with everything that all calls share.
pub(super) struct Http {
    client: Client,
    base: Url,
    version: String,
    key: Key,
    pub(super) retry: RetryPolicy,
    pub(super) timeouts: Timeouts,
    pub(super) chunk_bytes: usize,
    witness: Option<Arc<dyn Witness>>,
    spool: Option<PathBuf>,
}

/// One request on its way, and what is expected of the answer.
pub(super) struct Exchange {
    pub(super) request: Request,
    /// What it is about, for a witness.
    pub(super) resource: String,
    /// Until the whole answer is there.
    pub(super) patience: Duration,
    /// The longest answer, in bytes.
    pub(super) limit: usize,
}

/// A success whose body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    sighting: Sighting,
}

impl Answer {
    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// It is not what it has to be.
    pub(super) fn unreadable(mut self, why: &str) -> Failure {
        self.sighting.failed(Failure::Unreadable(why.to_owned()))
    }
}

/// Reads an answer that is kept in a temporary file; the error says what it is instead.
pub(super) type ReadSpool<T> = fn(SpooledTempFile) -> Result<T, String>;

impl Http {
    pub(super) fn new(settings: Settings) -> Result<Self> {
        let base = settings::base_url(&settings.base_url)?;
        let key = Key::new(&settings.key)?;
        let client = client(&base, settings.timeouts.connect)?;
        let (retry, timeouts, chunk_bytes) = (settings.retry, settings.timeouts, settings.chunk_bytes);
        let version = settings::version(&settings.api_version)?;
        Ok(Self {
            client,
            base,
            version,
            key,
            retry,
            timeouts,
            chunk_bytes,
            witness: settings.witness,
            spool: settings.spool,
        })
    }

    /// A short hash of the key and the service it is for. The port says nothing of that: a simulator has another one
    /// each time.
    pub(super) fn owner(&self) -> String {
        self.key.mark(&format!("{}{}", self.base.host_str().unwrap_or_default(), self.base.path()))
    }

    /// A short hash of the key.
    pub(super) fn key_mark(&self) -> String {
        self.key.mark("")
    }

    /// A path below the version: `v1beta/batches/abc`.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.version)
    }

    /// The URL to upload to: on the host of the base if that is not Google's (API reference §1.3).
    pub(super) fn upload_url(&self, announced: &str) -> Option<Url> {
        let mut url = Url::parse(announced).ok()?;
        if !settings::is_google(&self.base) {
            url.set_scheme(self.base.scheme()).ok()?;
            url.set_host(self.base.host_str()).ok()?;
            url.set_port(self.base.port()).ok()?;
        }
        (url.scheme() == self.base.scheme()).then_some(url)
    }

    /// The URL that was uploaded to before, if it is of the host of the base. The port may have changed since.
    pub(super) fn known_upload_url(&self, url: &str) -> Option<Url> {
        let known = Url::parse(url).ok()?;
        let same_host = known.host_str() == self.base.host_str();
        let both_google = settings::is_google(&known) && settings::is_google(&self.base);
        if same_host || both_google { self.upload_url(url) } else { None }
    }

    /// A request to any URL. The key goes to the host of the base only.
    pub(super) fn request(&self, method: Method, url: Url) -> Request {
        let own_host = url.origin() == self.base.origin();
        let mut request = Request::new(method, url);
        if own_host {
            request.headers_mut().insert(key::HEADER, self.key.header());
        }
        request
    }

    /// Makes a call and reads its answer.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        self.read(call, |_, body| json::read(body)).await
    }

    /// Makes a call whose answer says nothing: `{}`, or not even that.
    pub(super) async fn done(&self, call: &Call) -> Result<()> {
        let fine = |body: &[u8]| body.trim_ascii().is_empty() || json::looks_like_json(body);
        self.read(call, |_, body| fine(body).then_some(()).ok_or_else(|| describe(body))).await
    }

    /// Makes a call whose answer is in its headers.
    pub(super) async fn head(&self, call: &Call) -> Result<HeaderMap> {
        self.read(call, |headers, _| Ok(headers.clone())).await
    }

    /// Makes a call and takes from its whole answer what is wanted.
    async fn read<T>(&self, call: &Call, take: impl Fn(&HeaderMap, &[u8]) -> Result<T, String>) -> Result<T> {
        self.repeated(call, || self.whole(call, &take)).await
    }

    /// Makes a call whose answer may be large: it is kept in a temporary file, and read on a thread that may block.
    pub(super) async fn spooled<T: Send + 'static>(&self, call: &Call, read: ReadSpool<T>) -> Result<T> {
        self.repeated(call, || self.spooled_once(call, read)).await
    }

    /// Makes a call until it succeeds; the caller reads the body.
    pub(super) async fn open(&self, call: &Call) -> Result<Answer> {
        self.repeated(call, || self.open_once(call)).await
    }

    /// The next piece of a streamed body, or a failure when nothing comes for too long.
    pub(super) async fn piece(&self, answer: &mut Answer) -> Result<Option<Bytes>, Failure> {
        let idle = self.timeouts.idle;
        let next = answer.response.chunk();
        let piece = within(idle, async { next.await.map_err(|e| Failure::of_client(e, idle)) }).await;
        if let Ok(Some(piece)) = piece { Ok(Some(piece)) } else { answer.sighting.ended(piece) }
    }

    /// One exchange: sends a request and takes from the whole answer what is wanted, all within its time.
    pub(super) async fn exchange<T>(
        &self,
        exchange: Exchange,
        take: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Exchange { request, resource, patience, limit } = exchange;
        let mut sighting = self.watch(&request, resource);
        let taken = within(patience, async {
            let response = self.attempt(request, &mut sighting).await?;
            let headers = response.headers().clone();
            let body = body(response, limit).await?;
            take(&headers, &body)
        })
        .await;
        sighting.ended(taken)
    }

    fn watch(&self, request: &Request, resource: String) -> Sighting {
        Sighting::new(self.witness.clone(), request.method(), resource)
    }

    /// Sends one request. Any answer but a success is a failure.
    async fn attempt(&self, mut request: Request, sighting: &mut Sighting) -> Result<Response, Failure> {
        if request.method() == Method::POST && request.body().is_none() {
            // Google's servers refuse a POST that does not say its length, and hyper leaves out a zero.
            request.headers_mut().insert(CONTENT_LENGTH, 0.into());
        }
        let start = Instant::now();
        let response = self.client.execute(request).await.map_err(|e| Failure::of_client(e, start.elapsed()))?;
        let status = response.status();
        sighting.answered(status, response.headers());
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // The status says enough even if the body cannot be read.
        let body = body(response, ERROR_BODY).await.unwrap_or_default();
        Err(Failure::Status(ApiStatus::read(status.as_u16(), &headers, &body).into()))
    }

    /// The error of a failure that is not repeated (any more), free of the key.
    pub(super) fn error(&self, call: &Call, failure: Failure) -> Error {
        self.key.hidden_in(failure.into_error(call))
    }

    async fn repeated<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        call: &Call,
        once: impl Fn() -> F,
    ) -> Result<T> {
        let max_tries = self.retry.max_tries.min(call.most_tries);
        let mut tries = RetryPolicy { max_tries, ..self.retry }.start();
        loop {
            let failure = match once().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            match tries.after(&failure, call.repeat) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(self.error(call, failure)),
            }
        }
    }

    async fn whole<T>(&self, call: &Call, take: impl Fn(&HeaderMap, &[u8]) -> Result<T, String>) -> Result<T, Failure> {
        let patience = self.patience(call);
        let mut request = self.build(call)?;
        // Only here: a front end that was told so would cut off a transfer after this time.
        request.headers_mut().insert("x-server-timeout", (patience.as_secs_f64().ceil() as u64).into());
        let exchange = Exchange { request, resource: self.resource(call), patience, limit: SMALL };
        let read = |headers: &HeaderMap, body: &[u8]| {
            refuse_error_inside(body)?;
            take(headers, body).map_err(Failure::Unreadable)
        };
        self.exchange(exchange, read).await
    }

    async fn open_once(&self, call: &Call) -> Result<Answer, Failure> {
        let request = self.build(call)?;
        let mut sighting = self.watch(&request, self.resource(call));
        let head = within(self.patience(call), self.attempt(request, &mut sighting)).await;
        match head {
            Ok(response) => Ok(Answer { response, sighting }),
            Err(failure) => sighting.ended(Err(failure)),
        }
    }

    async fn spooled_once<T: Send + 'static>(&self, call: &Call, read: ReadSpool<T>) -> Result<T, Failure> {
        let local = |e| Failure::Local(Error::io("keeping an answer in a temporary file", e));
        let mut answer = self.open_once(call).await?;
        let mut spool = match &self.spool {
            Some(folder) => SpooledTempFile::new_in(IN_MEMORY, folder),
            None => SpooledTempFile::new(IN_MEMORY),
        };
        while let Some(piece) = self.piece(&mut answer).await? {
            spool.write_all(&piece).map_err(local)?;
        }
        spool.rewind().map_err(local)?;
        let read = tokio::task::spawn_blocking(move || read(spool)).await;
        let read = read.map_err(|e| Failure::Local(Error::internal(&call.act, e.to_string())))?;
        answer.sighting.ended(read.map_err(Failure::Unreadable))
    }

    fn patience(&self, call: &Call) -> Duration {
        call.patience.unwrap_or(self.timeouts.call)
    }

    /// What a call is about, for a witness. What stands in front of a version is that of an upload.
    fn resource(&self, call: &Call) -> String {
        let below = call.path.strip_prefix(&self.version).and_then(|rest| rest.strip_prefix('/'));
        below.unwrap_or(UPLOAD).to_owned()
    }

    fn build(&self, call: &Call) -> Result<Request, Failure> {
        let internal = |what: &str| Failure::Local(Error::internal(&call.act, what));
        let mut url = self.base.join(&call.path).map_err(|_| internal("the URL cannot be built"))?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.request(call.method.clone(), url);
        let headers = request.headers_mut();
        for (name, value) in &call.headers {
            headers.insert(*name, HeaderValue::from_str(value).map_err(|_| internal("a header cannot be built"))?);
        }
        if let Some(body) = &call.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.clone().into());
        }
        Ok(request)
    }
}

/// Some calls fail with a success whose body is an error and nothing else.
pub(super) fn refuse_error_inside(body: &[u8]) -> Result<(), Failure> {
    match ApiStatus::inside_success(body) {
        Some(status) => Err(Failure::Status(status.into())),
        None => Ok(()),
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(patience, work).await.unwrap_or(Err(Failure::TimedOut(patience)))
}
