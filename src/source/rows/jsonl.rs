//! JSON Lines: one object a line. Blank lines are passed over.

use super::Rows;
use super::bounded::Bounded;
use super::object::Objects;
use crate::error::Result;
use crate::jsonl::lines::LineReader;
use crate::paths::AllowedPath;
use crate::source::bytes::{Text, Wrapping};
use crate::source::damage::failed_in_row;
use crate::source::row::{Row, RowProblem};

/// Rows of a JSON Lines file.
pub(in crate::source) struct JsonlRows {
    lines: LineReader<Bounded<Text>>,
    act: String,
    wrapping: Wrapping,
    objects: Objects,
}

impl JsonlRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        let text = Text::open(path)?;
        let wrapping = text.wrapping;
        let lines = LineReader::new(Bounded::new(text));
        Ok(Self { lines, act: format!("reading {path}"), wrapping, objects: Objects::default() })
    }
}

impl Rows for JsonlRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        loop {
            self.lines.source_mut().next_row();
            let line = self.lines.next_line();
            match line.map_err(|e| failed_in_row(self.act.clone(), self.objects.next_number(), e))? {
                None => return Ok(None),
                Some(line) if line.is_blank() => {}
                Some(line) => return Ok(Some(self.objects.take(line.number, line.offset, line.bytes))),
            }
        }
    }

    fn row(&self) -> Row<'_> {
        self.objects.row()
    }

    fn details(&self) -> Vec<String> {
        self.wrapping.words()
    }

    fn notes(&self) -> Vec<String> {
        self.objects.note().into_iter().collect()
    }
}
