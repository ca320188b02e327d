//! What a build asks of the model: the request in which every string is a template, or the requests that the rows are.

use serde_json::{Map, Value};

use super::ready::Ready;
use super::rows::Rows;
use super::words::BuildArgs;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::jsonl::mend::mend;
use crate::jsonl::notes::{Fault, Notes};
use crate::ops::App;
use crate::ops::schema_file::schema_file;
use crate::source::{Template, embed_request, generate_request};

const SCHEMAS: [&str; 3] = ["responseSchema", "responseJsonSchema", "_responseJsonSchema"];

/// A request to be filled for each row, and what is known of it.
pub(super) struct Asked {
    /// The request; its strings are templates.
    pub(super) request: Value,
    /// Which of the API's two kinds of batch it is for.
    pub(super) kind: Kind,
    /// The rows are request lines already, and only have to be mended.
    pub(super) ready: Option<Ready>,
    /// Whether the answers are to be JSON.
    pub(super) expects_json: bool,
    /// The schema that the answers are to follow, as JSON Schema.
    pub(super) response_schema: Option<Value>,
    /// What was mended.
    pub(super) fixes: Vec<String>,
    /// What was lost on the way, or is to be known.
    pub(super) warnings: Vec<String>,
}

impl Asked {
    /// Makes the request out of the caller's words.
    pub(super) fn of(app: &App, args: &BuildArgs, rows: &Rows) -> Result<Self> {
        refuse_file_names(args)?;
        let foreign = super::foreign::look(args, rows)?;
        let mut request = given(app, args)?;
        let kind = args.kind.unwrap_or_default().of_batch();
        let template = match (&args.template, rows) {
            (Some(template), _) => Some(template.as_str()),
            (None, Rows::Prompts(_)) => Some("{{ prompt }}"),
            (None, _) => None,
        };
        let ready = match template {
            None if !has_content(&request) => Some(Ready::of(rows)?.ok_or_else(nothing_to_ask)?),
            None => None,
            Some(_) if has_content(&request) => {
                let cause = "both template and request.contents say what to ask";
                return Err(wrong(cause).hint("give one of them"));
            }
            Some(template) => {
                ask(&mut request, template, kind);
                None
            }
        };
        let mut notes = Notes::default();
        let response_schema = mend(&mut request, &mut notes).map_err(refused)?;
        super::kinds::settle(args, rows, &mut request)?;
        let expects_json = expects_json(&request);
        let has_schema = args.response_schema.is_some();
        match &ready {
            Some(_) => refuse_templates(&request, has_schema)?,
            None if has_schema => mark_schema(&mut request),
            None => {}
        }
        Ok(Self {
            kind: ready.as_ref().map_or(kind, |ready| args.kind.map_or(ready.kind(), |_| kind)),
            ready: ready.map(|ready| ready.with(&request, response_schema.as_ref())),
            request: Value::Object(request),
            expects_json,
            response_schema,
            fixes: notes.fixes(),
            warnings: [notes.losses(), foreign].concat(),
        })
    }
}

/// The caller's request, with the settings and the schema that have arguments of their own.
fn given(app: &App, args: &BuildArgs) -> Result<Map<String, Value>> {
    let mut request = args.request.clone().unwrap_or_default();
    if let Some(mut settings) = args.generation_config.clone() {
        // Settings given twice are merged, those named by their own argument win.
        for name in ["generationConfig", "generation_config"] {
            if let Some(Value::Object(config)) = request.shift_remove(name) {
                let is_new = |name: &String| !settings.keys().any(|there| same(there, name));
                let more: Vec<_> = config.into_iter().filter(|(name, _)| is_new(name)).collect();
                settings.extend(more);
            }
        }
        request.insert("generationConfig".to_owned(), Value::Object(settings));
    }
    if let Some(system) = &args.system {
        if request.keys().any(|name| same(name, "systemInstruction")) {
            return Err(wrong("both system and request.systemInstruction are given").hint("give one of them"));
        }
        let content = serde_json::json!({"parts": [{"text": system}]});
        request.insert("systemInstruction".to_owned(), content);
    }
    if let Some(schema) = &args.response_schema {
        let schema = schema_file(app.roots(), schema)?;
        let config = request.entry("generationConfig").or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(config) = config else { return Err(wrong("generationConfig is not an object")) };
        if config.keys().any(|name| SCHEMAS.iter().any(|schema| same(name, schema))) {
            let cause = "both response_schema and generation_config.responseSchema are given";
            return Err(wrong(cause).hint("give one of them"));
        }
        config.insert("responseSchema".to_owned(), Value::Object(schema));
    }
    Ok(request)
}

