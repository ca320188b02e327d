//! How a data set is written, so that what is made of it can be written alike.

use super::{Format, Reading, format};
use crate::error::Result;
use crate::paths::AllowedPath;

/// How a file of rows is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Its format, by name.
    pub format: Option<String>,
    /// What separates the fields of a line.
    pub delimiter: u8,
    /// Lines end as on Windows.
    pub crlf: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { format: None, delimiter: b',', crlf: false }
    }
}

impl Style {
    /// That of a file: what the caller says of it, else what its name and its first line tell.
    pub fn of(path: &AllowedPath, reading: &Reading) -> Result<Self> {
        let format = reading.format.map_or_else(|| Format::of(path, reading), Ok)?;
        let style = Self { format: Some(format.to_string()), ..Self::default() };
        if !matches!(format, Format::Csv | Format::Tsv) {
            return Ok(style);
        }
        let (start, _) = format::first_bytes(path)?;
        let found = if format == Format::Tsv { b'\t' } else { format::delimiter(&start) };
        let crlf = format::first_line(&start).ends_with(b"\r");
        Ok(Self { delimiter: reading.delimiter_byte().unwrap_or(found), crlf, ..style })
    }
}
