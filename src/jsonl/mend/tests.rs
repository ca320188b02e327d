use serde_json::json;

use super::*;

fn mended(request: Value) -> (Value, Notes) {
    let mut notes = Notes::default();
    let Value::Object(mut request) = request else { panic!() };
    mend(&mut request, &mut notes).unwrap();
    (Value::Object(request), notes)
}

fn fault(request: Value) -> Fault {
    let Value::Object(mut request) = request else { panic!() };
    mend(&mut request, &mut Notes::default()).unwrap_err()
}

const USER: &str = r#"[{"parts":[{"text":"x"}]}]"#;

fn with(more: Value) -> Value {
    let mut request = json!({"contents": serde_json::from_str::<Value>(USER).unwrap()});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[test]
fn a_good_request_stays_as_it_is_and_nothing_is_said() {
    let good = with(json!({"generationConfig": {"temperature": 0, "thinkingConfig": {"thinkingLevel": "LOW"}},
        "tools": [{"googleSearch": {}}], "systemInstruction": {"parts": [{"text": "s"}]}, "newField": 1}));
    let (made, notes) = mended(good.clone());
    assert_eq!(made, good);
    assert!(notes.fixes().is_empty() && notes.losses().is_empty());
}

#[test]
fn fields_of_the_sdks_config_go_where_the_api_wants_them() {
    let (made, notes) =
        mended(with(json!({"config": {"system_instruction": "s", "temperature": 0.5, "thinking_budget": 5,
        "tools": [{"google_search": {}}], "http_options": {}, "aspect_ratio": "16:9", "safety_settings": null}})));
    let expected = with(json!({"systemInstruction": {"parts": [{"text": "s"}]}, "tools": [{"googleSearch": {}}],
        "generationConfig": {"temperature": 0.5, "thinkingConfig": {"thinkingBudget": 5}, "imageConfig": {"aspectRatio": "16:9"}}}));
    assert_eq!(made, expected);
    assert_eq!(notes.losses(), ["`http_options`: it speaks to the SDK, left out"]);
}

#[test]
fn contents_of_any_shape_become_turns() {
    let turn = json!([{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]);
    assert_eq!(mended(json!({"contents": ["a", "b"]})).0["contents"], turn);
    assert_eq!(mended(json!({"contents": ["a", {"text": "b"}]})).0["contents"], turn);
    assert_eq!(mended(json!({"contents": {"role": "user", "parts": ["a", "b"]}})).0["contents"], turn);
    assert_eq!(mended(json!({"contents": "a"})).0["contents"], json!([{"role": "user", "parts": [{"text": "a"}]}]));
    let talk = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "text": "b"},
        {"role": "user", "inline_data": {"mime_type": "image/png", "data": "QQ=="}}]);
    let (made, _) = mended(json!({"contents": talk}));
    let expected = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]},
        {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]}],
        "systemInstruction": {"parts": [{"text": "s"}]}});
    assert_eq!(made, expected);
}

#[test]
fn two_spellings_are_one_field_if_they_agree() {
    let (made, _) = mended(with(json!({"generation_config": {"topP": 1}, "generationConfig": {"top_p": 1}})));
    assert_eq!(made, with(json!({"generationConfig": {"topP": 1}})));
    let refused = fault(with(json!({"generationConfig": {"top_p": 1, "topP": 0.5}})));
    assert!(refused.cause.contains("`topP` and `top_p` are the same field") && refused.place == "generationConfig");
    assert!(
        fault(with(json!({"temperature": 1, "generationConfig": {"temperature": 0}}))).cause.contains("given twice")
    );
}

#[test]
fn what_cannot_go_together_is_refused() {
    let level = json!({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}}});
    assert!(fault(with(level)).cause.contains("exclude each other"));
    let budget = json!({"generationConfig": {"maxOutputTokens": 100, "thinkingConfig": {"thinkingBudget": "8000"}}});
    assert!(fault(with(budget)).hint.contains("raise maxOutputTokens above 8000"));
    for name in ["tools", "toolConfig", "systemInstruction"] {
        let cached = json!({"cachedContent": "cachedContents/a", name: [{"codeExecution": {}}]});
        assert!(fault(with(cached)).cause.contains(name));
    }
    for vertex in [
        json!({"tools": [{"enterprise_web_search": {}}]}),
        json!({"safetySettings": [{"method": "SEVERITY"}]}),
        json!({"generationConfig": {"routingConfig": {}}}),
        json!({"config": {"audio_timestamp": true}}),
    ] {
        assert!(fault(with(vertex)).cause.contains("only Vertex AI"));
    }
}

#[test]
fn an_empty_cache_conflict_is_none() {
    let (made, _) =
        mended(with(json!({"cachedContent": "cachedContents/a", "tools": [{}], "systemInstruction": null})));
    assert_eq!(made, with(json!({"cachedContent": "cachedContents/a"})));
}
