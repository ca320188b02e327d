//! What each job did cost, written down once it is known: what was set aside for it under the daily budget and not
//! used is free again.

use super::answer_file::Done;
use super::family::Member;
use crate::error::Result;
use crate::job::{Cost, JobState};
use crate::ledger::PartRecord;
use crate::ops::App;

/// Settles the job and each of its retries by itself. What is not known stays as it was.
pub(super) fn settle(app: &App, done: &Done) -> Result<()> {
    let ledger = app.ledger()?;
    for member in done.family.members.iter().filter(|member| is_accounted_for(member)) {
        // A job without a single line cost nothing.
        let cost = done.counted.costs.get(&member.number).copied().unwrap_or(Cost::Usd(0.0));
        if let Cost::Usd(usd) = cost {
            ledger.settle(&member.job.handle, usd)?;
        }
    }
    Ok(())
}

/// Whether every line that was paid for is here.
fn is_accounted_for(member: &Member) -> bool {
    let sent = member.job.parts.iter().filter(|part| !part.is_unsent());
    member.job.is_sent() && !member.lacking && sent.clone().all(|part| part.collected_at.is_some() || gave_nothing(part))
}

/// Requests that the API failed are usually not billed (API reference §7), and no other was done: a part that ended
/// early without one success cost nothing.
fn gave_nothing(part: &PartRecord) -> bool {
    part.state.is_terminal() && part.state != JobState::Succeeded && part.done <= part.failed
}
