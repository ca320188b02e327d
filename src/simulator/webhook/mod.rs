//! Webhooks: who is told that a batch has ended (API reference §9).
//!
//! A running simulator looks several times a second whether a batch with webhooks has ended. It cannot
//! wait for the next request to notice: those who are to be told may not ask meanwhile. Addresses that
//! are not `http` on loopback are never called.

mod delivery;
mod signature;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::batch::{self, Known, Standing, State};
use super::clock::written;
use super::fields::list;
use super::project::hex;
use super::reply::Reply;
use super::server::Service;
use super::store::{Shelf, Store};

pub(super) use signature::Signer;

/// How often it is looked whether a batch has ended.
const TICK: Duration = Duration::from_millis(200);

/// What is sent to one address.
#[derive(Debug, Clone)]
struct Notice {
    /// The same however often the notice is delivered.
    id: String,
    uri: String,
    body: Value,
}

/// Remembers that somebody wants to know when the batch has ended.
pub(super) fn expect(store: &Store, batch: &batch::Batch) -> io::Result<()> {
    match uris(batch).is_empty() {
        true => Ok(()),
        false => store.make(Shelf::Webhooks, &batch.id).map(drop),
    }
}

/// `GET /.well-known/jwks.json`: the keys with which notices are signed.
pub(super) fn keys() -> Reply {
    Reply::json(&signature::keys())
}

/// Delivers notices until the simulator stops.
pub(super) async fn watch(service: Arc<Service>) {
    let stopped = service.stopped.clone();
    let watching = async {
        loop {
            tokio::time::sleep(TICK).await;
            let looking = Arc::clone(&service);
            let due = tokio::task::spawn_blocking(move || due(&looking)).await;
            // What cannot be read now is looked at again.
            for notice in due.into_iter().flatten().flatten() {
                tokio::spawn(delivery::deliver(Arc::clone(&service), notice));
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = stopped.cancelled() => {}
    }
}

/// The notices of batches that have ended since the last look. Only one simulator of a folder gets them.
fn due(service: &Service) -> io::Result<Vec<Notice>> {
    let mut notices = Vec::new();
    for id in service.store.ids(Shelf::Webhooks)? {
        let known = batch::read(&service.store, &id)?;
        let standing = known.as_ref().map(|known| known.standing(service.clock.now()));
        if standing.is_some_and(|standing| standing.ended.is_none()) {
            continue;
        }
        // Whoever takes the mark away sends the notices. A batch that was deleted has none.
        let taken = service.store.discard(Shelf::Webhooks, &id).is_ok();
        if let (true, Some(known), Some(standing)) = (taken, known, standing) {
            notices.extend(notices_of(&known, &standing));
        }
    }
    Ok(notices)
}

fn notices_of(known: &Known, standing: &Standing) -> Vec<Notice> {
    let Some(body) = body(known, standing) else { return Vec::new() };
    let notice = |uri: String| {
        let digest = Sha256::digest(format!("{} {uri}", known.batch.id));
        Notice { id: format!("evt_{}", hex(&digest).get(..24).unwrap_or_default()), uri, body: body.clone() }
    };
    uris(&known.batch).into_iter().map(notice).collect()
}

/// The thin notice: which batch it is, how it ended, and the name of the results.
fn body(known: &Known, standing: &Standing) -> Option<Value> {
    let name = format!("batches/{}", known.batch.id);
    let (event, data) = match standing.state {
        State::Succeeded if known.has_result_file() => {
            ("succeeded", json!({"id": name, "output_file_uri": format!("files/batch-{}", known.batch.id)}))
        }
        State::Succeeded => ("succeeded", json!({"id": name})),
        State::Failed => {
            ("failed", json!({"id": name, "error_code": 13, "error_message": "An internal error has occurred."}))
        }
        State::Cancelled => ("cancelled", json!({"id": name})),
        State::Expired => ("expired", json!({"id": name})),
        State::Pending | State::Running => return None,
    };
    let timestamp = standing.ended.map(written);
    Some(json!({"type": format!("batch.{event}"), "version": "v1", "timestamp": timestamp, "data": data}))
}

/// The addresses that may be called.
fn uris(batch: &batch::Batch) -> Vec<String> {
    let uris = batch.webhook.iter().flat_map(|webhook| list(webhook, "uris"));
    let uris = uris.filter_map(|uri| uri.as_str().map(str::to_owned));
    uris.filter(|uri| delivery::Target::of(uri).is_some()).collect()
}
