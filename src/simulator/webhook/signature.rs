//! How a notice is signed: with a secret that both sides know, or with a key whose public half can be read.
//!
//! With a secret as Standard Webhooks has it: `v1,` and the Base64 of HMAC-SHA256 over `id.timestamp.body`.
//! Without one as the service does for addresses that came with the batch: a JWT, signed RS256, whose claims
//! are the notice itself, `aud` the address, `exp` five minutes from now.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::{hmac, signature};
use serde_json::{Value, json};

use super::Notice;
use crate::error::{Error, ErrorKind, Result};

/// The private key, for tests only and known to everybody.
const KEY: &str = include_str!("test_only_key.pem");
/// Its name.
const KEY_ID: &str = "simulated";
/// The service, as it names itself.
const ISSUER: &str = "https://generativelanguage.googleapis.com";
/// How many seconds a token is good for.
const LIFETIME: i64 = 300;

/// Signs notices.
pub(in crate::simulator) struct Signer {
    secret: Option<hmac::Key>,
}

impl Signer {
    /// Signs with this secret, `whsec_…`; without one, with the key.
    pub(in crate::simulator) fn new(secret: Option<&str>) -> Result<Self> {
        let Some(secret) = secret else { return Ok(Self { secret: None }) };
        let bytes = secret.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        let bytes = bytes.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "starting the simulator", "the webhook secret is not one")
                .hint("write `whsec_` and the Base64 of some bytes")
        })?;
        Ok(Self { secret: Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes)) })
    }

    /// The value of `webhook-signature` for a delivery at `now`, in Unix seconds.
    pub(super) fn signature(&self, notice: &Notice, now: i64, body: &str) -> Option<String> {
        match &self.secret {
            Some(secret) => {
                let tag = hmac::sign(secret, format!("{}.{now}.{body}", notice.id).as_bytes());
                Some(format!("v1,{}", STANDARD.encode(tag)))
            }
            None => token(notice, now),
        }
    }
}

fn token(notice: &Notice, now: i64) -> Option<String> {
    let mut claims = json!({"iss": ISSUER, "aud": notice.uri, "iat": now, "exp": now + LIFETIME, "jti": notice.id});
    claims.as_object_mut()?.extend(notice.body.as_object()?.clone());
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": KEY_ID});
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let mut signature = vec![0; key()?.public().modulus_len()];
    key()?.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The public half of the key, as a JSON Web Key Set.
pub(super) fn keys() -> Value {
    let Some(key) = key() else { return json!({"keys": []}) };
    let public = PublicKeyComponents::<Vec<u8>>::from(key.public());
    let (modulus, exponent) = (URL_SAFE_NO_PAD.encode(public.n), URL_SAFE_NO_PAD.encode(public.e));
    json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": modulus, "e": exponent}]})
}

/// The key pair, read when it is first needed.
fn key() -> Option<&'static KeyPair> {
    static PAIR: OnceLock<Option<KeyPair>> = OnceLock::new();
    let read = || {
        let lines = KEY.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
        let encoded: String = lines.take_while(|line| !line.starts_with("-----END")).collect();
        KeyPair::from_pkcs8(&STANDARD.decode(encoded).ok()?).ok()
    };
    PAIR.get_or_init(read).as_ref()
}
