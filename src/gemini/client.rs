//! The HTTP client, and bodies that may not be longer than expected.

use std::sync::Once;
use std::time::{Duration, Instant};

use reqwest::{Client, Response, Url};

use super::failure::Failure;
use super::settings;
use crate::error::{Error, ErrorKind, Result};

/// A client for what is at this address.
pub(super) fn client(base: &Url, connect: Duration) -> Result<Client> {
    static PROVIDER: Once = Once::new();
    // Fails only if another one is installed, which serves as well.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = Client::builder()
        .user_agent(concat!("gemini-batch-mcp/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .connect_timeout(connect)
        .pool_idle_timeout(Duration::from_secs(50))
        // A redirect would carry the key to another host; a repetition is ours to decide.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if settings::is_loopback(base) {
        builder = builder.no_proxy();
    }
    if base.scheme() == "http" {
        // No call will need root certificates: reading them takes longer than everything else here.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|e| {
        Error::new(ErrorKind::Unavailable, "preparing the HTTP client", e.to_string())
            .hint("check that root certificates are installed, or name a file of them in SSL_CERT_FILE")
    })
}

/// Reads a body that must not be longer than `limit`.
pub(super) async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, Failure> {
    let start = Instant::now();
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| Failure::of_client(e, start.elapsed()))? {
        if bytes.len() + piece.len() > limit {
            return Err(Failure::Unreadable(format!("the answer is longer than {limit} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
