//! The ledger's files: the database, what SQLite keeps beside it, the lock, and what was set aside.
//!
//! The database itself is never opened here, only looked at: on Unix, closing any handle of it would drop the locks
//! that SQLite holds in this process (<https://www.sqlite.org/howtocorrupt.html>, §2.2).

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use chrono::Utc;

use crate::error::{Error, Result};
use crate::job::Handle;
use crate::paths::create_private;

/// What SQLite keeps beside a database, by the endings of the names: recent commits, their index, an undo log.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Which file it is that lies at the ledger's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// Where everything is.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    main: PathBuf,
}

impl Files {
    /// The files of the ledger in this folder, which is made if it is not there.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let files = Self::perhaps_in(folder);
        files.make_folder()?;
        Ok(files)
    }

    /// The files of the ledger in this folder, if there is one. Nothing is made.
    pub(super) fn perhaps_in(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), main: folder.join("ledger.sqlite3") }
    }

    /// Damaged ones that were set aside, oldest first.
    pub(super) fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut kept: Vec<String> =
            names.filter(|name| name.starts_with("ledger.damaged") && name.ends_with(".sqlite3")).collect();
        kept.sort_unstable();
        kept.into_iter().map(|name| self.folder.join(name)).collect()
    }

    /// Makes the folder, which may be gone by now.
    pub(super) fn make_folder(&self) -> Result<()> {
        create_private(&self.folder).map_err(|e| {
            Error::io(format!("creating the ledger's folder {}", self.folder.display()), e)
                .hint("set GEMINI_BATCH_HOME to a folder that can be written")
        })
    }

    /// The database.
    pub(super) fn main(&self) -> &Path {
        &self.main
    }

    /// A whole new database, made of what could be read of a damaged one.
    pub(super) fn rescued(&self) -> PathBuf {
        self.folder.join("ledger.rescued.sqlite3")
    }

    /// The same, while it is being made.
    pub(super) fn being_rescued(&self) -> PathBuf {
        self.folder.join("ledger.rescued.part")
    }

    /// Where all of them are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// There while jobs of earlier days may be missing from the ledger.
    pub(super) fn incomplete(&self) -> PathBuf {
        self.folder.join("ledger.incomplete")
    }

    /// Which file the database is now; `None` while there is none, or an empty one.
    pub(super) fn identity(&self) -> Option<Identity> {
        let metadata = fs::metadata(&self.main).ok()?;
        (metadata.len() > 0).then(|| identity(&metadata))
    }

    /// Whether jobs were kept here before: their folders remain when the database is gone.
    pub(super) fn had_jobs(&self) -> bool {
        let entries = fs::read_dir(self.folder.join("jobs")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.into_iter().any(|name| Handle::parse(&name).is_some() || name.starts_with("batches-"))
    }

    /// Whether SQLite's files of recent commits hold anything. Beside an empty database SQLite would drop them. Their index
    /// alone holds nothing: whoever only reads leaves one behind.
    pub(super) fn has_leftovers(&self) -> bool {
        let commits = BESIDE.iter().filter(|ending| **ending != "-shm");
        commits.into_iter().any(|ending| fs::metadata(beside(&self.main, ending)).is_ok_and(|file| file.len() > 0))
    }

    /// Whether the database ends within a page. What recent commits hold may be on its way there.
    pub(super) fn is_cut_off(&self, page: u64) -> bool {
        let length = |file: &Path| fs::metadata(file).map_or(0, |file| file.len());
        length(&beside(&self.main, "-wal")) == 0 && !length(&self.main).is_multiple_of(page)
    }

    /// Renames the database and what lies beside it to `ledger.damaged-TIME.sqlite3`; that name.
    pub(super) fn set_aside(&self) -> Result<PathBuf> {
        let kept = self.free_name();
        let failed = |e| {
            Error::io(format!("setting {} aside", self.main.display()), e)
                .hint("end other programs that use it, then make the same call again")
        };
        rename(&self.main, &kept).map_err(failed)?;
        for ending in BESIDE {
            rename(&beside(&self.main, ending), &beside(&kept, ending)).map_err(failed)?;
        }
        Ok(kept)
    }

    /// Puts the rescued database in the place of the one that was set aside.
    pub(super) fn put_rescued(&self) -> Result<()> {
        rename(&self.rescued(), &self.main)
            .map_err(|e| Error::io(format!("putting the rescued ledger at {}", self.main.display()), e))
    }

    /// Removes what an interrupted rescue left.
    pub(super) fn clear_rescued(&self) -> Result<()> {
        let part = self.being_rescued();
        let files = BESIDE.iter().map(|ending| beside(&part, ending)).chain([part.clone(), self.rescued()]);
        for file in files {
            match fs::remove_file(&file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("removing {}", file.display()), e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the rescued database its name, now that it is whole.
    pub(super) fn rescued_whole(&self) -> Result<()> {
        rename(&self.being_rescued(), &self.rescued())
            .map_err(|e| Error::io(format!("writing {}", self.rescued().display()), e))
    }

    /// Notes that jobs may be missing, durably.
    pub(super) fn mark_incomplete(&self) -> Result<()> {
        File::create(self.incomplete())
            .and_then(|file| file.sync_all())
            .map_err(|e| Error::io(format!("writing {}", self.incomplete().display()), e))
    }

    fn free_name(&self) -> PathBuf {
        let time = Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
        let name = |n: u32| if n == 0 { time.clone() } else { format!("{time}-{n}") };
        let mut names = (0..).map(|n| self.folder.join(format!("ledger.damaged-{}.sqlite3", name(n))));
        let is_free = |path: &PathBuf| !path.exists() && BESIDE.iter().all(|ending| !beside(path, ending).exists());
        names.find(is_free).unwrap_or_else(|| self.folder.join("ledger.damaged.sqlite3"))
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Moves a file, if it is there.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity(metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Identity {
    let since = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Identity(0, since.map_or(0, |since| since.as_nanos() as u64))
}
