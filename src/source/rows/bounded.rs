//! A limit to how far a reader goes for one row: what never ends, or unpacks to far more than it seemed, is refused.

use std::io::{self, Read};

use super::LONGEST_ROW;
use crate::source::damage::Damage;

/// Gives up when a row grows without end.
pub(super) struct Bounded<R> {
    source: R,
    left: usize,
}

impl<R> Bounded<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, left: LONGEST_ROW }
    }

    /// A new row may be as long again.
    pub(super) fn next_row(&mut self) {
        self.left = LONGEST_ROW;
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let cause = format!("it is longer than {} MB", LONGEST_ROW / 1024 / 1024);
            return Err(Damage::new(cause, "look for a quote or a line that never ends").into());
        }
        let count = self.source.read(into)?;
        self.left = self.left.saturating_sub(count);
        Ok(count)
    }
}
