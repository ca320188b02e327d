//! Writes the answers of a job that has ended, each beside its key or its row.

use serde_json::Value;

use super::account::{Account, Counted, Wanted, unanswered};
use super::family::{Family, checker_of, named};
use super::settle::settle;
use crate::answers::{
    AnswerWriter, Checker, Column, Fields, Format, Kind, MediaFolder, Merged, Shape, Written, answered_in,
};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind as JobKind;
use crate::job::outcome::counted;
use crate::ledger::JobRecord;
use crate::ops::App;
use crate::ops::build::problems_file;
use crate::ops::dataset::{Dataset, is_made_of};
use crate::ops::off_thread::off_thread;
use crate::ops::trouble::may_pass;
use crate::paths::{AllowedFolder, AllowedPath};
use crate::progress::Monitor;
use crate::source::{Cell, ColumnType, KeyRule, Source, Style, free_name, renamed};

/// What accounting for a job needs.
pub(in crate::ops) struct Task {
    family: Family,
    checker: Checker,
    output: Option<(AllowedPath, Format)>,
    join: Option<Join>,
    wanted: Wanted,
    fields: Fields,
    /// Whether the answers are to be JSON.
    json: bool,
    vectors: bool,
    media: Option<AllowedFolder>,
}

/// Which results to account for, and what they have to be.
#[derive(Debug, Default)]
pub(in crate::ops) struct View {
    /// The job alone, without its retries.
    pub(in crate::ops) alone: bool,
    /// The schema to hold the answers against; else that which they were asked for.
    pub(in crate::ops) schema: Option<Value>,
}

impl Task {
    /// The same, but pictures and sounds become files in this folder.
    pub(in crate::ops) fn with_media(self, media: Option<AllowedFolder>) -> Self {
        Self { media, ..self }
    }
}

/// Rows to put beside the answers.
pub(in crate::ops) struct Join {
    rows: Dataset,
    key: Option<String>,
    /// The data set is not what it was when the requests were built, or not all of it is there.
    warnings: Vec<String>,
    /// How it is written.
    style: Style,
}

impl Join {
    /// The name of a file with the rows and their answers: `products.answered.csv`.
    pub(in crate::ops) fn answered_name(&self) -> String {
        format!("{}.answered.{}", self.rows.stem(), self.answered_in())
    }

    /// What format source is for these rows.
    pub(in crate::ops) fn answered_in(&self) -> &'static str {
        answered_in(&self.style)
    }
}

/// What accounting gave.
pub(in crate::ops) struct Done {
    pub(in crate::ops) counted: Counted,
    pub(in crate::ops) family: Family,
    pub(in crate::ops) file: Option<(AllowedPath, Format, Written)>,
    /// Columns of the data set that a next stage calls otherwise.
    renamed: Vec<(String, String)>,
    pub(in crate::ops) warnings: Vec<String>,
}

/// What is to be known of answers that are rows of a next stage.
#[derive(Debug, Default)]
pub(in crate::ops) struct NextStage {
    /// Columns of the data set that are called otherwise in these rows.
    pub(in crate::ops) renamed: Vec<(String, String)>,
    pub(in crate::ops) warnings: Vec<String>,
    /// Why the columns of their data set are not in these rows, if it had any.
    pub(in crate::ops) lost: Option<String>,
    /// A retry that has not ended.
    pub(in crate::ops) unfinished: Option<String>,
}

/// Writes all answers of a job that has ended as rows for a next stage, with the columns of their own
/// data set where that is still to be had. Returns what is odd about them.
pub(in crate::ops) async fn write_rows(
    app: &App,
    job: &JobRecord,
    output: AllowedPath,
    monitor: &dyn Monitor,
) -> Result<NextStage> {
    let (join, lost) = match join(app, job, monitor).await {
        Ok(join) => (Some(join), None),
        // What passes, or is none of the data set's, does not make poorer rows.
        Err(e)
            if may_pass(&e)
                || matches!(
                    e.kind(),
                    ErrorKind::Cancelled | ErrorKind::Auth | ErrorKind::KeyMissing | ErrorKind::Ledger
                ) =>
        {
            return Err(e);
        }
        // There never was one: rows were given in the call, or the requests come from elsewhere.
        Err(e) if e.kind() == ErrorKind::InvalidArgument => (None, None),
        Err(e) => (None, Some(e.cause().to_owned())),
    };
    let output = Some((output, Format::Jsonl));
    let task = prepare(app, job, output, join, Wanted::default(), &View::default(), monitor).await?;
    let done = off_thread(monitor, move |monitor| account(task, true, monitor)).await?;
    settle(app, &done.family.members, &done.counted.costs)?;
    let mut warnings = done.warnings;
    warnings.extend(lost.as_deref().map(lost_told));
    warnings.extend(done.renamed.iter().map(|(there, here)| {
        format!("the column {there} of the data set is called {here} in these rows: {there} is the earlier job's own")
    }));
    let unfinished = done.family.unfinished.first().map(|retry| retry.handle.to_string());
    Ok(NextStage { renamed: done.renamed, warnings, lost, unfinished })
}

