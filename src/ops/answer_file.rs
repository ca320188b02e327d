//! Writes the answers of a job that has ended, each beside its key or its row.

use super::App;
use super::account::{Account, Wanted, one_line, unanswered};
use super::dataset::Dataset;
use super::off_thread::off_thread;
use super::results::Sample;
use super::vault::Vault;
use crate::answers::summary::{Summary, clip};
use crate::answers::{AnswerWriter, Format, ResultIndex, Written};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Cost;
use crate::job::models::Price;
use crate::job::outcome::counted;
use crate::ledger::JobRecord;
use crate::paths::AllowedPath;
use crate::progress::Monitor;
use crate::source::{KeyRule, Source};

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
    requests: i64,
}

/// Rows to put beside the answers.
pub(super) struct Join {
    rows: Dataset,
    key: Option<String>,
    /// The data set is not what it was when the requests were built.
    changed: bool,
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
            .hint("leave join out: the answers carry their keys")
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
    Ok(Join { rows, key: origin.key, changed })
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
    let day = job.submitted_at.unwrap_or(job.created_at).date_naive();
    Ok(Task {
        results: collected.path,
        lacking: collected.lacking,
        keys,
        output,
        join,
        wanted,
        price: app.models().get(&job.model).and_then(|model| model.price_on(day)).cloned(),
        expects_json: origin.is_some_and(|origin| origin.expects_json),
        requests: job.requests,
    })
}

/// Reads everything once and writes the file. Heavy: runs on a thread of its own.
pub(super) fn account(task: Task, overwrite: bool, monitor: &dyn Monitor) -> Result<Done> {
    let rows = task.join.as_ref().map(JoinedRows::open).transpose()?;
    let columns = rows.as_ref().map(|rows| rows.columns.as_slice()).unwrap_or_default();
    let writer = match &task.output {
        Some((path, format)) => Some(AnswerWriter::create(path.clone(), *format, columns, overwrite)?),
        None => None,
    };
    let index = ResultIndex::build(vec![task.results.open()?], task.requests.unsigned_abs(), monitor)?;
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
    let file = task.output.zip(written).map(|((path, format), written)| (path, format, written));
    Ok(Done { summary: account.summary, samples: account.samples.shown, file, warnings })
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
}

impl JoinedRows {
    fn open(join: &Join) -> Result<Self> {
        let source = join.rows.open()?;
        let mut columns = match source.columns() {
            Some(columns) => columns.to_vec(),
            None => all_columns(join.rows.open()?)?,
        };
        let rule = KeyRule::parse(join.key.as_deref(), Some(&columns))?;
        if let Dataset::Answers { .. } = join.rows {
            // The answer of the stage before is a column already; its details are noise in a table.
            columns.retain(|column| column != "response" && column != "parsed");
        }
        Ok(Self { source, rule, columns })
    }
}

/// Every column that any row has, in the order of first sight.
fn all_columns(mut rows: Source) -> Result<Vec<String>> {
    let mut columns: Vec<String> = Vec::new();
    while let Some(row) = rows.next_row()? {
        let Ok(row) = row else { continue };
        for (name, _) in row.columns() {
            if !columns.iter().any(|column| column == name) {
                columns.push(name.to_owned());
            }
        }
    }
    Ok(columns)
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
