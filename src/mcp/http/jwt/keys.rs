//! Somebody's public keys, fetched when first needed and now and then after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::error::{Error, ErrorKind, Result};

/// How long a set of keys is good. One that is withdrawn is trusted no longer than this.
const LIFE: Duration = Duration::from_secs(3600);
/// Between two fetches for a key that a good set does not have: whoever invents names of keys causes no flood.
const PAUSE: Duration = Duration::from_secs(60);
/// Between two fetches while there is no good set at all.
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
    tried: Option<Instant>,
}

impl Keys {
    /// Keys that come from this function, as a JSON Web Key Set.
    pub(in super::super) fn new<F>(fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        Self { fetch: Arc::new(Box::new(move || Box::pin(fetch()))), known: Arc::default() }
    }

    /// The key of this name, if there is one.
    pub(super) async fn find(&self, kid: &str) -> Result<Option<DecodingKey>> {
        let mut known = self.known.lock().await;
        if known.is_worth_a_fetch(kid) {
            known.tried = Some(Instant::now());
            known.set = Some((read((self.fetch)().await?)?, Instant::now()));
        }
        let fresh = known.fresh();
        match fresh.and_then(|set| set.find(kid)) {
            Some(key) => DecodingKey::from_jwk(key).map(Some).map_err(|e| unreadable(&e.to_string())),
            None => Ok(None),
        }
    }
}

impl Known {
    fn fresh(&self) -> Option<&JwkSet> {
        self.set.as_ref().filter(|(_, at)| at.elapsed() < LIFE).map(|(set, _)| set)
    }

    fn is_worth_a_fetch(&self, kid: &str) -> bool {
        let pause = match self.fresh() {
            Some(set) if set.find(kid).is_some() => return false,
            Some(_) => PAUSE,
            None => SHORT_PAUSE,
        };
        self.tried.is_none_or(|at| at.elapsed() >= pause)
    }
}

fn read(set: Value) -> Result<JwkSet> {
    serde_json::from_value(set).map_err(|e| unreadable(&e.to_string()))
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

    #[tokio::test]
    async fn keys_are_fetched_once_whatever_names_are_invented() {
        let (keys, fetches) =
            counted(|| Ok(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AQAB"}]})));
        assert!(keys.find("a").await.unwrap().is_some());
        for invented in ["b", "c", "d"] {
            assert!(keys.find(invented).await.unwrap().is_none());
        }
        assert!(keys.find("a").await.unwrap().is_some());
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn keys_that_cannot_be_had_are_not_asked_for_at_every_token() {
        let (keys, fetches) = counted(|| Ok(json!({"error": "none here"})));
        assert!(keys.find("a").await.is_err());
        assert!(keys.find("a").await.unwrap().is_none());
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }
}
