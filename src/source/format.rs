//! Which format a file is in: told by its name, checked against its first bytes.

use std::io::Read;

use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;

const SNIFFED: u64 = 64 * 1024;

/// A format that rows can be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// Comma-separated values with a header; semicolons and tabs are recognised.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// One array of objects.
    Json,
    /// One object a line.
    Jsonl,
}

impl Format {
    /// The format as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
        }
    }

    /// Reads the name of a format, or a file extension.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }

    /// The format of a file, by its extension and its first bytes. Where a JSON file is in the other
    /// of the two JSON formats than its name says, the bytes are believed.
    pub fn of(path: &AllowedPath) -> Result<Self> {
        let extension = path.as_path().extension().and_then(|extension| extension.to_str());
        let named = extension.and_then(Self::parse);
        if let Some(format @ (Self::Csv | Self::Tsv)) = named {
            return Ok(format);
        }
        let start = first_bytes(path)?;
        let bad = |cause: &str| Error::new(ErrorKind::InvalidInput, format!("reading {path}"), cause);
        match (start.first(), named) {
            (None, _) => Err(bad("the file is empty").hint("give a file with rows in it")),
            (Some(b'['), _) => Ok(Self::Json),
            (Some(b'{'), Some(Self::Json)) if !starts_with_an_object_line(&start) => {
                Err(bad("it holds one object, not an array of objects")
                    .hint("give an array [{…}, {…}], or one object a line (JSONL)"))
            }
            (Some(b'{'), _) => Ok(Self::Jsonl),
            (Some(_), Some(format)) => Ok(format),
            (Some(_), None) => separated(&start)
                .ok_or_else(|| bad("it is not clear which format it is in").hint("say csv, tsv, json or jsonl")),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The first bytes of a file, without a byte order mark and leading white space.
pub(super) fn first_bytes(path: &AllowedPath) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let read = path.open()?.take(SNIFFED).read_to_end(&mut start);
    read.map_err(|e| Error::io(format!("reading {path}"), e))?;
    Ok(start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start).trim_ascii_start().to_vec())
}

/// What separates the fields of a header line. A comma, if there is one.
pub(super) fn delimiter(start: &[u8]) -> u8 {
    let mut quoted = false;
    let mut found = b',';
    for byte in start {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'\n' | b'\r' => break,
            b',' => return b',',
            b';' | b'\t' if found == b',' => found = *byte,
            _ => {}
        }
    }
    found
}

fn separated(start: &[u8]) -> Option<Format> {
    let header = first_line(start);
    match delimiter(header) {
        b'\t' => Some(Format::Tsv),
        separator if header.contains(&separator) => Some(Format::Csv),
        _ => None,
    }
}

/// The bytes before the first line break.
pub(super) fn first_line(start: &[u8]) -> &[u8] {
    start.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Whether the first line is an object by itself, or longer than what was read of it.
fn starts_with_an_object_line(start: &[u8]) -> bool {
    let line = first_line(start);
    let cut = line.len() == start.len() && start.len() as u64 >= SNIFFED / 2;
    cut || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
}
