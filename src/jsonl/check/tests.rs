use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::job::media::MediaTokens;

fn check(line: &str) -> (LineFacts<'_>, Vec<Finding>) {
    let mut findings = Vec::new();
    let facts = check_line(line.as_bytes(), 7, &mut findings);
    (facts, findings)
}

/// The findings of a request, as "column path: message (hint)" with E or W in front.
fn said(request: &str) -> Vec<String> {
    let line = format!(r#"{{"key":"a","request":{request}}}"#);
    let findings = check(&line).1;
    let tell = |f: &Finding| {
        let severity = if f.severity == Severity::Error { "E" } else { "W" };
        format!("{severity} {}: {} ({})", f.path, f.message, f.hint.as_deref().unwrap_or("-"))
    };
    findings.iter().map(tell).collect()
}

/// A generate request with these fields after its contents.
fn with(fields: &str) -> String {
    format!(r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}}],{fields}}}"#)
}

fn only(request: &str) -> String {
    let mut said = said(request);
    assert_eq!(said.len(), 1, "{said:#?}");
    said.remove(0)
}

const FULL: &str = r#"{"systemInstruction":{"parts":[{"text":"Answer in French."}]},
"contents":[{"role":"user","parts":[{"text":"2+2?"},{"inline_data":{"mime_type":"image/png","data":"AAAABBBB"}},
{"fileData":{"fileUri":"https://example.org/a","mimeType":"image/jpeg"}}]}],
"generation_config":{"maxOutputTokens":256,"candidate_count":"2","temperature":1,"topP":0.5,"responseModalities":["Text","IMAGE"],
"responseMimeType":"application/json","responseSchema":{"type":"object","properties":{"anything at all":{"type":"INTEGER","minItems":"3"}}},
"thinkingConfig":{"thinkingLevel":"low"}},"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],
"tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"no":{"such":["field"]}}}]}],"labels":{"a":"b"}}"#;

#[test]
fn a_full_request_in_mixed_spellings_is_read_without_errors_and_its_facts_are_told() {
    let line = format!(r#"{{"key":"r-1","request":{}}}"#, FULL.replace('\n', ""));
    let (facts, findings) = check(&line);
    let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["`candidate_count` is 2"], "which is to be known, and nothing is wrong with it");
    assert!(matches!(facts.key, Some(Cow::Borrowed("r-1"))));
    let expected = LineFacts {
        key: facts.key.clone(),
        kind: Some(Kind::Generate),
        input_tokens: 5 + 1 + 2,
        max_output_tokens: Some(256),
        media: MediaTokens::default(),
        unmeasured: 1,
        has_file_data: true,
        candidate_count: Some(2),
        names_modalities: true,
        wants_images: true,
        wants_audio: false,
        grounded: true,
    };
    assert_eq!(facts, expected);
}

