//! How each row is named, when its request is built and when its answer is joined to it.

use std::fmt::Write;

use super::row::{Row, RowProblem, Slot, listed};
use super::template::{Template, render_column};
use crate::error::{Error, ErrorKind, Result};

/// The longest key, in bytes.
const LONGEST_KEY: usize = 1024;

/// What the key of a row is made of.
#[derive(Debug, Clone)]
pub enum KeyRule {
    /// The text of a column.
    Column(Slot),
    /// What a template makes of the row.
    Template(Template),
    /// The number of the row behind a prefix: `row-1`, `row-2`.
    RowNumber {
        /// What stands before the number.
        prefix: String,
    },
}

impl KeyRule {
    /// Reads what a caller gave: a template, the name of a column, or nothing for row numbers. Where
    /// the columns are known, those it names have to be among them.
    pub fn parse(text: Option<&str>, columns: Option<&[String]>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::RowNumber { prefix: "row-".to_owned() }) };
        if Template::is_template(text) {
            let template = Template::compile(text)?;
            columns.map_or(Ok(()), |columns| template.check_columns(columns))?;
            return Ok(Self::Template(template));
        }
        let name = text.trim();
        if let Some(columns) = columns.filter(|columns| !columns.iter().any(|column| column == name)) {
            let there = listed(columns.iter().map(String::as_str));
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "choosing the keys",
                format!("there is no column {name:?}"),
            )
            .hint(format!("the columns are: {there}; or give a template such as \"{{{{ a }}}}-{{{{ b }}}}\"")));
        }
        Ok(Self::Column(Slot::new(name)))
    }

    /// The key of a row, trimmed. `buffer` is only there to be reused.
    pub fn key<'b>(&self, row: &Row<'_>, buffer: &'b mut String) -> Result<&'b str, RowProblem> {
        buffer.clear();
        match self {
            Self::Column(slot) => render_column(slot, row, buffer).map(drop)?,
            Self::Template(template) => template.render_into(row, buffer)?,
            Self::RowNumber { prefix } => {
                buffer.push_str(prefix);
                let written = write!(buffer, "{}", row.number());
                written.map_err(|e| row.problem(None, e.to_string()))?;
            }
        }
        let key = buffer.trim();
        match fault(key) {
            None => Ok(key),
            Some(fault) => Err(row.problem(self.column(), format!("its key {fault}"))),
        }
    }

    /// The column that the keys stand in, if it is one.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Column(slot) => Some(slot.name()),
            Self::Template(_) | Self::RowNumber { .. } => None,
        }
    }
}

/// What makes a text unusable as a key.
fn fault(key: &str) -> Option<String> {
    if key.is_empty() {
        Some("is empty".to_owned())
    } else if key.len() > LONGEST_KEY {
        Some(format!("is {} bytes long, {LONGEST_KEY} are allowed", key.len()))
    } else if key.chars().any(char::is_control) {
        Some("holds a line break or another control character".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
