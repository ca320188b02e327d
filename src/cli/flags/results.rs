//! `results`: flags as the tool's words, and what the answers mean for the exit code.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use crate::cli::output::Output;
use crate::cli::{Exit, input};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobState, Outcome};
use crate::ops::App;
use crate::ops::results::{Format, ResultsArgs, ResultsReply, results};
use crate::progress::Monitor;

const EXAMPLES: &str = "\
Examples:
  To a file, in the format of its extension, beside the rows:
    results products --join -o products.answered.csv
  Your own file back, with the answers in columns behind:
    results products --format source
  Vectors for numpy, pictures and sounds into a folder:
    results vectors -o vectors.npy
    results photos --media-dir photos
  A look, without a file:
    results products --key A1 --key B2
    results products --outcome failed --outcome truncated --limit 20
    results products --search kettle --offset 20 --limit 20
    results products --where category=toys --where price=12
    results products --count-by category";

/// `results`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ResultsFlags {
    /// Handle of the job, its unique beginning, or a batches/… name
    job: String,
    /// File to write [default: HANDLE.results.jsonl; none for a look by key, search, field, limit, page or count]
    #[arg(long, short, value_name = "FILE")]
    output: Option<String>,
    /// File format [default: by the output's extension, or jsonl]
    #[arg(long, value_parser = PossibleValuesParser::new(Format::ALL.map(Format::as_str)))]
    format: Option<String>,
    /// Put each answer beside the source row it was made for
    #[arg(long)]
    join: bool,
    /// Write only requests with this outcome (repeatable)
    #[arg(long = "outcome", value_name = "OUTCOME", value_parser = outcome_parser())]
    outcomes: Vec<Outcome>,
    /// Only the answer of this key (repeatable)
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Only answers that hold this text, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only answers in JSON whose field has this value (repeatable)
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// Count the values of this field of the answers
    #[arg(long, value_name = "FIELD")]
    count_by: Option<String>,
    /// Folder for pictures and sound [default: HANDLE.media]
    #[arg(long, value_name = "FOLDER")]
    media_dir: Option<String>,
    /// JSON Schema to hold the answers against [default: the one they were asked for]; or @file
    #[arg(long, value_name = "JSON|@FILE")]
    schema: Option<String>,
    /// This job alone, without the answers of its retries
    #[arg(long)]
    without_retries: bool,
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
        let reply = results(app, self.args()?, monitor).await?;
        output.reply(&reply)?;
        Ok(exit(&reply))
    }

    fn args(&self) -> Result<ResultsArgs> {
        let fields = self.fields.iter().map(|text| field(text)).collect::<Result<_>>()?;
        let schema = self.schema.as_deref().map(|given| input::object("--schema", given)).transpose()?;
        Ok(ResultsArgs {
            job: self.job.clone(),
            output: self.output.clone(),
            format: self.format.clone(),
            join: self.join,
            outcomes: self.outcomes.clone(),
            keys: self.keys.clone(),
            offset: self.offset,
            limit: self.limit,
            search: self.search.clone(),
            fields,
            count_by: self.count_by.clone(),
            media_dir: self.media_dir.clone(),
            schema,
            merge_retries: self.without_retries.then_some(false),
            overwrite: self.overwrite,
        })
    }
}

/// `FIELD=VALUE`: a value that reads as JSON is that, anything else is text.
fn field(text: &str) -> Result<(String, Value)> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, "reading --where", format!("{text:?} has no \"=\""))
            .hint("write --where category=toys")
    })?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()))))
}

fn exit(reply: &ResultsReply) -> Exit {
    match JobState::parse(&reply.state) {
        state if !state.is_terminal() => Exit::Unfinished,
        state
            if reply.outcomes.answered == reply.requests
                && (state == JobState::Succeeded || !reply.retries.is_empty()) =>
        {
            Exit::Success
        }
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
            error: None,
            path: None,
            format: None,
            bytes: None,
            requests: 3,
            outcomes: OutcomeCounts { answered, ..OutcomeCounts::default() },
            selected: None,
            counts: serde_json::Map::new(),
            media: None,
            manifest: None,
            retries: Vec::new(),
            whole: None,
            usage: Usage::default(),
            cost_usd: None,
            saved_usd: None,
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
        let with_retry = ResultsReply { retries: vec!["a-2".to_owned()], ..reply("JOB_STATE_EXPIRED", 3) };
        assert_eq!(exit(&with_retry), Exit::Success);
    }
}
