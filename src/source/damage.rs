//! What is wrong with the bytes of a file, carried through readers that know only I/O errors.

use std::fmt;
use std::io;

use crate::error::{Error, ErrorKind};

/// A file that is not what it has to be.
#[derive(Debug)]
pub(super) struct Damage {
    cause: String,
    hint: &'static str,
}

impl Damage {
    pub(super) fn new(cause: impl Into<String>, hint: &'static str) -> Self {
        Self { cause: cause.into(), hint }
    }

    /// The damage that an I/O error carries.
    pub(super) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<Damage> for io::Error {
    fn from(damage: Damage) -> Self {
        Self::new(io::ErrorKind::InvalidData, damage)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Damage {}

/// A failed read, told as what it is: a bad file, or a machine that cannot read it.
pub(super) fn failed(act: impl Into<String>, error: io::Error) -> Error {
    match Damage::of(&error) {
        Some(damage) => Error::new(ErrorKind::InvalidInput, act, damage.cause.clone()).hint(damage.hint),
        None => Error::io(act, error),
    }
}

/// The same for a reader of rows, which knows how far it came.
pub(super) fn failed_in_row(act: impl Into<String>, row: u64, error: io::Error) -> Error {
    match Damage::of(&error) {
        Some(damage) => {
            Error::new(ErrorKind::InvalidInput, act, format!("row {row}: {}", damage.cause)).hint(damage.hint)
        }
        None => Error::io(act, error),
    }
}
