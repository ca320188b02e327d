//! Somebody's public keys, fetched when first needed and now and then after.
//!
//! A fetch is work of its own: whoever needs the keys waits for it, and it goes on when they hang up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};

/// How long a set of keys is good. One that is withdrawn is trusted no longer than this.
const LIFE: Duration = Duration::from_secs(3600);
/// Between two fetches for a key that a good set does not have: whoever invents names of keys causes no flood.
const PAUSE: Duration = Duration::from_secs(60);
/// After a fetch that failed.
const SHORT_PAUSE: Duration = Duration::from_secs(5);

type Fetch = Box<dyn Fn() -> BoxFuture<'static, Result<Value>> + Send + Sync>;

/// Somebody's public keys. Cheap to clone.
#[derive(Clone)]
pub(in super::super) struct Keys {
    fetch: Arc<Fetch>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    set: Option<(JwkSet, Instant)>,
    /// When the last fetch ended, if it failed.
    failed: Option<Instant>,
    /// Cancelled when the last fetch has ended, however it did.
    fetched: Option<CancellationToken>,
}

/// Which key a token is signed with, by its own word.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    Named(&'a str),
    /// The only one there is for this algorithm.
    Only(Algorithm),
}

/// What is known of a key.
pub(super) enum Found {
    Key(DecodingKey),
    /// There is none of this name, or not one alone.
    None,
    /// Nobody can tell: the keys cannot be had. It is tried again after this time.
    Unknown(Duration),
}

impl Keys {
    /// Keys that come from this function, as a JSON Web Key Set.
    pub(in super::super) fn new<F>(fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        Self { fetch: Arc::new(Box::new(move || Box::pin(fetch()))), known: Arc::default() }
    }

    /// The key that is wanted.
    pub(super) async fn find(&self, wanted: Wanted<'_>) -> Result<Found> {
        if let Some(fetched) = self.fetch_for(wanted) {
            fetched.cancelled().await;
        }
        let known = self.lock();
        match (known.key(wanted), known.failed) {
            (Some(key), _) => DecodingKey::from_jwk(key).map(Found::Key).map_err(|e| unreadable(&e.to_string())),
            (None, Some(at)) => Ok(Found::Unknown(SHORT_PAUSE.saturating_sub(at.elapsed()))),
            (None, None) => Ok(Found::None),
        }
    }

