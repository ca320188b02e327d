//! Templates: text with `{{ column }}` in it, and more where that is not enough.
//!
//! A template that only names columns, or has the simplest filters on them, is cut into pieces once.
//! Anything else (conditions, loops, other filters) is given to the template engine, which takes
//! several times as long.

use std::io;
use std::sync::Arc;

use super::chain::Chain;
use super::escape::escape_into;
use super::logic::Logic;
use super::row::{Cell, Row, RowProblem, Slot, listed};
use crate::error::{Error, ErrorKind, Result};

/// The longest text that one template may make of one row.
pub(super) const LONGEST_TEXT: usize = 50 * 1024 * 1024;

/// How a column is reached whatever it is called.
const QUOTED: &str = "; one in quotes is {{ row[\"its name\"] }}";

/// A compiled template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Plain(Vec<Piece>),
    Filtered(Arc<Filtered>),
    Logic(Arc<Logic>),
}

/// A part of a plain template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Literal(String),
    Column(Slot),
}

/// A template with simple filters, and the same for the engine, which takes over where a filtered cell
/// is anything but text.
#[derive(Debug)]
pub(super) struct Filtered {
    parts: Vec<Part>,
    logic: Arc<Logic>,
}

#[derive(Debug)]
enum Part {
    Plain(Piece),
    Filtered(Chain),
}

impl Template {
    /// Whether the text has anything in it for a template to do.
    pub fn is_template(text: &str) -> bool {
        ["{{", "{%", "{#"].iter().any(|opening| text.contains(opening))
    }

    /// A template that prints a column, whatever it is called.
    pub fn of_column(name: &str) -> String {
        match is_column_name(name) {
            true => format!("{{{{ {name} }}}}"),
            false => format!("{{{{ row[{}] }}}}", serde_json::Value::from(name)),
        }
    }

    /// Compiles a template. An error names the line and the column of the fault.
    pub fn compile(text: &str) -> Result<Self> {
        let body = match cut(text) {
            Some(parts) if parts.iter().all(|part| matches!(part, Part::Plain(_))) => {
                Body::Plain(parts.into_iter().filter_map(Part::plain).collect())
            }
            Some(parts) => filtered(parts, Arc::new(Logic::compile(text)?)),
            None => Body::Logic(Arc::new(Logic::compile(text)?)),
        };
        Ok(Self { text: text.to_owned(), body })
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns it names. Not those reached through `row["…"]`.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let (pieces, slots) = match &self.body {
            Body::Plain(pieces) => (pieces.as_slice(), [].as_slice()),
            Body::Filtered(filtered) => ([].as_slice(), filtered.logic.columns()),
            Body::Logic(logic) => ([].as_slice(), logic.columns()),
        };
        pieces.iter().filter_map(Piece::slot).chain(slots).map(Slot::name)
    }

    /// The columns that it prints, also those reached through the row.
    pub fn printed(&self) -> impl Iterator<Item = &str> {
        let of_row = match &self.body {
            Body::Plain(_) => [].as_slice(),
            Body::Filtered(filtered) => filtered.logic.of_row(),
            Body::Logic(logic) => logic.of_row(),
        };
        self.columns().chain(of_row.iter().map(Slot::name))
    }

    /// Whether what it prints depends on whether there is anything in a column.
    pub fn decides(&self) -> bool {
        matches!(&self.body, Body::Logic(logic) if logic.decides())
    }

    /// Checks, before anything is written, that every column it names is there.
    pub fn check_columns(&self, columns: &[String]) -> Result<()> {
        let missing = match &self.body {
            Body::Logic(logic) => logic.missing(columns),
            _ => self.columns().filter(|name| !columns.iter().any(|it| it == name)).map(str::to_owned).collect(),
        };
        if missing.is_empty() {
            return Ok(());
        }
        let there = listed(columns.iter().map(String::as_str));
        Err(Error::new(
            ErrorKind::InvalidArgument,
            "checking the template",
            format!("there is no column {}", listed(missing.iter().map(String::as_str))),
        )
        .hint(format!("the columns are: {there}{}", if there.contains('"') { QUOTED } else { "" })))
    }

    /// Appends what the template makes of a row.
    pub fn render_into(&self, row: &Row<'_>, out: &mut String) -> Result<(), RowProblem> {
        self.render(row, out).map(drop)
    }

    /// Appends what the template makes of a row as the inside of a JSON string. Returns the length of
    /// the text before it was escaped.
    pub fn render_escaped(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<usize, RowProblem> {
        self.render(row, &mut Escaped(out))
    }

    pub(super) fn into_body(self) -> Body {
        self.body
    }

    fn render(&self, row: &Row<'_>, sink: &mut impl Sink) -> Result<usize, RowProblem> {
        match &self.body {
            Body::Plain(pieces) => render_pieces(pieces, row, sink),
            Body::Filtered(filtered) => render_filtered(filtered, row, sink),
            Body::Logic(logic) => render_logic(logic, row, sink),
        }
    }
}

impl Piece {
    fn slot(&self) -> Option<&Slot> {
        match self {
            Self::Literal(_) => None,
            Self::Column(slot) => Some(slot),
        }
    }
}

impl Part {
    fn plain(self) -> Option<Piece> {
        match self {
            Self::Plain(piece) => Some(piece),
            Self::Filtered(_) => None,
        }
    }

