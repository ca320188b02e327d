//! One JSON array of objects, read element by element.
//!
//! The array is never held: its elements are cut out by counting brackets outside strings, and each
//! is then parsed by itself. So a bad element is one bad row, and only broken brackets end the reading.

use std::io::Read;

use super::object::Objects;
use super::{LONGEST_ROW, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;
use crate::source::bytes::{Text, Wrapping};
use crate::source::damage::failed_in_row;
use crate::source::row::{Row, RowProblem};

const BLOCK: usize = 256 * 1024;

/// Rows of a JSON file.
pub(in crate::source) struct JsonRows {
    elements: Elements<Text>,
    act: String,
    wrapping: Wrapping,
    objects: Objects,
}

impl JsonRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        let text = Text::open(path)?;
        let wrapping = text.wrapping;
        let elements = Elements::new(text);
        Ok(Self { elements, act: format!("reading {path}"), wrapping, objects: Objects::default() })
    }

    fn broken(&self, broken: Broken) -> Error {
        let act = self.act.clone();
        match broken {
            Broken::Reading(e) => failed_in_row(act, self.objects.next_number(), e),
            Broken::Array { line, cause } => Error::new(ErrorKind::InvalidInput, act, format!("line {line}: {cause}"))
                .hint("the file has to be one JSON array of objects: [{…}, {…}]"),
        }
    }
}

impl Rows for JsonRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        match self.elements.next() {
            Ok(None) => Ok(None),
            Ok(Some(Element { line, offset, bytes })) => Ok(Some(self.objects.take(line, offset, bytes))),
            Err(broken) => Err(self.broken(broken)),
        }
    }

    fn row(&self) -> Row<'_> {
        self.objects.row()
    }

    fn details(&self) -> Vec<String> {
        self.wrapping.words()
    }

    fn notes(&self) -> Vec<String> {
        self.objects.note().into_iter().collect()
    }
}

/// One element of an array, and where it starts.
struct Element<'a> {
    line: u64,
    offset: u64,
    bytes: &'a [u8],
}

/// Why no further element can be found.
#[derive(Debug)]
enum Broken {
    Reading(std::io::Error),
    Array { line: u64, cause: String },
}

/// Cuts an array into its elements.
struct Elements<R> {
    source: R,
    buffer: Vec<u8>,
    /// The unread part of `buffer` is `start..end`.
    start: usize,
    end: usize,
    line: u64,
    /// Where in the text `start` is.
    offset: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Unopened,
    /// Between `[` and the first element.
    Opened,
    Inside,
    Closed,
}

impl<R: Read> Elements<R> {
    fn new(source: R) -> Self {
        Self { source, buffer: vec![0; BLOCK], start: 0, end: 0, line: 1, offset: 0, state: State::Unopened }
    }

    /// The next element, or `None` after the end of the array, which has to be the end of the file.
    fn next(&mut self) -> Result<Option<Element<'_>>, Broken> {
        if self.state == State::Unopened {
            self.open()?;
        }
        if self.state == State::Closed {
            return self.nothing_behind();
        }
        self.skip_space()?;
        let (length, closing) = self.measure()?;
        let (line, offset, start) = (self.line, self.offset, self.start);
        self.take(length + 1);
        let first = self.state == State::Opened;
        self.state = if closing { State::Closed } else { State::Inside };
        if closing && first && length == 0 {
            return self.nothing_behind();
        }
        let bytes = self.buffer.get(start..start + length).unwrap_or_default();
        Ok(Some(Element { line, offset, bytes }))
    }

    fn open(&mut self) -> Result<(), Broken> {
        while self.end - self.start < 3 && self.fill()? {}
        if self.unread().starts_with(b"\xEF\xBB\xBF") {
            self.take(3);
        }
        self.skip_space()?;
        if self.unread().first() != Some(&b'[') {
            return Err(self.wrong("it does not start with ["));
        }
        self.take(1);
        self.state = State::Opened;
        Ok(())
    }

    /// Length of the element at the start of the unread bytes, and whether `]` rather than `,` follows.
    fn measure(&mut self) -> Result<(usize, bool), Broken> {
        let mut scan = Scan::default();
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
            match scan.run(unread) {
                Found::End { length, closing } => return Ok((length, closing)),
                Found::Mismatch { at } => {
                    let before = unread.get(..at).unwrap_or_default();
                    self.line += newlines(before);
                    return Err(self.wrong("a bracket closes what was not opened"));
                }
                Found::Nothing if unread.len() > LONGEST_ROW => return Err(self.wrong("the row has no end")),
                Found::Nothing => {}
            }
            if !self.fill()? {
                return Err(self.wrong("the array is not closed; the row that starts here is the last"));
            }
        }
    }

    /// Reads on to the end of the file: only there is it known that nothing follows and that no byte was damaged.
    fn nothing_behind(&mut self) -> Result<Option<Element<'_>>, Broken> {
        self.skip_space()?;
        match self.unread().is_empty() {
            true => Ok(None),
            false => Err(self.wrong("something stands behind the end of the array")),
        }
    }

    fn skip_space(&mut self) -> Result<(), Broken> {
        loop {
            let unread = self.unread();
            let space = unread.len() - unread.trim_ascii_start().len();
            self.take(space);
            if self.start < self.end || !self.fill()? {
                return Ok(());
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn take(&mut self, count: usize) {
        let taken = self.unread().get(..count).unwrap_or_default();
        self.line += newlines(taken);
        self.start += count;
        self.offset += count as u64;
    }

    fn wrong(&self, cause: &str) -> Broken {
        Broken::Array { line: self.line, cause: cause.to_owned() }
    }

    /// Reads one more block behind the unread bytes; false at the end of the file.
    fn fill(&mut self) -> Result<bool, Broken> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.source.read(room) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Broken::Reading(e)),
            }
        }
    }
}

/// What a scan came to.
enum Found {
    End { length: usize, closing: bool },
    Mismatch { at: usize },
    Nothing,
}

/// The search for the end of an element. Goes on where it stopped when more bytes are there.
#[derive(Default)]
struct Scan {
    at: usize,
    /// The brackets that are open, innermost last.
    open: Vec<u8>,
    in_string: bool,
}

impl Scan {
    fn run(&mut self, bytes: &[u8]) -> Found {
        while let Some(byte) = bytes.get(self.at) {
            if self.in_string {
                if !self.string(bytes) {
                    return Found::Nothing;
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' => self.open.push(b'}'),
                b'[' => self.open.push(b']'),
                b',' if self.open.is_empty() => return Found::End { length: self.at, closing: false },
                b']' if self.open.is_empty() => return Found::End { length: self.at, closing: true },
                b'}' | b']' if self.open.pop() != Some(*byte) => return Found::Mismatch { at: self.at },
                _ => {}
            }
            self.at += 1;
        }
        Found::Nothing
    }

    /// Moves behind the end of the string; false when more bytes are needed for that.
    fn string(&mut self, bytes: &[u8]) -> bool {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
            self.at = bytes.len();
            return false;
        };
        if rest.get(found) == Some(&b'"') {
            self.in_string = false;
            self.at += found + 1;
            return true;
        }
        if rest.len() < found + 2 {
            self.at += found;
            return false;
        }
        self.at += found + 2;
        true
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