    /// The end of the fetch that may bring this key, if one is needed and under way by now.
    fn fetch_for(&self, wanted: Wanted<'_>) -> Option<CancellationToken> {
        let mut known = self.lock();
        if known.key(wanted).is_some() {
            return None;
        }
        let under_way = known.fetched.clone().filter(|fetched| !fetched.is_cancelled());
        if under_way.is_some() || !known.is_worth_a_fetch() {
            return under_way;
        }
        let fetched = CancellationToken::new();
        known.fetched = Some(fetched.clone());
        let (keys, ends) = (self.clone(), fetched.clone().drop_guard());
        tokio::spawn(async move {
            let set = (keys.fetch)().await.and_then(read);
            keys.lock().take(set);
            drop(ends);
        });
        Some(fetched)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn fresh(&self) -> Option<&(JwkSet, Instant)> {
        self.set.as_ref().filter(|(_, at)| at.elapsed() < LIFE)
    }

    fn key(&self, wanted: Wanted<'_>) -> Option<&Jwk> {
        let (set, _) = self.fresh()?;
        match wanted {
            Wanted::Named(kid) => set.find(kid),
            Wanted::Only(algorithm) => {
                let mut all = set.keys.iter().filter(|key| is_for(key, algorithm));
                all.next().filter(|_| all.next().is_none())
            }
        }
    }

    fn is_worth_a_fetch(&self) -> bool {
        match (self.failed, self.fresh()) {
            (Some(at), _) => at.elapsed() >= SHORT_PAUSE,
            (None, Some((_, at))) => at.elapsed() >= PAUSE,
            (None, None) => true,
        }
    }

    fn take(&mut self, fetched: Result<JwkSet>) {
        self.failed = fetched.is_err().then(Instant::now);
        match fetched {
            Ok(set) => self.set = Some((set, Instant::now())),
            Err(e) => tracing::warn!("public keys cannot be had: {e}"),
        }
    }
}

/// Whether signatures of this algorithm could be checked by this key.
fn is_for(key: &Jwk, algorithm: Algorithm) -> bool {
    let common = &key.common;
    common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
        && common.key_algorithm.is_none_or(|of| of == KeyAlgorithm::from(algorithm))
        && DecodingKey::from_jwk(key).is_ok_and(|key| key.family() == algorithm.family())
}

/// A set of keys that is not empty.
pub(in super::super) fn read(set: Value) -> Result<JwkSet> {
    let set: JwkSet = serde_json::from_value(set).map_err(|e| unreadable(&e.to_string()))?;
    if set.keys.is_empty() { Err(unreadable("it is empty")) } else { Ok(set) }
}

fn unreadable(cause: &str) -> Error {
    Error::new(ErrorKind::UnexpectedAnswer, "reading a set of public keys", cause)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    fn counted(answer: fn() -> Result<Value>) -> (Keys, Arc<AtomicUsize>) {
        let fetches = Arc::new(AtomicUsize::new(0));
        let counter = fetches.clone();
        let keys = Keys::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::ready(answer())
        });
        (keys, fetches)
    }

    fn one_key() -> Result<Value> {
        Ok(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AQAB"}]}))
    }

    #[tokio::test]
    async fn keys_are_fetched_once_whatever_names_are_invented() {
        let (keys, fetches) = counted(one_key);
        assert!(matches!(keys.find(Wanted::Named("a")).await, Ok(Found::Key(_))));
        for invented in ["b", "c", "d"] {
            assert!(matches!(keys.find(Wanted::Named(invented)).await, Ok(Found::None)));
        }
        assert!(matches!(keys.find(Wanted::Named("a")).await, Ok(Found::Key(_))));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_token_without_a_name_is_of_the_only_key_of_its_algorithm() {
        let (keys, _) = counted(|| {
            let rsa = |kid: &str, of: &str| json!({"kty": "RSA", "use": of, "kid": kid, "n": "AQAB", "e": "AQAB"});
            let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AQAB"});
            Ok(json!({"keys": [ed, rsa("one", "sig"), rsa("two", "sig"), rsa("three", "enc")]}))
        });
        let found = async |algorithm| keys.find(Wanted::Only(algorithm)).await.unwrap();
        assert!(matches!(found(Algorithm::EdDSA).await, Found::Key(_)));
        assert!(matches!(found(Algorithm::RS256).await, Found::None), "there are two");
        assert!(matches!(found(Algorithm::ES256).await, Found::None), "there is none");
        assert!(matches!(found(Algorithm::HS256).await, Found::None));
    }

    #[tokio::test]
    async fn keys_that_cannot_be_had_are_not_asked_for_at_every_token() {
        let (keys, fetches) = counted(|| Ok(json!({"error": "none here"})));
        for _ in 0..2 {
            assert!(matches!(keys.find(Wanted::Named("a")).await, Ok(Found::Unknown(again)) if again <= SHORT_PAUSE));
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_fetch_goes_on_without_whoever_asked_first() {
        let (asked, told) = (CancellationToken::new(), CancellationToken::new());
        let fetches = Arc::new(AtomicUsize::new(0));
        let (begun, answered, counter) = (asked.clone(), told.clone(), fetches.clone());
        let keys = Keys::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            begun.cancel();
            let answered = answered.clone();
            async move {
                answered.cancelled().await;
                one_key()
            }
        });
        tokio::select! {
            _ = keys.find(Wanted::Named("a")) => panic!("there is no answer yet"),
            () = asked.cancelled() => {}
        }
        let (second, third) = (keys.find(Wanted::Named("a")), keys.find(Wanted::Named("b")));
        told.cancel();
        let (second, third) = tokio::join!(second, third);
        assert!(matches!((second, third), (Ok(Found::Key(_)), Ok(Found::None))));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }
}
