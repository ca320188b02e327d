//! A long list of small things of one size: in memory, or when it has grown too long in a file without a name.
//!
//! On disk it is seen through pages that are held in memory, few enough to be bounded whatever the length. Pages
//! are small, as most are read for the sake of one cell.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::window::{fill_at, write_all_at};

/// Cells do not lie across the end of a page.
const PAGE: usize = 512;

/// A thing of one size.
pub(super) trait Cell: Copy + Default {
    /// Its size on disk, a power of two.
    const SIZE: usize;
    /// Writes it into as many bytes.
    fn write(self, bytes: &mut [u8]);
    /// Reads what was written. Zeros are the default.
    fn read(bytes: &[u8]) -> Self;
}

impl Cell for u32 {
    const SIZE: usize = size_of::<Self>();

    fn write(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        bytes.try_into().map_or(0, Self::from_le_bytes)
    }
}

/// A list of them.
#[derive(Debug)]
pub(super) enum Cells<C> {
    Memory(Vec<C>),
    Disk { pages: Mutex<Pages>, length: usize },
}

impl<C: Cell> Cells<C> {
    /// So many cells in memory, all zero.
    pub(super) fn zeros(length: usize) -> Self {
        Self::Memory(vec![C::default(); length])
    }

    /// So many cells in a file, all zero, of which so many bytes are held in memory.
    pub(super) fn zeros_on(file: File, length: usize, held: usize) -> io::Result<Self> {
        file.set_len((length * C::SIZE) as u64)?;
        Ok(Self::Disk { pages: Mutex::new(Pages::new(file, held)), length })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(cells) => cells.len(),
            Self::Disk { length, .. } => *length,
        }
    }

    /// The cell of this number, if there is one.
    pub(super) fn get(&self, number: usize) -> io::Result<Option<C>> {
        match self {
            Self::Memory(cells) => Ok(cells.get(number).copied()),
            Self::Disk { length, .. } if number >= *length => Ok(None),
            Self::Disk { pages, .. } => {
                let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Some(C::read(pages.bytes(number * C::SIZE, C::SIZE, false)?)))
            }
        }
    }

    /// Puts something else in the place of a cell that is there.
    pub(super) fn set(&mut self, number: usize, cell: C) -> io::Result<()> {
        match self {
            Self::Memory(cells) => {
                if let Some(place) = cells.get_mut(number) {
                    *place = cell;
                }
            }
            Self::Disk { pages, .. } => {
                let pages = pages.get_mut().unwrap_or_else(PoisonError::into_inner);
                cell.write(pages.bytes(number * C::SIZE, C::SIZE, true)?);
            }
        }
        Ok(())
    }

    /// Adds a cell at the end.
    pub(super) fn push(&mut self, cell: C) -> io::Result<()> {
        let number = self.len();
        match self {
            Self::Memory(cells) => {
                if number == cells.capacity() {
                    // Longer than expected: grow gently, memory is promised by the key.
                    cells.reserve_exact((number / 8).max(64));
                }
                cells.push(cell);
                Ok(())
            }
            Self::Disk { length, .. } => {
                *length += 1;
                self.set(number, cell)
            }
        }
    }

    /// The same cells in a file, of which so many bytes are held in memory.
    pub(super) fn moved_to(&self, file: File, held: usize) -> io::Result<Self> {
        let mut moved = Self::zeros_on(file, 0, held)?;
        for number in 0..self.len() {
            if let Some(cell) = self.get(number)? {
                moved.push(cell)?;
            }
        }
        Ok(moved)
    }
}

/// A file seen through pages: each can be held in one place only, which it shares with others.
#[derive(Debug)]
pub(super) struct Pages {
    file: File,
    bytes: Vec<u8>,
    held: Vec<Held>,
}

/// Which page is held in a place.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// Its number plus one; 0 for none.
    page: usize,
    changed: bool,
}

impl Pages {
    fn new(file: File, held: usize) -> Self {
        let count = (held / PAGE).max(1);
        Self { file, bytes: vec![0; count * PAGE], held: vec![Held::default(); count] }
    }

    /// The bytes at this place of the file, to be changed or not.
    fn bytes(&mut self, offset: usize, length: usize, change: bool) -> io::Result<&mut [u8]> {
        let page = offset / PAGE;
        let place = page % self.held.len();
        let (Some(held), Some(bytes)) =
            (self.held.get_mut(place), self.bytes.get_mut(place * PAGE..(place + 1) * PAGE))
        else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if held.page != page + 1 {
            if held.changed {
                write_all_at(&self.file, bytes, ((held.page - 1) * PAGE) as u64)?;
            }
            // After an error nothing is held.
            *held = Held::default();
            let filled = fill_at(&self.file, bytes, (page * PAGE) as u64)?;
            bytes.get_mut(filled..).unwrap_or_default().fill(0);
            held.page = page + 1;
        }
        held.changed |= change;
        let start = offset % PAGE;
        bytes.get_mut(start..start + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_file_holds_what_memory_holds(
            steps in proptest::collection::vec((any::<bool>(), 0_usize..3000, any::<u32>()), 1..400),
            held in 0_usize..4000,
            moved_after in 0_usize..400,
        ) {
            let mut memory = Cells::<u32>::zeros(2000);
            let mut disk = Cells::<u32>::zeros(2000);
            for (step, (push, number, value)) in steps.into_iter().enumerate() {
                if step == moved_after {
                    disk = disk.moved_to(tempfile::tempfile().unwrap(), held).unwrap();
                }
                if push {
                    memory.push(value).unwrap();
                    disk.push(value).unwrap();
                } else if number < memory.len() {
                    memory.set(number, value).unwrap();
                    disk.set(number, value).unwrap();
                }
                prop_assert_eq!(memory.get(number).unwrap(), disk.get(number).unwrap());
            }
            prop_assert_eq!(memory.len(), disk.len());
            for number in 0..=memory.len() {
                prop_assert_eq!(memory.get(number).unwrap(), disk.get(number).unwrap());
            }
        }
    }

    #[test]
    fn cells_that_were_never_set_are_zero() {
        let cells = Cells::<u32>::zeros_on(tempfile::tempfile().unwrap(), 100_000, 1024).unwrap();
        assert_eq!(cells.get(99_999).unwrap(), Some(0));
        assert_eq!(cells.get(100_000).unwrap(), None);
    }
}
