//! One request and its reply, as far as a fault lets them be.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use futures_util::stream::{self, StreamExt};

use super::fault::Fault;
use super::log::Meter;
use super::refusal::faulty_reply;
use super::reply::Reply;
use super::route::Route;
use super::server::{RequestBody, Service, act};

/// The longest that [`Fault::Hang`] keeps a caller waiting.
const LONGEST_HANG: Duration = Duration::from_secs(120);

/// The reply, or `None` where the connection is to end without one.
pub(super) async fn reply(
    service: &Arc<Service>,
    route: Route,
    parts: Parts,
    body: Body,
    meter: Meter,
) -> Option<Reply> {
    let fault = service.faults.take(route.call());
    let mut body = counted(body, meter, fault);
    let reply = match fault {
        Some(Fault::ResetBeforeActing) => return None,
        Some(Fault::StatusBeforeReading { code, body }) => return Some(faulty_reply(code, body)),
        Some(Fault::Hang) => {
            drain(&mut body).await;
            pause(service, LONGEST_HANG).await;
            return None;
        }
        Some(Fault::Status { code, body }) => faulty_reply(code, body),
        Some(Fault::DelayBeforeActing(time)) => return act_late(service, route, parts, body, time).await,
        _ => act(service, route, &parts, &mut body, fault).await.unwrap_or_else(|refusal| refusal.reply()),
    };
    // A caller who is still sending would otherwise see a broken connection instead of the reply.
    drain(&mut body).await;
    spoiled(service, reply, fault).await
}

/// What a fault leaves of the reply to a call that was carried out.
async fn spoiled(service: &Service, reply: Reply, fault: Option<Fault>) -> Option<Reply> {
    match fault {
        Some(Fault::ResetAfterActing | Fault::ResetAfterReading(_)) => None,
        Some(Fault::StatusAfterActing { code, body }) => Some(faulty_reply(code, body)),
        Some(Fault::CutBodyAfter(bytes)) => Some(reply.cut_after(bytes)),
        Some(Fault::EndBodyAfter(bytes)) => Some(reply.end_after(bytes)),
        Some(Fault::Delay(time)) => {
            pause(service, time).await;
            Some(reply)
        }
        _ => Some(reply),
    }
}

/// Acts after a while, also if the caller is gone by then: what was sent whole has arrived.
async fn act_late(
    service: &Arc<Service>,
    route: Route,
    parts: Parts,
    body: RequestBody,
    time: Duration,
) -> Option<Reply> {
    let pieces: Vec<_> = body.collect().await;
    let service = Arc::clone(service);
    let acting = tokio::spawn(async move {
        if !pause(&service, time).await {
            return None;
        }
        let mut body = stream::iter(pieces).boxed().fuse();
        Some(act(&service, route, &parts, &mut body, None).await.unwrap_or_else(|refusal| refusal.reply()))
    });
    acting.await.ok().flatten()
}

/// Waits; `false` where the simulator was stopped before the time was over.
async fn pause(service: &Service, time: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = service.stopped.cancelled() => false,
    }
}

async fn drain(body: &mut RequestBody) {
    while let Some(Ok(_)) = body.next().await {}
}

/// The request body: its bytes are counted, and it breaks off where a fault says so.
fn counted(body: Body, meter: Meter, fault: Option<Fault>) -> RequestBody {
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
            meter.add(piece.len() as u64);
            let end = broken.then(|| Err(io::ErrorKind::ConnectionReset.into()));
            stream::iter([Some(Ok(piece)), end].into_iter().flatten().collect::<Vec<_>>())
        })
        .boxed()
        .fuse()
}
