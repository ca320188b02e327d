use serde_json::json;

use super::*;

fn fields() -> Fields {
    Fields::of_schema(&json!({"type": "OBJECT", "properties": {
        "name": {"type": "STRING"},
        "count": {"type": ["integer", "null"]},
        "price": {"type": "NUMBER"},
        "new": {"type": "boolean"},
        "tags": {"type": "ARRAY", "items": {"type": "STRING"}},
    }}))
}

#[test]
fn a_schema_gives_a_typed_column_for_each_property() {
    let kinds: Vec<_> = fields().columns().iter().map(|column| (column.name.clone(), column.kind)).collect();
    let expected = [
        ("name", Kind::Text),
        ("count", Kind::Integer),
        ("price", Kind::Number),
        ("new", Kind::Boolean),
        ("tags", Kind::Text),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
    assert_eq!(Fields::of_schema(&json!({"type": "array"})), Fields::default());
}

#[test]
fn an_answer_that_the_fields_hold_is_whole() {
    let fields = fields();
    let whole = |text: &str| fields.read(Some(text)).whole;
    assert!(whole(r#"{"name": "a", "count": 1, "price": -2e3, "new": false, "tags": ["x"]}"#));
    assert!(whole(r#"{"name": null, "count": null}"#), "what is not there is null");
    assert!(whole("{}"));
    for text in [
        "",
        "plain",
        "[1]",
        r#"{"name": "a"#,
        r#"{"name": "a"} and more"#,
        r#"{"name": "a", "other": 1}"#,
        r#"{"count": 1.5}"#,
        r#"{"price": "two"}"#,
        r#"{"new": 1}"#,
        r#"{"name": "a", "name": "b"}"#,
    ] {
        assert!(!whole(text), "{text}");
    }
    let parsed = fields.read(Some(r#"{"tags": [1,  2], "name": "a\u0062"}"#));
    assert_eq!(parsed.field(4).unwrap().get(), "[1,  2]");
    assert_eq!(parsed.field(0).unwrap().get(), r#""a\u0062""#);
    assert!(parsed.field(1).is_none());
}

#[test]
fn a_column_is_what_all_its_values_are() {
    let of = |values: Value| {
        let kinds = values.as_array().unwrap().iter().filter_map(Kind::of);
        kinds.reduce(Kind::and).unwrap_or_default()
    };
    assert_eq!(of(json!([1, null, -2])), Kind::Integer);
    assert_eq!(of(json!([1, 1.5])), Kind::Number);
    assert_eq!(of(json!([true, null])), Kind::Boolean);
    for mixed in [json!([1, true]), json!([1, "1"]), json!([u64::MAX]), json!([[1]]), json!([null])] {
        assert_eq!(of(mixed.clone()), Kind::Text, "{mixed}");
    }
}

#[test]
fn json_over_several_lines_becomes_one() {
    let line = json_line(" {\n  \"a\": \"x\\ny\"\r\n}\n").unwrap();
    assert_eq!(line.get(), "{   \"a\": \"x\\ny\"  }");
    assert!(json_line("{\"a\": \"x\ny\"}").is_none(), "a bare line break in a string is no JSON");
}
