//! The command line: commands and what they say of themselves.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::Exit;
use super::flags::{
    BuildFlags, CreateFlags, DeleteFlags, DemoFlags, ExportFlags, HistoryFlags, JobFlag, ListFlags, PruneFlags,
    ResultsFlags, RetryFlags, RunFlags, ServeFlags, SimulateFlags, StatusFlags,
};
use crate::config::Flags;

const STORY: &str = "\
The four steps of a job:
  gemini-batch-mcp build products.csv --template 'Describe {{name}} in one sentence.'
  gemini-batch-mcp create products.requests.jsonl --max-cost-usd 5
  gemini-batch-mcp status products-3f9a1c2b7d10 --wait
  gemini-batch-mcp results products-3f9a1c2b7d10 --join -o products.answered.csv

Try them without key and cost: add --simulate to each, or run `gemini-batch-mcp demo`.
The API key is read from GOOGLE_API_KEY or GEMINI_API_KEY, and is needed from `create` on.";

const ABOUT: &str = "Thousands of prompts through the Gemini Batch API, at half the price, never paid twice";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "gemini-batch-mcp",
    version,
    about = ABOUT,
    long_about = long_about(),
    after_help = STORY,
    propagate_version = true,
    max_term_width = 110
)]
pub struct Cli {
    /// What to do. Nothing named: serve MCP on standard input and output.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings that every command shares.
    #[command(flatten, next_help_heading = "Settings")]
    pub flags: Flags,
    /// Print replies and errors as JSON on standard output.
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// No progress and no notes.
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP: to the client that started it, or over HTTP
    Serve(ServeFlags),
    /// Step 1: make a request file out of a data file and a template
    Build(BuildFlags),
    /// Step 2: submit a request file as one job; the same content again is the same job
    Create(CreateFlags),
    /// Step 3: tell where jobs stand, or wait for them
    Status(StatusFlags),
    /// Step 4: write a job's answers to a file
    Results(ResultsFlags),
    /// Submit the requests without a usable answer again, as a new job
    Retry(RetryFlags),
    /// Send what waits, look at all jobs, bring answers home; with --watch until all is done
    Run(RunFlags),
    /// List jobs, newest first
    List(ListFlags),
    /// Ask the API to stop a job
    Cancel(JobFlag),
    /// Remove an ended job from the API, once its answers are safe here
    Delete(DeleteFlags),
    /// Tell what happened to a job and its retries, and what was asked of the API
    History(HistoryFlags),
    /// Write what is remembered of jobs, their costs and their history as JSON
    Export(ExportFlags),
    /// Forget old jobs that are done with; shows them first, and does it with --yes
    Prune(PruneFlags),
    /// Check key, network, clock, folders and ledger, and say what to mend
    Doctor,
    /// Print one short line for a status bar: jobs running, done, failed; money today
    Statusline,
    /// See a whole job in a minute, without key and cost
    Demo(DemoFlags),
    /// Serve a pretended Gemini Batch API on this machine, for any client of it
    #[command(after_help = super::simulate::markers())]
    Simulate(SimulateFlags),
    /// Print completions for a shell
    #[command(
        hide = true,
        after_help = "Example, for bash:\n  gemini-batch-mcp completions bash > \
                                         ~/.local/share/bash-completion/completions/gemini-batch-mcp"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(hide = true, after_help = "Example:\n  gemini-batch-mcp man | man -l -")]
    Man,
}

fn long_about() -> String {
    let codes = Exit::ALL.map(|exit| format!("  {}  {}", exit.code(), exit.sentence())).join("\n");
    format!(
        "{ABOUT}.\n\nWithout a command it is an MCP server on standard input and output, for coding agents. \
         With one it does the same work at the shell.\n\nExit codes:\n{codes}"
    )
}
