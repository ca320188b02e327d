//! Looks a job up at the API by its display name: what is there is never created again.

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteBatch;
use crate::job::Handle;
use crate::ledger::{Adoption, JobRecord, PartId, PartRecord, Step};

/// The batches at the API that carry the hash of a job, whatever name stands before it.
pub(super) struct Known {
    batches: Vec<(u32, u32, RemoteBatch)>,
}

impl Known {
    /// Asks the API. Absence is certain: a list that could not be read to its end is an error.
    ///
    /// Of a job that was sent from here only newer batches can be parts. Before, it may be there from long ago: sent
    /// from another machine, or before the ledger was lost. Where money hangs on it, no clock is trusted.
    pub(super) async fn of(app: &App, job: &JobRecord) -> Result<Self> {
        let hash = job.handle.hash();
        let fits = |name: &str| Handle::parse_part(name).is_some_and(|(handle, ..)| handle.hash() == hash);
        let since = (job.is_sent() && job.unclear().is_none()).then(|| job.created_at.min(app.now()));
        let batches = super::find::at_the_api(app, since, &fits).await?;
        let part = |batch: RemoteBatch| {
            let (_, number, of) = Handle::parse_part(batch.display_name.as_deref()?)?;
            Some((number, of, batch))
        };
        Ok(Self { batches: batches.into_iter().filter_map(part).collect() })
    }

    /// The batch that is this part, the first one made if there are several.
    pub(super) fn of_part(&self, number: u32) -> Option<&RemoteBatch> {
        let its = self.batches.iter().filter(|(part, ..)| *part == number).map(|(.., batch)| batch);
        its.min_by_key(|batch| batch.create_time)
    }
}

/// Takes what is at the API for what was to be created, and returns the job as it is then.
pub(super) fn adopt_what_is_there(app: &App, job: &JobRecord, known: &Known) -> Result<JobRecord> {
    for part in job.parts.iter().filter(|part| part.step != Step::Created) {
        refuse_other_cut(job, part, known)?;
        if let Some(remote) = known.of_part(part.number) {
            adopt(app, PartId { handle: &job.handle, number: part.number }, remote)?;
        }
    }
    app.ledger()?.job(&job.handle)
}

/// Records that this batch is this part.
pub(super) fn adopt(app: &App, part: PartId<'_>, remote: &RemoteBatch) -> Result<JobRecord> {
    let found = Adoption { remote_name: &remote.name, state: remote.state, submitted_at: remote.create_time };
    app.ledger()?.adopt(part, &found)?;
    super::observe::record(app, part, remote)
}

/// The same job was sent before, cut in other places: parts of both would ask some requests twice.
fn refuse_other_cut(job: &JobRecord, part: &PartRecord, known: &Known) -> Result<()> {
    let differs = |(number, of, batch): &&(u32, u32, RemoteBatch)| {
        *of != part.of || (*number == part.number && batch.counts.total.is_some_and(|total| total != part.requests))
    };
    let Some((_, of, batch)) = known.batches.iter().find(differs) else { return Ok(()) };
    let cause = format!(
        "{} of it is at the API, which was cut into {of} parts, and these settings make {} parts in other places",
        batch.display_name.as_deref().unwrap_or(&batch.name),
        part.of
    );
    Err(cut_otherwise(job, cause))
}

/// Some requests of a job are in none of its parts, and were not added: these settings make others.
pub(super) fn lacking(job: &JobRecord, requests: i64) -> Error {
    let cause = format!(
        "{} of its {requests} requests are in parts that were sent, and these settings cut in other places",
        job.requests_of_parts()
    );
    cut_otherwise(job, cause)
}

fn cut_otherwise(job: &JobRecord, cause: String) -> Error {
    Error::new(ErrorKind::WrongState, format!("submitting {}", job.handle), cause).hint(
        "make the call with the settings it was first made with (tier, max_part_requests, max_part_bytes), \
         or with new_run: true to pay for all of it again",
    )
}