#[test]
fn media_inside_are_measured_in_the_resolution_that_is_said_after_them() {
    let gif = "R0lGODlhAAQABAAAADs=";
    let line = |config: &str| {
        format!(
            r#"{{"key":"a","request":{{"contents":[{{"parts":[{{"inlineData":{{"mimeType":"image/gif","data":"{gif}"}}}}]}}]{config}}}}}"#
        )
    };
    let tokens = |config: &str| check(&line(config)).0.media.pictures.of("gemini-2.5-flash");
    assert_eq!(tokens(""), 4 * 258);
    assert_eq!(tokens(r#","generationConfig":{"mediaResolution":"MEDIA_RESOLUTION_LOW"}"#), 64);
}

#[test]
fn an_embedding_request_is_told_from_a_generating_one() {
    let line = r#"{"request":{"output_dimensionality":3,"content":{"parts":[{"text":"1"}]}},"key":"k"}"#;
    let (facts, findings) = check(line);
    assert_eq!(findings, []);
    assert_eq!((facts.kind, facts.input_tokens), (Some(Kind::Embed), 1));
    let odd = only(&with(r#""taskType":"CLUSTERING""#));
    assert!(odd.starts_with("E request: `taskType` belongs to embedding requests"), "{odd}");
}

#[test]
fn a_misspelt_field_is_named_with_the_nearest_known_one() {
    assert_eq!(
        only(&with(r#""generation_confg":{}"#)),
        "W request.generation_confg: `generation_confg` is not a known field (did you mean `generation_config`?)"
    );
    let said = only(&with(r#""generationConfig":{"MaxTokens":3}"#));
    assert!(said.starts_with("W request.generationConfig.MaxTokens: `MaxTokens` is not a known field"), "{said}");
}

#[test]
fn a_field_in_the_wrong_place_is_told_where_it_belongs() {
    for (field, path) in [
        (r#""thinking_config":{"thinkingBudget":0}"#, "request.generationConfig"),
        (r#""temperature":1"#, "request.generationConfig"),
        (r#""responseSchema":{}"#, "request.generationConfig"),
        (r#""generationConfig":{"cachedContent":"cachedContents/a"}"#, "request"),
        (r#""generationConfig":{"safetySettings":[]}"#, "request"),
        (r#""generationConfig":{"thinkingBudget":1}"#, "request.generationConfig.thinkingConfig"),
    ] {
        let said = only(&with(field));
        assert!(said.starts_with("E ") && said.ends_with(&format!("(it belongs in `{path}`)")), "{said}");
    }
}

#[test]
fn what_the_api_is_known_to_refuse_is_an_error_with_the_way_out() {
    for (request, message, hint) in [
        (with(r#""config":{"temperature":1}"#), "no field `config`", "under `generationConfig`"),
        (with(r#""systemInstruction":"be brief""#), "`systemInstruction` must be an object, not a string", "parts"),
        (with(r#""system_instruction":["be brief"]"#), "must be an object, not an array", "parts"),
        (with(r#""cachedContent":"c","tools":[]"#), "`cachedContent` cannot stand beside `tools`", "leave it out"),
        (r#"{"contents":"hi"}"#.into(), "`contents` must be an array, not a string", "parts"),
        (r#"{"contents":[]}"#.into(), "`contents` is empty", "parts"),
        (r#"{"contents":[{"role":"user"}]}"#.into(), "`parts` is missing", "text"),
        (r#"{"contents":[{"parts":[]}]}"#.into(), "`parts` is empty", "text"),
        (r#"{"contents":[{"parts":["hi"]}]}"#.into(), "an item of `parts` must be an object, not a string", "text"),
        (r#"{"contents":[{"parts":[{}]}]}"#.into(), "a part is empty", "text"),
        (r#"{"contents":[null]}"#.into(), "an item of `contents` must be an object, not null", "parts"),
        (r#"{"contents":null}"#.into(), "neither `contents` nor `content`", "parts"),
        (
            r#"{"contents":[{"parts":[{"text":"a","inlineData":{"data":"","mimeType":"a"}}]}]}"#.into(),
            "one part holds `text` and `inlineData`",
            "part of its own",
        ),
        (with(r#""generationConfig":{},"generation_config":{}"#), "are the same field", "keep one"),
        (with(r#""model":"a","model":"a""#), "`model` is given twice", "keep one"),
        (with(r#""store":"yes""#), "`store` must be true or false, not a string", "-"),
        (with(r#""generationConfig":{"topK":1.5}"#), "`topK` must be a whole number", "-"),
        (with(r#""generationConfig":{"stopSequences":"a"}"#), "`stopSequences` must be an array", "-"),
    ] {
        let said = only(&request);
        assert!(said.starts_with("E ") && said.contains(message) && said.contains(hint), "{request}: {said}");
    }
}

#[test]
fn an_unknown_value_is_a_warning_with_the_nearest_known_one() {
    assert_eq!(
        only(&with(r#""safetySettings":[{"category":"HARM_CATEGORY_HARRASMENT"}]"#)),
        "W request.safetySettings[0].category: `category` has the unknown value `HARM_CATEGORY_HARRASMENT` \
         (did you mean `HARM_CATEGORY_HARASSMENT`?)"
    );
    let said = only(r#"{"contents":[{"role":"assistant","parts":[{"text":"a"}]}]}"#);
    assert!(said.contains("known values: user, model"), "{said}");
}

#[test]
fn null_means_not_set() {
    assert_eq!(said(&with(r#""generationConfig":{"temperature":null,"seed":null},"tools":null"#)), [""; 0]);
}

#[test]
fn lines_of_another_format_get_one_finding_that_says_so() {
    for (line, message) in [
        (r#"{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{}}"#, "the request is not wrapped"),
        (r#"{"key":"a","contents":[]}"#, "the request is not wrapped"),
        (r#"{"custom_id":"1","method":"POST","url":"/v1","body":{"messages":[]}}"#, "OpenAI"),
        (r#"{"response":{"candidates":[]},"key":"a"}"#, "an answer"),
        (r#"["a",{"contents":[1]}]"#, "must be an object, not an array"),
        ("\"a\"", "must be an object, not a string"),
        ("null", "must be an object, not null"),
        ("17", "must be an object, not a number"),
        (r#"{"key":"a","request":{"contents":[{"parts":[{"text":"a"}]}]},"extra":1}"#, "`extra` is not a known field"),
        (r#"{"request":{"contents":[{"parts":[{"text":"a"}]}]}}"#, "`key` is missing"),
        (r#"{"key":"","request":{"contents":[{"parts":[{"text":"a"}]}]}}"#, "`key` is empty"),
        (r#"{"key":5,"request":{"contents":[{"parts":[{"text":"a"}]}]}}"#, "`key` must be a string, not a number"),
        (r#"{"key":"a","key":"b","request":{"contents":[{"parts":[{"text":"a"}]}]}}"#, "`key` is given twice"),
        (r#"{"key":"a","request":[{"contents":[1]}]}"#, "`request` must be an object, not an array"),
        (r#"{"key":"a"}"#, "`request` is missing"),
    ] {
        let findings = check(line).1;
        assert_eq!(findings.len(), 1, "{line}: {findings:#?}");
        assert!(findings[0].message.contains(message), "{line}: {findings:#?}");
        assert_eq!((findings[0].severity, findings[0].line), (Severity::Error, 7));
    }
}

#[test]
fn one_mistake_does_not_hide_the_next() {
    let said =
        said(r#"{"contents":[{"parts":[{"text":1},{"txet":"a"}]}],"config":{},"store":3,"tools":[{"urlContext":[]}]}"#);
    assert_eq!(said.len(), 5, "{said:#?}");
}

#[test]
fn columns_are_those_of_the_field_or_the_value() {
    let line = r#"{"key":"a","request":{"contents":[{"role":"usr","parts":[{"text":"é","thinking_config":1}]}]}}"#;
    let findings = check(line).1;
    let at = |needle| line.find(needle).unwrap() as u64 + 1;
    assert_eq!(findings.iter().map(|f| f.column).collect::<Vec<_>>(), [at("usr"), at("thinking_config")]);
    let broken = r#"{"key":"a","request":{"contents":[}]}"#;
    assert_eq!(check(broken).1[0].column, broken.find('}').unwrap() as u64 + 1);
    let mut bytes = br#"{"key":"a?"}"#.to_vec();
    bytes[9] = 0xFF;
    let mut findings = Vec::new();
    check_line(&bytes, 1, &mut findings);
    assert_eq!((findings[0].column, findings[0].message.as_str()), (10, "the line is not valid UTF-8"));
}

#[test]
fn keys_with_escapes_are_keys_too() {
    let (facts, findings) =
        check(r#"{"\u006bey":"a\n\u00e9","request":{"contents":[{"parts":[{"te\u0078t":"a\"b"}]}]}}"#);
    assert_eq!((facts.key.as_deref(), findings), (Some("a\né"), vec![]));
}

#[test]
fn a_line_full_of_mistakes_does_not_fill_the_memory() {
    let line = format!(r#"{{"key":"a",{}"b":1}}"#, r#""a":1,"#.repeat(10_000));
    assert_eq!(check(&line).1.len(), MAX_FINDINGS);
}

/// JSON of any shape, in which the names of the schema are frequent.
fn any_json() -> impl Strategy<Value = Json> {
    let name = prop_oneof![
        proptest::sample::select(vec![
            "key",
            "request",
            "contents",
            "content",
            "parts",
            "text",
            "tools",
            "generationConfig",
            "generation_config",
            "systemInstruction",
            "cachedContent",
            "responseSchema",
            "properties",
            "items",
            "inlineData",
            "data",
            "config",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from)
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            proptest::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_checked_and_every_column_lies_in_the_line(request in any_json(), whole in any::<bool>()) {
        let line = if whole { request } else { json!({"key": "a", "request": request}) }.to_string();
        for finding in check(&line).1 {
            prop_assert!(1 <= finding.column && finding.column <= line.len() as u64, "{finding:?} in {line}");
        }
    }

    #[test]
    fn a_mutated_line_is_checked_and_broken_json_is_never_let_through(at in 0usize..700, byte in any::<u8>(), cut in any::<bool>()) {
        let mut line = format!(r#"{{"key":"r-1","request":{}}}"#, FULL.replace('\n', "")).into_bytes();
        let at = at % line.len();
        if cut { line.truncate(at) } else { line[at] = byte }
        let mut findings = Vec::new();
        check_line(&line, 1, &mut findings);
        prop_assert!(findings.iter().all(|f| 1 <= f.column && f.column <= line.len().max(1) as u64));
        if serde_json::from_slice::<Json>(&line).is_err() {
            prop_assert!(findings.iter().any(|f| f.severity == Severity::Error));
        }
    }

    #[test]
    fn any_bytes_are_checked(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut findings = Vec::new();
        check_line(&bytes, 1, &mut findings);
        prop_assert!(!findings.is_empty());
    }
}
