//! Accounts for every request of a job: looks its answer up by key, counts it, shows it, writes it.

use std::borrow::Cow;
use std::fs::File;

use crate::answers::summary::{Summary, clip};
use crate::answers::{Answer, AnswerWriter, Record, ResultIndex, Window};
use crate::error::{Error, Result};
use crate::job::Outcome;
use crate::job::models::Price;
use crate::jsonl::keys::KeySet;
use crate::jsonl::lines::LineReader;
use crate::progress::{Monitor, Progress};
use crate::source::{Cell, KeyRule, Source};

use super::results::Sample;

/// A sample's share of the reply, and that of all samples together.
const SAMPLE_BYTES: usize = 400;
const SAMPLES_BYTES: usize = 6_000;
const KEY_BYTES: usize = 200;
/// Requests between two looks at the monitor.
const STRIDE: i64 = 4096;

/// What to show and write.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Only these outcomes; all, if none is given.
    pub(super) outcomes: Vec<Outcome>,
    /// Only these keys; all, if none is given.
    pub(super) keys: Vec<String>,
    /// Samples to pass over.
    pub(super) offset: usize,
    /// Samples to show.
    pub(super) limit: usize,
}

/// Accounts for the requests of one job, one after the other.
pub(super) struct Account<'m> {
    pub(super) index: ResultIndex,
    pub(super) summary: Summary,
    pub(super) samples: Samples,
    wanted: Wanted,
    /// Keys that were asked for and did not come by so far.
    pub(super) unfound: Vec<String>,
    writer: Option<AnswerWriter>,
    price: Option<Price>,
    expects_json: bool,
    requests: i64,
    window: Window,
    monitor: &'m dyn Monitor,
}

impl<'m> Account<'m> {
    pub(super) fn new(
        index: ResultIndex,
        wanted: Wanted,
        writer: Option<AnswerWriter>,
        price: Option<Price>,
        expects_json: bool,
        requests: i64,
        monitor: &'m dyn Monitor,
    ) -> Self {
        Self {
            index,
            summary: Summary::new(SAMPLE_BYTES),
            samples: Samples { pass_over: wanted.offset, room: wanted.limit, bytes: 0, shown: Vec::new() },
            unfound: wanted.keys.clone(),
            wanted,
            writer,
            price,
            expects_json,
            requests,
            window: Window::new(),
            monitor,
        }
    }

