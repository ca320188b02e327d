//! What a build asks of the model: the request in which every string is a template.

use serde_json::{Map, Value};

use super::App;
use super::build::BuildArgs;
use super::rows::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::source::{embed_request, generate_request};

/// A request to be filled for each row, and what is known of it.
pub(super) struct Asked {
    /// The request; its strings are templates.
    pub(super) request: Value,
    /// Whether the answers are to be JSON.
    pub(super) expects_json: bool,
    /// The schema that the answers are to follow, as it is sent.
    pub(super) response_schema: Option<Value>,
    /// What was mended.
    pub(super) fixes: Vec<String>,
}

impl Asked {
    /// Makes the request out of the caller's words.
    pub(super) fn of(_app: &App, args: &BuildArgs, rows: &Rows) -> Result<Self> {
        let request = request_skeleton(args, rows, args.kind.unwrap_or_default().of_batch())?;
        let config = request.get("generationConfig").or_else(|| request.get("generation_config"));
        let schema = config.and_then(|config| config.get("responseSchema").or_else(|| config.get("response_schema")));
        Ok(Self { expects_json: expects_json(&request), response_schema: schema.cloned(), fixes: Vec::new(), request })
    }
}

/// The request in which every string is a template.
fn request_skeleton(args: &BuildArgs, rows: &Rows, kind: Kind) -> Result<Value> {
    let mut request = args.request.clone().unwrap_or_default();
    let template = match (&args.template, rows) {
        (Some(template), _) => Some(template.as_str()),
        (None, Rows::Prompts(_)) => Some("{{ prompt }}"),
        (None, _) => None,
    };
    let has_content = request.contains_key("contents") || request.contains_key("content");
    match template {
        Some(_) if has_content => {
            return Err(wrong("both template and request.contents say what to ask").hint("give one of them"));
        }
        None if !has_content => {
            return Err(wrong("nothing says what to ask")
                .hint("give a template such as \"Describe {{name}}\" over the columns of the source"));
        }
        _ => {}
    }
    let made = match kind {
        Kind::Embed => embed_request(template.unwrap_or_default(), None, None, None),
        Kind::Generate => {
            // Settings given twice are merged, those named by their own argument win.
            let mut config = request.shift_remove("generationConfig").unwrap_or(Value::Object(Map::new()));
            if let (Value::Object(config), Some(given)) = (&mut config, &args.generation_config) {
                config.extend(given.clone());
            }
            if let Value::Object(config) = &mut config {
                *config = super::kinds::with_kind(args, std::mem::take(config))?;
            }
            let schema = args.response_schema.clone().map(Value::Object);
            generate_request(template.unwrap_or_default(), args.system.as_deref(), Some(&config), schema.as_ref())?
        }
    };
    if let Value::Object(made) = made {
        for (name, value) in made {
            let empty_prompt = template.is_none() && (name == "contents" || name == "content");
            if !empty_prompt {
                request.insert(name, value);
            }
        }
    }
    Ok(Value::Object(request))
}

fn expects_json(request: &Value) -> bool {
    let config = request.get("generationConfig").or_else(|| request.get("generation_config"));
    let mime = config.and_then(|config| config.get("responseMimeType").or_else(|| config.get("response_mime_type")));
    mime.and_then(Value::as_str) == Some("application/json")
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, "building requests", cause)
}
