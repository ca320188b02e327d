use super::*;
use serde_json::json;

fn answered(text: &str) -> Answer<'_> {
    Answer { text: Some(Cow::Borrowed(text)), ..Answer::bare(Outcome::Answered) }
}

fn price() -> Checker {
    let schema = json!({"type": "OBJECT", "required": ["price"], "properties": {
        "price": {"type": "NUMBER", "minimum": 0},
        "tags": {"type": "ARRAY", "items": {"type": "STRING", "enum": ["a", "b"]}},
    }});
    Checker::new(true, Some(&schema)).unwrap()
}

#[test]
fn an_answer_that_breaks_its_schema_is_invalid_and_says_where() {
    for (text, reason, message) in [
        (r#"{"price": "12"}"#, "price: not of type number", r#"/price: "12" is not of type "number""#),
        ("{}", "the answer: \"price\" is missing", r#"/: "price" is a required property"#),
        (r#"{"price": -1}"#, "price: less than 0", "/price: -1 is less than the minimum of 0"),
        (
            r#"{"price": 1, "tags": ["a", "c"]}"#,
            "tags.[]: none of the values allowed",
            r#"/tags/1: "c" is not one of "a" or "b""#,
        ),
    ] {
        let (answer, _) = price().check(answered(text));
        assert_eq!(answer.outcome, Outcome::Invalid, "{text}");
        assert_eq!((answer.reason.as_deref(), answer.message.as_deref()), (Some(reason), Some(message)));
    }
    let (answer, json) = price().check(answered(r#"{"price": 12}"#));
    assert_eq!((answer.outcome, json), (Outcome::Answered, Some(json!({"price": 12}))));
}

#[test]
fn a_huge_value_is_not_repeated_in_the_message() {
    let text = json!({"price": "9".repeat(100_000)}).to_string();
    let (answer, _) = price().check(answered(&text));
    assert!(answer.message.unwrap().len() < 400);
}

#[test]
fn json_in_a_fence_is_json_and_the_fence_goes() {
    for text in ["```json\n{\"price\": 1}\n```", "\n```\r\n{\"price\": 1}```  ", "```JSON\n\n{\"price\": 1}\n\n```\n"] {
        for owned in [false, true] {
            let mut answer = answered(text);
            if owned {
                answer.text = Some(Cow::Owned(text.to_owned()));
            }
            let (answer, _) = price().check(answer);
            assert_eq!(answer.outcome, Outcome::Answered, "{text}");
            assert_eq!(answer.text.as_deref(), Some("{\"price\": 1}"));
            assert!(answer.unfenced);
        }
    }
    for text in ["```json\n{\"price\": \n```", "```json {} ```", "Here: ```json\n{}\n```", "```"] {
        assert_eq!(must_be_json(answered(text)).outcome, Outcome::Invalid, "{text}");
    }
}

#[test]
fn answers_of_any_kind_are_left_alone_but_read() {
    let checker = Checker::new(false, None).unwrap().parsing(true);
    let (answer, json) = checker.check(answered("```json\n[1]\n```"));
    assert_eq!((answer.text.as_deref(), json), (Some("```json\n[1]\n```"), Some(json!([1]))));
    let (answer, json) = checker.check(answered("no JSON"));
    assert_eq!((answer.outcome, json), (Outcome::Answered, None));
}

#[test]
fn only_answers_are_held_against_the_schema() {
    let cut = Answer { outcome: Outcome::Truncated, ..answered("{\"price\": ") };
    assert_eq!(price().check(cut).0.outcome, Outcome::Truncated);
}
