//! TLS with certificate files of the user's.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::http::TlsFiles;
use crate::error::{Error, ErrorKind, Result};

/// Encryption with this certificate, its chain included, and its key.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| unreadable(&files.certificate, e))?;
    if chain.is_empty() {
        return Err(unreadable(&files.certificate, PemError::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unreadable(&files.key, e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, key)).map_err(|e| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("using the certificate {}", files.certificate.display()),
            e.to_string(),
        )
        .hint("--tls-cert takes the certificate and its chain, --tls-key its own private key, both as PEM")
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unreadable(file: &Path, cause: PemError) -> Error {
    let act = format!("reading {}", file.display());
    match cause {
        PemError::Io(e) => Error::io(act, e),
        // What is said of a private key must not quote it.
        PemError::NoItemsFound => Error::new(ErrorKind::InvalidInput, act, "it holds nothing of the kind as PEM"),
        _ => Error::new(ErrorKind::InvalidInput, act, "it is no PEM file"),
    }
}
