//! An upload that was started, in a form with which another process can go on.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// An upload that was started: what it takes to go on with it (API reference §2.3).
///
/// Whoever has it can write to the file, so it is printed nowhere. The API keeps it for days.
#[derive(Clone)]
pub struct UploadSession {
    pub(super) url: SecretString,
    pub(super) mime_type: String,
    /// Chunks, other than the last, must be multiples of so many bytes.
    pub(super) granule: u64,
    /// What it is of: nothing else may be sent to it.
    pub(super) content: Content,
    /// Tells the key apart that it was started with: the file will be of that key's project.
    pub(super) key_mark: String,
    pub(super) started: DateTime<Utc>,
}

/// Takes an upload that was started, before its first byte is sent. If it fails, so does the upload.
pub type OnSession<'a> = &'a (dyn Fn(&UploadSession) -> Result<()> + Send + Sync);

/// What is uploaded, as far as the API can say whether it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: u64,
    /// In lower-case hex, where known.
    pub(super) sha256: Option<String>,
}

/// A session as the ledger keeps it.
#[derive(Serialize, Deserialize)]
struct Text<'a> {
    url: Cow<'a, str>,
    mime_type: Cow<'a, str>,
    granule: u64,
    bytes: u64,
    sha256: Option<Cow<'a, str>>,
    key_mark: Cow<'a, str>,
    started: DateTime<Utc>,
}

impl UploadSession {
    /// When it was started.
    pub fn started(&self) -> DateTime<Utc> {
        self.started
    }

    /// The session as a text for [`from_secret_text`](Self::from_secret_text), to be kept where only this user reads.
    pub fn to_secret_text(&self) -> SecretString {
        let text = Text {
            url: self.url.expose_secret().into(),
            mime_type: self.mime_type.as_str().into(),
            granule: self.granule,
            bytes: self.content.bytes,
            sha256: self.content.sha256.as_deref().map(Cow::from),
            key_mark: self.key_mark.as_str().into(),
            started: self.started,
        };
        // Text and numbers always are JSON. An empty text is no session: the upload would start anew.
        serde_json::to_string(&text).unwrap_or_default().into()
    }

    /// Reads the text of a session; of any other text there is none.
    pub fn from_secret_text(text: &str) -> Option<Self> {
        let text: Text<'_> = serde_json::from_str(text).ok()?;
        Some(Self {
            url: text.url.into_owned().into(),
            mime_type: text.mime_type.into_owned(),
            granule: text.granule,
            content: Content { bytes: text.bytes, sha256: text.sha256.map(Cow::into_owned) },
            key_mark: text.key_mark.into_owned(),
            started: text.started,
        })
    }
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadSession").field("started", &self.started).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn session(url: &str, sha256: Option<String>) -> UploadSession {
        UploadSession {
            url: url.to_owned().into(),
            mime_type: "application/jsonl".into(),
            granule: 8,
            content: Content { bytes: 20, sha256 },
            key_mark: "abc".into(),
            started: Utc::now(),
        }
    }

    #[test]
    fn a_session_does_not_print_its_url() {
        assert!(!format!("{:?}", session("https://x/?upload_id=SECRET", None)).contains("SECRET"));
    }

    proptest! {
        #[test]
        fn a_session_survives_its_text(url in ".*", sha256 in proptest::option::of("[0-9a-f]{64}")) {
            let session = session(&url, sha256);
            let text = session.to_secret_text();
            let again = UploadSession::from_secret_text(text.expose_secret()).unwrap();
            prop_assert_eq!(again.url.expose_secret(), session.url.expose_secret());
            prop_assert_eq!(&again.content, &session.content);
            prop_assert_eq!(again.started(), session.started());
            prop_assert_eq!((again.mime_type, again.granule, again.key_mark), (session.mime_type, 8, session.key_mark));
        }

        #[test]
        fn no_other_text_is_a_session(text in ".*", cut in 0usize..100) {
            prop_assert!(UploadSession::from_secret_text(&text).is_none());
            let whole = session("https://x/", None).to_secret_text();
            prop_assert!(UploadSession::from_secret_text(whole.expose_secret().get(..cut).unwrap()).is_none());
        }

        #[test]
        fn damage_is_read_or_refused(at in 0usize..200, byte in any::<u8>()) {
            let whole = session("https://x/", Some("0".repeat(64))).to_secret_text();
            let mut bytes = whole.expose_secret().as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            // What is read of it is a session that can be kept again.
            if let Some(read) = UploadSession::from_secret_text(&String::from_utf8_lossy(&bytes)) {
                let again = UploadSession::from_secret_text(read.to_secret_text().expose_secret());
                prop_assert_eq!(again.map(|again| again.content), Some(read.content));
            }
        }
    }
}
