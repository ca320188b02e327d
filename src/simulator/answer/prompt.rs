//! What a request says, and how many tokens that is.

use serde_json::Value;

use crate::simulator::fields::{field, list, text};

/// Characters a token has, roughly.
const CHARACTERS: usize = 4;
/// Tokens of an image or another attachment.
const ATTACHMENT: u64 = 258;

/// The text of the prompt, without the system instruction.
pub(in crate::simulator) fn prompt_text(request: &Value) -> String {
    let texts: Vec<String> = parts(request).filter_map(|part| text(part, "text")).collect();
    texts.join("\n")
}

/// The tokens of the prompt, system instruction and attachments included.
pub(in crate::simulator) fn tokens_of_request(request: &Value) -> u64 {
    let system = field(request, "systemInstruction").into_iter().flat_map(|content| list(content, "parts"));
    parts(request).chain(system).map(tokens_of_part).sum::<u64>().max(1)
}

fn tokens_of_part(part: &Value) -> u64 {
    match text(part, "text") {
        Some(text) => tokens(&text),
        None => ATTACHMENT,
    }
}

/// The tokens of a text.
pub(super) fn tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(CHARACTERS) as u64
}

/// The beginning of a text that has so many tokens.
pub(super) fn first_tokens(text: &str, tokens: u64) -> String {
    let characters = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(CHARACTERS);
    text.chars().take(characters).collect()
}

fn parts(request: &Value) -> impl Iterator<Item = &Value> {
    let contents = list(request, "contents").iter().chain(field(request, "content"));
    contents.flat_map(|content| list(content, "parts"))
}
