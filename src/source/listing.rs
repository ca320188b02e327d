//! The files that a folder or a pattern stands for.
//!
//! A pattern is the path of a folder and, from the first part with a wildcard on, what files below it are to be named.
//! The folder is checked against the allowed roots as any path is; so is each file, as it may be a link.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};
use xxhash_rust::xxh3::Xxh3;

use super::own_files::is_own;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::{AllowedPath, Roots};
use crate::progress::Monitor;

const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];
const STRIDE: usize = 1024;

/// Files of a data set, in the order of their paths.
#[derive(Debug, Clone)]
pub struct Listing {
    folder: AllowedPath,
    pattern: Option<String>,
    files: Vec<ListedFile>,
    passed_over: PassedOver,
}

/// One file of a data set.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    pub(super) path: AllowedPath,
    /// Its path from the folder of the data set, with `/` on every system.
    pub(super) name: String,
}

/// What is there and was not taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PassedOver {
    hidden: usize,
    own: usize,
    links: usize,
    others: usize,
}

impl Listing {
    /// Whether a text that is no existing path may be a pattern.
    pub fn is_pattern(text: &str) -> bool {
        text.contains(WILDCARDS)
    }

    /// One file as a data set of one row.
    pub fn single(path: &AllowedPath) -> Self {
        let name = path.as_path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = vec![ListedFile { path: path.clone(), name: name.clone() }];
        Self { folder: path.clone(), pattern: None, files, passed_over: PassedOver::default() }
    }

    /// All files below a folder.
    pub fn below(roots: &Roots, folder: &AllowedPath, monitor: &dyn Monitor) -> Result<Self> {
        Self::walked(roots, folder.clone(), None, monitor)
    }

    /// The files that a pattern such as `docs/**/*.md` stands for.
    pub fn matching(roots: &Roots, text: &str, monitor: &dyn Monitor) -> Result<Self> {
        let (folder, pattern) = split(roots, text);
        let folder = roots.existing(if folder.is_empty() { "." } else { &folder })?;
        Self::walked(roots, folder, Some(pattern), monitor)
    }

    fn walked(roots: &Roots, folder: AllowedPath, pattern: Option<String>, monitor: &dyn Monitor) -> Result<Self> {
        let matcher = pattern.as_deref().map(matcher).transpose()?;
        let depth = pattern.as_deref().filter(|pattern| !pattern.contains("**") && !pattern.contains('{'));
        let depth = depth.map_or(usize::MAX, |pattern| pattern.split('/').count());
        let mut listing = Self { folder, pattern, files: Vec::new(), passed_over: PassedOver::default() };
        let act = format!("listing {}", listing.text());
        let walk = WalkDir::new(listing.folder.as_path()).min_depth(1).max_depth(depth).sort_by_file_name();
        let mut entries = walk.into_iter();
        let mut seen = 0;
        while let Some(entry) = entries.next() {
            seen += 1;
            if seen % STRIDE == 0 {
                monitor.check(&act)?;
            }
            let entry = entry.map_err(|e| Error::io(act.clone(), e.into()))?;
            let is_folder = entry.file_type().is_dir();
            let name = listing.name_of(entry.path());
            let is_wanted = matcher.as_ref().is_none_or(|matcher| matcher.is_match(&name));
            if is_hidden(&entry) {
                if is_folder {
                    entries.skip_current_dir();
                }
                listing.passed_over.hidden += usize::from(is_wanted);
            } else if is_own(entry.path()) {
                if is_folder {
                    entries.skip_current_dir();
                }
                listing.passed_over.own += usize::from(is_wanted);
            } else if is_wanted && !is_folder {
                listing.take(roots, entry.path(), name);
            }
        }
        if listing.files.is_empty() {
            return Err(listing.nothing(act));
        }
        // By the whole path, so that the order is the same wherever the walk went first.
        listing.files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    /// The path from the folder.
    fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(self.folder.as_path()).unwrap_or(path).to_string_lossy().replace('\\', "/")
    }

    fn take(&mut self, roots: &Roots, path: &Path, name: String) {
        let resolved = path.to_str().and_then(|path| roots.existing(path).ok());
        match resolved {
            Some(path) if path.as_path().is_file() => self.files.push(ListedFile { path, name }),
            _ if path.is_symlink() => self.passed_over.links += 1,
            _ => self.passed_over.others += 1,
        }
    }

