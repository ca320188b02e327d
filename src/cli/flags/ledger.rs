//! `history`, `export` and `prune`: what the ledger holds, shown, written and tidied.

use clap::Args;

use crate::ops::history::HistoryArgs;

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
