//! Accounts for every request of a job: looks its answer up by key, counts it, shows it, writes it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use crate::answers::merged::Found;
use crate::answers::summary::Summary;
use crate::answers::{Answer, AnswerWriter, Filter, Merged, Record, Tally, Window, Written};
use crate::error::{Error, Result};
use crate::job::text::{clip, one_line};
use crate::job::{Outcome, OutcomeCounts};
use crate::jsonl::keys::KeySet;
use crate::jsonl::lines::LineReader;
use crate::progress::{Monitor, Progress};
use crate::source::{Cell, KeyRule, Source};

use super::settle::Costs;
use super::words::Sample;

/// Bytes of an answer in a reply that is not about single answers.
const SAMPLE_BYTES: usize = 400;
/// Bytes of an answer, at most, where somebody looks at answers; the reply's budget is cut to fit later.
const LOOK_BYTES: usize = 5_000;
const KEY_BYTES: usize = 120;
/// Model versions told apart.
const MOST_VERSIONS: usize = 20;
/// Requests between two looks at the monitor.
const STRIDE: i64 = 4096;

/// What to show and write.
#[derive(Debug, Default)]
pub(in crate::ops) struct Wanted {
    /// Which answers.
    pub(in crate::ops) filter: Filter,
    /// The keys that it names.
    pub(in crate::ops) keys: Vec<String>,
    /// Samples to pass over.
    pub(in crate::ops) offset: usize,
    /// Samples to show.
    pub(in crate::ops) limit: usize,
    /// Somebody looks at answers: all that are selected are shown, and not only those that answered.
    pub(in crate::ops) look: bool,
    /// The field whose values are counted.
    pub(in crate::ops) tally: Option<Tally>,
}

impl Wanted {
    /// Whether the JSON of the answers is needed.
    pub(in crate::ops) fn needs_json(&self) -> bool {
        self.filter.needs_json() || self.tally.is_some()
    }
}

/// What was counted and shown.
pub(in crate::ops) struct Counted {
    pub(in crate::ops) summary: Summary,
    pub(in crate::ops) shown: Vec<Sample>,
    /// Requests that the filter lets through.
    pub(in crate::ops) selected: i64,
    pub(in crate::ops) tally: Option<Tally>,
    /// Answers by the version of the model that gave them.
    pub(in crate::ops) versions: BTreeMap<String, i64>,
    /// Answers whose code fence was taken off.
    pub(in crate::ops) unfenced: i64,
    /// Rows beside which nothing stands, if all rows were to be seen.
    pub(in crate::ops) unasked: Unasked,
    /// What became of requests, by whose line tells it: that of the job itself (0) or of one of its retries.
    pub(in crate::ops) by_generation: BTreeMap<u32, OutcomeCounts>,
    /// What the lines of the job itself (0) and of each of its retries cost.
    pub(in crate::ops) costs: Costs,
}

/// Rows of a data set that never became requests: bad ones, those beyond a limit, those added since. Not counted where
/// only some answers are wanted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Unasked {
    /// Written without an answer.
    pub(in crate::ops) written: i64,
    /// Left out of a file of requests.
    pub(in crate::ops) left_out: i64,
    /// They cannot be read, so they cannot be written.
    pub(in crate::ops) unreadable: i64,
}

/// Accounts for the requests of one job, one after the other.
pub(in crate::ops) struct Account<'m> {
    pub(in crate::ops) merged: Merged,
    counted: Counted,
    samples: Samples,
    filter: Filter,
    look: bool,
    /// Keys that were asked for and did not come by so far.
    pub(in crate::ops) unfound: BTreeSet<String>,
    writer: Option<AnswerWriter>,
    requests: i64,
    monitor: &'m dyn Monitor,
}

