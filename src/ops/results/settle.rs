//! What each job did cost, written down once it is known: what was set aside for it under the daily budget and not
//! used is free again.

use std::collections::BTreeMap;

use super::family::Member;
use crate::error::Result;
use crate::job::Cost;
use crate::ledger::PartRecord;
use crate::ops::App;

/// What the lines of a job (0) and of each of its retries cost.
#[derive(Debug, Default)]
pub(in crate::ops) struct Costs(BTreeMap<u32, Cost>);

impl Costs {
    /// One more line of a job.
    pub(in crate::ops) fn add(&mut self, generation: u32, cost: Cost) {
        *self.0.entry(generation).or_insert(Cost::Usd(0.0)) += cost;
    }

    /// Nobody knows what these cost.
    pub(in crate::ops) fn leave_out(&mut self, generations: impl Iterator<Item = u32>) {
        self.0.extend(generations.map(|generation| (generation, Cost::Unknown)));
    }

    /// A job without a single line cost nothing.
    fn of(&self, generation: u32) -> Cost {
        self.0.get(&generation).copied().unwrap_or(Cost::Usd(0.0))
    }
}

/// Settles the job and each of its retries by itself, every line of theirs counted in. What is not known stays as it
/// was.
pub(in crate::ops) fn settle(app: &App, members: &[Member], costs: &Costs) -> Result<()> {
    for member in members.iter().filter(|member| is_all_there(member)) {
        if let Cost::Usd(usd) = costs.of(member.number) {
            app.ledger()?.settle(&member.job.handle, usd)?;
        }
    }
    Ok(())
}

/// Whether every line that was paid for is here.
fn is_all_there(member: &Member) -> bool {
    let mut sent = member.job.parts.iter().filter(|part| !part.is_unsent());
    member.job.is_sent() && !member.lacking && sent.all(PartRecord::is_all_here)
}
