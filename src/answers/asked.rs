//! Which lines were asked for: one bit each.

/// A set of line numbers.
#[derive(Debug, Default)]
pub(super) struct Asked(Vec<u64>);

impl Asked {
    /// Adds a number.
    pub(super) fn add(&mut self, number: usize) {
        let word = number / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (number % 64);
        }
    }

    /// Whether it is there.
    pub(super) fn has(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|bits| bits & (1 << (number % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_is_there() {
        let mut asked = Asked::default();
        for number in [0, 63, 64, 1000] {
            asked.add(number);
        }
        let there: Vec<usize> = (0..2000).filter(|number| asked.has(*number)).collect();
        assert_eq!(there, [0, 63, 64, 1000]);
    }
}
