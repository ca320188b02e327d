//! Which failures pass by themselves.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Whether the same call may succeed later without anybody doing anything.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Quota)
}

/// How long the API asked to wait.
pub(super) fn retry_after(_error: &Error) -> Option<Duration> {
    None
}
