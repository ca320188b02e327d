//! Framing: a byte stream cut into lines.

use std::io::{self, Read};

const BLOCK: usize = 256 * 1024;

/// One line, without its terminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// Where the line starts in the stream, in bytes.
    pub offset: u64,
    /// The bytes of the line: no `\n`, no `\r` before it, no byte order mark at the start of the stream.
    pub bytes: &'a [u8],
}

impl Line<'_> {
    /// Whether there is nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

/// The lines of bytes that are in memory already, numbered from 1.
#[derive(Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
    offset: u64,
    at_start: bool,
}

impl<'a> Lines<'a> {
    /// Cuts `bytes` into lines. A byte order mark is taken off only `at_start` of a file.
    pub fn new(bytes: &'a [u8], at_start: bool) -> Self {
        Self { rest: bytes, number: 0, offset: 0, at_start }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let length = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (raw, rest) = self.rest.split_at(length);
        let offset = self.offset;
        self.rest = rest;
        self.number += 1;
        self.offset += length as u64;
        let bytes = content(raw, self.at_start && self.number == 1);
        Some(Line { number: self.number, offset, bytes })
    }
}

/// A line without its terminator and, if it is the first of a file, its byte order mark.
fn content(raw: &[u8], first: bool) -> &[u8] {
    let bytes = raw.strip_suffix(b"\n").map_or(raw, |line| line.strip_suffix(b"\r").unwrap_or(line));
    if first { bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes) } else { bytes }
}

/// Cuts a stream into lines.
///
/// Is responsible for: lines that span blocks, `\r\n`, a last line without `\n`, a byte order mark
/// at the start. Holds one block or the longest line, whichever is larger.
#[derive(Debug)]
pub struct LineReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// The unread part of `buffer` is `start..end`.
    start: usize,
    end: usize,
    number: u64,
    /// Stream offset of `buffer[start]`.
    offset: u64,
    at_end: bool,
}

impl<R: Read> LineReader<R> {
    /// Reads lines from `source`. It is read in large blocks: no buffering is needed below.
    pub fn new(source: R) -> Self {
        Self { source, buffer: vec![0; BLOCK], start: 0, end: 0, number: 0, offset: 0, at_end: false }
    }

    /// What the lines are read from.
    pub(crate) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// Where the next line starts, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line, or `None` at the end of the stream.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = 0;
        let length = loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
            let fresh = unread.get(searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', fresh) {
                break searched + at + 1;
            }
            searched = unread.len();
            if self.at_end {
                if searched == 0 {
                    return Ok(None);
                }
                break searched;
            }
            self.fill()?;
        };
        let number = self.number + 1;
        let offset = self.offset;
        let from = self.start;
        self.start += length;
        self.number = number;
        self.offset += length as u64;

        let raw = self.buffer.get(from..from + length).unwrap_or_default();
        Ok(Some(Line { number, offset, bytes: content(raw, number == 1) }))
    }

    /// Makes room and reads one more block behind the unread bytes.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.source.read(room) {
                Ok(0) => self.at_end = true,
                Ok(count) => self.end += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out at most `step` bytes a read.
    struct Drip<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(into.len()).min(self.bytes.len());
            let (now, rest) = self.bytes.split_at(count);
            into[..count].copy_from_slice(now);
            self.bytes = rest;
            Ok(count)
        }
    }

    fn lines(bytes: &[u8], step: usize) -> Vec<(u64, u64, Vec<u8>)> {
        let mut reader = LineReader::new(Drip { bytes, step });
        let mut all = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            all.push((line.number, line.offset, line.bytes.to_vec()));
        }
        all
    }

    #[test]
    fn terminators_and_a_byte_order_mark_are_not_part_of_a_line() {
        let found = lines(b"\xEF\xBB\xBFa\r\nb\n\nc", 100);
        let expected = vec![(1, 0, b"a".to_vec()), (2, 6, b"b".to_vec()), (3, 8, b"".to_vec()), (4, 9, b"c".to_vec())];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_larger_than_a_block_is_whole() {
        let long = vec![b'x'; BLOCK * 3 + 7];
        let found = lines(&[long.as_slice(), b"\nend"].concat(), usize::MAX);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].2, long);
        assert_eq!(found[1].2, b"end");
    }

    proptest! {
        #[test]
        fn splitting_the_stream_anywhere_changes_nothing(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300),
            step in 1usize..40,
        ) {
            let whole: Vec<_> =
                Lines::new(&bytes, true).map(|line| (line.number, line.offset, line.bytes.to_vec())).collect();
            prop_assert_eq!(lines(&bytes, step), whole);
        }
    }
}
