//! Rows that have nothing in a column that the template prints: what was to stand there is missing from their prompts.

use crate::job::outcome::counted;
use crate::source::{Cell, Row, Skeleton, Slot};

/// The columns, each with the rows that have nothing in it.
pub(super) struct Blanks(Vec<(Slot, i64)>);

impl Blanks {
    pub(super) fn new(skeleton: &Skeleton) -> Self {
        Self(skeleton.printed().into_iter().map(|column| (Slot::new(column), 0)).collect())
    }

    /// Looks at a row of which a request was made.
    pub(super) fn see(&mut self, row: &Row<'_>) {
        for (slot, count) in &mut self.0 {
            *count += i64::from(row.cell(slot).is_some_and(Cell::is_blank));
        }
    }

    /// "8,333 rows have nothing in desc, which the template prints: …".
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter(|(_, count)| *count > 0).map(|(slot, count)| {
            let have = if *count == 1 { "has" } else { "have" };
            format!(
                "{} {have} nothing in {}, which the template prints: default(\"none\", true) puts a text in its place, {{% if %}} \
                 leaves out what belongs to it",
                counted(*count, "row"),
                slot.name()
            )
        })
    }
}
