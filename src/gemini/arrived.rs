//! An upload that the API has whole, while the name of the file got lost with the last answer.
//!
//! The file is looked for among those of the project. Display name and size could be those of another file; only
//! with the same SHA-256 it is the one. What is not found is sent again: a second copy only expires.

use chrono::Utc;
use sha2::{Digest, Sha256};

use super::chunks::Chunks;
use super::files::{self, FileState, RemoteFile};
use super::sending::Sending;
use crate::error::{Error, Result};
use crate::job::id::hex;

/// What one page holds at most (API reference §2.1).
const PAGE_SIZE: u32 = 100;
/// Beyond so many pages it is not looked for.
const MOST_PAGES: usize = 50;

impl Sending<'_> {
    /// The file with the bytes that were sent, if it can be told.
    pub(super) async fn arrived(&self, chunks: &mut Chunks) -> Result<Option<RemoteFile>> {
        let sha256 = match &self.content.sha256 {
            Some(sha256) => sha256.clone(),
            None => sha256_of(chunks, self.act).await?,
        };
        let found = self.find(&sha256).await;
        Ok(found.unwrap_or_else(|e| {
            tracing::debug!("the file is not looked for: {e}");
            None
        }))
    }

    /// The one that lives longest, if there are several.
    async fn find(&self, sha256: &str) -> Result<Option<RemoteFile>> {
        let is_it = |file: &RemoteFile| {
            file.display_name.as_deref() == Some(self.display_name)
                && file.bytes.is_some_and(|bytes| u64::try_from(bytes) == Ok(self.content.bytes))
                && file.sha256.as_deref() == Some(sha256)
                && file.state != FileState::Failed
                && file.expiration_time.is_none_or(|end| end > Utc::now())
        };
        let (mut found, mut token) = (None::<RemoteFile>, None::<String>);
        for _ in 0..MOST_PAGES {
            let page = files::page(self.http, PAGE_SIZE, token.as_deref()).await?;
            found = page.items.into_iter().filter(is_it).chain(found).max_by_key(|file| file.expiration_time);
            if page.next.is_none() || page.next == token {
                break;
            }
            token = page.next;
        }
        Ok(found)
    }
}

/// The SHA-256 of everything that is to be sent, in hex.
async fn sha256_of(chunks: &mut Chunks, act: &str) -> Result<String> {
    let (mut hasher, mut offset) = (Sha256::new(), 0);
    while offset < chunks.total {
        let bytes = chunks.at(offset, super::settings::DEFAULT_CHUNK_BYTES as u64).await?;
        offset += bytes.len() as u64;
        // Not on the thread that everything else waits for.
        let hashed = tokio::task::spawn_blocking(move || hasher.chain_update(&bytes)).await;
        hasher = hashed.map_err(|e| Error::internal(act, e.to_string()))?;
    }
    Ok(hex(&hasher.finalize()))
}
