//! `history`, `export` and `prune`: what the ledger holds, shown, written and tidied.

use clap::Args;

use crate::cli::Exit;
use crate::cli::output::{LongOutput, Output};
use crate::error::Result;
use crate::ops::App;
use crate::ops::export::{self, ExportArgs};
use crate::ops::history::HistoryArgs;
use crate::ops::prune::PruneArgs;

const HISTORY_EXAMPLES: &str = "\
Examples:
  history products-3f9a1c2b7d10
  history products --all --calls --json";

/// `history`.
#[derive(Debug, Args)]
#[command(after_long_help = HISTORY_EXAMPLES)]
pub struct HistoryFlags {
    /// Handle of the job, its unique beginning, or a batches/… name
    job: String,
    /// The newest so many events [default: 50]
    #[arg(long, value_name = "N", conflicts_with = "all", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// All events
    #[arg(long)]
    all: bool,
    /// Calls of the API, too: which, with what outcome, how long it took
    #[arg(long)]
    calls: bool,
}

impl HistoryFlags {
    pub(in crate::cli) fn args(&self) -> HistoryArgs {
        HistoryArgs { job: self.job.clone(), limit: self.limit, all: self.all, calls: self.calls }
    }
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  export --output ledger.json
  export | jq '.jobs[] | {handle, model, high_usd}'
One JSON object: format, version (1), exported_at, and the lists jobs (each with its parts), builds, uploads and events,
a record a line. Never holds keys, prompts, answers, or the right to upload.";

/// `export`.
#[derive(Debug, Args)]
#[command(after_long_help = EXPORT_EXAMPLES)]
pub struct ExportFlags {
    /// File to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<String>,
    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    overwrite: bool,
}

impl ExportFlags {
    pub(in crate::cli) fn run(&self, app: &App, output: Output) -> Result<Exit> {
        let Some(file) = &self.output else {
            export::stream(app, &mut LongOutput::new())?;
            return Ok(Exit::Success);
        };
        output.reply(&export::export(app, &ExportArgs { output: file.clone(), overwrite: self.overwrite })?)
    }
}

const PRUNE_EXAMPLES: &str = "\
Examples:
  prune --older-than 90
  prune --older-than 90 --export jobs-before-spring.json --yes
Only jobs that have ended, whose answers were collected or that were deleted at the API, and that no unfinished retry or
later job needs. Their keys and answers on this machine go too; files of answers that you had written stay.
Mind: the same content submitted again is then no longer known here. It is looked up at the API, and if it is gone there
too, it is submitted and paid again.";

/// `prune`.
#[derive(Debug, Args)]
#[command(after_long_help = PRUNE_EXAMPLES)]
pub struct PruneFlags {
    /// Jobs that ended more than so many days ago
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..))]
    older_than: i64,
    /// Only show what would go, which is the default
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Remove them
    #[arg(long)]
    yes: bool,
    /// First write what is remembered of these jobs to this new file
    #[arg(long, value_name = "FILE")]
    export: Option<String>,
}

impl PruneFlags {
    pub(in crate::cli) fn args(&self) -> PruneArgs {
        PruneArgs { older_than_days: self.older_than, yes: self.yes && !self.dry_run, export: self.export.clone() }
    }
}
