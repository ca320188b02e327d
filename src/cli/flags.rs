//! The flags of each command, and the verb's arguments they stand for.

mod build;
mod ledger;
mod results;
mod retry;
mod run;
mod status;

pub(super) use build::BuildFlags;
pub(super) use ledger::{ExportFlags, HistoryFlags, PruneFlags};
pub(super) use results::ResultsFlags;
pub(super) use retry::RetryFlags;
pub(super) use run::RunFlags;
pub(super) use status::StatusFlags;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::http::HttpFlags;
use crate::ops::cancel::CancelArgs;
use crate::ops::create::CreateArgs;
use crate::ops::delete::DeleteArgs;
use crate::ops::list::ListArgs;

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeFlags {
    /// How to serve over HTTP.
    #[command(flatten)]
    pub http: HttpFlags,
}

const CREATE_EXAMPLES: &str = "\
Examples:
  create products.requests.jsonl --dry-run
  create products.requests.jsonl --sample 50
  create products.requests.jsonl --max-cost-usd 5
  create products.requests.jsonl --model gemini-3.5-flash-lite --name products-lite
The kind (text, vectors, pictures, speech) and the model are those of `build`.";

/// `create`.
#[derive(Debug, Args)]
#[command(after_long_help = CREATE_EXAMPLES)]
pub struct CreateFlags {
    /// Request file, as `build` writes it: JSONL with {"key", "request"} a line
    file: String,
    /// Model [default: the one the file was built for]
    #[arg(long, short)]
    model: Option<String>,
    /// Readable start of the job's handle [default: the file's name]
    #[arg(long, short)]
    name: Option<String>,
    /// Check and estimate only; send nothing
    #[arg(long)]
    dry_run: bool,
    /// Submit only this many of the requests, spread over the file; its results tell what the whole would cost
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    sample: Option<i64>,
    /// Refuse if the high estimate is above this, or the price is unknown
    #[arg(long, value_name = "USD")]
    max_cost_usd: Option<f64>,
    /// Submit and pay again although the same content was submitted before
    #[arg(long)]
    new_run: bool,
    /// Cut the file into parts of at most so many requests; parts wait for room and go out one after the other
    #[arg(long, value_name = "N")]
    max_part_requests: Option<i64>,
    /// Cut the file into parts of at most so many bytes [default: what the API takes, 2 GB]
    #[arg(long, value_name = "BYTES")]
    max_part_bytes: Option<i64>,
    /// Queue priority among your own jobs, higher first
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i64>,
    /// HTTPS address that Google notifies when the job ends (repeatable)
    #[arg(long = "webhook-url", value_name = "URL")]
    webhook_urls: Vec<String>,
}

impl CreateFlags {
    pub(super) fn args(&self) -> CreateArgs {
        CreateArgs {
            input: Some(self.file.clone()),
            requests: None,
            model: self.model.clone(),
            name: self.name.clone(),
            dry_run: self.dry_run,
            sample: self.sample,
            max_cost_usd: self.max_cost_usd,
            new_run: self.new_run,
            priority: self.priority,
            webhook_urls: self.webhook_urls.clone(),
            max_part_requests: self.max_part_requests,
            max_part_bytes: self.max_part_bytes,
            outline: false,
            to_the_limit: 0,
            agreed: None,
        }
    }
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListFlags {
    /// Only jobs that are PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED or EXPIRED; or `queued`, or all `unfinished`
    #[arg(long)]
    state: Option<String>,
    /// Jobs a page, 100 at most [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=100))]
    limit: Option<i64>,
    /// The page after the one that gave this cursor
    #[arg(long)]
    cursor: Option<String>,
    /// Only jobs remembered here; do not ask the API
    #[arg(long)]
    local: bool,
}

impl ListFlags {
    pub(super) fn args(&self) -> ListArgs {
        ListArgs {
            state: self.state.clone(),
            limit: self.limit,
            cursor: self.cursor.clone(),
            remote: self.local.then_some(false),
        }
    }
}

/// `cancel`.
#[derive(Debug, Args)]
pub struct JobFlag {
    /// Handle of the job, its unique beginning, or a batches/… name
    job: String,
}

impl JobFlag {
    pub(super) fn args(&self) -> CancelArgs {
        CancelArgs { job: self.job.clone() }
    }
}

/// `delete`.
#[derive(Debug, Args)]
pub struct DeleteFlags {
    /// Handle of the job, its unique beginning, or a batches/… name
    job: String,
    /// Remove the uploaded request file too
    #[arg(long)]
    files: bool,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl DeleteFlags {
    pub(super) fn args(&self) -> DeleteArgs {
        DeleteArgs { job: self.job.clone(), files: self.files, dry_run: self.dry_run, confirm: true }
    }
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoFlags {
    /// Where the demo writes its files [default: a new temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub(super) dir: Option<PathBuf>,
}

/// `simulate`.
#[derive(Debug, Args)]
pub struct SimulateFlags {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub(super) port: u16,
    /// Where the simulator keeps its state [default: below the home folder]
    #[arg(long, value_name = "FOLDER")]
    pub(super) dir: Option<PathBuf>,
    /// How fast jobs go
    #[arg(long, value_enum, default_value_t = Pace::Demo)]
    pub(super) pace: Pace,
    /// Refuse a create that would bring the input tokens enqueued for a model above this
    #[arg(long, value_name = "N")]
    pub(super) max_enqueued_tokens: Option<u64>,
    /// Refuse a create while this many batches have not ended
    #[arg(long, value_name = "N")]
    pub(super) max_batches: Option<u64>,
    /// Refuse an upload that would bring the stored files above this
    #[arg(long, value_name = "BYTES")]
    pub(super) max_storage_bytes: Option<u64>,
    /// Move the clock by the whole seconds that this file says; it is read at each request, e.g. 176400 for 49 hours
    #[arg(long, value_name = "FILE")]
    pub(super) clock_file: Option<PathBuf>,
}

/// How fast simulated jobs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Pace {
    /// Minutes to hours, as at the API
    Realistic,
    /// Some seconds, enough to watch
    Demo,
    /// Done at once
    Instant,
}
