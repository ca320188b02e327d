//! Which files this program may touch.
//!
//! Paths arrive through a model, which may be repeating a stranger's text. So every path given by a
//! caller becomes an [`AllowedPath`] first, which only [`Roots`] can make, and the functions that
//! touch files take nothing else. Symbolic links are resolved before the check.

mod address;
mod private;
mod unfinished;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::path::{Component, Path, PathBuf};

pub use private::{create_private, is_open_to_others};

use crate::error::{Error, ErrorKind, Result};

/// How much of two files is compared at once.
const BLOCK: usize = 256 * 1024;

/// The folders below which files may be read and written.
#[derive(Debug, Clone)]
pub struct Roots {
    folders: Vec<PathBuf>,
    /// A folder below them in which nothing may be written.
    kept: Option<PathBuf>,
}

/// A path that lies below an allowed root, links resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowedPath(PathBuf);

/// A folder that lies below an allowed root, links resolved. It need not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedFolder(PathBuf);

/// What shells call standard input and output is none here: files are read twice, and written whole or not at all.
fn refuse_stream(path: &str, act: &str) -> Result<()> {
    let is_stream = path == "-"
        || ["/dev/stdin", "/dev/stdout", "/dev/fd/", "/proc/self/fd/"].iter().any(|dev| path.starts_with(dev));
    if !is_stream {
        return Ok(());
    }
    let cause = "standard input and output are not read and written here";
    Err(Error::new(ErrorKind::InvalidArgument, format!("{act} {path}"), cause)
        .hint("name a file; one that is called - is ./-"))
}

impl Roots {
    /// The given folders, which must exist. The first one is where relative paths start.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        let folders = folders
            .into_iter()
            .map(|folder| {
                let act = || format!("opening the allowed folder {}", folder.display());
                let resolved = folder.canonicalize().map_err(|e| Error::io(act(), e))?;
                if !resolved.is_dir() {
                    return Err(Error::new(ErrorKind::InvalidArgument, act(), "it is no folder")
                        .hint("name the folder that it lies in"));
                }
                Ok(resolved)
            })
            .collect::<Result<Vec<_>>>()?;
        if folders.is_empty() {
            return Err(Error::internal("setting the allowed folders", "none was given"));
        }
        Ok(Self { folders, kept: None })
    }

    /// The same, but nothing may be written below `folder`, which need not exist yet.
    #[must_use]
    pub fn keeping(self, folder: PathBuf) -> Self {
        Self { kept: Some(folder), ..self }
    }

    /// The allowed folders.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Where relative paths start.
    pub fn base(&self) -> &Path {
        self.folders.first().map_or(Path::new("."), PathBuf::as_path)
    }

    /// A path to read: it must exist below a root.
    pub fn existing(&self, path: &str) -> Result<AllowedPath> {
        refuse_stream(path, "opening")?;
        let full = self.absolute(path)?;
        let resolved = full.canonicalize().map_err(|e| {
            Error::io(format!("opening {path}"), e)
                .hint(format!("relative paths start at {}; give the path of a file that exists", self.base().display()))
        })?;
        self.check(path, resolved)
    }

    /// A path to write: its folder must exist below a root, the file itself need not.
    pub fn writable(&self, path: &str) -> Result<AllowedPath> {
        let full = self.absolute(path)?;
        let act = || format!("preparing to write {path}");
        refuse_stream(path, "preparing to write")?;
        if full.is_dir() {
            return Err(Error::new(ErrorKind::InvalidArgument, act(), "it is a folder").hint("name a file inside it"));
        }
        if let Ok(resolved) = full.canonicalize() {
            return self.check_writable(path, resolved);
        }
        // A dangling link would be followed by a later write: refuse it like any other escape.
        let (Some(parent), Some(Component::Normal(name))) = (full.parent(), full.components().next_back()) else {
            return Err(Error::new(ErrorKind::InvalidArgument, act(), "it does not name a file"));
        };
        let parent = parent.canonicalize().map_err(|e| {
            Error::io(act(), e).hint(format!("the folder {} must exist; create it first", parent.display()))
        })?;
        if full.symlink_metadata().is_ok() {
            return Err(
                Error::new(ErrorKind::PathNotAllowed, act(), "it is a link to nowhere").hint("name another file")
            );
        }
        self.check_writable(path, parent.join(name))
    }

    /// A folder to write files in: the one above it must exist below a root, the folder itself need not.
    pub fn writable_folder(&self, path: &str) -> Result<AllowedFolder> {
        let full = self.absolute(path)?;
        if full.is_dir() {
            // As if it were a file in it: the folder itself may be a root.
            let inside = full.join("file");
            let file = self.writable(&inside.to_string_lossy())?;
            return Ok(AllowedFolder(file.0.parent().map_or_else(|| file.0.clone(), Path::to_path_buf)));
        }
        let folder = self.writable(path)?;
        if folder.exists() {
            let act = format!("preparing to write in {path}");
            return Err(Error::new(ErrorKind::InvalidArgument, act, "it is a file").hint("name a folder"));
        }
        Ok(AllowedFolder(folder.0))
    }

    fn check_writable(&self, asked: &str, resolved: PathBuf) -> Result<AllowedPath> {
        let kept = self.kept.as_ref().map(|kept| kept.canonicalize().unwrap_or_else(|_| kept.clone()));
        if kept.is_some_and(|kept| resolved.starts_with(kept)) {
            let act = format!("preparing to write {asked}");
            return Err(Error::new(ErrorKind::PathNotAllowed, act, "it lies in the folder where jobs are remembered")
                .hint("name a file elsewhere"));
        }
        self.check(asked, resolved)
    }

    fn absolute(&self, path: &str) -> Result<PathBuf> {
        Ok(self.base().join(&*address::path_of(path)?))
    }

    fn check(&self, asked: &str, resolved: PathBuf) -> Result<AllowedPath> {
        if self.folders.iter().any(|root| resolved.starts_with(root)) {
            return Ok(AllowedPath(resolved));
        }
        let folders: Vec<_> = self.folders.iter().map(|f| f.display().to_string()).collect();
        Err(Error::new(
            ErrorKind::PathNotAllowed,
            format!("opening {asked}"),
            format!("it lies outside the allowed folders ({})", folders.join(", ")),
        )
        .hint("move the file there, or start the server with --root FOLDER (or GEMINI_BATCH_ROOTS) naming its folder"))
    }
}

