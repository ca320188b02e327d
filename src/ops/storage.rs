//! What lies at the API: the files of the project, and which of them this ledger uploaded.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::App;
use crate::error::Result;
use crate::gemini::RemoteFile;
use crate::job::Handle;
use crate::job::outcome::counted;
use crate::ledger::JobRecord;

/// Pages of 100 files that are looked through.
const PAGES: usize = 10;

/// The files of the project, newest first as the API lists them.
pub(super) struct Listing {
    pub(super) files: Vec<RemoteFile>,
    /// There are no more.
    pub(super) is_whole: bool,
}

impl Listing {
    /// Asks the API.
    pub(super) async fn of(app: &App) -> Result<Self> {
        let gemini = app.gemini().await?;
        let (mut files, mut token) = (Vec::new(), None);
        for _ in 0..PAGES {
            let page = gemini.list_files(100, token.as_deref()).await?;
            files.extend(page.items);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        Ok(Self { files, is_whole: token.is_none() })
    }
}

/// Files at the API, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Files of the project.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Bytes that the API keeps of a project.
    pub limit_bytes: u64,
    /// Bytes that were uploaded from here.
    pub ours_bytes: i64,
    /// Bytes among them whose job has ended: delete_batch with files removes them.
    pub removable_bytes: i64,
    /// There are more files than were looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Storage {
    /// What these files take up.
    pub(super) fn of(app: &App, listing: &Listing) -> Result<Self> {
        let known: BTreeMap<_, _> = app.ledger()?.uploaded_files(app.now())?.into_iter().collect();
        let limit_bytes = app.models().limits.storage_bytes;
        let mut storage = Self { limit_bytes, more: !listing.is_whole, ..Self::default() };
        for file in &listing.files {
            let bytes = file.bytes.unwrap_or(0);
            storage.files += 1;
            storage.bytes += bytes;
            let removable = match known.get(&file.name) {
                Some(removable) => *removable,
                None => match job_of(app, file)? {
                    Some(job) => has_ended(&job),
                    None => continue,
                },
            };
            storage.ours_bytes += bytes;
            storage.removable_bytes += if removable { bytes } else { 0 };
        }
        Ok(storage)
    }
}

/// The job that this file was uploaded for, by its name: the ledger forgot it where an upload was sent anew.
fn job_of(app: &App, file: &RemoteFile) -> Result<Option<JobRecord>> {
    let Some((handle, ..)) = file.display_name.as_deref().and_then(Handle::parse_part) else { return Ok(None) };
    app.ledger()?.by_handle(&handle)
}

/// Nothing of it will need its uploads any more.
pub(super) fn has_ended(job: &JobRecord) -> bool {
    job.state().is_terminal() || (!job.is_sent() && job.waiting().next().is_none())
}

impl fmt::Display for Storage {
    /// "12 files, 3.1 MB of 20 GB (2.0 MB uploaded from here, 1.0 MB of them can be removed)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = counted(self.files, if self.more { "file or more" } else { "file" });
        write!(f, "{files}, {} of {}", size(self.bytes), size(i64::try_from(self.limit_bytes).unwrap_or(i64::MAX)))?;
        write!(
            f,
            " ({} uploaded from here, {} of it can be removed)",
            size(self.ours_bytes),
            size(self.removable_bytes)
        )
    }
}

/// A number of bytes, to be read.
#[expect(clippy::cast_precision_loss, reason = "only some digits are shown")]
pub(super) fn size(bytes: i64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(unit, _)| bytes as f64 >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit),
        None => counted(bytes, "byte"),
    }
}
