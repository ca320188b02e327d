//! Notices of jobs that Google sends, so that nobody has to ask (API reference §9).
//!
//! Each is checked before anything is believed: that Google signed it (`signature`, or a token of `jwt`), that it is
//! fresh, that it was not here before (`seen`). What it says is a hint all the same: it is answered at once, then the
//! job is looked at.

mod seen;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::jwt::{self, Expected, Keys};
use super::{later, message};
use crate::config::http::WebhookSettings;
use crate::error::Result;
use crate::ops::{App, notified, signing_keys};
use seen::Seen;
use signature::Secrets;

/// A notice takes some hundred bytes.
const LONGEST: usize = 64 * 1024;
/// How long it may take to arrive: nobody logs in before it is read.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How far a notice's time may be from ours (Standard Webhooks; API reference §9).
const STALE_S: i64 = 300;
/// Looks at jobs at a time. What is above is dropped: whoever waits for the job looks for itself.
const MOST_LOOKS: usize = 16;
/// How long Google's keys may take: the sender waits.
const PATIENCE: Duration = Duration::from_secs(5);

struct Receiver {
    app: App,
    secrets: Secrets,
    /// For notices that are signed with Google's own keys.
    google: Option<(Keys, Expected)>,
    seen: Seen,
    looks: Arc<Semaphore>,
}

/// `/webhook`, if it is known how notices are signed; else nothing.
pub(super) fn router(app: &App, settings: &WebhookSettings) -> Result<Router> {
    if settings.secrets.is_empty() && settings.audience.is_none() {
        return Ok(Router::new());
    }
    let google = settings
        .audience
        .clone()
        .map(|audience| (google_keys(app), Expected { audiences: vec![audience], issuer: None }));
    let receiver = Receiver {
        app: app.clone(),
        secrets: Secrets::new(&settings.secrets)?,
        google,
        seen: Seen::default(),
        looks: Arc::new(Semaphore::new(MOST_LOOKS)),
    };
    let routes = Router::new().route("/webhook", post(receive)).with_state(Arc::new(receiver));
    Ok(routes.layer(DefaultBodyLimit::max(LONGEST)))
}

fn google_keys(app: &App) -> Keys {
    let app = app.clone();
    Keys::new(move || {
        let app = app.clone();
        async move { signing_keys::of_notices(&app).await }
    })
}

/// Why a notice is not believed.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Unsigned,
    Stale,
    Unreadable,
    /// Google's keys cannot be had before this time has passed.
    Unchecked(Duration),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unsigned => (StatusCode::UNAUTHORIZED, "the signature is missing or wrong\n"),
            Self::Stale => (StatusCode::BAD_REQUEST, "the time of the notice is too far from now\n"),
            Self::Unreadable => (StatusCode::BAD_REQUEST, "this is no notice\n"),
            Self::Unchecked(again) => {
                return later(StatusCode::SERVICE_UNAVAILABLE, again, "the signature cannot be checked now\n");
            }
        }
        .into_response()
    }
}

/// The part of a notice that is of interest.
#[derive(Debug, Deserialize)]
struct Notice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Subject,
}

#[derive(Debug, Default, Deserialize)]
struct Subject {
    id: Option<String>,
}

async fn receive(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let (head, body) = match message::arrived(request, ARRIVAL).await {
        Ok(arrived) => arrived,
        Err(refusal) => return *refusal,
    };
    let id = match receiver.id_of_signed(&head.headers, &body).await {
        Ok(id) => id,
        Err(refusal) => {
            tracing::debug!("a notice is refused: {refusal:?}");
            return refusal.into_response();
        }
    };
    let Ok(notice) = serde_json::from_slice::<Notice>(&body) else { return Refusal::Unreadable.into_response() };
    // Whoever sends it again has lost our answer, and is to be told that it came; nothing is done twice.
    if receiver.seen.is_new(id, receiver.app.now().timestamp()) {
        receiver.look(notice);
    }
    StatusCode::NO_CONTENT.into_response()
}

impl Receiver {
    /// What tells this notice from all others, if it is signed and fresh.
    async fn id_of_signed(&self, headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signatures = text("webhook-signature").ok_or(Refusal::Unsigned)?;
        let time = text("webhook-timestamp").map(|time| time.parse::<i64>().map_err(|_| Refusal::Stale)).transpose()?;
        if time.is_some_and(|time| self.app.now().timestamp().abs_diff(time) > STALE_S.unsigned_abs()) {
            return Err(Refusal::Stale);
        }
        if let (Some(id), Some(time)) = (text("webhook-id"), time)
            && self.secrets.signed(id, time, body, signatures)
        {
            return Ok(format!("id {id}"));
        }
        let tokens =
            signatures.split_whitespace().map(|one| one.rsplit_once(',').map_or(one, |(_version, token)| token));
        for token in tokens.filter(|token| token.matches('.').count() == 2).take(2) {
            if self.is_of_google(token).await? {
                let hash = digest(&SHA256, token.as_bytes());
                return Ok(format!("token {}", crate::job::id::hex(hash.as_ref())));
            }
        }
        Err(Refusal::Unsigned)
    }

    /// Whether a token is signed by Google, for us, and has not ended.
    async fn is_of_google(&self, token: &str) -> Result<bool, Refusal> {
        let Some((keys, expected)) = &self.google else { return Ok(false) };
        let checked = jwt::verified::<serde::de::IgnoredAny>(token, keys, expected);
        match tokio::time::timeout(PATIENCE, checked).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(jwt::Refused::Wrong(cause))) => {
                tracing::debug!("the token of a notice is refused: {cause:?}");
                Ok(false)
            }
            Ok(Err(jwt::Refused::Unchecked(again))) => Err(Refusal::Unchecked(again)),
            Err(_) => Err(Refusal::Unchecked(PATIENCE)),
        }
    }

    /// Looks at the job in the background.
    fn look(&self, notice: Notice) {
        let (true, Some(named)) = (notice.kind.starts_with("batch."), notice.data.id) else { return };
        let Ok(place) = self.looks.clone().try_acquire_owned() else { return };
        let app = self.app.clone();
        self.app.ending().spawn(async move {
            if let Err(error) = notified::notified(&app, &named).await {
                tracing::warn!("looking at a job after a notice: {error}");
            }
            drop(place);
        });
    }
}
