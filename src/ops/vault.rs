//! The files kept beside the ledger for each job: its keys, its requests while they wait, its result lines.
//!
//! With them the answers of a job can be accounted for and joined long after the request file or the
//! job at the API is gone.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use super::App;
use crate::error::{Error, Result};
use crate::job::Handle;
use crate::ledger::PartRecord;
use crate::paths::{AllowedPath, Roots, create_private};

/// The folder of one job.
#[derive(Debug, Clone)]
pub(super) struct Vault {
    roots: Roots,
}

impl Vault {
    /// The job's folder, made if it is not there.
    pub(super) fn open(app: &App, handle: &Handle) -> Result<Self> {
        // Names of jobs made elsewhere hold a slash.
        Self::folder(app, handle.as_str().replace('/', "-"))
    }

    /// The handles of all jobs that have a folder here; those made elsewhere have none.
    pub(super) fn handles(app: &App) -> Vec<Handle> {
        let entries = std::fs::read_dir(app.config().home.join("jobs")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| Handle::parse(&name)).collect()
    }

    /// The folder for requests given in a call instead of a file.
    pub(super) fn inline(app: &App) -> Result<Self> {
        Self::folder(app, "inline".to_owned())
    }

    /// Where a job's own request file may be: below the allowed roots, or among the files kept here.
    pub(super) fn or_roots(app: &App) -> Result<Roots> {
        let kept = Self::all(app)?.roots;
        Roots::new(app.roots().folders().iter().chain(kept.folders()).cloned())
    }

    /// The folder of all folders.
    pub(super) fn all(app: &App) -> Result<Self> {
        Self::folder(app, String::new())
    }

    /// Whether a file lies in it: a file of ours, which no caller knows.
    pub(super) fn holds(&self, file: &AllowedPath) -> bool {
        file.as_path().starts_with(self.roots.base())
    }

    fn folder(app: &App, name: String) -> Result<Self> {
        let folder: PathBuf = app.config().home.join("jobs").join(name);
        create_private(&folder).map_err(|e| {
            Error::io(format!("creating {}", folder.display()), e)
                .hint("set GEMINI_BATCH_HOME to a folder that can be written")
        })?;
        Ok(Self { roots: Roots::new([folder])? })
    }

    /// Removes the job's folder, if there is one. How many bytes were in it.
    pub(super) fn remove(app: &App, handle: &Handle) -> Result<u64> {
        let folder = app.config().home.join("jobs").join(handle.as_str().replace('/', "-"));
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let bytes = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", folder.display()), e))
            }
            _ => Ok(bytes),
        }
    }

    /// Removes a request file, if it is one of those given in a call. How many bytes were in it.
    pub(super) fn remove_inline(app: &App, input: &str) -> Result<u64> {
        let file = Self::inline(app)?.roots.existing(input);
        let Ok(file) = file else { return Ok(0) };
        let bytes =
            file.open().and_then(|file| file.metadata().map_err(|e| Error::io(format!("reading {input}"), e)))?.len();
        std::fs::remove_file(file.as_path()).map_err(|e| Error::io(format!("removing {file}"), e))?;
        Ok(bytes)
    }

    /// Every key of the job, one JSON string a line, in the order of the requests.
    pub(super) fn keys(&self) -> Result<AllowedPath> {
        self.file("keys.jsonl")
    }

    /// The requests, while some of them wait to be sent.
    pub(super) fn requests(&self) -> Result<AllowedPath> {
        self.file("requests.jsonl")
    }

    /// The result lines of a part as the API sent them.
    pub(super) fn results(&self, part: &PartRecord) -> Result<AllowedPath> {
        match part.of {
            1 => self.file("results.jsonl"),
            of => self.file(&format!("results-p{}of{of}.jsonl", part.number)),
        }
    }

    /// Every file of result lines that is here: of which part, of how many.
    pub(super) fn kept_results(&self) -> Result<Vec<(u32, u32, AllowedPath)>> {
        let entries = std::fs::read_dir(self.roots.base()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let parts = names.filter_map(|name| Some((part_of_results(&name)?, name)));
        parts.map(|((number, of), name)| Ok((number, of, self.file(&name)?))).collect()
    }

    /// The request file as it was submitted.
    pub(super) fn submitted(&self) -> Result<AllowedPath> {
        self.file("submitted.requests.jsonl")
    }

    /// The answers in the form that a next stage reads.
    pub(super) fn answers(&self) -> Result<AllowedPath> {
        self.file("answers.jsonl")
    }

    /// A file of that name here.
    pub(super) fn file(&self, name: &str) -> Result<AllowedPath> {
        self.roots.writable(name)
    }
}

/// Reads a name that [`Vault::results`] made.
fn part_of_results(name: &str) -> Option<(u32, u32)> {
    let part = name.strip_prefix("results")?.strip_suffix(".jsonl")?;
    if part.is_empty() {
        return Some((1, 1));
    }
    let (number, of) = part.strip_prefix("-p")?.split_once("of")?;
    let (number, of) = (number.parse().ok()?, of.parse().ok()?);
    (1..=of).contains(&number).then_some((number, of))
}

/// Lines of a file kept here; `None` if it cannot be read.
pub(super) fn lines(file: &AllowedPath) -> Option<i64> {
    let mut reader = BufReader::with_capacity(256 * 1024, file.open().ok()?);
    let mut lines = 0;
    while reader.skip_until(b'\n').ok()? > 0 {
        lines += 1;
    }
    Some(lines)
}
