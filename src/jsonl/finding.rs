//! What is wrong with a request line, said so that it can be put right.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Messages beyond this many different ones are counted together.
const MAX_GROUPS: usize = 200;

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Severity {
    /// The API would refuse the line, and with it the whole batch.
    Error,
    /// It may be a mistake, or newer than what this program knows.
    Warning,
}

/// One thing wrong in one place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// The line, counted from 1; 0 speaks of the file as a whole.
    pub line: u64,
    /// The byte in the line, counted from 1, as the API counts; 0 where there is no line.
    pub column: u64,
    /// The field: `request.generationConfig.thinking_config`. Empty for the line itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// All findings with the same message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct FindingGroup {
    /// What is wrong.
    pub message: String,
    /// How bad it is.
    pub severity: Severity,
    /// How often it was found.
    pub count: u64,
    /// The first line it was found in.
    pub first_line: u64,
    /// What to do about it, in that line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The findings of a file: all counted, the first ones kept.
#[derive(Debug, Clone)]
pub struct Findings {
    /// How many errors there are.
    pub errors: u64,
    /// How many warnings there are.
    pub warnings: u64,
    keep: usize,
    /// The first `keep` of each severity, so that many warnings do not hide an error.
    kept: [Vec<Finding>; 2],
    groups: BTreeMap<(Severity, String), FindingGroup>,
}

impl Findings {
    /// None yet; the first `keep` will be kept.
    pub fn new(keep: usize) -> Self {
        Self { errors: 0, warnings: 0, keep, kept: Default::default(), groups: BTreeMap::new() }
    }

    /// Takes a finding in.
    pub fn push(&mut self, finding: Finding) {
        let Finding { line: first_line, severity, .. } = finding;
        let (message, hint) = (finding.message.clone(), finding.hint.clone());
        self.count(FindingGroup { message, severity, count: 1, first_line, hint });
        self.keep(finding);
    }

    /// Takes in the findings of later lines, whose numbers start after `line`.
    pub fn append(&mut self, later: Self, line: u64) {
        for group in later.groups.into_values() {
            self.count(FindingGroup { first_line: group.first_line + line, ..group });
        }
        for finding in later.kept.into_iter().flatten() {
            self.keep(Finding { line: finding.line + line, ..finding });
        }
    }

    /// Counts findings of which only the number is known.
    pub fn count(&mut self, mut more: FindingGroup) {
        *match more.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        } += more.count;
        let mut name = (more.severity, more.message.clone());
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&name) {
            name.1 = "other findings".into();
            more.message.clone_from(&name.1);
            more.hint = None;
        }
        match self.groups.entry(name) {
            Entry::Vacant(entry) => _ = entry.insert(more),
            Entry::Occupied(mut entry) => entry.get_mut().count += more.count,
        }
    }

    /// The findings by message: errors before warnings, the most frequent first.
    pub fn groups(&self) -> Vec<FindingGroup> {
        let mut groups: Vec<_> = self.groups.values().cloned().collect();
        groups.sort_by_key(|group| (group.severity, Reverse(group.count), group.first_line));
        groups
    }

    /// The findings to show, in the order of the lines. Where there are too many, errors come before warnings.
    pub fn into_first(self) -> Vec<Finding> {
        let mut first: Vec<_> = self.kept.into_iter().flatten().take(self.keep).collect();
        first.sort_by_key(|finding| (finding.line, finding.column));
        first
    }

    fn keep(&mut self, finding: Finding) {
        let [errors, warnings] = &mut self.kept;
        let kept = if finding.severity == Severity::Error { errors } else { warnings };
        if kept.len() < self.keep {
            kept.push(finding);
        }
    }
}

/// A stranger's text made fit for a message: short, one line, in back quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", clipped(text))
}

/// A stranger's text made fit for a message: short, one line.
pub(super) fn clipped(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: u64, message: &str, severity: Severity) -> Finding {
        Finding { line, column: 1, path: String::new(), severity, message: message.into(), hint: None }
    }

    #[test]
    fn all_are_counted_and_the_first_are_kept() {
        let mut block = Findings::new(2);
        block.push(finding(1, "b", Severity::Warning));
        let mut all = Findings::new(2);
        all.push(finding(3, "a", Severity::Error));
        all.append(block.clone(), 10);
        all.append(block, 20);
        assert_eq!((all.errors, all.warnings), (1, 2));
        let groups = all.groups();
        assert_eq!(all.into_first().iter().map(|f| f.line).collect::<Vec<_>>(), [3, 11]);
        assert_eq!((groups[1].message.as_str(), groups[1].count, groups[1].first_line), ("b", 2, 11));
    }

    #[test]
    fn many_warnings_do_not_hide_an_error() {
        let mut all = Findings::new(2);
        (1..100).for_each(|line| all.push(finding(line, "w", Severity::Warning)));
        all.push(finding(100, "e", Severity::Error));
        assert_eq!(all.into_first().iter().map(|f| f.line).collect::<Vec<_>>(), [1, 100]);
    }

    #[test]
    fn a_million_different_messages_do_not_fill_the_memory() {
        let mut all = Findings::new(0);
        (0..10_000).for_each(|n| all.push(finding(n, &format!("message {n}"), Severity::Error)));
        assert_eq!(all.groups().len(), MAX_GROUPS + 1);
        assert_eq!(all.groups().iter().map(|group| group.count).sum::<u64>(), 10_000);
    }

    #[test]
    fn a_strangers_text_cannot_break_the_line() {
        assert_eq!(quoted("a\nb\u{1b}"), "`a\\nb\\u{1b}`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 63);
    }
}
