//! Leases: who is working on a submission right now, among several processes.

use std::time::Duration;

use chrono::Utc;
use rusqlite::params;

use super::Ledger;
use super::record::text;
use crate::error::Result;
use crate::job::Handle;

/// How long a lease lasts unless renewed: a process that died is overtaken after this.
pub const LEASE: Duration = Duration::from_secs(30);

impl Ledger {
    /// Takes the lease on a job's submission; `false` while another owner holds it.
    pub fn lease(&self, handle: &Handle, owner: &str) -> Result<bool> {
        self.write("taking a lease", |tx| {
            let now = Utc::now();
            let taken = tx.execute(
                "UPDATE parts SET lease_owner = ?2, lease_until = ?3 \
                 WHERE handle = ?1 AND (lease_owner IS NULL OR lease_owner = ?2 OR lease_until < ?4)",
                params![handle.as_str(), owner, text(now + LEASE), text(now)],
            )?;
            Ok(taken == 1)
        })
    }

    /// Prolongs a lease. `false` if somebody else has taken it meanwhile, even if only for a while: a process
    /// that slept does not get back what it lost.
    pub fn renew(&self, handle: &Handle, owner: &str) -> Result<bool> {
        self.write("renewing a lease", |tx| {
            let renewed = tx.execute(
                "UPDATE parts SET lease_until = ?3 WHERE handle = ?1 AND lease_owner = ?2",
                params![handle.as_str(), owner, text(Utc::now() + LEASE)],
            )?;
            Ok(renewed == 1)
        })
    }

    /// Gives the lease back.
    pub fn release(&self, handle: &Handle, owner: &str) -> Result<()> {
        self.write("releasing a lease", |tx| {
            tx.execute(
                "UPDATE parts SET lease_owner = NULL, lease_until = NULL WHERE handle = ?1 AND lease_owner = ?2",
                params![handle.as_str(), owner],
            )?;
            Ok(())
        })
    }
}
