//! Files that are not whole yet: they stand beside the file that they will be, under a name that nobody takes for it.
//!
//! Whoever writes one removes it when it fails. A process that was killed cannot: what it left is removed by the next
//! one that writes to the same folder. It is told by its name, and by its lock, which ends with the process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::NamedTempFile;

const PREFIX: &str = ".gemini-batch-";
const SUFFIX: &str = ".unfinished";

/// Longer than it takes from making a file to locking it.
const YOUNG: Duration = Duration::from_secs(60);

/// A new one in this folder.
pub(super) fn create(folder: &Path) -> io::Result<NamedTempFile> {
    remove_abandoned_once(folder);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // The file will be the user's own: give it the permissions any new file of theirs would have.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    // Elsewhere a lock keeps others from reading, and this process, too.
    #[cfg(unix)]
    if let Err(e) = file.as_file().lock() {
        tracing::debug!("no locks in {}: {e}", folder.display());
    }
    Ok(file)
}

/// Looks through a folder when this process first writes there: it may hold many files.
fn remove_abandoned_once(folder: &Path) {
    static SEEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let is_new = SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
    if cfg!(unix) && is_new {
        remove_abandoned(folder);
    }
}

fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_one && entry.file_type().is_ok_and(|kind| kind.is_file()) && is_abandoned(&entry.path()) {
            let removed = fs::remove_file(entry.path());
            tracing::debug!("removed {}, which was never finished: {removed:?}", entry.path().display());
        }
    }
}

/// Whether nobody has it open any more. Where locks do not work nobody can tell, and it stays.
fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let age = file.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > YOUNG) && file.try_lock().is_ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn old(file: &File) {
        file.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
    }

    #[test]
    fn only_what_nobody_writes_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let written = create(folder.path()).unwrap();
        old(written.as_file());
        let name = |name: &str| folder.path().join(name);
        for left in [".gemini-batch-abcdef.unfinished", ".gemini-batch-config", "mine.unfinished"] {
            old(&File::create(name(left)).unwrap());
        }
        File::create(name(".gemini-batch-young1.unfinished")).unwrap();
        remove_abandoned(folder.path());
        assert!(!name(".gemini-batch-abcdef.unfinished").exists());
        assert!(written.path().exists(), "it is locked");
        for other in [".gemini-batch-config", "mine.unfinished", ".gemini-batch-young1.unfinished"] {
            assert!(name(other).exists(), "{other}");
        }
    }
}
