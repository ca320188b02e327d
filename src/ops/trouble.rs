//! Which failures pass by themselves, and when.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::gemini::{QuotaKind, quota_of};

/// Whether the same call may succeed later without anybody doing anything.
///
/// What is exhausted for the day waits for somebody too: a cap on spending looks the same, and is raised by hand.
pub(super) fn may_pass(error: &Error) -> bool {
    match quota_of(error).map(|quota| quota.kind) {
        Some(QuotaKind::Exhausted) => false,
        Some(QuotaKind::Throttled | QuotaKind::Storage) => true,
        None => matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Quota),
    }
}

/// How long the API asked to wait, at most a day.
pub(super) fn retry_after(error: &Error) -> Option<Duration> {
    quota_of(error)?.retry_after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::Quota;

    fn quota(kind: QuotaKind, retry_after: Option<Duration>) -> Error {
        Error::new(ErrorKind::Quota, "creating", "429").hint("wait").caused_by(Quota { kind, retry_after })
    }

    #[test]
    fn what_is_exhausted_does_not_pass_by_itself() {
        assert!(!may_pass(&quota(QuotaKind::Exhausted, None)));
        assert!(!may_pass(&quota(QuotaKind::Exhausted, Some(Duration::from_secs(36)))));
        assert!(may_pass(&quota(QuotaKind::Throttled, None)));
        assert!(may_pass(&quota(QuotaKind::Storage, None)));
    }

    #[test]
    fn other_failures_pass_by_their_kind() {
        let error = |kind| Error::new(kind, "creating", "503");
        assert!(may_pass(&error(ErrorKind::Unavailable)));
        assert!(may_pass(&error(ErrorKind::Quota)), "of a source that says no more");
        for kind in [ErrorKind::Refused, ErrorKind::Auth, ErrorKind::UnclearOutcome, ErrorKind::Io, ErrorKind::Budget] {
            assert!(!may_pass(&error(kind)), "{kind}");
        }
    }

    #[test]
    fn the_wait_is_the_one_that_the_api_asked_for() {
        let wait = Duration::from_secs(36);
        assert_eq!(retry_after(&quota(QuotaKind::Throttled, Some(wait))), Some(wait));
        assert_eq!(retry_after(&quota(QuotaKind::Throttled, None)), None);
        assert_eq!(retry_after(&Error::new(ErrorKind::Unavailable, "creating", "503")), None);
    }
}
