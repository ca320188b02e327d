//! One request line checked against the schema, in one pass and without building it in memory.
//!
//! `serde_json` reads, the schema says what is expected where; whatever can be read on from is
//! reported and read over, so that one call finds all mistakes of a line.

use std::borrow::Cow;

use serde::de::DeserializeSeed;

use crate::job::Kind;
use crate::job::media::{MediaTokens, Medium, Resolution};
use crate::jsonl::finding::{Finding, Severity};
use crate::jsonl::schema::Schema;

mod advice;
mod media;
mod object;
mod place;
#[cfg(test)]
mod tests;
mod value;

use place::Place;
use value::Value;

/// Findings beyond this many in one line are left out.
const MAX_FINDINGS: usize = 100;

static LINE: std::sync::LazyLock<super::schema::Shape> = std::sync::LazyLock::new(Schema::line);

/// What a line asks for, as far as it matters before it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFacts<'a> {
    /// The key, where there is a usable one.
    pub key: Option<Cow<'a, str>>,
    /// What the request asks of the model, where that can be told.
    pub kind: Option<Kind>,
    /// Estimated tokens of all prompt text. Media are not in it.
    pub input_tokens: u64,
    /// `maxOutputTokens`, where it is set.
    pub max_output_tokens: Option<u64>,
    /// Tokens of the media inside, as far as they could be measured.
    pub media: MediaTokens,
    /// Media inside that could not be measured, and cached content.
    pub unmeasured: u64,
    /// Whether it refers to files kept elsewhere.
    pub has_file_data: bool,
    /// `candidateCount`, where it is set.
    pub candidate_count: Option<u64>,
    /// Whether `responseModalities` say what is to come back.
    pub names_modalities: bool,
    /// Whether images are asked for.
    pub wants_images: bool,
    /// Whether speech is asked for.
    pub wants_audio: bool,
    /// Whether a search tool may be used, which is billed apart.
    pub grounded: bool,
}

/// Checks the line with this number and adds what is wrong with it to `findings`.
pub fn check_line<'a>(line: &'a [u8], number: u64, findings: &mut Vec<Finding>) -> LineFacts<'a> {
    let before = findings.len();
    let most = before + MAX_FINDINGS;
    let (facts, media, resolution) = (LineFacts::default(), Vec::new(), Resolution::default());
    let mut walk = Walk { line, number, most, findings, facts, media, resolution };
    match text_of(line) {
        Ok(text) => walk.read(text),
        Err((column, hint)) => walk.report(&Place::line(), column, "the line is not valid UTF-8", Some(hint.into())),
    }
    walk.media.iter().for_each(|medium| walk.facts.media += medium.tokens(walk.resolution));
    walk.facts
}

/// The line as text; else the column of the first bad byte and what may help.
fn text_of(line: &[u8]) -> Result<&str, (u64, &'static str)> {
    simdutf8::basic::from_utf8(line).map_err(|_| {
        let good = simdutf8::compat::from_utf8(line).map_or_else(|e| e.valid_up_to(), str::len);
        let hint = match line {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "the file looks like UTF-16; save it as UTF-8",
            [0x1F, 0x8B, ..] | [0x28, 0xB5, 0x2F, 0xFD, ..] => "the file looks compressed; unpack it first",
            _ => "save the file as UTF-8",
        };
        (good as u64 + 1, hint)
    })
}

/// The state of one pass over one line.
struct Walk<'w, 'a> {
    line: &'a [u8],
    number: u64,
    /// How long `findings` may become.
    most: usize,
    findings: &'w mut Vec<Finding>,
    facts: LineFacts<'a>,
    /// The media inside that could be measured.
    media: Vec<Medium>,
    /// How closely they are looked at, which may be said after them.
    resolution: Resolution,
}

impl<'a> Walk<'_, 'a> {
    fn read(&mut self, text: &'a str) {
        let mut json = serde_json::Deserializer::from_str(text);
        let place = Place::line();
        let value = Value { walk: self, shape: &LINE, fact: None, place: &place };
        match value.deserialize(&mut json).and_then(|set| json.end().map(|()| set)) {
            Ok(true) => {}
            Ok(false) => self.error(&place, "the line must be an object, not null", advice::on_shape(&LINE)),
            Err(error) => self.broken(&error),
        }
    }

    /// Reports JSON that cannot be read any further.
    fn broken(&mut self, error: &serde_json::Error) {
        let text = error.to_string();
        let cause = text.rsplit_once(" at line ").map_or(text.as_str(), |(cause, _)| cause);
        let (message, hint) = advice::on_broken_json(cause, error.is_eof());
        let last = self.line.len().max(1) as u64;
        self.report(&Place::line(), (error.column() as u64).clamp(1, last), message, Some(hint.into()));
    }

    /// Reports an error at a column of its own.
    fn report(&mut self, place: &Place<'_>, column: u64, message: impl Into<String>, hint: Option<String>) {
        self.add(place, column, Severity::Error, message.into(), hint);
    }

    /// Reports an error where `place` starts.
    fn error(&mut self, place: &Place<'_>, message: impl Into<String>, hint: Option<String>) {
        self.add(place, place.column, Severity::Error, message.into(), hint);
    }

    /// Reports what may be a mistake.
    fn warn(&mut self, place: &Place<'_>, column: u64, message: String, hint: Option<String>) {
        self.add(place, column, Severity::Warning, message, hint);
    }

    fn add(&mut self, place: &Place<'_>, column: u64, severity: Severity, message: String, hint: Option<String>) {
        if self.findings.len() < self.most {
            let path = place.path();
            self.findings.push(Finding { line: self.number, column, path, severity, message, hint });
        }
    }

    /// The column of a piece of this line; `None` if it was copied out of it, as strings with escapes are.
    fn column_of(&self, piece: &str) -> Option<u64> {
        let offset = piece.as_ptr().addr().checked_sub(self.line.as_ptr().addr())?;
        (offset < self.line.len()).then_some(offset as u64 + 1)
    }
}