impl AllowedFolder {
    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder, if it is not there.
    pub fn create(&self) -> Result<()> {
        let act = || format!("creating {self}");
        match std::fs::create_dir(&self.0) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io(act(), e)),
            _ => {}
        }
        match self.0.canonicalize() {
            Ok(there) if there == self.0 && there.is_dir() => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::PathNotAllowed, act(), "it is a link, or no folder")),
            Err(e) => Err(Error::io(act(), e)),
        }
    }

    /// A file of this name in it, there or not. A link is refused.
    pub fn file(&self, name: &str) -> Result<AllowedPath> {
        let path = self.0.join(name);
        let refused = |cause: &str| Error::new(ErrorKind::PathNotAllowed, format!("preparing to write {name}"), cause);
        let is_name = matches!(Path::new(name).components().collect::<Vec<_>>().as_slice(), [Component::Normal(_)]);
        if !is_name || path.is_symlink() {
            return Err(refused(if is_name { "it is a link" } else { "it is not the name of a file" }));
        }
        Ok(AllowedPath(path))
    }
}

impl std::fmt::Display for AllowedFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

impl AllowedPath {
    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The file's name without its last extension.
    pub fn stem(&self) -> &str {
        self.0.file_stem().and_then(|stem| stem.to_str()).unwrap_or("data")
    }

    /// The file beside this one whose name ends in `ending` too: `a.npy.keys` beside `a.npy`.
    pub fn beside(&self, ending: &str) -> Result<Self> {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        let path = self.0.with_file_name(name);
        if path.is_symlink() {
            let act = format!("preparing to write {}", path.display());
            return Err(Error::new(ErrorKind::PathNotAllowed, act, "it is a link").hint("name another output"));
        }
        Ok(Self(path))
    }

