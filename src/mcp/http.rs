//! The server over HTTP, on this machine only.

use crate::error::{Error, Result};
use crate::ops::App;

/// To come.
pub async fn serve(_app: App, _address: &str) -> Result<()> {
    Err(Error::internal("serving over HTTP", "not there yet"))
}
