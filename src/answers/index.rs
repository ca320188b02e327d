//! Where the result line of each key is: joined by key, never by position.
//!
//! One pass over the result files notes 32 bytes a line and at most 11 more to find them by; the lines
//! themselves stay in the files. Above some million lines the notes are kept on disk too, so that memory is bounded.

use std::fs::File;
use std::io;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, ErrorKind, Result};
use crate::jsonl::lines::{Line, LineReader};
use crate::jsonl::result::key_of;
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};

use super::asked::Asked;
use super::cells::Cells;
use super::entry::Entry;
use super::slots::{Slots, Vacant};
use super::window::{FromStart, Window, fill_at};

/// At most this many keys or lines of one kind are named.
const NAMED: usize = 20;
/// Lines between two looks at the monitor.
const STRIDE: u64 = 4096;
/// No result line is shorter: bounds what a wrong expectation can reserve.
const SHORTEST_LINE: u64 = 8;
const ACT: &str = "reading the results";
/// Of an index on disk, so much is held in memory.
const ENTRIES_HELD: usize = 16 << 20;
const SLOTS_HELD: usize = 64 << 20;
/// Stands in every line with a picture or sound; inside a text its quotes would be escaped.
const MEDIA: &[u8] = b"\"inlineData\"";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Finds the result line of a key in one or more result files.
#[derive(Debug)]
pub struct ResultIndex {
    files: Vec<File>,
    /// In the order of the files.
    entries: Cells<Entry>,
    asked: Asked,
    /// Lines of requests that were made.
    expected: Asked,
    slots: Slots,
    /// Where to keep the index once it is long; never, if not said.
    spill: Option<Spill>,
    /// How many lines are expected.
    room: usize,
    has_media: bool,
    /// What is wrong with the files.
    pub problems: Problems,
}

/// Lines that do not count, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Lines that cannot be read or have no key.
    pub unreadable: u64,
    /// The first of them.
    pub unreadable_lines: Vec<BadLine>,
    /// Lines whose key came before, word for word the same.
    pub repeated: u64,
    /// Lines whose key came before with something else. The first line counts.
    pub contradicting: u64,
    /// The first keys that came more than once.
    pub repeated_keys: Vec<String>,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Which of the files, from 0.
    pub file: usize,
    /// Which line, from 1.
    pub line: u64,
    /// Why.
    pub cause: String,
}

/// Result lines whose key was never asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strangers {
    /// How many.
    pub count: u64,
    /// The first keys.
    pub keys: Vec<String>,
}

/// When the index is to leave memory, and where to.
#[derive(Debug, Clone)]
pub struct Spill {
    /// Beside which file.
    pub beside: AllowedPath,
    /// From how many lines on.
    pub above: usize,
}

impl Spill {
    /// Beside this file, when the index would take as much memory as it takes for good on disk: about 90 MB.
    pub fn beside(path: &AllowedPath) -> Self {
        Self { beside: path.clone(), above: 2_000_000 }
    }
}

impl ResultIndex {
    /// Reads the files once, from their start. `expected` is about how many lines they hold.
    pub fn build(files: Vec<File>, expected: u64, monitor: &dyn Monitor) -> Result<Self> {
        Self::new(files, expected, None, monitor)
    }

    /// The same, in memory that is bounded whatever the number of lines.
    pub fn bounded(files: Vec<File>, expected: u64, spill: Spill, monitor: &dyn Monitor) -> Result<Self> {
        Self::new(files, expected, Some(spill), monitor)
    }

    fn new(files: Vec<File>, expected: u64, spill: Option<Spill>, monitor: &dyn Monitor) -> Result<Self> {
        let mut total = 0;
        for file in &files {
            total += file.metadata().map_err(|e| Error::io(ACT, e))?.len();
        }
        let room = usize::try_from(expected.min(total / SHORTEST_LINE)).unwrap_or(0);
        let at_first = spill.as_ref().map_or(room, |spill| room.min(spill.above));
        let mut index = Self {
            files: Vec::new(),
            entries: Cells::Memory(Vec::with_capacity(at_first)),
            asked: Asked::default(),
            expected: Asked::default(),
            slots: Slots::for_entries(at_first),
            spill,
            room,
            has_media: false,
            problems: Problems::default(),
        };
        let mut before = 0;
        for file in files {
            before += index.add_file(file, before, total, monitor)?;
        }
        Ok(index)
    }

