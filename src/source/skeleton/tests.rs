use super::*;
use crate::source::{embed_request, generate_request};
use proptest::prelude::*;
use serde_json::{Map, json};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The line made of a JSON row, and the bytes of text counted.
fn line(request: &Value, key: &str, row: Value) -> Result<(String, usize), RowProblem> {
    let row = object(row);
    let mut out = Vec::new();
    let text = Skeleton::compile(request).unwrap().render_line(key, &Row::object(1, None, &row), &mut out)?;
    Ok((String::from_utf8(out).unwrap(), text))
}

#[test]
fn every_string_may_be_a_template_and_the_rest_is_written_as_it_is() {
    let request = json!({
        "contents": [{"role": "user", "parts": [
            {"text": "Describe \"{{ name }}\": {{ features | join(', ') }}"},
            {"fileData": {"fileUri": "{{ uri }}", "mimeType": "image/png"}}
        ]}],
        "generationConfig": {"temperature": 0.1, "topK": 40, "stopSequences": ["\n", "é"], "seed": null},
        "odd \"name\"": [true, {}, [], 1e30, -7]
    });
    let row = json!({"name": "A\\B\n", "features": ["x", "\"y\""], "uri": "files/1"});
    let mut expected = request.clone();
    expected["contents"][0]["parts"][0]["text"] = json!("Describe \"A\\B\n\": x, \"y\"");
    expected["contents"][0]["parts"][1]["fileData"]["fileUri"] = json!("files/1");
    let (line, _) = line(&request, "k \"1\"", row).unwrap();
    assert_eq!(line, json!({"key": "k \"1\"", "request": expected}).to_string());
}

#[test]
fn only_text_for_the_model_is_counted() {
    let request = json!({"contents": [{"parts": [{"text": "né {{ a }}"}, {"text": "{{ a | upper }}"}, {"text": "fixed"}]}],
        "other": "{{ a }} and more"});
    let (_, text) = line(&request, "k", json!({"a": "\"q\""})).unwrap();
    assert_eq!(text, "né \"q\"".len() + "\"q\"".len() + "fixed".len());
}

#[test]
fn a_problem_leaves_the_output_as_it_was() {
    let skeleton = Skeleton::compile(&json!({"a": "some text {{ x }}"})).unwrap();
    let row = object(json!({"y": 1}));
    let mut out = b"before".to_vec();
    let problem = skeleton.render_line("k", &Row::object(4, None, &row), &mut out).unwrap_err();
    assert_eq!((problem.row, problem.column.as_deref()), (4, Some("x")));
    assert_eq!(out, b"before");
}

#[test]
fn a_syntax_error_says_where_in_the_request_it_is() {
    let error =
        Skeleton::compile(&json!({"contents": [{"parts": [{"text": "ok"}, {"text": "{{ a | }}"}]}]})).unwrap_err();
    assert_eq!(error.act(), "compiling the template at request.contents.0.parts.1.text");
    assert!(error.cause().starts_with("line 1, column"), "{error}");
    assert_eq!(Skeleton::compile(&json!("text")).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn columns_are_listed_once_and_checked() {
    let request = generate_request("{{ a }} {{ b | upper }}", Some("{{ a }}"));
    let skeleton = Skeleton::compile(&request).unwrap();
    assert_eq!(skeleton.columns(), ["a", "b"]);
    assert!(skeleton.has_templates());
    skeleton.check_columns(&["a".to_owned(), "b".to_owned()]).unwrap();
    assert_eq!(skeleton.check_columns(&["a".to_owned()]).unwrap_err().cause(), "there is no column b");
}

#[test]
fn an_embedding_line_is_what_the_api_takes() {
    let request = embed_request("{{ t }}", None, Some(3), None);
    let expected = r#"{"key":"1","request":{"content":{"parts":[{"text":"x"}]},"outputDimensionality":3}}"#;
    assert_eq!(line(&request, "1", json!({"t": "x"})).unwrap(), (expected.to_owned(), 1));
}

proptest! {
    #[test]
    fn a_line_is_byte_for_byte_what_serde_json_writes(
        key in any::<String>(), a in any::<String>(), b in "(?s).{0,40}", literal in "[^{}]{0,30}", system in "[^{}]{0,30}",
    ) {
        for logic in ["", "{# #}"] {
            let request = generate_request(&format!("{literal}{{{{ a }}}}-{{{{b}}}}{logic}"), Some(&system));
            let mut expected = request.clone();
            expected["contents"][0]["parts"][0]["text"] = json!(format!("{literal}{a}-{b}"));
            let (line, text) = line(&request, &key, json!({"a": a, "b": b})).unwrap();
            prop_assert_eq!(text, literal.len() + a.len() + 1 + b.len() + system.len());
            prop_assert_eq!(line, serde_json::to_string(&json!({"key": key, "request": expected})).unwrap());
        }
    }
}

#[test]
fn media_stand_before_the_prompt_in_the_users_last_turn() {
    let request = json!({"contents": [
        {"role": "user", "parts": [{"text": "an example"}]},
        {"role": "user", "parts": [{"text": "{{ a }}"}]},
        {"role": "model", "parts": [{"text": "Sure:"}]},
    ]});
    let skeleton = Skeleton::compile(&request).unwrap();
    assert!(skeleton.takes_media());
    let row = Map::from_iter([("a".to_owned(), json!("x"))]);
    let line = |skeleton: &Skeleton, media: &[u8]| {
        let mut out = Vec::new();
        skeleton.render_line_with("k", &Row::object(1, None, &row), media, &mut out).unwrap();
        serde_json::from_slice::<Value>(&out).unwrap()["request"].clone()
    };
    let with = line(&skeleton, br#"{"text":"1"},{"text":"2"}"#);
    assert_eq!(with["contents"][1]["parts"], json!([{"text": "1"}, {"text": "2"}, {"text": "x"}]));
    assert_eq!(line(&skeleton, b"")["contents"][1]["parts"], json!([{"text": "x"}]));

    let embed = Skeleton::compile(&json!({"content": {"parts": []}})).unwrap();
    assert_eq!(line(&embed, br#"{"text":"1"}"#), json!({"content": {"parts": [{"text": "1"}]}}));
    assert!(!Skeleton::compile(&json!({"contents": [{"role": "model", "parts": []}]})).unwrap().takes_media());
}
