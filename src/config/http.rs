//! The settings of the HTTP server: its flags, what stands in the environment because it is secret, and what does not go
//! together. A server that others can reach does not start without a login and without encryption.

mod oauth;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

pub use oauth::OAuthSettings;

use super::env_text;
use crate::error::{Error, ErrorKind, Result};

/// The flags of the HTTP server.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct HttpFlags {
    /// Serve over HTTP at this address, e.g. 127.0.0.1:8737, instead of standard input and output
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Only callers with the token in this file may call [env: GEMINI_BATCH_HTTP_TOKEN, the token itself]
    #[arg(long, value_name = "FILE", requires = "http")]
    pub token_file: Option<PathBuf>,
    /// Only callers with a token of this OAuth issuer may call
    #[arg(long, value_name = "URL", requires_all = ["http", "oauth_audience"], conflicts_with = "token_file")]
    pub oauth_issuer: Option<String>,
    /// What the issuer's tokens for this server name as their audience
    #[arg(long, value_name = "AUD", requires = "oauth_issuer")]
    pub oauth_audience: Option<String>,
    /// The issuer's keys [default: those that its metadata name]
    #[arg(long, value_name = "FILE|URL", requires = "oauth_issuer")]
    pub oauth_jwks: Option<String>,
    /// Certificate and its chain, as PEM: serve over TLS
    #[arg(long, value_name = "FILE", requires_all = ["http", "tls_key"])]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A proxy in front of this server speaks TLS for it, and tells clients' addresses in X-Forwarded-For
    #[arg(long, requires = "http", conflicts_with = "tls_cert")]
    pub behind_proxy: bool,
    /// A name by which clients reach this server, besides localhost and its addresses (repeatable)
    #[arg(long = "allowed-host", value_name = "NAME", requires = "http")]
    pub allowed_hosts: Vec<String>,
    /// A web page that may call, as https://NAME or http://localhost:PORT (repeatable)
    #[arg(long = "allowed-origin", value_name = "ORIGIN", requires = "http")]
    pub allowed_origins: Vec<String>,
    /// Requests that a client address may send [default: 600 if others can reach the server, else no limit]
    #[arg(long, value_name = "N", requires = "http")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Take Google's notices of jobs at /webhook, as they are signed for a job's own --webhook-url: those made for this
    /// audience. For a project's webhooks set GEMINI_BATCH_WEBHOOK_SECRET instead
    #[arg(long, value_name = "AUD", requires = "http")]
    pub webhook_audience: Option<String>,
}

/// What the HTTP server needs to know.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Who may call.
    pub access: Access,
    /// The certificate, if the server speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Whether a proxy stands in front, and its word for clients' addresses is taken.
    pub behind_proxy: bool,
    /// Names of this server besides those of loopback, in lower case, without ports.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call, in lower case.
    pub allowed_origins: Vec<String>,
    /// Requests that one client address may send a minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How a notice of a job is known to come from Google.
    pub webhook: WebhookSettings,
    /// Things worth telling the user at start.
    pub notes: Vec<String>,
}

/// Who may call.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever reaches the server: programs on this machine.
    Anyone,
    /// Whoever has this token.
    Token(SecretString),
    /// Whoever has a token of an issuer.
    OAuth(OAuthSettings),
}

/// Certificate and key, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Who may send notices of jobs. Neither way set: nobody.
#[derive(Debug, Clone, Default)]
pub struct WebhookSettings {
    /// Signing secrets of the project's webhooks, from `GEMINI_BATCH_WEBHOOK_SECRET`; several while they change.
    pub secrets: Vec<SecretString>,
    /// The audience of notices that are signed with Google's own keys.
    pub audience: Option<String>,
}

/// Enough for many agents, too little to wear the server out.
const USUAL_RATE: NonZeroU32 = NonZeroU32::new(600).unwrap();

impl HttpSettings {
    /// Reads flags and environment; nothing, if the server is not to speak HTTP.
    pub fn read(flags: &HttpFlags) -> Result<Option<Self>> {
        let Some(given) = &flags.http else { return Ok(None) };
        let mut notes = Vec::new();
        let token = token(flags.token_file.as_deref(), &mut notes)?;
        let secrets = env_text("GEMINI_BATCH_WEBHOOK_SECRET").unwrap_or_default();
        let secrets = secrets.split_whitespace().map(|secret| SecretString::from(secret.to_owned())).collect();
        let settings = Self {
            address: address(given)?,
            access: access(token, flags)?,
            tls: flags
                .tls_cert
                .clone()
                .zip(flags.tls_key.clone())
                .map(|(certificate, key)| TlsFiles { certificate, key }),
            behind_proxy: flags.behind_proxy,
            allowed_hosts: flags.allowed_hosts.iter().map(|host| plain_host(host)).collect::<Result<_>>()?,
            allowed_origins: flags.allowed_origins.iter().map(|origin| plain_origin(origin)).collect::<Result<_>>()?,
            requests_per_minute: flags.requests_per_minute,
            webhook: WebhookSettings { secrets, audience: flags.webhook_audience.clone() },
            notes,
        };
        settings.checked().map(Some)
    }

