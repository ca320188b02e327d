//! Reading lines out of result files by place, cheaply when the places follow each other.

use std::fs::File;
use std::io;

/// How much is read at once while the places follow each other.
const AHEAD: usize = 256 * 1024;

/// A stretch of one file, held in memory.
///
/// Result lines come back mostly in the order in which they were asked for. Then one read serves
/// hundreds of lines; in any other order each line is read alone, and nothing is read in vain.
#[derive(Debug, Default)]
pub struct Window {
    bytes: Vec<u8>,
    file: usize,
    start: u64,
    /// Where the last line ended.
    last_end: u64,
}

impl Window {
    /// A window that shows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The `length` bytes at `offset` of the file of this number.
    pub(super) fn bytes_at(&mut self, number: usize, file: &File, offset: u64, length: usize) -> io::Result<&[u8]> {
        if !self.holds(number, offset, length) {
            let near = number == self.file && (self.last_end..=self.last_end + AHEAD as u64).contains(&offset);
            self.load(number, file, offset, if near { length.max(AHEAD) } else { length })?;
        }
        self.last_end = offset + length as u64;
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        self.bytes.get(from..).and_then(|rest| rest.get(..length)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn holds(&self, number: usize, offset: u64, length: usize) -> bool {
        let end = self.start + self.bytes.len() as u64;
        number == self.file && offset >= self.start && offset + length as u64 <= end
    }

    fn load(&mut self, number: usize, file: &File, offset: u64, length: usize) -> io::Result<()> {
        self.file = number;
        self.start = offset;
        self.bytes.resize(length, 0);
        let read = fill_at(file, &mut self.bytes, offset);
        // After an error nothing is held.
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop)
    }
}

/// A file read from its start, whatever its cursor is and does.
#[derive(Debug)]
pub(super) struct FromStart {
    file: File,
    offset: u64,
}

impl FromStart {
    /// Reads this file.
    pub(super) fn new(file: File) -> Self {
        Self { file, offset: 0 }
    }
}

impl io::Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = read_at(&self.file, buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// Reads until the buffer is full or the file ends; returns how much was read.
pub(super) fn fill_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match read_at(file, room, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
