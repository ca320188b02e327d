//! Pictures and sounds in answers, as files of a folder.
//!
//! The folder is made when the first one comes. `media.jsonl` in it says which file is of which key; files that
//! earlier calls wrote stay there, and keep their names.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use base64::engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_PAD_INDIFFERENT};
use base64::read::DecoderReader;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::answer::Media;
use super::layout::BUFFER;
use super::media_name::Names;
use super::sound::Pcm;
use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::counted;
use crate::job::text::{clip, one_line};
use crate::jsonl::keys::KeySet;
use crate::paths::{AllowedFolder, AllowedPath};

const MANIFEST: &str = "media.jsonl";
/// Enough of a file to tell what it is.
const SNIFFED: usize = 8 * 1024;
const NAMED: usize = 3;

/// A folder that pictures and sounds are written to.
pub struct MediaFolder {
    folder: AllowedFolder,
    /// What stands before a file's name in the answers.
    prefix: String,
    overwrite: bool,
    names: Names,
    open: Option<Open>,
    unreadable: Vec<String>,
    unread: i64,
}

/// What is known once the folder is there.
struct Open {
    manifest: BufWriter<NamedTempFile>,
    target: AllowedPath,
    /// The files that this call wrote.
    written: KeySet,
    count: u64,
}

/// The pictures and sounds that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Their folder.
    pub folder: String,
    /// How many.
    pub count: u64,
    /// Things to know.
    pub warnings: Vec<String>,
}

/// A line of the manifest.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: String,
    file: String,
    #[serde(rename = "mime_type")]
    mime: String,
    bytes: u64,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

impl MediaFolder {
    /// Files go to `folder`; answers in `beside` name them by the way from there, if there is a short one.
    pub fn new(folder: AllowedFolder, beside: &AllowedPath, overwrite: bool) -> Self {
        let base = beside.as_path().parent();
        let way = base.and_then(|base| folder.as_path().strip_prefix(base).ok()).unwrap_or(folder.as_path());
        let way = way.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        let prefix = if way.is_empty() { way } else { way + "/" };
        let (names, unreadable) = (Names::default(), Vec::new());
        Self { folder, prefix, overwrite, names, open: None, unreadable, unread: 0 }
    }

