//! Rows of which no request could be made: told by cause in the reply, and all of them in a file beside the output.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};

use serde::Serialize;
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::{counted, grouped};
use crate::job::text::{clip, one_line};
use crate::paths::AllowedPath;
use crate::source::RowProblem;

/// Causes listed in a reply, and the bytes of each.
const MOST_LISTED: usize = 10;
const MOST_BYTES: usize = 400;
/// Causes that are told apart; what is beyond them is counted together.
const MOST_CAUSES: usize = 200;
/// Rows named for each cause.
const MOST_ROWS: usize = 4;
/// One row in so many that repeats a key is a slip in the data; more, and the key is none.
const FEW: u64 = 20;
const UNIQUE: &str = "give a key that is unique: another column, or several by a template such as \"{{ a }}-{{ b }}\"; rows of \
    data without key are called row-1, row-2…";
/// A list of ours has short lines.
const LONGEST_LINE: u64 = 64 * 1024;

/// The rows that are bad, as they turn up.
pub(super) struct BadRows {
    pub(super) count: i64,
    /// Those whose key came before.
    pub(super) repeated: i64,
    causes: Vec<Cause>,
    list: List,
}

/// What is wrong with some rows.
struct Cause {
    column: Option<String>,
    /// The cause without what differs from row to row.
    pattern: String,
    /// The first row that has it, in full.
    first: String,
    rows: Vec<u64>,
    count: i64,
}

impl BadRows {
    /// None so far. Those of `source` will be listed in `list`.
    pub(super) fn new(source: Option<String>, list: AllowedPath) -> Self {
        Self { count: 0, repeated: 0, causes: Vec::new(), list: List { source, path: list, file: None } }
    }

    /// Takes one in.
    pub(super) fn push(&mut self, problem: &RowProblem) -> Result<()> {
        self.count += 1;
        self.list.push(problem)?;
        let pattern = pattern(&problem.cause);
        let known = self.causes.iter_mut().find(|known| known.column == problem.column && known.pattern == pattern);
        if let Some(known) = known {
            known.count += 1;
            if known.rows.len() < MOST_ROWS {
                known.rows.push(problem.row);
            }
        } else if self.causes.len() < MOST_CAUSES {
            let first = one_line(&clip(&problem.to_string(), MOST_BYTES));
            let rows = vec![problem.row];
            self.causes.push(Cause { column: problem.column.clone(), pattern, first, rows, count: 1 });
        }
        Ok(())
    }

    /// "row 3 (line 4): … (and 7 more rows: 5, 9, 12, …)", one line a cause, most frequent first.
    pub(super) fn listed(&self) -> Vec<String> {
        let mut causes: Vec<_> = self.causes.iter().collect();
        causes.sort_by_key(|cause| (Reverse(cause.count), cause.rows.first().copied()));
        let mut listed: Vec<_> = causes.iter().take(MOST_LISTED).map(|cause| cause.told()).collect();
        let told: i64 = causes.iter().take(MOST_LISTED).map(|cause| cause.count).sum();
        if told < self.count {
            listed.push(format!("{} for other reasons", counted(self.count - told, "more row")));
        }
        listed
    }

    /// Finishes the list. Returns where it is, and what to know about it.
    pub(super) fn finish(&mut self) -> Result<(Option<String>, Option<String>)> {
        self.list.finish()
    }

    /// The error of a build that takes no bad row.
    pub(super) fn refusal(&mut self, good: u64) -> Result<Error> {
        let (list, warning) = self.finish()?;
        let bad = counted(self.count, "bad row");
        let mut cause = format!("{bad}, no request file was written:\n{}", self.listed().join("\n"));
        cause.extend(list.map(|list| format!("\nall of them are listed in {list}")));
        cause.extend(warning.map(|warning| format!("\n{warning}")));
        Ok(Error::new(ErrorKind::InvalidInput, "building requests", cause).hint(self.way_out(good)))
    }

    /// To leave rows out is no advice where they are bad only by what was chosen as their key.
    fn way_out(&self, good: u64) -> String {
        let mend = match (good, self.repeated) {
            (0, _) => return "no row makes a request: mend the template, the key or the source".to_owned(),
            (_, 0) => "mend the rows or the template",
            _ => UNIQUE,
        };
        let are_few = self.repeated.unsigned_abs().saturating_mul(FEW) <= good;
        let skip = if are_few { "; or pass on_bad_row: \"skip\" to leave these rows out" } else { "" };
        format!("{mend}{skip}")
    }
}

