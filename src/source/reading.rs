//! How a data set is to be read, as far as the file itself does not tell.

use serde::{Deserialize, Serialize};

use super::Format;

/// What the caller says of a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// Its format.
    pub format: Option<Format>,
    /// What separates the fields of a CSV.
    pub delimiter: Option<char>,
    /// A CSV's first line is a row, not a header.
    pub headerless: bool,
}
