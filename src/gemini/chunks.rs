//! Reading the file for an upload: by position, one chunk ahead, on a thread that may block.
//!
//! Two buffers take turns: one is being sent while the other is being filled.

use std::fs::{File, Metadata};
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// A file that is being sent. It must not change meanwhile.
pub(super) struct Chunks {
    file: Arc<File>,
    act: String,
    pub(super) total: u64,
    modified: Option<SystemTime>,
    /// The chunk that is being read ahead: where it starts, how long it is.
    ahead: Option<(u64, u64, JoinHandle<io::Result<Bytes>>)>,
    /// The chunk that was handed out last: once it is sent its buffer is used again.
    sent: Option<Bytes>,
}

impl Chunks {
    /// The chunks of a file that must be `total` bytes long.
    pub(super) fn new(file: File, total: u64, act: &str) -> Result<Self> {
        let now = metadata(&file, act)?;
        let chunks = Self {
            file: Arc::new(file),
            act: act.to_owned(),
            total,
            modified: now.modified().ok(),
            ahead: None,
            sent: None,
        };
        if total == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, act, "the file is empty").hint("build it first"));
        }
        if now.len() != total { Err(chunks.changed()) } else { Ok(chunks) }
    }

    /// The bytes at `offset`, at most `size` of them; the chunk after them is read meanwhile.
    ///
    /// At the end of the file it is checked that the file is still the one that it was at the start.
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
        let file = Arc::clone(&self.file);
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
        let same = now.len() == self.total && now.modified().ok() == self.modified;
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
