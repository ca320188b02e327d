//! How often this process looked for answers in vain: each look is a whole download.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::job::Handle;
use crate::ledger::{JobRecord, PartRecord};

/// What lacked so often is not looked for again before the pause is over.
const TRIES: u32 = 2;
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// Parts whose answers this process looked for, and did not have all of.
#[derive(Debug, Default)]
pub(super) struct Lacking(Mutex<HashMap<(Handle, u32), Looks>>);

#[derive(Debug, Clone, Copy)]
struct Looks {
    /// How often they lacked, although the API gave what it had.
    in_vain: u32,
    last: Instant,
}

impl Lacking {
    /// Whether the API is believed that it has no more.
    pub(super) fn is_believed(&self, job: &JobRecord, part: &PartRecord) -> bool {
        self.of(job, part).is_some_and(|looks| looks.in_vain >= TRIES && looks.last.elapsed() < PAUSE)
    }

    /// Whether it was looked for within the pause, whatever came of it.
    pub(super) fn was_just_tried(&self, job: &JobRecord, part: &PartRecord) -> bool {
        self.of(job, part).is_some_and(|looks| looks.last.elapsed() < PAUSE)
    }

    /// Notes a look.
    pub(super) fn tried(&self, job: &JobRecord, part: &PartRecord) {
        self.note(job, part, 0);
    }

    /// Notes a look after which answers lacked.
    pub(super) fn in_vain(&self, job: &JobRecord, part: &PartRecord) {
        self.note(job, part, 1);
    }

    fn of(&self, job: &JobRecord, part: &PartRecord) -> Option<Looks> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(job.handle.clone(), part.number)).copied()
    }

    fn note(&self, job: &JobRecord, part: &PartRecord, in_vain: u32) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let looks = known.entry((job.handle.clone(), part.number)).or_insert(Looks { in_vain: 0, last: now });
        *looks = Looks { in_vain: looks.in_vain + in_vain, last: now };
    }
}
