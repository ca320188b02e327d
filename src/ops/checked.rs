//! A request file, checked whole before anything is spent: one bad line would fail the whole job.

use std::io::{BufWriter, Write};

use tempfile::NamedTempFile;

use super::App;
use super::estimate::Load;
use super::off_thread::off_thread;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::job::outcome::grouped;
use crate::jsonl::finding::{Finding, Severity};
use crate::jsonl::validate::{ValidateOptions, Validation, validate};
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// Bad lines and warnings listed in a reply.
const MOST_LISTED: usize = 10;

/// Input tokens that Gemini models take, 4 Argon excepted (API reference §7).
const INPUT_LIMIT: i64 = 1_048_576;

/// A request file without errors.
pub(super) struct Checked {
    pub(super) validation: Validation,
    pub(super) kind: Kind,
    /// Its keys, to be kept with the job.
    pub(super) keys: NamedTempFile,
}

/// Reads the whole file; fails with the list of bad lines, if there are any.
pub(super) async fn check(app: &App, input: &AllowedPath, monitor: &dyn Monitor) -> Result<Checked> {
    let keys = Vault::inline(app)?.file("keys")?.temporary()?;
    let file = input.clone();
    let (validation, keys) = off_thread(monitor, move |monitor| {
        let failed = |e| Error::io("writing the keys", e);
        let mut sink = BufWriter::new(keys.reopen().map_err(failed)?);
        let validation = validate(&file, &ValidateOptions::default(), Some(&mut sink), monitor)?;
        sink.flush().map_err(failed)?;
        Ok((validation, keys))
    })
    .await?;
    match validation.kind {
        Some(kind) if validation.is_valid() => Ok(Checked { validation, kind, keys }),
        _ => Err(bad_lines(input, &validation)),
    }
}

fn bad_lines(input: &AllowedPath, validation: &Validation) -> Error {
    let errors = validation.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let listed: Vec<_> = errors.take(MOST_LISTED).map(describe).collect();
    let count = grouped(i64::try_from(validation.errors).unwrap_or(i64::MAX));
    let errors = if validation.errors == 1 { "error" } else { "errors" };
    let cause = format!("{count} {errors}, any of which fails the whole job:\n{}", listed.join("\n"));
    Error::new(ErrorKind::InvalidInput, format!("checking {input}"), cause)
        .hint("mend these lines, or build the file anew with build_jsonl; nothing was sent")
}

/// "line 3, column 40: request.generationConfig.temprature: no such field (did you mean temperature?)".
fn describe(finding: &Finding) -> String {
    let place = match finding.line {
        0 => String::new(),
        line => format!("line {line}, column {}: ", finding.column),
    };
    let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    let hint = finding.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
    format!("{place}{path}{}{hint}", finding.message)
}

impl Checked {
    /// Requests in the file.
    pub(super) fn requests(&self) -> i64 {
        signed(self.validation.requests)
    }

    /// What may be a mistake, most frequent first.
    pub(super) fn warnings(&self) -> Vec<String> {
        let warnings = self.validation.groups.iter().filter(|group| group.severity == Severity::Warning);
        let text = |group: &crate::jsonl::finding::FindingGroup| {
            format!("{} ({} times, first in line {})", group.message, group.count, group.first_line)
        };
        let mut warnings: Vec<_> = warnings.take(MOST_LISTED).map(text).collect();
        let largest = signed(self.validation.totals.largest_input_tokens);
        if largest > INPUT_LIMIT {
            let (largest, limit) = (grouped(largest), grouped(INPUT_LIMIT));
            warnings.push(format!("the longest prompt has about {largest} tokens; Gemini models take {limit}"));
        }
        warnings
    }

    /// What the requests add up to.
    pub(super) fn load(&self) -> Load {
        let totals = &self.validation.totals;
        Load {
            requests: self.requests(),
            input_tokens: signed(totals.input_tokens),
            limited_requests: signed(totals.with_max_output_tokens),
            output_limit_sum: signed(totals.max_output_tokens),
            uncounted_media: totals.with_inline_media > 0 || totals.with_file_data > 0,
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
