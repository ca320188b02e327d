//! Whose tokens are taken. What is fetched from an issuer decides who gets in: it is named whole, and encrypted on its way.

use std::net::IpAddr;

use http::Uri;

use super::wrong;
use crate::error::Result;

/// Whose tokens are taken.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// Who makes them, exactly as they name it.
    pub issuer: String,
    /// What they name as their audience.
    pub audience: String,
    /// A file or an address with the issuer's keys, instead of those that its metadata name.
    pub keys: Option<String>,
}

impl OAuthSettings {
    pub(super) fn checked(self) -> Result<Self> {
        trusted("--oauth-issuer", &self.issuer)?;
        if let Some(address) = self.keys.as_deref().filter(|keys| keys.contains("://")) {
            trusted("--oauth-jwks", address)?;
        }
        Ok(self)
    }

    /// The file with the issuer's keys, if they are in one.
    pub fn keys_file(&self) -> Option<&str> {
        self.keys.as_deref().filter(|keys| !keys.contains("://"))
    }
}

/// Refuses what is no address, or one whose answers others could change on their way.
fn trusted(flag: &str, given: &str) -> Result<()> {
    let parsed = given.parse::<Uri>().ok();
    let scheme = parsed.as_ref().and_then(Uri::scheme_str);
    match (scheme, parsed.as_ref().and_then(Uri::host)) {
        (Some("https"), Some(_)) => Ok(()),
        (Some("http"), Some(host)) if is_loopback(host) => Ok(()),
        (Some("http"), Some(_)) => {
            Err(wrong(flag, given, "it is not encrypted, and decides who is trusted", "use https"))
        }
        _ => Err(wrong(flag, given, "it is no address", "give it whole, e.g. https://login.example.com")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_and_encrypted_addresses_are_trusted_but_this_machines() {
        for good in ["https://as.example", "https://as.example/realms/one/", "http://127.0.0.1:9", "http://[::1]:9/x"] {
            assert!(trusted("--oauth-issuer", good).is_ok(), "{good}");
        }
        for wrong in ["as.example", "http://as.example", "ftp://as.example", "https://", "", "keys.json", "a b"] {
            assert!(trusted("--oauth-issuer", wrong).is_err(), "{wrong}");
        }
    }
}
