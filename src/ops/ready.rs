//! Whether work can begin: the ledger can be opened and read.

use super::App;
use crate::error::Result;

/// Fails where the ledger cannot be used. May wait for another process that holds it.
pub fn ready(app: &App) -> Result<()> {
    app.ledger()?.by_remote_name("").map(drop)
}
