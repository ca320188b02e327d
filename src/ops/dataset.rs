//! Opens what a caller names as a source: a file, a folder or pattern of files, or the answers of an earlier job.

use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3;

use super::App;
use super::off_thread::off_thread;
use super::results::NextStage;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::JobRecord;
use crate::ledger::builds::BuildOrigin;
use crate::paths::{AllowedPath, Roots};
use crate::progress::Monitor;
use crate::source::{self, Format, Listing, Reading, Source, Style};

/// Names the answers of a job as a source: `job:HANDLE`.
const JOB: &str = "job:";
const BLOCK: usize = 256 * 1024;

/// What a source text stands for.
#[derive(Debug, Clone)]
pub(super) enum Dataset {
    /// A file of rows.
    File { path: AllowedPath, reading: Reading },
    /// Files, one row each.
    Files(Listing),
    /// The answers of a job, written down for the purpose.
    Answers {
        path: AllowedPath,
        handle: String,
        /// How many jobs led to them: 1 for those of the first data set.
        stage: usize,
        /// Columns of its data set that are called otherwise: the name there, and the name here.
        renamed: Vec<(String, String)>,
        warnings: Vec<String>,
        /// Why the columns of its data set are not in these rows.
        lost: Option<String>,
        /// A retry of it that has not ended.
        unfinished: Option<String>,
    },
}

impl Dataset {
    /// Finds it; the answers of a job are fetched if need be.
    pub(super) async fn find(app: &App, text: &str, reading: Reading, monitor: &dyn Monitor) -> Result<Self> {
        match text.strip_prefix(JOB) {
            None => Self::find_on_disk(app, text, reading, monitor).await,
            Some(name) => {
                let job = super::find::job(app, name).await?;
                let job = super::observe::refresh_now(app, job).await?;
                let (path, NextStage { renamed, warnings, lost, unfinished }) = answers(app, &job, monitor).await?;
                let (handle, stage) = (job.handle.to_string(), stages(app, job)?.0.len());
                Ok(Self::Answers { path, handle, stage, renamed, warnings, lost, unfinished })
            }
        }
    }

    async fn find_on_disk(app: &App, text: &str, reading: Reading, monitor: &dyn Monitor) -> Result<Self> {
        let (roots, text) = (app.roots().clone(), text.to_owned());
        off_thread(monitor, move |monitor| on_disk(&roots, &text, reading, monitor)).await
    }

    /// Its rows, from the start.
    pub(super) fn open(&self) -> Result<Source> {
        match self {
            Self::File { path, reading } => source::open(path, reading),
            Self::Files(listing) => Ok(Source::files(listing.clone())),
            Self::Answers { path, renamed, .. } => Source::answers(path, renamed.clone()),
        }
    }

    /// Hash of the data set as it is now. Of answers it tells as well whether their own data set was changed, or a retry
    /// has answered.
    pub(super) async fn hash(&self, monitor: &dyn Monitor) -> Result<Option<String>> {
        match self {
            Self::File { path, .. } | Self::Answers { path, .. } => {
                let path = path.clone();
                off_thread(monitor, move |monitor| hash_of(&path, monitor).map(Some)).await
            }
            Self::Files(listing) => {
                let listing = listing.clone();
                off_thread(monitor, move |_| Ok(Some(listing.hash()))).await
            }
        }
    }

    /// Whether this file is what is read.
    pub(super) fn is_file(&self, file: &AllowedPath) -> bool {
        matches!(self, Self::File { path, .. } if path == file)
    }

    /// Whether this file is one of those that are read.
    fn holds(&self, file: &AllowedPath) -> bool {
        self.is_file(file) || matches!(self, Self::Files(listing) if listing.holds(file))
    }

    /// How it is read.
    pub(super) fn reading(&self) -> Reading {
        match self {
            Self::File { reading, .. } => reading.clone(),
            Self::Files(_) => Reading { format: Some(Format::Files), ..Reading::default() },
            Self::Answers { .. } => Reading::default(),
        }
    }

    /// How it is written.
    pub(super) fn style(&self) -> Result<Style> {
        match self {
            Self::File { path, reading } => Style::of(path, reading),
            Self::Files(_) => Ok(Style { format: Some(Format::Files.to_string()), ..Style::default() }),
            Self::Answers { .. } => Ok(Style { format: Some("jsonl".to_owned()), ..Style::default() }),
        }
    }

    /// The text that finds it again.
    pub(super) fn text(&self) -> String {
        match self {
            Self::File { path, .. } => path.to_string(),
            Self::Files(listing) => listing.text(),
            Self::Answers { handle, .. } => format!("{JOB}{handle}"),
        }
    }

    /// What is odd about it: answers that are missing, or may still come.
    pub(super) fn warnings(&self) -> &[String] {
        match self {
            Self::File { .. } | Self::Files(_) => &[],
            Self::Answers { warnings, .. } => warnings,
        }
    }

    /// Why the columns of the first data set are not in it, where they cannot be had any more.
    pub(super) fn lost(&self) -> Option<&str> {
        match self {
            Self::File { .. } | Self::Files(_) => None,
            Self::Answers { lost, .. } => lost.as_deref(),
        }
    }

