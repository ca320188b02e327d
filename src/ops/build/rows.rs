//! Where the rows of a build come from: a data set, or the call itself.

use serde_json::{Map, Value, json};

use super::words::BuildArgs;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::App;
use crate::ops::dataset::Dataset;
use crate::ops::next::call;
use crate::paths::AllowedPath;
use crate::progress::Monitor;
use crate::source::{Format, Reading, Source};

/// Rows that are looked at for one that can be read.
const LOOKED_AT: usize = 20;

/// Where the rows come from.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    Dataset(Dataset),
    Given(Vec<Map<String, Value>>),
    Prompts(Vec<String>),
}

impl Rows {
    /// Finds what the caller names; the answers of a job are fetched if need be.
    pub(super) async fn find(app: &App, args: &BuildArgs, monitor: &dyn Monitor) -> Result<Self> {
        match (&args.source, &args.rows, &args.prompts) {
            (Some(source), None, None) => Ok(Self::Dataset(Dataset::find(app, source, reading(args)?, monitor).await?)),
            (None, Some(rows), None) => Ok(Self::Given(rows.clone())),
            (None, None, Some(prompts)) => Ok(Self::Prompts(prompts.clone())),
            _ => Err(wrong("give one of source (a file or job:HANDLE), rows or prompts")
                .hint("for a few finished prompts: prompts; for a data set: source and template")),
        }
    }

    /// What is odd about the data set.
    pub(super) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Dataset(dataset) => dataset.warnings().to_vec(),
            Self::Given(_) | Self::Prompts(_) => Vec::new(),
        }
    }

    /// A retry of the job whose answers they are that has not ended: its answers are not among them.
    pub(super) fn unfinished(&self) -> Option<&str> {
        match self {
            Self::Dataset(Dataset::Answers { unfinished, .. }) => unfinished.as_deref(),
            _ => None,
        }
    }

    /// Adds to an error about these rows what may be behind it: answers are rows of a kind of their own.
    pub(super) fn explain(&self, attach: &[String]) -> impl FnOnce(Error) -> Error + use<> {
        const MEDIA: &str = "pictures and sounds of a job are files once get_results has written them: with join: true and an \
            output such as answers.csv, whose column media can be attached";
        let is_of_job = matches!(self, Self::Dataset(Dataset::Answers { .. }));
        let odd = self.warnings().into_iter().map(|warning| format!("\n{warning}")).collect::<String>();
        let more = if is_of_job && !attach.is_empty() { format!("\n{MEDIA}") } else { String::new() };
        move |e| {
            let cause = format!("{}{odd}{more}", e.cause());
            e.with_act("building requests").with_cause(cause)
        }
    }

    /// What is written is no row of the folder it is written to.
    pub(super) fn leave_out(&mut self, made: &[&AllowedPath]) {
        if let Self::Dataset(dataset) = self {
            dataset.leave_out(made);
        }
    }

    /// The rows, from the start.
    pub(super) fn open(&self) -> Result<Source> {
        match self {
            Self::Dataset(dataset) => dataset.open(),
            Self::Given(rows) => Ok(Source::inline(rows.clone())),
            Self::Prompts(prompts) => Ok(Source::prompts(prompts.iter().cloned())),
        }
    }

    /// The names of the columns; of the first row, where the format does not tell them up front. None of a source that
    /// cannot be read, as the build itself says why.
    pub(super) fn columns(&self) -> Vec<String> {
        if let Some(columns) = self.open().ok().as_ref().and_then(Source::columns) {
            return columns.to_vec();
        }
        let first = self.first().ok().flatten().unwrap_or_default();
        first.keys().cloned().collect()
    }

    /// The first row that can be read, as an object.
    pub(super) fn first(&self) -> Result<Option<Map<String, Value>>> {
        match self {
            Self::Dataset(dataset) => {
                let mut source = dataset.open()?;
                for _ in 0..LOOKED_AT {
                    match source.next_row()? {
                        None => break,
                        Some(Ok(row)) => return Ok(Some(row.to_map())),
                        Some(Err(_)) => {}
                    }
                }
                Ok(None)
            }
            Self::Given(rows) => Ok(rows.first().cloned()),
            Self::Prompts(_) => Ok(None),
        }
    }

    /// What to do where there is none.
    pub(super) fn where_from(&self) -> String {
        match self {
            Self::Dataset(Dataset::Answers { handle, .. }) => format!(
                "{} submits what has no answer again; {} tells why it has none",
                call("retry_batch", json!({"job": handle})),
                call("get_results", json!({"job": handle, "limit": 3}))
            ),
            _ => "check that the source has rows, and that they are not all left out".to_owned(),
        }
    }

    /// Whether this file is what the rows come from.
    pub(super) fn is_file(&self, file: &AllowedPath) -> bool {
        matches!(self, Self::Dataset(dataset) if dataset.is_file(file))
    }

    /// What finds the rows again for a join.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Dataset(dataset) => Some(dataset.text()),
            Self::Given(_) | Self::Prompts(_) => None,
        }
    }

    /// What tells whether the rows are still the same then.
    pub(super) async fn hash(&self, monitor: &dyn Monitor) -> Result<Option<String>> {
        match self {
            Self::Dataset(dataset) => dataset.hash(monitor).await,
            Self::Given(_) | Self::Prompts(_) => Ok(None),
        }
    }

    /// How the data set is read.
    pub(super) fn reading(&self) -> Reading {
        match self {
            Self::Dataset(dataset) => dataset.reading(),
            Self::Given(_) | Self::Prompts(_) => Reading::default(),
        }
    }

    /// The answers of a job keep their keys, files are known by their paths from the folder.
    pub(super) fn default_key(&self) -> Option<String> {
        let column = match self {
            Self::Dataset(Dataset::Answers { .. }) => Some("key"),
            Self::Dataset(Dataset::Files(_)) => Some("file"),
            _ => None,
        };
        column.map(str::to_owned)
    }

    /// The start of the output's name; for rows given in the call their hash, so that two lists do not collide.
    pub(super) fn stem(&self) -> String {
        let hashed = |name: &str, json: serde_json::Result<Vec<u8>>| {
            let hash = xxhash_rust::xxh3::xxh3_64(&json.unwrap_or_default());
            format!("{name}-{:08x}", hash >> 32)
        };
        match self {
            // The requests of the stage before have its name.
            Self::Dataset(dataset @ Dataset::Answers { .. }) => format!("{}-next", dataset.stem()),
            Self::Dataset(dataset) => dataset.stem().to_owned(),
            Self::Given(rows) => hashed("rows", serde_json::to_vec(rows)),
            Self::Prompts(prompts) => hashed("prompts", serde_json::to_vec(prompts)),
        }
    }
}

/// How the caller wants the source to be read.
fn reading(args: &BuildArgs) -> Result<Reading> {
    let format = match args.format.as_deref() {
        None => None,
        Some(name) => Some(Format::parse(name).ok_or_else(|| {
            let formats = Format::ALL.map(Format::as_str).join(", ");
            wrong(format!("there is no format {name:?}")).hint(format!("the formats are: {formats}"))
        })?),
    };
    let delimiter = args.delimiter.as_deref().map(|text| {
        Reading::parse_delimiter(text).ok_or_else(|| {
            wrong(format!("the delimiter is one ASCII character that is no letter, digit or quote, not {text:?}"))
                .hint("for example \";\", \"|\" or \"tab\"")
        })
    });
    Ok(Reading { format, delimiter: delimiter.transpose()?, headerless: args.header == Some(false) })
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, "building requests", cause)
}
