//! Entries found by their hash: open addressing over entry numbers.
//!
//! Kept apart from the entries, which so stay in the order of the files and are read in that order.

use std::io;

use super::cells::Cells;

/// A hash table of entry numbers. The entries and their hashes live with the owner.
#[derive(Debug)]
pub(super) struct Slots {
    /// The number of an entry plus one, or 0. The length is a power of two, and larger than any of these: the bits
    /// above hold bits of the entry's hash, so that hardly any entry is looked at in vain.
    numbers: Cells<u32>,
}

/// A place in the table that is free.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vacant {
    slot: usize,
    tag: u32,
}

impl Slots {
    /// A table with room for so many entries.
    pub(super) fn for_entries(entries: usize) -> Self {
        Self { numbers: Cells::zeros(length_for(entries)) }
    }

    /// The same in a file, of which so many bytes are held in memory.
    pub(super) fn for_entries_on(file: std::fs::File, entries: usize, held: usize) -> io::Result<Self> {
        Ok(Self { numbers: Cells::zeros_on(file, length_for(entries), held)? })
    }

    /// Whether so many entries still fit.
    pub(super) fn have_room_for(&self, entries: usize) -> bool {
        length_for(entries) <= self.numbers.len()
    }

    /// The number of the entry with this hash, or else the place where it belongs.
    pub(super) fn find(
        &self,
        hash: u128,
        hash_of: impl Fn(usize) -> io::Result<Option<u128>>,
    ) -> io::Result<Result<usize, Vacant>> {
        let mask = self.numbers.len() - 1;
        let mut slot = low_bits(hash) & mask;
        let tag = !(mask as u32) & (hash >> 64) as u32;
        loop {
            // The table is never full: the walk ends at a free place.
            let found = self.numbers.get(slot)?.unwrap_or(0);
            let Some(number) = (found as usize & mask).checked_sub(1) else {
                return Ok(Err(Vacant { slot, tag }));
            };
            if found & !(mask as u32) == tag && hash_of(number)? == Some(hash) {
                return Ok(Ok(number));
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Puts the entry of this number where [`find`](Self::find) said that it belongs.
    pub(super) fn put(&mut self, place: Vacant, number: usize) -> io::Result<()> {
        self.numbers.set(place.slot, u32::try_from(number + 1).unwrap_or(0) | place.tag)
    }

    /// Fills an empty table with the numbers of these hashes, all different.
    pub(super) fn fill(&mut self, hashes: impl Iterator<Item = io::Result<u128>>) -> io::Result<()> {
        for (number, hash) in hashes.enumerate() {
            if let Err(place) = self.find(hash?, |_| Ok(None))? {
                self.put(place, number)?;
            }
        }
        Ok(())
    }
}

/// A power of two that the entries fill by three quarters at most.
fn length_for(entries: usize) -> usize {
    (entries + entries.div_ceil(3) + 1).next_power_of_two()
}

/// The low bits of a hash are as good as any.
fn low_bits(hash: u128) -> usize {
    hash as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_costs_at_most_11_bytes_an_entry_and_is_never_full() {
        for entries in [0, 1, 3, 1000, 1_000_000, 1 << 20, 3 << 18, (3 << 18) + 1] {
            let table = Slots::for_entries(entries);
            assert!(table.numbers.len() * 3 >= entries * 4 && table.numbers.len() > entries, "{entries}");
            assert!(table.numbers.len() * size_of::<u32>() <= entries * 11 + 64, "{entries}");
        }
    }

    proptest! {
        #[test]
        fn every_hash_is_found_under_its_number_even_where_they_crowd(
            hashes in proptest::collection::hash_set(prop_oneof![0u128..40, any::<u128>()], 0..200),
        ) {
            let hashes: Vec<u128> = hashes.into_iter().collect();
            let hash_of = |number: usize| Ok(hashes.get(number).copied());
            let mut table = Slots::for_entries(0);
            for number in 0..hashes.len() {
                if table.have_room_for(number + 1) {
                    let place = table.find(hashes[number], hash_of).unwrap().unwrap_err();
                    table.put(place, number).unwrap();
                } else {
                    table = Slots::for_entries(number + 1);
                    table.fill(hashes[..=number].iter().copied().map(Ok)).unwrap();
                }
            }
            for (number, hash) in hashes.iter().enumerate() {
                prop_assert_eq!(table.find(*hash, hash_of).unwrap().ok(), Some(number));
            }
        }
    }
}
