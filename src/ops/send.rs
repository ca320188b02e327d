//! One part to the API, whatever happens on the way.
//!
//! Create is not idempotent at the far end and costs money. So each step is on disk before the next one touches the
//! network: intended → uploaded → creating → created. A run that died, or whose reply was lost, is continued by the
//! next: an upload goes on where it broke off, one that is still there is used, a create whose outcome is unclear is
//! looked up by its display name (API reference §3.6) and sent again only when it is certainly absent after a settling
//! time.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::App;
use super::lease::Lease;
use super::lookup::{self, Known};
use super::requests::requests_of;
use super::room::{Wait, wait_for_room};
use super::trouble::{may_pass, retry_after};
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::{FileRange, NewBatch, NewFile, RemoteBatch, UploadSession};
use crate::job::{Cost, Handle};
use crate::ledger::spend::ROUNDING;
use crate::ledger::{Adoption, JobRecord, PartId, PartRecord, Step, Turn};
use crate::progress::{Monitor, Progress};

/// An uploaded file is used only while it has this long to live: a job may wait a day before it runs.
pub(super) const FILE_MARGIN: chrono::TimeDelta = chrono::TimeDelta::hours(24);
/// How often, and how far apart, a create without a reply is looked up at once.
const LOOKUPS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(4)];

/// What became of a part.
#[derive(Debug, PartialEq)]
pub(super) enum Sent {
    /// It was created by this call.
    Created,
    /// It was at the API already.
    Adopted,
    /// It waits; the ledger says for what.
    Waits(Wait),
    /// It is not at the API, and not to be sent.
    Held,
}

/// Brings one part to the API, or finds it there, under the lease of its job.
pub(super) async fn send(
    app: &App,
    job: &JobRecord,
    number: u32,
    lease: &Lease,
    monitor: &dyn Monitor,
) -> Result<Sent> {
    let owner = app.gemini().await?.owner();
    refuse_foreign(job, &owner)?;
    let known = Known::of(app, job).await?;
    let part = part_of(&lookup::adopt_what_is_there(app, job, &known)?, number)?;
    if part.step == Step::Created {
        return Ok(Sent::Adopted);
    }
    let mut step = Sending { app, job, part, lease, monitor, owner };
    step.refuse_unsettled()?;
    if job.held {
        return Ok(Sent::Held);
    }
    if let Some(wait) = wait_for_room(app, &step.owner, job, &step.part)? {
        return step.waits(wait);
    }
    step.is_still_wanted()?;
    let earlier = step.part.remote_file.clone();
    let remote_file = step.uploaded_file().await?;
    match step.create(&remote_file).await {
        // The API may have an earlier upload no more, although its time was not up. Nothing was created.
        Err(e) if e.kind() == ErrorKind::NotFound && earlier.as_ref() == Some(&remote_file) => {
            if app.gemini().await?.get_file(&remote_file).await.is_ok() {
                return Err(e);
            }
            step.part = part_of(&app.ledger()?.job(&job.handle)?, number)?;
            let remote_file = step.uploaded_file().await?;
            step.create(&remote_file).await
        }
        sent => sent,
    }
}

fn part_of(job: &JobRecord, number: u32) -> Result<PartRecord> {
    let part = job.parts.iter().find(|part| part.number == number).cloned();
    part.ok_or_else(|| Error::internal(format!("sending {}", job.handle), format!("there is no part {number}")))
}

/// What another key may have created cannot be looked up with this one: it would seem to be absent, and be paid again.
pub(super) fn refuse_foreign(job: &JobRecord, owner: &str) -> Result<()> {
    if !job.is_foreign_to(owner) {
        return Ok(());
    }
    let what = if job.is_sent() { "some of it was sent" } else { "it was asked for" };
    let cause = format!("{what} with another key, or at another address, than is set now");
    Err(Error::new(ErrorKind::WrongState, format!("submitting {}", job.handle), cause).hint(
        "start this program with that very key to send the rest: whose it is, is known by the key. Nothing was sent",
    ))
}

/// One part on its way.
struct Sending<'a> {
    app: &'a App,
    job: &'a JobRecord,
    part: PartRecord,
    lease: &'a Lease,
    monitor: &'a dyn Monitor,
    /// Whose batch it will be.
    owner: String,
}

