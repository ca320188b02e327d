//! `retry`: flags as the tool's words.

use clap::Args;

use super::results::outcome_parser;
use crate::cli::input::object;
use crate::error::Result;
use crate::job::Outcome;
use crate::ops::retry::RetryArgs;

/// `retry`.
#[derive(Debug, Args)]
pub struct RetryFlags {
    /// Handle of the job that ended, or its unique beginning
    job: String,
    /// Repeat requests with this outcome (repeatable) [default: all but answered]
    #[arg(long = "outcome", value_name = "OUTCOME", value_parser = outcome_parser())]
    outcomes: Vec<Outcome>,
    /// Another model
    #[arg(long, short)]
    model: Option<String>,
    /// generationConfig fields to change, as JSON or @FILE, e.g. '{"maxOutputTokens": 4096}'
    #[arg(long, value_name = "JSON")]
    generation_config: Option<String>,
    /// Check and estimate only; send nothing
    #[arg(long)]
    dry_run: bool,
    /// Refuse if the high estimate is above this, or the price is unknown
    #[arg(long, value_name = "USD")]
    max_cost_usd: Option<f64>,
}

impl RetryFlags {
    pub(in crate::cli) fn args(&self) -> Result<RetryArgs> {
        let config = self.generation_config.as_deref().map(|given| object("--generation-config", given));
        Ok(RetryArgs {
            job: self.job.clone(),
            outcomes: self.outcomes.clone(),
            model: self.model.clone(),
            generation_config: config.transpose()?,
            dry_run: self.dry_run,
            max_cost_usd: self.max_cost_usd,
            agreed: None,
        })
    }
}