    /// All requests in the order of their keys; after a join only those that were not accounted for with their
    /// rows. `unanswered` are the keys without answer that were. Returns how many these requests are.
    pub(super) fn by_keys(&mut self, keys: File, unanswered: Option<&KeySet>) -> Result<i64> {
        let mut count = 0;
        let mut keys = Keys::new(keys);
        while let Some(key) = keys.next_key()? {
            let is_done = match unanswered {
                Some(done) => done.contains(key.as_bytes()) || self.index.was_asked(&key)?,
                None => false,
            };
            if !is_done {
                self.request(&key, &[])?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Requests in the order of the rows they were made of, with the cells of these `columns`.
    ///
    /// A row that was never asked for, because it was bad or beyond a limit, is passed over: `asked`
    /// tells for rows without an answer. Returns the keys without answer that were accounted for.
    pub(super) fn by_rows(
        &mut self,
        mut rows: Source,
        rule: &KeyRule,
        columns: &[String],
        asked: &KeySet,
    ) -> Result<KeySet> {
        let mut unanswered = KeySet::default();
        let mut buffer = String::new();
        while let Some(row) = rows.next_row()? {
            let Ok(row) = row else { continue };
            let Ok(key) = rule.key(&row, &mut buffer) else { continue };
            let first = if self.index.has(key)? {
                !self.index.was_asked(key)?
            } else {
                asked.contains(key.as_bytes()) && unanswered.insert(key.as_bytes())
            };
            if first {
                let cells: Vec<_> = columns.iter().map(|column| row.get(column)).collect();
                self.request(key, &cells)?;
            }
        }
        Ok(unanswered)
    }

    /// All results in the order in which they came, for a job whose keys are not known here.
    pub(super) fn by_results(&mut self) -> Result<()> {
        let mut window = Window::new();
        for number in 0..self.index.len() {
            let Some(line) = self.index.at(number, &mut window)? else { break };
            let key = crate::jsonl::result::key_of(line).ok().flatten().map(String::from).unwrap_or_default();
            self.request(&key, &[])?;
        }
        let unaccounted = self.requests - self.summary.outcomes.total();
        self.summary.outcomes.add(Outcome::Missing, unaccounted.max(0));
        Ok(())
    }

    /// The finished file.
    pub(super) fn finish(&mut self) -> Result<Option<crate::answers::Written>> {
        self.writer.take().map(AnswerWriter::finish).transpose()
    }

    fn request(&mut self, key: &str, source: &[Option<Cell<'_>>]) -> Result<()> {
        let line = self.index.get(key, &mut self.window)?;
        let answer = line.map_or_else(Answer::missing, |line| Answer::read(line, self.expects_json));
        self.summary.add(key, &answer, self.price.as_ref());
        self.unfound.retain(|unfound| unfound != key);
        let wanted = &self.wanted;
        let listed = wanted.outcomes.is_empty() || wanted.outcomes.contains(&answer.outcome);
        if listed && (wanted.keys.is_empty() || wanted.keys.iter().any(|wanted| wanted == key)) {
            if let Some(writer) = &mut self.writer {
                writer.write(&Record { key, answer: &answer, raw: line, source, media: &[] })?;
            }
            // Without a filter the samples are answers; what went wrong is told by the failures.
            let filtered = !wanted.outcomes.is_empty() || !wanted.keys.is_empty();
            if filtered || answer.outcome == Outcome::Answered {
                self.samples.show(key, &answer);
            }
        }
        self.report()
    }

    fn report(&self) -> Result<()> {
        let done = self.summary.outcomes.total();
        if done % STRIDE == 0 {
            self.monitor.check("writing the answers")?;
            let total = Some(self.requests.unsigned_abs());
            self.monitor.report(&Progress {
                stage: "writing the answers".into(),
                done: done.unsigned_abs(),
                total,
                unit: "requests",
            });
        }
        Ok(())
    }
}

/// The answers to show, under a byte budget.
#[derive(Debug)]
pub(super) struct Samples {
    pass_over: usize,
    room: usize,
    bytes: usize,
    pub(super) shown: Vec<Sample>,
}

impl Samples {
    fn show(&mut self, key: &str, answer: &Answer<'_>) {
        if self.pass_over > 0 {
            self.pass_over -= 1;
        } else if self.shown.len() < self.room && self.bytes < SAMPLES_BYTES {
            let cell = answer.cell();
            let text = if cell.is_empty() { answer.complaint() } else { cell };
            let sample = Sample {
                key: one_line(&clip(key, KEY_BYTES)),
                outcome: answer.outcome,
                text: one_line(&clip(&text, SAMPLE_BYTES)),
            };
            self.bytes += sample.key.len() + sample.text.len();
            self.shown.push(sample);
        }
    }
}

/// Answers, keys and reasons are a stranger's text: on one line they cannot pass for a line of the reply.
pub(super) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The keys without an answer: needed to tell rows that were asked from rows that never were.
pub(super) fn unanswered(keys: File, index: &ResultIndex) -> Result<KeySet> {
    let mut missing = KeySet::default();
    let mut keys = Keys::new(keys);
    while let Some(key) = keys.next_key()? {
        if !index.has(&key)? {
            missing.insert(key.as_bytes());
        }
    }
    Ok(missing)
}

/// The keys of a job, as they are kept: one JSON string a line.
struct Keys {
    lines: LineReader<File>,
}

impl Keys {
    fn new(file: File) -> Self {
        Self { lines: LineReader::new(file) }
    }

    fn next_key(&mut self) -> Result<Option<Cow<'_, str>>> {
        const ACT: &str = "reading the keys of the job";
        let Some(line) = self.lines.next_line().map_err(|e| Error::io(ACT, e))? else { return Ok(None) };
        let plain = line.bytes.strip_prefix(b"\"").and_then(|bytes| bytes.strip_suffix(b"\""));
        // Most keys hold nothing that JSON would escape.
        if let Some(text) = plain.filter(|bytes| !bytes.contains(&b'\\')).and_then(|bytes| str::from_utf8(bytes).ok()) {
            return Ok(Some(Cow::Borrowed(text)));
        }
        let key = serde_json::from_slice(line.bytes).map_err(|e| Error::internal(ACT, e.to_string()))?;
        Ok(Some(Cow::Owned(key)))
    }
}
