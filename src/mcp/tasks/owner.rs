//! Whose a task is.

use std::path::PathBuf;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use sha2::{Digest, Sha256};

use crate::job::id::hex;
use crate::mcp::BatchServer;

/// Bytes of a hash that tell callers apart.
const HASH_BYTES: usize = 16;

/// A caller, as far as a task is theirs: known again after a restart, and nobody can tell from it who they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::mcp) struct Owner(String);

/// Beside the owner in a request: this time they may look, and no more.
#[derive(Debug, Clone, Copy)]
pub(in crate::mcp) struct LooksOnly;

impl LooksOnly {
    /// Whether that is so of a request: it comes with its parts, or over the older transport by itself.
    pub(in crate::mcp) fn is_in(context: &RequestContext<RoleServer>) -> bool {
        let parts = context.extensions.get::<http::request::Parts>();
        let extensions = parts.map(|parts| &parts.extensions);
        context.extensions.get::<Self>().is_some() || extensions.is_some_and(|all| all.get::<Self>().is_some())
    }
}

impl Owner {
    /// Whoever started this program on its standard input and output, for these folders: what a call means depends on them.
    pub(in crate::mcp) fn at_home(folders: &[PathBuf]) -> Self {
        let folders: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
        Self::hashed("stdio", &folders)
    }

    /// Whoever reaches a server without a login: only this machine does.
    pub(in crate::mcp) fn anyone() -> Self {
        Self("http".to_owned())
    }

    /// Whoever has the server's token.
    pub(in crate::mcp) fn of_token(token: &str) -> Self {
        Self::hashed("token", &[token])
    }

    /// Somebody that an issuer knows.
    pub(in crate::mcp) fn of_subject(issuer: &str, subject: &str) -> Self {
        Self::hashed("oauth", &[issuer, subject])
    }

    /// The caller of a request. `None`: nobody knows, as over the older transport, and nothing is kept for them.
    pub(in crate::mcp) fn of(server: &BatchServer, context: &RequestContext<RoleServer>) -> Option<Self> {
        match context.extensions.get::<http::request::Parts>() {
            Some(parts) => parts.extensions.get::<Self>().cloned(),
            None => server.owner.clone(),
        }
    }

    pub(in crate::mcp) fn as_str(&self) -> &str {
        &self.0
    }

    fn hashed(kind: &str, parts: &[impl AsRef<str>]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update("gemini-batch-mcp task owner");
        for part in parts.iter().map(AsRef::as_ref) {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        Self(format!("{kind} {}", hex(hash.get(..HASH_BYTES).unwrap_or_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_caller_is_the_same_owner_and_another_is_not() {
        let somebody = Owner::of_subject("https://as.example", "somebody");
        assert_eq!(somebody, Owner::of_subject("https://as.example", "somebody"));
        for other in [
            Owner::of_subject("https://as.example", "somebody else"),
            Owner::of_subject("https://other.example", "somebody"),
            Owner::of_subject("https://as.examplesome", "body"),
            Owner::of_token("somebody"),
            Owner::anyone(),
            Owner::at_home(&["/home".into()]),
            Owner::at_home(&["/other".into()]),
        ] {
            assert_ne!(somebody, other);
        }
        assert!(!somebody.as_str().contains("somebody"), "{somebody:?}");
    }
}