/// At a shell `@prompt.txt` is what the file says. Here it would be sent, and paid for, as it stands.
fn refuse_file_names(args: &BuildArgs) -> Result<()> {
    let prompts = args.prompts.iter().flatten().map(|prompt| ("prompts", prompt));
    let texts = [("template", &args.template), ("system", &args.system)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    for (name, text) in texts.chain(prompts) {
        let Some(file) = text.trim().strip_prefix('@') else { continue };
        if file.contains(['.', '/']) && !file.contains(|c: char| c.is_whitespace() || c == '{') {
            let cause = format!("{name} is \"@{file}\", which names a file, and has to be the text itself");
            return Err(wrong(cause).hint(format!("read {file} and give what it says; only at a shell does @ do that")));
        }
    }
    Ok(())
}

/// Whether two spellings name one field.
fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim_start_matches('_').replace('_', "").to_ascii_lowercase();
    plain(one) == plain(other)
}

/// Marks the strings of a schema as texts, not templates: a pattern may well hold braces.
fn mark_schema(request: &mut Map<String, Value>) {
    let config = request.get_mut("generationConfig").and_then(|config| config.get_mut("responseSchema"));
    if let Some(schema) = config {
        *schema = literal(schema.take());
    }
}

fn literal(value: Value) -> Value {
    match value {
        Value::String(text) if Template::is_template(&text) => format!("{{% raw %}}{text}{{% endraw %}}").into(),
        Value::Array(items) => items.into_iter().map(literal).collect(),
        Value::Object(object) => object.into_iter().map(|(name, value)| (name, literal(value))).collect(),
        other => other,
    }
}

/// Requests that are ready are texts: what is added to them has no columns to name.
fn refuse_templates(request: &Map<String, Value>, has_schema: bool) -> Result<()> {
    let mut request = request.clone();
    if has_schema && let Some(Value::Object(config)) = request.get_mut("generationConfig") {
        config.shift_remove("responseSchema");
    }
    if has_templates(&Value::Object(request)) {
        return Err(wrong("the rows are requests already, and have no columns for a template to name")
            .hint("give plain text here, or a template that makes the prompt of each row"));
    }
    Ok(())
}

fn has_templates(value: &Value) -> bool {
    match value {
        Value::String(text) => Template::is_template(text),
        Value::Array(items) => items.iter().any(has_templates),
        Value::Object(object) => object.values().any(has_templates),
        _ => false,
    }
}

fn has_content(request: &Map<String, Value>) -> bool {
    request.contains_key("contents") || request.contains_key("content")
}

/// Puts what is asked first.
fn ask(request: &mut Map<String, Value>, template: &str, kind: Kind) {
    let settings = std::mem::take(request);
    let made = match kind {
        Kind::Embed => embed_request(template, None, None, None),
        Kind::Generate => generate_request(template, None),
    };
    if let Value::Object(made) = made {
        request.extend(made);
    }
    request.extend(settings);
}

/// Whether a request asks for JSON.
pub(super) fn expects_json(request: &Map<String, Value>) -> bool {
    let mime = request.get("generationConfig").and_then(|config| config.get("responseMimeType"));
    mime.and_then(Value::as_str) == Some("application/json")
}

fn nothing_to_ask() -> Error {
    wrong("nothing says what to ask")
        .hint("give a template such as \"Describe {{name}}\" over the columns of the source")
}

fn refused(fault: Fault) -> Error {
    wrong(fault.told()).hint(fault.hint)
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, "building requests", cause)
}