    /// A file without a name in the same folder, to be written and read again. It is gone when it is closed.
    pub fn scratch(&self) -> Result<File> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        tempfile::tempfile_in(folder).map_err(|e| Error::io(format!("creating a temporary file beside {self}"), e))
    }

    /// Opens a regular file for reading; says so when it is a folder, a pipe or a device.
    pub fn open(&self) -> Result<File> {
        let act = || format!("opening {self}");
        let metadata = std::fs::metadata(&self.0).map_err(|e| Error::io(act(), e))?;
        if !metadata.is_file() {
            let what =
                if metadata.is_dir() { "it is a folder" } else { "it is a pipe or a device, not a regular file" };
            return Err(Error::new(ErrorKind::InvalidInput, act(), what).hint("give the path of a regular file"));
        }
        OpenOptions::new().read(true).open(&self.0).map_err(|e| Error::io(act(), e))
    }

    /// Whether a file is there already.
    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    /// A temporary file in the same folder, to be [persisted](Self::persist) here when it is whole. What processes that
    /// were killed left of such files there is removed.
    pub fn temporary(&self) -> Result<tempfile::NamedTempFile> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        unfinished::create(folder).map_err(|e| Error::io(format!("creating a temporary file beside {self}"), e))
    }

    /// Moves a finished temporary file here, as [`persist`](Self::persist) does, unless a file with the very
    /// same content is here already: then that one is left alone, and this returns `true`.
    pub fn persist_if_new(&self, file: tempfile::NamedTempFile, overwrite: bool) -> Result<bool> {
        if self.exists() && self.has_content_of(&file)? {
            return Ok(true);
        }
        let written = file.reopen().map_err(|e| Error::io(format!("writing {self}"), e))?;
        match self.persist(file, overwrite) {
            // Another process wrote it meanwhile.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && self.has_content(written)? => Ok(true),
            persisted => persisted.map(|()| false),
        }
    }

    /// Whether a finished temporary file would take the place of a file with other content.
    pub fn would_lose_to(&self, file: &tempfile::NamedTempFile) -> Result<bool> {
        Ok(self.exists() && !self.has_content_of(file)?)
    }

    fn has_content_of(&self, written: &tempfile::NamedTempFile) -> Result<bool> {
        self.has_content(written.reopen().map_err(|e| Error::io(format!("comparing with {self}"), e))?)
    }

    fn has_content(&self, of: File) -> Result<bool> {
        same_content(self.open()?, of).map_err(|e| Error::io(format!("comparing with {self}"), e))
    }

    /// Moves a finished temporary file here, durably. Without `overwrite` an existing file is kept and
    /// the call fails with [`ErrorKind::AlreadyExists`].
    pub fn persist(&self, file: tempfile::NamedTempFile, overwrite: bool) -> Result<()> {
        let act = || format!("writing {self}");
        file.as_file().sync_all().map_err(|e| Error::io(act(), e))?;
        let moved = if overwrite { file.persist(&self.0) } else { file.persist_noclobber(&self.0) };
        match moved {
            Ok(_) => {
                sync_folder(&self.0);
                Ok(())
            }
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::new(ErrorKind::AlreadyExists, act(), "a file of that name exists")
                    .hint("choose another output, or pass overwrite: true to replace it"))
            }
            Err(e) => Err(Error::io(act(), e.error)),
        }
    }
}

/// A new name lasts through a power failure once its folder is on the disk. Not every file system can be asked for that.
fn sync_folder(path: &Path) {
    if cfg!(unix)
        && let Some(folder) = path.parent()
        && let Err(e) = File::open(folder).and_then(|folder| folder.sync_all())
    {
        tracing::debug!("{} cannot be synchronized: {e}", folder.display());
    }
}

