//! Which format a file is in: told by its name, checked against its first bytes.

use std::path::Path;

use serde_json::{Map, Value};

use super::Reading;
use super::bytes::{self, Wrapping};
use super::container::refuse_container;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;

const SNIFFED: u64 = 64 * 1024;
/// Lines that have to be alike to pass for a table.
const LINES_COMPARED: usize = 20;
const PARQUET: &[u8] = b"PAR1";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A format that rows can be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values; semicolons, tabs and pipes are recognised.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// One array of objects.
    Json,
    /// One object a line.
    Jsonl,
    /// Columns, as data tools write them.
    Parquet,
    /// One row a line.
    Text,
    /// One row a file.
    Files,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [Self::Csv, Self::Tsv, Self::Json, Self::Jsonl, Self::Parquet, Self::Text, Self::Files];

    /// The format as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Text => "text",
            Self::Files => "files",
        }
    }

    /// Reads the name of a format, or a file extension.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" | "jsonlines" => Some(Self::Jsonl),
            "parquet" | "pq" => Some(Self::Parquet),
            "text" | "txt" | "log" | "list" => Some(Self::Text),
            "files" => Some(Self::Files),
            _ => None,
        }
    }

    /// Fields in lines: what a delimiter and a header belong to.
    pub(super) fn is_separated(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv)
    }

    /// The format that the name of a file tells.
    fn named(path: &AllowedPath) -> Option<Self> {
        let name = unpacked_name(path.as_path());
        let extension = name.extension().and_then(|extension| extension.to_str());
        extension.and_then(Self::parse).filter(|format| *format != Self::Files)
    }

    /// The format of a file, by its extension and its first bytes. Where these contradict each other, the bytes are
    /// believed.
    pub(super) fn of(path: &AllowedPath, reading: &Reading) -> Result<Self> {
        let (start, wrapping) = first_bytes(path)?;
        let named = Self::named(path);
        let bad = |cause: String| Error::new(ErrorKind::InvalidInput, format!("reading {path}"), cause);
        if start.starts_with(PARQUET) {
            return parquet(wrapping).map_err(|cause| bad(cause).hint("unpack it: Parquet is compressed inside"));
        }
        refuse_container(path, &start)?;
        let told = match (start.first(), named) {
            (None, _) => return Err(bad("the file is empty".into()).hint("give a file with rows in it")),
            (_, Some(format @ (Self::Csv | Self::Tsv))) => Some(format),
            (_, Some(Self::Parquet)) => {
                return Err(bad("it is named like Parquet and does not start as Parquet does".into())
                    .hint("copy it again if it was cut off, or say which format it is in"));
            }
            (Some(b'['), Some(Self::Text)) => Some(if opens_an_array(&start) { Self::Json } else { Self::Text }),
            (Some(b'{'), Some(Self::Text)) if !starts_with_an_object_line(&start) => Some(Self::Text),
            (Some(b'['), _) => Some(Self::Json),
            (Some(b'{'), Some(Self::Json)) if !starts_with_an_object_line(&start) => {
                return Err(bad("it holds one object, not an array of objects".into())
                    .hint("give an array [{…}, {…}], or one object a line (JSONL)"));
            }
            (Some(b'{'), _) => Some(Self::Jsonl),
            (_, Some(Self::Text)) => Some(tabbed(&start, reading).unwrap_or(Self::Text)),
            (_, Some(format)) => Some(format),
            (_, None) if reading.is_separated() => Some(Self::Csv),
            (_, None) => separated(&start),
        };
        told.ok_or_else(|| bad(unclear(&start)).hint(one_of()))
    }
}

fn one_of() -> String {
    let named = Format::ALL.map(|format| match format {
        Format::Text => format!("{format} (a row is a line)"),
        Format::Files => format!("{format} (a row is the whole file)"),
        format => format.to_string(),
    });
    format!("say the format: one of {}", named.join(", "))
}

fn unclear(start: &[u8]) -> String {
    match infer::get(start).filter(|_| start.contains(&0)) {
        Some(kind) => format!("it is {}, and holds no rows", kind.mime_type()),
        None => "it is not clear which format it is in".to_owned(),
    }
}

