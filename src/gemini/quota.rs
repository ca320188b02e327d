//! Which limit a 429 is about, and what can be done about it.
//!
//! The API has one status for limits that pass in a minute, tomorrow, next month, or when files are deleted. It names
//! the quota or says it in words; batches that find no room mostly come with neither (API reference §8).

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::status::ApiStatus;
use crate::error::Error;

/// Words for money that is used up: <https://ai.google.dev/gemini-api/docs/billing>. A spend-based *rate* limit, of ten
/// minutes, has other words and passes.
const MONEY: [&str; 4] = ["spending cap", "spend cap", "spend limit", "prepayment credits"];

/// A quota of the API that is used up: the source of an error of kind [`Quota`](crate::error::ErrorKind::Quota).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Which one.
    pub kind: QuotaKind,
    /// How long the API asked to wait, at most a day.
    pub retry_after: Option<Duration>,
}

/// What it takes until a used-up quota is free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaKind {
    /// Uploaded files take all the room there is for them: until some end, or are deleted.
    Storage,
    /// A limit per day, a spending cap, prepaid money: until tomorrow, or until somebody raises it.
    Exhausted,
    /// A limit per minute, enqueued tokens, jobs at one time, or one that the API did not name: a while.
    Throttled,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            QuotaKind::Storage => "the storage of files is full",
            QuotaKind::Exhausted => "a limit per day or a spending cap is reached",
            QuotaKind::Throttled => "a limit is reached for now",
        })
    }
}

impl StdError for Quota {}

/// The quota for which a call failed, if that is why.
pub fn quota_of(error: &Error) -> Option<&Quota> {
    error.source()?.downcast_ref()
}

impl ApiStatus {
    /// The quota that is used up, if this is about one.
    pub(super) fn quota(&self) -> Option<Quota> {
        let kind = (self.http == 429).then(|| self.quota_kind())?;
        // With full storage the API asks to wait for all time.
        let retry_after = self.retry_after.filter(|_| kind != QuotaKind::Storage);
        Some(Quota { kind, retry_after })
    }

    /// Which quota a 429 is about.
    pub(super) fn quota_kind(&self) -> QuotaKind {
        let message = self.message.to_ascii_lowercase();
        let quotas: Vec<_> = self.quotas.iter().map(|quota| quota.to_ascii_lowercase()).collect();
        // The storage of cached contents is another one.
        let is_storage = |text: &String| text.contains("storage") && !text.contains("cache");
        if quotas.iter().any(is_storage) || is_storage(&message) {
            QuotaKind::Storage
        } else if quotas.iter().any(|quota| quota.contains("perday")) || MONEY.iter().any(|cap| message.contains(cap)) {
            QuotaKind::Exhausted
        } else {
            QuotaKind::Throttled
        }
    }
}

impl Quota {
    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        let limits = "https://ai.google.dev/gemini-api/docs/rate-limits";
        match self.kind {
            QuotaKind::Storage => {
                "uploaded files end by themselves after 48 hours; list_batches shows how much is in use, \
                                   delete_batch with files: true frees it now"
                    .to_owned()
            }
            // Asked to wait for half a minute, one would meet the same limit.
            QuotaKind::Exhausted => {
                format!(
                    "limits per day start anew at midnight, Pacific time; caps on spending are raised in AI Studio ({limits})"
                )
            }
            QuotaKind::Throttled => {
                let wait = self.retry_after.map(|wait| format!("{} s", wait.as_secs_f64().ceil()));
                let wait = wait.as_deref().unwrap_or("some minutes");
                format!("wait {wait}, then try again; running batches hold enqueued tokens until they end ({limits})")
            }
        }
    }
}
