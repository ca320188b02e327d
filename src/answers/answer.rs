//! One answer, sorted out: what it is worth, and why it is worth no more.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::job::{Outcome, Usage};
use crate::jsonl::result::WireError;

use super::reasons;

/// What became of one request, borrowed from its result line.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The verdict.
    pub outcome: Outcome,
    /// The text of the first candidate, thoughts left out. Partial unless the outcome is `answered`.
    pub text: Option<Cow<'a, str>>,
    /// Why it is not `answered`, in a word or two that many rows may share: `SAFETY`, `INTERNAL`.
    pub reason: Option<Cow<'a, str>>,
    /// The same for this row alone, in prose.
    pub message: Option<Cow<'a, str>>,
    /// The code of an error, as the API gave it.
    pub code: Option<i64>,
    /// Tokens used, where the API says.
    pub usage: Option<Usage>,
    /// Why the model stopped, as the API spells it.
    pub finish_reason: Option<Cow<'a, str>>,
    /// The model that answered.
    pub model_version: Option<Cow<'a, str>>,
    /// Images and sound.
    pub media: Vec<Media<'a>>,
    /// Function calls that the model asks for.
    pub calls: Vec<Call<'a>>,
    /// The vector, as a JSON array.
    pub embedding: Option<&'a RawValue>,
    /// The text stood in a Markdown code fence, which was taken off.
    pub unfenced: bool,
    /// Which retry it comes from, from 1; 0 for the job itself.
    pub generation: u32,
}

/// Stands where there is no answer, as nothing was asked.
pub(super) static NONE: Answer<'static> = Answer::bare(Outcome::Missing);

/// An image or a sound in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Media<'a> {
    /// The MIME type.
    #[serde(rename = "mime_type")]
    pub mime: Cow<'a, str>,
    /// Its size once decoded.
    pub bytes: u64,
    /// The content in base64.
    #[serde(skip)]
    pub base64: Cow<'a, str>,
}

/// A function call in an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Call<'a> {
    /// Which function.
    pub name: Cow<'a, str>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a RawValue>,
}

impl<'a> Answer<'a> {
    /// An answer of which only the outcome is known.
    pub(super) const fn bare(outcome: Outcome) -> Self {
        Self {
            outcome,
            text: None,
            reason: None,
            message: None,
            code: None,
            usage: None,
            finish_reason: None,
            model_version: None,
            media: Vec::new(),
            calls: Vec::new(),
            embedding: None,
            unfenced: false,
            generation: 0,
        }
    }

    /// The job ended and nothing came back.
    pub fn missing() -> Self {
        Self { reason: Some(Cow::Borrowed(reasons::NO_LINE)), ..Self::bare(Outcome::Missing) }
    }

    /// The job has not ended.
    pub fn pending() -> Self {
        Self::bare(Outcome::Pending)
    }

    /// Something came back that cannot be read, for this `cause`.
    pub fn unreadable(cause: String) -> Self {
        Self {
            reason: Some(Cow::Borrowed(reasons::UNREADABLE)),
            message: Some(Cow::Owned(cause)),
            ..Self::bare(Outcome::Failed)
        }
    }

    /// The API answered with an error.
    pub fn refused(error: WireError<'a>) -> Self {
        let word = error.status.or_else(|| error.code.map(reasons::status_word));
        Self {
            reason: Some(word.unwrap_or(Cow::Borrowed(reasons::NO_CODE))),
            message: Some(error.message).filter(|message| !message.is_empty()),
            code: error.code,
            ..Self::bare(Outcome::Failed)
        }
    }

    /// Why it is not `answered`, in one line: "INTERNAL: try again later". Empty if it is.
    pub fn complaint(&self) -> Cow<'_, str> {
        match (&self.reason, &self.message) {
            (Some(reason), Some(message)) => Cow::Owned(format!("{reason}: {message}")),
            (Some(one), None) | (None, Some(one)) => Cow::Borrowed(one),
            (None, None) => Cow::Borrowed(""),
        }
    }

    /// The answer to be looked at: as in a [cell](Self::cell), but of a vector no more than how it begins.
    pub fn glimpse(&self) -> Cow<'_, str> {
        let Some(vector) = self.embedding.filter(|_| self.text.is_none()) else { return self.cell() };
        let numbers: Vec<&str> = vector.get().trim_matches(['[', ']']).split(',').map(str::trim).collect();
        match numbers.as_slice() {
            [first, second, third, _, ..] => {
                Cow::Owned(format!("[{first}, {second}, {third}, …] ({} numbers)", numbers.len()))
            }
            _ => self.cell(),
        }
    }

    /// The answer in one cell of a table: its text, or as JSON what came in place of text.
    pub fn cell(&self) -> Cow<'_, str> {
        if let Some(text) = &self.text {
            return Cow::Borrowed(text);
        }
        match (self.embedding, self.calls.as_slice(), self.media.as_slice()) {
            (Some(vector), ..) => Cow::Borrowed(vector.get()),
            (None, [], []) => Cow::Borrowed(""),
            (None, [], media) => json(media),
            (None, calls, _) => json(calls),
        }
    }
}

fn json<'a>(value: &(impl Serialize + ?Sized)) -> Cow<'a, str> {
    Cow::Owned(serde_json::to_string(value).unwrap_or_default())
}
