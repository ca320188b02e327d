use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn sent(given: Value) -> Value {
    read(&given, &mut Notes::default()).unwrap().sent
}

fn notes(given: &Value) -> (Vec<String>, Vec<String>) {
    let mut notes = Notes::default();
    read(given, &mut notes).unwrap();
    (notes.fixes(), notes.losses())
}

#[test]
fn types_go_upper_case_and_order_is_kept() {
    let given = json!({"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer", "minimum": 1}},
        "required": ["a"]});
    let expected = json!({"type": "OBJECT", "properties": {"b": {"type": "STRING"}, "a": {"type": "INTEGER", "minimum": 1}},
        "required": ["a"], "propertyOrdering": ["b", "a"]});
    assert_eq!(sent(given), expected);
}

#[test]
fn each_way_to_allow_null_becomes_nullable() {
    let expected = json!({"type": "STRING", "nullable": true});
    for given in [
        json!({"type": ["string", "null"]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
        json!({"type": "string", "nullable": true}),
        json!({"type": "STRING", "nullable": true}),
    ] {
        let read = read(&given, &mut Notes::default()).unwrap();
        assert_eq!(read.sent, expected, "{given}");
        let validator = jsonschema::validator_for(&read.plain).unwrap();
        assert!(validator.is_valid(&json!(null)) && validator.is_valid(&json!("x")) && !validator.is_valid(&json!(1)));
    }
}

#[test]
fn definitions_are_written_out_and_a_circle_is_refused() {
    let given = json!({"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "object", "properties": {"x": {"$ref": "#/$defs/x"}}},
        "x": {"type": "string"}}});
    assert_eq!(sent(given), json!({"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}));
    let circle = json!({"type": "object", "properties": {"child": {"$ref": "#"}}});
    let fault = read(&circle, &mut Notes::default()).unwrap_err();
    assert!(fault.place == "properties.child" && fault.cause.contains("refers to itself"), "{fault:?}");
    let longer = json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}},
        "b": {"allOf": [{"$ref": "#/$defs/a"}]}}});
    assert!(read(&longer, &mut Notes::default()).unwrap_err().cause.contains("refers to itself"));
    let diamond = json!({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}});
    assert_eq!(sent(diamond), json!({"type": "STRING"}));
}

#[test]
fn references_that_double_at_each_level_are_refused_and_do_not_fill_the_memory() {
    let mut schema = json!({"$ref": "#/$defs/d0", "$defs": {"d20": {"type": "string"}}});
    for level in 0..20 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        schema["$defs"][format!("d{level}")] = json!({"type": "object", "properties": {"a": next, "b": next}});
    }
    assert!(read(&schema, &mut Notes::default()).is_err());
    for level in 0..20 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        schema["$defs"][format!("d{level}")] = json!({"allOf": [next, next]});
    }
    assert!(read(&schema, &mut Notes::default()).is_err());
}

#[test]
fn counts_are_strings_and_bounds_of_whole_numbers_move_in() {
    let given =
        json!({"type": "array", "minItems": 2, "items": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9}});
    let expected = json!({"type": "ARRAY", "minItems": "2", "items": {"type": "INTEGER", "minimum": 1, "maximum": 9}});
    assert_eq!(sent(given), expected);
}

#[test]
fn one_value_is_an_enum_and_other_values_than_strings_are_described() {
    assert_eq!(sent(json!({"const": "yes"})), json!({"type": "STRING", "enum": ["yes"]}));
    assert_eq!(
        sent(json!({"enum": [1, 2, null]})),
        json!({"type": "INTEGER", "description": "One of 1, 2.", "nullable": true})
    );
    assert_eq!(sent(json!({"type": "string", "enum": ["", "a"]})), json!({"type": "STRING", "enum": ["a"]}));
    let numbers = read(&json!({"type": "INTEGER", "enum": ["1", "2"]}), &mut Notes::default()).unwrap();
    assert!(jsonschema::validator_for(&numbers.plain).unwrap().is_valid(&json!(1)));
}

