//! Batch calls: create, get, list, cancel, delete.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::call::{Call, Subject};
use super::json;
use super::operation::{RemoteBatch, WireBatch};
use super::{Gemini, Page, names};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;

/// More failures than these of a batch with large inline results are no accident (API reference §8).
const TRIES_OF_WHOLE_BATCH: u32 = 3;
const LISTING: &str = "listing batches";
/// The largest page that the API is known to give (API reference §3.5).
const PAGE_SIZE: u32 = 100;
/// A list of more pages than this is not believed to end: two hundred thousand batches.
const MOST_PAGES: usize = 2_000;
/// How wrong a clock may be, its time zone included.
const CLOCK_MARGIN: TimeDelta = TimeDelta::days(1);

/// A batch to be created.
#[derive(Debug, Clone, Copy)]
pub struct NewBatch<'a> {
    /// The name by which it can be found again. Always give one.
    pub display_name: &'a str,
    /// The uploaded file of its requests, `files/…`.
    pub input_file: &'a str,
    /// Higher is sooner; the API takes 0 unless told.
    pub priority: Option<i64>,
    /// Where the API sends word when it ends.
    pub webhook_uris: &'a [String],
}

#[derive(Serialize)]
struct CreateBody<'a> {
    batch: Batch<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    display_name: &'a str,
    input_config: InputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_config: Option<WebhookConfig<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputConfig<'a> {
    file_name: &'a str,
}

#[derive(Serialize)]
struct WebhookConfig<'a> {
    uris: &'a [String],
}

/// A page of batches; an empty list is `{}`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    #[serde(default)]
    operations: Vec<WireBatch>,
    #[serde(default)]
    next_page_token: Option<String>,
    /// What could not be looked at: the list is not whole.
    #[serde(default)]
    unreachable: Vec<IgnoredAny>,
}

impl Gemini {
    /// Creates a batch. Sent once, never repeated: the API would run and bill it twice.
    ///
    /// The kind of the error says what is known. [`UnclearOutcome`](ErrorKind::UnclearOutcome): it may
    /// have arrived. [`Quota`](ErrorKind::Quota) and [`Unavailable`](ErrorKind::Unavailable): it has
    /// not, and may be sent again later. Anything else: it was refused.
    pub async fn create_batch(&self, model: &str, kind: Kind, batch: NewBatch<'_>) -> Result<RemoteBatch> {
        let act = format!("creating the batch {}", batch.display_name);
        let body = create_body(&act, batch)?;
        let path = self.http.path(&format!("{}:{}", names::model(model)?, create_method(kind)));
        let call = Call::new(act, Subject::Create, Method::POST, path);
        let call = call.json(body).once(self.http.timeouts.create);
        Ok(self.http.json::<WireBatch>(&call).await?.0)
    }

    /// A batch as it stands now. Inline results are passed over, not kept.
    pub async fn get_batch(&self, name: &str) -> Result<RemoteBatch> {
        let call = self.whole_batch_call(name, "looking up")?;
        Ok(self.http.spooled(&call, json::read_from::<WireBatch>).await?.0)
    }

    /// One page of the project's batches, newest first. Inline results are left out by the API.
    pub async fn list_batches(&self, page_size: u32, page_token: Option<&str>) -> Result<Page<RemoteBatch>> {
        Ok(self.batch_page(LISTING, page_size, page_token).await?.into())
    }

