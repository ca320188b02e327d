//! Input tokens of a few requests, counted by the API, to put the estimate of the whole right.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::job::tokens::Counted;
use crate::jsonl::check::check_line;
use crate::jsonl::lines::LineReader;
use crate::jsonl::validate::Totals;
use crate::ops::App;
use crate::ops::estimate::Load;
use crate::ops::off_thread::off_thread;
use crate::ops::sample::Evenly;
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};

/// Requests that are counted, besides the longest one.
const SPREAD: u64 = 9;
/// A longer request is not sent for counting.
const LONGEST: usize = 8 << 20;
/// Lines between two looks at the monitor.
const STRIDE: u64 = 4096;

/// One request to be counted.
struct Picked {
    line: u64,
    request: String,
    /// Its tokens as they are estimated here.
    estimated: i64,
}

/// Has the API count the first request of a file, the last, the longest, and some between.
pub(super) async fn count(
    app: &App,
    file: &AllowedPath,
    requests: u64,
    model: &str,
    kind: Kind,
    monitor: &dyn Monitor,
) -> Result<Counted> {
    let gemini = app.gemini().await?;
    let choice = Evenly { some: SPREAD.min(requests), all: requests };
    let (file, name) = (file.clone(), model.to_owned());
    let picked = off_thread(monitor, move |monitor| pick(&file, choice, &name, monitor)).await?;
    let mut sum = Counted { requests: 0, tokens: 0, estimated: 0 };
    let total = Some(picked.len() as u64);
    for request in &picked {
        monitor.check("counting tokens")?;
        sum.tokens += gemini.count_tokens(model, kind, &request.request).await?;
        sum.estimated += request.estimated;
        sum.requests += 1;
        let done = sum.requests.unsigned_abs();
        monitor.report(&Progress { stage: "counting tokens".into(), done, total, unit: "requests" });
    }
    if sum.requests == 0 {
        return Err(Error::new(ErrorKind::InvalidInput, "counting tokens", "every request is too long to be counted"));
    }
    Ok(sum)
}

/// Reads the requests to be counted.
fn pick(file: &AllowedPath, choice: Evenly, model: &str, monitor: &dyn Monitor) -> Result<Vec<Picked>> {
    let act = format!("choosing requests of {file}");
    let mut lines = LineReader::new(file.open()?);
    let (mut picked, mut nth) = (Vec::new(), 0);
    let mut longest = Vec::new();
    let mut longest_number = 0;
    while let Some(line) = lines.next_line().map_err(|e| Error::io(&act, e))? {
        if line.number % STRIDE == 0 {
            monitor.check(&act)?;
        }
        if line.bytes.len() > LONGEST {
            continue;
        }
        if line.bytes.len() > longest.len() {
            longest.clear();
            longest.extend_from_slice(line.bytes);
            longest_number = line.number;
        }
        if choice.place(nth).is_some_and(|place| place < line.number) {
            nth += 1;
            picked.extend(Picked::read(line.bytes, line.number, model));
        }
    }
    if !picked.iter().any(|picked: &Picked| picked.line == longest_number) {
        picked.extend(Picked::read(&longest, longest_number, model));
    }
    Ok(picked)
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
}

impl Picked {
    fn read(line: &[u8], number: u64, model: &str) -> Option<Self> {
        let request = serde_json::from_slice::<Line<'_>>(line).ok()?.request.get().to_owned();
        let mut totals = Totals::default();
        totals.count(&check_line(line, number, &mut Vec::new()));
        Some(Self { line: number, request, estimated: Load::of(&totals).input(model).input_tokens })
    }
}
