//! `get_results`: the answers of a job, whole, in a file.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::job::{Outcome, OutcomeCounts, Usage};

/// Which answers, and how to write them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultsArgs {
    /// Handle, its unique beginning, or a batches/… name.
    pub job: String,
    /// File to write. Default: <handle>.results.jsonl
    pub output: Option<String>,
    /// jsonl (default), raw, csv, tsv or json. Default: by the output's extension.
    pub format: Option<String>,
    /// Put each answer beside the source row it was made for.
    #[serde(default)]
    pub join: bool,
    /// Write only these outcomes. Default: all.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// Show only these keys in the reply, and write no file unless `output` is given.
    #[serde(default)]
    pub keys: Vec<String>,
    /// First answer to show as a sample.
    #[serde(default)]
    pub offset: i64,
    /// How many answers to show: 3 unless asked, 50 at most.
    pub limit: Option<i64>,
    /// Replace an existing output file.
    #[serde(default)]
    pub overwrite: bool,
}

/// What came back.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ResultsReply {
    /// The job.
    pub job: String,
    /// Its state. Unless it has ended there are no results yet, and nothing was written.
    pub state: String,
    /// The file with the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The file's format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Requests of the job.
    pub requests: i64,
    /// How many had which outcome; they add up to `requests`.
    pub outcomes: OutcomeCounts,
    /// Tokens used.
    pub usage: Usage,
    /// What they cost in USD at batch rate. Left out when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// A few answers, clipped.
    pub samples: Vec<Sample>,
    /// Requests without a usable answer, grouped by reason, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// Things to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
}

/// One answer, clipped.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Sample {
    /// Key of the request.
    pub key: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Beginning of the answer, or the reason why there is none.
    pub text: String,
}

/// One reason why requests have no usable answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Failure {
    /// Their outcome.
    pub outcome: Outcome,
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: i64,
    /// Some of their keys.
    pub keys: Vec<String>,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ResultsReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::job::outcome::grouped;
        writeln!(f, "job {} {}: {}", self.job, self.state, self.outcomes)?;
        if let (Some(path), Some(bytes)) = (&self.path, self.bytes) {
            writeln!(f, "answers in {path} ({} bytes)", grouped(bytes))?;
        }
        let cost = self.cost_usd.map_or("cost unknown".to_owned(), |usd| crate::job::Cost::Usd(usd).to_string());
        writeln!(
            f,
            "{cost}, {} input and {} output tokens",
            grouped(self.usage.input_tokens),
            grouped(self.usage.output_tokens)
        )?;
        for sample in &self.samples {
            writeln!(f, "{} [{}]: {}", sample.key, sample.outcome, sample.text)?;
        }
        for failure in &self.failures {
            writeln!(
                f,
                "{} {} ({}), e.g. {}: {}",
                grouped(failure.count),
                failure.outcome,
                failure.reason,
                failure.keys.join(", "),
                failure.remedy
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

/// To come.
pub async fn results(
    _app: &super::App,
    _args: ResultsArgs,
    _monitor: &dyn crate::progress::Monitor,
) -> crate::error::Result<ResultsReply> {
    Err(crate::error::Error::internal("results", "not there yet"))
}
