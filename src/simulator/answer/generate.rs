//! A `GenerateContentResponse`.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::prompt::{first_tokens, prompt_text, tokens, tokens_of_request};
use super::{instance, media, words};
use crate::simulator::fields::{count, field, list, text};
use crate::simulator::marker::Marker;
use crate::simulator::models::thinks;

/// More answers to one request are not given.
const MOST_CANDIDATES: u64 = 8;

/// An answer before it is wrapped.
#[derive(Debug)]
struct Draft {
    parts: Vec<Value>,
    finish: &'static str,
    tokens: u64,
    thoughts: u64,
    modality: &'static str,
}

impl Draft {
    fn text(text: String) -> Self {
        let tokens = tokens(&text);
        Self { parts: vec![json!({"text": text})], finish: "STOP", tokens, thoughts: 0, modality: "TEXT" }
    }

    fn media(mime: &str, data: String, tokens: u64, modality: &'static str) -> Self {
        let part = json!({"inlineData": {"mimeType": mime, "data": data}});
        Self { parts: vec![part], finish: "STOP", tokens, thoughts: 0, modality }
    }
}

/// The answer to a request.
pub(super) fn response(model: &str, request: &Value, marker: Option<Marker>, seed: u64) -> Value {
    let mut rng = Rng::with_seed(seed);
    let mut response = match marker {
        Some(Marker::Blocked) => json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
        Some(Marker::NoCandidates) => json!({}),
        _ => Value::Null,
    };
    let mut spent = Vec::new();
    if response.is_null() {
        let config = field(request, "generationConfig").unwrap_or(&Value::Null);
        let candidates = count(config, "candidateCount").unwrap_or(1).clamp(1, MOST_CANDIDATES);
        spent.extend((0..candidates).map(|_| drafted(model, request, marker, &mut rng)));
        let written: Vec<Value> = spent.iter().zip(0..).map(|(draft, index)| candidate(draft, index)).collect();
        response = json!({"candidates": written});
    }
    if let Some(fields) = response.as_object_mut() {
        fields.insert("usageMetadata".into(), usage(tokens_of_request(request), &spent));
        fields.insert("modelVersion".into(), model.into());
        fields.insert("responseId".into(), response_id(&mut rng).into());
    }
    response
}

fn drafted(model: &str, request: &Value, marker: Option<Marker>, rng: &mut Rng) -> Draft {
    let prompt = prompt_text(request);
    let config = field(request, "generationConfig").unwrap_or(&Value::Null);
    let mut draft = limited(content(&prompt, config, marker, rng), config);
    if marker == Some(Marker::Thinking) || (thinks(model) && draft.modality == "TEXT" && rng.bool()) {
        draft.thoughts = rng.u64(20..400);
    }
    if let Some(limit) = count(config, "maxOutputTokens") {
        draft.thoughts = draft.thoughts.min(limit.saturating_sub(draft.tokens));
    }
    let roomy = count(config, "maxOutputTokens").is_some_and(|limit| limit >= 4096);
    marked(draft, &prompt, marker.filter(|marker| *marker != Marker::Tight || !roomy))
}

/// What the request asks to be made: an image, speech, JSON, or plain text.
fn content(prompt: &str, config: &Value, marker: Option<Marker>, rng: &mut Rng) -> Draft {
    if marker == Some(Marker::Echo) {
        return Draft::text(Marker::text_after(prompt).to_owned());
    }
    let wants = |word: &str| list(config, "responseModalities").iter().any(|modality| modality == word);
    let schema = ["responseSchema", "responseJsonSchema", "_responseJsonSchema"];
    let schema = schema.into_iter().find_map(|name| field(config, name));
    let mime = text(config, "responseMimeType").unwrap_or_default();
    if wants("IMAGE") || marker == Some(Marker::Image) {
        return Draft::media("image/png", media::png(rng), 1290, "IMAGE");
    }
    if wants("AUDIO") {
        return Draft::media("audio/L16;codec=pcm;rate=24000", media::speech(rng), 8, "AUDIO");
    }
    match (mime.as_str(), schema) {
        ("application/json", Some(schema)) => Draft::text(instance::of(schema, prompt, rng).to_string()),
        ("text/x.enum", Some(schema)) => {
            let choice = instance::of(schema, prompt, rng);
            Draft::text(choice.as_str().unwrap_or_default().into())
        }
        ("application/json", None) => json_answer(prompt, rng),
        _ if marker == Some(Marker::Json) => json_answer(prompt, rng),
        _ => Draft::text(words::about(prompt, rng)),
    }
}

