//! A request in which every string may be a template, flattened so that a row only fills the gaps.

use serde_json::Value;
use std::sync::Arc;

use super::escape::{escape_into, is_blank};
use super::logic::Logic;
use super::row::{Row, RowProblem, Slot};
use super::template::{Body, Escaped, Filtered, Piece, Template, render_column, render_filtered, render_logic};
use crate::error::{Error, ErrorKind, Result};

/// A compiled request: what is fixed, as the bytes to be written, and what a row fills in.
#[derive(Debug, Clone, Default)]
pub struct Skeleton {
    segments: Vec<Segment>,
    templates: Vec<Template>,
    /// Bytes of text for the model that are the same in every request.
    fixed_text: usize,
    /// Whether any text asks something, and whether some of that is the same in every request.
    asks: bool,
    asks_always: bool,
    /// Where the parts stand before which media go.
    media_at: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
enum Segment {
    Literal(Vec<u8>),
    /// The place for media; other parts follow or do not.
    Media {
        followed: bool,
    },
    Column {
        slot: Slot,
        to: To,
    },
    Filtered {
        filtered: Arc<Filtered>,
        to: To,
    },
    Logic {
        logic: Arc<Logic>,
        to: To,
    },
}

/// What a text is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// Not to be read by the model.
    Set,
    /// An instruction to it.
    Tell,
    /// What it is asked.
    Ask,
}

impl Skeleton {
    /// Compiles a request, which has to be an object.
    pub fn compile(request: &Value) -> Result<Self> {
        if !request.is_object() {
            return Err(Error::new(ErrorKind::InvalidArgument, "compiling the request", "it is not an object")
                .hint("give a request such as {\"contents\": [{\"parts\": [{\"text\": \"{{ prompt }}\"}]}]}"));
        }
        let mut skeleton = Self { media_at: place_for_media(request), ..Self::default() };
        skeleton.value(request, &mut Vec::new())?;
        Ok(skeleton)
    }