    /// How many different keys came back.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing came back.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are pictures or sounds in the lines.
    pub fn has_media(&self) -> bool {
        self.has_media
    }

    /// The result line of a key, which counts as asked for from now on.
    pub fn get<'w>(&mut self, key: &str, window: &'w mut Window) -> Result<Option<&'w [u8]>> {
        Ok(self.find_line(key, window)?.map(|(line, _file)| line))
    }

    /// The same, with which of the files it is in, from 0.
    pub(super) fn find_line<'w>(&mut self, key: &str, window: &'w mut Window) -> Result<Option<(&'w [u8], usize)>> {
        let Ok(number) = self.find(xxh3_128(key.as_bytes()))? else { return Ok(None) };
        let Some(entry) = self.entries.get(number).map_err(kept)? else { return Ok(None) };
        self.asked.add(number);
        let line = read(&self.files, entry, window)?;
        // The hash found the line; the key in it has the last word.
        if key_of(line).is_ok_and(|found| found.as_deref() == Some(key)) {
            return Ok(Some((line, entry.file())));
        }
        Err(Error::new(ErrorKind::Io, ACT, "a result file changed while it was read").hint("call again"))
    }

    /// Notes that a request of this key was made.
    pub fn expect(&mut self, key: &str) -> Result<()> {
        if let Ok(number) = self.find(xxh3_128(key.as_bytes()))? {
            self.expected.add(number);
        }
        Ok(())
    }

    /// Whether a result line of this key came back for a request that was [noted](Self::expect).
    pub fn has_expected(&self, key: &str) -> Result<bool> {
        let Ok(number) = self.find(xxh3_128(key.as_bytes()))? else { return Ok(false) };
        Ok(self.expected.has(number))
    }

    /// Whether a result line of this key came back.
    pub fn has(&self, key: &str) -> Result<bool> {
        Ok(self.find(xxh3_128(key.as_bytes()))?.is_ok())
    }

    /// Whether the line of this key was asked for before.
    pub fn was_asked(&self, key: &str) -> Result<bool> {
        let Ok(number) = self.find(xxh3_128(key.as_bytes()))? else { return Ok(false) };
        Ok(self.asked.has(number))
    }

    /// The line of this number, from 0: each key once, in the order of the files.
    pub fn at<'w>(&self, number: usize, window: &'w mut Window) -> Result<Option<&'w [u8]>> {
        let entry = self.entries.get(number).map_err(kept)?;
        entry.map(|entry| read(&self.files, entry, window)).transpose()
    }

    /// Whether there are lines that nobody has asked for.
    pub fn has_strangers(&self) -> bool {
        (0..self.len()).any(|number| !self.asked.has(number))
    }

    /// The lines that nobody has asked for.
    pub fn strangers(&self) -> Result<Strangers> {
        let mut strangers = Strangers::default();
        let mut window = Window::new();
        for number in (0..self.len()).filter(|number| !self.asked.has(*number)) {
            strangers.count += 1;
            if strangers.keys.len() < NAMED
                && let Some(line) = self.at(number, &mut window)?
            {
                strangers.keys.extend(key_of(line).ok().flatten().map(String::from));
            }
        }
        Ok(strangers)
    }

    /// Notes all lines of one more file; returns its size.
    fn add_file(&mut self, file: File, before: u64, total: u64, monitor: &dyn Monitor) -> Result<u64> {
        let number = self.files.len();
        let mark = byte_order_mark(&file)?;
        self.files.push(file.try_clone().map_err(|e| Error::io(ACT, e))?);
        let mut lines = LineReader::new(FromStart::new(file));
        let mut window = Window::new();
        let media = memchr::memmem::Finder::new(MEDIA);
        let mut end = 0;
        while let Some(mut line) = lines.next_line().map_err(|e| Error::io(ACT, e))? {
            if line.number == 1 {
                line.offset += mark;
            }
            if line.number % STRIDE == 0 {
                report(before + line.offset, total, monitor)?;
            }
            end = line.offset + line.bytes.len() as u64;
            self.has_media |= media.find(line.bytes).is_some();
            if !line.is_blank() {
                self.add_line(number, line, &mut window)?;
            }
        }
        report(before + end, total, monitor)?;
        Ok(end)
    }

    fn add_line(&mut self, file: usize, line: Line<'_>, window: &mut Window) -> Result<()> {
        match key_of(line.bytes) {
            Ok(Some(key)) => self.add_key(&key, file, line, window),
            Ok(None) => {
                self.problems.note_unreadable(file, line.number, "it has no key".to_owned());
                Ok(())
            }
            Err(cause) => {
                self.problems.note_unreadable(file, line.number, cause.to_string());
                Ok(())
            }
        }
    }

    fn add_key(&mut self, key: &str, file: usize, line: Line<'_>, window: &mut Window) -> Result<()> {
        let hash = xxh3_128(key.as_bytes());
        let place = match self.find(hash)? {
            Err(place) => place,
            Ok(number) => {
                let first = self.at(number, window)?;
                self.problems.note_repeated(key, first == Some(line.bytes));
                return Ok(());
            }
        };
        let entry = Entry::new(hash, file, line.offset, line.bytes.len())
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, ACT, "a result file or line is too large"))?;
        self.insert(place, entry).map_err(kept)
    }

    fn insert(&mut self, place: Vacant, entry: Entry) -> io::Result<()> {
        let number = self.len();
        self.entries.push(entry)?;
        let spill = self.spill.as_ref().filter(|spill| self.len() > spill.above).map(|spill| spill.beside.clone());
        match spill {
            Some(beside) if matches!(self.entries, Cells::Memory(_)) => {
                self.entries = self.entries.moved_to(scratch(&beside)?, ENTRIES_HELD)?;
                self.spread(Some(beside))
            }
            spill if !self.slots.have_room_for(self.len()) => self.spread(spill),
            _ => self.slots.put(place, number),
        }
    }

    /// Starts again with a table of the right size, in memory or on disk.
    fn spread(&mut self, spill: Option<AllowedPath>) -> io::Result<()> {
        // The old table goes before the new one comes.
        self.slots = Slots::for_entries(0);
        self.slots = match spill {
            None => Slots::for_entries(self.len()),
            Some(beside) => Slots::for_entries_on(scratch(&beside)?, self.room.max(self.len()), SLOTS_HELD)?,
        };
        let entries = &self.entries;
        self.slots.fill((0..entries.len()).map(|number| Ok(entries.get(number)?.unwrap_or_default().hash)))
    }

    fn find(&self, hash: u128) -> Result<Result<usize, Vacant>> {
        let hash_of = |number| Ok(self.entries.get(number)?.map(|entry| entry.hash));
        self.slots.find(hash, hash_of).map_err(kept)
    }
}

