//! Files that this program wrote into the folder that it reads: its output is no data set.
//!
//! They are told by their names: request files, the lists beside them, and what is named after a job. Results of
//! any other name have their manifest beside them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::job::Handle;

const REQUESTS: [&str; 2] = [".requests.jsonl", ".requests.problems.jsonl"];
const MANIFEST: &str = ".manifest.json";
/// The list in a folder of pictures and sounds, with the file of each answer.
const MEDIA: &str = "media.jsonl";
const LONGEST_LINE: u64 = 64 * 1024;
/// The keys of a matrix of vectors.
const KEYS: &str = ".keys.jsonl";

/// Whether this program wrote it, or everything in it.
pub(super) fn is_own(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let of_job = name.split_once('.').filter(|(handle, _)| Handle::parse(handle).is_some());
    // A name and twelve digits may well be that of an invoice: what follows tells.
    let is_of_job = of_job.is_some_and(|(_, rest)| rest == "media" || rest.starts_with("results."));
    is_of_job || is_list_of_media(path, name) || REQUESTS.iter().any(|end| name.ends_with(end)) || is_result(path, name)
}

/// Such a list stands beside what it lists.
fn is_list_of_media(path: &Path, name: &str) -> bool {
    if name != MEDIA {
        return false;
    }
    let mut line = String::new();
    let read = File::open(path).and_then(|file| BufReader::new(file.take(LONGEST_LINE)).read_line(&mut line));
    let first: Option<serde_json::Value> = read.ok().and_then(|_| serde_json::from_str(&line).ok());
    first.is_some_and(|first| ["key", "file"].iter().all(|field| first.get(field).is_some()))
}

fn is_result(path: &Path, name: &str) -> bool {
    let there = |name: &str| path.with_file_name(name).is_file();
    let described = |name: &str| there(&format!("{name}{MANIFEST}"));
    described(name) || name.strip_suffix(MANIFEST).is_some_and(there) || name.strip_suffix(KEYS).is_some_and(described)
}
