//! Uploaded media do not live for ever: what is to be said of that before a job is submitted.

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::ledger::builds::BuildOrigin;
use crate::ops::send::FILE_MARGIN;

/// When the API drops the media of a request file, if any were uploaded for it. Fails when it has.
pub(in crate::ops) fn media_life(origin: Option<&BuildOrigin>, now: DateTime<Utc>) -> Result<Option<String>> {
    let Some(expires) = origin.and_then(|origin| origin.media_expires) else { return Ok(None) };
    let at = expires.format("%Y-%m-%d %H:%M UTC");
    if expires <= now {
        let cause = format!("the media uploaded for this file were dropped by the API on {at}");
        return Err(Error::new(ErrorKind::InvalidInput, "submitting a batch job", cause).hint(
            "build it again: the same build_jsonl call with overwrite: true uploads them again; nothing was sent",
        ));
    }
    let advice = if expires - now < FILE_MARGIN {
        "the job may not have run by then: better build it again, the same build_jsonl call with overwrite: true uploads them again"
    } else {
        "requests that have not run by then will fail"
    };
    Ok(Some(format!("the API drops the uploaded media on {at}, in {} h; {advice}", (expires - now).num_hours())))
}
