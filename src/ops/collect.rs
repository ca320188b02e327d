//! Brings the results of a job home, once, whole.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use chrono::TimeDelta;

use super::App;
use super::call_log::for_job;
use super::gone::{explained, is_gone};
use super::observe::record;
use super::off_thread::off_thread;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::{RemoteBatch, RemoteOutput};
use crate::job::JobState;
use crate::jsonl::lines::LineReader;
use crate::jsonl::result::{ResultBody, ResultLine};
use crate::ledger::{JobRecord, PartRecord};
use crate::paths::AllowedPath;
use crate::progress::Monitor;

const BUFFER: usize = 256 * 1024;
/// How long the API keeps results is not documented for sure; two days are assumed (API reference §6). What it refuses
/// within this time is another trouble.
const KEPT_FOR_SURE: TimeDelta = TimeDelta::hours(24);

/// The result lines of a job, on this machine.
pub(super) struct Collected {
    /// A file for each part.
    pub(super) paths: Vec<AllowedPath>,
    /// The API says that more requests succeeded than results came with a key: those were paid for.
    pub(super) lacking: bool,
}

/// The job's result lines on this machine: downloaded now, unless that was done before.
///
/// The API keeps results for a limited time, so they are kept here from the first call on. A part that
/// ended without results gives an empty file.
pub(super) async fn collect(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<Collected> {
    let mut all = Collected { paths: Vec::with_capacity(job.parts.len()), lacking: false };
    let mut trouble = None;
    for part in &job.parts {
        // Trouble with one part keeps no other from being brought home: the API drops results after a while.
        match collect_part(app, job, part, monitor).await {
            Ok((path, lacking)) => {
                all.paths.push(path);
                all.lacking |= lacking;
            }
            Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
            Err(e) => trouble = trouble.or(Some(e)),
        }
    }
    if let Some(e) = trouble {
        return Err(e);
    }
    Ok(all)
}

async fn collect_part(
    app: &App,
    job: &JobRecord,
    part: &PartRecord,
    monitor: &dyn Monitor,
) -> Result<(AllowedPath, bool)> {
    let path = Vault::open(app, &job.handle)?.results(part)?;
    let all_there = part.collected_at.is_some();
    // What was deleted at the API is here, as far as it ever came.
    let lacking = !all_there && (part.is_gone() || part.done > part.failed);
    if path.exists() && (all_there || job.deleted_at.is_some()) {
        return Ok((path, lacking));
    }
    if path.exists() && app.lacking().is_believed(job, part) {
        return Ok((path, true));
    }
    let temporary = path.temporary()?;
    let fetched = match part.remote_name.as_deref() {
        None => Fetched { complete: false, lacking: false },
        Some(name) => {
            let fetched = async {
                match batch(app, job, part, name).await? {
                    Some(batch) => had(app, part, fetch(app, &batch, part, temporary.as_file(), monitor).await),
                    // Nobody knows what it answered, unless that is known from before.
                    None => Ok(Fetched { complete: false, lacking: !part.is_all_here() }),
                }
            };
            match for_job(&job.handle, fetched).await {
                Err(e) if e.kind() == ErrorKind::NotFound && path.exists() => return Ok((path, lacking)),
                fetched => fetched?,
            }
        }
    };
    // What came before is not given up for less.
    if size(temporary.path()) >= size(path.as_path()) {
        path.persist(temporary, true)?;
    }
    // What may be incomplete is fetched again next time.
    if fetched.complete {
        app.ledger()?.collected(job.part_id(part))?;
    }
    if fetched.lacking {
        app.lacking().in_vain(job, part);
    }
    Ok((path, fetched.lacking))
}

/// What the API refuses to give a day after the end, although it has the batch, it has dropped: those answers lack.
fn had(app: &App, part: &PartRecord, fetched: Result<Fetched>) -> Result<Fetched> {
    let is_old = part.ended_at.is_some_and(|ended| app.now() - ended > KEPT_FOR_SURE);
    match fetched {
        Err(e) if is_old && matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Auth) => {
            tracing::warn!("the results of {} are lost: {e}", part.display_name);
            Ok(Fetched { complete: false, lacking: true })
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Err(e.hint(
            "make the same call again later. A day after the job has ended they count as lost: retry_batch with outcomes \
             [\"missing\"] then asks for them again, and pays again",
        )),
        other => other,
    }
}

/// Brings home what has ended of a job that goes on, as far as it can be had: the API keeps results for about two days,
/// and the last part may end later. How many parts are here.
pub(super) async fn what_has_ended(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<usize> {
    for part in job.parts.iter().filter(|part| part.state.is_terminal() && !part.is_all_here()) {
        if app.lacking().was_just_tried(job, part) {
            continue;
        }
        app.lacking().tried(job, part);
        match collect_part(app, job, part, monitor).await {
            Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
            Err(e) => tracing::info!("the results of {} are not here yet: {e}", part.display_name),
            Ok(_) => {}
        }
    }
    let job = app.ledger()?.job(&job.handle)?;
    Ok(job.parts.iter().filter(|part| part.collected_at.is_some()).count())
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// What came, measured by what the API says it has.
struct Fetched {
    complete: bool,
    lacking: bool,
}

/// The batch of a part that has ended; `None` if the API has it no more.
async fn batch(app: &App, job: &JobRecord, part: &PartRecord, name: &str) -> Result<Option<RemoteBatch>> {
    let gemini = app.gemini().await?;
    match gemini.get_batch(name).await {
        Ok(batch) => {
            // How much of it was done is remembered, and what was taken for gone is again what the API says.
            let known = record(app, job.part_id(part), &batch)?;
            if !known.parts.iter().any(|known| known.number == part.number && known.is_active()) {
                return Ok(Some(batch));
            }
            let cause = "the API knows its batch again, and it has not ended";
            Err(Error::new(ErrorKind::WrongState, format!("collecting {}", job.handle), cause)
                .hint(format!("check_status {{\"jobs\": [\"{}\"], \"wait\": true}} waits for it", job.handle)))
        }
        Err(e) if is_gone(app, &e, job, part, &gemini.owner())? => Ok(None),
        Err(e) => Err(explained(e, job, &gemini.owner())),
    }
}

/// Writes the batch's results to the file.
async fn fetch(
    app: &App,
    batch: &RemoteBatch,
    part: &PartRecord,
    file: &File,
    monitor: &dyn Monitor,
) -> Result<Fetched> {
    let (gemini, name) = (app.gemini().await?, batch.name.as_str());
    // A success of which the API counts nothing is of all requests.
    let all = if batch.state == JobState::Succeeded { part.requests } else { 0 };
    let succeeded = batch.counts.succeeded.unwrap_or(all);
    let mut sink = BufWriter::with_capacity(BUFFER, LineCounter { file, lines: 0, last_line: 0, length: 0 });
    let without_key = match &batch.output {
        RemoteOutput::None => {
            return Ok(Fetched { complete: false, lacking: succeeded > 0 });
        }
        RemoteOutput::File(results) => {
            gemini.download(results, &mut sink, monitor).await?;
            0
        }
        RemoteOutput::Inline => gemini.inline_results(name, &mut sink).await?.without_key,
    };
    let failed = |e| Error::io(format!("keeping the results of {name}"), e);
    let counter = sink.into_inner().map_err(|e| failed(e.into_error()))?;
    let lines = counter.whole_lines().map_err(failed)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            format!("downloading the results of {name}"),
            "they break off in the middle of a line",
        )
        .hint("make the same call again; nothing was written")
    })?;
    let lines = i64::try_from(lines).unwrap_or(i64::MAX);
    if without_key > 0 {
        // Answers that nobody can tell apart are as good as none, but paid.
        return Ok(Fetched { complete: false, lacking: true });
    }
    let expected = succeeded.saturating_add(batch.counts.failed.unwrap_or(0));
    let complete = lines >= expected;
    let lacking = lines < succeeded || (!complete && lines - errors_in(name, file, monitor).await? < succeeded);
    Ok(Fetched { complete, lacking })
}

