//! `simulate`: the simulator alone, for any client of the Gemini API.

use super::Exit;
use super::flags::SimulateFlags;
use super::output::Output;
use super::terminal::TerminalMonitor;
use crate::config::Flags;
use crate::error::{Error, Result};

/// To come.
#[expect(clippy::unused_async, reason = "a stub")]
pub(super) async fn simulate(_: &Flags, _: &SimulateFlags, _: Output, _: &TerminalMonitor) -> Result<Exit> {
    Err(Error::internal("simulate", "not there yet"))
}
