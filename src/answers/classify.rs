//! From a result line to an [`Answer`]: which of the outcomes it is.
//!
//! A line with a `response` can still be useless: blocked, cut off, empty, or thoughts only.

use std::borrow::Cow;

use crate::job::{Outcome, Usage};
use crate::jsonl::response::{Blob, Candidate, Count, ModalityCount, Part, Response, Text, UsageMetadata};
use crate::jsonl::result::{ResultBody, ResultLine};

use super::answer::{Answer, Call, Media};
use super::reasons::{self, Verdict};

impl<'a> Answer<'a> {
    /// Reads a result line, which may be anything. With `expect_json`, text has to be JSON.
    pub fn read(line: &'a [u8], expect_json: bool) -> Self {
        match ResultLine::parse(line) {
            Ok(line) => Self::of(line.body, expect_json),
            Err(cause) => Self::unreadable(cause.to_string()),
        }
    }

    /// Sorts out what came back. With `expect_json`, text has to be JSON.
    pub fn of(body: ResultBody<'a>, expect_json: bool) -> Self {
        let answer = match body {
            ResultBody::Response(response) => of_response(*response),
            ResultBody::Error(error) => Self::refused(error),
            ResultBody::Nothing => {
                Self { reason: Some(Cow::Borrowed(reasons::NO_RESPONSE)), ..Self::bare(Outcome::Failed) }
            }
        };
        if expect_json { super::validate::must_be_json(answer) } else { answer }
    }
}

fn of_response(response: Response<'_>) -> Answer<'_> {
    let mut answer = Answer::bare(Outcome::Answered);
    answer.usage = usage(response.usage_metadata.as_ref(), response.token_count);
    answer.model_version = response.model_version.map(|text| text.0);
    answer.embedding = response.embedding.and_then(|embedding| embedding.values);

    let candidate = response.candidates.and_then(|all| all.into_iter().next());
    let absence = take_content(&mut answer, candidate);
    let feedback = response.prompt_feedback.unwrap_or_default();
    if let Some(reason) = feedback.block_reason.and_then(meaningful) {
        answer.outcome = Outcome::Blocked;
        answer.reason = Some(Cow::Owned(format!("prompt: {reason}")));
        answer.message = feedback.block_reason_message.map(|text| text.0);
        return answer;
    }
    judge(&mut answer, absence);
    answer
}

/// Moves what the model said into the answer; returns why that is nothing, if it is.
fn take_content<'a>(answer: &mut Answer<'a>, candidate: Option<Candidate<'a>>) -> Option<&'static str> {
    let Some(candidate) = candidate else {
        return Some(reasons::NO_CANDIDATES).filter(|_| no_vector(answer));
    };
    answer.finish_reason = candidate.finish_reason.and_then(meaningful);
    answer.message = candidate.finish_message.map(|text| text.0).filter(|text| !text.is_empty());
    let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
    let mut seen = Seen::default();
    for part in parts {
        take_part(answer, part, &mut seen);
    }
    let has_text = answer.text.as_deref().is_some_and(|text| !text.trim().is_empty());
    let has_content = has_text || !answer.media.is_empty() || !answer.calls.is_empty() || !no_vector(answer);
    if has_content { None } else { Some(seen.instead_of_content(answer.text.is_some())) }
}

/// What stood in an answer besides content.
#[derive(Default)]
struct Seen {
    thoughts: bool,
    code: bool,
}

impl Seen {
    fn instead_of_content(&self, has_text: bool) -> &'static str {
        match self {
            _ if has_text => reasons::ONLY_SPACE,
            Self { code: true, .. } => reasons::ONLY_CODE,
            Self { thoughts: true, .. } => reasons::ONLY_THOUGHTS,
            _ => reasons::NO_CONTENT,
        }
    }
}

