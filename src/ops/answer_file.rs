//! Writes the answers of a job that has ended, each beside its key or its row.

use super::App;
use super::account::{Account, Wanted, one_line, unanswered};
use super::dataset::Dataset;
use super::off_thread::off_thread;
use super::results::Sample;
use super::vault::Vault;
use crate::answers::summary::{Summary, clip};
use crate::answers::{
    AnswerWriter, Column, Fields, Format, Kind, MediaFolder, ResultIndex, Shape, Spill, Written, answered_in,
};
use crate::error::{Error, ErrorKind, Result};
use crate::job::models::Price;
use crate::job::outcome::counted;
use crate::job::{Cost, Kind as JobKind};
use crate::ledger::JobRecord;
use crate::paths::{AllowedFolder, AllowedPath};
use crate::progress::Monitor;
use crate::source::{Cell, KeyRule, Source, Style};

/// What accounting for a job needs.
pub(super) struct Task {
    results: AllowedPath,
    /// Fewer results came than the API says that requests succeeded.
    lacking: bool,
    /// The keys of the job, unless it was made elsewhere.
    keys: Option<AllowedPath>,
    output: Option<(AllowedPath, Format)>,
    join: Option<Join>,
    wanted: Wanted,
    price: Option<Price>,
    expects_json: bool,
    fields: Fields,
    vectors: bool,
    media: Option<AllowedFolder>,
    requests: i64,
}

impl Task {
    /// The same, but pictures and sounds become files in this folder.
    pub(super) fn with_media(self, media: Option<AllowedFolder>) -> Self {
        Self { media, ..self }
    }
}

/// Rows to put beside the answers.
pub(super) struct Join {
    rows: Dataset,
    key: Option<String>,
    /// The data set is not what it was when the requests were built.
    changed: bool,
    /// How it is written.
    style: Style,
}

impl Join {
    /// The name of a file with the rows and their answers: `products.answered.csv`.
    pub(super) fn answered_name(&self) -> String {
        format!("{}.answered.{}", self.rows.stem(), answered_in(&self.style))
    }
}

/// What accounting gave.
pub(super) struct Done {
    pub(super) summary: Summary,
    pub(super) samples: Vec<Sample>,
    pub(super) file: Option<(AllowedPath, Format, Written)>,
    pub(super) warnings: Vec<String>,
}

/// Writes all answers of a job that has ended as rows for a next stage, with the columns of their own
/// data set where that is still to be had.
pub(super) async fn write_rows(app: &App, job: &JobRecord, output: AllowedPath, monitor: &dyn Monitor) -> Result<()> {
    let join = join(app, job, monitor).await.ok();
    let task = prepare(app, job, Some((output, Format::Jsonl)), join, Wanted::default(), monitor).await?;
    off_thread(monitor, move |monitor| account(task, true, monitor)).await?;
    Ok(())
}

