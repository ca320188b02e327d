//! Leases: who is doing what right now, among several processes.

use std::time::Duration;

use chrono::Utc;
use rusqlite::params;

use super::Ledger;
use super::moment::text;
use crate::error::Result;
use crate::job::Handle;

/// Whoever holds a lease, as far as they know: it may have run out, and be another's by now.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The name of the lease.
    pub lease: &'a str,
    /// Who took it.
    pub owner: &'a str,
}

/// The name of the lease on sending a job.
pub fn name_of_job(handle: &Handle) -> String {
    format!("job {handle}")
}

/// In a statement whose ?2 and ?3 are the lease and the owner of a [`Holder`]: it is theirs still.
pub(super) const MINE: &str = "EXISTS (SELECT 1 FROM leases WHERE name = ?2 AND owner = ?3)";

/// How long a lease lasts unless renewed: a process that died is overtaken after this.
pub const LEASE: Duration = Duration::from_secs(30);

impl Ledger {
    /// Takes a lease; `false` while another owner holds it.
    ///
    /// A lease that would last longer than any can is of a clock that was set back since: it counts for nothing.
    pub fn lease(&self, name: &str, owner: &str) -> Result<bool> {
        self.write("taking a lease", |tx| {
            let now = Utc::now();
            let taken = tx.execute(
                "INSERT INTO leases (name, owner, until) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until \
                 WHERE owner = excluded.owner OR until < ?4 OR until > excluded.until",
                params![name, owner, text(now + LEASE), text(now)],
            )?;
            Ok(taken == 1)
        })
    }

    /// Whether somebody holds a lease, told without waiting for anybody.
    pub fn is_leased(&self, name: &str) -> Result<bool> {
        self.read("looking for a lease", |connection| {
            let now = Utc::now();
            connection
                .prepare_cached("SELECT count(*) FROM leases WHERE name = ?1 AND until BETWEEN ?2 AND ?3")?
                .query_row(params![name, text(now), text(now + LEASE)], |row| row.get::<_, i64>(0))
                .map(|held| held > 0)
        })
    }

    /// Prolongs a lease. `false` if somebody else has taken it meanwhile, even if only for a while: a process
    /// that slept does not get back what it lost.
    pub fn renew(&self, name: &str, owner: &str) -> Result<bool> {
        self.write("renewing a lease", |tx| {
            let renewed = tx.execute(
                "UPDATE leases SET until = ?3 WHERE name = ?1 AND owner = ?2",
                params![name, owner, text(Utc::now() + LEASE)],
            )?;
            Ok(renewed == 1)
        })
    }

    /// Gives the lease back.
    pub fn release(&self, name: &str, owner: &str) -> Result<()> {
        self.write("releasing a lease", |tx| {
            tx.execute("DELETE FROM leases WHERE name = ?1 AND owner = ?2", params![name, owner])?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_of_a_clock_that_was_set_back_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        assert!(ledger.lease("job", "one").unwrap());
        assert!(!ledger.lease("job", "two").unwrap());
        let far = "UPDATE leases SET until = '2999-01-01T00:00:00.000000Z'";
        ledger.write("setting the clock back", |tx| tx.execute(far, [])).unwrap();
        assert!(ledger.lease("job", "two").unwrap());
    }
}
