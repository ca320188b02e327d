//! `demo`: the whole way of a job on the simulator, without key and cost.

use super::Exit;
use super::flags::DemoFlags;
use super::output::Output;
use super::terminal::TerminalMonitor;
use crate::config::Flags;
use crate::error::{Error, Result};

/// To come.
#[expect(clippy::unused_async, reason = "a stub")]
pub(super) async fn demo(_: &Flags, _: &DemoFlags, _: Output, _: &TerminalMonitor) -> Result<Exit> {
    Err(Error::internal("demo", "not there yet"))
}
