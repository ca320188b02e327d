//! What is wrong with a request line, said so that it can be put right.

use std::collections::BTreeMap;

/// Messages beyond this many different ones are counted together.
const MAX_GROUPS: usize = 200;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
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
}

/// The findings of a file: all counted, the first ones kept.
#[derive(Debug, Clone)]
pub struct Findings {
    /// How many errors there are.
    pub errors: u64,
    /// How many warnings there are.
    pub warnings: u64,
    /// The first findings, in the order of the lines.
    pub first: Vec<Finding>,
    keep: usize,
    groups: BTreeMap<(String, bool), (u64, u64)>,
}

impl Findings {
    /// None yet; the first `keep` will be kept.
    pub fn new(keep: usize) -> Self {
        Self { errors: 0, warnings: 0, first: Vec::new(), keep, groups: BTreeMap::new() }
    }

    /// Takes a finding in.
    pub fn push(&mut self, finding: Finding) {
        self.count(&finding.message, finding.severity, 1, finding.line);
        if self.first.len() < self.keep {
            self.first.push(finding);
        }
    }

    /// Takes in the findings of later lines, whose numbers start after `line`.
    pub fn append(&mut self, later: Self, line: u64) {
        for ((message, warning), (count, first_line)) in later.groups {
            let severity = if warning { Severity::Warning } else { Severity::Error };
            self.count(&message, severity, count, first_line + line);
        }
        let room = self.keep.saturating_sub(self.first.len());
        self.first.extend(later.first.into_iter().take(room).map(|mut finding| {
            finding.line += line;
            finding
        }));
    }

    /// The findings by message, the most frequent first.
    pub fn groups(&self) -> Vec<FindingGroup> {
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .map(|((message, warning), (count, first_line))| FindingGroup {
                message: message.clone(),
                severity: if *warning { Severity::Warning } else { Severity::Error },
                count: *count,
                first_line: *first_line,
            })
            .collect();
        groups.sort_by_key(|group| (group.severity == Severity::Warning, u64::MAX - group.count, group.first_line));
        groups
    }

    /// Puts what was found late in its place among the lines.
    pub(super) fn sort(&mut self) {
        self.first.sort_by_key(|finding| (finding.line, finding.column));
    }

    fn count(&mut self, message: &str, severity: Severity, count: u64, line: u64) {
        let warning = severity == Severity::Warning;
        *if warning { &mut self.warnings } else { &mut self.errors } += count;
        let mut group = (message.to_owned(), warning);
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&group) {
            group.0 = "other findings".into();
        }
        let entry = self.groups.entry(group).or_insert((0, line));
        entry.0 += count;
        entry.1 = entry.1.min(line);
    }
}

/// A stranger's text made fit for a message: short, one line, in back quotes.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
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
        assert_eq!(all.first.iter().map(|f| f.line).collect::<Vec<_>>(), [3, 11]);
        let groups = all.groups();
        assert_eq!((groups[1].message.as_str(), groups[1].count, groups[1].first_line), ("b", 2, 11));
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
