//! Keeps the reply of `get_results` small, whatever the answers are: it says what was left out and where it is.

use super::words::{ResultsReply, Sample};
use crate::job::Outcome;
use crate::job::outcome::{counted, grouped};
use crate::job::text::clip;

/// Bytes of a reply as JSON, its last line apart.
const BUDGET: usize = 7_000;
const WARNING_BYTES: usize = 300;
const MOST_WARNINGS: usize = 8;
const MOST_RETRIES: usize = 10;
const FAILURES_BYTES: usize = 2_200;
/// An answer is not cut shorter than this: rather fewer are shown.
const LEAST_TEXT: usize = 120;
/// What a sample costs besides its key and its text, the note on its length included.
const FRAME: usize = 110;

/// Cuts the parts of a reply that depend on data to what there is room for.
/// Failures are of these outcomes, of all if none is named.
pub(super) fn fit(reply: &mut ResultsReply, outcomes: &[Outcome]) {
    fit_retries(reply);
    fit_warnings(&mut reply.warnings);
    fit_failures(reply, outcomes);
    let mut samples = std::mem::take(&mut reply.samples);
    let room = BUDGET.saturating_sub(json_bytes(reply));
    let rest = match (&reply.path, reply.format.as_deref()) {
        (Some(_), Some("md")) => "whole in csv, parquet or jsonl",
        (Some(_), _) => "in the file",
        (None, _) => "whole with output",
    };
    while least(&samples) > room && !samples.is_empty() {
        samples.pop();
    }
    let share = share(&samples, room);
    samples.iter_mut().for_each(|sample| sample.cut(share, rest));
    reply.samples = samples;
}

fn fit_retries(reply: &mut ResultsReply) {
    let more = reply.retries.len().saturating_sub(MOST_RETRIES);
    // The newest are those that somebody goes on with.
    reply.retries.drain(..more);
    if more > 0 {
        reply.warnings.insert(0, format!("the answers of {more} earlier retries are in it as well"));
    }
}

fn fit_warnings(warnings: &mut Vec<String>) {
    let more = warnings.len().saturating_sub(MOST_WARNINGS);
    warnings.truncate(MOST_WARNINGS);
    warnings.iter_mut().for_each(|warning| *warning = clip(warning, WARNING_BYTES));
    if more > 0 {
        warnings.push(format!("{more} more warnings"));
    }
}

fn fit_failures(reply: &mut ResultsReply, outcomes: &[Outcome]) {
    while json_bytes(&reply.failures) > FAILURES_BYTES {
        reply.failures.pop();
    }
    let is_told = |outcome: &Outcome| match outcome {
        Outcome::Answered | Outcome::Pending => false,
        outcome => outcomes.is_empty() || outcomes.contains(outcome),
    };
    let unanswered: i64 = Outcome::ALL.into_iter().filter(is_told).map(|outcome| reply.outcomes.get(outcome)).sum();
    let listed: i64 = reply.failures.iter().map(|failure| failure.count).sum();
    if unanswered > listed {
        let rest = counted(unanswered - listed, "request");
        reply.warnings.push(match reply.failures.is_empty() {
            true => format!(
                "{rest} without a usable answer: get_results {{\"job\": \"{}\", \"limit\": 3}} tells why",
                reply.job
            ),
            false => format!("{rest} without an answer for other reasons than those listed in failures"),
        });
    }
}

/// What these samples need if all are cut as short as they may be.
fn least(samples: &[Sample]) -> usize {
    samples.iter().map(|sample| json_bytes(&sample.key) + FRAME + json_bytes(&sample.text).min(LEAST_TEXT)).sum()
}

/// How long a text may be, as JSON: what short ones do not need goes to the long ones.
fn share(samples: &[Sample], room: usize) -> usize {
    let frames: usize = samples.iter().map(|sample| json_bytes(&sample.key) + FRAME).sum();
    let mut lengths: Vec<_> = samples.iter().map(|sample| json_bytes(&sample.text)).collect();
    lengths.sort_unstable();
    let mut room = room.saturating_sub(frames);
    let mut left = lengths.len();
    for length in lengths {
        if length * left > room {
            return room / left;
        }
        room -= length;
        left -= 1;
    }
    usize::MAX
}

impl Sample {
    /// The text within so many bytes of JSON; if anything is missing, how long it is and where the rest is.
    fn cut(&mut self, most: usize, rest: &str) {
        let mut bytes = 2;
        let end = self.text.char_indices().find(|(_, c)| {
            bytes += escaped(*c);
            bytes > most
        });
        if let Some((end, _)) = end {
            self.text.truncate(end);
            self.whole = false;
        }
        if !self.whole {
            let length = grouped(i64::try_from(self.bytes).unwrap_or(i64::MAX));
            self.text.push_str(&format!("… ({length} bytes; {rest})"));
        }
    }
}

/// The length of a character inside a JSON string.
fn escaped(c: char) -> usize {
    if matches!(c, '"' | '\\') { 2 } else { c.len_utf8() }
}

fn json_bytes(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len())
}

#[cfg(test)]
mod tests;