    /// Whether others than this machine can reach it: by its address, or through a proxy or tunnel that calls it by
    /// another name.
    pub fn is_exposed(&self) -> bool {
        !self.address.ip().is_loopback() || self.behind_proxy || !self.allowed_hosts.is_empty()
    }

    fn checked(mut self) -> Result<Self> {
        let refuse = |cause: &str, hint: &str| {
            let act = format!("serving at {}", self.address);
            Err(Error::new(ErrorKind::InvalidArgument, act, cause).hint(hint))
        };
        if self.is_exposed() {
            if matches!(self.access, Access::Anyone) {
                return refuse(
                    "it can be reached from other machines, and there is no login",
                    "set GEMINI_BATCH_HTTP_TOKEN, or --token-file, or --oauth-issuer; or serve at 127.0.0.1 only, and come \
                     through an SSH tunnel from elsewhere",
                );
            }
            if self.tls.is_none() && !self.behind_proxy {
                return refuse(
                    "it can be reached from other machines, and nothing is encrypted",
                    "give --tls-cert and --tls-key; or --behind-proxy, if a proxy in front of it speaks TLS",
                );
            }
            self.requests_per_minute.get_or_insert(USUAL_RATE);
        }
        Ok(self)
    }
}

/// "127.0.0.1:8737", "localhost:8737" or only "8737".
fn address(given: &str) -> Result<SocketAddr> {
    let numbers = given.strip_prefix("localhost").map_or(given.to_owned(), |port| format!("127.0.0.1{port}"));
    let parsed = match numbers.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => numbers.parse::<SocketAddr>(),
    };
    parsed.map_err(|_| wrong("--http", given, "it is no address", "give an address and a port, e.g. 127.0.0.1:8737"))
}

fn access(token: Option<SecretString>, flags: &HttpFlags) -> Result<Access> {
    let (issuer, audience) = match (token, &flags.oauth_issuer, &flags.oauth_audience) {
        (None, Some(issuer), Some(audience)) => (issuer.clone(), audience.clone()),
        (Some(_), Some(issuer), _) => {
            return Err(wrong(
                "--oauth-issuer",
                issuer,
                "a token is set as well",
                "choose one: unset GEMINI_BATCH_HTTP_TOKEN, or leave out --oauth-issuer",
            ));
        }
        (token, _, _) => return Ok(token.map_or(Access::Anyone, Access::Token)),
    };
    OAuthSettings { issuer, audience, keys: flags.oauth_jwks.clone() }.checked().map(Access::OAuth)
}

/// Characters of a token that cannot be guessed.
const SHORTEST_TOKEN: usize = 32;

/// The token of the file, else of the environment. Never of the command line, which every user of a machine can read.
fn token(file: Option<&Path>, notes: &mut Vec<String>) -> Result<Option<SecretString>> {
    let (source, text) = match file {
        Some(file) => {
            let act = format!("reading the token in {}", file.display());
            let text = std::fs::read_to_string(file).map_err(|e| Error::io(&act, e))?;
            notes.extend(readable_by_others(file));
            (act, text.trim().to_owned())
        }
        None => match env_text("GEMINI_BATCH_HTTP_TOKEN") {
            Some(text) => ("reading GEMINI_BATCH_HTTP_TOKEN".to_owned(), text),
            None => return Ok(None),
        },
    };
    let refuse = |cause: String| {
        Err(Error::new(ErrorKind::InvalidArgument, source.clone(), cause)
            .hint("make one with a command such as: openssl rand -hex 32"))
    };
    if text.len() < SHORTEST_TOKEN {
        return refuse(format!("it is shorter than {SHORTEST_TOKEN} characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("it holds characters that no header can carry".to_owned());
    }
    Ok(Some(SecretString::from(text)))
}

#[cfg(unix)]
fn readable_by_others(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    let said = format!("{} can be read by other users of this machine: chmod 600 {0}", file.display());
    (mode & 0o077 != 0).then_some(said)
}

#[cfg(not(unix))]
fn readable_by_others(_file: &Path) -> Option<String> {
    None
}

/// A name, without scheme and port.
fn plain_host(given: &str) -> Result<String> {
    if given.contains('*') {
        return Err(wrong("--allowed-host", given, "there are no patterns of names", "give each name by itself"));
    }
    let parsed = given.parse::<http::uri::Authority>().ok().filter(|_| !given.contains('@'));
    match parsed {
        Some(authority) => Ok(authority.host().to_ascii_lowercase()),
        None => Err(wrong(
            "--allowed-host",
            given,
            "it is no name of a host",
            "give the name alone, e.g. batch.example.com",
        )),
    }
}

/// Scheme, name and, if it is unusual, port: as browsers write it.
fn plain_origin(given: &str) -> Result<String> {
    let parsed = given.parse::<http::Uri>().ok();
    let is_one = parsed.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.path() == "/"
            && !given.ends_with('/')
            && !given.contains('@')
    });
    if is_one {
        return Ok(given.to_ascii_lowercase());
    }
    Err(wrong(
        "--allowed-origin",
        given,
        "it is no origin of a page",
        "give scheme and name, e.g. https://app.example.com",
    ))
}

