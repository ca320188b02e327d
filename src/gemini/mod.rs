//! The Gemini Developer API over REST: files, batches, models. The only user of `reqwest`.
//!
//! Nothing in here knows handles, the ledger or money. Wire types are private; what leaves is
//! [`RemoteFile`], [`RemoteBatch`] and [`RemoteModel`]. One idea per file:
//!
//! | File | Idea |
//! |---|---|
//! | `http` | one call: URL, key, deadline, repetition, reading the body |
//! | `retry` | what is repeated, how often, how long to wait |
//! | `failure` | what went wrong with one attempt, and the error that it becomes |
//! | `status` | Google's error body in plain words |
//! | `json` | reading bodies that may be anything |
//! | `names` | which names may stand in a URL |
//! | `operation` | a batch as the wire spells it |
//! | `batches`, `inline` | batch calls; results that come inside the batch |
//! | `files`, `upload`, `chunks` | file calls; the resumable upload; reading the file for it |
//! | `models` | model calls |

mod batches;
mod chunks;
mod failure;
mod files;
mod http;
mod inline;
mod json;
mod models;
mod names;
mod operation;
mod retry;
mod status;
mod upload;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use batches::{BatchInput, InlineRequest, NewBatch};
pub use files::{FileState, RemoteFile};
pub use inline::InlineResults;
pub use models::RemoteModel;
pub use operation::{RemoteBatch, RemoteCounts, RemoteError, RemoteOutput};
pub use retry::RetryPolicy;

use crate::error::Result;

/// Where the API lives unless a setting says otherwise.
pub const GOOGLE_BASE_URL: &str = "https://generativelanguage.googleapis.com";
/// The version that all documents for batches name (API reference §1.2).
pub const DEFAULT_API_VERSION: &str = "v1beta";
/// How much of a file goes out in one request: what Google's own clients use.
pub const DEFAULT_CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// What the client needs to know before the first call.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme and host of the API; a path in front of the version is kept.
    pub base_url: String,
    /// The version in every path: `v1beta`.
    pub api_version: String,
    /// The API key. White space around it is dropped.
    pub key: SecretString,
    /// Bytes per upload request; rounded to the granularity that the server announces.
    pub chunk_bytes: usize,
    /// How failures that may pass are repeated.
    pub retry: RetryPolicy,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl Settings {
    /// The real API with this key, everything else as usual.
    pub fn new(key: SecretString) -> Self {
        Self {
            base_url: GOOGLE_BASE_URL.to_owned(),
            api_version: DEFAULT_API_VERSION.to_owned(),
            key,
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            retry: RetryPolicy::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until a small call is answered in full.
    pub call: Duration,
    /// Until a create is answered: the API checks the whole file first.
    pub create: Duration,
    /// How long a transfer may be silent.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(60),
            create: Duration::from_secs(300),
            idle: Duration::from_secs(60),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What the page holds.
    pub items: Vec<T>,
    /// The token that fetches the next page, unless this is the last one.
    pub next: Option<String>,
}

/// A client of the Gemini API. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Gemini {
    http: Arc<http::Http>,
}

impl Gemini {
    /// A client with these settings. Nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Self { http: Arc::new(http::Http::new(settings)?) })
    }
}

impl fmt::Debug for Gemini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gemini").finish_non_exhaustive()
    }
}
