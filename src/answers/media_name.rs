//! Keys as names of files: on every system, below the folder, each for one key.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The longest beginning of a key that stands in a name.
const LONGEST: usize = 100;
/// Names that Windows keeps to itself, whatever their extension.
const KEPT: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// Which file belongs to which key.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Hash of a name in small letters, as some file systems see it, and hash of its key.
    taken: HashMap<u128, u128>,
    /// The names of files that were there before.
    noted: HashSet<u128>,
}

impl Names {
    /// Notes that a file belongs to a key already.
    pub(super) fn note(&mut self, file: &str, key: &str) {
        self.taken.insert(seen(file), xxh3_128(key.as_bytes()));
        self.noted.insert(seen(file));
    }

    /// Whether a file of this name was noted.
    pub(super) fn is_noted(&self, file: &str) -> bool {
        self.noted.contains(&seen(file))
    }

    /// The name of the file with the `number`-th picture or sound of this key, counted from 1.
    pub(super) fn name(&mut self, key: &str, number: usize, extension: &str) -> String {
        let number = if number > 1 { format!("-{number}") } else { String::new() };
        let (stem, hash) = (stem(key), format!("{:08x}", xxh3_64(key.as_bytes()) >> 32));
        let plain = Some(format!("{stem}{number}.{extension}")).filter(|_| stem == key && !is_kept(&stem));
        let hashed = format!("{stem}-{hash}{number}.{extension}");
        // Another key may be called as this one's hash would have it.
        let counted = (2..).map(|count: u64| format!("{stem}-{hash}_{count}{number}.{extension}"));
        let owner = xxh3_128(key.as_bytes());
        let is_free = |name: &String| self.taken.get(&seen(name)).is_none_or(|taken| *taken == owner);
        let mut names = plain.into_iter().chain([hashed]).chain(counted);
        let name = names.find(is_free).unwrap_or_default();
        self.taken.insert(seen(&name), owner);
        name
    }
}

fn seen(file: &str) -> u128 {
    xxh3_128(file.to_lowercase().as_bytes())
}

/// The key, with what has a meaning in paths replaced, and cut off where it is long.
fn stem(key: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.@+ ".contains(c) { c } else { '_' };
    let mapped: String = key.chars().map(plain).collect();
    let cut = mapped.get(..mapped.floor_char_boundary(LONGEST)).unwrap_or_default();
    let cut = cut.trim_start_matches(['.', ' ', '-']).trim_end_matches(['.', ' ']);
    if cut.is_empty() { "_".to_owned() } else { cut.to_owned() }
}

fn is_kept(stem: &str) -> bool {
    let word = stem.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    KEPT.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plain_key_is_the_name() {
        let mut names = Names::default();
        assert_eq!(names.name("A1", 1, "png"), "A1.png");
        assert_eq!(names.name("A1", 2, "png"), "A1-2.png");
        assert_eq!(names.name("ключ 鍵", 1, "wav"), "ключ 鍵.wav");
        assert_eq!(names.name("A1", 1, "png"), "A1.png", "the same again");
    }

    #[test]
    fn keys_that_would_share_a_file_get_one_each() {
        let mut names = Names::default();
        names.note("old.png", "somebody else");
        let keys = ["a", "A", "a/b", "a_b", "old", "k-2", "../../etc", "con", "Com1", ".", "", "x.", " x", "-.x"];
        let mut seen: Vec<_> = keys.iter().map(|key| names.name(key, 1, "png").to_lowercase()).collect();
        seen.push(names.name("k", 2, "png"));
        seen.sort();
        let count = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), count, "{seen:?}");
        assert!(!seen.contains(&"old.png".to_owned()));
    }

    #[test]
    fn a_key_that_is_called_as_another_one_would_be_takes_nothing_from_it() {
        let of = |key: &str| Names::default().name(key, 1, "png");
        let alike = of("a/b").strip_suffix(".png").unwrap().to_owned();
        let mut names = Names::default();
        assert_eq!(names.name(&alike, 1, "png"), format!("{alike}.png"));
        let numbered = format!("{alike}_2");
        assert_eq!(names.name(&numbered, 1, "png"), format!("{numbered}.png"));
        let other = names.name("a/b", 1, "png");
        assert_eq!(other, format!("{alike}_3.png"));
        assert_eq!(names.name("a/b", 1, "png"), other, "the same again");
        assert_eq!(names.name("a/b", 2, "png"), format!("{alike}-2.png"));
        assert_eq!(of("a/b"), format!("{alike}.png"));
    }

    proptest! {
        #[test]
        fn a_name_is_one_short_part_of_a_path(key in "(?s).{0,300}", number in 1_usize..30) {
            let name = Names::default().name(&key, number, "png");
            prop_assert!(name.len() <= LONGEST + 30, "{name}");
            prop_assert_eq!(std::path::Path::new(&name).components().count(), 1);
            prop_assert!(!name.contains(['/', '\\', ':', '\0']) && !name.starts_with('.') && !name.starts_with('-'));
            prop_assert!(!name.chars().any(char::is_control));
        }
    }
}