fn wrong(flag: &str, given: &str, cause: &str, hint: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("reading {flag} {given}"), cause).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(http: &str) -> HttpFlags {
        HttpFlags { http: Some(http.to_owned()), ..HttpFlags::default() }
    }

    fn with_token(mut settings: HttpSettings) -> HttpSettings {
        settings.access = Access::Token(SecretString::from("0123456789abcdef0123456789abcdef"));
        settings
    }

    /// Settings that were not checked yet.
    fn settings(address_given: &str) -> HttpSettings {
        let read = HttpSettings::read(&flags("127.0.0.1:0")).unwrap().unwrap();
        HttpSettings { address: address(address_given).unwrap(), ..read }
    }

    #[test]
    fn an_address_may_be_short() {
        for (given, meant) in [
            ("8737", "127.0.0.1:8737"),
            ("localhost:1", "127.0.0.1:1"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:9", "[::1]:9"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            assert_eq!(address(given).unwrap(), meant.parse().unwrap(), "{given}");
        }
        for given in ["example.com:80", "localhost", "", "127.0.0.1", "http://127.0.0.1:1"] {
            assert_eq!(address(given).unwrap_err().kind(), ErrorKind::InvalidArgument, "{given}");
        }
    }

    #[test]
    fn loopback_needs_neither_login_nor_encryption() {
        for given in ["8737", "[::1]:9", "127.0.0.2:1"] {
            let settings = settings(given).checked().unwrap();
            assert!(settings.requests_per_minute.is_none());
        }
    }

    #[test]
    fn what_others_can_reach_needs_a_login() {
        let mut proxied = settings("8737");
        proxied.behind_proxy = true;
        let mut named = settings("8737");
        named.allowed_hosts.push("batch.example.com".to_owned());
        for settings in [settings("0.0.0.0:8737"), settings("192.168.1.2:80"), settings("[::]:80"), proxied, named] {
            let error = settings.clone().checked().unwrap_err();
            assert!(error.cause().contains("no login") && error.next_step().is_some(), "{settings:?}");
        }
    }

    #[test]
    fn what_others_can_reach_needs_encryption_or_a_proxy_that_does_it() {
        let open = with_token(settings("0.0.0.0:8737"));
        assert!(open.clone().checked().unwrap_err().cause().contains("nothing is encrypted"));
        let proxied = HttpSettings { behind_proxy: true, ..open.clone() }.checked().unwrap();
        assert_eq!(proxied.requests_per_minute, Some(USUAL_RATE));
        let tls = Some(TlsFiles { certificate: "a".into(), key: "b".into() });
        assert!(HttpSettings { tls, ..open }.checked().is_ok());
    }

    #[test]
    fn names_and_origins_are_taken_apart() {
        assert_eq!(plain_host("Batch.Example.com:443").unwrap(), "batch.example.com");
        assert_eq!(plain_origin("https://App.example.com:8443").unwrap(), "https://app.example.com:8443");
        for wrong in ["https://a.example", "a@b", "", "a b", "*", "*.example.com"] {
            assert!(plain_host(wrong).is_err(), "{wrong}");
        }
        for wrong in
            ["a.example", "https://a.example/", "https://a.example/x", "*", "null", "ftp://a", "https://u@a", ""]
        {
            assert!(plain_origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_long_enough_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let mut notes = Vec::new();
        for (text, is_good) in [
            ("0123456789abcdef0123456789abcdef\n", true),
            ("0123456789abcdef0123456789abcde\n", false),
            ("0123456789abcdef 0123456789abcdef\n", false),
            ("", false),
        ] {
            std::fs::write(&file, text).unwrap();
            let read = token(Some(&file), &mut notes);
            assert_eq!(read.is_ok(), is_good, "{text}");
            if let Err(error) = read {
                assert!(text.is_empty() || !format!("{error:?}").contains(text.trim()), "{error:?}");
            }
        }
        assert!(token(Some(&folder.path().join("none")), &mut notes).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_can_read_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, is_told) in [(0o600, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(readable_by_others(file.path()).is_some(), is_told, "{mode:o}");
        }
    }

    #[test]
    fn a_login_is_of_one_kind() {
        let both = HttpFlags {
            oauth_issuer: Some("https://as.example".to_owned()),
            oauth_audience: Some("batch".to_owned()),
            ..flags("8737")
        };
        assert!(matches!(access(None, &both).unwrap(), Access::OAuth(_)));
        assert!(access(Some(SecretString::from("x")), &both).is_err());
        assert!(matches!(access(None, &flags("8737")).unwrap(), Access::Anyone));
    }
}
