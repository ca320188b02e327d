//! What a project may have at a time.
//!
//! The service counts per project: estimated input tokens of the batches of a model that have not ended,
//! such batches of all models (100), and bytes of files (20 GB). Over the first two a create is
//! refused, over the last the start of an upload, each with a 429 of its own kind (API reference §6, §8).
//! Room comes back as batches end or are cancelled, and as files are deleted or die.
//!
//! An upload counts from when its file is made, so uploads under way at the same time can exceed the room
//! together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::batch::{self, Batch};
use super::files;
use super::refusal::Refusal;
use super::server::{Ask, Service};
use super::store::Shelf;

/// Stands for no limit.
const NONE: u64 = u64::MAX;

/// The limits of every project; none unless set. Clones share them, so they can change at any time.
#[derive(Debug, Clone, Default)]
pub struct Limits(Arc<Ceilings>);

#[derive(Debug)]
struct Ceilings {
    enqueued_tokens: AtomicU64,
    batches: AtomicU64,
    storage_bytes: AtomicU64,
}

impl Default for Ceilings {
    fn default() -> Self {
        let none = || AtomicU64::new(NONE);
        Self { enqueued_tokens: none(), batches: none(), storage_bytes: none() }
    }
}

impl Limits {
    /// No limits.
    pub fn none() -> Self {
        Self::default()
    }

    /// So many input tokens, of all batches of a model together that have not ended.
    pub fn set_enqueued_tokens(&self, tokens: Option<u64>) {
        set(&self.0.enqueued_tokens, tokens);
    }

    /// So many batches that have not ended.
    pub fn set_batches(&self, batches: Option<u64>) {
        set(&self.0.batches, batches);
    }

    /// So many bytes of files, of all together that are alive.
    pub fn set_storage_bytes(&self, bytes: Option<u64>) {
        set(&self.0.storage_bytes, bytes);
    }
}

fn set(ceiling: &AtomicU64, limit: Option<u64>) {
    ceiling.store(limit.unwrap_or(NONE), Ordering::SeqCst);
}

fn get(ceiling: &AtomicU64) -> u64 {
    ceiling.load(Ordering::SeqCst)
}

/// Refuses a batch that is about to be made if there is no room for it.
pub(super) fn check_batch(service: &Service, ask: &Ask, batch: &Batch) -> Result<(), Refusal> {
    let (tokens, batches) = (get(&service.limits.0.enqueued_tokens), get(&service.limits.0.batches));
    if (tokens, batches) == (NONE, NONE) {
        return Ok(());
    }
    let others = not_ended(service, ask)?;
    let of_model = others.iter().filter(|other| other.model == batch.model);
    let enqueued: u64 = of_model.map(|other| other.census.tokens).sum();
    if others.len() as u64 >= batches || enqueued.saturating_add(batch.census.tokens) > tokens {
        return Err(Refusal::quota());
    }
    Ok(())
}

fn not_ended(service: &Service, ask: &Ask) -> Result<Vec<Batch>, Refusal> {
    let mut batches = Vec::new();
    for id in service.store.ids(Shelf::Batches)? {
        let known = batch::read(&service.store, &id)?.filter(|known| known.batch.owner == ask.project);
        batches.extend(known.filter(|known| known.standing(ask.now).ended.is_none()).map(|known| known.batch));
    }
    Ok(batches)
}

/// Refuses an upload of so many bytes if there is no room for it. One of unknown length needs some room.
pub(super) fn check_upload(service: &Service, ask: &Ask, length: Option<u64>) -> Result<(), Refusal> {
    let limit = get(&service.limits.0.storage_bytes);
    if limit == NONE || files::stored_bytes(service, ask)?.saturating_add(length.unwrap_or(1)) <= limit {
        return Ok(());
    }
    Err(Refusal::storage_quota(limit))
}
