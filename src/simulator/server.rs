//! From a request to a reply: the log, the key, and who answers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, Fuse, StreamExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::connection::Cutter;
use super::fault::{Fault, FaultPlan};
use super::limits::Limits;
use super::log::RequestLog;
use super::pace::Pace;
use super::refusal::Refusal;
use super::reply::Reply;
use super::route::{Route, UploadCommand};
use super::store::Store;
use super::webhook::Signer;
use super::{batches, create, exchange, files, models, project, uploads, webhook};

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
    pub(super) tells_its_time: bool,
    pub(super) granularity: u64,
    pub(super) refused_mime_types: Vec<String>,
    pub(super) signer: Signer,
    /// Cancelled when the simulator stops.
    pub(super) stopped: CancellationToken,
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
    let route = Route::of(&parts.method, parts.uri.path(), &parts.headers);
    let call = route.as_ref().map(Route::call);
    let entry = service.log.open(Arc::clone(&service.clock), parts.method.as_str(), parts.uri.path(), call);
    let reply = match route {
        Some(route) => exchange::reply(&service, route, parts, body, entry.meter()).await,
        None => Some(Refusal::not_found().reply()),
    };
    let Some(reply) = reply else {
        cutter.sever();
        return Response::new(Body::empty());
    };
    entry.answered(reply.status());
    let date = service.tells_its_time.then(|| service.clock.now().to_rfc2822().replace("+0000", "GMT"));
    let reply = date.into_iter().fold(reply, |reply, date| reply.with_header("date", date));
    reply.into_response()
}

/// Carries a call out.
pub(super) async fn act(
    service: &Arc<Service>,
    route: Route,
    parts: &Parts,
    body: &mut RequestBody,
    fault: Option<Fault>,
) -> Result<Reply, Refusal> {
    let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri).map(|Query(query)| query);
    let query = query.map_err(|e| Refusal::invalid(e.to_string()))?;
    let key = project::key(&parts.headers, &query);
    project::refuse_revoked(&service.store, key)?;
    let project = match route {
        // The upload URL is a secret of its own; the keys that sign are for everybody.
        Route::Upload(_) | Route::SigningKeys => String::new(),
        _ => project::of_key(key)?,
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
        Route::SigningKeys => Ok(webhook::keys()),
    }
}