    /// Whether there is a place for media: the last turn of the user, or the content to be embedded.
    pub fn takes_media(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Media { .. }))
    }

    /// Whether any string of it depends on the row.
    pub fn has_templates(&self) -> bool {
        !self.templates.is_empty()
    }

    /// The columns that its templates name, each once.
    pub fn columns(&self) -> Vec<&str> {
        distinct(self.templates.iter().flat_map(Template::columns))
    }

    /// The columns that its templates print whatever is in them, each once.
    pub fn printed(&self) -> Vec<&str> {
        distinct(self.templates.iter().filter(|template| !template.decides()).flat_map(Template::printed))
    }

    /// Checks, before anything is written, that every column it names is there.
    pub fn check_columns(&self, columns: &[String]) -> Result<()> {
        self.templates.iter().try_for_each(|template| template.check_columns(columns))
    }

    /// Appends the request line of a row, without a line break: `{"key":"…","request":{…}}`.
    ///
    /// Returns how many bytes of text for the model it holds. After a problem `out` is as it was.
    pub fn render_line(&self, key: &str, row: &Row<'_>, out: &mut Vec<u8>) -> Result<usize, RowProblem> {
        self.render_line_with(key, row, b"", out)
    }

    /// The same with media before the prompt: parts as JSON, separated by commas.
    pub fn render_line_with(
        &self,
        key: &str,
        row: &Row<'_>,
        media: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, RowProblem> {
        let start = out.len();
        out.extend_from_slice(b"{\"key\":\"");
        escape_into(key, out);
        out.extend_from_slice(b"\",\"request\":");
        let rendered = self.fill(row, media, out);
        match rendered {
            Ok(_) => out.push(b'}'),
            Err(_) => out.truncate(start),
        }
        rendered
    }

    fn fill(&self, row: &Row<'_>, media: &[u8], out: &mut Vec<u8>) -> Result<usize, RowProblem> {
        let mut text = self.fixed_text;
        let mut asks = self.asks_always || !self.asks || !media.is_empty();
        for segment in &self.segments {
            let start = out.len();
            let (length, to) = match segment {
                Segment::Literal(bytes) => {
                    out.extend_from_slice(bytes);
                    continue;
                }
                Segment::Media { followed } => {
                    out.extend_from_slice(media);
                    if *followed && !media.is_empty() {
                        out.push(b',');
                    }
                    continue;
                }
                Segment::Column { slot, to } => (render_column(slot, row, &mut Escaped(out))?, *to),
                Segment::Filtered { filtered, to } => (render_filtered(filtered, row, &mut Escaped(out))?, *to),
                Segment::Logic { logic, to } => (render_logic(logic, row, &mut Escaped(out))?, *to),
            };
            text += if to == To::Set { 0 } else { length };
            asks = asks || (to == To::Ask && !is_blank(out.get(start..).unwrap_or_default()));
        }
        if asks { Ok(text) } else { Err(self.nothing_asked(row)) }
    }

    /// A request without content is paid for all the same.
    fn nothing_asked(&self, row: &Row<'_>) -> RowProblem {
        let columns = self.columns();
        let column = if let [only] = columns.as_slice() { Some(*only) } else { None };
        row.problem(column, "its prompt is empty: that would be paid for, and ask nothing")
    }

    fn value(&mut self, value: &Value, path: &mut Vec<String>) -> Result<()> {
        match value {
            Value::Object(object) => {
                self.literal(b"{");
                for (position, (name, value)) in object.iter().enumerate() {
                    self.literal(if position == 0 { b"\"" } else { b",\"" });
                    self.escaped(name);
                    self.literal(b"\":");
                    self.at(name.clone(), value, path)?;
                }
                self.literal(b"}");
            }
            Value::Array(array) => {
                self.literal(b"[");
                if self.media_at.as_ref() == Some(path) {
                    self.segments.push(Segment::Media { followed: !array.is_empty() });
                }
                for (position, value) in array.iter().enumerate() {
                    self.literal(if position == 0 { b"" } else { b"," });
                    self.at(position.to_string(), value, path)?;
                }
                self.literal(b"]");
            }
            Value::String(text) => return self.string(text, path),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.literal(value.to_string().as_bytes()),
        }
        Ok(())
    }

    fn at(&mut self, step: String, value: &Value, path: &mut Vec<String>) -> Result<()> {
        path.push(step);
        let done = self.value(value, path);
        path.pop();
        done
    }

    fn string(&mut self, text: &str, path: &[String]) -> Result<()> {
        let to = used_to(path);
        // Media, a call: not a text, but something.
        let is_more = to == To::Set && is_asked(path) && path.last().is_none_or(|name| name != "role");
        self.asks_always |= is_more;
        self.asks |= to == To::Ask;
        self.literal(b"\"");
        if Template::is_template(text) {
            let template = Template::compile(text).map_err(|e| located(e, path))?;
            self.templates.push(template.clone());
            self.template(template, to);
        } else {
            self.fixed(text, to);
        }
        self.literal(b"\"");
        Ok(())
    }

    fn template(&mut self, template: Template, to: To) {
        match template.into_body() {
            Body::Filtered(filtered) => self.segments.push(Segment::Filtered { filtered, to }),
            Body::Logic(logic) => self.segments.push(Segment::Logic { logic, to }),
            Body::Plain(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Literal(text) => self.fixed(&text, to),
                        Piece::Column(slot) => self.segments.push(Segment::Column { slot, to }),
                    }
                }
            }
        }
    }

    fn fixed(&mut self, text: &str, to: To) {
        self.fixed_text += if to == To::Set { 0 } else { text.len() };
        self.asks_always |= to == To::Ask && !text.trim().is_empty();
        self.escaped(text);
    }

    fn escaped(&mut self, text: &str) {
        let mut bytes = Vec::new();
        escape_into(text, &mut bytes);
        self.literal(&bytes);
    }

    fn literal(&mut self, bytes: &[u8]) {
        match self.segments.last_mut() {
            Some(Segment::Literal(last)) => last.extend_from_slice(bytes),
            _ => self.segments.push(Segment::Literal(bytes.to_vec())),
        }
    }
}

fn used_to(path: &[String]) -> To {
    match path.last().is_some_and(|name| name == "text") {
        true if is_asked(path) => To::Ask,
        true => To::Tell,
        false => To::Set,
    }
}

fn is_asked(path: &[String]) -> bool {
    path.first().is_some_and(|name| name == "contents" || name == "content")
}

fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut distinct: Vec<&str> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// The path to the parts of the user's last turn, or of the content to be embedded.
fn place_for_media(request: &Value) -> Option<Vec<String>> {
    let path = |steps: &[&str]| Some(steps.iter().map(|step| (*step).to_owned()).collect());
    if request.get("content").is_some() {
        return path(&["content", "parts"]);
    }
    let is_users = |turn: &Value| turn.get("role").is_none_or(|role| role == "user");
    let last = request.get("contents")?.as_array()?.iter().rposition(is_users)?;
    path(&["contents", &last.to_string(), "parts"])
}

/// The same error, saying where in the request the template stands.
fn located(error: Error, path: &[String]) -> Error {
    let act = format!("{} at request.{}", error.act(), path.join("."));
    error.with_act(act)
}

#[cfg(test)]
mod tests;
