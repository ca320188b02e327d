//! Whether the API has room for a part, as far as can be told before it is asked.

use chrono::{DateTime, TimeDelta, Utc};

use super::App;
use crate::error::Result;
use crate::job::outcome::grouped;
use crate::ledger::{JobRecord, PartRecord};

/// How soon it is looked again whether room was freed.
const AGAIN: TimeDelta = TimeDelta::seconds(30);

/// A part that has to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) until: DateTime<Utc>,
    pub(super) why: String,
}

/// Why a part cannot be sent now, if it cannot.
///
/// With nothing enqueued a part is always tried: only the API knows what it takes.
pub(super) fn wait_for_room(app: &App, owner: &str, job: &JobRecord, part: &PartRecord) -> Result<Option<Wait>> {
    let ledger = app.ledger()?;
    let now = app.now();
    let learned = ledger.learned(&job.model, owner)?;
    if let Some(until) = learned.pause_until {
        let why = format!("the API had no room for more of {}; it is asked again", job.model);
        return Ok(Some(Wait { until, why }));
    }
    let enqueued = ledger.enqueued(&job.model, owner)?;
    let most = app.models().limits.active_batches;
    if enqueued.batches >= most {
        let why = format!("{} batches are running, and the API takes {most} of a project", enqueued.batches);
        return Ok(Some(Wait { until: now + AGAIN, why }));
    }
    let Some(limit) = most_tokens(app, &job.model, learned.too_many) else { return Ok(None) };
    let wanted = part.tokens.unwrap_or(0);
    if enqueued.tokens == 0 || enqueued.tokens.saturating_add(wanted) <= limit {
        return Ok(None);
    }
    let why = format!(
        "about {} tokens of {} are enqueued, this adds {}, and about {} may be",
        grouped(enqueued.tokens),
        job.model,
        grouped(wanted),
        grouped(limit)
    );
    Ok(Some(Wait { until: now + AGAIN, why }))
}

/// What may be enqueued of a model: by the tier, or less, by what refusals taught.
fn most_tokens(app: &App, model: &str, too_many: Option<i64>) -> Option<i64> {
    [by_tier(app, model), too_many.map(|tokens| tokens - 1)].into_iter().flatten().min()
}

/// What the tier allows of a model, if the tier and the limit are known.
pub(super) fn by_tier(app: &App, model: &str) -> Option<i64> {
    app.models().get(model)?.enqueued_tokens(app.config().tier?)
}