fn json_answer(prompt: &str, rng: &mut Rng) -> Draft {
    Draft::text(json!({"answer": words::about(prompt, rng)}).to_string())
}

/// The draft within the limit on output tokens.
fn limited(draft: Draft, config: &Value) -> Draft {
    match count(config, "maxOutputTokens") {
        Some(limit) if draft.modality == "TEXT" && draft.tokens > limit => cut(draft, limit),
        _ => draft,
    }
}

fn cut(draft: Draft, limit: u64) -> Draft {
    let whole = draft.parts.first().and_then(|part| text(part, "text")).unwrap_or_default();
    Draft { finish: "MAX_TOKENS", ..Draft::text(first_tokens(&whole, limit)) }
}

/// The draft as a marker wants it.
fn marked(mut draft: Draft, prompt: &str, marker: Option<Marker>) -> Draft {
    match marker {
        Some(Marker::Safety) => Draft { parts: Vec::new(), finish: "SAFETY", tokens: 0, ..draft },
        Some(Marker::Empty) => Draft { parts: Vec::new(), tokens: 0, ..draft },
        Some(Marker::Truncated | Marker::Tight) => {
            let half = draft.tokens / 2;
            Draft { thoughts: draft.thoughts, ..cut(draft, half) }
        }
        Some(Marker::Multipart) => Draft { parts: draft.parts.iter().flat_map(split).collect(), ..draft },
        Some(Marker::Thinking) => {
            draft.parts.insert(0, json!({"text": words::thought(prompt), "thought": true}));
            draft
        }
        _ => draft,
    }
}

/// A text part in three pieces.
fn split(part: &Value) -> Vec<Value> {
    let letters: Vec<char> = text(part, "text").unwrap_or_default().chars().collect();
    let piece = letters.len().div_ceil(3).max(1);
    letters.chunks(piece).map(|piece| json!({"text": piece.iter().collect::<String>()})).collect()
}

fn candidate(draft: &Draft, index: u64) -> Value {
    let mut candidate = Map::new();
    if draft.finish != "SAFETY" {
        let mut content = json!({"role": "model"});
        if let (false, Some(fields)) = (draft.parts.is_empty(), content.as_object_mut()) {
            fields.insert("parts".into(), draft.parts.clone().into());
        }
        candidate.insert("content".into(), content);
    }
    candidate.insert("finishReason".into(), draft.finish.into());
    candidate.insert("index".into(), index.into());
    if draft.finish == "SAFETY" {
        let rating = json!({"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true});
        candidate.insert("safetyRatings".into(), json!([rating]));
    }
    candidate.into()
}

/// All candidates are counted. Counters that are zero are left out.
fn usage(prompt: u64, drafts: &[Draft]) -> Value {
    let answer = drafts.iter().map(|draft| draft.tokens).sum::<u64>();
    let thoughts = drafts.iter().map(|draft| draft.thoughts).sum::<u64>();
    let counters = [
        ("promptTokenCount", prompt),
        ("candidatesTokenCount", answer),
        ("thoughtsTokenCount", thoughts),
        ("totalTokenCount", prompt + answer + thoughts),
    ];
    let mut usage = Map::new();
    usage.extend(counters.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n.into())));
    usage.insert("promptTokensDetails".into(), json!([{"modality": "TEXT", "tokenCount": prompt}]));
    if let Some(draft) = drafts.first().filter(|draft| draft.modality != "TEXT") {
        let details = json!([{"modality": draft.modality, "tokenCount": answer}]);
        usage.insert("candidatesTokensDetails".into(), details);
    }
    usage.into()
}

fn response_id(rng: &mut Rng) -> String {
    (0..22).map(|_| rng.alphanumeric()).collect()
}