fn scratch(beside: &AllowedPath) -> io::Result<File> {
    beside.scratch().map_err(io::Error::other)
}

/// What went wrong with the index itself.
fn kept(error: io::Error) -> Error {
    Error::io("keeping the index of the results", error)
}

impl Problems {
    fn note_unreadable(&mut self, file: usize, line: u64, cause: String) {
        self.unreadable += 1;
        if self.unreadable_lines.len() < NAMED {
            self.unreadable_lines.push(BadLine { file, line, cause });
        }
    }

    fn note_repeated(&mut self, key: &str, same: bool) {
        *if same { &mut self.repeated } else { &mut self.contradicting } += 1;
        if self.repeated_keys.len() < NAMED && !self.repeated_keys.iter().any(|known| known == key) {
            self.repeated_keys.push(key.to_owned());
        }
    }
}

fn read<'w>(files: &[File], entry: Entry, window: &'w mut Window) -> Result<&'w [u8]> {
    let file = files.get(entry.file()).ok_or_else(|| Error::internal(ACT, "an entry names no file"))?;
    window
        .bytes_at(entry.file(), file, entry.offset(), entry.length as usize)
        .map_err(|e| Error::io(ACT, e).hint("the result file was changed or cut off meanwhile: call again"))
}

/// The length of the byte order mark that the file starts with.
fn byte_order_mark(file: &File) -> Result<u64> {
    let mut start = [0; BYTE_ORDER_MARK.len()];
    fill_at(file, &mut start, 0).map_err(|e| Error::io(ACT, e))?;
    Ok(if start == BYTE_ORDER_MARK { BYTE_ORDER_MARK.len() as u64 } else { 0 })
}

fn report(done: u64, total: u64, monitor: &dyn Monitor) -> Result<()> {
    monitor.check(ACT)?;
    monitor.report(&Progress { stage: ACT.to_owned(), done: done.min(total), total: Some(total), unit: "bytes" });
    Ok(())
}

#[cfg(test)]
mod tests;
