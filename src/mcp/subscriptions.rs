//! Resources that a client wants to hear of when they change.
//!
//! While somebody listens, what is remembered of the jobs is looked at every two seconds: that shows what any
//! process has seen. The API itself is asked as often as the age of a job says, once for all who listen (`ops::status`).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{ErrorData, ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{SubscriptionContext, SubscriptionSink};
use rmcp::{Peer, RoleServer};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::http::InSession;
use super::resources::Address;
use crate::ops::status::{self, StatusArgs};
use crate::ops::{App, known};
use crate::progress::Silent;

/// Between two looks at what is remembered.
const LOOK: Duration = Duration::from_secs(2);
/// Between two calls that ask the API, if it is due.
const ASK: Duration = Duration::from_secs(30);
/// Resources that one client may subscribe to, or listen to at a time.
const MOST: usize = 100;
/// Calls that listen at a time. Over HTTP each holds a connection, and others are to find one.
const MOST_LISTENING: usize = 64;
static LISTENING: Semaphore = Semaphore::const_new(MOST_LISTENING);
/// Jobs whose state changes the list of jobs.
const NEWEST_JOBS: usize = 30;

/// What the client of one connection or session has subscribed to, up to 2025-11-25. Ends with it.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<HashMap<String, AbortOnDropHandle<()>>>);

impl Subscriptions {
    /// Tells this client whenever the resource has changed, within a session if there is one beside the connection.
    pub(super) fn add(
        &self,
        app: &App,
        uri: &str,
        peer: Peer<RoleServer>,
        session: Option<InSession>,
    ) -> Result<(), ErrorData> {
        let watched = Watched::new(app, uri).ok_or_else(|| {
            ErrorData::resource_not_found(format!("there is no resource {uri} to subscribe to"), None)
        })?;
        let mut all = lock(&self.0);
        if all.len() >= MOST && !all.contains_key(uri) {
            return Err(ErrorData::invalid_params(format!("more than {MOST} subscriptions; end one first"), None));
        }
        let task = tokio::spawn(watch(app.clone(), vec![watched], Listener::Session { peer, session }));
        all.insert(uri.to_owned(), AbortOnDropHandle::new(task));
        Ok(())
    }

    /// No more of it.
    pub(super) fn remove(&self, uri: &str) {
        lock(&self.0).remove(uri);
    }
}

/// What can be subscribed to of what was asked for, as far as that is looked at.
pub(super) fn accepted(app: &App, requested: &SubscriptionFilter) -> SubscriptionFilter {
    let known = distinct(requested).into_iter().take(MOST).filter(|uri| Watched::new(app, uri).is_some());
    SubscriptionFilter::builder().resource_subscriptions(known.cloned().collect::<Vec<_>>()).build()
}

/// Each resource once, in the order in which they are named.
fn distinct(filter: &SubscriptionFilter) -> Vec<&String> {
    let mut seen = HashSet::new();
    filter.resource_subscriptions.iter().flatten().filter(|uri| seen.insert(*uri)).collect()
}

/// Serves one `subscriptions/listen` (2026-07-28) until the client has had enough, or the server ends.
pub(super) async fn listen(app: &App, context: SubscriptionContext) -> Result<(), ErrorData> {
    let Ok(_place) = LISTENING.try_acquire() else {
        let words = format!("{MOST_LISTENING} clients are listening, and that is all there is room for; read instead");
        return Err(ErrorData::invalid_request(words, None));
    };
    // What the client named twice stands twice in what the SDK accepts.
    let watched = distinct(context.accepted()).into_iter().filter_map(|uri| Watched::new(app, uri)).collect();
    let listener = Listener::Stream(context.sink().clone());
    tokio::select! {
        () = watch(app.clone(), watched, listener) => {}
        () = context.cancelled() => {}
        () = app.ending().closing().cancelled() => {}
    }
    Ok(())
}

/// Who is told of changes.
enum Listener {
    /// The client of a connection or session, up to 2025-11-25.
    Session { peer: Peer<RoleServer>, session: Option<InSession> },
    /// The stream of a `subscriptions/listen`, from 2026-07-28 on.
    Stream(SubscriptionSink),
}

impl Listener {
    /// A session may be without anybody who hears. What changes meanwhile is told once somebody does.
    fn is_there(&self) -> bool {
        match self {
            Self::Session { session, .. } => session.as_ref().is_none_or(InSession::is_listened_to),
            Self::Stream(_) => true,
        }
    }

    /// Whether it was told: one that is gone hears nothing.
    async fn tell(&self, uri: &str) -> bool {
        match self {
            Self::Session { peer, .. } => {
                peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_ok()
            }
            Self::Stream(sink) => sink.notify_resource_updated(uri).await.is_ok(),
        }
    }
}

/// Tells of every change until nobody hears it any more.
async fn watch(app: App, mut all: Vec<Watched>, listener: Listener) {
    let mut asked: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        if !listener.is_there() {
            continue;
        }
        if asked.is_none_or(|asked| asked.elapsed() >= ASK) {
            for watched in &all {
                ask(&app, &watched.address).await;
            }
            asked = Some(Instant::now());
        }
        let looked = tokio::task::spawn_blocking({
            let app = app.clone();
            move || (changed(&app, &mut all), all)
        });
        let Ok((changed, looked_at)) = looked.await else { return };
        all = looked_at;
        for uri in changed {
            if !listener.tell(&uri).await {
                return;
            }
        }
    }
}

/// Those that are not as they were.
fn changed(app: &App, all: &mut [Watched]) -> Vec<String> {
    all.iter_mut().filter_map(|watched| watched.has_changed(app).then(|| watched.uri.clone())).collect()
}

/// Has the API asked how a job stands, if that is due; it is remembered for everybody.
async fn ask(app: &App, address: &Address) {
    let jobs: Vec<String> = address.job().map(str::to_owned).into_iter().collect();
    // No job named means all that have not ended: that is what changes the list.
    if !app.can_connect() || (jobs.is_empty() && *address != Address::Jobs) {
        return;
    }
    if let Err(e) = status::status(app, StatusArgs { jobs, ..StatusArgs::default() }, &Silent::default()).await {
        tracing::debug!("looking after {address} for a subscriber: {e}");
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
        let address = Address::parse(uri);
        #[cfg(feature = "_conformance")]
        let address = address.or_else(|| (uri == super::fixtures::WATCHED).then_some(Address::RequestLine));
        let address = address?;
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
