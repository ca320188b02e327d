//! The client of the Gemini API against a scripted server on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/address.rs"]
#[allow(dead_code, unreachable_pub)]
mod address;
#[path = "support/scripted.rs"]
#[allow(dead_code, unreachable_pub)]
mod scripted;

#[path = "gemini_client/batches.rs"]
mod batches;
#[path = "gemini_client/faults.rs"]
mod faults;
#[path = "gemini_client/files.rs"]
mod files;
#[path = "gemini_client/quota.rs"]
mod quota;
#[path = "gemini_client/repetition.rs"]
mod repetition;
#[path = "gemini_client/resume.rs"]
mod resume;
#[path = "gemini_client/search.rs"]
mod search;
#[path = "gemini_client/upload.rs"]
mod upload;
#[path = "gemini_client/witness.rs"]
mod witness;

use std::time::Duration;

use gemini_batch_mcp::error::Error;
use gemini_batch_mcp::gemini::{Gemini, RetryPolicy, Settings, Timeouts};
use scripted::{Reply, Scripted};

/// No key of anybody; it must never be seen in a text.
pub(crate) const KEY: &str = "AIzaSecretSecretSecret";

pub(crate) fn settings(base_url: &str) -> Settings {
    Settings {
        base_url: base_url.to_owned(),
        chunk_bytes: 8,
        retry: RetryPolicy {
            max_tries: 3,
            base: Duration::from_millis(2),
            cap: Duration::from_secs(2),
            total: Duration::from_secs(5),
        },
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            call: Duration::from_millis(400),
            create: Duration::from_millis(400),
            idle: Duration::from_millis(400),
        },
        ..Settings::new(format!(" {KEY}\n").into())
    }
}

pub(crate) async fn scripted(script: impl IntoIterator<Item = Reply>) -> (Scripted, Gemini) {
    let server = Scripted::start(script).await;
    let gemini = Gemini::new(settings(&server.base_url)).unwrap();
    (server, gemini)
}

/// Every text of an error, for looking for secrets.
pub(crate) fn texts(error: &Error) -> String {
    let mut texts = format!("{error} {error:?} {} {:?}", error.cause(), error.next_step());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        texts += &format!(" {error} {error:?}");
        source = error.source();
    }
    texts
}
