//! Resources that a client wants to hear of when they change.
//!
//! While somebody listens, what is remembered of the jobs is looked at every two seconds: that shows what any
//! process has seen. The API itself is asked at the pace of `check_status`, once for all who listen here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{ErrorData, ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{SubscriptionContext, SubscriptionSink};
use rmcp::{Peer, RoleServer};
use tokio_util::task::AbortOnDropHandle;

use super::resources::Address;
use crate::ops::status::{self, StatusArgs};
use crate::ops::{App, known};
use crate::progress::Silent;

/// Between two looks at what is remembered.
const LOOK: Duration = Duration::from_secs(2);
/// Between two questions to the API about the same job.
const SHORTEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Resources that one client may subscribe to.
const MOST: usize = 100;
/// Jobs whose state changes the list of jobs.
const NEWEST_JOBS: usize = 30;

/// When the API may be asked again about each job, whoever listens.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<String, Instant>>);

impl Pace {
    /// Whether it is time to ask; if so, nobody else does for a while.
    fn is_due(&self, job: &str, now: Instant) -> bool {
        match lock(&self.0).entry(job.to_owned()) {
            Entry::Occupied(due) if *due.get() > now => false,
            due => {
                due.insert_entry(now + SHORTEST_PAUSE);
                true
            }
        }
    }

    fn not_before(&self, job: &str, then: Instant) {
        lock(&self.0).insert(job.to_owned(), then);
    }
}

/// What the client of one connection has subscribed to, up to 2025-11-25. Ends with the connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<HashMap<String, AbortOnDropHandle<()>>>);

impl Subscriptions {
    /// Tells this client whenever the resource has changed.
    pub(super) fn add(&self, watcher: Watcher, uri: &str, peer: Peer<RoleServer>) -> Result<(), ErrorData> {
        let watched = Watched::new(&watcher.app, uri).ok_or_else(|| {
            ErrorData::resource_not_found(format!("there is no resource {uri} to subscribe to"), None)
        })?;
        let mut all = lock(&self.0);
        if all.len() >= MOST && !all.contains_key(uri) {
            return Err(ErrorData::invalid_params(format!("more than {MOST} subscriptions; end one first"), None));
        }
        let task = tokio::spawn(watcher.watch(vec![watched], Listener::Session(peer)));
        all.insert(uri.to_owned(), AbortOnDropHandle::new(task));
        Ok(())
    }

    /// No more of it.
    pub(super) fn remove(&self, uri: &str) {
        lock(&self.0).remove(uri);
    }
}

/// What can be subscribed to of what was asked for.
pub(super) fn accepted(app: &App, requested: &SubscriptionFilter) -> SubscriptionFilter {
    let uris = requested.resource_subscriptions.iter().flatten();
    let known = uris.filter(|uri| Watched::new(app, uri).is_some()).take(MOST);
    SubscriptionFilter::builder().resource_subscriptions(known.cloned().collect::<Vec<_>>()).build()
}

/// Serves one `subscriptions/listen` (2026-07-28) until the client has had enough.
pub(super) async fn listen(watcher: Watcher, context: SubscriptionContext) {
    let uris = context.accepted().resource_subscriptions.iter().flatten();
    let watched: Vec<_> = uris.filter_map(|uri| Watched::new(&watcher.app, uri)).collect();
    let listener = Listener::Stream(context.sink().clone());
    tokio::select! {
        () = watcher.watch(watched, listener) => {}
        () = context.cancelled() => {}
    }
}

/// Who is told of changes.
enum Listener {
    /// The client of a session, up to 2025-11-25.
    Session(Peer<RoleServer>),
    /// The stream of a `subscriptions/listen`, from 2026-07-28 on.
    Stream(SubscriptionSink),
}

impl Listener {
    /// Whether it was told: one that is gone hears nothing.
    async fn tell(&self, uri: &str) -> bool {
        match self {
            Self::Session(peer) => {
                peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_ok()
            }
            Self::Stream(sink) => sink.notify_resource_updated(uri).await.is_ok(),
        }
    }
}

/// Looks for changes on behalf of one listener.
#[derive(Clone)]
pub(super) struct Watcher {
    pub(super) app: App,
    pub(super) pace: Arc<Pace>,
}

impl Watcher {
    /// Tells of every change until nobody hears it any more.
    async fn watch(self, mut all: Vec<Watched>, listener: Listener) {
        loop {
            tokio::time::sleep(LOOK).await;
            for watched in &all {
                self.ask(&watched.address).await;
            }
            for watched in &mut all {
                if watched.has_changed(&self.app) && !listener.tell(&watched.uri).await {
                    return;
                }
            }
        }
    }

    /// Asks the API how the job stands, if it is time to; it is remembered for everybody.
    async fn ask(&self, address: &Address) {
        let jobs = match address {
            Address::Jobs => Vec::new(),
            address => address.job().map(str::to_owned).into_iter().collect(),
        };
        let name = jobs.first().cloned().unwrap_or_default();
        if (jobs.is_empty() && *address != Address::Jobs)
            || !self.app.can_connect()
            || !self.pace.is_due(&name, Instant::now())
        {
            return;
        }
        match status::status(&self.app, StatusArgs { jobs, ..StatusArgs::default() }, &Silent::default()).await {
            Ok(reply) => {
                let wanted = reply.next_check_after_s.and_then(|seconds| u64::try_from(seconds).ok());
                let pause = Duration::from_secs(wanted.unwrap_or(0)).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                self.pace.not_before(&name, Instant::now() + pause);
            }
            Err(e) => tracing::debug!("looking after {address} for a subscriber: {e}"),
        }
    }
}

/// One resource, and how it was when last looked at.
struct Watched {
    uri: String,
    address: Address,
    mark: String,
}

impl Watched {
    /// None if there is no such resource.
    fn new(app: &App, uri: &str) -> Option<Self> {
        let address = Address::parse(uri)?;
        let mark = mark(app, &address)?;
        Some(Self { uri: uri.to_owned(), address, mark })
    }

    fn has_changed(&mut self, app: &App) -> bool {
        match mark(app, &self.address) {
            Some(mark) if mark != self.mark => {
                self.mark = mark;
                true
            }
            _ => false,
        }
    }
}

/// A text that is another one whenever the resource is. None: there is no such resource.
fn mark(app: &App, address: &Address) -> Option<String> {
    let marked = match (address, address.job()) {
        (_, Some(job)) => known::mark(app, job),
        (Address::Jobs, None) => known::mark_of_newest(app, NEWEST_JOBS).map(Some),
        // Texts and prices stay as they are while the program runs.
        (_, None) => Ok(Some(String::new())),
    };
    marked.ok().flatten()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_asked_about_a_job_once_for_all_who_listen() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert!(pace.is_due("a", now) && !pace.is_due("a", now) && pace.is_due("b", now));
        let later = now + SHORTEST_PAUSE;
        assert!(!pace.is_due("a", later - LOOK) && pace.is_due("a", later));
        pace.not_before("a", now + LONGEST_PAUSE);
        assert!(!pace.is_due("a", later + LOOK) && pace.is_due("a", now + LONGEST_PAUSE));
    }
}