impl Cause {
    fn told(&self) -> String {
        let more = self.count - 1;
        let rows: Vec<_> = self.rows.iter().skip(1).map(u64::to_string).collect();
        let rest = if more > rows.len() as i64 { ", …" } else { "" };
        match more {
            0 => self.first.clone(),
            1 => format!("{} (and row {})", self.first, rows.join("")),
            _ => format!("{} (and {} more rows: {}{rest})", self.first, grouped(more), rows.join(", ")),
        }
    }
}

/// A cause without quoted texts and numbers, which differ from row to row.
fn pattern(cause: &str) -> String {
    let mut pattern = String::with_capacity(cause.len());
    let mut letters = cause.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' | '`' => {
                while let Some(inside) = letters.next() {
                    match inside {
                        '\\' => drop(letters.next()),
                        _ if inside == letter => break,
                        _ => {}
                    }
                }
                pattern.push('…');
            }
            '0'..='9' => {
                while letters.next_if(char::is_ascii_digit).is_some() {}
                pattern.push('#');
            }
            _ => pattern.push(letter),
        }
    }
    pattern
}

/// One line of the list.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(flatten)]
    problem: &'a RowProblem,
}

/// The file that lists all bad rows; written as they come, and moved to its place when it is whole.
struct List {
    source: Option<String>,
    path: AllowedPath,
    file: Option<BufWriter<NamedTempFile>>,
}

impl List {
    fn push(&mut self, problem: &RowProblem) -> Result<()> {
        let act = || format!("writing {}", self.path);
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(self.path.temporary()?)),
        };
        let entry = Entry { source: self.source.as_deref(), problem };
        let mut line = serde_json::to_vec(&entry).map_err(|e| Error::internal(act(), e.to_string()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(|e| Error::io(act(), e))
    }

    fn finish(&mut self) -> Result<(Option<String>, Option<String>)> {
        let Some(file) = self.file.take() else { return Ok((None, self.clear()?)) };
        let act = || format!("writing {}", self.path);
        let file = file.into_inner().map_err(|e| Error::io(act(), e.into_error()))?;
        match self.path.persist_if_new(file, self.is_ours()) {
            Ok(_) => Ok((Some(self.path.to_string()), None)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                Ok((None, Some(format!("the bad rows are listed nowhere: {} is there and is no such list", self.path))))
            }
            Err(e) => Err(e),
        }
    }

    /// A list of the last build would mislead; anything else is not ours to replace.
    fn is_ours(&self) -> bool {
        self.path.exists() && self.path.open().is_ok_and(is_list)
    }

    /// Takes the list of the last build away, where no row is bad any more. Says so.
    fn clear(&self) -> Result<Option<String>> {
        if !self.is_ours() {
            return Ok(None);
        }
        std::fs::remove_file(self.path.as_path()).map_err(|e| Error::io(format!("removing {}", self.path), e))?;
        Ok(Some(format!("{} listed the bad rows of an earlier build, and was removed", self.path)))
    }
}

/// Whether a file holds a list of bad rows, and nothing else.
fn is_list(file: File) -> bool {
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        match lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return number > 0,
            Ok(_) if is_entry(&line) => {}
            _ => return false,
        }
    }
    false
}

fn is_entry(line: &[u8]) -> bool {
    let entry: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
    let known = |name: &String| ["source", "row", "line", "place", "column", "cause"].contains(&name.as_str());
    let has = |name: &str, is: fn(&Value) -> bool| entry.get(name).is_some_and(is);
    entry.keys().all(known) && has("row", Value::is_u64) && has("cause", Value::is_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_that_differ_by_what_they_quote_are_one() {
        let one = pattern(r#"row 1 has the key "a \" b" already; 12 bytes"#);
        assert_eq!(one, "row # has the key … already; # bytes");
        assert_eq!(one, pattern(r#"row 77 has the key "" already; 3 bytes"#));
        assert_ne!(pattern("its key is empty"), pattern("its key is long"));
        assert_eq!(pattern("an open \"quote"), "an open …");
    }
}
