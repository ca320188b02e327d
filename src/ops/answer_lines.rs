//! The answers of a job as lines, some at a time: for who is not on this machine and cannot open a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::App;
use super::dataset::answers;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// Bytes at a time, and at least one line.
const CHUNK: usize = 24 * 1024;
/// A longer line is for nobody to read in a message.
const LONGEST_LINE: u64 = 8 << 20;

/// Some lines of a job's answers, in the form that a next stage reads.
#[derive(Debug)]
pub struct AnswerLines {
    /// The job.
    pub job: String,
    /// The lines.
    pub text: String,
    /// Bytes of all lines.
    pub bytes: u64,
    /// Where the next ones begin, if any are left.
    pub next: Option<u64>,
}

/// The lines from this byte on, of so many bytes if that was told. The first ones are those of the answers as they are
/// now, with those of retries; the others are of the same answers, as long as nobody begins anew when they have changed:
/// who was in the middle is told by the number of bytes.
pub async fn answer_lines(
    app: &App,
    job: &str,
    (offset, of): (u64, Option<u64>),
    monitor: &dyn Monitor,
) -> Result<AnswerLines> {
    super::rebuild::if_incomplete(app, monitor).await;
    let job = super::find::job(app, job).await?;
    let job = super::observe::refresh_now(app, job).await?;
    let written = Vault::open(app, &job.handle)?.answers()?;
    let path = if offset > 0 && written.exists() { written } else { answers(app, &job, monitor).await?.0 };
    let act = format!("reading the answers of {}", job.handle);
    let (text, bytes) = lines_from(&path, (offset, of), &act)?;
    let end = offset + text.len() as u64;
    Ok(AnswerLines { job: job.handle.to_string(), text, bytes, next: (end < bytes).then_some(end) })
}

/// Whole lines from this byte on, and how many bytes there are in all.
fn lines_from(path: &AllowedPath, (offset, of): (u64, Option<u64>), act: &str) -> Result<(String, u64)> {
    let failed = |e| Error::io(act, e);
    let mut file = path.open()?;
    let bytes = file.metadata().map_err(failed)?.len();
    if let Some(of) = of.filter(|of| *of != bytes) {
        let cause =
            format!("they were {of} bytes when you began, and are {bytes} now: answers of a retry came in between");
        return Err(Error::new(ErrorKind::InvalidArgument, act, cause).hint("begin again, without a place"));
    }
    if !is_line_start(&mut file, offset, bytes).map_err(failed)? {
        let cause = format!("no line begins at byte {offset}");
        return Err(
            Error::new(ErrorKind::InvalidArgument, act, cause).hint("begin at 0, and go on where each reply says")
        );
    }
    let (mut lines, mut text) = (BufReader::new(file), Vec::new());
    while text.len() < CHUNK {
        let before = text.len();
        lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text).map_err(failed)?;
        let length = (text.len() - before) as u64;
        if length == 0 {
            break;
        }
        if length == LONGEST_LINE && !text.ends_with(b"\n") {
            let cause = format!("the answer at byte {} is larger than a message may be", offset + before as u64);
            return Err(Error::new(ErrorKind::InvalidInput, act, cause)
                .hint("get_results writes pictures and sounds to files of their own (media_dir)"));
        }
    }
    String::from_utf8(text).map(|text| (text, bytes)).map_err(|e| Error::internal(act, e.to_string()))
}

fn is_line_start(file: &mut File, offset: u64, bytes: u64) -> io::Result<bool> {
    if offset == 0 || offset > bytes {
        return Ok(offset == 0);
    }
    let mut before = [0];
    file.seek(SeekFrom::Start(offset - 1))?;
    file.read_exact(&mut before)?;
    Ok(before == *b"\n")
}
