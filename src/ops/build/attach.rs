//! Media that rows bring along: small files go into the request itself, large ones are at the API first.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::counted;
use crate::job::text::{clip, one_line};
use crate::jsonl::validate::MAX_FILE_BYTES;
use crate::ops::checked::modified;
use crate::paths::{AllowedPath, Roots};
use crate::source::media::{HEAD, PDF, file_part, inline_part, mime_of_file, mime_of_name};
use crate::source::{Attachment, Row, RowProblem};

/// Larger files are uploaded: a request file of many copies of them would soon reach its 2 GB.
const INLINE_LIMIT: u64 = 512 * 1024;
/// What one request may hold inline: the API takes 20 MB of it, in base64.
const ROW_LIMIT: u64 = 14 * 1024 * 1024;
/// What the API takes of one PDF (API reference §2.2).
const LARGEST_PDF: u64 = 50 * 1024 * 1024;
/// Rows without media that are named.
const MOST_NAMED: usize = 4;
/// How much of a place is shown in a problem.
const SHOWN: usize = 200;

/// What the caller attaches, and where it may be.
#[derive(Clone)]
pub(super) struct Attach {
    pub(super) rules: Vec<String>,
    pub(super) roots: Roots,
    /// Larger files are uploaded.
    pub(super) inline_limit: u64,
    pub(super) placed: Placed,
    /// A row that brings nothing along makes no request.
    pub(super) is_must: bool,
}

impl Attach {
    /// Nothing is uploaded yet.
    pub(super) fn new(rules: Vec<String>, roots: Roots) -> Self {
        Self { rules, roots, inline_limit: INLINE_LIMIT, placed: Placed::Done(Arc::default()), is_must: false }
    }
}

/// What became of the large files.
#[derive(Clone)]
pub(super) enum Placed {
    /// Nothing was uploaded, as the build cannot succeed.
    Withheld,
    /// Each is at the API, or cannot be there.
    Done(Arc<HashMap<AllowedPath, Result<PlacedFile, String>>>),
}

/// A large file at the API.
#[derive(Debug, Clone)]
pub(super) struct PlacedFile {
    pub(super) uri: String,
    pub(super) expires_at: DateTime<Utc>,
    /// When the file here was last written to, as it was sent.
    pub(super) modified: Option<DateTime<Utc>>,
}

impl Placed {
    /// When the first of the files is dropped by the API.
    pub(super) fn expires(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Withheld => None,
            Self::Done(files) => files.values().flatten().map(|file| file.expires_at).min(),
        }
    }
}

/// A file that goes to the API before the request does.
#[derive(Debug, Clone)]
pub(super) struct Large {
    pub(super) path: AllowedPath,
    pub(super) mime: &'static str,
    pub(super) bytes: u64,
    pub(super) modified: Option<DateTime<Utc>>,
}

/// What a row brings along.
#[derive(Default)]
pub(super) struct RowMedia {
    pub(super) large: Vec<Large>,
    /// Bytes of its other files.
    pub(super) inline_bytes: u64,
    /// Whether it brings anything.
    pub(super) is_any: bool,
}