#[test]
fn several_types_become_a_choice_each_with_what_applies_to_it() {
    let given = json!({"type": ["string", "integer", "null"], "maxLength": 3, "minimum": 0, "description": "either"});
    let expected = json!({"description": "either", "nullable": true,
        "anyOf": [{"type": "STRING", "maxLength": "3"}, {"type": "INTEGER", "minimum": 0}]});
    assert_eq!(sent(given), expected);
}

#[test]
fn what_the_api_does_not_know_is_dropped_and_told_once() {
    let object = json!({"type": "object", "properties": {"x": {"type": "string", "format": "email"}}, "additionalProperties": false});
    let given = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {"a": object, "b": object}, "additionalProperties": false, "not": {"required": ["c"]}});
    let (fixes, losses) = notes(&given);
    assert_eq!(fixes.len(), 2, "{fixes:#?}");
    assert!(fixes[0].starts_with("$schema: left out"), "{fixes:#?}");
    assert!(fixes[1].starts_with("additionalProperties: false at properties.a, properties.b: left out"), "{fixes:#?}");
    assert_eq!(losses.len(), 2, "{losses:#?}");
    assert!(
        losses.iter().any(|loss| loss.starts_with("the format `email` at properties.a.properties.x, ")),
        "{losses:#?}"
    );
    assert!(!sent(given).to_string().contains("additional"));
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (given, place) in [
        (json!({"type": "strng"}), "type"),
        (json!({"type": "object", "properties": {"a": {"type": "object", "required": true}}}), "properties.a.required"),
        (json!({"type": "STRNG"}), "type"),
        (json!({"properties": []}), "properties"),
        (json!({"type": "string", "pattern": "("}), "pattern"),
        (json!({"properties": {"a": {"$ref": "#/$defs/none"}}}), ""),
        (json!({"$ref": "https://example.com/schema.json"}), ""),
        (json!([1]), ""),
    ] {
        let fault = read(&given, &mut Notes::default()).unwrap_err();
        assert!(fault.place.contains(place) && !fault.hint.is_empty(), "{given}: {fault:?}");
    }
}

/// What the API's dialect is in JSON Schema, which of these answers pass, and which do not.
#[test]
fn the_dialect_of_the_api_becomes_json_schema() {
    let cases = [
        (json!({"type": "INTEGER", "enum": ["1", "2"]}), json!([1, 2]), json!([3, "1", null])),
        (json!({"type": "NUMBER", "enum": ["0.5", "2"], "nullable": true}), json!([0.5, 2, null]), json!([1, "2"])),
        (json!({"type": "INTEGER", "enum": ["one"]}), json!([1, 7]), json!(["one"])),
        (json!({"type": "STRING", "enum": ["1"], "nullable": true}), json!(["1", null]), json!([1])),
        (json!({"anyOf": [{"type": "STRING"}], "nullable": true}), json!(["a", null]), json!([1])),
        (json!({"const": "a", "nullable": true}), json!(["a", null]), json!(["b"])),
        (
            json!({"oneOf": [{"type": "string"}, {"type": ["null", "integer"]}], "nullable": true}),
            json!([null]),
            json!([[]]),
        ),
        (
            json!({"$ref": "#/$defs/a", "nullable": true, "$defs": {"a": {"type": "STRING"}}}),
            json!(["a", null]),
            json!([1]),
        ),
        (json!({"properties": {"a": {"type": "STRING"}}, "nullable": true}), json!([{}, null]), json!([{"a": 1}])),
        (json!({"type": "string", "nullable": false}), json!(["a"]), json!([null])),
        (json!({"type": "Array", "min_items": "1", "items": {"type": "Integer"}}), json!([[1]]), json!([[], ["a"]])),
        (
            json!({"any_of": [{"type": "NUMBER"}, {"type": "TYPE_UNSPECIFIED", "maxLength": "1"}]}),
            json!([12, "a"]),
            json!(["ab"]),
        ),
        (
            json!({"type": "OBJECT", "properties": {"any_of": {"type": "STRING"}}}),
            json!([{"any_of": "a"}]),
            json!([{"any_of": 1}]),
        ),
        (json!({"$schema": "https://example.com/mine", "type": "STRING"}), json!(["a"]), json!([1])),
        (
            json!({"type": "OBJECT", "additional_properties": {"type": "STRING"}}),
            json!([{"a": "b"}]),
            json!([{"a": 1}]),
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"type": ["nullable"], "enum": {"required": ["a"]}}}),
            json!([{"a": 1}]),
            json!([{"type": 1}]),
        ),
    ];
    for (dialect, good, bad) in cases {
        let validator = jsonschema::validator_for(&to_plain(&dialect)).unwrap();
        let passes = |value: &Value| validator.is_valid(value);
        assert!(good.as_array().unwrap().iter().all(passes), "{dialect}: {}", to_plain(&dialect));
        assert!(!bad.as_array().unwrap().iter().any(passes), "{dialect}: {}", to_plain(&dialect));
    }
}

