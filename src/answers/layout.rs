//! What a format of answers is, to whoever writes them.

use std::io::{self, BufWriter};

use tempfile::NamedTempFile;

use super::record::Record;

/// Bytes that are kept before they are written.
pub(super) const BUFFER: usize = 128 * 1024;

/// The temporary file.
pub(super) type Sink = BufWriter<NamedTempFile>;

/// What a format has to do.
pub(super) trait Layout: Send {
    /// Writes one record.
    fn write(&mut self, record: &Record<'_>) -> io::Result<()>;
    /// Writes what comes after the last record.
    fn finish(self: Box<Self>) -> io::Result<Finished>;
    /// Columns that had to be named otherwise: the name meant and the name given.
    fn renamed(&self) -> &[(String, String)] {
        &[]
    }
}

/// A file that is whole, and not yet in its place.
pub(super) struct Finished {
    pub(super) sink: Sink,
    /// One more file that belongs to it, and what its name ends in.
    pub(super) beside: Option<(&'static str, NamedTempFile)>,
    /// Things to know.
    pub(super) warnings: Vec<String>,
}

impl From<Sink> for Finished {
    fn from(sink: Sink) -> Self {
        Self { sink, beside: None, warnings: Vec::new() }
    }
}
