//! One row a file: its names, what it is, and its text where it is text.

use std::path::Path;

use serde_json::{Map, Value};

use super::{LONGEST_ROW, Rows};
use crate::error::Result;
use crate::paths::AllowedPath;
use crate::source::bytes;
use crate::source::listing::{ListedFile, Listing};
use crate::source::row::{NOT_UTF8, Note, Row, RowProblem};

/// Enough to know a kind of file by.
const SNIFFED: u64 = 8 * 1024;
const TEXT: &str = "text";
const COLUMNS: [&str; 8] = ["file", "path", "name", "stem", "extension", "bytes", "mime", TEXT];
const PLAIN: &str = "text/plain";

/// Rows of a list of files.
pub(in crate::source) struct FileRows {
    listing: Listing,
    columns: Vec<String>,
    /// How many files were looked at.
    number: usize,
    row: Map<String, Value>,
    note: Note,
}

impl FileRows {
    pub(in crate::source) fn new(listing: Listing) -> Self {
        let columns = COLUMNS.map(str::to_owned).to_vec();
        Self { listing, columns, number: 0, row: Map::new(), note: Note::default() }
    }
}

impl Rows for FileRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        let Some(file) = self.listing.files().get(self.number) else { return Ok(None) };
        self.number += 1;
        self.row = named(file);
        self.note = Note { place: Some(file.name.clone()), absent: None };
        let content = match look(&file.path) {
            Ok(content) => content,
            Err(cause) => return Ok(Some(Err(self.row().problem(None, cause)))),
        };
        self.row.insert("bytes".to_owned(), content.bytes.into());
        self.row.insert("mime".to_owned(), content.mime.into());
        match content.text {
            Ok(text) => drop(self.row.insert(TEXT.to_owned(), text.into())),
            Err(why) => self.note.absent = Some((TEXT, why)),
        }
        Ok(Some(Ok(())))
    }

    fn row(&self) -> Row<'_> {
        Row::object(self.number as u64, None, &self.row).with_note(&self.note)
    }

    fn columns(&self) -> Option<&[String]> {
        Some(&self.columns)
    }

    fn notes(&self) -> Vec<String> {
        self.listing.notes()
    }
}

/// What a file is called.
fn named(file: &ListedFile) -> Map<String, Value> {
    let name = Path::new(&file.name);
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let columns = [
        ("file", file.name.clone()),
        ("path", file.path.to_string()),
        ("name", part(name.file_name())),
        ("stem", part(name.file_stem())),
        ("extension", part(name.extension()).to_ascii_lowercase()),
    ];
    columns.into_iter().map(|(column, text)| (column.to_owned(), text.into())).collect()
}

/// What is in a file.
struct Content {
    bytes: u64,
    mime: String,
    /// Its text, or why there is none.
    text: Result<String, String>,
}

/// Looks at the first bytes, and reads on only if they are text.
fn look(path: &AllowedPath) -> Result<Content, String> {
    let opened = path.open().map_err(|e| e.cause().to_owned())?;
    let bytes = opened.metadata().map_err(|e| e.to_string())?.len();
    let mut start = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(opened, SNIFFED), &mut start).map_err(|e| e.to_string())?;
    let kind = infer::get(&start).map(|kind| kind.mime_type());
    if !may_be_text(&start) {
        let mime = kind.unwrap_or("application/octet-stream");
        return Ok(Content {
            bytes,
            mime: mime.to_owned(),
            text: Err(format!("it is {mime}, not text: send it with attach")),
        });
    }
    let mime = kind.filter(|kind| kind.starts_with("text/")).unwrap_or(PLAIN).to_owned();
    Ok(Content { bytes, mime, text: text(path)? })
}

/// Text is told first by what it is not, as many a word starts like the magic bytes of some format.
fn may_be_text(start: &[u8]) -> bool {
    if let [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] = start {
        return true;
    }
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31);
    let known = || infer::get(start).is_some_and(|kind| !kind.mime_type().starts_with("text/"));
    match std::str::from_utf8(start) {
        _ if start.starts_with(b"%PDF-") || start.iter().any(is_control) => false,
        // A character may be cut in two where the look ends.
        Err(e) if e.error_len().is_some() => !known(),
        _ => true,
    }
}

/// The text of a file, or why it has none.
fn text(path: &AllowedPath) -> Result<Result<String, String>, String> {
    let whole = bytes::whole(path, LONGEST_ROW).map_err(|e| e.cause().to_owned())?;
    Ok(match whole.map(String::from_utf8) {
        Some(Ok(text)) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Some(Err(e)) => {
            let place = bytes::foreign_byte(e.as_bytes(), 0).unwrap_or_default();
            Err(format!("{NOT_UTF8}; {place}"))
        }
        None => Err(format!("it is longer than {} MB", LONGEST_ROW / 1024 / 1024)),
    })
}
