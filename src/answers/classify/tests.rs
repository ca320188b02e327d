use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn line(body: &Value) -> Vec<u8> {
    let mut line = json!({"key": "r-1"});
    line.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    line.to_string().into_bytes()
}

fn stopped(finish_reason: &str, parts: &Value) -> Value {
    json!({"response": {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish_reason}]}})
}

/// Outcome, reason and text of an answer.
fn verdict(body: &Value) -> (Outcome, Option<String>, Option<String>) {
    let line = line(body);
    let answer = Answer::read(&line, false);
    (answer.outcome, answer.reason.map(String::from), answer.text.map(String::from))
}

#[test]
fn the_answer_of_the_documentation_is_answered() {
    let line = br#"{"response":{"responseId":"6VFkaIDwEPXVjMcP4-XW6Qo","usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":11,"thoughtsTokenCount":829,"totalTokenCount":848,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8}]},"candidates":[{"content":{"role":"model","parts":[{"text":"Four."}]},"finishReason":"STOP","index":0}],"modelVersion":"gemini-2.5-flash"},"key":"request_1"}"#;
    let answer = Answer::read(line, false);
    assert_eq!((answer.outcome, answer.text.as_deref()), (Outcome::Answered, Some("Four.")));
    assert_eq!((answer.reason, answer.message, answer.code), (None, None, None));
    assert_eq!(answer.finish_reason.as_deref(), Some("STOP"));
    assert_eq!(answer.model_version.as_deref(), Some("gemini-2.5-flash"));
    let usage = Usage { input_tokens: 8, output_tokens: 840, thinking_tokens: 829, ..Usage::default() };
    assert_eq!(answer.usage, Some(usage));
}

#[test]
fn the_vector_of_the_documentation_is_answered() {
    let line = br#"{"response":{"tokenCount":"1","embedding":{"values":[-0.03,0.002]}},"key":"request_1"}"#;
    let answer = Answer::read(line, true);
    assert_eq!(answer.outcome, Outcome::Answered);
    assert_eq!(answer.embedding.unwrap().get(), "[-0.03,0.002]");
    assert_eq!(answer.usage, Some(Usage { input_tokens: 1, ..Usage::default() }));
    let (outcome, ..) = verdict(&json!({"response": {"embedding": {"values": []}}}));
    assert_eq!(outcome, Outcome::Empty);
}

#[test]
fn an_error_is_failed_and_named_by_its_word() {
    let body = line(&json!({"error": {"code": 8, "message": "quota"}}));
    let answer = Answer::read(&body, false);
    assert_eq!(answer.outcome, Outcome::Failed);
    assert_eq!(answer.complaint(), "RESOURCE_EXHAUSTED: quota");
    assert_eq!(answer.code, Some(8));
    assert_eq!(answer.usage, None);
    assert_eq!(verdict(&json!({"error": {"code": "invalid_request"}})).1.unwrap(), "invalid_request");
    assert_eq!(verdict(&json!({"error": {}})).1.unwrap(), reasons::NO_CODE);
    assert_eq!(verdict(&json!({})).1.unwrap(), reasons::NO_RESPONSE);
}

#[test]
fn a_refused_prompt_is_blocked() {
    for candidates in [json!(null), json!([])] {
        let body =
            json!({"response": {"candidates": candidates, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}});
        assert_eq!(verdict(&body), (Outcome::Blocked, Some("prompt: PROHIBITED_CONTENT".into()), None));
    }
}

#[test]
fn a_filtered_answer_is_blocked_with_the_reason() {
    for reason in ["SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"] {
        let body = json!({"response": {"candidates": [{"finishReason": reason, "finishMessage": "why"}]}});
        let line = line(&body);
        let answer = Answer::read(&line, false);
        assert_eq!(answer.outcome, Outcome::Blocked);
        assert_eq!(answer.complaint(), format!("{reason}: why"));
    }
}

#[test]
fn a_truncated_answer_keeps_its_text() {
    let body = stopped("MAX_TOKENS", &json!([{"text": "Once upon"}]));
    assert_eq!(verdict(&body), (Outcome::Truncated, Some("MAX_TOKENS".into()), Some("Once upon".into())));
    let body = stopped("MAX_TOKENS", &json!([{"text": "hm", "thought": true}]));
    assert_eq!(verdict(&body), (Outcome::Truncated, Some("MAX_TOKENS".into()), None));
}

