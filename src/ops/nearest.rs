//! A name that is not there, told with those that are.

use crate::error::{Error, ErrorKind};
use crate::job::spelling::distance;
use crate::paths::Roots;

/// Names that are offered, and files that are compared for that.
const OFFERED: usize = 3;
const MOST_COMPARED: usize = 10_000;
/// Letters of a name that are compared.
const LONGEST_COMPARED: usize = 100;

/// The error about a missing `path`, with the most similar names of its folder, if there are any.
pub(super) fn named(roots: &Roots, path: &str, error: Error) -> Error {
    let near = if error.kind() == ErrorKind::NotFound { similar(roots, path) } else { Vec::new() };
    if near.is_empty() { error } else { error.hint(format!("did you mean {}?", near.join(" or "))) }
}

fn similar(roots: &Roots, path: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    // A build writes into the working folder, not beside its source.
    if !folder.is_empty() && roots.existing(name).is_ok() {
        return vec![name.to_owned()];
    }
    let listed = roots.existing(if folder.is_empty() { "." } else { folder }).ok();
    let entries = listed.and_then(|folder| std::fs::read_dir(folder.as_path()).ok()).into_iter().flatten();
    let names = entries.take(MOST_COMPARED).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<_> = names.filter(|there| !there.starts_with('.')).collect();
    let near = of(name, names.iter().map(|there| (there.as_str(), there)));
    let whole = |there: &String| if folder.is_empty() { there.clone() } else { format!("{folder}/{there}") };
    near.into_iter().map(whole).collect()
}

/// What has the names most like `asked`, the nearest first, each once.
pub(super) fn of<'n, T: Ord>(asked: &str, names: impl Iterator<Item = (&'n str, &'n T)>) -> Vec<&'n T> {
    let wanted = plain(asked);
    let slips = (wanted.chars().count() / 3).max(1);
    let near = names.map(|(name, whole)| (distance(&wanted, &plain(name)), whole));
    let mut near: Vec<_> = near.filter(|(distance, _)| *distance <= slips).collect();
    near.sort_unstable();
    let mut offered: Vec<&T> = Vec::with_capacity(OFFERED);
    for (_, whole) in near {
        if offered.len() < OFFERED && !offered.contains(&whole) {
            offered.push(whole);
        }
    }
    offered
}

fn plain(name: &str) -> String {
    name.to_lowercase().chars().take(LONGEST_COMPARED).collect()
}
