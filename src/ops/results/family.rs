//! A job and its retries, whose results are one set.

use std::fs::File;

use super::account::Keys;
use crate::answers::index::Problems;
use crate::answers::schema::has_templates;
use crate::answers::{Checker, Generation, Merged, ResultIndex, Spill};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Handle;
use crate::job::models::Price;
use crate::job::text::{clip, one_line};
use crate::ledger::builds::BuildOrigin;
use crate::ledger::{JobRecord, PartRecord};
use crate::ops::App;
use crate::ops::vault::Vault;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

const LACKING: &str = "the API counts more finished requests than the results it gave with their keys, or has a batch no more: \
    what it answered is billed and counts as missing here; it may still come, so a retry leaves it out unless outcomes names missing";
const DELETED: &str = "the API counted more finished requests than the results it gave before the batch was deleted there: what \
    is not here counts as missing and does not come any more";

/// A job that has ended, with its results on this machine.
pub(in crate::ops) struct Member {
    pub(in crate::ops) job: JobRecord,
    /// Which retry it is, from 1; 0 for the job itself.
    pub(in crate::ops) number: u32,
    /// Its result lines, a file for each part.
    pub(in crate::ops) results: Vec<AllowedPath>,
    /// Its keys, unless it was made elsewhere.
    pub(in crate::ops) keys: Option<AllowedPath>,
    /// Fewer results came than the API says that requests succeeded.
    pub(in crate::ops) lacking: bool,
    /// The price of each of these files.
    prices: Vec<Option<Price>>,
}

/// A job and those of its retries that have ended.
pub(in crate::ops) struct Family {
    /// The job itself comes first, then its retries in the order in which they were made.
    pub(in crate::ops) members: Vec<Member>,
    /// Retries that have not ended.
    pub(in crate::ops) unfinished: Vec<JobRecord>,
    /// Other retries of the first job of the line that have not ended, where that was asked for.
    pub(in crate::ops) others: Vec<JobRecord>,
    /// Those that were made since, or had their results since, and have ended.
    pub(in crate::ops) elsewhere: Vec<Member>,
    /// Retries whose results could not be had, and why.
    unread: Vec<(Handle, Error)>,
    pub(in crate::ops) warnings: Vec<String>,
}

impl Family {
    /// Brings home the results of a job, and with `merge` those of its retries.
    pub(in crate::ops) async fn gather(app: &App, job: &JobRecord, merge: bool, monitor: &dyn Monitor) -> Result<Self> {
        let itself = Member::gather(app, job.clone(), 0, monitor).await?;
        let mut family = Self {
            members: vec![itself],
            unfinished: Vec::new(),
            others: Vec::new(),
            elsewhere: Vec::new(),
            unread: Vec::new(),
            warnings: Vec::new(),
        };
        let retries = if merge { app.ledger()?.retries_of(&job.handle)? } else { Vec::new() };
        for (number, retry) in (1..).zip(retries.into_iter().filter(is_wanted)) {
            family.add_retry(app, retry, number, monitor).await?;
        }
        Ok(family)
    }

    async fn add_retry(&mut self, app: &App, retry: JobRecord, number: u32, monitor: &dyn Monitor) -> Result<()> {
        let handle = retry.handle.clone();
        match Self::retry(app, retry, number, monitor).await {
            Ok(Retry::Ended(member)) => self.members.push(*member),
            Ok(Retry::Unfinished(job)) => {
                self.warnings.push(format!("the retry {handle} is {}: its answers are not in it so far", job.state()));
                self.unfinished.push(*job);
            }
            Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
            Err(e) => {
                let cause = one_line(&clip(e.cause(), 200));
                self.warnings.push(format!(
                    "the answers of the retry {handle} cannot be had ({cause}) and are not in it, nor is their cost"
                ));
                self.unread.push((handle, e));
            }
        }
        Ok(())
    }

