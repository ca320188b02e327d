use super::*;
use base64::Engine;

fn answers(text: &str, config: Value) -> Vec<Value> {
    let line = json!({"key": "k", "request": {"contents": [{"parts": [{"text": text}]}], "generationConfig": config}});
    let lines = answer_lines(Kind::Generate, "gemini-3.8-flash", &line);
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn answer(text: &str, config: Value) -> Value {
    answers(text, config).swap_remove(0)
}

fn text_of(answer: &Value) -> String {
    let parts = answer["response"]["candidates"][0]["content"]["parts"].as_array().unwrap();
    parts.iter().filter(|part| part["thought"] != true).map(|part| part["text"].as_str().unwrap()).collect()
}

#[test]
fn the_same_prompt_is_answered_the_same_and_another_one_differently() {
    let answered = answer("Why is the sky blue?", json!({}));
    assert_eq!(answered, answer("Why is the sky blue?", json!({})));
    assert!(text_of(&answered).starts_with("Here is a short answer about Why is the sky blue"));
    assert_ne!(text_of(&answered), text_of(&answer("Why is grass green?", json!({}))));
}

#[test]
fn usage_adds_up_and_leaves_zero_counters_out() {
    let mut with_thoughts = 0;
    for n in 0..40 {
        let usage = answer(&format!("prompt {n}"), json!({}))["response"]["usageMetadata"].clone();
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        let sum = count("promptTokenCount") + count("candidatesTokenCount") + count("thoughtsTokenCount");
        assert_eq!(count("totalTokenCount"), sum);
        assert_ne!(usage.get("thoughtsTokenCount"), Some(&json!(0)));
        with_thoughts += u32::from(usage.get("thoughtsTokenCount").is_some());
    }
    assert!((1..40).contains(&with_thoughts));
}

#[test]
fn an_answer_longer_than_the_limit_is_cut_off() {
    let cut = answer("Tell me all", json!({"maxOutputTokens": 5}));
    assert_eq!(cut["response"]["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(text_of(&cut).chars().count(), 20);
    assert_eq!(cut["response"]["usageMetadata"]["candidatesTokenCount"], 5);
    let whole = answer("Tell me all", json!({"max_output_tokens": 5000}));
    assert_eq!(whole["response"]["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn as_many_candidates_are_given_and_counted_as_are_asked_for() {
    for (count, expected) in [(json!(3), 3), (json!("2"), 2), (json!(0), 1), (json!(null), 1)] {
        let response =
            answer("Tell me all", json!({"candidateCount": count, "maxOutputTokens": 5}))["response"].clone();
        let candidates = response["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), expected, "{count}");
        let indexes: Vec<_> = candidates.iter().map(|candidate| candidate["index"].as_u64().unwrap()).collect();
        assert_eq!(indexes, (0..expected as u64).collect::<Vec<_>>());
        assert_eq!(response["usageMetadata"]["candidatesTokenCount"], 5 * expected);
    }
}

#[test]
fn json_answers_obey_their_schema() {
    let schema = json!({
        "type": "OBJECT",
        "properties": {
            "label": {"type": "STRING", "enum": ["yes", "no"]},
            "score": {"type": "NUMBER", "minimum": 2, "maximum": 3},
            "tags": {"type": "ARRAY", "minItems": "4", "items": {"type": "INTEGER"}},
            "short": {"type": "STRING", "maxLength": "7"},
            "flag": {"type": "BOOLEAN"},
            "maybe": {"anyOf": [{"type": "NULL"}, {"type": "STRING"}]}
        },
        "required": ["label", "score"]
    });
    for n in 0..20 {
        let config = json!({"responseMimeType": "application/json", "responseSchema": schema});
        let value: Value = serde_json::from_str(&text_of(&answer(&format!("p{n}"), config))).unwrap();
        assert!(["yes", "no"].contains(&value["label"].as_str().unwrap()));
        assert!((2.0..=3.0).contains(&value["score"].as_f64().unwrap()));
        let tags = value["tags"].as_array().unwrap();
        assert!(tags.len() == 4 && tags.iter().all(Value::is_i64));
        assert_eq!(value["short"].as_str().unwrap().len(), 7);
        assert!(value["flag"].is_boolean() && value["maybe"].is_null());
    }
}

#[test]
fn a_recursive_json_schema_ends() {
    let schema = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {
            "name": {"type": ["string", "null"]},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}
        }, "required": ["name", "children"]}}
    });
    let config = json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
    let value: Value = serde_json::from_str(&text_of(&answer("tree", config))).unwrap();
    assert!(value["children"].is_array());
}

#[test]
fn images_are_png_and_speech_is_pcm() {
    let inline =
        |config: Value| answer("cat", config)["response"]["candidates"][0]["content"]["parts"][0]["inlineData"].clone();
    let image = inline(json!({"responseModalities": ["TEXT", "IMAGE"]}));
    let bytes = base64::engine::general_purpose::STANDARD.decode(image["data"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82"));
    let speech = inline(json!({"response_modalities": ["AUDIO"]}));
    assert_eq!(speech["mimeType"], "audio/L16;codec=pcm;rate=24000");
}

#[test]
fn markers_shape_the_response() {
    let marked = |word: &str| answer(&format!("Hi [[simulate:{word}]]"), json!({}));
    assert_eq!(marked("failed")["error"]["code"], 13);
    assert_eq!(marked("blocked")["response"]["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    let candidate = |word: &str| marked(word)["response"]["candidates"][0].clone();
    assert_eq!(candidate("safety")["finishReason"], "SAFETY");
    assert_eq!(candidate("truncated")["finishReason"], "MAX_TOKENS");
    assert_eq!(candidate("empty")["content"], json!({"role": "model"}));
    assert_eq!(candidate("multipart")["content"]["parts"].as_array().unwrap().len(), 3);
    assert_eq!(candidate("thinking")["content"]["parts"][0]["thought"], true);
    assert!(marked("thinking")["response"]["usageMetadata"]["thoughtsTokenCount"].is_u64());
    assert!(candidate("image")["content"]["parts"][0]["inlineData"].is_object());
    assert!(serde_json::from_str::<Value>(&text_of(&marked("json"))).unwrap()["answer"].is_string());
    assert!(marked("no-candidates")["response"].get("candidates").is_none());
}

#[test]
fn markers_shape_the_file() {
    let count = |word: &str| answers(&format!("Hi [[simulate:{word}]]"), json!({})).len();
    assert_eq!((count("missing"), count("duplicate"), count("stranger")), (0, 2, 2));
    let line = json!({"key": "k", "request": {"contents": [{"parts": [{"text": "[[simulate:garbage]]"}]}]}});
    let lines = answer_lines(Kind::Generate, "m", &line);
    assert!(serde_json::from_str::<Value>(&lines[0]).is_err());
}

#[test]
fn an_embedding_has_length_one_and_the_dimensions_asked_for() {
    let embed = |request: Value| {
        let line = json!({"key": "k", "request": request});
        let answer = answer_lines(Kind::Embed, "gemini-embedding-001", &line).swap_remove(0);
        serde_json::from_str::<Value>(&answer).unwrap()["response"].clone()
    };
    let small = embed(json!({"content": {"parts": [{"text": "abcdefgh"}]}, "output_dimensionality": 64}));
    let values: Vec<f64> =
        small["embedding"]["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!((values.len(), &small["tokenCount"]), (64, &json!("2")));
    assert!((values.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-6);
    let full = embed(json!({"content": {"parts": [{"text": "a"}]}}));
    assert_eq!(full["embedding"]["values"].as_array().unwrap().len(), 3072);
}
