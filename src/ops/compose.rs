//! Turns rows into the lines of a request file.

use serde_json::Value;

use super::build::OnBadRow;
use super::estimate::Load;
use super::ready::{Expected, Mender, Ready};
use super::watch::Watch;
use crate::answers::summary::clip;
use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::{counted, grouped};
use crate::jsonl::check::check_line;
use crate::jsonl::finding::{Findings, Severity};
use crate::jsonl::keys::KeySet;
use crate::jsonl::writer::{RequestWriter, Written};
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};
use crate::source::{KeyRule, Row, RowProblem, Skeleton, Source};

/// Bad rows listed in a reply, and requests shown in it.
const MOST_PROBLEMS: usize = 10;
const SHOWN: u64 = 2;
const SHOWN_BYTES: usize = 600;
/// Lines that are checked against the request schema: all are made by the same skeleton.
const CHECKED: u64 = 200;
const STRIDE: u64 = 4096;

/// What the writing thread needs.
pub(super) struct Task {
    pub(super) source: Source,
    pub(super) request: Value,
    /// The rows are requests already.
    pub(super) ready: Option<Ready>,
    /// Tokens that a prompt may have, and whether more are refused.
    pub(super) input_limit: (i64, bool),
    pub(super) key: Option<String>,
    pub(super) limit: u64,
    pub(super) on_bad_row: OnBadRow,
    pub(super) output: AllowedPath,
    pub(super) overwrite: bool,
}

/// What it made.
pub(super) struct Built {
    pub(super) written: Written,
    pub(super) load: Load,
    pub(super) first: Vec<String>,
    pub(super) bad: BadRows,
    pub(super) warnings: Vec<String>,
    pub(super) fixes: Vec<String>,
    /// Of requests that were ready: what their answers are to be.
    pub(super) expected: Option<Expected>,
}

/// Rows of which no request could be made, by cause.
#[derive(Default)]
pub(super) struct BadRows {
    pub(super) count: i64,
    causes: Vec<Cause>,
}

/// One thing that is wrong with some rows.
struct Cause {
    text: String,
    /// The first row that has it.
    first: String,
    count: i64,
}

impl BadRows {
    fn push(&mut self, problem: &RowProblem) {
        self.count += 1;
        if let Some(known) = self.causes.iter_mut().find(|known| known.text == problem.cause) {
            known.count += 1;
        } else if self.causes.len() < MOST_PROBLEMS {
            self.causes.push(Cause { text: problem.cause.clone(), first: problem.to_string(), count: 1 });
        }
    }

    /// "row 3 (line 4) and 7 more: …", one line a cause.
    pub(super) fn listed(&self) -> Vec<String> {
        let line = |cause: &Cause| match cause.count {
            1 => cause.first.clone(),
            count => format!("{} (and {} more rows)", cause.first, grouped(count - 1)),
        };
        self.causes.iter().map(line).collect()
    }
}

/// Reads the rows and writes the requests. Heavy: runs on a thread of its own.
pub(super) fn write(task: Task, monitor: &dyn Monitor) -> Result<Built> {
    let mut source = task.source;
    let skeleton = match &task.ready {
        None => Skeleton::compile(&task.request)?,
        Some(_) => Skeleton::default(),
    };
    if let Some(columns) = source.columns() {
        skeleton.check_columns(columns)?;
    }
    let rule = KeyRule::parse(task.key.as_deref(), source.columns())?;
    let mut writer = RequestWriter::create(task.output.clone(), task.overwrite)?;
    let mender = task.ready.map(Ready::mender);
    let mut lines = Lines::new(&skeleton, &rule, mender, Watch::new(task.input_limit));
    let mut bad = BadRows::default();
    while writer.requests() < task.limit {
        let Some(row) = source.next_row()? else { break };
        match row.and_then(|row| lines.make(&row)) {
            Ok(()) => writer.push(&lines.line)?,
            Err(problem) => bad.push(&problem),
        }
        if writer.requests() % STRIDE == 0 {
            monitor.check("building requests")?;
            monitor.report(&Progress {
                stage: "building requests".into(),
                done: writer.requests(),
                total: None,
                unit: "rows",
            });
        }
    }
    if task.on_bad_row == OnBadRow::Fail && bad.count > 0 {
        return Err(bad_rows(&bad, writer.requests()));
    }
    if writer.requests() == 0 {
        return Err(Error::new(ErrorKind::InvalidInput, "building requests", "there is no row to make a request of")
            .hint("check that the source has rows, and that they are not all left out"));
    }
    let mut warnings = lines.warnings();
    if source.skipped() > 0 {
        warnings.push(format!("{} requests of the earlier job have no answer and are left out", source.skipped()));
    }
    let load = lines.load(i64::try_from(writer.requests()).unwrap_or(i64::MAX));
    let fixes = lines.mender.as_ref().map(Mender::fixes).unwrap_or_default();
    let expected = lines.mender.as_ref().map(Mender::expected);
    Ok(Built { written: writer.finish()?, load, first: lines.first, bad, warnings, fixes, expected })
}

