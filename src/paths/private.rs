//! Folders of this program's own: what jobs are made of and what came back is nobody else's.

use std::fs::DirBuilder;
use std::io;
use std::path::Path;

/// Makes a folder, and those above it that are not there, for this user alone. Those that are there stay as they are.
pub fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Whether other users of this machine come as far as this folder and may look into it. Where nobody can tell: no.
#[cfg(unix)]
pub fn is_open_to_others(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    const LOOK_OR_PASS: u32 = 0o005;
    const PASS: u32 = 0o001;
    let Ok(folder) = folder.canonicalize() else { return false };
    let allows = |path: &Path, what: u32| path.metadata().is_ok_and(|metadata| metadata.mode() & what != 0);
    allows(&folder, LOOK_OR_PASS) && folder.ancestors().skip(1).all(|above| allows(above, PASS))
}

#[cfg(not(unix))]
pub fn is_open_to_others(_folder: &Path) -> bool {
    false
}
