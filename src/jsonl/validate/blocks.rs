//! A file in blocks of whole lines, hashed on the way.

use std::fs::File;
use std::io::Read;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::job::id::hex;
use crate::paths::AllowedPath;

/// How much is read at a time. Large enough to make handing it to a thread cheap.
const BLOCK: usize = 1 << 20;
/// A longer line is no request: the API takes less than 100 MB of one with all its media (API reference §6). What
/// is no text at all is found out before it fills the memory.
const LONGEST_LINE: usize = 128 << 20;

/// Whole lines.
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// Whether the file starts here.
    pub(super) first: bool,
}

impl Block {
    /// Whether one line made it far larger than the others.
    pub(super) fn is_oversized(&self) -> bool {
        self.bytes.len() > 4 * BLOCK
    }
}

/// Reads a file block by block.
pub(super) struct Blocks {
    file: File,
    act: String,
    sha256: Sha256,
    /// The start of a line whose end was not read yet.
    rest: Vec<u8>,
    spare: Vec<Vec<u8>>,
    /// The size of the file when it was opened.
    pub(super) size: u64,
    /// How many bytes were read.
    pub(super) read: u64,
    first: bool,
}

impl Blocks {
    pub(super) fn open(path: &AllowedPath) -> Result<Self> {
        let file = path.open()?;
        let act = format!("reading {path}");
        let size = file.metadata().map_err(|e| Error::io(&act, e))?.len();
        let (sha256, rest, spare) = (Sha256::new(), Vec::new(), Vec::new());
        Ok(Self { file, act, sha256, rest, spare, size, read: 0, first: true })
    }

    /// Whether one block holds the file.
    pub(super) fn is_small(&self) -> bool {
        self.size <= BLOCK as u64
    }

    /// The next block; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Block>> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.append(&mut self.rest);
        loop {
            let from = bytes.len();
            if !self.read_more(&mut bytes)? {
                break;
            }
            let fresh = bytes.get(from..).unwrap_or_default();
            if let Some(at) = memchr::memrchr(b'\n', fresh) {
                self.rest.extend_from_slice(fresh.get(at + 1..).unwrap_or_default());
                bytes.truncate(from + at + 1);
                break;
            }
            if bytes.len() > LONGEST_LINE {
                return Err(self.no_lines());
            }
        }
        let first = std::mem::replace(&mut self.first, false);
        Ok((!bytes.is_empty()).then_some(Block { bytes, first }))
    }

    /// Takes a block back for its memory.
    pub(super) fn recycle(&mut self, block: Block) {
        if !block.is_oversized() && self.spare.len() < 2 * super::MAX_THREADS {
            let mut bytes = block.bytes;
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    /// The hash of all that was read.
    pub(super) fn sha256(self) -> String {
        hex(&self.sha256.finalize())
    }

    fn no_lines(&self) -> Error {
        let cause = format!("it has a line of more than {} MB, and no request is as long", LONGEST_LINE >> 20);
        Error::new(ErrorKind::InvalidInput, &self.act, cause).hint(
            "a request file has one JSON object a line, with line ends between them; build_jsonl writes such files",
        )
    }

    /// Reads one more piece; `false` at the end of the file.
    fn read_more(&mut self, bytes: &mut Vec<u8>) -> Result<bool> {
        let from = bytes.len();
        bytes.reserve(BLOCK);
        let count = (&mut self.file).take(BLOCK as u64).read_to_end(bytes).map_err(|e| Error::io(&self.act, e))?;
        self.sha256.update(bytes.get(from..).unwrap_or_default());
        self.read += count as u64;
        Ok(count > 0)
    }
}
