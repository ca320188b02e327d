//! Rows whose key came before: told with the row that has it first.
//!
//! While rows stream by only the hashes of their keys are kept. So the first rows are found by a second
//! look at the data set, which is taken only when there are such rows, and goes no further than the last of them.

use std::collections::HashMap;

use super::problems::BadRows;
use crate::error::Result;
use crate::progress::Monitor;
use crate::source::{KeyRule, Row, RowProblem, Skeleton, Source};

/// So many rows are told with the first row; it is not looked up for those beyond.
const MOST_TOLD: usize = 1000;
/// Rows between two looks at the monitor.
const STRIDE: u64 = 4096;

/// Rows with a key that came before.
#[derive(Default)]
pub(super) struct Repeats {
    rows: Vec<(RowProblem, String)>,
    /// All of them.
    count: i64,
}

impl Repeats {
    /// Takes one in, or gives it back when there are too many to look at twice. The key as it was made may have spaces
    /// around it.
    pub(super) fn push(&mut self, row: &Row<'_>, rule: &KeyRule, made: &str) -> Result<(), RowProblem> {
        self.count += 1;
        let (column, key) = (rule.column(), made.trim());
        if self.rows.len() >= MOST_TOLD {
            return Err(row.problem(column, format!("its key {key:?} came before; keys must be unique")));
        }
        self.rows.push((row.problem(column, trimmed(made)), key.to_owned()));
        Ok(())
    }

    /// Looks up where the keys come first and adds the rows to the bad ones.
    pub(super) fn tell(
        self,
        open: impl FnOnce() -> Result<Source>,
        (skeleton, rule): (&Skeleton, &KeyRule),
        bad: &mut BadRows,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        bad.repeated = self.count;
        let Some(last) = self.rows.last().map(|(problem, _)| problem.row) else { return Ok(()) };
        let firsts = firsts(open()?, (skeleton, rule), self.rows.iter().map(|(_, key)| key.as_str()), last, monitor)?;
        for (mut problem, key) in self.rows {
            let before = match firsts.get(&key).copied().flatten() {
                Some(First { row, line: Some(line), spaces }) => {
                    format!("row {row} (line {line}) has it already{spaces}")
                }
                Some(First { row, line: None, spaces }) => format!("row {row} has it already{spaces}"),
                None => "it came before".to_owned(),
            };
            let spaces = &problem.cause;
            problem.cause = format!("its key {key:?}{spaces} is not its own: {before}; keys must be unique");
            bad.push(&problem)?;
        }
        Ok(())
    }
}

/// Where a key comes first.
#[derive(Clone, Copy)]
struct First {
    row: u64,
    line: Option<u64>,
    spaces: &'static str,
}

/// Keys are the same whatever is around them.
fn trimmed(made: &str) -> &'static str {
    if made.trim().len() < made.len() { ", without the spaces around it," } else { "" }
}

fn firsts<'k>(
    mut source: Source,
    (skeleton, rule): (&Skeleton, &KeyRule),
    keys: impl Iterator<Item = &'k str>,
    last: u64,
    monitor: &dyn Monitor,
) -> Result<HashMap<String, Option<First>>> {
    let mut firsts: HashMap<String, Option<First>> = keys.map(|key| (key.to_owned(), None)).collect();
    let mut left = firsts.len();
    let (mut buffer, mut line) = (String::new(), Vec::new());
    while left > 0 {
        let Some(row) = source.next_row()? else { break };
        let Ok(row) = row else { continue };
        if row.number() >= last {
            break;
        }
        if row.number().is_multiple_of(STRIDE) {
            monitor.check("looking for repeated keys")?;
        }
        if rule.key(&row, &mut buffer).is_err() {
            continue;
        }
        let (key, spaces) = (buffer.trim(), trimmed(&buffer));
        let Some(first @ None) = firsts.get_mut(key) else { continue };
        // A row that makes no request takes no key.
        line.clear();
        if skeleton.render_line(key, &row, &mut line).is_ok() {
            *first = Some(First { row: row.number(), line: row.line(), spaces });
            left -= 1;
        }
    }
    Ok(firsts)
}
