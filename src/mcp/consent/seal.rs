//! What a client carries from one round of questions to the next: readable, but it cannot be changed or moved.
//!
//! From 2026-07-28 on a question ends the call, and the client makes the same call again with the answer
//! (SEP-2322). What was asked and what is settled comes back with it, from hands that are not trusted: so it is
//! sealed for this caller, this tool and these arguments, and for an hour.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use rmcp::model::{JsonObject, RequestStateCodec, SealOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::mcp::tasks::Owner;

/// How long a user may take.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The key lives as long as the process: after a restart the user is asked again. None: there is no randomness.
static CODEC: LazyLock<Option<RequestStateCodec>> = LazyLock::new(|| {
    let mut key = [0; 32];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut key).ok()?;
    RequestStateCodec::try_new(key).ok()
});

/// Where the questions of a call stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The question that is open.
    pub(super) asked: String,
    /// Exactly what it is about.
    pub(super) about: String,
    /// Questions that were answered: exactly what each was about, and the answer.
    pub(super) settled: BTreeMap<String, (String, Value)>,
}

/// A call to which a standing belongs.
#[derive(Debug)]
pub(in crate::mcp) struct Seal([u8; 32]);

impl Seal {
    /// That of a tool with these arguments, in whatever order they are, when this caller calls it, if that is known.
    pub(in crate::mcp) fn of(caller: Option<&Owner>, tool: &str, arguments: &JsonObject) -> Self {
        let mut arguments = Value::Object(arguments.clone());
        arguments.sort_all_objects();
        let mut hasher = Sha256::new();
        for part in [caller.map_or("", Owner::as_str), tool] {
            hasher.update(part.as_bytes());
            hasher.update([0]);
        }
        hasher.update(arguments.to_string().as_bytes());
        Self(hasher.finalize().into())
    }

    /// The standing as the client carries it.
    pub(super) fn close(&self, standing: &Standing) -> Option<String> {
        let options = SealOptions::new().associated_data(&self.0).ttl(LIFETIME);
        CODEC.as_ref()?.seal_json_with(standing, &options).ok()
    }

    /// The standing that a client brought back, if it is one of this call and still good.
    pub(super) fn open(&self, sealed: &str) -> Option<Standing> {
        CODEC.as_ref()?.open_json_with(sealed, &self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_standing_comes_back_only_with_the_call_it_was_made_for() {
        let caller = Owner::of_subject("https://as.example", "somebody");
        let caller = Some(&caller);
        let seal = Seal::of(caller, "create_batch", &arguments(json!({"input": "a", "name": "b"})));
        let standing = Standing { asked: "cost".into(), about: "a, $12".into(), ..Standing::default() };
        let sealed = seal.close(&standing).unwrap();
        assert_eq!(seal.open(&sealed), Some(standing.clone()));
        let same = Seal::of(caller, "create_batch", &arguments(json!({"name": "b", "input": "a"})));
        assert_eq!(same.open(&sealed), Some(standing));
        for other in [
            Seal::of(caller, "create_batch", &arguments(json!({"input": "c", "name": "b"}))),
            Seal::of(caller, "create_batch", &arguments(json!({"input": "a"}))),
            Seal::of(caller, "retry_batch", &arguments(json!({"input": "a", "name": "b"}))),
            Seal::of(Some(&Owner::anyone()), "create_batch", &arguments(json!({"input": "a", "name": "b"}))),
            Seal::of(None, "create_batch", &arguments(json!({"input": "a", "name": "b"}))),
        ] {
            assert_eq!(other.open(&sealed), None);
        }
        let (head, tail) = sealed.split_at(sealed.len() / 2);
        for forged in [format!("{head}x{tail}"), head.to_owned(), String::new()] {
            assert_eq!(seal.open(&forged), None, "{forged}");
        }
    }
}
