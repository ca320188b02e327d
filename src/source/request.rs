//! Requests made of simple arguments, in a fixed order of properties.

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};

/// A request for an answer. Its strings are templates still to be compiled.
pub fn generate_request(
    template: &str,
    system: Option<&str>,
    generation_config: Option<&Value>,
    response_schema: Option<&Value>,
) -> Result<Value> {
    let mut request = Map::new();
    request.insert("contents".to_owned(), json!([content(template)]));
    if let Some(system) = system {
        request.insert("systemInstruction".to_owned(), content(system));
    }
    let config = config(generation_config, response_schema)?;
    if !config.is_empty() {
        request.insert("generationConfig".to_owned(), Value::Object(config));
    }
    Ok(Value::Object(request))
}

/// A request for a vector. Its strings are templates still to be compiled.
pub fn embed_request(
    template: &str,
    task_type: Option<&str>,
    dimensionality: Option<u32>,
    title: Option<&str>,
) -> Value {
    let mut request = Map::new();
    request.insert("content".to_owned(), content(template));
    if let Some(task_type) = task_type {
        request.insert("taskType".to_owned(), task_type.into());
    }
    if let Some(title) = title {
        request.insert("title".to_owned(), title.into());
    }
    if let Some(dimensionality) = dimensionality {
        request.insert("outputDimensionality".to_owned(), dimensionality.into());
    }
    Value::Object(request)
}

fn content(text: &str) -> Value {
    json!({"parts": [{"text": text}]})
}

fn config(given: Option<&Value>, schema: Option<&Value>) -> Result<Map<String, Value>> {
    let wrong = |cause: &str| Error::new(ErrorKind::InvalidArgument, "making the generation config", cause);
    let mut config = match given {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(config)) => config.clone(),
        Some(_) => return Err(wrong("it is not an object").hint("give an object such as {\"temperature\": 0.2}")),
    };
    let Some(schema) = schema else { return Ok(config) };
    if !schema.is_object() {
        return Err(
            wrong("the response schema is not an object").hint("give a schema such as {\"type\": \"OBJECT\", …}")
        );
    }
    const SCHEMAS: [&str; 4] = ["responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"];
    if SCHEMAS.iter().any(|name| config.contains_key(*name)) {
        return Err(wrong("it holds a response schema, and another one is given").hint("give one of them"));
    }
    if !config.contains_key("responseMimeType") && !config.contains_key("response_mime_type") {
        config.insert("responseMimeType".to_owned(), "application/json".into());
    }
    config.insert("responseSchema".to_owned(), schema.clone());
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_alone_makes_the_smallest_request() {
        let request = generate_request("Hi {{ name }}", None, None, None).unwrap();
        assert_eq!(request.to_string(), r#"{"contents":[{"parts":[{"text":"Hi {{ name }}"}]}]}"#);
    }

    #[test]
    fn a_schema_asks_for_json_and_keeps_the_settings_beside_it() {
        let settings = json!({"temperature": 0.5});
        let schema = json!({"type": "OBJECT"});
        let request = generate_request("p", Some("s"), Some(&settings), Some(&schema)).unwrap();
        let expected = concat!(
            r#"{"contents":[{"parts":[{"text":"p"}]}],"systemInstruction":{"parts":[{"text":"s"}]},"#,
            r#""generationConfig":{"temperature":0.5,"responseMimeType":"application/json","#,
            r#""responseSchema":{"type":"OBJECT"}}}"#
        );
        assert_eq!(request.to_string(), expected);
    }

    #[test]
    fn a_mime_type_of_the_callers_is_kept_in_either_spelling() {
        let settings = json!({"response_mime_type": "text/x.enum"});
        let request = generate_request("p", None, Some(&settings), Some(&json!({"type": "STRING"}))).unwrap();
        let config = &request["generationConfig"];
        assert_eq!(config["response_mime_type"], "text/x.enum");
        assert!(config.get("responseMimeType").is_none());
    }

    #[test]
    fn two_schemas_are_refused() {
        let settings = json!({"response_json_schema": {}});
        let error = generate_request("p", None, Some(&settings), Some(&json!({}))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn an_embedding_request_has_its_settings_beside_the_content() {
        let request = embed_request("{{ text }}", Some("RETRIEVAL_DOCUMENT"), Some(768), Some("{{ title }}"));
        let expected = concat!(
            r#"{"content":{"parts":[{"text":"{{ text }}"}]},"taskType":"RETRIEVAL_DOCUMENT","#,
            r#""title":"{{ title }}","outputDimensionality":768}"#
        );
        assert_eq!(request.to_string(), expected);
    }
}