impl<'m> Account<'m> {
    pub(in crate::ops) fn new(
        merged: Merged,
        wanted: Wanted,
        writer: Option<AnswerWriter>,
        requests: i64,
        monitor: &'m dyn Monitor,
    ) -> Self {
        let text_bytes = if wanted.look { LOOK_BYTES } else { SAMPLE_BYTES };
        Self {
            merged,
            counted: Counted {
                summary: Summary::new(0),
                shown: Vec::new(),
                selected: 0,
                tally: wanted.tally,
                versions: BTreeMap::new(),
                unfenced: 0,
                unasked: Unasked::default(),
                by_generation: BTreeMap::new(),
                costs: Costs::default(),
            },
            samples: Samples { pass_over: wanted.offset, room: wanted.limit, text_bytes, shown: Vec::new() },
            filter: wanted.filter,
            look: wanted.look,
            unfound: wanted.keys.into_iter().collect(),
            writer,
            requests,
            monitor,
        }
    }

    /// All requests in the order of their keys; after a join only those that were not accounted for with their
    /// rows. `unanswered` are the keys without answer that were. Returns how many these requests are.
    pub(in crate::ops) fn by_keys(&mut self, keys: File, unanswered: Option<&KeySet>) -> Result<i64> {
        let mut count = 0;
        let mut keys = Keys::new(keys);
        while let Some(key) = keys.next_key()? {
            let is_done = match unanswered {
                Some(done) => done.contains(key.as_bytes()) || self.merged.was_asked(&key)?,
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
    /// `asked` tells rows without an answer from those that were never asked for. Returns the keys without answer that
    /// were accounted for.
    pub(in crate::ops) fn by_rows(
        &mut self,
        mut rows: Source,
        rule: &KeyRule,
        columns: &[String],
        asked: &KeySet,
    ) -> Result<KeySet> {
        let mut unanswered = KeySet::default();
        let mut buffer = String::new();
        while let Some(row) = rows.next_row()? {
            let Ok(row) = row else {
                self.counted.unasked.unreadable += i64::from(self.filter.is_empty());
                continue;
            };
            let cells: Vec<_> = columns.iter().map(|column| row.get(column)).collect();
            let key = rule.key(&row, &mut buffer).ok();
            let first = match key {
                Some(key) if self.merged.has_expected(key)? => !self.merged.was_asked(key)?,
                Some(key) => asked.contains(key.as_bytes()) && unanswered.insert(key.as_bytes()),
                None => false,
            };
            match key.filter(|_| first) {
                Some(key) => self.request(key, &cells)?,
                None => self.not_asked(&cells)?,
            }
        }
        Ok(unanswered)
    }

    /// All results in the order in which they came, for a job whose keys are not known here.
    pub(in crate::ops) fn by_results(&mut self) -> Result<()> {
        let mut window = Window::new();
        for number in 0.. {
            let Some(index) = self.merged.original() else { break };
            let Some(line) = index.at(number, &mut window)? else { break };
            let key = crate::jsonl::result::key_of(line).ok().flatten().map(String::from).unwrap_or_default();
            self.request(&key, &[])?;
        }
        let outcomes = &mut self.counted.summary.outcomes;
        let unaccounted = self.requests - outcomes.total();
        outcomes.add(Outcome::Missing, unaccounted.max(0));
        Ok(())
    }

    /// What was counted, and the finished file.
    pub(in crate::ops) fn finish(mut self) -> Result<(Counted, Option<Written>)> {
        self.counted.shown = self.samples.shown;
        let is_missing = self.counted.summary.outcomes.missing > 0;
        let mut unclear = self.merged.unclear(is_missing).peekable();
        if unclear.peek().is_some() {
            self.counted.summary.doubt_cost();
        }
        self.counted.costs.leave_out(unclear);
        Ok((self.counted, self.writer.map(AnswerWriter::finish).transpose()?))
    }

    fn request(&mut self, key: &str, source: &[Option<Cell<'_>>]) -> Result<()> {
        let summary = &mut self.counted.summary;
        let costs = &mut self.counted.costs;
        let Found { answer, line, json } = self.merged.get(key, |answer, price| {
            costs.add(answer.generation, summary.pay(answer, price));
        })?;
        summary.count(key, &answer);
        self.counted.unfenced += i64::from(answer.unfenced);
        self.counted.by_generation.entry(answer.generation).or_default().add(answer.outcome, 1);
        if let Some(version) = &answer.model_version {
            note_version(&mut self.counted.versions, version);
        }
        self.unfound.remove(key);
        let json = json.as_ref().filter(|_| self.filter.heeds_fields_of(answer.outcome));
        if self.filter.lets_through(key, &answer, json) {
            self.counted.selected += 1;
            if let Some(tally) = &mut self.counted.tally {
                tally.add(answer.outcome, json);
            }
            let files = match &mut self.writer {
                Some(writer) => {
                    writer.write(&Record { key, asked: true, answer: &answer, raw: line, source, media: &[] })?
                }
                None => Vec::new(),
            };
            // Unless somebody looks, the samples are answers; what went wrong is told by the failures.
            if self.look || answer.outcome == Outcome::Answered {
                self.samples.show(key, &answer, &files);
            }
        }
        self.report()
    }

    /// A row that never became a request, or not the first of its key. It has no outcome, so a filter never selects it.
    fn not_asked(&mut self, row: &[Option<Cell<'_>>]) -> Result<()> {
        if !self.filter.is_empty() {
            return Ok(());
        }
        match &mut self.writer {
            Some(writer) if writer.has_all_rows() => {
                writer.write(&Record::not_asked(row))?;
                self.counted.unasked.written += 1;
            }
            _ => self.counted.unasked.left_out += 1,
        }
        Ok(())
    }

    fn report(&self) -> Result<()> {
        let done = self.counted.summary.outcomes.total();
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

fn note_version(versions: &mut BTreeMap<String, i64>, version: &str) {
    if let Some(count) = versions.get_mut(version) {
        *count += 1;
    } else if versions.len() < MOST_VERSIONS {
        versions.insert(one_line(&clip(version, KEY_BYTES)), 1);
    }
}

/// The answers to show.
#[derive(Debug)]
struct Samples {
    pass_over: usize,
    room: usize,
    text_bytes: usize,
    shown: Vec<Sample>,
}

impl Samples {
    /// An answer, with the files that its pictures and sounds are in.
    fn show(&mut self, key: &str, answer: &Answer<'_>, files: &[Option<String>]) {
        if self.pass_over > 0 {
            self.pass_over -= 1;
        } else if self.shown.len() < self.room {
            let cell = answer.glimpse();
            let files: Vec<&str> = files.iter().flatten().map(String::as_str).collect();
            let text = match (files.as_slice(), &answer.text) {
                ([_, ..], None) => Cow::Owned(files.join(", ")),
                _ if cell.is_empty() => answer.complaint(),
                _ => cell,
            };
            self.shown.push(Sample {
                key: one_line(&clip(key, KEY_BYTES)),
                outcome: answer.outcome,
                text: one_line(text.get(..text.floor_char_boundary(self.text_bytes)).unwrap_or_default()),
                bytes: text.len(),
                whole: text.len() <= self.text_bytes,
            });
        }
    }
}

/// The keys without an answer, while those with one are noted: needed to tell rows that were asked from rows
/// that never were.
pub(in crate::ops) fn unanswered(keys: File, merged: &mut Merged) -> Result<KeySet> {
    let mut missing = KeySet::default();
    let mut keys = Keys::new(keys);
    while let Some(key) = keys.next_key()? {
        if let Some(index) = merged.original() {
            index.expect(&key)?;
        }
        if !merged.has(&key)? {
            missing.insert(key.as_bytes());
        }
    }
    Ok(missing)
}

/// The keys of a job, as they are kept: one JSON string a line.
pub(in crate::ops) struct Keys {
    lines: LineReader<File>,
}

impl Keys {
    pub(in crate::ops) fn new(file: File) -> Self {
        Self { lines: LineReader::new(file) }
    }

    pub(in crate::ops) fn next_key(&mut self) -> Result<Option<Cow<'_, str>>> {
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
