//! Brings the results of a job home, once, whole.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use super::App;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::RemoteOutput;
use crate::ledger::JobRecord;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

const BUFFER: usize = 256 * 1024;

/// The job's result lines on this machine: downloaded now, unless that was done before.
///
/// The API keeps results for a limited time, so they are kept here from the first call on. A job that
/// ended without results gives an empty file.
pub(super) async fn collect(app: &App, job: &JobRecord, monitor: &dyn Monitor) -> Result<AllowedPath> {
    let kept = Vault::open(app, &job.handle)?.results()?;
    if job.collected_at.is_some() && kept.exists() {
        return Ok(kept);
    }
    let temporary = kept.temporary()?;
    let complete = match job.remote_name.as_deref() {
        None => false,
        Some(name) => fetch(app, name, temporary.as_file(), monitor).await?,
    };
    kept.persist(temporary, true)?;
    // What may be incomplete is fetched again next time.
    if complete {
        app.ledger()?.collected(&job.handle)?;
    }
    Ok(kept)
}

/// Writes the batch's results to the file; `false` if there are fewer than the API says it has.
async fn fetch(app: &App, name: &str, file: &File, monitor: &dyn Monitor) -> Result<bool> {
    let gemini = app.gemini().await?;
    let batch = gemini.get_batch(name).await?;
    let mut sink = BufWriter::with_capacity(BUFFER, LineCounter { file, lines: 0, last_line: 0, length: 0 });
    match &batch.output {
        RemoteOutput::None => return Ok(false),
        RemoteOutput::File(results) => drop(gemini.download(results, &mut sink, monitor).await?),
        RemoteOutput::Inline => drop(gemini.inline_results(name, &mut sink).await?),
    }
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
    let expected = batch.counts.succeeded.unwrap_or(0) + batch.counts.failed.unwrap_or(0);
    Ok(i64::try_from(lines).is_ok_and(|lines| lines >= expected))
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