/// What a place turned out to be.
enum Found {
    Address(Option<&'static str>),
    Small { file: File, bytes: u64, mime: &'static str },
    Large(Large),
}

/// Makes the parts of a request out of what a row attaches.
pub(super) struct Attacher {
    rules: Vec<Attachment>,
    attach: Attach,
    places: Vec<String>,
    bytes: Vec<u8>,
    /// Rows that attach nothing, as the cell is empty, and the first of them.
    without: i64,
    first_without: Vec<u64>,
}

impl Attacher {
    pub(super) fn new(attach: &Attach, columns: Option<&[String]>) -> Result<Self> {
        let rules = attach.rules.iter().map(|rule| Attachment::parse(rule, columns)).collect::<Result<_>>()?;
        Ok(Self {
            rules,
            attach: attach.clone(),
            places: Vec::new(),
            bytes: Vec::new(),
            without: 0,
            first_without: Vec::new(),
        })
    }

    /// What is to be known of rows without media.
    pub(super) fn without_told(&self) -> Option<String> {
        let first: Vec<_> = self.first_without.iter().map(u64::to_string).collect();
        let rows = if self.without == 1 { "row" } else { "rows" };
        let more = if self.without > first.len() as i64 { ", …" } else { "" };
        (self.without > 0).then(|| {
            format!(
                "{} without anything to attach ({rows} {}{more}): the cell is empty, and the request has text only; on_bad_row: \"skip\" \
                 leaves such rows out",
                counted(self.without, "row"),
                first.join(", ")
            )
        })
    }

    /// Whether rows may have media at all.
    pub(super) fn is_asked(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Appends the row's media as parts, separated by commas.
    pub(super) fn parts(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<(), RowProblem> {
        self.find(row)?;
        if self.places.is_empty() && self.is_asked() {
            self.without += 1;
            if self.first_without.len() < MOST_NAMED {
                self.first_without.push(row.number());
            }
        }
        let mut inline_bytes = 0;
        for (at, place) in self.places.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let found = look(&self.attach, place, inline_bytes, &mut self.bytes);
            let done = found.and_then(|found| match found {
                Found::Address(mime) => {
                    file_part(place, mime, out);
                    Ok(())
                }
                Found::Small { file, bytes, mime } => {
                    inline_bytes += bytes;
                    inline(file, bytes, mime, &mut self.bytes, out)
                }
                Found::Large(large) => refer(&self.attach.placed, &large, out),
            });
            done.map_err(|cause| problem(row, place, &cause))?;
        }
        Ok(())
    }

    /// What the row brings along. Fails as [`parts`](Self::parts) does.
    pub(super) fn media(&mut self, row: &Row<'_>) -> Result<RowMedia, RowProblem> {
        self.find(row)?;
        let mut media = RowMedia { is_any: !self.places.is_empty(), ..RowMedia::default() };
        for place in &self.places {
            let found = look(&self.attach, place, media.inline_bytes, &mut self.bytes);
            match found.map_err(|cause| problem(row, place, &cause))? {
                Found::Large(file) => media.large.push(file),
                Found::Small { bytes, .. } => media.inline_bytes += bytes,
                Found::Address(_) => {}
            }
        }
        Ok(media)
    }

    fn find(&mut self, row: &Row<'_>) -> Result<(), RowProblem> {
        self.places.clear();
        self.rules.iter().try_for_each(|rule| rule.places(row, &mut self.places))?;
        match self.attach.is_must && self.is_asked() && self.places.is_empty() {
            true => Err(row.problem(None, format!("nothing to attach: {} is empty", self.attach.rules.join(" and ")))),
            false => Ok(()),
        }
    }

    /// Fails where the lines were made without the large files: they must not be used then.
    pub(super) fn refuse_withheld(&self) -> Result<()> {
        match self.attach.placed {
            Placed::Done(_) => Ok(()),
            Placed::Withheld => Err(Error::new(
                ErrorKind::InvalidInput,
                "building requests",
                "the source or the attached files were changed while they were being read",
            )
            .hint("make the same call again")),
        }
    }
}

fn problem(row: &Row<'_>, place: &str, cause: &str) -> RowProblem {
    row.problem(None, format!("cannot attach {}: {cause}", one_line(&clip(place, SHOWN))))
}

/// What stands at a place, in a row that has so many bytes inline already. The start of a file is left in `head`.
fn look(attach: &Attach, place: &str, inline_bytes: u64, head: &mut Vec<u8>) -> Result<Found, String> {
    if place.contains("://") && !place.starts_with("file://") {
        return address(place).map(Found::Address);
    }
    let path = attach.roots.existing(place).map_err(|e| e.cause().to_owned())?;
    let mut file = path.open().map_err(|e| e.cause().to_owned())?;
    let bytes = file.metadata().map_err(|e| e.to_string())?.len();
    if bytes == 0 {
        return Err("the file is empty".to_owned());
    }
    head.clear();
    (&mut file).take(HEAD as u64).read_to_end(head).map_err(|e| e.to_string())?;
    let mime = mime_of_file(path.as_path(), head)?;
    let (limit, shown) = if mime == PDF { (LARGEST_PDF, "50 MB of a PDF") } else { (MAX_FILE_BYTES, "2 GB of a file") };
    if bytes > limit {
        return Err(format!("it has {} MB, Gemini takes {shown}", bytes / 1024 / 1024));
    }
    if bytes <= attach.inline_limit && inline_bytes + bytes <= ROW_LIMIT {
        return Ok(Found::Small { file, bytes, mime });
    }
    let modified = modified(&file);
    Ok(Found::Large(Large { path, mime, bytes, modified }))
}

/// The type that an address ends in. What is behind it, the API will see.
fn address(place: &str) -> Result<Option<&'static str>, String> {
    if place.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("an address holds no spaces".to_owned());
    }
    let path = match (place.strip_prefix("https://"), place.strip_prefix("gs://")) {
        (Some(rest), _) | (_, Some(rest)) => rest.split(['?', '#']).next().unwrap_or_default(),
        _ => return Err("only https:// and gs:// addresses can be sent along".to_owned()),
    };
    // The host is no file: example.md is not Markdown.
    Ok(path.split_once('/').and_then(|(_, path)| mime_of_name(Path::new(path))))
}

/// Writes a whole file whose start was read.
fn inline(mut file: File, size: u64, mime: &str, bytes: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), String> {
    (&mut file).take(INLINE_LIMIT).read_to_end(bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 != size {
        return Err("the file changed while it was being read".to_owned());
    }
    inline_part(mime, bytes, out);
    Ok(())
}

/// Writes a reference to a file at the API.
fn refer(placed: &Placed, large: &Large, out: &mut Vec<u8>) -> Result<(), String> {
    let changed = || "the file changed while it was being sent".to_owned();
    let Placed::Done(files) = placed else {
        // This line is never written: it only shows whether everything else is well.
        file_part("withheld", Some(large.mime), out);
        return Ok(());
    };
    let file = files.get(&large.path).ok_or_else(changed)?.as_ref().map_err(Clone::clone)?;
    if file.modified != large.modified {
        return Err(changed());
    }
    file_part(&file.uri, Some(large.mime), out);
    Ok(())
}

/// A request line for a person to read: nobody reads base64.
pub(super) fn without_media(line: &[u8]) -> String {
    const DATA: &str = "\"data\":\"";
    const READABLE: usize = 8;
    let line = String::from_utf8_lossy(line);
    let mut shown = String::new();
    let mut rest = &*line;
    while let Some((before, after)) = rest.split_once(DATA) {
        let (data, after) = after.split_at(after.find('"').unwrap_or(after.len()));
        shown.push_str(before);
        shown.push_str(DATA);
        if data.len() > READABLE {
            shown.push_str(&format!("… {} bytes …", data.len() / 4 * 3));
        } else {
            shown.push_str(data);
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}
