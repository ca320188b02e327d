//! Into which parts a request file goes: one, unless it is more than the API takes of one batch.

use super::App;
use super::checked::Checked;
use super::estimate::Estimate;
use super::off_thread::off_thread;
use super::room::by_tier;
use crate::error::{Error, ErrorKind, Result};
use crate::job::media::proportional;
use crate::jsonl::cut::{PartLimits, Piece, cut};
use crate::ledger::NewPart;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// More parts than this are a mistake in the limits asked for.
const MOST_PARTS: usize = 1000;

/// What the caller asks of parts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AskedLimits {
    pub(super) requests: Option<i64>,
    pub(super) bytes: Option<i64>,
}

/// The parts of a file, the same whenever they are asked for. Tokens and money are shared out by bytes.
pub(super) async fn parts(
    app: &App,
    input: &AllowedPath,
    checked: &Checked,
    asked: AskedLimits,
    estimate: &Estimate,
    monitor: &dyn Monitor,
) -> Result<Vec<NewPart>> {
    let validation = &checked.validation;
    let limits = limits(app, checked, asked, estimate)?;
    let tokens = Some(estimate.input_tokens);
    if limits.hold(validation.bytes, validation.requests) {
        let whole = NewPart::whole(checked.requests(), tokens, estimate.high_usd);
        return Ok(vec![NewPart { bytes: Some(validation.bytes), ..whole }]);
    }
    let (file, act) = (input.open()?, format!("cutting {input} into parts"));
    let naming = act.clone();
    let pieces = off_thread(monitor, move |monitor| cut(file, limits, &naming, monitor)).await?;
    if pieces.len() > MOST_PARTS {
        let cause = format!("it would be {} parts; {MOST_PARTS} is the most", pieces.len());
        return Err(Error::new(ErrorKind::InvalidArgument, act, cause)
            .hint("allow more requests or bytes a part, or set the project's tier; nothing was sent"));
    }
    let of = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    Ok((1..).zip(pieces).map(|(number, piece)| part(number, of, piece, validation.bytes, estimate)).collect())
}

/// What one part may hold: what the API takes, what the tier lets be enqueued, what was asked for.
fn limits(app: &App, checked: &Checked, asked: AskedLimits, estimate: &Estimate) -> Result<PartLimits> {
    let limit = |name: &str, asked: Option<i64>| match asked {
        Some(count) if count < 1 => {
            let cause = format!("{name} is {count}, it must be 1 or more");
            Err(Error::new(ErrorKind::InvalidArgument, "choosing parts", cause)
                .hint("leave it out for the largest parts"))
        }
        asked => Ok(asked.map_or(u64::MAX, i64::unsigned_abs)),
    };
    let (requests, bytes) = (limit("max_part_requests", asked.requests)?, limit("max_part_bytes", asked.bytes)?);
    let by_tier = by_tier(app, &estimate.model).map_or(u64::MAX, |tokens| {
        let all = estimate.input_tokens.max(1).unsigned_abs();
        proportional(checked.validation.bytes, tokens.unsigned_abs(), all)
    });
    Ok(PartLimits { requests, bytes: bytes.min(by_tier).min(app.models().limits.file_bytes) })
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files are far below 2^52")]
fn part(number: u32, of: u32, piece: Piece, all_bytes: u64, estimate: &Estimate) -> NewPart {
    let tokens = proportional(estimate.input_tokens.unsigned_abs(), piece.bytes, all_bytes);
    NewPart {
        number,
        of,
        first_byte: piece.first_byte,
        bytes: Some(piece.bytes),
        requests: i64::try_from(piece.requests).unwrap_or(i64::MAX),
        tokens: i64::try_from(tokens).ok(),
        high_usd: estimate.high_usd.map(|usd| usd * piece.bytes as f64 / all_bytes.max(1) as f64),
    }
}
