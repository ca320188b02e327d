//! Signatures with a shared secret, as <https://www.standardwebhooks.com> describes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};

/// Signatures that are looked at; while secrets change there are two.
const MOST_SIGNATURES: usize = 8;

/// The secrets that a notice may be signed with.
pub(super) struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// Reads secrets as the API shows them: `whsec_` and base64.
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self> {
        secrets.iter().map(key).collect::<Result<_>>().map(Self)
    }

    /// Whether one of the signatures, `v1,<base64>` and separated by spaces, is of this notice and one of the secrets.
    /// Takes as long for a wrong one as for a right one.
    pub(super) fn signed(&self, id: &str, time: i64, body: &[u8], signatures: &str) -> bool {
        let message = [format!("{id}.{time}.").as_bytes(), body].concat();
        let given = signatures.split_whitespace().take(MOST_SIGNATURES).filter_map(|one| one.strip_prefix("v1,"));
        let given: Vec<_> = given.filter_map(|signature| STANDARD.decode(signature).ok()).collect();
        self.0.iter().any(|key| given.iter().any(|signature| hmac::verify(key, &message, signature).is_ok()))
    }
}

fn key(secret: &SecretString) -> Result<hmac::Key> {
    let encoded = secret.expose_secret().strip_prefix("whsec_");
    match encoded.and_then(|encoded| STANDARD.decode(encoded).ok()).filter(|key| key.len() >= SHORTEST) {
        Some(key) => Ok(hmac::Key::new(hmac::HMAC_SHA256, &key)),
        None => Err(Error::new(
            ErrorKind::InvalidArgument,
            "reading GEMINI_BATCH_WEBHOOK_SECRET",
            "a secret in it is not whsec_ and at least 16 bytes in base64",
        )
        .hint("write the signing secret as the API showed it; several with spaces between them")),
    }
}

/// Bytes of a secret that cannot be guessed; the API's have 32.
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference implementations.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secrets(texts: &[&str]) -> Result<Secrets> {
        Secrets::new(&texts.iter().map(|text| SecretString::from(*text)).collect::<Vec<_>>())
    }

    #[test]
    fn the_published_example_is_signed_right() {
        let secrets = secrets(&["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET]).unwrap();
        assert!(secrets.signed(ID, TIME, BODY, SIGNATURE));
        assert!(secrets.signed(ID, TIME, BODY, &format!("v1,AAAA v1a,x {SIGNATURE}")));
        for (id, time, body, signature) in [
            ("msg_other", TIME, BODY, SIGNATURE),
            (ID, TIME + 1, BODY, SIGNATURE),
            (ID, TIME, &b"{}"[..], SIGNATURE),
            (ID, TIME, BODY, "v1,AAAA"),
            (ID, TIME, BODY, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            (ID, TIME, BODY, ""),
        ] {
            assert!(!secrets.signed(id, time, body, signature), "{id} {time} {signature}");
        }
    }

    #[test]
    fn a_secret_that_is_none_is_not_repeated() {
        for text in ["whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not-base-64-but-long-enough"] {
            let error = secrets(&[text]).err().unwrap();
            assert!(!format!("{error:?}").contains(&text[6..]) || text.len() == 6, "{error:?}");
        }
    }
}
