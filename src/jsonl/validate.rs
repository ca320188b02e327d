//! A whole file of request lines checked, in one read: every line, the keys, the totals.
//!
//! The file is read in blocks of whole lines. Blocks are checked on as many threads as help, and
//! what was found is put together in the order of the file, so the answer does not depend on them.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::error::{Error, Result};
use crate::job::Kind;
use crate::jsonl::finding::{Finding, FindingGroup, Findings, Severity};
use crate::paths::AllowedPath;
use crate::progress::{Monitor, Progress};

mod blocks;
mod duplicates;
mod tally;

use blocks::{Block, Blocks};
use duplicates::Watch;
pub use duplicates::{Duplicate, Duplicates};
use tally::Tally;
pub use tally::Totals;

/// The largest file the API takes.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// More threads than this are not worth it: one has to read and hash.
const MAX_THREADS: usize = 4;

/// What to check a file for.
#[derive(Debug, Clone)]
pub struct ValidateOptions {
    /// What the requests must ask for; `None` takes the kind of the first one.
    pub kind: Option<Kind>,
    /// How many findings are kept in full. All are counted.
    pub keep_findings: usize,
    /// A larger file is an error; `None` takes any size.
    pub max_bytes: Option<u64>,
    /// How many threads check lines; 0 takes what the machine has.
    pub threads: usize,
}

impl Default for ValidateOptions {
    fn default() -> Self {
        Self { kind: None, keep_findings: 20, max_bytes: Some(MAX_FILE_BYTES), threads: 0 }
    }
}

/// What a file of request lines holds, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Validation {
    /// Lines that are not blank.
    pub requests: u64,
    /// The size of the file.
    pub bytes: u64,
    /// The hash of the file, in hex.
    pub sha256: String,
    /// What the requests ask for: the kind of the first one that tells, else the kind asked for.
    pub kind: Option<Kind>,
    /// How many errors there are: with any, the API would refuse the file.
    pub errors: u64,
    /// How many warnings there are.
    pub warnings: u64,
    /// The first findings, in the order of the lines.
    pub findings: Vec<Finding>,
    /// All findings, by message.
    pub groups: Vec<FindingGroup>,
    /// Keys that were given more than once.
    pub duplicates: Duplicates,
    /// What the requests add up to.
    pub totals: Totals,
}

impl Validation {
    /// Whether the file can be sent.
    pub fn is_valid(&self) -> bool {
        self.errors == 0
    }
}

/// Checks a file. With `keys`, every usable key is written there, as JSON strings, one a line, in order.
///
/// Blocks its thread for as long as it takes. Fails only when the file cannot be read, or on
/// cancellation; what is wrong with the lines is in the [`Validation`].
pub fn validate(
    file: &AllowedPath,
    options: &ValidateOptions,
    keys: Option<&mut dyn Write>,
    monitor: &dyn Monitor,
) -> Result<Validation> {
    let mut blocks = Blocks::open(file)?;
    let stage = format!("checking {file}");
    let mut check = Check::new(options, keys, monitor, stage);
    let threads = if blocks.is_small() { 1 } else { threads(options.threads) };
    if threads == 1 {
        while let Some(block) = blocks.next()? {
            let tally = check.tally(&block);
            check.take(tally, block, &mut blocks)?;
        }
    } else {
        check.run(&mut blocks, threads)?;
    }
    check.conclude(file, blocks)
}

fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
        asked => asked.min(MAX_THREADS),
    }
}

/// One check of one file.
struct Check<'c, 'k> {
    options: &'c ValidateOptions,
    keys: Option<&'k mut dyn Write>,
    monitor: &'c dyn Monitor,
    stage: String,
    total: Tally,
    watch: Watch,
    checked: u64,
}

impl<'c, 'k> Check<'c, 'k> {
    fn new(
        options: &'c ValidateOptions,
        keys: Option<&'k mut dyn Write>,
        monitor: &'c dyn Monitor,
        stage: String,
    ) -> Self {
        let total = Tally::new(options.keep_findings);
        Self { options, keys, monitor, stage, total, watch: Watch::default(), checked: 0 }
    }

    fn tally(&self, block: &Block) -> Tally {
        Tally::of(block, self.options.keep_findings, self.keys.is_some())
    }

    /// Checks the blocks on several threads, and takes the results in the order of the file.
    fn run(&mut self, blocks: &mut Blocks, threads: usize) -> Result<()> {
        std::thread::scope(|scope| {
            let (keep, with_keys) = (self.options.keep_findings, self.keys.is_some());
            let lanes: Vec<_> = (0..threads).map(|_| Lane::open(scope, keep, with_keys)).collect();
            // Blocks go round the lanes, and so do the results: that alone keeps them in order.
            let (mut to, mut from) = (lanes.iter().cycle(), lanes.iter().cycle());
            let mut under_way = 0;
            while let Some(block) = blocks.next()? {
                // A huge line is checked alone, so that there is only one of them in memory.
                let keep_under_way = if block.is_oversized() { 0 } else { 2 * threads - 1 };
                while under_way > keep_under_way {
                    self.take_from(from.next(), blocks)?;
                    under_way -= 1;
                }
                if block.is_oversized() {
                    let tally = self.tally(&block);
                    self.take(tally, block, blocks)?;
                } else {
                    to.next().ok_or_else(stopped)?.blocks.send(block).map_err(|_| stopped())?;
                    under_way += 1;
                }
            }
            (0..under_way).try_for_each(|_| self.take_from(from.next(), blocks))
        })
    }

