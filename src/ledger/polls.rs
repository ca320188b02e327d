//! Who asks the API for a part, and when: each look is handed out once among all processes.
//!
//! `next_poll_at` is when a part is to be asked for again. Whoever moves it into the future has the look; the others read
//! what it brings. A part that was just created has none: its first look is due at once. How far apart looks are is the
//! caller's business ([`schedule`](crate::job::schedule)).

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::params;

use super::moment::text;
use super::record::{SELECT, read_jobs};
use super::{JobRecord, Ledger, PartId, PartRecord};
use crate::error::Result;
use crate::job::Handle;
use crate::job::schedule::LONGEST;

/// Processes read the clock one after the other: news from this far ahead is not of a clock that was set back.
const SLACK: TimeDelta = TimeDelta::seconds(10);

/// Due: never asked for, the time has come, or the clock was set back since: the time is further away than any pause can
/// be, or the last news is from the future. `?3` is now, `?5` the furthest time, `?6` the latest time of news.
const DUE: &str = "(next_poll_at IS NULL OR next_poll_at <= ?3 OR next_poll_at > ?5 OR polled_at > ?6)";

impl Ledger {
    /// Takes the next look at a part and puts off the one after it by `pause`; `false` while it is not due.
    pub fn claim_poll(&self, part: PartId<'_>, now: DateTime<Utc>, pause: TimeDelta) -> Result<bool> {
        self.write("claiming a look", |tx| {
            // News from the future counts as of now: it makes one look due, not all.
            let sql = format!(
                "UPDATE parts SET next_poll_at = ?4, polled_at = CASE WHEN polled_at > ?6 THEN ?3 ELSE polled_at END \
                 WHERE handle = ?1 AND part = ?2 AND {DUE}"
            );
            let (handle, number) = (part.handle.as_str(), part.number);
            let given = params![handle, number, text(now), text(now + pause), text(now + LONGEST), text(now + SLACK)];
            Ok(tx.execute(&sql, given)? == 1)
        })
    }

    /// When a part is to be asked for next, whatever was planned; `None`: at once.
    pub fn plan_poll(&self, part: PartId<'_>, next: Option<DateTime<Utc>>) -> Result<()> {
        self.write("planning a look", |tx| {
            tx.execute(
                "UPDATE parts SET next_poll_at = ?3 WHERE handle = ?1 AND part = ?2",
                params![part.handle.as_str(), part.number, next.map(text)],
            )?;
            Ok(())
        })
    }

    /// These jobs as they are known now, by their handles.
    pub fn jobs(&self, handles: &[&Handle]) -> Result<Vec<JobRecord>> {
        let list = serde_json::Value::from_iter(handles.iter().map(|handle| handle.as_str())).to_string();
        self.read("reading jobs", |connection| {
            let sql =
                format!("{SELECT} WHERE jobs.handle IN (SELECT value FROM json_each(?1)) ORDER BY jobs.handle, part");
            read_jobs(connection, &sql, [&list])
        })
    }
}

impl PartRecord {
    /// How long until it is to be asked for; zero when that is due.
    pub fn until_poll(&self, now: DateTime<Utc>) -> TimeDelta {
        let of_a_clock_set_back = self.polled_at.is_some_and(|seen| seen > now + SLACK);
        match self.next_poll_at {
            Some(next) if next > now && next <= now + LONGEST && !of_a_clock_set_back => next - now,
            _ => TimeDelta::zero(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{ContentHash, JobState, Kind};
    use crate::ledger::steps::Observation;
    use crate::ledger::{Adoption, NewJob, NewPart};

    const PAUSE: TimeDelta = TimeDelta::seconds(60);

    /// A ledger with one job that the API has, and its handle.
    fn with_a_job(folder: &std::path::Path) -> (Ledger, Handle) {
        let content = ContentHash::of_job("a", "m", Kind::Generate, 1);
        let parts = vec![NewPart::whole(3, None, None)];
        let job = NewJob::new(Handle::new("a", &content), content, "m", Kind::Generate, parts);
        let ledger = Ledger::open(folder).unwrap();
        ledger.intend(&job, None).unwrap();
        let found = Adoption { remote_name: "batches/a", state: JobState::Pending, submitted_at: None };
        ledger.created(PartId { handle: &job.handle, number: 1 }, &found).unwrap();
        (ledger, job.handle)
    }

    fn heard(ledger: &Ledger, part: PartId<'_>) {
        let state = JobState::Running;
        let seen = Observation { state, wire_state: String::new(), done: 1, failed: 0, error: None, ended_at: None };
        ledger.observe(part, &seen).unwrap();
    }

    #[test]
    fn a_look_is_handed_out_once_and_again_when_its_time_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, handle) = with_a_job(folder.path());
        let other = Ledger::open(folder.path()).unwrap();
        let (part, now) = (PartId { handle: &handle, number: 1 }, Utc::now());
        assert!(ledger.claim_poll(part, now, PAUSE).unwrap(), "the first look is due at once");
        assert!(!other.claim_poll(part, now, PAUSE).unwrap());
        heard(&ledger, part);
        assert!(!other.claim_poll(part, now + PAUSE - TimeDelta::seconds(1), PAUSE).unwrap());
        assert!(other.claim_poll(part, now + PAUSE, PAUSE).unwrap());
        assert!(!ledger.claim_poll(part, now + PAUSE, PAUSE).unwrap());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_one_look_due() {
        for back in [TimeDelta::seconds(30), TimeDelta::hours(3)] {
            let folder = tempfile::tempdir().unwrap();
            let (ledger, handle) = with_a_job(folder.path());
            let (part, now) = (PartId { handle: &handle, number: 1 }, Utc::now());
            assert!(ledger.claim_poll(part, now, PAUSE).unwrap());
            heard(&ledger, part);
            let then = now - back;
            let until = |ledger: &Ledger| ledger.job(&handle).unwrap().parts[0].until_poll(then);
            assert_eq!(until(&ledger), TimeDelta::zero(), "{back}");
            assert!(ledger.claim_poll(part, then, PAUSE).unwrap(), "{back}");
            // Even if that look brings nothing, the next one is a pause away.
            assert!(!ledger.claim_poll(part, then, PAUSE).unwrap(), "{back}");
            assert!((until(&ledger) - PAUSE).abs() < TimeDelta::milliseconds(1), "{back}");
        }
    }

    #[test]
    fn jobs_are_read_again_by_their_handles() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, handle) = with_a_job(folder.path());
        let unknown = Handle::from_ledger("batches/other".to_owned());
        let jobs = ledger.jobs(&[&unknown, &handle]).unwrap();
        assert_eq!(jobs.iter().map(|job| &job.handle).collect::<Vec<_>>(), [&handle]);
    }
}
