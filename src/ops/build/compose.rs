//! Turns rows into the lines of a request file.

use serde_json::Value;

use super::attach::{Attach, Attacher, without_media};
use super::blanks::Blanks;
use super::problems::BadRows;
use super::ready::{Expected, Mender, Ready};
use super::repeats::Repeats;
use super::rows::Rows;
use super::speakers::Speakers;
use super::watch::Watch;
use super::words::OnBadRow;
use crate::error::{Error, ErrorKind, Result};
use crate::job::text::clip;
use crate::jsonl::check::check_line;
use crate::jsonl::finding::{Findings, Severity};
use crate::jsonl::keys::KeySet;
use crate::jsonl::validate::Totals;
use crate::jsonl::writer::{RequestWriter, Written};
use crate::ops::estimate::Load;
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};
use crate::source::{KeyRule, Row, RowProblem, Skeleton, Source};

/// Warnings listed in a reply, and requests shown in it.
const MOST_WARNINGS: usize = 10;
const SHOWN: u64 = 2;
const SHOWN_BYTES: usize = 600;
/// Lines that are checked against the request schema: all are made by the same skeleton.
const CHECKED: u64 = 200;
const STRIDE: u64 = 4096;

/// What the writing thread needs.
pub(super) struct Task {
    pub(super) source: Source,
    /// The rows of the source, to be looked at again.
    pub(super) rows: Rows,
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
    pub(super) attach: Attach,
    /// Where bad rows are listed, if there are any.
    pub(super) problems: AllowedPath,
}

/// What it made.
pub(super) struct Built {
    pub(super) written: Written,
    pub(super) load: Load,
    pub(super) first: Vec<String>,
    pub(super) bad: BadRows,
    pub(super) problems_file: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) fixes: Vec<String>,
    /// Of requests that were ready: what their answers are to be.
    pub(super) expected: Option<Expected>,
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
    refuse_no_place(&skeleton, &task.attach)?;
    let maker = match task.ready {
        Some(ready) => Maker::Mended(Box::new(ready.mender())),
        None => Maker::Filled {
            skeleton: &skeleton,
            attacher: Box::new(Attacher::new(&task.attach, source.columns())?),
            media: Vec::new(),
        },
    };
    let eyes = (Watch::new(task.input_limit), Blanks::new(&skeleton), Speakers::new(&task.request));
    let mut lines = Lines::new(maker, &rule, eyes);
    let mut bad = BadRows::new(task.rows.text(), task.problems);
    while writer.requests() < task.limit {
        let Some(row) = source.next_row()? else { break };
        match row.and_then(|row| lines.make(&row)) {
            Ok(true) => writer.push(&lines.line)?,
            Ok(false) => {}
            Err(problem) => bad.push(&problem)?,
        }
        // A row with media may take as long as many without.
        if writer.requests() % STRIDE == 0 || !lines.maker.is_uniform() {
            monitor.check("building requests")?;
            monitor.report(&Progress {
                stage: "building requests".into(),
                done: writer.requests(),
                total: None,
                unit: "rows",
            });
        }
    }
    let is_trial = writer.requests() == task.limit && matches!(source.next_row(), Ok(Some(_)));
    std::mem::take(&mut lines.repeats).tell(|| task.rows.open(), (&skeleton, &rule), &mut bad, monitor)?;
    if bad.count > 0 && (task.on_bad_row == OnBadRow::Fail || writer.requests() == 0) {
        return Err(bad.refusal(writer.requests())?);
    }
    lines.maker.refuse_withheld()?;
    if writer.requests() == 0 {
        let passed_over = source.notes().into_iter().map(|note| format!(": {note}")).collect::<String>();
        let cause = format!("there is no row to make a request of{passed_over}");
        return Err(Error::new(ErrorKind::InvalidInput, "building requests", cause).hint(task.rows.where_from()));
    }
    let mut warnings = lines.warnings();
    warnings.extend(source.notes());
    if let Maker::Filled { attacher, .. } = &lines.maker {
        warnings.extend(attacher.without_told());
    }
    if is_trial {
        warnings.push(trial(task.limit));
    }
    let load = lines.load();
    let (fixes, expected) = match &lines.maker {
        Maker::Mended(mender) => (mender.fixes(), Some(mender.expected())),
        Maker::Filled { .. } => (Vec::new(), None),
    };
    let written = writer.finish()?;
    let (problems_file, unlisted) = bad.finish()?;
    warnings.extend(unlisted);
    Ok(Built { written, load, first: lines.first, bad, problems_file, warnings, fixes, expected })
}

/// What is attached has to go somewhere.
fn refuse_no_place(skeleton: &Skeleton, attach: &Attach) -> Result<()> {
    if attach.rules.is_empty() || skeleton.takes_media() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, "building requests", "there is no turn of the user to attach media to")
        .hint("request.contents needs a turn with the role user and a list of parts"))
}

fn trial(limit: u64) -> String {
    let rows = if limit == 1 { "row".to_owned() } else { format!("{limit} rows") };
    format!(
        "a trial of the first {rows} of more: for the whole, build it without limit (and overwrite: true, if to the same file)"
    )
}