    fn take_from(&mut self, lane: Option<&Lane>, blocks: &mut Blocks) -> Result<()> {
        let (tally, block) = lane.ok_or_else(stopped)?.tallies.recv().map_err(|_| stopped())?;
        self.take(tally, block, blocks)
    }

    /// Adds what was found in the next block.
    fn take(&mut self, mut tally: Tally, block: Block, blocks: &mut Blocks) -> Result<()> {
        self.checked += block.bytes.len() as u64;
        if block.first {
            self.watch.expect(tally.hashes.len(), self.checked, blocks.size);
        }
        for (hash, line) in std::mem::take(&mut tally.hashes) {
            self.watch.note(hash, line + self.total.lines);
        }
        if let Some(keys) = &mut self.keys {
            keys.write_all(&tally.keys).map_err(|e| Error::io("writing the keys", e))?;
        }
        self.total.append(tally);
        blocks.recycle(block);
        self.monitor.check(&self.stage)?;
        let (stage, total) = (self.stage.clone(), Some(blocks.size.max(self.checked)));
        self.monitor.report(&Progress { stage, done: self.checked, total, unit: "bytes" });
        Ok(())
    }

    /// Adds what can only be said of the file as a whole.
    fn conclude(mut self, file: &AllowedPath, blocks: Blocks) -> Result<Validation> {
        let duplicates = self.watch.tell(file, self.monitor)?;
        let findings = &mut self.total.findings;
        duplicates.report(findings);
        let kind = judge_kinds(self.options.kind, self.total.first_of, findings);
        judge_size(self.total.requests, blocks.read, self.options.max_bytes, findings);
        let total = self.total;
        Ok(Validation {
            requests: total.requests,
            bytes: blocks.read,
            sha256: blocks.sha256(),
            kind,
            errors: total.findings.errors,
            warnings: total.findings.warnings,
            groups: total.findings.groups(),
            findings: total.findings.into_first(),
            duplicates,
            totals: total.totals,
        })
    }
}

/// A thread that checks blocks.
struct Lane {
    blocks: SyncSender<Block>,
    tallies: Receiver<(Tally, Block)>,
}

impl Lane {
    fn open<'s>(scope: &'s Scope<'s, '_>, keep_findings: usize, with_keys: bool) -> Self {
        let (blocks, to_check) = sync_channel::<Block>(2);
        let (checked, tallies) = sync_channel(2);
        scope.spawn(move || {
            for block in to_check {
                let tally = Tally::of(&block, keep_findings, with_keys);
                if checked.send((tally, block)).is_err() {
                    break;
                }
            }
        });
        Self { blocks, tallies }
    }
}

fn stopped() -> Error {
    Error::internal("checking request lines", "a thread stopped")
}

/// The kind of the file; reports requests of the other one.
fn judge_kinds(asked: Option<Kind>, [generate, embed]: [Option<u64>; 2], findings: &mut Findings) -> Option<Kind> {
    let embeds_first = embed.is_some_and(|line| generate.is_none_or(|other| line < other));
    let found = if embeds_first { embed.map(|_| Kind::Embed) } else { generate.map(|_| Kind::Generate) };
    let kind = asked.or(found)?;
    let (other, stray) = match kind {
        Kind::Generate => (Kind::Embed, embed),
        Kind::Embed => (Kind::Generate, generate),
    };
    if let Some(line) = stray {
        let message = format!(
            "a request of the kind {other} in a file of the kind {kind}",
            other = other.as_str(),
            kind = kind.as_str()
        );
        let hint = "a job asks for one kind of answer: make a file for each".into();
        findings.push(Finding { line, ..of_the_file(message, hint) });
    }
    found.or(asked)
}

fn judge_size(requests: u64, bytes: u64, most: Option<u64>, findings: &mut Findings) {
    if requests == 0 {
        findings.push(of_the_file("the file has no requests".into(), "write one request a line".into()));
    }
    if let Some(most) = most.filter(|most| bytes > *most) {
        let message = format!("the file has {bytes} bytes, and the API takes {most}");
        findings.push(of_the_file(message, "split it: each part becomes a batch of its own".into()));
    }
}

fn of_the_file(message: String, hint: String) -> Finding {
    let (path, severity) = (String::new(), Severity::Error);
    Finding { line: 0, column: 0, path, severity, message, hint: Some(hint) }
}