/// Whether two files hold the same bytes.
fn same_content(one: File, other: File) -> io::Result<bool> {
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::with_capacity(BLOCK, one), BufReader::with_capacity(BLOCK, other));
    loop {
        let (a, b) = (one.fill_buf()?, other.fill_buf()?);
        let length = a.len().min(b.len());
        if a.get(..length) != b.get(..length) {
            return Ok(false);
        }
        if length == 0 {
            return Ok(a.is_empty() && b.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}

impl std::fmt::Display for AllowedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("a.txt"), "a").unwrap();
        std::fs::write(folder.path().join("secret.txt"), "s").unwrap();
        let roots = Roots::new([inside]).unwrap();
        (folder, roots)
    }

    #[test]
    fn files_below_a_root_are_allowed() {
        let (_folder, roots) = roots();
        assert!(roots.existing("a.txt").is_ok());
        assert!(roots.writable("new.txt").is_ok());
    }

    #[test]
    fn dots_links_and_absolute_paths_do_not_lead_out() {
        let (folder, roots) = roots();
        let outside = folder.path().join("secret.txt");
        std::os::unix::fs::symlink(&outside, roots.base().join("link.txt")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nothing"), roots.base().join("dangling")).unwrap();
        for path in ["../secret.txt", "link.txt", outside.to_str().unwrap()] {
            assert_eq!(roots.existing(path).unwrap_err().kind(), ErrorKind::PathNotAllowed, "{path}");
            assert_eq!(roots.writable(path).unwrap_err().kind(), ErrorKind::PathNotAllowed, "{path}");
        }
        for path in ["../new.txt", "dangling"] {
            assert_eq!(roots.writable(path).unwrap_err().kind(), ErrorKind::PathNotAllowed, "{path}");
        }
    }

    #[test]
    fn an_existing_file_is_kept_unless_overwrite_is_asked() {
        let (_folder, roots) = roots();
        let path = roots.writable("a.txt").unwrap();
        let error = path.persist(path.temporary().unwrap(), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(path.as_path()).unwrap(), "a");
        path.persist(path.temporary().unwrap(), true).unwrap();
        assert_eq!(std::fs::read_to_string(path.as_path()).unwrap(), "");
    }

    #[test]
    fn the_same_content_written_by_two_at_once_is_fine_for_both() {
        let (_folder, roots) = roots();
        for round in 0..50 {
            let path = roots.writable(&format!("new-{round}")).unwrap();
            let start = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let file = path.temporary().unwrap();
                        start.wait();
                        path.persist_if_new(file, false).unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn what_is_remembered_of_jobs_is_never_written_over() {
        let (_folder, roots) = roots();
        let home = roots.base().join("home");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("ledger"), "l").unwrap();
        std::os::unix::fs::symlink(home.join("ledger"), roots.base().join("innocent")).unwrap();
        assert!(roots.writable("home/ledger").is_ok());
        let roots = roots.keeping(home);
        for path in ["home/ledger", "home/new", "innocent", "home/../home/ledger"] {
            assert_eq!(roots.writable(path).unwrap_err().kind(), ErrorKind::PathNotAllowed, "{path}");
        }
        assert!(roots.existing("home/ledger").is_ok());
        assert!(roots.writable("new").is_ok());
    }

    #[test]
    fn a_folder_of_files_is_made_below_a_root_and_holds_names_only() {
        let (folder, roots) = roots();
        let made = roots.writable_folder("made").unwrap();
        made.create().unwrap();
        made.create().unwrap();
        assert_eq!(made.file("a.png").unwrap().as_path(), made.as_path().join("a.png"));
        for name in ["../a.png", "b/a.png", "..", "", "/a.png"] {
            assert_eq!(made.file(name).unwrap_err().kind(), ErrorKind::PathNotAllowed, "{name}");
        }
        assert_eq!(roots.writable_folder(".").unwrap().as_path(), roots.base());
        assert_eq!(roots.writable_folder("a.txt").unwrap_err().kind(), ErrorKind::InvalidArgument);
        for outside in ["..", "../new", folder.path().to_str().unwrap()] {
            assert_eq!(roots.writable_folder(outside).unwrap_err().kind(), ErrorKind::PathNotAllowed, "{outside}");
        }
    }

    #[test]
    fn what_is_written_beside_a_file_is_no_link() {
        let (folder, roots) = roots();
        let path = roots.writable("a.npy").unwrap();
        assert_eq!(path.beside(".keys").unwrap().as_path(), roots.base().join("a.npy.keys"));
        std::os::unix::fs::symlink(folder.path().join("secret.txt"), roots.base().join("a.npy.keys")).unwrap();
        assert_eq!(path.beside(".keys").unwrap_err().kind(), ErrorKind::PathNotAllowed);
    }

    #[test]
    fn only_a_folder_is_a_root() {
        let (folder, roots) = roots();
        assert!(Roots::new([folder.path().to_owned(), roots.base().join("a.txt")]).is_err());
    }

    #[test]
    fn a_folder_is_not_a_file() {
        let (_folder, roots) = roots();
        assert_eq!(roots.existing(".").unwrap().open().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