    fn nothing(&self, act: String) -> Error {
        let cause = match (&self.pattern, self.notes().first()) {
            (Some(pattern), None) => format!("no file in {} is named like {pattern}", self.folder),
            (Some(pattern), Some(note)) => format!("no file in {} is named like {pattern} ({note})", self.folder),
            (None, None) => "the folder is empty".to_owned(),
            (None, Some(note)) => format!("there is no file to read in the folder ({note})"),
        };
        Error::new(ErrorKind::InvalidInput, act, cause)
            .hint("docs/*.md are the files of a folder, docs/**/*.md those below it too")
    }

    /// Whether this file is one of them.
    pub fn holds(&self, file: &AllowedPath) -> bool {
        self.files.iter().any(|listed| listed.path == *file)
    }

    /// The text that finds it again.
    pub fn text(&self) -> String {
        match &self.pattern {
            Some(pattern) => format!("{}/{pattern}", self.folder.to_string().trim_end_matches('/')),
            None => self.folder.to_string(),
        }
    }

    /// The name of the folder.
    pub fn stem(&self) -> &str {
        self.folder.stem()
    }

    /// Tells whether it is still the same: the files, their sizes and when they were written. Cheap, where their
    /// contents may be films.
    pub fn hash(&self) -> String {
        let mut hasher = Xxh3::new();
        for file in &self.files {
            let metadata = file.path.as_path().metadata().ok();
            let written = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
            let written = written.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            hasher.update(file.name.as_bytes());
            hasher.update(&[0]);
            hasher.update(&metadata.map_or(u64::MAX, |metadata| metadata.len()).to_le_bytes());
            hasher.update(&written.map_or(0, |time| time.as_nanos()).to_le_bytes());
        }
        format!("{:032x}", hasher.digest128())
    }

    /// Takes files that are made of this data set out of it.
    pub fn leave_out(&mut self, made: &[&AllowedPath]) {
        let before = self.files.len();
        self.files.retain(|file| !made.contains(&&file.path));
        self.passed_over.own += before - self.files.len();
    }

    pub(super) fn files(&self) -> &[ListedFile] {
        &self.files
    }

    /// What was not taken, for the user.
    pub(super) fn notes(&self) -> Vec<String> {
        let PassedOver { hidden, own, links, others } = self.passed_over;
        let kinds = [
            (hidden, "hidden file or folder", "hidden files and folders"),
            (own, "file of this program's own", "files of this program's own"),
            (links, "link to a folder, to nowhere or outside", "links to folders, to nowhere or outside"),
            (others, "file that cannot be reached", "files that cannot be reached"),
        ];
        let kinds = kinds.iter().filter(|(count, ..)| *count > 0);
        let told: Vec<_> =
            kinds.map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many })).collect();
        if told.is_empty() { Vec::new() } else { vec![format!("passed over: {}", told.join(", "))] }
    }
}

/// The folder in front of the first wildcard, and the pattern behind it. A folder that exists is taken by its name,
/// even if there is a bracket in it.
fn split(roots: &Roots, text: &str) -> (String, String) {
    let mut folder = String::new();
    let mut rest = text;
    while let Some((part, behind)) = rest.split_once('/') {
        let longer = format!("{folder}{part}/");
        if part.contains(WILDCARDS) && !roots.base().join(&longer).is_dir() {
            break;
        }
        (folder, rest) = (longer, behind);
    }
    (folder, rest.to_owned())
}

fn matcher(pattern: &str) -> Result<GlobMatcher> {
    let wrong = |cause: String| {
        Error::new(ErrorKind::InvalidArgument, format!("reading the pattern {pattern:?}"), cause).hint(
            "* stands for a part of a name, ** for any folders, {a,b} for one of several, e.g. docs/**/*.{md,txt}",
        )
    };
    if pattern.split('/').any(|part| part == "..") {
        return Err(wrong("it leads upwards behind a wildcard".into()));
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    Ok(glob.map_err(|e| wrong(e.kind().to_string()))?.compile_matcher())
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}
