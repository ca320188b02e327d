//! A file as the text in it: unpacked and decoded while it is read, whatever its name says.
//!
//! gzip, zstd and UTF-16 are told by their first bytes. What comes out is UTF-8 if the file is text at all; a UTF-8
//! byte order mark is left to the readers of rows, so that places in the text are places in the file.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::damage::{Damage, failed};
use super::utf16::Utf16;
use crate::error::Result;
use crate::paths::AllowedPath;

const BLOCK: usize = 128 * 1024;
/// Enough to know a packing or an encoding by.
const MAGIC: u64 = 4;

/// The text of a file, as a stream.
pub(super) struct Text {
    stream: Box<dyn Read + Send>,
    /// What was taken off to get at it.
    pub(super) wrapping: Wrapping,
}

/// What the text of a file is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrapping {
    pub(super) packing: Option<&'static str>,
    pub(super) encoding: Option<&'static str>,
}

impl Wrapping {
    /// As it is told: `UTF-16`, `gzip`.
    pub(super) fn words(self) -> Vec<String> {
        [self.encoding, self.packing].into_iter().flatten().map(str::to_owned).collect()
    }
}

impl Text {
    /// Opens a file and looks at its first bytes.
    pub(super) fn open(path: &AllowedPath) -> Result<Self> {
        let file = path.open()?;
        let unwrapped = Watched::new(file).and_then(unpacked).and_then(|(stream, packing)| decoded(stream, packing));
        unwrapped.map_err(|e| failed(format!("reading {path}"), e))
    }
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

/// The first bytes of the text of a file, and what they were wrapped in.
pub(super) fn start_of(path: &AllowedPath, length: u64) -> Result<(Vec<u8>, Wrapping)> {
    let text = Text::open(path)?;
    let wrapping = text.wrapping;
    let mut start = Vec::new();
    let read = text.take(length).read_to_end(&mut start);
    read.map_err(|e| failed(format!("reading {path}"), e))?;
    Ok((start, wrapping))
}

/// All text of a file that is not longer than `most` bytes.
pub(super) fn whole(path: &AllowedPath, most: usize) -> Result<Option<Vec<u8>>> {
    let (text, _) = start_of(path, most as u64 + 1)?;
    Ok((text.len() <= most).then_some(text))
}

/// Where the first byte stands that is not UTF-8: `byte 0xE9 at offset 17`.
pub(super) fn foreign_byte(text: &[u8], offset: u64) -> Option<String> {
    let at = std::str::from_utf8(text).err()?.valid_up_to();
    let byte = text.get(at)?;
    Some(format!("byte 0x{byte:02X} at offset {}", offset + at as u64))
}

fn unpacked(mut file: Watched) -> io::Result<(Box<dyn Read + Send>, Option<&'static str>)> {
    let magic = first(&mut file)?;
    let packed = Cursor::new(magic.clone()).chain(file);
    Ok(match magic.as_slice() {
        [0x1F, 0x8B, ..] => {
            let plain = MultiGzDecoder::new(BufReader::with_capacity(BLOCK, packed));
            (Box::new(Unpacked { plain, packing: "gzip", length: 0 }), Some("gzip"))
        }
        // A frame, or one of those that are to be passed over, with which pzstd starts.
        [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18] => {
            let plain = zstd::stream::read::Decoder::new(packed)?;
            (Box::new(Unpacked { plain, packing: "zstd", length: 0 }), Some("zstd"))
        }
        _ => (Box::new(packed), None),
    })
}

fn decoded(mut stream: Box<dyn Read + Send>, packing: Option<&'static str>) -> io::Result<Text> {
    let start = first(&mut stream)?;
    let wrapping = |encoding| Wrapping { packing, encoding };
    let refused = |cause: &str| Err(Damage::new(cause, "save the file as UTF-8").into());
    let utf16 = |encoding, start: Vec<u8>, stream: Box<dyn Read + Send>| {
        let raw = Cursor::new(start.get(2..).unwrap_or_default().to_vec()).chain(stream);
        Ok(Text { stream: Box::new(Utf16::new(raw, encoding, 2)), wrapping: wrapping(Some("UTF-16")) })
    };
    match start.as_slice() {
        [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] => refused("it is UTF-32 text, which is not read"),
        [0xFF, 0xFE, ..] => utf16(encoding_rs::UTF_16LE, start, stream),
        [0xFE, 0xFF, ..] => utf16(encoding_rs::UTF_16BE, start, stream),
        [1..=0x7F, 0, 1..=0x7F, 0] | [0, 1..=0x7F, 0, 1..=0x7F] => {
            refused("it looks like UTF-16 text without the byte order mark that tells how to read it")
        }
        _ => Ok(Text { stream: Box::new(Cursor::new(start).chain(stream)), wrapping: wrapping(None) }),
    }
}

/// The first bytes of a stream, fewer if it is shorter.
fn first(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    stream.take(MAGIC).read_to_end(&mut start)?;
    Ok(start)
}

/// A file that has to stay as it is until its end was read.
struct Watched {
    file: File,
    opened: Metadata,
}

impl Watched {
    fn new(file: File) -> io::Result<Self> {
        Ok(Self { opened: file.metadata()?, file })
    }
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into)?;
        if count == 0 && !into.is_empty() {
            let now = self.file.metadata()?;
            if now.len() != self.opened.len() || now.modified().ok() != self.opened.modified().ok() {
                return Err(Damage::new(
                    format!(
                        "the file changed while it was read: it had {} bytes, now {}",
                        self.opened.len(),
                        now.len()
                    ),
                    "wait until it is written, then call again",
                )
                .into());
            }
        }
        Ok(count)
    }
}

/// What a decoder gives, its failures told with their place.
struct Unpacked<R> {
    plain: R,
    packing: &'static str,
    length: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(into).map_err(|e| self.told(e))?;
        self.length += count as u64;
        Ok(count)
    }
}

impl<R> Unpacked<R> {
    fn told(&self, error: io::Error) -> io::Error {
        let is_the_disk = error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted;
        if is_the_disk || Damage::of(&error).is_some() {
            return error;
        }
        let (packing, length) = (self.packing, self.length);
        let cause = if error.kind() == io::ErrorKind::UnexpectedEof {
            format!("the {packing} data breaks off after {length} bytes of text: the file is half-written")
        } else {
            format!("the {packing} data is damaged after {length} bytes of text: {error}")
        };
        Damage::new(cause, "make or copy the file again").into()
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Text").field("wrapping", &self.wrapping).finish_non_exhaustive()
    }
}
