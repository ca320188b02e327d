//! The files that a data set may be in, by the beginning of their path.

use super::App;
use crate::error::Result;

/// Names in a folder that are looked at.
const MOST_NAMES: usize = 10_000;

/// Files and folders whose path begins so, in order; a folder ends in `/`. Hidden ones are left out.
///
/// Paths start at the first allowed folder, and only allowed folders are looked into.
pub fn data_files(app: &App, beginning: &str) -> Result<Vec<String>> {
    let (folder, name) = beginning.rfind('/').map_or(("", beginning), |at| beginning.split_at(at + 1));
    let inside = app.roots().existing(if folder.is_empty() { "." } else { folder })?;
    let Ok(entries) = std::fs::read_dir(inside.as_path()) else { return Ok(Vec::new()) };
    let mut found: Vec<String> = entries
        .take(MOST_NAMES)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let there = entry.file_name().into_string().ok()?;
            let is_folder = entry.file_type().ok()?.is_dir();
            let fits = there.starts_with(name) && !there.starts_with('.');
            fits.then(|| format!("{folder}{there}{}", if is_folder { "/" } else { "" }))
        })
        .collect();
    found.sort();
    Ok(found)
}
