//! Plain text: one row a line, with the columns `text` and `line`. Blank lines are passed over.

use serde_json::{Map, Value};

use super::Rows;
use super::bounded::Bounded;
use crate::error::Result;
use crate::jsonl::lines::LineReader;
use crate::paths::AllowedPath;
use crate::source::bytes::{Text, Wrapping, foreign_byte};
use crate::source::damage::failed_in_row;
use crate::source::row::{NOT_UTF8, Row, RowProblem};

/// Rows of a text file.
pub(in crate::source) struct TextRows {
    lines: LineReader<Bounded<Text>>,
    act: String,
    wrapping: Wrapping,
    columns: Vec<String>,
    row: Map<String, Value>,
    number: u64,
    line: u64,
}

impl TextRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        let text = Text::open(path)?;
        Ok(Self {
            wrapping: text.wrapping,
            lines: LineReader::new(Bounded::new(text)),
            act: format!("reading {path}"),
            columns: vec!["text".to_owned(), "line".to_owned()],
            row: Map::new(),
            number: 0,
            line: 0,
        })
    }
}

impl Rows for TextRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        let line = loop {
            self.lines.source_mut().next_row();
            let line = self.lines.next_line();
            match line.map_err(|e| failed_in_row(self.act.clone(), self.number + 1, e))? {
                None => return Ok(None),
                Some(line) if line.is_blank() => {}
                Some(line) => break line,
            }
        };
        self.number += 1;
        self.line = line.number;
        let Ok(text) = std::str::from_utf8(line.bytes) else {
            let place = foreign_byte(line.bytes, line.offset);
            let cause = NOT_UTF8.to_owned();
            let column = Some("text".to_owned());
            return Ok(Some(Err(RowProblem { row: self.number, line: Some(self.line), place, column, cause })));
        };
        self.row = Map::from_iter([("text".to_owned(), text.into()), ("line".to_owned(), self.line.into())]);
        Ok(Some(Ok(())))
    }

    fn row(&self) -> Row<'_> {
        Row::object(self.number, Some(self.line), &self.row)
    }

    fn columns(&self) -> Option<&[String]> {
        Some(&self.columns)
    }

    fn details(&self) -> Vec<String> {
        self.wrapping.words()
    }
}
