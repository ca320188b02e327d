//! The fields the API knows. It refuses a request with any other.

use serde_json::Value;

use super::fields::{camelised, field, list};
use super::refusal::Refusal;
use super::route::Kind;

/// What may stand in a place.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Any,
    /// An object with these fields.
    Object(&'static [(&'static str, Shape)]),
    /// A list of these.
    List(&'static Shape),
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Complaint {
    /// A field no schema knows, as it is spelt.
    UnknownField(String),
    /// Anything else, with the field it is about.
    Other(String, String),
}

impl Complaint {
    fn other(field: &str, message: impl Into<String>) -> Self {
        Self::Other(field.into(), message.into())
    }

    /// The name to look for in the text of the request.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::UnknownField(name) | Self::Other(name, _) => name,
        }
    }

    /// As the check of an input file words it.
    pub(super) fn wording(&self) -> String {
        match self {
            Self::UnknownField(name) => format!("no such field: '{name}'"),
            Self::Other(_, message) => message.clone(),
        }
    }

    /// As the check of a JSON body words it.
    pub(super) fn at_payload(&self, place: &str) -> Refusal {
        match self {
            Self::UnknownField(name) => Refusal::bad_payload(
                format!("Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find field."),
                place,
            ),
            Self::Other(_, message) => Refusal::bad_payload(format!("{message} at '{place}'"), place),
        }
    }
}

/// Checks the body of a create, down to the requests.
pub(super) fn check_create(body: &Value) -> Result<(), Refusal> {
    check(body, "", &CREATE).map_err(|complaint| complaint.at_payload("batch"))
}

/// Checks one request.
pub(super) fn check_request(request: &Value, kind: Kind) -> Result<(), Complaint> {
    match kind {
        Kind::Generate => {
            check(request, "request", &GENERATE)?;
            if list(request, "contents").is_empty() {
                return Err(Complaint::other("contents", "contents is not specified"));
            }
            check_cache(request)
        }
        Kind::Embed => {
            check(request, "request", &EMBED)?;
            field(request, "content").map(drop).ok_or_else(|| Complaint::other("content", "content is not specified"))
        }
    }
}

fn check_cache(request: &Value) -> Result<(), Complaint> {
    let excluded = ["systemInstruction", "tools", "toolConfig"];
    if field(request, "cachedContent").is_none() || excluded.iter().all(|name| field(request, name).is_none()) {
        return Ok(());
    }
    let message =
        "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config.";
    Err(Complaint::other("cachedContent", message))
}

fn check(value: &Value, name: &str, shape: &Shape) -> Result<(), Complaint> {
    match (shape, value) {
        (Shape::Any, _) | (_, Value::Null) => Ok(()),
        (Shape::Object(known), Value::Object(fields)) => fields.iter().try_for_each(|(name, value)| {
            let camel = camelised(name);
            let found = known.iter().find(|(known, _)| *known == camel);
            let (_, shape) = found.ok_or_else(|| Complaint::UnknownField(name.clone()))?;
            check(value, name, shape)
        }),
        (Shape::List(element), Value::Array(elements)) => {
            elements.iter().try_for_each(|value| check(value, name, element))
        }
        (Shape::Object(_), _) => Err(Complaint::other(name, format!("expected an object for field '{name}'"))),
        (Shape::List(_), _) => Err(Complaint::other(name, format!("expected an array for field '{name}'"))),
    }
}

static CREATE: Shape = Shape::Object(&[(
    "batch",
    Shape::Object(&[
        ("name", Shape::Any),
        ("model", Shape::Any),
        ("displayName", Shape::Any),
        (
            "inputConfig",
            Shape::Object(&[
                ("fileName", Shape::Any),
                ("requests", Shape::Object(&[("requests", Shape::List(&INLINED))])),
            ]),
        ),
        ("priority", Shape::Any),
        ("webhookConfig", Shape::Object(&[("uris", Shape::List(&Shape::Any)), ("userMetadata", Shape::Any)])),
    ]),
)]);

static INLINED: Shape = Shape::Object(&[("request", Shape::Any), ("metadata", Shape::Any)]);

static GENERATE: Shape = Shape::Object(&[
    ("model", Shape::Any),
    ("contents", Shape::List(&CONTENT)),
    ("systemInstruction", CONTENT),
    ("tools", Shape::List(&TOOL)),
    ("toolConfig", Shape::Any),
    ("safetySettings", Shape::List(&SAFETY)),
    ("generationConfig", CONFIG),
    ("cachedContent", Shape::Any),
    ("serviceTier", Shape::Any),
    ("store", Shape::Any),
    ("labels", Shape::Any),
]);

static EMBED: Shape = Shape::Object(&[
    ("model", Shape::Any),
    ("content", CONTENT),
    ("taskType", Shape::Any),
    ("title", Shape::Any),
    ("outputDimensionality", Shape::Any),
]);

