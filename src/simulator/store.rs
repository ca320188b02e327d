//! The folder in which a simulator remembers.
//!
//! One directory an upload, a file, a batch. Records are written to a temporary file and renamed, so
//! that several simulators, in several processes, can share a folder: whoever reads sees a record
//! whole or not at all. Nothing is locked but the moment in which a batch takes its room.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a directory is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Uploads,
    Files,
    Batches,
    /// Batches that are being made: what looks through the others does not meet them.
    Drafts,
    /// Batches whose end somebody is to be told of; nothing is inside.
    Webhooks,
    /// Projects whose key is refused; nothing is inside.
    RevokedKeys,
    /// What is being deleted.
    Trash,
}

impl Shelf {
    const ALL: [Self; 7] =
        [Self::Uploads, Self::Files, Self::Batches, Self::Drafts, Self::Webhooks, Self::RevokedKeys, Self::Trash];

    fn folder(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::Drafts => "drafts",
            Self::Webhooks => "webhooks",
            Self::RevokedKeys => "revoked-keys",
            Self::Trash => "trash",
        }
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens the folder, making it if needed.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        for shelf in Shelf::ALL {
            fs::create_dir_all(folder.join(shelf.folder()))?;
        }
        Ok(Self { folder })
    }

    /// The directory of one thing. `id` must have passed [`is_id`].
    pub(super) fn place(&self, shelf: Shelf, id: &str) -> PathBuf {
        self.folder.join(shelf.folder()).join(id)
    }

    /// Makes the directory of a new thing; fails where there is one.
    pub(super) fn make(&self, shelf: Shelf, id: &str) -> io::Result<PathBuf> {
        let place = self.place(shelf, id);
        fs::create_dir(&place)?;
        Ok(place)
    }

    /// Puts a thing on another shelf: there at once, whole.
    pub(super) fn move_to(&self, shelf: Shelf, id: &str, from: Shelf) -> io::Result<()> {
        fs::rename(self.place(from, id), self.place(shelf, id))
    }

    /// The ids of all things on a shelf.
    pub(super) fn ids(&self, shelf: Shelf) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.folder.join(shelf.folder()))? {
            ids.extend(entry?.file_name().into_string());
        }
        Ok(ids)
    }

    /// Waits until nobody else, in any process, has the turn. It ends when the answer is dropped.
    ///
    /// For the few acts that look and then write, and must not find the same room twice.
    pub(super) fn turn(&self) -> io::Result<fs::File> {
        let turn = fs::File::create(self.folder.join("turn.lock"))?;
        turn.lock()?;
        Ok(turn)
    }

    /// Removes a thing: gone at once for everybody who looks, its bytes a moment later.
    pub(super) fn discard(&self, shelf: Shelf, id: &str) -> io::Result<()> {
        let trash = self.place(Shelf::Trash, &new_id(24));
        fs::rename(self.place(shelf, id), &trash)?;
        fs::remove_dir_all(trash)
    }
}

/// Whether a name from a URL is safe as the name of a directory.
pub(super) fn is_id(name: &str) -> bool {
    (1..=60).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A new random id of lower-case letters and digits.
pub(super) fn new_id(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = fastrand::Rng::new();
    (0..length).filter_map(|_| rng.choice(LETTERS)).map(|&letter| char::from(letter)).collect()
}

/// Writes a record, replacing the one that may be there.
pub(super) fn write_record(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let temporary = temporary_beside(path);
    fs::write(&temporary, serde_json::to_vec(record)?)?;
    fs::rename(temporary, path)
}

/// Writes a record unless there is one. The first of two writers wins.
pub(super) fn write_record_once(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let temporary = temporary_beside(path);
    fs::write(&temporary, serde_json::to_vec(record)?)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(temporary)?;
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// Reads a record; `None` where there is none.
pub(super) fn read_record<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// A name in the same directory that nobody else uses.
pub(super) fn temporary_beside(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.tmp", new_id(12)))
}

/// Gives a file a second name; copies it where the disk knows no second names.
pub(super) fn keep_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leaves_the_folder_is_no_id() {
        assert!(is_id("batch-o08hk76gv328"));
        for name in ["", "..", ".", "a/b", "a\\b", "-a", "a-", "A", "a.json", &"a".repeat(61)] {
            assert!(!is_id(name), "{name}");
        }
    }

    #[test]
    fn the_first_of_two_records_written_once_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cancelled.json");
        write_record_once(&path, &1).unwrap();
        write_record_once(&path, &2).unwrap();
        assert_eq!(read_record::<u32>(&path).unwrap(), Some(1));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
