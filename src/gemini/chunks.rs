//! Reading a file, or a part of it, for an upload: by position, one chunk ahead, on a thread that may block.
//!
//! Two buffers take turns: one is being sent while the other is being filled.

use std::fs::{File, Metadata};
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// Some bytes of a file, one after the other.
#[derive(Debug)]
pub struct FileRange {
    /// The file.
    pub file: File,
    /// The first of them, counted from 0.
    pub start: u64,
    /// How many there are.
    pub bytes: u64,
}

impl FileRange {
    /// All bytes of a file.
    pub fn whole(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, start: 0, bytes })
    }
}

/// A range of a file that is being sent. No part of the file may change meanwhile.
pub(super) struct Chunks {
    file: Arc<File>,
    act: String,
    /// Where the range starts in the file. All other offsets are within the range.
    start: u64,
    /// The length of the range.
    pub(super) total: u64,
    /// The length of the file.
    file_bytes: u64,
    modified: Option<SystemTime>,
    /// The chunk that is being read ahead: where it starts, how long it is.
    ahead: Option<(u64, u64, JoinHandle<io::Result<Bytes>>)>,
    /// The chunk that was handed out last: once it is sent its buffer is used again.
    sent: Option<Bytes>,
}

impl Chunks {
    /// The chunks of a range; the file must reach to its end.
    pub(super) fn new(range: FileRange, act: &str) -> Result<Self> {
        let now = metadata(&range.file, act)?;
        let end = range.start.checked_add(range.bytes);
        let chunks = Self {
            file: Arc::new(range.file),
            act: act.to_owned(),
            start: range.start,
            total: range.bytes,
            file_bytes: now.len(),
            modified: now.modified().ok(),
            ahead: None,
            sent: None,
        };
        if range.bytes == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, act, "the file is empty").hint("build it first"));
        }
        if end.is_some_and(|end| end <= now.len()) { Ok(chunks) } else { Err(chunks.changed()) }
    }

    /// The bytes at `offset`, at most `size` of them; the chunk after them is read meanwhile.
    ///
    /// At the end of the range it is checked that the file is still the one that it was at the start.
    pub(super) async fn at(&mut self, offset: u64, size: u64) -> Result<Bytes> {
        let length = size.min(self.total.saturating_sub(offset));
        let reading = match self.ahead.take() {
            Some((from, ready, reading)) if (from, ready) == (offset, length) => reading,
            _ => self.read(offset, length),
        };
        let bytes =
            reading.await.map_err(|e| Error::internal(&self.act, e.to_string()))?.map_err(|e| self.failed(e))?;
        let next = offset + length;
        let next_length = size.min(self.total.saturating_sub(next));
        if next_length > 0 {
            self.ahead = Some((next, next_length, self.read(next, next_length)));
        } else {
            self.check_unchanged()?;
        }
        self.sent = Some(bytes.clone());
        Ok(bytes)
    }

    fn read(&mut self, offset: u64, length: u64) -> JoinHandle<io::Result<Bytes>> {
        let (file, offset) = (Arc::clone(&self.file), self.start + offset);
        let buffer = self.sent.take().and_then(|sent| sent.try_into_mut().ok());
        tokio::task::spawn_blocking(move || {
            let length = usize::try_from(length).map_err(io::Error::other)?;
            let mut bytes = buffer.unwrap_or_default();
            bytes.resize(length, 0);
            read_exact_at(&file, &mut bytes, offset)?;
            Ok(bytes.freeze())
        })
    }

    fn check_unchanged(&self) -> Result<()> {
        let now = metadata(&self.file, &self.act)?;
        let same = now.len() == self.file_bytes && now.modified().ok() == self.modified;
        if same { Ok(()) } else { Err(self.changed()) }
    }

    fn failed(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => Error::io(&self.act, error),
        }
    }

    fn changed(&self) -> Error {
        Error::new(ErrorKind::InvalidInput, &self.act, "the file changed while it was being sent")
            .hint("let no other program write to it, then start again")
    }
}

fn metadata(file: &File, act: &str) -> Result<Metadata> {
    file.metadata().map_err(|e| Error::io(act, e))
}

#[cfg(unix)]
fn read_exact_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !into.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, into, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = into.get_mut(count..).unwrap_or_default();
        offset += count as u64;
    }
    Ok(())
}