const CONTENT: Shape = Shape::Object(&[("role", Shape::Any), ("parts", Shape::List(&PART))]);

static PART: Shape = Shape::Object(&[
    ("text", Shape::Any),
    ("inlineData", BLOB),
    ("fileData", FILE),
    ("functionCall", Shape::Any),
    ("functionResponse", Shape::Any),
    ("executableCode", Shape::Any),
    ("codeExecutionResult", Shape::Any),
    ("toolCall", Shape::Any),
    ("toolResponse", Shape::Any),
    ("thought", Shape::Any),
    ("thoughtSignature", Shape::Any),
    ("videoMetadata", Shape::Any),
    ("mediaResolution", Shape::Any),
    ("partMetadata", Shape::Any),
]);

const BLOB: Shape = Shape::Object(&[("mimeType", Shape::Any), ("data", Shape::Any)]);
const FILE: Shape = Shape::Object(&[("mimeType", Shape::Any), ("fileUri", Shape::Any)]);

static TOOL: Shape = Shape::Object(&[
    ("functionDeclarations", Shape::Any),
    ("googleSearch", Shape::Any),
    ("googleSearchRetrieval", Shape::Any),
    ("codeExecution", Shape::Any),
    ("urlContext", Shape::Any),
    ("googleMaps", Shape::Any),
    ("fileSearch", Shape::Any),
    ("computerUse", Shape::Any),
    ("mcpServers", Shape::Any),
]);

static SAFETY: Shape = Shape::Object(&[("category", Shape::Any), ("threshold", Shape::Any)]);

const CONFIG: Shape = Shape::Object(&[
    ("temperature", Shape::Any),
    ("topP", Shape::Any),
    ("topK", Shape::Any),
    ("candidateCount", Shape::Any),
    ("maxOutputTokens", Shape::Any),
    ("stopSequences", Shape::List(&Shape::Any)),
    ("seed", Shape::Any),
    ("presencePenalty", Shape::Any),
    ("frequencyPenalty", Shape::Any),
    ("responseLogprobs", Shape::Any),
    ("logprobs", Shape::Any),
    ("responseMimeType", Shape::Any),
    ("responseSchema", Shape::Any),
    ("responseJsonSchema", Shape::Any),
    ("_responseJsonSchema", Shape::Any),
    ("responseModalities", Shape::List(&Shape::Any)),
    ("mediaResolution", Shape::Any),
    ("speechConfig", Shape::Any),
    ("thinkingConfig", THINKING),
    ("imageConfig", IMAGE),
    ("enableEnhancedCivicAnswers", Shape::Any),
    ("audioTranscriptionConfig", Shape::Any),
]);

const THINKING: Shape =
    Shape::Object(&[("includeThoughts", Shape::Any), ("thinkingBudget", Shape::Any), ("thinkingLevel", Shape::Any)]);

const IMAGE: Shape = Shape::Object(&[
    ("aspectRatio", Shape::Any),
    ("imageSize", Shape::Any),
    ("personGeneration", Shape::Any),
    ("outputMimeType", Shape::Any),
]);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn complaint(request: Value) -> Option<String> {
        check_request(&request, Kind::Generate).err().map(|complaint| complaint.wording())
    }

    #[test]
    fn both_spellings_of_a_field_are_known_and_a_misplaced_one_is_not() {
        let contents = json!([{"role": "user", "parts": [{"text": "a"}, {"file_data": {"file_uri": "u"}}]}]);
        let good = json!({"contents": contents, "generation_config": {"max_output_tokens": 3, "topK": 1}});
        assert_eq!(complaint(good), None);
        let misplaced = json!({"contents": contents, "thinking_config": {}});
        assert_eq!(complaint(misplaced).unwrap(), "no such field: 'thinking_config'");
        let cache = json!({"contents": contents, "generationConfig": {"cachedContent": "cachedContents/1"}});
        assert_eq!(complaint(cache).unwrap(), "no such field: 'cachedContent'");
    }

    #[test]
    fn a_system_instruction_of_plain_text_is_refused() {
        let request = json!({"contents": [{"parts": [{"text": "a"}]}], "systemInstruction": "be nice"});
        assert_eq!(complaint(request).unwrap(), "expected an object for field 'systemInstruction'");
    }

    #[test]
    fn a_cache_excludes_system_instruction_and_tools() {
        let cached = json!({"contents": [{"parts": []}], "cachedContent": "cachedContents/1"});
        assert_eq!(complaint(cached.clone()), None);
        let mut both = cached;
        both["tools"] = json!([{"googleSearch": {}}]);
        assert!(complaint(both).unwrap().starts_with("CachedContent can not be used"));
    }

    #[test]
    fn a_request_without_contents_is_refused() {
        assert_eq!(complaint(json!({"contents": []})).unwrap(), "contents is not specified");
        assert_eq!(complaint(json!({})).unwrap(), "contents is not specified");
    }
}