fn parquet(wrapping: Wrapping) -> Result<Format, String> {
    match wrapping.packing {
        None => Ok(Format::Parquet),
        Some(packing) => Err(format!("it is Parquet packed with {packing}, which cannot be read in part")),
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path without the extension that tells of its packing: `a.csv.gz` is `a.csv`.
pub(super) fn unpacked_name(path: &Path) -> &Path {
    let packings = ["gz", "gzip", "zst", "zstd"];
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let is_packed = packings.iter().any(|packing| extension.eq_ignore_ascii_case(packing));
    path.file_stem().filter(|_| is_packed).map_or(path, Path::new)
}

/// The first bytes of the text of a file, without a byte order mark and leading white space.
pub(super) fn first_bytes(path: &AllowedPath) -> Result<(Vec<u8>, Wrapping)> {
    let (start, wrapping) = bytes::start_of(path, SNIFFED)?;
    Ok((start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&start).trim_ascii_start().to_vec(), wrapping))
}

/// What separates the fields of a header line: what stands there most often, a comma if in doubt.
pub(super) fn delimiter(start: &[u8]) -> u8 {
    if let Some(told) = told_delimiter(start) {
        return told;
    }
    let mut found = (b',', 0);
    let counts = [b',', b';', b'\t', b'|'].map(|separator| (separator, fields(start, separator)));
    for (separator, count) in counts {
        if count > found.1 {
            found = (separator, count);
        }
    }
    found.0
}

/// What the first line says of itself, as Excel writes it: `sep=;`.
pub(super) fn told_delimiter(start: &[u8]) -> Option<u8> {
    let line = first_line(start).trim_ascii_end();
    let line = if line.starts_with(b"\"") { line.strip_prefix(b"\"")?.strip_suffix(b"\"")? } else { line };
    match line.split_at_checked(4)? {
        (word, [separator]) if word.eq_ignore_ascii_case(b"sep=") => Some(*separator),
        // The end of the line was taken off.
        (word, []) if word.eq_ignore_ascii_case(b"sep=") => Some(b'\t'),
        _ => None,
    }
}

/// How often the separator stands in the first line, outside quotes.
fn fields(start: &[u8], separator: u8) -> usize {
    let mut quoted = false;
    let mut count = 0;
    for byte in start {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'\n' | b'\r' => break,
            _ => count += usize::from(*byte == separator),
        }
    }
    count
}

/// The format of a file without a telling name, if its first lines are those of a table.
fn separated(start: &[u8]) -> Option<Format> {
    let separator = delimiter(start);
    match separator {
        _ if !is_table(start, separator) => None,
        b'\t' => Some(Format::Tsv),
        _ => Some(Format::Csv),
    }
}

/// A text file that is a table by what the caller says of it, or by its tabs.
fn tabbed(start: &[u8], reading: &Reading) -> Option<Format> {
    let told = reading.is_separated().then_some(Format::Csv);
    told.or_else(|| is_table(start, b'\t').then_some(Format::Tsv))
}

/// Whether the first lines have the same number of separators. Quoted fields may span lines: they are believed.
fn is_table(start: &[u8], separator: u8) -> bool {
    let expected = fields(start, separator);
    let is_cut = start.len() as u64 >= SNIFFED / 2;
    let mut lines: Vec<&[u8]> = start.split(|byte| *byte == b'\n').take(LINES_COMPARED).collect();
    if is_cut || lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let quotes = lines.iter().any(|line| line.contains(&b'"'));
    expected > 0 && (quotes || lines.iter().all(|line| line.is_empty() || fields(line, separator) == expected))
}

/// The bytes before the first line break.
pub(super) fn first_line(start: &[u8]) -> &[u8] {
    start.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Whether an array of objects starts here, and not a line of words in brackets.
fn opens_an_array(start: &[u8]) -> bool {
    let inside = start.get(1..).unwrap_or_default().trim_ascii_start();
    matches!(inside.first(), Some(b'{' | b']'))
}

/// Whether the first line is an object by itself, or longer than what was read of it.
fn starts_with_an_object_line(start: &[u8]) -> bool {
    let line = first_line(start);
    let cut = line.len() == start.len() && start.len() as u64 >= SNIFFED / 2;
    cut || serde_json::from_slice::<Map<String, Value>>(line).is_ok()
}