fn bad_rows(bad: &BadRows, good: u64) -> Error {
    let cause = format!("{}, nothing was written:\n{}", counted(bad.count, "bad row"), bad.listed().join("\n"));
    let hint = if good == 0 {
        "no row makes a request: mend the template, the key or the source"
    } else {
        "mend the rows or the template, or pass on_bad_row: \"skip\" to leave these rows out"
    };
    Error::new(ErrorKind::InvalidInput, "building requests", cause).hint(hint)
}

/// Makes request lines of rows and keeps count.
struct Lines<'s> {
    skeleton: &'s Skeleton,
    rule: &'s KeyRule,
    /// Makes the lines of rows that are requests already.
    mender: Option<Mender>,
    watch: Watch,
    keys: KeySet,
    key: String,
    line: Vec<u8>,
    first: Vec<String>,
    made: u64,
    text_bytes: u64,
    /// Of the lines that were checked: their text in bytes, and in tokens.
    checked_bytes: u64,
    checked_tokens: u64,
    output_limit: Option<i64>,
    /// Of the lines that were checked: those with a limit, and its sum.
    limited: i64,
    limit_sum: i64,
    uncounted_media: bool,
    findings: Findings,
}

impl<'s> Lines<'s> {
    fn new(skeleton: &'s Skeleton, rule: &'s KeyRule, mender: Option<Mender>, watch: Watch) -> Self {
        Self {
            skeleton,
            rule,
            mender,
            watch,
            keys: KeySet::new(),
            key: String::new(),
            line: Vec::new(),
            first: Vec::new(),
            made: 0,
            text_bytes: 0,
            checked_bytes: 0,
            checked_tokens: 0,
            output_limit: None,
            limited: 0,
            limit_sum: 0,
            uncounted_media: false,
            findings: Findings::new(MOST_PROBLEMS),
        }
    }

    /// Makes the line of a row. What would fail the whole job at the API is a problem of the row.
    fn make(&mut self, row: &Row<'_>) -> Result<(), RowProblem> {
        let key = self.rule.key(row, &mut self.key)?;
        self.line.clear();
        let text_bytes = match &mut self.mender {
            None => self.skeleton.render_line(key, row, &mut self.line)?,
            Some(mender) => mender.line(key, row, &mut self.line)?,
        } as u64;
        if self.made < CHECKED || self.mender.is_some() {
            self.check(row, text_bytes)?;
        }
        let key = self.key.trim();
        if !self.keys.insert(key.as_bytes()) {
            return Err(row.problem(None, format!("its key {key:?} came before; keys must be unique")));
        }
        self.watch.see(key, &self.line).map_err(|cause| row.problem(None, cause))?;
        self.text_bytes += text_bytes;
        self.made += 1;
        if self.made <= SHOWN {
            self.first.push(clip(&String::from_utf8_lossy(&self.line), SHOWN_BYTES));
        }
        Ok(())
    }

    fn check(&mut self, row: &Row<'_>, text_bytes: u64) -> Result<(), RowProblem> {
        let mut found = Vec::new();
        let facts = check_line(&self.line, row.number(), &mut found);
        self.checked_bytes += text_bytes;
        self.checked_tokens += facts.input_tokens;
        self.output_limit = facts.max_output_tokens.and_then(|limit| i64::try_from(limit).ok());
        self.limited += i64::from(self.output_limit.is_some());
        self.limit_sum = self.limit_sum.saturating_add(self.output_limit.unwrap_or(0));
        self.uncounted_media |= facts.has_file_data || facts.inline_bytes > 0;
        if let Some(error) = found.iter().find(|finding| finding.severity == Severity::Error) {
            let hint = error.hint.as_deref().map_or(String::new(), |hint| format!(" ({hint})"));
            return Err(row.problem(None, format!("{} {}{hint}", error.path, error.message)));
        }
        found.into_iter().for_each(|warning| self.findings.push(warning));
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        let found = self.findings.groups().into_iter().map(|group| match group.hint {
            Some(hint) => format!("{} ({hint})", group.message),
            None => group.message,
        });
        let lost = self.mender.as_ref().map(Mender::losses).unwrap_or_default();
        found.chain(lost).chain(self.watch.warnings()).collect()
    }

    fn load(&self, requests: i64) -> Load {
        let tokens =
            u128::from(self.text_bytes) * u128::from(self.checked_tokens) / u128::from(self.checked_bytes.max(1));
        let (limited, limit_sum) = match (&self.mender, self.output_limit) {
            (Some(_), _) => (self.limited, self.limit_sum),
            (None, None) => (0, 0),
            (None, Some(limit)) => (requests, limit.saturating_mul(requests)),
        };
        Load {
            requests,
            input_tokens: i64::try_from(tokens).unwrap_or(i64::MAX),
            limited_requests: limited,
            output_limit_sum: limit_sum,
            uncounted_media: self.uncounted_media,
        }
    }
}
