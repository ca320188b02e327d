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

/// Delimiters that have a name, as a comma or a tab is hard to type or to see in some places.
const NAMED: [(&str, char); 7] =
    [("tab", '\t'), ("\\t", '\t'), ("comma", ','), ("semicolon", ';'), ("pipe", '|'), ("space", ' '), ("colon", ':')];

impl Reading {
    /// Reads a delimiter as a caller writes it: the character, or its name.
    pub fn parse_delimiter(text: &str) -> Option<char> {
        if let Some((_, delimiter)) = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Some(*delimiter);
        }
        let mut characters = text.chars();
        let delimiter = characters.next().filter(|_| characters.next().is_none())?;
        let is_part_of_text = delimiter.is_ascii_alphanumeric() || "\"\n\r\0".contains(delimiter);
        (delimiter.is_ascii() && !is_part_of_text).then_some(delimiter)
    }

    /// Whether something is said that only fields in lines have.
    pub(super) fn is_separated(&self) -> bool {
        self.delimiter.is_some() || self.headerless
    }

    /// The delimiter as a byte.
    pub(super) fn delimiter_byte(&self) -> Option<u8> {
        self.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok())
    }
}
