//! The Gemini Developer API over REST: files, batches, models. The only user of `reqwest`.
//!
//! Nothing in here knows handles, the ledger or money. Wire types are private; what leaves is
//! [`RemoteFile`], [`RemoteBatch`] and [`RemoteModel`]. One idea per file:
//!
//! | File | Idea |
//! |---|---|
//! | `settings` | what the client is told, and whether it can work |
//! | `call` | what is asked, about what, and whether it may be asked twice |
//! | `http` | making a call: URL, key, deadline, repetition, reading the body |
//! | `witness` | who is told of every exchange |
//! | `retry` | what is repeated, how often, how long to wait |
//! | `failure` | what went wrong with one attempt, and the error that it becomes |
//! | `status` | Google's error body in plain words |
//! | `quota` | which limit a 429 is about |
//! | `json` | reading bodies that may be anything |
//! | `names` | which names may stand in a URL |
//! | `operation` | a batch as the wire spells it |
//! | `batches`, `inline` | batch calls; results that come inside the batch |
//! | `files` | file calls |
//! | `upload`, `sending` | the upload in a MIME type that the API takes; one resumable upload |
//! | `arrived` | the file of an upload whose last answer got lost |
//! | `session`, `chunks` | an upload that another process can go on with; reading the file for it |
//! | `models` | model calls |
//! | `reach` | one look at the API: is it there, does it take the key, what time is it there |
//! | `public` | documents that need no key |

mod arrived;
mod batches;
mod call;
mod chunks;
mod client;
mod date;
mod failure;
mod files;
mod http;
mod inline;
mod json;
mod key;
mod models;
mod names;
mod operation;
mod plain;
mod public;
mod quota;
mod reach;
mod retry;
mod sending;
mod session;
mod settings;
mod status;
mod upload;
mod witness;

use std::fmt;
use std::sync::Arc;

pub use batches::NewBatch;
pub use chunks::FileRange;
pub use failure::undeliverable;
pub use files::{FileState, RemoteFile};
pub use inline::InlineResults;
pub use models::RemoteModel;
pub use operation::{RemoteBatch, RemoteCounts, RemoteError, RemoteOutput};
pub use public::public_json;
pub use quota::{Quota, QuotaKind, quota_of};
pub use reach::{Reach, can_be_sent, reach};
pub use retry::RetryPolicy;
pub use session::{OnSession, UploadSession};
pub use settings::{DEFAULT_API_VERSION, DEFAULT_CHUNK_BYTES, GOOGLE_BASE_URL, Settings, Timeouts};
pub use upload::NewFile;
pub use witness::{CallRecord, Witness};

use crate::error::Result;

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
    ///
    /// Reads the root certificates of this machine, which takes some milliseconds: make a client when the
    /// first call needs it.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Self { http: Arc::new(http::Http::new(settings)?) })
    }

    /// Tells apart whose files these are, without telling the key: files of one key's project are
    /// nothing to another's.
    pub fn owner(&self) -> String {
        self.http.owner()
    }
}

impl fmt::Debug for Gemini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gemini").finish_non_exhaustive()
    }
}
