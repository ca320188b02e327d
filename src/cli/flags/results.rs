//! `results`: flags as the tool's words, and what the answers mean for the exit code.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::error::Result;
use crate::job::{JobState, Outcome};
use crate::ops::App;
use crate::ops::results::{ResultsArgs, ResultsReply, results};
use crate::progress::Monitor;

/// `results`.
#[derive(Debug, Args)]
pub struct ResultsFlags {
    /// Handle of the job, its unique beginning, or a batches/… name
    job: String,
    /// File to write [default: HANDLE.results.jsonl]
    #[arg(long, short, value_name = "FILE")]
    output: Option<String>,
    /// File format [default: by the output's extension, or jsonl]
    #[arg(long, value_parser = PossibleValuesParser::new(["jsonl", "raw", "csv", "tsv", "json"]))]
    format: Option<String>,
    /// Put each answer beside the source row it was made for
    #[arg(long)]
    join: bool,
    /// Write only requests with this outcome (repeatable)
    #[arg(long = "outcome", value_name = "OUTCOME", value_parser = outcome_parser())]
    outcomes: Vec<Outcome>,
    /// Show only the answer of this key, and write no file unless --output is given (repeatable)
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Replace an existing output file
    #[arg(long)]
    overwrite: bool,
    /// How many answers to show, 50 at most [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=50))]
    limit: Option<i64>,
    /// First answer to show
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    offset: i64,
}

impl ResultsFlags {
    pub(in crate::cli) async fn run(&self, app: &App, output: Output, monitor: &dyn Monitor) -> Result<Exit> {
        let reply = results(app, self.args(), monitor).await?;
        output.reply(&reply)?;
        Ok(exit(&reply))
    }

    fn args(&self) -> ResultsArgs {
        ResultsArgs {
            job: self.job.clone(),
            output: self.output.clone(),
            format: self.format.clone(),
            join: self.join,
            outcomes: self.outcomes.clone(),
            keys: self.keys.clone(),
            offset: self.offset,
            limit: self.limit,
            overwrite: self.overwrite,
        }
    }
}

fn exit(reply: &ResultsReply) -> Exit {
    match JobState::parse(&reply.state) {
        state if !state.is_terminal() => Exit::Unfinished,
        JobState::Succeeded if reply.outcomes.answered == reply.requests => Exit::Success,
        _ => Exit::Incomplete,
    }
}

pub(super) fn outcome_parser() -> impl TypedValueParser<Value = Outcome> {
    PossibleValuesParser::new(Outcome::ALL.map(Outcome::as_str))
        .try_map(|word| Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word).ok_or("no such outcome"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{OutcomeCounts, Usage};

    fn reply(state: &str, answered: i64) -> ResultsReply {
        ResultsReply {
            job: "a-1".to_owned(),
            state: state.to_owned(),
            path: None,
            format: None,
            bytes: None,
            requests: 3,
            outcomes: OutcomeCounts { answered, ..OutcomeCounts::default() },
            usage: Usage::default(),
            cost_usd: None,
            samples: Vec::new(),
            failures: Vec::new(),
            warnings: Vec::new(),
            next: String::new(),
        }
    }

    #[test]
    fn the_exit_code_tells_unfinished_from_incomplete() {
        assert_eq!(exit(&reply("JOB_STATE_RUNNING", 0)), Exit::Unfinished);
        assert_eq!(exit(&reply("JOB_STATE_SUCCEEDED", 3)), Exit::Success);
        assert_eq!(exit(&reply("JOB_STATE_SUCCEEDED", 2)), Exit::Incomplete);
        assert_eq!(exit(&reply("JOB_STATE_EXPIRED", 3)), Exit::Incomplete);
    }
}
