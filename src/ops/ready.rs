//! Whether work can begin: the ledger can be read and written, and there is room for more.

use std::io::Write;
use std::path::Path;

use super::App;
use crate::error::{Error, Result};

/// What a small job keeps here: its keys, its requests, its row in the ledger.
const A_LITTLE: usize = 100 * 1024;

/// Fails where the ledger cannot be used, is held by another process for long, or the disk is full.
pub fn ready(app: &App) -> Result<()> {
    let home = &app.config().home;
    app.ledger()?.try_writing()?;
    has_room(home).map_err(|e| Error::io(format!("writing in {}", home.display()), e))
}

/// Writes something there that leaves nothing behind.
pub(super) fn has_room(folder: &Path) -> std::io::Result<()> {
    tempfile::tempfile_in(folder)?.write_all(&[0; A_LITTLE])
}