fn take_part<'a>(answer: &mut Answer<'a>, part: Part<'a>, seen: &mut Seen) {
    if part.thought == Some(true) {
        seen.thoughts = true;
        return;
    }
    if let Some(Text(text)) = part.text {
        match &mut answer.text {
            Some(before) => before.to_mut().push_str(&text),
            None => answer.text = Some(text),
        }
    }
    answer.media.extend(part.inline_data.map(media));
    answer.calls.extend(part.function_call.map(|call| Call { name: call.name.unwrap_or_default().0, args: call.args }));
    seen.code |= part.executable_code.is_some() || part.code_execution_result.is_some();
}

/// Decides on the outcome by why the model stopped and whether anything came.
fn judge(answer: &mut Answer<'_>, absence: Option<&'static str>) {
    let verdict = answer.finish_reason.as_deref().map_or(Verdict::Fine, reasons::verdict);
    let (outcome, reason) = match (verdict, absence) {
        (Verdict::Blocked, _) => (Outcome::Blocked, answer.finish_reason.clone()),
        (Verdict::Truncated, _) => (Outcome::Truncated, answer.finish_reason.clone()),
        (Verdict::Failed, _) => (Outcome::Failed, answer.finish_reason.clone()),
        (Verdict::Unknown, Some(_)) => (Outcome::Empty, answer.finish_reason.clone()),
        (Verdict::Fine, Some(absence)) => (Outcome::Empty, Some(Cow::Borrowed(absence))),
        (Verdict::Fine | Verdict::Unknown, None) => (Outcome::Answered, None),
    };
    answer.outcome = outcome;
    answer.reason = reason;
    answer.message = answer.message.take().filter(|_| outcome != Outcome::Answered);
}

fn no_vector(answer: &Answer<'_>) -> bool {
    answer.embedding.is_none_or(|values| !values.get().starts_with('[') || values.get().len() <= "[]".len())
}

fn media(blob: Blob<'_>) -> Media<'_> {
    let base64 = blob.data.unwrap_or_default().0;
    let digits = base64.trim_end_matches('=').len() as u64;
    Media { mime: blob.mime_type.unwrap_or_default().0, bytes: digits * 3 / 4, base64 }
}

/// A reason, unless it only says that there is none.
fn meaningful(text: Text<'_>) -> Option<Cow<'_, str>> {
    Some(text.0).filter(|reason| !reason.is_empty() && !reason.ends_with("_UNSPECIFIED"))
}

/// Tokens as they are billed: tool results are input, thoughts are output.
fn usage(metadata: Option<&UsageMetadata<'_>>, embedded: Option<Count>) -> Option<Usage> {
    let Some(m) = metadata else {
        return embedded.map(|count| Usage { input_tokens: count.0, ..Usage::default() });
    };
    let count = |count: Option<Count>| count.unwrap_or_default().0;
    // What was read from a cache has the price of cached tokens, whatever it is.
    let fresh = |name: &str| {
        let cached = modality(m.cache_tokens_details.as_deref(), name);
        (modality(m.prompt_tokens_details.as_deref(), name) - cached).max(0)
    };
    let made = |name: &str| modality(m.candidates_tokens_details.as_deref(), name);
    Some(Usage {
        input_tokens: count(m.prompt_token_count.or(embedded)) + count(m.tool_use_prompt_token_count),
        cached_tokens: count(m.cached_content_token_count),
        audio_input_tokens: fresh("AUDIO"),
        image_input_tokens: fresh("IMAGE") + fresh("DOCUMENT"),
        video_input_tokens: fresh("VIDEO"),
        output_tokens: count(m.candidates_token_count) + count(m.thoughts_token_count),
        thinking_tokens: count(m.thoughts_token_count),
        image_tokens: made("IMAGE"),
        audio_tokens: made("AUDIO"),
    })
}

fn modality(details: Option<&[ModalityCount<'_>]>, name: &str) -> i64 {
    let of_that_kind = |detail: &&ModalityCount<'_>| detail.modality.as_ref().is_some_and(|text| text.0 == name);
    details.unwrap_or_default().iter().filter(of_that_kind).filter_map(|d| d.token_count).map(|count| count.0).sum()
}

#[cfg(test)]
mod tests;
