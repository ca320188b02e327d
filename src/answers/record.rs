//! One row on its way out.

use super::Answer;
use super::answer::NONE;
use crate::source::Cell;

/// One request with its answer, or a row that never became a request.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The key of the request; empty for a row that never became one.
    pub key: &'a str,
    /// Whether there was a request. A row without one has no outcome.
    pub asked: bool,
    /// What became of it.
    pub answer: &'a Answer<'a>,
    /// The result line as it came, if one came.
    pub raw: Option<&'a [u8]>,
    /// The row that the request was made of: what stands in each column, if the row has it. Empty without a join.
    pub source: &'a [Option<Cell<'a>>],
    /// The files that hold the answer's pictures and sounds, one for each that could be read. The writer fills it in.
    pub media: &'a [Option<String>],
}

impl<'a> Record<'a> {
    /// A row that never became a request.
    pub fn not_asked(source: &'a [Option<Cell<'a>>]) -> Self {
        Self { key: "", asked: false, answer: &NONE, raw: None, source, media: &[] }
    }
}