/// How many of the lines are errors: they make up for no answer.
async fn errors_in(name: &str, file: &File, monitor: &dyn Monitor) -> Result<i64> {
    let (act, file) = (format!("reading the results of {name}"), file.try_clone());
    let count = move |monitor: &dyn Monitor| {
        let failed = |e| Error::io(act.clone(), e);
        let mut file = file.map_err(failed)?;
        file.rewind().map_err(failed)?;
        let (mut lines, mut errors) = (LineReader::new(file), 0);
        while let Some(line) = lines.next_line().map_err(failed)? {
            let parsed = ResultLine::parse(line.bytes);
            errors += i64::from(parsed.is_ok_and(|line| matches!(line.body, ResultBody::Error(_))));
            if line.number % 4096 == 0 {
                monitor.check(&act)?;
            }
        }
        Ok(errors)
    };
    off_thread(monitor, count).await
}

/// Counts the lines that pass: a download can end early and look complete.
struct LineCounter<'f> {
    file: &'f File,
    lines: u64,
    /// Where the last line starts.
    last_line: u64,
    length: u64,
}

impl Write for LineCounter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let bytes = bytes.get(..written).unwrap_or_default();
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        if let Some(end) = memchr::memrchr(b'\n', bytes) {
            self.last_line = self.length + end as u64 + 1;
        }
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl LineCounter<'_> {
    /// How many lines there are, with or without a line feed at the end; `None` if the last one is cut off.
    fn whole_lines(mut self) -> io::Result<Option<u64>> {
        if self.last_line == self.length {
            return Ok(Some(self.lines));
        }
        self.file.seek(SeekFrom::Start(self.last_line))?;
        let last = io::BufReader::new(self.file);
        let whole = serde_json::from_reader::<_, serde::de::IgnoredAny>(last).is_ok();
        Ok(whole.then_some(self.lines + 1))
    }
}
