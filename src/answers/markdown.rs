//! `md`: a Markdown table of the first answers, to look at.
//!
//! It is rendered where people read it, so nothing in it acts: no markup, no link and no picture of a
//! stranger's. Long cells are cut off.

use crate::job::text::clip;
use std::io::{self, Write};

use super::layout::{Finished, Layout, Sink};
use super::record::Record;
use super::table::{Shape, Table};

/// Rows of a preview.
const MOST_ROWS: u64 = 100;
const CELL_BYTES: usize = 300;

pub(super) struct MarkdownLayout {
    sink: Sink,
    table: Table,
    rows: u64,
    /// A cell was cut off.
    cut: bool,
}

impl MarkdownLayout {
    pub(super) fn new(mut sink: Sink, shape: &Shape) -> io::Result<Self> {
        let table = Table::new(shape);
        for name in table.names() {
            write!(sink, "| {} ", cell(name))?;
        }
        writeln!(sink, "|")?;
        writeln!(sink, "{}|", "|---".repeat(table.columns.len()))?;
        Ok(Self { sink, table, rows: 0, cut: false })
    }
}

impl Layout for MarkdownLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.rows += 1;
        if self.rows > MOST_ROWS {
            return Ok(());
        }
        let Self { sink, table, cut, .. } = self;
        table.fill(record, |_, value| {
            let text = value.text().unwrap_or_default();
            *cut |= text.trim().len() > CELL_BYTES;
            write!(sink, "| {} ", cell(&text))
        })?;
        writeln!(sink, "|")
    }

    fn finish(mut self: Box<Self>) -> io::Result<Finished> {
        let rows = (self.rows > MOST_ROWS).then(|| format!("{MOST_ROWS} of {} rows", self.rows));
        let cells = self.cut.then(|| format!("no more than {CELL_BYTES} bytes of a cell"));
        let kept: Vec<_> = rows.into_iter().chain(cells).collect();
        if kept.is_empty() {
            return Ok(self.sink.into());
        }
        let note = format!("{}: a preview", kept.join(" and "));
        writeln!(self.sink, "\n{note}.")?;
        let warning = format!("the Markdown table shows {note}; csv, parquet or jsonl hold all");
        Ok(Finished { warnings: vec![warning], ..self.sink.into() })
    }

    fn renamed(&self) -> &[(String, String)] {
        &self.table.renamed
    }
}

/// Text that stays in its cell and says only what it says.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for character in clip(text.trim(), CELL_BYTES).replace("\r\n", "\n").chars() {
        match character {
            '\\' | '|' | '[' | ']' | '<' | '`' | '*' | '_' => escaped.extend(['\\', character]),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push_str("<br>"),
            control if control.is_control() => escaped.push(' '),
            plain => escaped.push(plain),
        }
    }
    escaped
}
