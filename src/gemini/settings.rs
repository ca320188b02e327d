//! What the client is told, and whether it can work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use super::retry::RetryPolicy;
use super::witness::Witness;
use crate::error::{Error, ErrorKind, Result};

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
    /// Who is told of every exchange with the API.
    pub witness: Option<Arc<dyn Witness>>,
    /// Where large answers are kept while they are read, if not in the system's folder for temporary files: they may hold
    /// pictures, and that folder is memory in many places.
    pub spool: Option<PathBuf>,
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
            witness: None,
            spool: None,
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

/// The base with a slash at the end, so that paths can be joined to it.
pub(super) fn base_url(text: &str) -> Result<Url> {
    let wrong = |cause: &str| {
        Error::new(ErrorKind::InvalidArgument, "reading GOOGLE_GEMINI_BASE_URL", cause)
            .hint("give scheme and host, for example https://generativelanguage.googleapis.com")
    };
    let mut url = Url::parse(text.trim()).map_err(|e| wrong(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("it is not an http or https URL"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not hold a user, a query or a fragment"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        tracing::warn!("the base URL is plain http: the API key goes over the network unencrypted");
    }
    Ok(url)
}

pub(super) fn version(text: &str) -> Result<String> {
    let version = text.trim().trim_matches('/');
    if version.starts_with('v') && version.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Ok(version.to_owned());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        "reading GOOGLE_GENAI_API_VERSION",
        format!("{version:?} is no version"),
    )
    .hint("use v1beta or v1"))
}

pub(super) fn is_google(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host == "googleapis.com" || host.ends_with(".googleapis.com"))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_google_and_of_this_machine_are_told_from_others_that_look_alike() {
        let url = |host: &str| Url::parse(&format!("https://{host}/")).unwrap();
        for (host, google, loopback) in [
            ("generativelanguage.googleapis.com", true, false),
            ("googleapis.com", true, false),
            ("evilgoogleapis.com", false, false),
            ("googleapis.com.example.org", false, false),
            ("localhost", false, true),
            ("127.0.0.1:8080", false, true),
            ("[::1]", false, true),
            ("localhost.example.org", false, false),
            ("10.0.0.1", false, false),
        ] {
            assert_eq!((is_google(&url(host)), is_loopback(&url(host))), (google, loopback), "{host}");
        }
    }

    #[test]
    fn a_version_is_a_v_and_what_follows_and_no_path() {
        assert_eq!(version(" v1beta/ ").unwrap(), "v1beta");
        for wrong in ["1beta", "v1/beta", "", "v1?x"] {
            assert_eq!(version(wrong).unwrap_err().kind(), ErrorKind::InvalidArgument, "{wrong}");
        }
    }

    #[test]
    fn an_address_holds_scheme_and_host_and_nothing_secret() {
        assert_eq!(base_url(" http://127.0.0.1:8080/api ").unwrap().as_str(), "http://127.0.0.1:8080/api/");
        for wrong in [
            "ftp://example.org",
            "example.org",
            "https://u:p@example.org",
            "https://example.org?key=x",
            "https://example.org#x",
        ] {
            assert_eq!(base_url(wrong).unwrap_err().kind(), ErrorKind::InvalidArgument, "{wrong}");
        }
    }
}
