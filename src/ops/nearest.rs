//! A path that does not exist, told with the names that do.

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
    let listed = roots.existing(if folder.is_empty() { "." } else { folder }).ok();
    let entries = listed.and_then(|folder| std::fs::read_dir(folder.as_path()).ok()).into_iter().flatten();
    let names = entries.take(MOST_COMPARED).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let wanted = plain(name);
    let slips = (wanted.chars().count() / 3).max(1);
    let mut near: Vec<(usize, String)> = names
        .filter(|there| !there.starts_with('.'))
        .map(|there| (distance(&wanted, &plain(&there)), there))
        .filter(|(distance, _)| *distance <= slips)
        .collect();
    near.sort_unstable();
    let whole = |(_, there): (usize, String)| if folder.is_empty() { there } else { format!("{folder}/{there}") };
    near.into_iter().take(OFFERED).map(whole).collect()
}

fn plain(name: &str) -> String {
    name.to_lowercase().chars().take(LONGEST_COMPARED).collect()
}
