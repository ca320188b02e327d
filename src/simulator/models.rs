//! The models that are served.

use serde_json::{Value, json};

use super::answer::tokens_of_request;
use super::fields::field;
use super::paging::Page;
use super::refusal::Refusal;
use super::reply::Reply;
use super::route::Kind;
use super::server::Ask;

/// What a model can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Generate,
    Embed,
    /// Live sessions only: no batches.
    Live,
}

/// Name, name for people, what it can be asked, longest input, longest output.
type Model = (&'static str, &'static str, Service, u32, u32);

const MODELS: &[Model] = &[
    ("gemini-4-argon", "Gemini 4 Argon", Service::Generate, 1_048_576, 1_048_576),
    ("gemini-3.8-flash", "Gemini 3.8 Flash", Service::Generate, 1_048_576, 65_536),
    ("gemini-flash-latest", "Gemini Flash Latest", Service::Generate, 1_048_576, 65_536),
    ("gemini-3.5-flash", "Gemini 3.5 Flash", Service::Generate, 1_048_576, 65_536),
    ("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", Service::Generate, 1_048_576, 65_536),
    ("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", Service::Generate, 1_048_576, 65_536),
    ("gemini-3.1-flash-lite", "Gemini 3.1 Flash-Lite", Service::Generate, 1_048_576, 65_536),
    ("gemini-3-flash-preview", "Gemini 3 Flash Preview", Service::Generate, 1_048_576, 65_536),
    ("gemini-2.5-pro", "Gemini 2.5 Pro", Service::Generate, 1_048_576, 65_536),
    ("gemini-2.5-flash", "Gemini 2.5 Flash", Service::Generate, 1_048_576, 65_536),
    ("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", Service::Generate, 1_048_576, 65_536),
    ("gemini-3.1-flash-image", "Gemini 3.1 Flash Image", Service::Generate, 65_536, 32_768),
    ("gemini-3.8-flash-tts", "Gemini 3.8 Flash TTS", Service::Generate, 8_192, 16_384),
    ("gemini-embedding-001", "Gemini Embedding 001", Service::Embed, 2_048, 1),
    ("gemini-embedding-2", "Gemini Embedding 2", Service::Embed, 8_192, 1),
    ("gemini-3.1-flash-live-preview", "Gemini 3.1 Flash Live Preview", Service::Live, 131_072, 8_192),
];

impl Service {
    fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Generate => &["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"],
            Self::Embed => &["embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent"],
            Self::Live => &["bidiGenerateContent", "countTokens"],
        }
    }
}

/// Refuses a model that is unknown or does not do batches of this kind.
pub(super) fn check_batch(name: &str, kind: Kind) -> Result<(), Refusal> {
    let (_, _, service, ..) = find(name)?;
    let method = match kind {
        Kind::Generate => "batchGenerateContent",
        Kind::Embed => "asyncBatchEmbedContent",
    };
    if service.methods().contains(&method) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Model models/{name} does not support {method}.")))
}

fn find(name: &str) -> Result<&'static Model, Refusal> {
    MODELS.iter().find(|(known, ..)| *known == name).ok_or_else(|| {
        Refusal::new(
            404,
            format!(
                "models/{name} is not found for API version v1beta, or is not supported for this method. \
                 Call ListModels to see the list of available models and their supported methods."
            ),
        )
    })
}

/// `GET models`.
pub(super) fn list(ask: &Ask) -> Result<Reply, Refusal> {
    let page = Page::of(ask, 50, 1000)?;
    let numbered = MODELS.iter().enumerate().collect();
    let (page, next) = page.cut(numbered, |(number, _)| format!("{number:04}"));
    let models: Vec<Value> = page.into_iter().map(|(_, model)| shown(model)).collect();
    let mut answer = json!({"models": models});
    if let (Some(fields), Some(token)) = (answer.as_object_mut(), next) {
        fields.insert("nextPageToken".into(), token.into());
    }
    Ok(Reply::json(&answer))
}

/// `GET models/{name}`.
pub(super) fn get(name: &str) -> Result<Reply, Refusal> {
    Ok(Reply::json(&shown(find(name)?)))
}

/// `POST models/{name}:countTokens`.
pub(super) fn count_tokens(ask: &Ask, name: &str) -> Result<Reply, Refusal> {
    find(name)?;
    let body = ask.json()?;
    let tokens = tokens_of_request(field(&body, "generateContentRequest").unwrap_or(&body));
    let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
    Ok(Reply::json(&json!({"totalTokens": tokens, "promptTokensDetails": details})))
}

fn shown((name, display_name, service, input, output): &Model) -> Value {
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": display_name,
        "description": format!("{display_name}, simulated."),
        "inputTokenLimit": input,
        "outputTokenLimit": output,
        "supportedGenerationMethods": service.methods(),
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": thinks(name),
    })
}

/// Whether a model thinks before it answers.
pub(super) fn thinks(name: &str) -> bool {
    !["lite", "image", "tts", "embedding", "live"].iter().any(|word| name.contains(word))
}
