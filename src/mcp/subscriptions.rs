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
use tokio_util::task::AbortOnDropHandle;

use super::BatchServer;
use super::http::InSession;
use super::places::{Places, Share};
use super::resources::{Address, NEWEST_JOBS};
use super::tasks::Owner;
use crate::error::Result;
use crate::ops::App;
use crate::ops::known::{self, Known};
use crate::ops::status::{self, StatusArgs};
use crate::progress::Silent;

/// Between two looks at what is remembered.
const LOOK: Duration = Duration::from_secs(2);
/// Between two calls that ask the API, if it is due.
const ASK: Duration = Duration::from_secs(30);
/// Resources that one client may subscribe to, or listen to at a time.
const MOST: usize = 100;
/// Calls that listen at a time. Over HTTP each holds a connection, and others are to find one.
const MOST_LISTENING: usize = 64;

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

/// The places of those who listen.
pub(super) fn places(share: Share) -> Places<Option<Owner>> {
    Places::new(MOST_LISTENING, share.of_all(MOST_LISTENING))
}

/// Serves one `subscriptions/listen` (2026-07-28) until the client has had enough, or the server ends.
pub(super) async fn listen(server: &BatchServer, context: SubscriptionContext) -> Result<(), ErrorData> {
    let app = &server.app;
    let Some(_place) = server.listening.take(Owner::of(server, context.request_context())) else {
        let words =
            "so many are listening already, you or all together, that there is no room; end one, or read instead";
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
    let mut asking: Option<(Instant, AbortOnDropHandle<()>)> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        if !listener.is_there() {
            continue;
        }
        // Beside the looks: what other processes see is not held up by an API that is slow.
        if asking.as_ref().is_none_or(|(begun, call)| begun.elapsed() >= ASK && call.is_finished()) {
            let addresses = all.iter().map(|watched| watched.address.clone()).collect();
            let mut call = AbortOnDropHandle::new(tokio::spawn(ask(app.clone(), addresses)));
            let _ = tokio::time::timeout(LOOK, &mut call).await;
            asking = Some((Instant::now(), call));
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

/// Has the API asked how the jobs of these resources stand, if that is due; it is remembered for everybody.
async fn ask(app: App, addresses: Vec<Address>) {
    if !app.can_connect() {
        return;
    }
    let known = addresses.iter().filter_map(|address| jobs_of(&app, address).ok()?).flatten();
    let named: HashSet<String> = known.map(|job| job.handle).collect();
    let named = async {
        if !named.is_empty() {
            ask_for(&app, named.into_iter().collect()).await;
        }
    };
    // No job named means all that have not ended: that is what changes the list.
    let all = async {
        if addresses.contains(&Address::Jobs) {
            ask_for(&app, Vec::new()).await;
        }
    };
    tokio::join!(named, all);
}

async fn ask_for(app: &App, jobs: Vec<String>) {
    if let Err(e) = status::status(app, StatusArgs { jobs, ..StatusArgs::default() }, &Silent::default()).await {
        tracing::debug!("looking after jobs for a subscriber: {e}");
    }
}

/// One resource, and how it was when last looked at.
struct Watched {
    uri: String,
    address: Address,
    /// None: it could not be looked at. What it has come to is told once it can be.
    mark: Option<String>,
}

impl Watched {
    /// None if there is no such resource.
    fn new(app: &App, uri: &str) -> Option<Self> {
        let address = Address::parse(uri);
        #[cfg(feature = "_conformance")]
        let address = address.or_else(|| (uri == super::fixtures::WATCHED).then_some(Address::RequestLine));
        let address = address?;
        let mark = match mark(app, &address) {
            Ok(mark) => Some(mark?),
            Err(e) => {
                tracing::debug!("{uri} cannot be looked at for a subscriber: {e}");
                None
            }
        };
        Some(Self { uri: uri.to_owned(), address, mark })
    }

    fn has_changed(&mut self, app: &App) -> bool {
        match mark(app, &self.address) {
            Ok(Some(mark)) if self.mark.as_ref() != Some(&mark) => {
                self.mark = Some(mark);
                true
            }
            _ => false,
        }
    }
}

/// A text that is another one whenever the resource is. None: there is no such resource.
fn mark(app: &App, address: &Address) -> Result<Option<String>> {
    if *address == Address::Jobs {
        return known::mark_of_newest(app, NEWEST_JOBS.into()).map(Some);
    }
    // Texts and prices stay as they are while the program runs.
    let Some(jobs) = jobs_of(app, address)? else { return Ok(Some(String::new())) };
    Ok((!jobs.is_empty()).then(|| jobs.into_iter().map(|job| job.mark).collect()))
}

/// The jobs that a resource of a job tells of: its status of that job alone, the others of its retries as well.
fn jobs_of(app: &App, address: &Address) -> Result<Option<Vec<Known>>> {
    let Some(job) = address.job() else { return Ok(None) };
    let mut jobs = known::with_retries(app, job)?;
    if matches!(address, Address::Status(_)) {
        jobs.truncate(1);
    }
    Ok(Some(jobs))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