    /// Writes the media of one answer; the path of each file, none for what cannot be decoded.
    pub(super) fn save(&mut self, key: &str, media: &[Media<'_>]) -> Result<Vec<Option<String>>> {
        if self.open.is_none() {
            self.open = Some(self.open()?);
        }
        media.iter().zip(1..).map(|(media, number)| self.save_one(key, number, media)).collect()
    }

    /// Writes the manifest.
    pub(super) fn finish(self) -> Result<Saved> {
        let mut saved = Saved { folder: self.folder.to_string(), count: 0, warnings: Vec::new() };
        if self.unread > 0 {
            let (count, keys) = (counted(self.unread, "picture or sound"), self.unreadable.join(", "));
            saved.warnings.push(format!("{count} could not be decoded ({keys}); format raw has them as they came"));
        }
        if let Some(open) = self.open {
            saved.count = open.count;
            let failed = |e| Error::io(format!("writing {}", open.target), e);
            let manifest = with_earlier(open.manifest, &open.target, &open.written).map_err(failed)?;
            open.target.persist_if_new(manifest, true)?;
        }
        Ok(saved)
    }

    /// Makes the folder, and learns which files in it are of which key.
    fn open(&mut self) -> Result<Open> {
        self.folder.create()?;
        let target = self.folder.file(MANIFEST)?;
        if target.exists() {
            for line in earlier(&target)? {
                let line = line.map_err(|e| Error::io(format!("reading {target}"), e))?;
                let entry = serde_json::from_str::<Entry>(&line).map_err(|_| {
                    Error::new(ErrorKind::AlreadyExists, format!("writing {target}"), "a file of that name exists")
                        .hint("it is not of this program's: choose another media_dir")
                })?;
                self.names.note(&entry.file, &entry.key);
            }
        }
        let manifest = BufWriter::with_capacity(BUFFER, target.temporary()?);
        Ok(Open { manifest, target, written: KeySet::new(), count: 0 })
    }

    fn save_one(&mut self, key: &str, number: usize, media: &Media<'_>) -> Result<Option<String>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let act = || format!("writing the media of {key:?} to {}", self.folder);
        let mut temporary = open.target.temporary()?;
        let found = match decode(media, &mut temporary) {
            Ok(found) => found,
            Err(Failure::Base64) => {
                self.unread += 1;
                if self.unreadable.len() < NAMED {
                    self.unreadable.push(one_line(&clip(key, 100)));
                }
                return Ok(None);
            }
            Err(Failure::Io(e)) => return Err(Error::io(act(), e)),
        };
        let file = self.names.name(key, number, found.extension);
        let size = imagesize::size(temporary.path()).ok();
        let entry = Entry {
            key: key.to_owned(),
            file: file.clone(),
            mime: found.mime,
            bytes: found.bytes,
            sha256: found.sha256,
            width: size.map(|size| size.width),
            height: size.map(|size| size.height),
            seconds: found.seconds,
        };
        // Whoever lets answers be replaced does not mean the pictures that were asked about.
        let is_ours = self.names.is_noted(&file);
        let target = self.folder.file(&file)?;
        target.persist_if_new(temporary, self.overwrite && is_ours).map_err(|e| match (e.kind(), is_ours) {
            (ErrorKind::AlreadyExists, false) => {
                e.hint("that file is not of these answers, and is not replaced: name another media_dir")
            }
            _ => e,
        })?;
        open.written.insert(file.as_bytes());
        open.count += 1;
        let line = serde_json::to_string(&entry).unwrap_or_default();
        writeln!(open.manifest, "{line}").map_err(|e| Error::io(act(), e))?;
        Ok(Some(format!("{}{file}", self.prefix)))
    }
}

/// The lines of the manifest that is there.
fn earlier(manifest: &AllowedPath) -> Result<io::Lines<BufReader<std::fs::File>>> {
    Ok(BufReader::new(manifest.open()?).lines())
}

/// The manifest, with the lines of the one before for files that were not written now.
fn with_earlier(
    mut manifest: BufWriter<NamedTempFile>,
    before: &AllowedPath,
    written: &KeySet,
) -> io::Result<NamedTempFile> {
    if before.exists() {
        for line in earlier(before).map_err(io::Error::other)? {
            let line = line?;
            let is_gone = |entry: Entry| written.contains(entry.file.as_bytes());
            if !serde_json::from_str(&line).is_ok_and(is_gone) {
                writeln!(manifest, "{line}")?;
            }
        }
    }
    manifest.into_inner().map_err(io::IntoInnerError::into_error)
}

/// What was decoded.
struct Found {
    extension: &'static str,
    mime: String,
    bytes: u64,
    sha256: String,
    seconds: Option<f64>,
}

enum Failure {
    Base64,
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Decodes base64 into a file, block by block. Bare samples get the header that makes them a sound.
fn decode(media: &Media<'_>, file: &mut NamedTempFile) -> Result<Found, Failure> {
    let text = media.base64.as_bytes();
    let engine =
        if memchr::memchr2(b'-', b'_', text).is_some() { URL_SAFE_PAD_INDIFFERENT } else { STANDARD_PAD_INDIFFERENT };
    let mut decoded = DecoderReader::new(text, &engine);
    let mut block = vec![0; BUFFER];
    let mut length = fill(&mut decoded, &mut block)?;
    let start = block.get(..length.min(SNIFFED)).unwrap_or_default();
    let known = infer::get(start);
    let pcm = Pcm::of_mime(&media.mime).filter(|_| known.is_none_or(|known| !known.mime_type().starts_with("audio/")));
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    let mut put = |part: &[u8]| {
        hasher.update(part);
        bytes += part.len() as u64;
        file.write_all(part)
    };
    if let Some(pcm) = pcm {
        put(&pcm.wav_header(u32::try_from(media.bytes).unwrap_or(u32::MAX)))?;
    }
    while length > 0 {
        put(block.get(..length).unwrap_or_default())?;
        length = fill(&mut decoded, &mut block)?;
    }
    if pcm.is_some() && media.bytes % 2 == 1 {
        put(&[0])?;
    }
    let (extension, mime) = match (pcm, known) {
        (Some(_), _) => ("wav", "audio/wav"),
        (None, Some(known)) => (known.extension(), known.mime_type()),
        (None, None) => (extension_of(&media.mime), media.mime.as_ref()),
    };
    let seconds = pcm.map(|pcm| pcm.seconds(media.bytes));
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Found { extension, mime: mime.to_owned(), bytes, sha256, seconds })
}

fn fill(decoded: &mut impl Read, block: &mut [u8]) -> Result<usize, Failure> {
    let mut filled = 0;
    while let Some(room) = block.get_mut(filled..).filter(|room| !room.is_empty()) {
        // Reading from memory: all that can fail is the decoding.
        match decoded.read(room).map_err(|_| Failure::Base64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// The extension for content that its first bytes do not tell.
fn extension_of(mime: &str) -> &'static str {
    match mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "image/svg+xml" => "svg",
        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/flac" => "flac",
        "audio/aac" => "aac",
        "video/mp4" => "mp4",
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        mime if mime.starts_with("text/") => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests;
