//! One look at the API: whether it is there, whether it takes the key, what time it is there.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, Response};
use secrecy::SecretString;
use serde::Deserialize;

use super::call::{Call, Subject};
use super::client::{body, client};
use super::failure::Failure;
use super::http::refuse_error_inside;
use super::key::{self, Key};
use super::settings::{self, Settings};
use super::status::ApiStatus;
use super::{date, json};
use crate::error::Result;

/// Somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// A list of models takes some hundred kB.
const LONGEST: usize = 4 * 1024 * 1024;

/// What a look at the API told.
#[derive(Debug)]
pub struct Reach {
    /// Where it was looked for: scheme, host and port.
    pub address: String,
    /// From the request to the head of the answer; `None`: there was none.
    pub latency: Option<Duration>,
    /// How far its clock is ahead of this machine's, to a second or so; `None`: it did not say.
    pub ahead: Option<TimeDelta>,
    /// How many models it lists, or why it lists none.
    pub models: Result<usize>,
}

#[derive(Deserialize)]
struct Models {
    #[serde(default)]
    models: Vec<serde::de::IgnoredAny>,
}

/// The head of an answer, and when it came.
struct Head {
    response: Response,
    latency: Duration,
    at: DateTime<Utc>,
}

/// Whether a call can carry the key: it is one word of printable ASCII.
pub fn can_be_sent(key: &SecretString) -> bool {
    Key::new(key).is_ok_and(|key| key.is_one_word())
}

/// Lists the models, once: with the key of the settings, or without one if that is empty or cannot be sent.
///
/// Fails only where the settings make no call possible.
pub async fn reach(settings: &Settings) -> Result<Reach> {
    let base = settings::base_url(&settings.base_url)?;
    let path = format!("{}/models", settings::version(&settings.api_version)?);
    let client = client(&base, PATIENCE)?;
    let call = Call::new("listing models", Subject::Model, Method::GET, path);
    let address = base.origin().ascii_serialization();
    let key = Key::new(&settings.key).ok();
    let failed = |failure: Failure| {
        let error = failure.into_error(&call);
        match &key {
            Some(key) => key.hidden_in(error),
            None => error,
        }
    };
    let Ok(mut url) = base.join(&call.path) else {
        let models = Err(failed(Failure::Unreadable("the URL cannot be built".to_owned())));
        return Ok(Reach { address, latency: None, ahead: None, models });
    };
    url.query_pairs_mut().append_pair("pageSize", "1000");
    let mut request = client.get(url);
    if let Some(key) = &key {
        request = request.header(key::HEADER, key.header());
    }
    match in_time(head(request)).await {
        Err(failure) => Ok(Reach { address, latency: None, ahead: None, models: Err(failed(failure)) }),
        Ok(head) => {
            let (latency, ahead) = (Some(head.latency), ahead(&head));
            let models = in_time(count(head.response)).await.map_err(failed);
            Ok(Reach { address, latency, ahead, models })
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(Failure::TimedOut(PATIENCE)))
}

async fn head(request: reqwest::RequestBuilder) -> Result<Head, Failure> {
    let start = Instant::now();
    let response = request.send().await.map_err(|e| Failure::of_client(e, start.elapsed()))?;
    Ok(Head { response, latency: start.elapsed(), at: Utc::now() })
}

/// The answer was written half its way ago.
fn ahead(head: &Head) -> Option<TimeDelta> {
    let written = head.at - TimeDelta::from_std(head.latency / 2).ok()?;
    date::ahead(head.response.headers(), written)
}

async fn count(response: Response) -> Result<usize, Failure> {
    let (status, headers) = (response.status(), response.headers().clone());
    if !status.is_success() {
        // The status says enough even if the body cannot be read.
        let body = body(response, LONGEST).await.unwrap_or_default();
        return Err(Failure::Status(ApiStatus::read(status.as_u16(), &headers, &body).into()));
    }
    let body = body(response, LONGEST).await?;
    refuse_error_inside(&body)?;
    json::read::<Models>(&body).map(|list| list.models.len()).map_err(Failure::Unreadable)
}
