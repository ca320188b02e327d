//! The API key: it goes into one header, and into nothing that is told.

use http::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::failure::KEY_HINT;
use crate::error::{Error, ErrorKind, Result};
use crate::job::id::hex;

/// Where it stands in a request.
pub(super) const HEADER: &str = "x-goog-api-key";

/// A key that may stand in a header.
#[derive(Clone)]
pub(super) struct Key {
    header: HeaderValue,
    secret: SecretString,
}

impl Key {
    /// White space around it is dropped.
    pub(super) fn new(key: &SecretString) -> Result<Self> {
        let key = key.expose_secret().trim();
        if key.is_empty() {
            return Err(Error::new(ErrorKind::KeyMissing, "calling the Gemini API", "no API key is set").hint(KEY_HINT));
        }
        let mut header = HeaderValue::from_str(key).map_err(|_| {
            Error::new(ErrorKind::Auth, "reading the API key", "it holds characters that no key has").hint(KEY_HINT)
        })?;
        header.set_sensitive(true);
        Ok(Self { header, secret: SecretString::from(key) })
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Whether it holds no space.
    pub(super) fn is_one_word(&self) -> bool {
        !self.secret.expose_secret().contains([' ', '\t'])
    }

    /// A short hash, by which keys are told apart.
    pub(super) fn mark(&self, salt: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(salt);
        hasher.update([0]);
        hasher.update(self.secret.expose_secret());
        hex(hasher.finalize().get(..8).unwrap_or_default())
    }

    /// The error without the key: a server may have quoted it.
    pub(super) fn hidden_in(&self, error: Error) -> Error {
        let hidden = error.cause().replace(self.secret.expose_secret(), "[key]");
        error.with_cause(hidden)
    }
}
