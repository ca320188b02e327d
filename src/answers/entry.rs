//! Where one result line is.

use super::cells::Cell;

/// The place of a line, and the hash of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: u128,
    /// Which file, in the upper 16 bits; where in it, in the others.
    place: u64,
    pub(super) length: u32,
}

impl Entry {
    pub(super) fn new(hash: u128, file: usize, offset: u64, length: usize) -> Option<Self> {
        let (file, length) = (u16::try_from(file).ok()?, u32::try_from(length).ok()?);
        let fits = offset >> 48 == 0;
        fits.then_some(Self { hash, place: u64::from(file) << 48 | offset, length })
    }

    pub(super) fn file(&self) -> usize {
        usize::try_from(self.place >> 48).unwrap_or(usize::MAX)
    }

    pub(super) fn offset(&self) -> u64 {
        self.place & ((1 << 48) - 1)
    }
}

impl Cell for Entry {
    const SIZE: usize = 32;

    fn write(self, bytes: &mut [u8]) {
        let fields = [&self.hash.to_le_bytes()[..], &self.place.to_le_bytes(), &self.length.to_le_bytes(), &[0; 4]];
        bytes.copy_from_slice(&fields.concat());
    }

    fn read(bytes: &[u8]) -> Self {
        let (hash, rest) = bytes.split_first_chunk().unwrap_or((&[0; 16], &[]));
        let (place, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (length, _) = rest.split_first_chunk().unwrap_or((&[0; 4], &[]));
        Self {
            hash: u128::from_le_bytes(*hash),
            place: u64::from_le_bytes(*place),
            length: u32::from_le_bytes(*length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_costs_32_bytes() {
        assert_eq!(size_of::<Entry>(), Entry::SIZE);
    }

    proptest! {
        #[test]
        fn an_entry_reads_back(hash: u128, file: u16, offset in 0_u64..1 << 48, length: u32) {
            let entry = Entry::new(hash, usize::from(file), offset, length as usize).unwrap();
            let mut bytes = [0; Entry::SIZE];
            entry.write(&mut bytes);
            prop_assert_eq!(Entry::read(&bytes), entry);
            prop_assert_eq!((entry.file(), entry.offset()), (usize::from(file), offset));
        }
    }
}