#[test]
fn an_answer_without_content_is_empty_and_says_what_was_there() {
    for (parts, reason) in [
        (json!([]), reasons::NO_CONTENT),
        (json!([{}]), reasons::NO_CONTENT),
        (json!([{"text": " \n"}]), reasons::ONLY_SPACE),
        (json!([{"text": "hm", "thought": true}]), reasons::ONLY_THOUGHTS),
        (json!([{"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}]), reasons::ONLY_CODE),
    ] {
        let (outcome, found, _) = verdict(&stopped("STOP", &parts));
        assert_eq!((outcome, found.as_deref()), (Outcome::Empty, Some(reason)), "{parts}");
    }
    for response in [json!({}), json!({"candidates": []})] {
        let (outcome, found, _) = verdict(&json!({"response": response}));
        assert_eq!((outcome, found.as_deref()), (Outcome::Empty, Some(reasons::NO_CANDIDATES)));
    }
}

#[test]
fn an_answer_gone_wrong_is_failed_even_with_text() {
    for reason in ["OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "NO_IMAGE", "MALFORMED_RESPONSE"] {
        let (outcome, found, _) = verdict(&stopped(reason, &json!([{"text": "some"}])));
        assert_eq!((outcome, found.as_deref()), (Outcome::Failed, Some(reason)));
    }
}

#[test]
fn an_unknown_finish_reason_is_shown_and_content_decides() {
    let body = line(&stopped("NEW_WORD", &json!([{"text": "yes"}])));
    let answer = Answer::read(&body, false);
    assert_eq!((answer.outcome, answer.finish_reason.as_deref()), (Outcome::Answered, Some("NEW_WORD")));
    let (outcome, reason, _) = verdict(&stopped("NEW_WORD", &json!([])));
    assert_eq!((outcome, reason.as_deref()), (Outcome::Empty, Some("NEW_WORD")));
    let (outcome, ..) = verdict(&stopped("FINISH_REASON_UNSPECIFIED", &json!([{"text": "yes"}])));
    assert_eq!(outcome, Outcome::Answered);
}

#[test]
fn media_and_function_calls_are_answers() {
    let parts = json!([
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"functionCall": {"name": "add", "args": {"a": 1}}},
    ]);
    let body = line(&stopped("STOP", &parts));
    let answer = Answer::read(&body, true);
    assert_eq!(answer.outcome, Outcome::Answered);
    let image = &answer.media[0];
    assert_eq!((image.mime.as_ref(), image.bytes, image.base64.as_ref()), ("image/png", 8, "iVBORw0KGgo="));
    assert_eq!(answer.cell(), r#"[{"name":"add","args":{"a":1}}]"#);
}

#[test]
fn text_that_has_to_be_json_and_is_not_is_invalid() {
    let read = |text: &str| {
        let body = line(&stopped("STOP", &json!([{"text": text}])));
        let answer = Answer::read(&body, true);
        (answer.outcome, answer.complaint().into_owned(), answer.text.map(String::from))
    };
    assert_eq!(read(" {\"n\": 1} ").0, Outcome::Answered);
    let (outcome, complaint, text) = read("{\"n\": ");
    assert_eq!((outcome, text.as_deref()), (Outcome::Invalid, Some("{\"n\": ")));
    assert!(complaint.starts_with("not JSON: EOF"), "{complaint}");
    assert_eq!(read("```json\n{}\n```"), (Outcome::Answered, String::new(), Some("{}".to_owned())));
    let cut_off = line(&stopped("MAX_TOKENS", &json!([{"text": "{"}])));
    assert_eq!(Answer::read(&cut_off, true).outcome, Outcome::Truncated);
}

#[test]
fn usage_is_what_is_billed() {
    let body = json!({"response": {"usageMetadata": {
        "promptTokenCount": 100, "cachedContentTokenCount": 40, "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": "20", "thoughtsTokenCount": 5,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 50},
            {"modality": "IMAGE", "tokenCount": 11}, {"modality": "DOCUMENT", "tokenCount": 5}, {"modality": "VIDEO", "tokenCount": 4}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 12}, {"modality": "AUDIO", "tokenCount": 3}],
    }}});
    let expected = Usage {
        input_tokens: 107,
        cached_tokens: 40,
        audio_input_tokens: 20,
        image_input_tokens: 16,
        video_input_tokens: 4,
        output_tokens: 25,
        thinking_tokens: 5,
        image_tokens: 12,
        audio_tokens: 3,
    };
    assert_eq!(Answer::read(&line(&body), false).usage, Some(expected));
}

#[test]
fn a_line_that_cannot_be_read_is_failed_and_says_why() {
    for broken in [&b"{\"key\":\"a\",\"response\":{\"candidates\":3}}"[..], b"[]", b"\xff", b""] {
        let answer = Answer::read(broken, false);
        assert_eq!((answer.outcome, answer.reason.as_deref()), (Outcome::Failed, Some(reasons::UNREADABLE)));
        assert!(answer.message.is_some());
    }
}

fn parts() -> impl Strategy<Value = Vec<(String, bool)>> {
    proptest::collection::vec((".{0,6}", any::<bool>()), 0..6)
}

proptest! {
    #[test]
    fn the_text_is_the_parts_that_are_not_thoughts(parts in parts()) {
        let wire: Vec<_> = parts.iter().map(|(text, thought)| json!({"text": text, "thought": thought})).collect();
        let expected: String = parts.iter().filter(|(_, thought)| !thought).map(|(text, _)| text.as_str()).collect();
        let body = line(&stopped("STOP", &json!(wire)));
        let answer = Answer::read(&body, false);
        prop_assert_eq!(answer.text.as_deref().unwrap_or_default(), expected.as_str());
        let has_text = !expected.trim().is_empty();
        prop_assert_eq!(answer.outcome, if has_text { Outcome::Answered } else { Outcome::Empty });
    }

    #[test]
    fn a_damaged_line_never_panics(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
        let parts = json!([{"text": "a"}, {"inlineData": {"mimeType": "x/y", "data": "AAAA"}}]);
        let mut body = line(&stopped("STOP", &parts));
        let length = body.len();
        body[at % length] = byte;
        body.truncate(cut.max(length / 2));
        let answer = Answer::read(&body, true);
        prop_assert!(answer.outcome != Outcome::Missing && answer.outcome != Outcome::Pending);
    }
}
