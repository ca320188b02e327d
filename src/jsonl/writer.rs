//! Request lines written to a file, which appears whole or not at all.

use std::io::{BufWriter, Write};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::job::id::hex;
use crate::paths::AllowedPath;

const BUFFER: usize = 256 * 1024;

/// Writes request lines to a temporary file beside the output; [`finish`](Self::finish) moves it there.
///
/// Dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct RequestWriter {
    output: AllowedPath,
    overwrite: bool,
    file: BufWriter<NamedTempFile>,
    sha256: Sha256,
    requests: u64,
    bytes: u64,
}

/// A file of request lines, finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How many lines it has.
    pub requests: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The hash of its content, in hex.
    pub sha256: String,
    /// The very same content was there already, and was left as it is.
    pub unchanged: bool,
}

impl RequestWriter {
    /// Starts a file. Whether one is in the way is decided at the end, when it is known if it differs.
    pub fn create(output: AllowedPath, overwrite: bool) -> Result<Self> {
        let file = BufWriter::with_capacity(BUFFER, output.temporary()?);
        Ok(Self { output, overwrite, file, sha256: Sha256::new(), requests: 0, bytes: 0 })
    }

    /// Adds one request: a complete JSON object, without a line feed.
    pub fn push(&mut self, line: &[u8]) -> Result<()> {
        if memchr::memchr(b'\n', line).is_some() {
            return Err(Error::internal(self.act(), "a request line holds a line feed"));
        }
        for piece in [line, b"\n".as_slice()] {
            self.file.write_all(piece).map_err(|e| Error::io(self.act(), e))?;
            self.sha256.update(piece);
            self.bytes += piece.len() as u64;
        }
        self.requests += 1;
        Ok(())
    }

    /// How many requests were added.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How many bytes were added.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves the file to its place, durably.
    ///
    /// If the same content is there already, it is left alone. If other content is, and overwriting
    /// was not asked for, this fails with [`AlreadyExists`](crate::error::ErrorKind::AlreadyExists).
    pub fn finish(self) -> Result<Written> {
        let act = self.act();
        let sha256 = hex(&self.sha256.finalize());
        let file = self.file.into_inner().map_err(|e| Error::io(act, e.into_error()))?;
        let unchanged = self.output.persist_if_new(file, self.overwrite)?;
        Ok(Written { requests: self.requests, bytes: self.bytes, sha256, unchanged })
    }

    fn act(&self) -> String {
        format!("writing {}", self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::paths::Roots;

    fn folder() -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::new([folder.path().to_owned()]).unwrap();
        (folder, roots)
    }

    fn write(roots: &Roots, line: &str, overwrite: bool) -> Result<Written> {
        let mut writer = RequestWriter::create(roots.writable("out.jsonl").unwrap(), overwrite)?;
        writer.push(line.as_bytes())?;
        writer.finish()
    }

    #[test]
    fn a_finished_file_has_the_lines_and_the_hash_that_were_told() {
        let (folder, roots) = folder();
        let written = write(&roots, "{}", false).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap(), "{}\n");
        assert_eq!((written.requests, written.bytes, written.unchanged), (1, 3, false));
        assert_eq!(written.sha256, hex(&Sha256::digest(b"{}\n")));
    }

    #[test]
    fn the_same_content_again_is_no_conflict_and_other_content_is() {
        let (folder, roots) = folder();
        write(&roots, "{}", false).unwrap();
        assert!(write(&roots, "{}", false).unwrap().unchanged);
        assert_eq!(write(&roots, "[]", false).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap(), "{}\n");
        assert!(!write(&roots, "[]", true).unwrap().unchanged);
        assert_eq!(std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap(), "[]\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files are left");
    }

    #[test]
    fn an_unfinished_file_leaves_nothing_behind() {
        let (folder, roots) = folder();
        let mut writer = RequestWriter::create(roots.writable("out.jsonl").unwrap(), false).unwrap();
        writer.push(b"{}").unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_line_feed_cannot_slip_into_a_line() {
        let (_folder, roots) = folder();
        assert_eq!(write(&roots, "{\n}", false).unwrap_err().kind(), ErrorKind::Internal);
    }
}
