//! A request file, checked whole before anything is spent: one bad line would fail the whole job.

use std::fs::File;
use std::io::{BufWriter, Write};

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::json;
use tempfile::NamedTempFile;

use super::App;
use super::build::Lines;
use super::estimate::Load;
use super::next::call;
use super::off_thread::off_thread;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::job::outcome::{counted, grouped};
use crate::jsonl::finding::{Finding, Severity};
use crate::jsonl::validate::{ValidateOptions, Validation, validate};
use crate::paths::AllowedPath;
use crate::progress::Monitor;
use crate::source;

/// Bad lines and warnings listed in a reply.
const MOST_LISTED: usize = 10;

/// Input tokens that Gemini models take, 4 Argon excepted (API reference §7).
const INPUT_LIMIT: i64 = 1_048_576;

/// What to do about requests that lie in no file of the caller's.
const IN_A_CALL: &str = "put them right in the call, each as {\"key\": \"a\", \"request\": {\"contents\": [{\"parts\": [{\"text\": \
    \"…\"}]}]}}; or build_jsonl with the same list as `rows` writes them mended to its `output`, which is the `input` then. \
    Nothing was sent";
const IN_A_RETRY: &str =
    "the requests were right before: mend the settings that the retry is to change; nothing was sent";

/// A file that is too large for one part is sent in several.
const ANY_SIZE: ValidateOptions = ValidateOptions { kind: None, keep_findings: 20, max_bytes: None, threads: 0 };

/// A request file without errors.
pub(super) struct Checked {
    pub(super) validation: Validation,
    pub(super) kind: Kind,
    /// When it was last written to, as it was read.
    pub(super) modified: Option<DateTime<Utc>>,
    /// Its keys, to be kept with the job.
    pub(super) keys: NamedTempFile,
}

/// Reads the whole file; fails with the list of bad lines, if there are any.
pub(super) async fn check(app: &App, input: &AllowedPath, monitor: &dyn Monitor) -> Result<Checked> {
    let keys = Vault::inline(app)?.file("keys")?.temporary()?;
    let file = input.clone();
    let opened = input.open()?;
    let modified = modified(&opened);
    let (validation, keys) = off_thread(monitor, move |monitor| {
        let failed = |e| Error::io("writing the keys", e);
        let mut sink = BufWriter::new(keys.reopen().map_err(failed)?);
        let validation = validate(&file, &ANY_SIZE, Some(&mut sink), monitor)?;
        sink.flush().map_err(failed)?;
        Ok((validation, keys))
    })
    .await?;
    match validation.kind {
        Some(kind) if validation.is_valid() => Ok(Checked { validation, kind, modified, keys }),
        _ if Vault::inline(app)?.holds(input) => Err(bad_requests(&validation, IN_A_CALL)),
        _ if Vault::all(app)?.holds(input) => Err(bad_requests(&validation, IN_A_RETRY)),
        _ => Err(bad_lines(input, &validation)),
    }
}

/// When a file was last written to, where the file system tells, as exactly as the ledger keeps it.
pub(super) fn modified(file: &File) -> Option<DateTime<Utc>> {
    let modified = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
    Some(DateTime::from(modified).trunc_subsecs(6))
}

fn bad_lines(input: &AllowedPath, validation: &Validation) -> Error {
    if let Err(error) = source::refuse_containers(input) {
        return error;
    }
    let place = |finding: &Finding| format!("line {}, column {}: ", finding.line, finding.column);
    let is_table =
        input.as_path().extension().is_some_and(|end| ["csv", "tsv", "json"].iter().any(|table| end == *table));
    let hint = match Lines::of(input) {
        Lines::Requests => format!(
            "{} writes a mended file of these requests and says what it did; nothing was sent",
            call("build_jsonl", json!({"source": input.to_string()}))
        ),
        _ if is_table => rows_hint(input),
        Lines::Rows => rows_hint(input),
        Lines::Unclear => "mend these lines, or build the file anew with build_jsonl; nothing was sent".to_owned(),
    };
    Error::new(ErrorKind::InvalidInput, format!("checking {input}"), listed(validation, place)).hint(hint)
}

fn rows_hint(input: &AllowedPath) -> String {
    let builds = call("build_jsonl", json!({"source": input.to_string(), "template": "…{{ column }}…"}));
    format!("these look like rows of data, not requests: {builds} makes a request file of them; nothing was sent")
}

/// There is no file that the caller could mend, or even read.
fn bad_requests(validation: &Validation, hint: &str) -> Error {
    let place = |finding: &Finding| format!("request {}: ", finding.line);
    Error::new(ErrorKind::InvalidInput, "checking the requests", listed(validation, place)).hint(hint)
}

/// How many errors there are, and the first of them, each with its place.
fn listed(validation: &Validation, place: impl Fn(&Finding) -> String) -> String {
    let mut findings: Vec<_> = validation.findings.iter().collect();
    findings.sort_by_key(|finding| finding.severity == Severity::Warning);
    let place = |finding: &Finding| if finding.line == 0 { String::new() } else { place(finding) };
    let findings = findings.into_iter().take(MOST_LISTED);
    let listed: Vec<_> = findings.map(|finding| describe(finding, &place(finding))).collect();
    let errors = counted(signed(validation.errors), "error");
    format!("{errors}, any of which fails the whole job:\n{}", listed.join("\n"))
}

/// "line 3, column 40: request.generationConfig.temprature: no such field (did you mean temperature?)".
fn describe(finding: &Finding, place: &str) -> String {
    let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    let warning = if finding.severity == Severity::Warning { "perhaps: " } else { "" };
    let hint = finding.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
    format!("{place}{warning}{path}{}{hint}", finding.message)
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
            let times = counted(signed(group.count), "time");
            format!("{} ({times}, first in line {})", group.message, group.first_line)
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
        Load::of(&self.validation.totals)
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
