//! Keys given more than once: noticed by hash, told with both lines.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::jsonl::check::check_line;
use crate::jsonl::finding::{Finding, FindingGroup, Findings, Severity, quoted};
use crate::jsonl::keys::{self, KeySet};
use crate::jsonl::lines::LineReader;
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// So many duplicates are looked up in the file and told in full; the others are only counted.
const TOLD: usize = 1000;
const MESSAGE: &str = "the key is given twice";
/// No more keys than this are made room for on the strength of an estimate.
const MOST_EXPECTED: u64 = 16 << 20;

/// Keys that were given more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// How many lines repeat the key of an earlier one.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Duplicate>,
}

/// A line with the key of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The key.
    pub key: String,
    /// The line that repeats it.
    pub line: u64,
    /// The line that has it first.
    pub first_line: u64,
}

/// Watches for keys that come again.
#[derive(Default)]
pub(super) struct Watch {
    seen: KeySet,
    count: u64,
    /// Hashes that came again, and the last line looked up.
    again: HashMap<u128, Option<First>>,
    last_line: u64,
    told: usize,
}

/// Where a hash was first, and the key it stands for.
struct First {
    line: u64,
    key: String,
}

impl Watch {
    /// Makes room for a file of which `read` of `size` bytes held `keys` keys.
    pub(super) fn expect(&mut self, keys: usize, read: u64, size: u64) {
        let all = (keys as u128 * size as u128 / read.max(1) as u128).min(MOST_EXPECTED.into()) as usize;
        self.seen.reserve((all + all / 64).saturating_sub(self.seen.len()));
    }

    /// Takes note of the key with this hash in this line.
    pub(super) fn note(&mut self, hash: u128, line: u64) {
        if self.seen.insert_hash(hash) {
            return;
        }
        self.count += 1;
        if self.told < TOLD {
            self.told += 1;
            self.last_line = line;
            self.again.insert(hash, None);
        }
    }

    /// Looks the repeated keys up in the file.
    pub(super) fn tell(mut self, file: &AllowedPath, monitor: &dyn Monitor) -> Result<Duplicates> {
        let mut duplicates = Duplicates { count: self.count, first: Vec::new() };
        if self.count == 0 {
            return Ok(duplicates);
        }
        // The memory of the set is not needed any more.
        self.seen = KeySet::new();
        let act = format!("looking for repeated keys in {file}");
        let mut lines = LineReader::new(file.open()?);
        let mut ignored = Vec::new();
        while let Some(line) = lines.next_line().map_err(|e| Error::io(&act, e))? {
            if line.number > self.last_line {
                break;
            }
            if line.number % 4096 == 0 {
                monitor.check(&act)?;
            }
            ignored.clear();
            if let Some(key) = check_line(line.bytes, line.number, &mut ignored).key {
                self.compare(&key, line.number, &mut duplicates);
            }
        }
        Ok(duplicates)
    }

    fn compare(&mut self, key: &str, line: u64, duplicates: &mut Duplicates) {
        let Some(first) = self.again.get_mut(&keys::hash(key.as_bytes())) else { return };
        match first {
            None => *first = Some(First { line, key: key.to_owned() }),
            Some(first) if first.key == key => {
                if duplicates.first.len() < TOLD {
                    duplicates.first.push(Duplicate { key: key.to_owned(), line, first_line: first.line });
                }
            }
            // Two keys, one hash: not in this universe, but then it was no duplicate.
            Some(_) => duplicates.count = duplicates.count.saturating_sub(1),
        }
    }
}

impl Duplicates {
    /// Adds them to the findings.
    pub(super) fn report(&self, findings: &mut Findings) {
        self.first.iter().for_each(|duplicate| findings.push(duplicate.finding()));
        let count = self.count.saturating_sub(self.first.len() as u64);
        if let Some(last) = self.first.last().filter(|_| count > 0) {
            let (message, severity) = (MESSAGE.to_owned(), Severity::Error);
            findings.count(FindingGroup { message, severity, count, first_line: last.line, hint: None });
        }
    }
}

impl Duplicate {
    /// As a finding.
    pub(super) fn finding(&self) -> Finding {
        Finding {
            line: self.line,
            column: 1,
            path: "key".into(),
            severity: Severity::Error,
            message: MESSAGE.into(),
            hint: Some(format!(
                "line {} has the key {} too: give each line its own",
                self.first_line,
                quoted(&self.key)
            )),
        }
    }
}