fn lost_told(cause: &str) -> String {
    format!("the columns of its data set are not in these rows: {cause}")
}

/// The data set that the job's requests were built from.
pub(in crate::ops) async fn join(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<Join> {
    let refused = |kind: ErrorKind, cause: &str| {
        Error::new(kind, format!("joining the answers of {}", job.handle), cause)
            .hint("leave join out, and format source: the answers carry their keys")
    };
    let cannot = |cause: &str| refused(ErrorKind::InvalidArgument, cause);
    let origin = app.ledger()?.origin_of(job)?;
    let origin = origin.ok_or_else(|| {
        cannot("nothing is known of rows: its request file was not built by build_jsonl here, or that was lost with a ledger").hint(
            "leave join out, and format source: the answers carry their keys. Where the ledger was lost: build the same \
             requests again, over the old file (overwrite), and make the create call again; it finds the job, and its rows are known",
        )
    })?;
    let source =
        origin.source.ok_or_else(|| cannot("its rows were given in the call, there is no data set to join"))?;
    if is_made_of(app, &source, job.input_sha256.as_deref().unwrap_or_default())? {
        return Err(cannot("its rows are known as its own answers only"));
    }
    let reading = serde_json::from_value(origin.reading).unwrap_or_default();
    // Boxed: a source may be a job, whose answers are results again.
    let found = Box::pin(Dataset::find(app, &source, reading, monitor)).await;
    let mut rows = found.map_err(|e| match e.kind() {
        ErrorKind::NotFound | ErrorKind::PathNotAllowed => {
            let cause = format!("its data set was at {source}: {}", e.cause());
            e.with_act(format!("joining the answers of {}", job.handle))
                .with_cause(cause)
                .hint("put it back there; or leave join out, and format source: the answers carry their keys")
        }
        _ => e,
    })?;
    // The build left its own output out of the folder that it read. The requests of a retry lie in none.
    if let Some(requests) = job.input_path.as_deref().and_then(|path| app.roots().existing(path).ok()) {
        let problems = problems_file(app.roots(), &requests).ok();
        rows.leave_out(&problems.iter().chain([&requests]).collect::<Vec<_>>());
    }
    let changed = origin.source_hash.is_some() && rows.hash(monitor).await? != origin.source_hash;
    // At a further stage the same was found when the rows of the one before were written.
    let lost = rows.lost().or_else(|| origin.key.is_none().then_some(MISPLACED)).filter(|_| changed);
    if let Some(lost) = lost {
        return Err(refused(ErrorKind::InvalidInput, lost));
    }
    let what = if matches!(rows, Dataset::Answers { .. }) { ", or an answer of an earlier stage," } else { "" };
    let changed = changed.then(|| format!("the data set{what} {CHANGED}"));
    let warnings = changed.into_iter().chain(rows.lost().map(lost_told)).collect();
    let style = rows.style()?;
    Ok(Join { rows, key: origin.key, warnings, style })
}

pub(in crate::ops) async fn prepare(
    app: &App,
    job: &JobRecord,
    output: Option<(AllowedPath, Format)>,
    join: Option<Join>,
    wanted: Wanted,
    view: &View,
    monitor: &dyn Monitor,
) -> Result<Task> {
    let origin = app.ledger()?.origin_of(job)?;
    // Before anything is downloaded: a schema given in the call may not be one.
    let (checker, warning) = match &view.schema {
        Some(schema) => (Checker::new(true, Some(schema))?, None),
        None => checker_of(origin.as_ref())?,
    };
    let checker = checker.parsing(wanted.needs_json());
    let mut family = Family::gather(app, job, !view.alone, monitor).await?;
    family.warnings.extend(warning);
    let expects_json = origin.as_ref().is_some_and(|origin| origin.expects_json);
    let asked_for = origin.and_then(|origin| origin.response_schema);
    let schema = view.schema.as_ref().or(asked_for.as_ref());
    Ok(Task {
        family,
        checker,
        output,
        join,
        wanted,
        fields: schema.map(Fields::of_schema).unwrap_or_default(),
        json: expects_json || view.schema.is_some(),
        vectors: job.kind == JobKind::Embed,
        media: None,
    })
}

/// Reads everything once and writes the file. Heavy: runs on a thread of its own.
pub(in crate::ops) fn account(mut task: Task, overwrite: bool, monitor: &dyn Monitor) -> Result<Done> {
    let rows = task.join.as_ref().map(JoinedRows::open).transpose()?;
    let (merged, mut warnings) = Family::open(&task.family.members, task.checker.clone(), monitor)?;
    let writer = match &task.output {
        Some((path, format)) => Some(writer(&task, path, *format, shape(&task, rows.as_ref(), &merged), overwrite)?),
        None => None,
    };
    warnings.append(&mut task.family.warnings);
    warnings.extend(
        writer
            .iter()
            .flat_map(|w| w.renamed())
            .map(|(from, to)| format!("the answer column {from} is called {to}: another column has that name")),
    );
    let renamed = rows.as_ref().map(JoinedRows::renamed).unwrap_or_default();
    let itself = task.family.members.first();
    let requests = itself.map_or(0, |member| member.job.requests);
    let mut account = Account::new(merged, task.wanted, writer, requests, monitor);
    warnings.extend(walk(&mut account, itself.and_then(|member| member.keys.as_ref()), rows)?);
    warnings.extend(task.join.iter().flat_map(|join| join.warnings.clone()));
    let (mut counted, written) = account.finish()?;
    warnings.extend(written.iter().flat_map(|written| written.warnings.clone()));
    if task.family.is_lacking() {
        counted.summary.doubt_cost();
    }
    warnings.extend(task.family.lacking_told().map(str::to_owned));
    if counted.unfenced > 0 {
        let answers = crate::job::outcome::counted(counted.unfenced, "answer");
        warnings.push(format!("{answers} stood in a Markdown code fence, which was taken off"));
    }
    let file = task.output.zip(written).map(|((path, format), written)| (path, format, written));
    Ok(Done { counted, family: task.family, file, renamed, warnings })
}

/// What the answers of the job have in common.
fn shape(task: &Task, rows: Option<&JoinedRows>, merged: &Merged) -> Shape {
    Shape {
        columns: rows.map(|rows| rows.columns.clone()).unwrap_or_default(),
        fields: task.fields.clone(),
        json: task.json,
        key: rows.and_then(|rows| rows.names.iter().position(|name| Some(name.as_str()) == rows.rule.column())),
        vectors: task.vectors,
        media: task.media.is_some() && merged.has_media(),
        style: task.join.as_ref().map(|join| join.style.clone()).unwrap_or_default(),
    }
}

fn writer(task: &Task, path: &AllowedPath, format: Format, shape: Shape, overwrite: bool) -> Result<AnswerWriter> {
    let writer = AnswerWriter::create(path.clone(), format, &shape, overwrite)?;
    // In the raw lines everything is there already.
    let media =
        task.media.clone().filter(|_| format != Format::Raw).map(|folder| MediaFolder::new(folder, path, overwrite));
    Ok(match media {
        Some(media) => writer.with_media(media),
        None => writer,
    })
}

const CHANGED: &str = "was changed since the requests were built: its rows are matched by their key, and may say something \
    else than what was asked";
const MISPLACED: &str = "its data set was changed since the requests were built, and its rows are known by their number only: \
    answers would stand beside the wrong rows";

/// Accounts for every request: beside its row where there is one, then the others. Returns what is odd.
fn walk(account: &mut Account<'_>, keys: Option<&AllowedPath>, rows: Option<JoinedRows>) -> Result<Vec<String>> {
    let mut odd = Vec::new();
    match keys {
        None => account.by_results()?,
        Some(keys) => {
            let done = match rows {
                None => None,
                Some(rows) => {
                    let asked = unanswered(keys.open()?, &mut account.merged)?;
                    Some(account.by_rows(rows.source, &rows.rule, &rows.names, &asked)?)
                }
            };
            let without_row = account.by_keys(keys.open()?, done.as_ref())?;
            if done.is_some() && without_row > 0 {
                let requests = counted(without_row, "request");
                odd.push(format!("{requests} without a row in the data set, which changed since; they stand at the end, without its columns"));
            }
        }
    }
    odd.extend(stranger_warning(&account.merged)?);
    if !account.unfound.is_empty() {
        odd.push(format!("no request has the key {}", named(&account.unfound)));
    }
    Ok(odd)
}

/// The data set, opened for a join.
struct JoinedRows {
    source: Source,
    rule: KeyRule,
    /// What its columns are called there, and what they are in the file.
    names: Vec<String>,
    columns: Vec<Column>,
}

impl JoinedRows {
    fn open(join: &Join) -> Result<Self> {
        let source = join.rows.open()?;
        let mut columns = match source.columns() {
            Some(names) => {
                let columns = names.iter().map(Column::text);
                let kinds = source.column_types().unwrap_or_default().into_iter().map(kind_of);
                let kinds = kinds.chain(std::iter::repeat(Kind::Text));
                columns.zip(kinds).map(|(column, kind)| Column { kind, ..column }).collect()
            }
            None => all_columns(join.rows.open()?)?,
        };
        let mut names = names_of(&columns);
        let rule = KeyRule::parse(join.key.as_deref(), Some(&names))?;
        if let Dataset::Answers { stage, .. } = join.rows {
            // The answer of the stage before is a column already; its details are noise in a table.
            columns.retain(|column| column.name != "response" && column.name != "parsed");
            names = names_of(&columns);
            // In the file as in the rows of a next stage, `answer` is the newest one.
            let earlier = free_name(&format!("stage_{stage}_answer"), |name| names.iter().any(|taken| taken == name));
            columns
                .iter_mut()
                .filter(|column| column.name == "answer")
                .for_each(|column| column.name.clone_from(&earlier));
        }
        Ok(Self { source, rule, names, columns })
    }

    /// Columns that a next stage calls otherwise.
    fn renamed(&self) -> Vec<(String, String)> {
        renamed(&names_of(&self.columns), self.rule.column())
    }
}

fn names_of(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

fn kind_of(kind: ColumnType) -> Kind {
    match kind {
        ColumnType::Text => Kind::Text,
        ColumnType::Integer => Kind::Integer,
        ColumnType::Number => Kind::Number,
        ColumnType::Boolean => Kind::Boolean,
    }
}

/// Every column that any row has, in the order of first sight, with what all its values are.
fn all_columns(mut rows: Source) -> Result<Vec<Column>> {
    let mut columns: Vec<(String, Option<Kind>)> = Vec::new();
    while let Some(row) = rows.next_row()? {
        let Ok(row) = row else { continue };
        for (name, cell) in row.columns() {
            let kind = match cell {
                Cell::Text(_) => Some(Kind::Text),
                Cell::Json(value) => Kind::of(value),
            };
            match columns.iter_mut().find(|(column, _)| column == name) {
                Some((_, Some(known))) => *known = kind.map_or(*known, |kind| known.and(kind)),
                Some((_, known)) => *known = kind,
                None => columns.push((name.to_owned(), kind)),
            }
        }
    }
    Ok(columns.into_iter().map(|(name, kind)| Column { name, kind: kind.unwrap_or_default() }).collect())
}

fn stranger_warning(merged: &Merged) -> Result<Option<String>> {
    let strangers = merged.strangers()?;
    let keys = named(&strangers.keys);
    Ok((strangers.count > 0).then(|| {
        // What comes without a key is known by its place in the answer (gemini/inline.rs).
        let unnamed = strangers.keys.iter().any(|key| key.starts_with('#'));
        let why = if unnamed { ", or none: those are called by their place" } else { "" };
        format!("{} results have keys that were never asked for ({keys}{why}); they are left out", strangers.count)
    }))
}
