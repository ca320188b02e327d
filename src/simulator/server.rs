//! From a request to a reply: the key, the faults, the log, and who answers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, Fuse, StreamExt};
use serde_json::{Value, json};

use super::clock::Clock;
use super::connection::Cutter;
use super::fault::{Fault, FaultPlan};
use super::limits::Limits;
use super::log::RequestLog;
use super::pace::Pace;
use super::refusal::{Refusal, faulty_reply};
use super::reply::Reply;
use super::route::{Route, UploadCommand};
use super::store::Store;
use super::{batches, create, files, models, project, uploads};

/// A request that carries its data inside may be this large.
const LARGEST_BODY: usize = 20 * 1024 * 1024;

/// The bytes of a request as they come in.
pub(super) type RequestBody = Fuse<BoxStream<'static, io::Result<Bytes>>>;

/// What all requests share.
pub(super) struct Service {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pace: Pace,
    pub(super) faults: FaultPlan,
    pub(super) limits: Limits,
    pub(super) log: RequestLog,
    pub(super) url: String,
    pub(super) granularity: u64,
    pub(super) refused_mime_types: Vec<String>,
}

/// One request, as far as its answer depends on it.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) now: DateTime<Utc>,
    /// Empty where a call needs no key.
    pub(super) project: String,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) fault: Option<Fault>,
}

impl Ask {
    /// The body as JSON. An empty body is an empty object.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body)
            .map_err(|e| Refusal::bad_payload(format!("Invalid JSON payload received. {e}"), ""))
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Answers one request.
pub(super) async fn answer(
    State(service): State<Arc<Service>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut entry = service.log.open(service.clock.now(), parts.method.as_str(), parts.uri.path());
    let reply = match Route::of(&parts.method, parts.uri.path(), &parts.headers) {
        Some(route) => reply(&service, route, &parts, body, entry.counter()).await,
        None => Some(Refusal::not_found().reply()),
    };
    let Some(reply) = reply else {
        cutter.sever();
        return Response::new(Body::empty());
    };
    entry.answered(reply.status());
    reply.into_response()
}

/// The reply, or `None` where the connection is to end without one.
async fn reply(
    service: &Arc<Service>,
    route: Route,
    parts: &Parts,
    body: Body,
    counter: Arc<AtomicU64>,
) -> Option<Reply> {
    let fault = service.faults.take(route.call());
    let mut body = counted(body, counter, fault);
    let reply = match fault {
        Some(Fault::ResetBeforeActing) => return None,
        Some(Fault::Status { code, body }) => faulty_reply(code, body),
        _ => act(service, route, parts, &mut body, fault).await.unwrap_or_else(|refusal| refusal.reply()),
    };
    // A caller who is still sending would otherwise see a broken connection instead of the reply.
    while let Some(Ok(_)) = body.next().await {}
    spoiled(reply, fault).await
}

/// What a fault leaves of the reply to a call that was carried out.
async fn spoiled(reply: Reply, fault: Option<Fault>) -> Option<Reply> {
    match fault {
        Some(Fault::ResetAfterActing | Fault::ResetAfterReading(_)) => None,
        Some(Fault::StatusAfterActing { code, body }) => Some(faulty_reply(code, body)),
        Some(Fault::CutBodyAfter(bytes)) => Some(reply.cut_after(bytes)),
        Some(Fault::EndBodyAfter(bytes)) => Some(reply.end_after(bytes)),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            Some(reply)
        }
        _ => Some(reply),
    }
}

/// The request body: its bytes are counted, and it breaks off where a fault says so.
fn counted(body: Body, counter: Arc<AtomicU64>, fault: Option<Fault>) -> RequestBody {
    let mut left = match fault {
        Some(Fault::ResetAfterReading(bytes)) => bytes,
        _ => u64::MAX,
    };
    body.into_data_stream()
        .flat_map(move |piece| {
            let mut piece = match piece {
                Ok(piece) => piece,
                Err(e) => return stream::iter(vec![Err(io::Error::other(e))]),
            };
            let broken = piece.len() as u64 > left;
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
            let end = broken.then(|| Err(io::ErrorKind::ConnectionReset.into()));
            stream::iter([Some(Ok(piece)), end].into_iter().flatten().collect::<Vec<_>>())
        })
        .boxed()
        .fuse()
}

async fn act(
    service: &Arc<Service>,
    route: Route,
    parts: &Parts,
    body: &mut RequestBody,
    fault: Option<Fault>,
) -> Result<Reply, Refusal> {
    let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri).map(|Query(query)| query);
    let query = query.map_err(|e| Refusal::invalid(e.to_string()))?;
    let project = match route {
        // The upload URL is a secret of its own.
        Route::Upload(_) => String::new(),
        _ => project::of_key(&parts.headers, &query)?,
    };
    let now = service.clock.now();
    let mut ask = Ask { now, project, query, headers: parts.headers.clone(), body: Bytes::new(), fault };
    if let Route::Upload(command @ (UploadCommand::Append | UploadCommand::Finalize)) = route {
        return uploads::receive(service, ask, command, body).await;
    }
    ask.body = gathered(body).await?;
    let service = Arc::clone(service);
    // Records and result files are read and written with plain blocking calls.
    tokio::task::spawn_blocking(move || dispatch(&service, route, &ask))
        .await
        .unwrap_or_else(|e| Err(Refusal::new(500, e.to_string())))
}

/// The whole body of a small request.
async fn gathered(pieces: &mut RequestBody) -> Result<Bytes, Refusal> {
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece?);
        if body.len() > LARGEST_BODY {
            let message = format!("Request payload size exceeds the limit: {LARGEST_BODY} bytes.");
            return Err(Refusal::invalid(message));
        }
    }
    Ok(body.into())
}

fn dispatch(service: &Service, route: Route, ask: &Ask) -> Result<Reply, Refusal> {
    match route {
        Route::StartUpload => uploads::start(service, ask),
        Route::Upload(UploadCommand::Cancel) => uploads::cancel(service, ask),
        Route::Upload(_) => uploads::query(service, ask),
        Route::GetFile(id) => files::get(service, ask, &id),
        Route::ListFiles => files::list(service, ask),
        Route::DeleteFile(id) => files::delete(service, ask, &id),
        Route::Download(id) => files::download(service, ask, &id),
        Route::Create(model, kind) => create::create(service, ask, &model, kind),
        Route::GetBatch(id) => batches::get(service, ask, &id),
        Route::ListBatches => batches::list(service, ask),
        Route::CancelBatch(id) => batches::cancel(service, ask, &id),
        Route::DeleteBatch(id) => batches::delete(service, ask, &id),
        Route::UpdateBatch(id) => batches::update(service, ask, &id),
        Route::ListModels => models::list(ask),
        Route::GetModel(name) => models::get(&name),
        Route::CountTokens(name) => models::count_tokens(ask, &name),
    }
}