impl Sending<'_> {
    fn id(&self) -> PartId<'_> {
        PartId { handle: &self.job.handle, number: self.part.number }
    }

    fn act(&self) -> String {
        format!("submitting {}", self.part.display_name)
    }

    fn waits(&self, wait: Wait) -> Result<Sent> {
        self.app.ledger()?.wait(self.id(), wait.until, &wait.why)?;
        Ok(Sent::Waits(wait))
    }

    /// After a create of unknown outcome, absence means something only when the API had time to make and show the batch.
    fn refuse_unsettled(&self) -> Result<()> {
        if !self.part.is_unclear() {
            return Ok(());
        }
        let ledger = self.app.ledger()?;
        // A step of the future is of a clock that was set back: the time is given from now on.
        ledger.restart_step(self.id())?;
        let age = (self.app.now() - self.part.step_at).to_std().unwrap_or_default();
        match self.app.config().settle.checked_sub(age) {
            None | Some(Duration::ZERO) => self.mine(ledger.absent(self.id(), self.lease.holder())?),
            Some(left) => Err(unclear(&self.part.display_name, left)),
        }
    }

    /// The requests at the API: an earlier upload if it lives long enough, else a new one.
    async fn uploaded_file(&self) -> Result<String> {
        if let Some(name) = &self.part.remote_file
            && self.part.file_expires.is_some_and(|expires| expires - self.app.now() > FILE_MARGIN)
        {
            return Ok(name.clone());
        }
        let ledger = self.app.ledger()?;
        let requests = requests_of(self.app, self.job, &self.part)?;
        let gemini = self.app.gemini().await?;
        let range = FileRange { file: requests.file, start: requests.start, bytes: requests.bytes };
        // The hash of a file is that of its only part.
        let sha256 = self.job.input_sha256.as_deref().filter(|_| self.part.of == 1);
        let new = NewFile { range, display_name: &self.part.display_name, sha256 };
        let holder = self.lease.holder();
        let keep = |session: &UploadSession| {
            let text = session.to_secret_text();
            self.mine(ledger.uploading(self.id(), holder, text.expose_secret())?)
        };
        let resume = self.part.upload_session.as_deref().and_then(UploadSession::from_secret_text);
        let remote = gemini.upload(new, resume, &keep, self.monitor).await?;
        self.mine(ledger.uploaded(self.id(), holder, &remote.name, remote.expiration_time)?)?;
        Ok(remote.name)
    }

    async fn create(&self, remote_file: &str) -> Result<Sent> {
        // The last moment at which giving up costs nothing.
        self.monitor.check(&self.act())?;
        let ledger = self.app.ledger()?;
        let stage = format!("creating {}", self.part.display_name);
        self.monitor.report(&Progress { stage, done: 0, total: None, unit: "jobs" });
        let gemini = self.app.gemini().await?;
        let batch = NewBatch {
            display_name: &self.part.display_name,
            input_file: remote_file,
            priority: self.job.priority,
            webhook_uris: &self.job.webhook_urls,
        };
        let budget = self.app.config().daily_budget_usd;
        match ledger.creating(self.id(), self.lease.holder(), budget)? {
            Turn::OverBudget => return self.tomorrow(budget.unwrap_or_default()),
            turn => self.mine(turn)?,
        }
        match gemini.create_batch(&self.job.model, self.job.kind, batch).await {
            Ok(remote) => self.created(&remote).map(|()| Sent::Created),
            Err(e) if e.kind() == ErrorKind::UnclearOutcome => {
                ledger.unclear(self.id())?;
                self.resolve().await
            }
            Err(e) => self.refused(e),
        }
    }

    /// What waited may be dearer by now than when it was asked for, and its model be gone: it goes out up to what was allowed
    /// then.
    fn is_still_wanted(&self) -> Result<()> {
        if let Err(e) = super::model::availability(self.app, &self.job.model) {
            return Err(self.not_to_be_sent(e)?);
        }
        self.at_the_price_of_today()?;
        let job = self.app.ledger()?.job(&self.job.handle)?;
        match (job.cap_usd, job.high_usd()) {
            (Some(cap), Some(high)) if high > cap + ROUNDING => {
                Err(self.not_to_be_sent(self.too_dear(Cost::Usd(high), Cost::Usd(cap)))?)
            }
            _ => Ok(()),
        }
    }

    /// Prices what is not sent of the job.
    fn at_the_price_of_today(&self) -> Result<()> {
        let (ledger, today) = (self.app.ledger()?, self.app.today());
        let Some(model) = self.app.models().get(&self.job.model) else { return Ok(()) };
        for part in self.job.parts.iter().filter(|part| part.is_unsent()) {
            let priced = part.priced_on.unwrap_or(self.job.created_at.date_naive());
            if let (Some(times), Some(usd)) = (model.dearer(today, priced), part.high_usd) {
                ledger.reprice(self.job.part_id(part), usd * times, today)?;
            }
        }
        Ok(())
    }

    fn too_dear(&self, high: Cost, cap: Cost) -> Error {
        let cause = format!(
            "prices rose while it waited: all of it is up to {} now, and {} is the most that was allowed",
            high.beside(cap),
            cap.beside(high)
        );
        Error::new(ErrorKind::Budget, self.act(), cause)
            .hint("the call that made it, with a higher max_cost_usd, sends what is not sent yet")
    }

    /// The budget of the day is used up. What does not fit into that of any day would wait for ever.
    fn tomorrow(&self, budget: f64) -> Result<Sent> {
        let usd = part_of(&self.app.ledger()?.job(&self.job.handle)?, self.part.number)?.high_usd;
        if usd.is_some_and(|usd| usd <= budget + ROUNDING) {
            return self.waits(tomorrow(self.app));
        }
        let budget = Cost::Usd(budget);
        let price = usd
            .map_or("its price is unknown".to_owned(), |usd| format!("it may cost {}", Cost::Usd(usd).beside(budget)));
        let cause = format!("{price}, and the daily budget is {budget}");
        let e = Error::new(ErrorKind::Budget, self.act(), cause).hint(
            "let the user raise GEMINI_BATCH_DAILY_BUDGET_USD, then the call that made it sends what is not sent yet; \
             max_part_requests cuts what was not sent at all into parts that fit",
        );
        Err(self.not_to_be_sent(e)?)
    }

    /// Notes why it is not to be sent, which nobody may be there to hear.
    fn not_to_be_sent(&self, e: Error) -> Result<Error> {
        self.mine(self.app.ledger()?.refused(self.id(), self.lease.holder(), &e.to_string())?)?;
        Ok(e)
    }

    fn created(&self, remote: &RemoteBatch) -> Result<()> {
        let ledger = self.app.ledger()?;
        ledger.created(
            self.id(),
            &Adoption { remote_name: &remote.name, state: remote.state, submitted_at: remote.create_time },
        )?;
        super::observe::record(self.app, self.id(), remote)?;
        let enqueued = ledger.enqueued(&self.job.model, &self.owner)?.tokens;
        ledger.had_room(&self.job.model, &self.owner, enqueued)
    }

    /// The API said clearly that it made nothing.
    fn refused(&self, e: Error) -> Result<Sent> {
        let ledger = self.app.ledger()?;
        self.mine(ledger.refused(self.id(), self.lease.holder(), &e.to_string())?)?;
        if e.kind() == ErrorKind::Quota && may_pass(&e) {
            let enqueued = ledger.enqueued(&self.job.model, &self.owner)?.tokens;
            let asked = retry_after(&e).and_then(|wait| chrono::TimeDelta::from_std(wait).ok());
            let until = ledger.no_room(&self.job.model, &self.owner, (enqueued, self.part.tokens), asked)?;
            let beside = match enqueued {
                0 if !self.job.is_sent() && self.job.retry_of.is_none() => {
                    "although nothing of this ledger is enqueued: other jobs of the project may be, or it is too large for \
                     its tier; then the same create_batch call with max_part_requests cuts it into smaller parts"
                }
                0 => "although nothing of this ledger is enqueued: other jobs of the project may be",
                _ => "beside what is enqueued",
            };
            return self.waits(Wait { until, why: format!("the API had no room for it {beside}: {}", e.cause()) });
        }
        if e.kind() == ErrorKind::NotFound {
            // The file may be what was not found: send it again next time.
            ledger.upload_lost(self.id())?;
        }
        Err(e)
    }

    /// Looks a create without a reply up a few times; most show up at once.
    async fn resolve(&self) -> Result<Sent> {
        for wait in LOOKUPS {
            tokio::time::sleep(wait).await;
            if let Ok(known) = Known::of(self.app, self.job).await
                && let Some(remote) = known.of_part(self.part.number)
            {
                lookup::adopt(self.app, self.id(), remote)?;
                return Ok(Sent::Created);
            }
        }
        Err(unclear(&self.part.display_name, self.app.config().settle))
    }

    fn mine(&self, turn: Turn) -> Result<()> {
        match turn {
            Turn::Mine => Ok(()),
            Turn::Lost | Turn::OverBudget => {
                Err(Error::new(ErrorKind::WrongState, self.act(), "another process took over, or it was cancelled")
                    .hint("check_status shows what became of it"))
            }
        }
    }
}

/// The budget of the day is used up.
fn tomorrow(app: &App) -> Wait {
    let until = (app.today() + chrono::TimeDelta::days(1)).and_time(chrono::NaiveTime::MIN).and_utc();
    Wait { until, why: "the daily budget is used up; it goes out on the next day (UTC)".to_owned() }
}

/// Why nothing can be said of a job whose create got no answer.
const UNKNOWN: &str = "a create was sent and its outcome is not known: the job does not show up at the API so far";

fn unclear(name: &str, left: Duration) -> Error {
    Error::new(ErrorKind::UnclearOutcome, format!("submitting {name}"), UNKNOWN).hint(format!(
        "make the same call again in {} s: it looks the job up first, and creates it only if it is certainly absent",
        left.as_secs() + 1
    ))
}

/// A create was sent for this job and its outcome is not known yet.
pub(super) fn still_unclear(handle: &Handle, act: &str) -> Error {
    Error::new(ErrorKind::UnclearOutcome, format!("{act} {handle}"), UNKNOWN)
        .hint("make the same call again in a minute: it looks the job up first")
}