    async fn retry(app: &App, retry: JobRecord, number: u32, monitor: &dyn Monitor) -> Result<Retry> {
        let job = crate::ops::observe::refresh_now(app, retry).await?;
        if !job.state().is_terminal() {
            return Ok(Retry::Unfinished(Box::new(job)));
        }
        Ok(Retry::Ended(Box::new(Member::gather(app, job, number, monitor).await?)))
    }

    /// The first job and its other retries may be asking for the same keys, or have their answers since.
    pub(in crate::ops) async fn mind_others(&mut self, app: &App, root: &Handle, monitor: &dyn Monitor) -> Result<()> {
        let Some(job) = self.members.first().map(|member| member.job.clone()) else { return Ok(()) };
        let known: Vec<_> = self.members.iter().map(|member| &member.job).chain(&self.unfinished).collect();
        let known: Vec<_> = known.into_iter().map(|job| job.handle.clone()).collect();
        let line = std::iter::once(app.ledger()?.job(root)?).chain(app.ledger()?.retries_of(root)?);
        let others = line.filter(|other| is_wanted(other) && !known.contains(&other.handle));
        for (number, other) in (1..).zip(others) {
            // What an earlier one had answered before is not asked for here.
            let is_later = other.created_at > job.created_at;
            let is_news = is_later || other.collected_at.is_some_and(|at| at > job.created_at);
            if !is_news && other.state().is_terminal() {
                continue;
            }
            match Self::retry(app, other.clone(), number, monitor).await {
                Ok(Retry::Unfinished(other)) => self.others.push(*other),
                Ok(Retry::Ended(member)) => self.elsewhere.extend(is_news.then_some(*member)),
                Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
                Err(e) if is_later || other.state().is_terminal() => self.unread.push((other.handle, e)),
                // As far as is known it goes on, and asks for its keys.
                Err(_) => self.others.push(other),
            }
        }
        Ok(())
    }

    /// Fails if there are retries whose answers may still be had: they would be asked for, and paid, again.
    pub(in crate::ops) fn refuse_unread(&self) -> Result<()> {
        // One that is gone for good is no error: its answers are missing.
        let Some((retry, e)) = self.unread.first() else { return Ok(()) };
        let cause = format!(
            "the answers of {retry} cannot be had now ({}), and would be paid for again",
            one_line(&clip(e.cause(), 200))
        );
        Err(Error::new(e.kind(), "choosing what to retry", cause).hint(
            "make the same call again in a while; if they are lost for good, submit the requests anew with create_batch",
        ))
    }

    /// Whether results are missing that the API says to have.
    pub(in crate::ops) fn misses_results(&self) -> bool {
        self.members.iter().any(|member| member.lacking)
    }

    /// What there is to know of them.
    pub(in crate::ops) fn lacking_told(&self) -> Option<&'static str> {
        let mut lacking = self.members.iter().filter(|member| member.lacking).peekable();
        lacking.peek()?;
        Some(if lacking.all(|member| member.job.deleted_at.is_some()) { DELETED } else { LACKING })
    }

    /// How to have them all the same: a retry leaves them out unless it is told otherwise.
    pub(in crate::ops) fn repeat_missing(job: &Handle) -> String {
        format!(
            "retry_batch {{\"job\": \"{job}\", \"outcomes\": [\"missing\"]}} submits them all the same, and they may be paid \
             for twice"
        )
    }

    /// Whether results that were paid for are not there.
    pub(in crate::ops) fn is_lacking(&self) -> bool {
        !self.unread.is_empty() || self.misses_results()
    }

    /// The retries that are merged.
    pub(in crate::ops) fn retries(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().skip(1)
    }

    /// Indexes all results. Heavy. Returns what is odd about them as well.
    pub(in crate::ops) fn open(
        members: &[Member],
        checker: Checker,
        monitor: &dyn Monitor,
    ) -> Result<(Merged, Vec<String>)> {
        let mut generations = Vec::new();
        let mut odd = Vec::new();
        for member in members {
            let requests = member.job.requests.unsigned_abs();
            let Some(first) = member.results.first() else { continue };
            let files = member.results.iter().map(AllowedPath::open).collect::<Result<Vec<_>>>()?;
            let mut index = ResultIndex::bounded(files, requests, Spill::beside(first), monitor)?;
            odd.extend(member.problems(&index.problems));
            let prices = member.prices.clone();
            if member.number == 0 {
                generations.push(Generation::original(index, prices));
                continue;
            }
            if let Some(keys) = &member.keys {
                expect_all(&mut index, keys.open()?)?;
            }
            generations.push(Generation::retry(member.number, index, prices, member.keys.is_some()));
        }
        Ok((Merged::new(generations, checker), odd))
    }
}

