//! Places of which there are so many, and of which nobody may take more than a share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::http::Access;

/// What part of what there is one caller may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// There are no others.
    All,
    /// Others are to find some as well.
    Quarter,
}

impl Share {
    /// Several callers are told apart only by an issuer: whoever has the token, or reaches this machine, is one.
    pub(super) fn of(access: &Access) -> Self {
        if matches!(access, Access::OAuth(_)) { Self::Quarter } else { Self::All }
    }

    pub(super) fn of_all(self, most: usize) -> usize {
        if self == Self::All { most } else { most / 4 }
    }
}

/// How many are taken, and by whom. Cheap to clone.
#[derive(Debug)]
pub(super) struct Places<K> {
    most: usize,
    most_of_one: usize,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self { taken: self.taken.clone(), ..*self }
    }
}

/// A place, free again when dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash> {
    places: Places<K>,
    of: K,
}

impl<K: Clone + Eq + Hash> Places<K> {
    /// So many in all, and for each.
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self { most, most_of_one, taken: Arc::default() }
    }

    /// One more for somebody, if there is one, and they may have it.
    pub(super) fn take(&self, of: K) -> Option<Place<K>> {
        let mut taken = self.lock();
        let has_room = taken.values().sum::<usize>() < self.most;
        let count = taken.get(&of).copied().unwrap_or(0);
        if !has_room || count >= self.most_of_one {
            return None;
        }
        taken.insert(of.clone(), count + 1);
        Some(Place { places: self.clone(), of })
    }
}

impl<K> Places<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_take_the_places_of_others() {
        let places = Places::new(9, 2);
        let first = places.take("one");
        let second = places.take("one");
        assert!(first.is_some() && second.is_some());
        assert!(places.take("one").is_none());
        assert!(places.take("another").is_some());
        drop(first);
        assert!(places.take("one").is_some());
    }

    #[test]
    fn places_are_bounded_and_leave_nothing_behind() {
        let places = Places::new(512, 512);
        let taken: Vec<_> = (0..512).map(|number| places.take(number % 7).unwrap()).collect();
        assert!(places.take(1).is_none());
        assert!(places.take(1000).is_none());
        assert_eq!(places.lock().len(), 7);
        drop(taken);
        assert!(places.lock().is_empty());
    }
}
