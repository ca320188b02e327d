//! Reading lines out of result files by place, cheaply when the places follow each other.

use std::fs::File;
use std::io;

/// How much is read at once on each side of a line that is near the last one.
const AROUND: u64 = 64 * 1024;
/// Between a line and the next one.
const LINE_BREAK: u64 = 2;

/// A stretch of one file, held in memory.
///
/// Result lines come back mostly near the order in which they were asked for. Then one read serves
/// dozens of lines; in any other order each line is read alone, and nothing is read in vain.
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
            let (start, end) = self.stretch(number, offset, length as u64);
            self.load(number, file, start, usize::try_from(end - start).unwrap_or(usize::MAX))?;
        }
        self.last_end = offset + length as u64;
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        self.bytes.get(from..).and_then(|rest| rest.get(..length)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn holds(&self, number: usize, offset: u64, length: usize) -> bool {
        let end = self.start + self.bytes.len() as u64;
        number == self.file && offset >= self.start && offset + length as u64 <= end
    }

    /// From where to where to read for a line: more than the line if it is near the last one.
    fn stretch(&self, number: usize, offset: u64, length: u64) -> (u64, u64) {
        let end = offset + length;
        if number != self.file || offset.abs_diff(self.last_end) > AROUND {
            return (offset, end);
        }
        let follows = (self.last_end..=self.last_end + LINE_BREAK).contains(&offset);
        (if follows { offset } else { offset.saturating_sub(AROUND) }, end + AROUND)
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
pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = bytes.get(count..).unwrap_or_default();
        offset += count as u64;
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn file_of(length: u32) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn lines_near_each_other_are_served_by_few_reads_in_any_order() {
        let (file, _) = file_of(400_000);
        let (mut window, mut reads) = (Window::new(), 0);
        for block in [5_u64, 1, 3] {
            for line in [40, 3, 41, 17, 0, 63, 28, 2, 50] {
                let offset = block * 50_000 + line * 700;
                reads += u32::from(!window.holds(0, offset, 700));
                window.bytes_at(0, &file, offset, 700).unwrap();
            }
        }
        assert!(reads <= 6, "{reads} reads for 27 lines");
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_file_wherever_they_stand(
            places in proptest::collection::vec((0_u64..290_000, 0_usize..10_000), 1..40),
        ) {
            let (file, bytes) = file_of(300_000);
            let mut window = Window::new();
            for (offset, length) in places {
                let from = offset as usize;
                prop_assert_eq!(window.bytes_at(0, &file, offset, length).unwrap(), &bytes[from..from + length]);
            }
            prop_assert!(window.bytes_at(0, &file, 299_999, 2).is_err());
        }
    }
}
