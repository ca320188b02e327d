use super::*;
use serde_json::{Value, json};

fn key(rule: &KeyRule, row: Value) -> Result<String, RowProblem> {
    let row = row.as_object().unwrap().clone();
    rule.key(&Row::object(3, None, &row), &mut String::from("left over")).map(str::to_owned)
}

fn rule(text: &str) -> KeyRule {
    KeyRule::parse(Some(text), None).unwrap()
}

#[test]
fn keys_come_from_a_column_a_template_or_the_row_number() {
    let row = json!({"sku": " A-1 ", "n": 12, "Part No": "p"});
    assert_eq!(key(&rule("sku"), row.clone()).unwrap(), "A-1");
    assert_eq!(key(&rule("n"), row.clone()).unwrap(), "12");
    assert_eq!(key(&rule("Part No"), row.clone()).unwrap(), "p");
    assert_eq!(key(&rule("{{ sku }}/{{ n }}"), row.clone()).unwrap(), "A-1 /12");
    assert_eq!(key(&rule("{{ sku | trim | lower }}-{{ n }}"), row.clone()).unwrap(), "a-1-12");
    assert_eq!(key(&KeyRule::parse(None, None).unwrap(), row).unwrap(), "row-3");
}

#[test]
fn a_column_that_is_not_there_is_named_with_those_that_are() {
    let columns = ["id".to_owned(), "sku no".to_owned()];
    let error = KeyRule::parse(Some("ID"), Some(&columns)).unwrap_err();
    assert_eq!(error.cause(), "there is no column \"ID\"");
    assert!(error.next_step().unwrap().starts_with("the columns are: id, \"sku no\"; or"), "{error:?}");
    assert_eq!(KeyRule::parse(Some("{{ x }}"), Some(&columns)).unwrap_err().cause(), "there is no column x");
    KeyRule::parse(Some("{{ id }}"), Some(&columns)).unwrap();
    KeyRule::parse(Some("sku no"), Some(&columns)).unwrap();
}

#[test]
fn unusable_keys_are_problems_of_their_row_and_column() {
    for (value, cause) in [
        (json!(" "), "its key is empty"),
        (json!("a\nb"), "its key holds a line break or another control character"),
        (json!("é".repeat(513)), "its key is 1026 bytes long, 1024 are allowed"),
    ] {
        let problem = key(&rule("id"), json!({"id": value})).unwrap_err();
        assert_eq!((problem.row, problem.column.as_deref(), problem.cause.as_str()), (3, Some("id"), cause));
    }
    assert!(key(&rule("id"), json!({"id": null})).unwrap_err().cause.contains("is null"));
    assert!(key(&rule("id"), json!({"no": 1})).unwrap_err().cause.contains("has no column \"id\"; it has no"));
    assert_eq!(key(&rule("id"), json!({"id": "é".repeat(512)})).unwrap().len(), 1024);
}