    /// All batches that fit, among those created at `since` or later, newest first.
    ///
    /// Without `since` the whole list is read. With it, reading ends at a page whose batches are all
    /// older than that by a day: this machine's clock may be wrong, and the order of the list may be a
    /// little. So older batches may be among those that fit: look at their times.
    ///
    /// What is not in the answer is certainly not in the list. Where that cannot be said it is an error.
    pub async fn find_batches(
        &self,
        since: Option<DateTime<Utc>>,
        fits: &(dyn Fn(&RemoteBatch) -> bool + Send + Sync),
    ) -> Result<Vec<RemoteBatch>> {
        let act = "looking through the batches";
        let (mut found, mut seen, mut token) = (Vec::new(), HashSet::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let page = self.batch_page(act, PAGE_SIZE, token.as_deref()).await?;
            if !page.unreachable.is_empty() {
                return Err(uncertain(act, "the API could not look at all batches"));
            }
            let page = Page::from(page);
            let past = since.is_some_and(|since| is_past(&page.items, since - CLOCK_MARGIN));
            // New batches move others to the next page, where they are met again.
            found.extend(page.items.into_iter().filter(|batch| fits(batch) && seen.insert(batch.name.clone())));
            if past || page.next.is_none() {
                return Ok(found);
            }
            if page.next == token {
                break;
            }
            token = page.next;
        }
        Err(uncertain(act, "the list does not end"))
    }

    async fn batch_page(&self, act: &str, page_size: u32, page_token: Option<&str>) -> Result<WirePage> {
        let call = Call::new(act, Subject::Batch, Method::GET, self.http.path("batches"));
        self.http.json(&call.page(page_size, page_token)).await
    }

    /// Asks to stop a batch. It stops a while later; what is finished by then is billed.
    pub async fn cancel_batch(&self, name: &str) -> Result<()> {
        self.http.done(&self.batch_call(name, "cancelling", Method::POST, ":cancel")?).await
    }

    /// Deletes a batch at the API, with its results. Cancel it first.
    pub async fn delete_batch(&self, name: &str) -> Result<()> {
        self.http.done(&self.batch_call(name, "deleting", Method::DELETE, "")?).await
    }

    fn batch_call(&self, name: &str, act: &str, method: Method, verb: &str) -> Result<Call> {
        let path = self.http.path(&format!("{}{verb}", names::batch(name)?));
        Ok(Call::new(format!("{act} {name}"), Subject::Batch, method, path))
    }

    /// A call that fetches a batch with its inline results. Too large ones are never delivered, however often one asks.
    pub(super) fn whole_batch_call(&self, name: &str, act: &str) -> Result<Call> {
        let path = self.http.path(names::batch(name)?);
        Ok(Call::new(format!("{act} {name}"), Subject::WholeBatch, Method::GET, path).at_most(TRIES_OF_WHOLE_BATCH))
    }
}

impl From<WirePage> for Page<RemoteBatch> {
    fn from(page: WirePage) -> Self {
        let items = page.operations.into_iter().map(|batch| batch.0).collect();
        Self { items, next: page.next_page_token.filter(|token| !token.is_empty()) }
    }
}

/// Whether all further pages hold only batches from before that time. An entry without a time may be of any; a
/// page that is not newest first tells nothing of the next one.
fn is_past(page: &[RemoteBatch], time: DateTime<Utc>) -> bool {
    let times: Option<Vec<_>> = page.iter().map(|batch| batch.create_time).collect();
    times.is_some_and(|times| times.iter().max().is_some_and(|newest| *newest < time) && times.first() >= times.last())
}

fn uncertain(act: &str, cause: &str) -> Error {
    Error::new(ErrorKind::Unavailable, act, format!("{cause}: what was not found may be there all the same"))
        .hint("try again later")
}

/// The method that creates batches of this kind, as the API calls it.
pub(super) fn create_method(kind: Kind) -> &'static str {
    match kind {
        Kind::Generate => "batchGenerateContent",
        Kind::Embed => "asyncBatchEmbedContent",
    }
}

fn create_body(act: &str, batch: NewBatch<'_>) -> Result<Vec<u8>> {
    let input_config = InputConfig { file_name: names::file(batch.input_file)? };
    let webhook_config = (!batch.webhook_uris.is_empty()).then_some(WebhookConfig { uris: batch.webhook_uris });
    let priority = batch.priority.map(|priority| priority.to_string());
    let batch = Batch { display_name: batch.display_name, input_config, priority, webhook_config };
    serde_json::to_vec(&CreateBody { batch }).map_err(|e| Error::internal(act, e.to_string()))
}