#[test]
fn json_schema_stays_as_it_is() {
    let schema = json!({"type": ["string", "null"], "enum": ["A", null], "$defs": {"x": {"type": "object"}},
        "$schema": "https://json-schema.org/draft/2020-12/schema"});
    assert_eq!(to_plain(&schema), schema);
    assert_eq!(to_plain(&json!(true)), json!(true));
}

/// Schemas of every sort, nested a little, sensible and not.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!(true)),
        prop::sample::subsequence(vec!["string", "integer", "number", "boolean", "null"], 1..4)
            .prop_map(|types| json!({"type": types})),
        "[a-z]{1,8}".prop_map(|format| json!({"type": "string", "format": format, "minLength": 1, "pattern": "^a"})),
        prop::collection::vec(
            prop_oneof![Just(json!("a")), Just(json!("")), Just(json!(1)), Just(json!(null)), Just(json!([1]))],
            1..4
        )
        .prop_map(|values| json!({"enum": values})),
        any::<i32>().prop_map(|n| json!({"type": "integer", "exclusiveMinimum": n, "maximum": 1.5, "default": n})),
        Just(json!({"const": {"a": 1}})),
        Just(json!({"$ref": "#/$defs/d"})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map("[a-z {%#\"]{0,4}", inner.clone(), 0..4).prop_map(|properties| {
                let names: Vec<_> = properties.keys().cloned().chain(["other".to_owned()]).collect();
                json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
            }),
            inner.clone().prop_map(|items| json!({"type": "array", "items": items, "uniqueItems": true, "minItems": 1})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|all| json!({"anyOf": all})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|all| json!({"oneOf": all, "description": "d"})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"allOf": all})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"type": "array", "prefixItems": all})),
            inner.prop_map(|not| json!({"type": ["object", "null", "string"], "not": not, "if": {}, "patternProperties": {"^x": {}}})),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_given_what_is_sent_passes_the_check(schema in any_schema()) {
        let mut schema = match schema {
            Value::Object(object) => Value::Object(object),
            other => json!({"anyOf": [other]}),
        };
        schema["$defs"] = json!({"d": {"type": "object", "properties": {"n": {"type": "number"}}}});
        let read = read(&schema, &mut Notes::default()).unwrap();
        let line = json!({"key": "a", "request": {"contents": [{"parts": [{"text": "x"}]}],
            "generationConfig": {"responseSchema": read.sent}}}).to_string();
        let mut findings = Vec::new();
        crate::jsonl::check::check_line(line.as_bytes(), 1, &mut findings);
        prop_assert!(findings.is_empty(), "{:#?} in {}", findings, line);
        prop_assert!(jsonschema::validator_for(&read.plain).is_ok());
        prop_assert_eq!(to_plain(&read.plain), read.plain, "what is kept of a job reads as the same again");
    }

    #[test]
    fn what_is_sent_reads_as_the_same_again(schema in any_schema()) {
        let Value::Object(mut schema) = schema else { return Ok(()) };
        schema.insert("$defs".into(), json!({"d": {"type": "string"}}));
        let once = read(&Value::Object(schema), &mut Notes::default()).unwrap().sent;
        let twice = read(&once, &mut Notes::default()).unwrap().sent;
        prop_assert_eq!(once, twice);
    }
}
