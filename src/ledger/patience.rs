//! How long one process waits for another at the ledger, and how it waits: in short steps of random length, so that
//! those who wait do not wake together.

use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

/// A transaction takes milliseconds; this long in a row nobody else is lucky unless something is wrong.
pub(super) const LONGEST: Duration = Duration::from_secs(20);
/// Microseconds between two tries.
const STEP: RangeInclusive<u64> = 500..=8_000;
/// Tries of one statement before its whole transaction starts over.
const TRIES: i32 = 400;

/// A wait that has begun.
#[derive(Debug)]
pub(super) struct Patience(Instant);

impl Patience {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Waits a moment; `false` if there was waiting enough.
    pub(super) fn pause(&self) -> bool {
        let goes_on = self.0.elapsed() < LONGEST;
        if goes_on {
            step();
        }
        goes_on
    }
}

/// What SQLite calls while another connection holds what a statement needs.
pub(super) fn wait_for_others(tries: i32) -> bool {
    step();
    tries < TRIES
}

/// Does what waits. Where this is a thread of a server, it gives the server's other work to another one first.
pub(super) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let is_of_a_server = Handle::try_current().is_ok_and(|at| at.runtime_flavor() == RuntimeFlavor::MultiThread);
    if is_of_a_server { tokio::task::block_in_place(work) } else { work() }
}

fn step() {
    aside(|| sleep(Duration::from_micros(fastrand::u64(STEP))));
}