/// What was never sent, and will not be, asks for nothing.
fn is_wanted(retry: &JobRecord) -> bool {
    retry.is_sent() || retry.waiting().next().is_some()
}

enum Retry {
    Ended(Box<Member>),
    Unfinished(Box<JobRecord>),
}

impl Member {
    async fn gather(app: &App, job: JobRecord, number: u32, monitor: &dyn Monitor) -> Result<Self> {
        let collected = crate::ops::collect::collect(app, &job, monitor).await?;
        let keys = Some(Vault::open(app, &job.handle)?.keys()?).filter(AllowedPath::exists);
        // What waited for room may have gone out when the price was another one.
        let price_of = |part: &PartRecord| {
            let day = part.submitted_at.unwrap_or(job.created_at).date_naive();
            app.models().get(&job.model).and_then(|model| model.price_on(day)).cloned()
        };
        let prices = job.parts.iter().map(price_of).collect();
        // When it was collected is known only now.
        let job = app.ledger()?.job(&job.handle)?;
        crate::ops::tidy::tidy(app, &job).await;
        Ok(Self { job, number, results: collected.paths, keys, lacking: collected.lacking, prices })
    }

    /// What is wrong with its result lines.
    fn problems(&self, problems: &Problems) -> Vec<String> {
        let of = if self.number == 0 { String::new() } else { format!(" of the retry {}", self.job.handle) };
        let mut warnings = Vec::new();
        if problems.unreadable > 0 {
            let lines = problems.unreadable_lines.iter().take(3);
            let lines: Vec<_> = lines.map(|bad| format!("line {}: {}", bad.line, bad.cause)).collect();
            warnings.push(format!(
                "{} result lines{of} cannot be read ({}); their requests count as missing",
                problems.unreadable,
                lines.join("; ")
            ));
        }
        let repeated = problems.repeated + problems.contradicting;
        if repeated > 0 {
            let keys = named(&problems.repeated_keys);
            warnings.push(format!("{repeated} result lines{of} repeat a key ({keys}); the first of each counts"));
        }
        warnings
    }
}

/// The first of these keys, fit for a message.
pub(in crate::ops) fn named<'k>(keys: impl IntoIterator<Item = &'k String>) -> String {
    let keys: Vec<_> = keys.into_iter().take(3).map(|key| one_line(&clip(key, 100))).collect();
    keys.join(", ")
}

fn expect_all(index: &mut ResultIndex, keys: File) -> Result<()> {
    let mut keys = Keys::new(keys);
    while let Some(key) = keys.next_key()? {
        index.expect(&key)?;
    }
    Ok(())
}

/// What the answers of a job have to be by what was asked for, and a warning if that cannot be told.
pub(in crate::ops) fn checker_of(origin: Option<&BuildOrigin>) -> Result<(Checker, Option<String>)> {
    let Some(origin) = origin.filter(|origin| origin.expects_json) else { return Ok((Checker::default(), None)) };
    let schema = origin.response_schema.as_ref().filter(|schema| !has_templates(schema));
    match Checker::new(true, schema) {
        Ok(checker) => Ok((checker, None)),
        Err(e) => {
            let warning = format!("the answers are not held against their schema, which cannot be used: {}", e.cause());
            Ok((Checker::new(true, None)?, Some(warning)))
        }
    }
}
