//! Whether anybody has chosen the model of a job yet.

use super::App;
use super::create::CreateArgs;
use super::off_thread::off_thread;
use super::retry::sha256_of;
use crate::error::{Error, Result};
use crate::progress::Monitor;

/// Who chose the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The call, or the build of the file.
    Made,
    /// An earlier submission of the same file, which this call is to find again.
    Earlier(String),
    /// Nobody: the usual one would be taken.
    Open,
}

/// Who chose the model of a submission. A few requests given in the call go to the usual one.
pub async fn of_model(app: &App, args: &CreateArgs, monitor: &dyn Monitor) -> Result<Choice> {
    let Some(input) = args.input.as_ref().filter(|_| args.model.is_none()) else { return Ok(Choice::Made) };
    let file = app.roots().existing(input)?;
    let act = format!("reading {file}");
    let sha256 = off_thread(monitor, move |_| sha256_of(&mut file.open()?).map_err(|e| Error::io(act, e))).await?;
    let ledger = app.ledger()?;
    if ledger.build_origin(&sha256)?.is_some_and(|origin| origin.model.is_some()) {
        return Ok(Choice::Made);
    }
    Ok(ledger.model_of_file(&sha256)?.map_or(Choice::Open, Choice::Earlier))
}
