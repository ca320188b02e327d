//! `export`: what is remembered of jobs, their costs and their history, as JSON. The form: [`crate::ledger::export`].

use std::fmt;
use std::io::{BufWriter, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use crate::error::{Error, Result};
use crate::job::Handle;
use crate::job::outcome::counted;
use crate::ledger::export::Exported;

/// Where to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExportArgs {
    /// File to write.
    pub output: String,
    /// Replace the file if it exists.
    pub overwrite: bool,
}

/// What was written.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExportReply {
    /// The file.
    pub path: String,
    /// Jobs in it.
    pub jobs: i64,
    /// Request files whose making is in it.
    pub builds: i64,
    /// Uploaded media in it.
    pub uploads: i64,
    /// Events in it.
    pub events: i64,
    /// What to call next.
    pub next: String,
}

impl fmt::Display for ExportReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} in {}", counted(self.jobs, "job"), counted(self.events, "event"), self.path)?;
        write!(f, "next: {}", self.next)
    }
}

/// Writes the whole ledger to a file, which appears whole or not at all.
pub fn export(app: &App, args: &ExportArgs) -> Result<ExportReply> {
    let (path, exported) = to_file(app, &args.output, args.overwrite, None)?;
    let Exported { jobs, builds, uploads, events } = exported;
    Ok(ExportReply { path, jobs, builds, uploads, events, next: "nothing".to_owned() })
}

/// Writes the whole ledger to where it is wanted.
pub fn stream(app: &App, sink: &mut dyn Write) -> Result<()> {
    app.ledger()?.export(sink, None).map(drop)
}

/// The path written, and what is in it.
pub(super) fn to_file(app: &App, output: &str, overwrite: bool, only: Option<&[Handle]>) -> Result<(String, Exported)> {
    let path = app.roots().writable(output)?;
    let temporary = path.temporary()?;
    let mut sink = BufWriter::new(temporary.as_file());
    let exported = app.ledger()?.export(&mut sink, only)?;
    sink.flush().map_err(|e| Error::io(format!("writing {path}"), e))?;
    drop(sink);
    path.persist(temporary, overwrite)?;
    Ok((path.to_string(), exported))
}