    fn slot(&self) -> Option<&Slot> {
        match self {
            Self::Plain(piece) => piece.slot(),
            Self::Filtered(chain) => Some(&chain.slot),
        }
    }
}

/// A template of parts, if all they print are columns to the engine too, and not words of its own.
fn filtered(parts: Vec<Part>, logic: Arc<Logic>) -> Body {
    if parts.iter().filter_map(Part::slot).all(|slot| logic.columns().contains(slot)) {
        Body::Filtered(Arc::new(Filtered { parts, logic }))
    } else {
        Body::Logic(logic)
    }
}

fn render_pieces(pieces: &[Piece], row: &Row<'_>, sink: &mut impl Sink) -> Result<usize, RowProblem> {
    pieces.iter().try_fold(0, |length, piece| bounded(length + render_piece(piece, row, sink)?, row))
}

/// Writes what a template with filters makes of a row. Returns the length of the text.
pub(super) fn render_filtered(filtered: &Filtered, row: &Row<'_>, sink: &mut impl Sink) -> Result<usize, RowProblem> {
    let fits = |part: &Part| match part {
        Part::Plain(_) => true,
        Part::Filtered(chain) => row.cell(&chain.slot).is_some_and(|cell| cell.as_str().is_some()),
    };
    if !filtered.parts.iter().all(fits) {
        return render_logic(&filtered.logic, row, sink);
    }
    filtered.parts.iter().try_fold(0, |length, part| {
        let more = match part {
            Part::Plain(piece) => render_piece(piece, row, sink)?,
            Part::Filtered(chain) => render_chain(chain, row, sink)?,
        };
        bounded(length + more, row)
    })
}

fn render_piece(piece: &Piece, row: &Row<'_>, sink: &mut impl Sink) -> Result<usize, RowProblem> {
    match piece {
        Piece::Literal(text) => {
            sink.push(text);
            Ok(text.len())
        }
        Piece::Column(slot) => render_column(slot, row, sink),
    }
}

fn bounded(length: usize, row: &Row<'_>) -> Result<usize, RowProblem> {
    if length > LONGEST_TEXT { Err(too_long(row)) } else { Ok(length) }
}

/// Writes one cell. Returns the length of its text.
pub(super) fn render_column(slot: &Slot, row: &Row<'_>, sink: &mut impl Sink) -> Result<usize, RowProblem> {
    let cell = row.cell(slot).ok_or_else(|| row.lacks(slot.name()))?;
    if let Cell::Text(text) = cell {
        sink.push(text);
        return Ok(text.len());
    }
    let text = cell.text().ok_or_else(|| row.is_null(slot.name()))?;
    sink.push(&text);
    Ok(text.len())
}

fn render_chain(chain: &Chain, row: &Row<'_>, sink: &mut impl Sink) -> Result<usize, RowProblem> {
    let text = row.cell(&chain.slot).and_then(Cell::as_str).ok_or_else(|| row.lacks(chain.slot.name()))?;
    let made = chain.apply(text, LONGEST_TEXT).ok_or_else(|| too_long(row))?;
    sink.push(&made);
    Ok(made.len())
}

/// Writes what the template engine makes of a row. Returns the length of the text.
pub(super) fn render_logic(logic: &Logic, row: &Row<'_>, sink: &mut impl Sink) -> Result<usize, RowProblem> {
    let mut writer = Limited { sink, length: 0 };
    let rendered = logic.render(row, &mut writer);
    if writer.length > LONGEST_TEXT {
        return Err(too_long(row));
    }
    let length = writer.length;
    rendered.map(|()| length)
}

fn too_long(row: &Row<'_>) -> RowProblem {
    row.problem(None, format!("the template makes more than {} MB of it", LONGEST_TEXT / 1024 / 1024))
}

/// Where rendered text goes.
pub(super) trait Sink {
    fn push(&mut self, text: &str);
}

impl Sink for String {
    fn push(&mut self, text: &str) {
        self.push_str(text);
    }
}

/// A buffer that takes text as the inside of a JSON string.
pub(super) struct Escaped<'a>(pub(super) &'a mut Vec<u8>);

impl Sink for Escaped<'_> {
    fn push(&mut self, text: &str) {
        escape_into(text, self.0);
    }
}

/// A sink for the template engine, which ends the rendering when the text grows too long.
struct Limited<'a, S> {
    sink: &'a mut S,
    length: usize,
}

impl<S: Sink> io::Write for Limited<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len();
        if self.length > LONGEST_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let text = std::str::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.sink.push(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cuts a template of columns and simple filters; `None` when there is more to it.
fn cut(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = opening(rest) {
        let (literal, tag) = rest.split_at(at);
        let (inside, after) = tag.strip_prefix("{{")?.split_once("}}")?;
        let name = inside.trim();
        let printed = match is_column_name(name) {
            true => Part::Plain(Piece::Column(Slot::new(name))),
            false => Part::Filtered(Chain::parse(name)?),
        };
        if !literal.is_empty() {
            parts.push(Part::Plain(Piece::Literal(literal.to_owned())));
        }
        parts.push(printed);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Plain(Piece::Literal(rest.to_owned())));
    }
    Some(parts)
}

/// Where the first tag of any sort starts.
pub(super) fn opening(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'{', bytes).find(|at| matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')))
}

/// Whether the text is one name, or several words that can be nothing but a column's name:
/// "Product Name" means nothing to the template engine, "a if b" does.
pub(super) fn is_column_name(text: &str) -> bool {
    const VALUES: [&str; 8] = ["true", "false", "none", "True", "False", "None", "loop", "row"];
    const OPERATORS: [&str; 7] = ["if", "else", "and", "or", "not", "in", "is"];
    let is_word = |word: &str| word.chars().all(|c| c.is_alphanumeric() || c == '_') && !OPERATORS.contains(&word);
    let starts_well = text.starts_with(|c: char| !c.is_ascii_digit());
    starts_well && !VALUES.contains(&text) && text.split(' ').all(is_word)
}

#[cfg(test)]
mod tests;