/// Makes the line of a row.
enum Maker<'s> {
    /// Out of the request in which every string is a template, and what the row brings along.
    Filled { skeleton: &'s Skeleton, attacher: Box<Attacher>, media: Vec<u8> },
    /// Out of the request that the row is already.
    Mended(Box<Mender>),
}

impl Maker<'_> {
    /// Appends the line; returns how many bytes of text for the model it holds.
    fn line(&mut self, key: &str, row: &Row<'_>, out: &mut Vec<u8>) -> Result<usize, RowProblem> {
        match self {
            Self::Mended(mender) => mender.line(key, row, out),
            Self::Filled { skeleton, attacher, media } => {
                media.clear();
                attacher.parts(row, media)?;
                skeleton.render_line_with(key, row, media, out)
            }
        }
    }

    /// Files that were not uploaded, as the build cannot succeed, are in no request.
    fn refuse_withheld(&self) -> Result<()> {
        match self {
            Self::Mended(_) => Ok(()),
            Self::Filled { attacher, .. } => attacher.refuse_withheld(),
        }
    }

    /// Whether all lines ask for the same, but for their texts.
    fn is_uniform(&self) -> bool {
        match self {
            Self::Mended(_) => false,
            Self::Filled { attacher, .. } => !attacher.is_asked(),
        }
    }
}

/// Makes request lines of rows and keeps count.
struct Lines<'s> {
    maker: Maker<'s>,
    rule: &'s KeyRule,
    watch: Watch,
    blanks: Blanks,
    speakers: Speakers,
    keys: KeySet,
    key: String,
    line: Vec<u8>,
    first: Vec<String>,
    made: u64,
    repeats: Repeats,
    text_bytes: u64,
    /// Of the lines that were checked: the bytes of their text, and what they ask for.
    checked_bytes: u64,
    checked: Totals,
    findings: Findings,
}

impl<'s> Lines<'s> {
    fn new(maker: Maker<'s>, rule: &'s KeyRule, (watch, blanks, speakers): (Watch, Blanks, Speakers)) -> Self {
        Self {
            maker,
            rule,
            watch,
            blanks,
            speakers,
            keys: KeySet::new(),
            key: String::new(),
            line: Vec::new(),
            first: Vec::new(),
            made: 0,
            repeats: Repeats::default(),
            text_bytes: 0,
            checked_bytes: 0,
            checked: Totals::default(),
            findings: Findings::new(MOST_WARNINGS),
        }
    }

    /// Makes the line of a row. What would fail the whole job at the API is a problem of the row; `false`
    /// if its key came before, which is told when all rows were seen.
    fn make(&mut self, row: &Row<'_>) -> Result<bool, RowProblem> {
        let key = self.rule.key(row, &mut self.key)?;
        self.line.clear();
        let text_bytes = self.maker.line(key, row, &mut self.line)? as u64;
        if self.made < CHECKED || !self.maker.is_uniform() {
            self.check(row, text_bytes)?;
        }
        let key = self.key.trim();
        if !self.keys.insert(key.as_bytes()) {
            return self.repeats.push(row, self.rule, &self.key).map(|()| false);
        }
        self.watch.see(key, &self.line).map_err(|cause| row.problem(None, cause))?;
        if let Maker::Mended(mender) = &mut self.maker {
            mender.take();
        }
        self.blanks.see(row);
        self.speakers.see(&self.line);
        self.text_bytes += text_bytes;
        self.made += 1;
        if self.made <= SHOWN {
            self.first.push(clip(&without_media(&self.line), SHOWN_BYTES));
        }
        Ok(true)
    }

    fn check(&mut self, row: &Row<'_>, text_bytes: u64) -> Result<(), RowProblem> {
        let mut found = Vec::new();
        let facts = check_line(&self.line, row.number(), &mut found);
        if let Some(error) = found.iter().find(|finding| finding.severity == Severity::Error) {
            let hint = error.hint.as_deref().map_or(String::new(), |hint| format!(" ({hint})"));
            return Err(row.problem(None, format!("{} {}{hint}", error.path, error.message)));
        }
        self.checked_bytes += text_bytes;
        self.checked.count(&facts);
        found.into_iter().for_each(|warning| self.findings.push(warning));
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        let found = self.findings.groups().into_iter().map(|group| match group.hint {
            Some(hint) => format!("{} ({hint})", group.message),
            None => group.message,
        });
        let lost = match &self.maker {
            Maker::Mended(mender) => mender.losses(),
            Maker::Filled { .. } => Vec::new(),
        };
        found
            .chain(lost)
            .chain(self.watch.warnings())
            .chain(self.blanks.warnings())
            .chain(self.speakers.warning())
            .collect()
    }

    /// What the requests add up to, told from those that were checked.
    fn load(&self) -> Load {
        Load::of(&self.checked).extended(self.made, self.text_bytes, self.checked_bytes)
    }
}