/// The data set that the job's requests were built from.
pub(super) async fn join(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<Join> {
    let cannot = |cause: &str| {
        Error::new(ErrorKind::InvalidArgument, format!("joining the answers of {}", job.handle), cause)
            .hint("leave join out, and format source: the answers carry their keys")
    };
    let origin = match &job.input_sha256 {
        Some(sha256) => app.ledger()?.build_origin(sha256)?,
        None => None,
    };
    let origin = origin.ok_or_else(|| cannot("its request file was not built by build_jsonl on this machine"))?;
    let source =
        origin.source.ok_or_else(|| cannot("its rows were given in the call, there is no data set to join"))?;
    let reading = serde_json::from_value(origin.reading).unwrap_or_default();
    // Boxed: a source may be a job, whose answers are results again.
    let rows = Box::pin(Dataset::find(app, &source, reading, monitor)).await?;
    let changed = origin.source_hash.is_some() && rows.hash(monitor).await? != origin.source_hash;
    if changed && origin.key.is_none() {
        return Err(cannot(
            "its data set was changed since the requests were built, and its rows are known by their number only: \
             answers would stand beside the wrong rows",
        ));
    }
    let style = rows.style()?;
    Ok(Join { rows, key: origin.key, changed, style })
}

pub(super) async fn prepare(
    app: &App,
    job: &JobRecord,
    output: Option<(AllowedPath, Format)>,
    join: Option<Join>,
    wanted: Wanted,
    monitor: &dyn Monitor,
) -> Result<Task> {
    let collected = super::collect::collect(app, job, monitor).await?;
    let keys = Some(Vault::open(app, &job.handle)?.keys()?).filter(AllowedPath::exists);
    let origin = match &job.input_sha256 {
        Some(sha256) => app.ledger()?.build_origin(sha256)?,
        None => None,
    };
    let (expects_json, schema) = origin.map_or((false, None), |origin| (origin.expects_json, origin.response_schema));
    let day = job.submitted_at.unwrap_or(job.created_at).date_naive();
    Ok(Task {
        results: collected.path,
        lacking: collected.lacking,
        keys,
        output,
        join,
        wanted,
        price: app.models().get(&job.model).and_then(|model| model.price_on(day)).cloned(),
        expects_json,
        fields: schema.map(|schema| Fields::of_schema(&schema)).unwrap_or_default(),
        vectors: job.kind == JobKind::Embed,
        media: None,
        requests: job.requests,
    })
}

/// Reads everything once and writes the file. Heavy: runs on a thread of its own.
pub(super) fn account(task: Task, overwrite: bool, monitor: &dyn Monitor) -> Result<Done> {
    let rows = task.join.as_ref().map(JoinedRows::open).transpose()?;
    let spill = Spill::beside(&task.results);
    let index = ResultIndex::bounded(vec![task.results.open()?], task.requests.unsigned_abs(), spill, monitor)?;
    let writer = match &task.output {
        Some((path, format)) => Some(writer(&task, path, *format, shape(&task, rows.as_ref(), &index), overwrite)?),
        None => None,
    };
    let mut warnings = index_warnings(&index);
    warnings.extend(
        writer
            .iter()
            .flat_map(|w| w.renamed())
            .map(|(from, to)| format!("the answer column {from} is called {to}: the source has a column {from}")),
    );
    let mut account = Account::new(index, task.wanted, writer, task.price, task.expects_json, task.requests, monitor);
    warnings.extend(walk(&mut account, task.keys.as_ref(), rows)?);
    if task.join.as_ref().is_some_and(|join| join.changed) {
        warnings.push(CHANGED.to_owned());
    }
    if task.lacking {
        account.summary.cost = Cost::Unknown;
        account.summary.live_cost = Cost::Unknown;
        warnings.push(LACKING.to_owned());
    }
    let written = account.finish()?;
    warnings.extend(written.iter().flat_map(|written| written.warnings.clone()));
    let file = task.output.zip(written).map(|((path, format), written)| (path, format, written));
    Ok(Done { summary: account.summary, samples: account.samples.shown, file, warnings })
}

/// What the answers of the job have in common.
fn shape(task: &Task, rows: Option<&JoinedRows>, index: &ResultIndex) -> Shape {
    Shape {
        columns: rows.map(|rows| rows.typed()).unwrap_or_default(),
        fields: task.fields.clone(),
        json: task.expects_json,
        vectors: task.vectors,
        media: task.media.is_some() && index.has_media(),
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

const CHANGED: &str = "the data set was changed since the requests were built: its rows are matched by their key, and may \
    say something else than what was asked";
const LACKING: &str = "the API counts more finished requests than the results it gave: those are billed and count as missing \
    here; call again before a retry, they may still come";

/// Accounts for every request: beside its row where there is one, then the others. Returns what is odd.
fn walk(account: &mut Account<'_>, keys: Option<&AllowedPath>, rows: Option<JoinedRows>) -> Result<Vec<String>> {
    let mut odd = Vec::new();
    match keys {
        None => account.by_results()?,
        Some(keys) => {
            let done = match rows {
                None => None,
                Some(rows) => {
                    let asked = unanswered(keys.open()?, &account.index)?;
                    Some(account.by_rows(rows.source, &rows.rule, &rows.columns, &asked)?)
                }
            };
            let without_row = account.by_keys(keys.open()?, done.as_ref())?;
            if done.is_some() && without_row > 0 {
                let requests = counted(without_row, "request");
                odd.push(format!("{requests} without a row in the data set, which changed since; they stand at the end, without its columns"));
            }
        }
    }
    odd.extend(stranger_warning(&account.index)?);
    if !account.unfound.is_empty() {
        odd.push(format!("no request has the key {}", account.unfound.join(", ")));
    }
    Ok(odd)
}

/// The data set, opened for a join.
struct JoinedRows {
    source: Source,
    rule: KeyRule,
    columns: Vec<String>,
    /// What stands in each of them.
    kinds: Vec<Kind>,
}

impl JoinedRows {
    fn open(join: &Join) -> Result<Self> {
        let source = join.rows.open()?;
        let mut columns = match source.columns() {
            Some(columns) => columns.iter().map(Column::text).collect(),
            None => all_columns(join.rows.open()?)?,
        };
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let rule = KeyRule::parse(join.key.as_deref(), Some(&names))?;
        if let Dataset::Answers { .. } = join.rows {
            // The answer of the stage before is a column already; its details are noise in a table.
            columns.retain(|column| column.name != "response" && column.name != "parsed");
        }
        let (columns, kinds): (Vec<_>, Vec<_>) = columns.into_iter().map(|column| (column.name, column.kind)).unzip();
        Ok(Self { source, rule, columns, kinds })
    }

    fn typed(&self) -> Vec<Column> {
        let typed = |(name, kind): (&String, &Kind)| Column { name: name.clone(), kind: *kind };
        self.columns.iter().zip(&self.kinds).map(typed).collect()
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

fn index_warnings(index: &ResultIndex) -> Vec<String> {
    let problems = &index.problems;
    let mut warnings = Vec::new();
    if problems.unreadable > 0 {
        let lines: Vec<_> =
            problems.unreadable_lines.iter().take(3).map(|bad| format!("line {}: {}", bad.line, bad.cause)).collect();
        warnings.push(format!(
            "{} result lines cannot be read ({}); their requests count as missing",
            problems.unreadable,
            lines.join("; ")
        ));
    }
    let repeated = problems.repeated + problems.contradicting;
    if repeated > 0 {
        let keys = named(&problems.repeated_keys);
        warnings.push(format!("{repeated} result lines repeat a key ({}); the first of each counts", keys.join(", ")));
    }
    warnings
}

/// The first of these keys, fit for a message.
fn named(keys: &[String]) -> Vec<String> {
    keys.iter().take(3).map(|key| one_line(&clip(key, 200))).collect()
}

fn stranger_warning(index: &ResultIndex) -> Result<Option<String>> {
    let strangers = index.strangers()?;
    let keys = named(&strangers.keys);
    Ok((strangers.count > 0).then(|| {
        format!(
            "{} results have keys that were never asked for ({}); they are left out",
            strangers.count,
            keys.join(", ")
        )
    }))
}
