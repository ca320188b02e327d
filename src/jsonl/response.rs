//! What the API answers, as far as it matters here: typed, and borrowed from the line.
//!
//! One type covers generated answers and embeddings. Unknown properties are skipped, unknown words
//! kept; only the types of known properties have to be right.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;

/// More tokens than this in one request are not believed; sums of believed counts do not overflow.
const MOST_TOKENS: i64 = 1 << 40;

/// A string that is borrowed from the line wherever it holds no escapes.
///
/// (`Option<Cow<str>>` as such is always copied by serde.)
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A `GenerateContentResponse` or an `EmbedContentResponse`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Response<'a> {
    /// The answers; usually one.
    #[serde(borrow)]
    pub candidates: Option<Vec<Candidate<'a>>>,
    /// Why the prompt was refused, if it was.
    #[serde(borrow)]
    pub prompt_feedback: Option<PromptFeedback<'a>>,
    /// Tokens used.
    #[serde(borrow)]
    pub usage_metadata: Option<UsageMetadata<'a>>,
    /// The model that answered.
    #[serde(borrow)]
    pub model_version: Option<Text<'a>>,
    /// The vector, in the answer to an embedding request.
    #[serde(borrow)]
    pub embedding: Option<Embedding<'a>>,
    /// Input tokens of an embedding request.
    pub token_count: Option<Count>,
}

/// One answer of the model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Candidate<'a> {
    /// What the model said.
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    /// Why it stopped: `STOP` when all is well.
    #[serde(borrow)]
    pub finish_reason: Option<Text<'a>>,
    /// The same in prose, sometimes.
    #[serde(borrow)]
    pub finish_message: Option<Text<'a>>,
}

/// The parts of an answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Content<'a> {
    /// In the order in which they belong together.
    #[serde(borrow)]
    pub parts: Option<Vec<Part<'a>>>,
}

/// One part of an answer: text, media, a call, code.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Part<'a> {
    /// Text: of the answer, or of a thought.
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    /// Whether this part is thinking, not answer.
    pub thought: Option<bool>,
    /// An image or sound.
    #[serde(borrow)]
    pub inline_data: Option<Blob<'a>>,
    /// A call of a declared function.
    #[serde(borrow)]
    pub function_call: Option<FunctionCall<'a>>,
    /// Code that the model wrote and ran.
    pub executable_code: Option<IgnoredAny>,
    /// What that code printed.
    pub code_execution_result: Option<IgnoredAny>,
}

/// Media inside an answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Blob<'a> {
    /// The MIME type.
    #[serde(borrow)]
    pub mime_type: Option<Text<'a>>,
    /// The bytes in base64.
    #[serde(borrow)]
    pub data: Option<Text<'a>>,
}

/// A function call that the model asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FunctionCall<'a> {
    /// Which function.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// Its arguments, a JSON object.
    #[serde(borrow)]
    pub args: Option<&'a RawValue>,
}

/// Why a prompt was refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromptFeedback<'a> {
    /// Set when the prompt was blocked.
    #[serde(borrow)]
    pub block_reason: Option<Text<'a>>,
    /// The same in prose, sometimes.
    #[serde(borrow)]
    pub block_reason_message: Option<Text<'a>>,
}

/// Tokens as the API counts them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageMetadata<'a> {
    /// Tokens of the prompt, cached ones included.
    pub prompt_token_count: Option<Count>,
    /// The part of the prompt read from a cache.
    pub cached_content_token_count: Option<Count>,
    /// Tokens of tool results fed back to the model: billed as input, not part of the prompt.
    pub tool_use_prompt_token_count: Option<Count>,
    /// Tokens of the answer, thinking excluded.
    pub candidates_token_count: Option<Count>,
    /// Tokens of the thinking.
    pub thoughts_token_count: Option<Count>,
    /// The prompt by modality.
    #[serde(borrow)]
    pub prompt_tokens_details: Option<Vec<ModalityCount<'a>>>,
    /// The cached part by modality.
    #[serde(borrow)]
    pub cache_tokens_details: Option<Vec<ModalityCount<'a>>>,
    /// The answer by modality.
    #[serde(borrow)]
    pub candidates_tokens_details: Option<Vec<ModalityCount<'a>>>,
}

/// Tokens of one modality.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModalityCount<'a> {
    /// `TEXT`, `IMAGE`, `AUDIO`…
    #[serde(borrow)]
    pub modality: Option<Text<'a>>,
    /// How many tokens.
    pub token_count: Option<Count>,
}

/// A vector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Embedding<'a> {
    /// The JSON array of its numbers, as it came.
    #[serde(borrow)]
    pub values: Option<&'a RawValue>,
}

/// A count, which the wire spells as a number or as a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count(pub i64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count, as a number or a string")
    }

    fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Count, E> {
        Ok(Count(count.clamp(0, MOST_TOKENS)))
    }

    fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Count, E> {
        Ok(Count(i64::try_from(count).unwrap_or(MOST_TOKENS).min(MOST_TOKENS)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "such a cast saturates")]
    fn visit_f64<E: serde::de::Error>(self, count: f64) -> Result<Count, E> {
        self.visit_i64(count as i64)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
        match text.parse() {
            Ok(count) => self.visit_i64(count),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_numbers_and_as_strings() {
        for (json, count) in [("7", 7), ("\"7\"", 7), ("7.0", 7), ("-1", 0), ("9223372036854775807", MOST_TOKENS)] {
            assert_eq!(serde_json::from_str::<Count>(json).unwrap(), Count(count), "{json}");
        }
        assert!(serde_json::from_str::<Count>("\"many\"").is_err());
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let json = r#"{"text":"plain"}"#;
        let part: Part<'_> = serde_json::from_str(json).unwrap();
        assert!(matches!(part.text, Some(Text(Cow::Borrowed("plain")))));
    }
}