    /// Takes files that are made of it out of a folder.
    pub(super) fn leave_out(&mut self, made: &[&AllowedPath]) {
        if let Self::Files(listing) = self {
            listing.leave_out(made);
        }
    }

    /// The readable start of a name for what is made of it: "products".
    pub(super) fn stem(&self) -> &str {
        match self {
            Self::File { path, .. } => source::stem(path),
            Self::Files(listing) => listing.stem(),
            Self::Answers { handle, .. } => handle.rsplit_once('-').map_or(handle, |(slug, _)| slug),
        }
    }
}

/// A job and, behind it, those of whose answers it was made, stage by stage; and what the first of them was made of.
fn stages(app: &App, job: JobRecord) -> Result<(Vec<JobRecord>, Option<BuildOrigin>)> {
    let ledger = app.ledger()?;
    let (mut stages, mut start, mut next) = (Vec::<JobRecord>::new(), None, Some(job));
    while let Some(job) = next.take().filter(|job| !stages.iter().any(|stage| stage.handle == job.handle)) {
        let origin = ledger.origin_of(&job)?;
        stages.push(job);
        match origin.as_ref().and_then(|origin| origin.source.as_deref()).map(|source| source.strip_prefix(JOB)) {
            Some(Some(stage)) => next = ledger.find(stage)?,
            Some(None) => start = origin,
            None => {}
        }
    }
    Ok((stages, start))
}

/// Whether a data set is the answers to the requests with this hash, be it by way of further stages.
pub(super) fn is_made_of(app: &App, source: &str, sha256: &str) -> Result<bool> {
    let Some(handle) = source.strip_prefix(JOB) else { return Ok(false) };
    let Some(job) = app.ledger()?.find(handle)? else { return Ok(false) };
    Ok(stages(app, job)?.0.iter().any(|stage| stage.input_sha256.as_deref() == Some(sha256)))
}

/// Whether a job was made of this file, be it by way of earlier stages: it holds its requests, or rows of its data set.
pub(super) async fn made_of(app: &App, job: &JobRecord, file: &AllowedPath, monitor: &dyn Monitor) -> Result<bool> {
    let (stages, start) = stages(app, job.clone())?;
    if stages.iter().any(|stage| stage.input_path.as_ref().is_some_and(|input| *input == file.to_string())) {
        return Ok(true);
    }
    let Some(BuildOrigin { source: Some(source), reading, .. }) = start else { return Ok(false) };
    let reading = serde_json::from_value(reading).unwrap_or_default();
    // What cannot be found is not in danger.
    Ok(Dataset::find_on_disk(app, &source, reading, monitor).await.is_ok_and(|rows| rows.holds(file)))
}

/// A file, or the files that a folder or a pattern stands for.
fn on_disk(roots: &Roots, text: &str, reading: Reading, monitor: &dyn Monitor) -> Result<Dataset> {
    let path = match roots.existing(text) {
        Ok(path) => path,
        Err(e) if e.kind() == ErrorKind::NotFound && Listing::is_pattern(text) => {
            one_row_a_file(text, &reading)?;
            return Listing::matching(roots, text, monitor).map(Dataset::Files);
        }
        Err(e) => return Err(super::nearest::named(roots, text, e)),
    };
    if path.as_path().is_dir() {
        one_row_a_file(text, &reading)?;
        return Listing::below(roots, &path, monitor).map(Dataset::Files);
    }
    if reading.format == Some(Format::Files) {
        return Ok(Dataset::Files(Listing::single(&path)));
    }
    Ok(Dataset::File { path, reading })
}

/// Several files are not one table: a format for one is a mistake.
fn one_row_a_file(text: &str, reading: &Reading) -> Result<()> {
    if matches!(reading.format, None | Some(Format::Files)) && reading.delimiter.is_none() && !reading.headerless {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("reading {text}"),
        "format, delimiter and header say how one file is read; of a folder or a pattern each file is one row",
    )
    .hint("name one file, or leave them out"))
}

fn hash_of(path: &AllowedPath, monitor: &dyn Monitor) -> Result<String> {
    let act = format!("reading {path}");
    let mut file = path.open()?;
    let mut hasher = Xxh3::new();
    let mut block = vec![0; BLOCK];
    loop {
        monitor.check(&act)?;
        match file.read(&mut block) {
            Ok(0) => return Ok(format!("{:032x}", hasher.digest128())),
            Ok(count) => hasher.update(block.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(act, e)),
        }
    }
}

/// The job's answers as a file of rows, and what is odd about them.
pub(super) async fn answers(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<(AllowedPath, NextStage)> {
    if !job.state().is_terminal() {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("reading the answers of {}", job.handle),
            format!("it is {}", job.state()),
        )
        .hint(format!("check_status {{\"jobs\": [\"{}\"], \"wait\": true}} until it has ended", job.handle)));
    }
    let path = Vault::open(app, &job.handle)?.answers()?;
    let odd = super::results::write_rows(app, job, path.clone(), monitor).await?;
    Ok((path, odd))
}
