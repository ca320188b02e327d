//! Which keys were seen: 128-bit hashes instead of the keys themselves.
//!
//! Two different keys share a hash with a probability of about 1e-23 in a set of 100 million, so a hit
//! is a duplicate for all practical purposes; whoever reports it can still look at the keys.

use xxhash_rust::xxh3::xxh3_128;

/// The set is grown when more than four fifths of it are in use.
const FULL: (usize, usize) = (4, 5);
const SMALLEST: usize = 16;

/// A set of keys. Costs 20 bytes a key when the capacity was known, whatever the length of the keys.
#[derive(Debug, Default)]
pub struct KeySet {
    /// Open addressing with linear probing; 0 marks a free place.
    places: Vec<u128>,
    len: usize,
}

impl KeySet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set with room for `keys` keys.
    pub fn with_capacity(keys: usize) -> Self {
        let mut set = Self::new();
        set.reserve(keys);
        set
    }

    /// Makes room for `more` further keys.
    pub fn reserve(&mut self, more: usize) {
        let wanted = self.len.saturating_add(more);
        if wanted > self.limit() {
            self.resize(wanted.saturating_mul(FULL.1) / FULL.0 + 1);
        }
    }

    /// Adds a key; `false` if it was there already.
    pub fn insert(&mut self, key: &[u8]) -> bool {
        self.insert_hash(hash(key))
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &[u8]) -> bool {
        let hash = hash(key);
        chain(&self.places, hash).take_while(|slot| **slot != 0).any(|slot| *slot == hash)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds the key with this [`hash`]; `false` if it was there already.
    pub(super) fn insert_hash(&mut self, hash: u128) -> bool {
        if self.len >= self.limit() {
            self.resize((self.places.len() * 3 / 2).max(SMALLEST));
        }
        let added = place(&mut self.places, hash);
        self.len += usize::from(added);
        added
    }

    /// How many keys fit before the set grows.
    fn limit(&self) -> usize {
        self.places.len() / FULL.1 * FULL.0
    }

    fn resize(&mut self, places: usize) {
        // Whole fifths, so that `limit` loses nothing.
        let mut larger = vec![0; places.next_multiple_of(FULL.1)];
        for &hash in self.places.iter().filter(|hash| **hash != 0) {
            place(&mut larger, hash);
        }
        self.places = larger;
    }
}

/// The hash by which a key is known. Never 0.
pub(super) fn hash(key: &[u8]) -> u128 {
    xxh3_128(key).max(1)
}

/// The places where `hash` may be, from its own on.
fn chain(places: &[u128], hash: u128) -> impl Iterator<Item = &u128> {
    let (before, from_home) = places.split_at(home(hash, places.len()));
    from_home.iter().chain(before)
}

/// The upper 64 bits, scaled to the number of places: no division, and any number of places will do.
fn home(hash: u128, places: usize) -> usize {
    (((hash >> 64) * places as u128) >> 64) as usize
}

/// Puts `hash` into the first free place from its own on; `false` if it is there. There must be a free one.
fn place(places: &mut [u128], hash: u128) -> bool {
    let (before, from_home) = places.split_at_mut(home(hash, places.len()));
    for slot in from_home.iter_mut().chain(before) {
        if *slot == hash {
            return false;
        }
        if *slot == 0 {
            *slot = hash;
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_set_of_known_size_never_grows() {
        let mut set = KeySet::with_capacity(1000);
        let places = set.places.len();
        assert!((0..1000u32).all(|n| set.insert(&n.to_le_bytes())));
        assert_eq!((set.len(), set.places.len()), (1000, places));
        assert!(places * 16 <= 21 * 1000, "{places} places");
    }

    proptest! {
        #[test]
        fn it_answers_as_a_set_of_the_keys_themselves(
            keys in proptest::collection::vec("[a-c]{0,3}", 0..200),
            room in 0usize..50,
        ) {
            let mut set = KeySet::with_capacity(room);
            let mut known = HashSet::new();
            for key in &keys {
                prop_assert_eq!(set.contains(key.as_bytes()), known.contains(key));
                prop_assert_eq!(set.insert(key.as_bytes()), known.insert(key));
            }
            prop_assert_eq!(set.len(), known.len());
        }
    }
}
