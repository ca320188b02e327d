//! A path that does not exist, told with the names that do.

use crate::error::{Error, ErrorKind};
use crate::paths::Roots;

/// Names that are offered, and files that are compared for that.
const OFFERED: usize = 3;
const MOST_COMPARED: usize = 10_000;

/// The error about a missing `path`, with the most similar names of its folder, if there are any.
pub(super) fn named(roots: &Roots, path: &str, error: Error) -> Error {
    let near = if error.kind() == ErrorKind::NotFound { similar(roots, path) } else { Vec::new() };
    if near.is_empty() { error } else { error.hint(format!("did you mean {}?", near.join(" or "))) }
}

fn similar(roots: &Roots, path: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let listed = roots.existing(if folder.is_empty() { "." } else { folder }).ok();
    let entries = listed.and_then(|folder| std::fs::read_dir(folder.as_path()).ok()).into_iter().flatten();
    let names = entries.take(MOST_COMPARED).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let wanted = letters(name);
    let mut near: Vec<(usize, String)> = names
        .filter(|there| !there.starts_with('.'))
        .map(|there| (differences(&wanted, &letters(&there)), there))
        .filter(|(differences, _)| *differences <= (wanted.len() / 3).max(1))
        .collect();
    near.sort_unstable();
    let whole = |(_, there): (usize, String)| if folder.is_empty() { there } else { format!("{folder}/{there}") };
    near.into_iter().take(OFFERED).map(whole).collect()
}

fn letters(name: &str) -> Vec<char> {
    name.to_lowercase().chars().take(100).collect()
}

/// How many letters must be added, dropped or changed to make one name the other.
fn differences(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, from) in one.iter().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (to, above) in other.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(from != to)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, best);
            left = best;
        }
    }
    // The first cell of a row is never written: only where there is nothing to compare with it would be asked for.
    if other.is_empty() { one.len() } else { row.last().copied().unwrap_or_default() }
}
