use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What the template makes of a JSON row.
fn made(template: &str, row: Value) -> Result<String, String> {
    let row = object(row);
    let row = Row::object(7, Some(9), &row);
    let template = Template::compile(template).map_err(|e| e.to_string())?;
    let mut text = String::new();
    template.render_into(&row, &mut text).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    assert_eq!(template.render_escaped(&row, &mut bytes), Ok(text.len()));
    let quoted = format!("\"{}\"", String::from_utf8(bytes).unwrap());
    assert_eq!(quoted, serde_json::to_string(&text).unwrap());
    Ok(text)
}

/// What the template makes of a CSV row.
fn made_of_text(template: &str, cells: &[(&str, &str)]) -> Result<String, String> {
    let columns: Vec<String> = cells.iter().map(|(name, _)| (*name).to_owned()).collect();
    let record = csv::StringRecord::from(cells.iter().map(|(_, text)| *text).collect::<Vec<_>>());
    let row = Row::record(7, (9, 10), &columns, &record);
    let mut text = String::new();
    let template = Template::compile(template).map_err(|e| e.to_string())?;
    template.render_into(&row, &mut text).map_err(|e| e.to_string()).map(|()| text)
}

fn is_plain(template: &str) -> bool {
    matches!(Template::compile(template).unwrap().body, Body::Plain(_))
}

#[test]
fn plain_templates_only_name_columns() {
    for text in ["{{name}}", "a {{ name }} b {{other}}\n", "{{ Product Name }}", "{ } }} {a}", "{{ größe }}"] {
        assert!(is_plain(text), "{text}");
    }
    for text in
        ["{{ a | upper }}", "{{ a.b }}", "{% if a %}{% endif %}", "{# a #}", "{{- a -}}", "{{ 1 }}", "{{ a if b }}"]
    {
        assert!(!is_plain(text), "{text}");
    }
}

#[test]
fn text_around_the_columns_is_kept_as_it_is() {
    let row = json!({"a": "x", "b": "y"});
    assert_eq!(made(" {{a}}{{ b }}\n{ \"k\": {} }}\n", row.clone()), Ok(" xy\n{ \"k\": {} }}\n".into()));
    assert_eq!(made(" {{ a|upper }}\n{% if b %}\n {% endif %}<&\n", row), Ok(" X\n\n <&\n".into()));
}

#[test]
fn a_plain_template_and_one_with_logic_print_values_alike() {
    let row = json!({
        "text": "<b>\"é\"\n", "int": -3, "big": 18_446_744_073_709_551_615_u64, "float": 1e20, "whole": 2.0,
        "yes": true, "list": ["a", 1, null], "map": {"z": 1, "a": [true]}
    });
    for (name, value) in object(row.clone()) {
        let expected = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(made(&format!("{{{{ {name} }}}}"), row.clone()), Ok(expected.clone()));
        assert_eq!(made(&format!("{{# #}}{{{{ {name} }}}}"), row.clone()), Ok(expected));
    }
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let expected = "row 7 (line 9): the row has no column \"nmae\"; it has name, \"unit price\"";
    for template in
        ["Hi {{ nmae }}", "Hi {{ nmae | upper }}", "{{ name }}{% if nmae %}x{% endif %}", "{{ nmae.first }}"]
    {
        assert_eq!(made(template, json!({"name": "A", "unit price": 2})), Err(expected.into()), "{template}");
        assert_eq!(made_of_text(template, &[("name", "A"), ("unit price", "2")]), Err(expected.into()), "{template}");
    }
}

#[test]
fn a_column_counts_that_is_only_cut_or_set_anew() {
    let row = json!({"name": "Kettle", "price": "20", "tags": ["a", "b", "c"]});
    for (template, expected) in [
        ("{{ (name|default(\"unknown\", true))[:40] }}", "Kettle"),
        ("{{ [name, price][:2] | join(', ') }}", "Kettle, 20"),
        ("{{name[:3]}}", "Ket"),
        ("{{row.name[:3]}}", "Ket"),
        ("{{tags[:2]|join}}", "ab"),
        ("{% for t in tags[:2] %}{{ t }}{% endfor %}", "ab"),
        ("{% set s = name[:2] %}{{ s }}", "Ke"),
        ("{% set name = name | upper %}{{ name }}", "KETTLE"),
        ("{% if price %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}", "1"),
        ("{% if not price %}{% set name = 'none' %}{% endif %}{{ name }}", "Kettle"),
    ] {
        assert_eq!(made(template, row.clone()), Ok(expected.into()), "{template}");
        let columns: Vec<_> = object(row.clone()).keys().cloned().collect();
        Template::compile(template).unwrap().check_columns(&columns).unwrap();
    }
    let error = Template::compile("{{ nmae[:3] }}").unwrap().check_columns(&["name".to_owned()]).unwrap_err();
    assert_eq!(error.cause(), "there is no column nmae");
    assert!(made("{{ nmae[:3] }}", json!({"name": "A"})).unwrap_err().contains("the row has no column \"nmae\""));
}

#[test]
fn missing_columns_are_found_before_anything_is_rendered() {
    let columns = ["name".to_owned(), "row id".to_owned()];
    for template in ["{{ name }} {{ price }}", "{% for x in price %}{{ x }}{{ loop.index }}{{ name }}{% endfor %}"] {
        let error = Template::compile(template).unwrap().check_columns(&columns).unwrap_err();
        assert_eq!(error.cause(), "there is no column price");
        let hint = "the columns are: name, \"row id\"; one in quotes is {{ row[\"its name\"] }}";
        assert_eq!(error.next_step(), Some(hint));
    }
    for template in ["{{ row id }}", "{% for i in range(3) %}{{ name[i] }}{% endfor %}", "{{ row[\"row id\"] }}"] {
        Template::compile(template).unwrap().check_columns(&columns).unwrap();
    }
}

#[test]
fn odd_names_are_columns_whatever_else_the_template_has() {
    let row = json!({"First Name": "ann", "e-mail": "A@x.org", "Größe": "m", "last_order": "kettle", "a": 5, "b": 3});
    for (template, expected) in [
        ("{{ First Name | title }}", "Ann"),
        ("{{ First Name }} {{ last_order | upper }}", "ann KETTLE"),
        ("{{ First Name }} {{ row[\"e-mail\"] }}", "ann A@x.org"),
        ("{% if last_order %}{{First Name}}{% endif %}", "ann"),
        ("{{e-mail}} {{ a-b }} {{ a - b }}", "A@x.org 2 2"),
        ("{{ e-mail | lower }}{# #}", "a@x.org"),
        ("{{ Größe | upper }} {{ First Name }}", "M ann"),
        ("{% raw %}{{ First Name }}{% endraw %}{{- First Name -}} !", "{{ First Name }}ann!"),
    ] {
        assert_eq!(made(template, row.clone()), Ok(expected.into()), "{template}");
        let columns: Vec<_> = object(row.clone()).keys().cloned().collect();
        let compiled = Template::compile(template).unwrap();
        assert_eq!(compiled.check_columns(&columns).map_err(|e| e.to_string()), Ok(()), "{template}");
    }
    let lacks = |template: &str| {
        Template::compile(template).unwrap().check_columns(&["a".to_owned()]).unwrap_err().cause().to_owned()
    };
    assert_eq!(lacks("{{ First Name | title }}"), "there is no column \"First Name\"");
    assert_eq!(lacks("{{ e-mail }}"), "there is no column \"e-mail\"");
    assert_eq!(lacks("{{ a-b }}"), "there is no column b");
    let null = made("{{ First Name }}{# #}", json!({"First Name": null})).unwrap_err();
    assert!(null.contains("the column \"First Name\" is null"), "{null}");
    let wrong = Template::compile("{{ First Name }}{{ a | }}").unwrap_err();
    assert!(wrong.cause().starts_with("line 1, column 24"), "{wrong}");
}

#[test]
fn null_needs_a_default() {
    let row = json!({"a": null, "b": "x"});
    let expected = "row 7 (line 9): the column \"a\" is null; write {{ a | default(\"\") }} to allow that";
    for filters in ["upper", "title", "trim | title", "replace('x', 'y')", "truncate(9)", "capitalize | lower"] {
        let null = made(&format!("{{{{ a | {filters} }}}}"), row.clone()).unwrap_err();
        assert_eq!(null, expected, "{filters}");
    }
    assert_eq!(made("{{ a }}", row.clone()), Err(expected.into()));
    assert_eq!(made("{{ b | upper }}{{ a }}", row.clone()), Err(expected.into()));
    assert_eq!(made("[{{ a | default('') }}{{ a | d('n') }}{{ c | default('u') }}]", row.clone()), Ok("[nu]".into()));
    assert_eq!(made("{% if a is none %}none{% endif %}", row), Ok("none".into()));
}

#[test]
fn lists_are_joined_whether_json_or_text() {
    let list = json!({"f": ["a", "b"]});
    assert_eq!(made("{{ f | join(\", \") }}", list.clone()), Ok("a, b".into()));
    assert_eq!(made("{{ f }} {{ f | tojson }}", list), Ok("[\"a\",\"b\"] [\"a\",\"b\"]".into()));
    let text = [("f", "[\"a\",\"b\"]"), ("g", "a;b")];
    assert_eq!(made_of_text("{{ f | fromjson | join(', ') }}", &text), Ok("a, b".into()));
    assert_eq!(made_of_text("{{ f | join(', ') }}", &text), Ok("a, b".into()));
    assert_eq!(made_of_text("{{ g | split(';') | join(', ') }}", &text), Ok("a, b".into()));
    let error = made_of_text("{{ g | join(', ') }}", &text).unwrap_err();
    assert!(error.contains("join needs a list and this is text"), "{error}");
    let error = made_of_text("{{ g | fromjson }}", &text).unwrap_err();
    assert!(error.contains("the text is not JSON") && error.contains("at \"fromjson\", line 1"), "{error}");
}

#[test]
fn the_usual_filters_are_there() {
    let row = json!({"a": " two Words ", "long": "one two three four", "m": {"<": 1}});
    for (template, expected) in [
        ("{{ a | trim | lower }}", "two words"),
        ("{{ a | trim | upper }}", "TWO WORDS"),
        ("{{ a | trim | title }}", "Two Words"),
        ("{{ a | replace('two', '2') }}", " 2 Words "),
        ("{{ long | truncate(12) }}", "one two..."),
        ("{{ long | truncate(length=9, killwords=true, end='…') }}", "one two …"),
        ("{{ long | truncate(18) }}", "one two three four"),
        ("{{ m | tojson }}", "{\"<\":1}"),
        ("{{ m | tojson(indent=2) }}", "{\n  \"<\": 1\n}"),
        ("{{ row.long | length }}", "18"),
        ("{{ row['a'] | trim }}", "two Words"),
    ] {
        assert_eq!(made(template, row.clone()), Ok(expected.into()), "{template}");
    }
}

#[test]
fn a_column_named_row_is_that_column() {
    assert_eq!(made("{{ row }}", json!({"row": "x", "b": 1})), Ok("x".into()));
    assert_eq!(made("{{ row | tojson }}", json!({"a": "x", "b": 1})), Ok("{\"a\":\"x\",\"b\":1}".into()));
}

#[test]
fn syntax_errors_say_where_and_what_to_do() {
    for (template, place) in [
        ("one\ntwo {{ a | }} x", "line 2, column 12"),
        ("{% if a %}x", "line 1"),
        ("{{ a", "line 1"),
        ("{% for %}", "line 1"),
    ] {
        let error = Template::compile(template).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.cause().starts_with(place), "{template}: {error}");
        assert!(error.next_step().unwrap().contains("{% raw %}"), "{error:?}");
    }
}

#[test]
fn hostile_templates_end_with_a_problem() {
    let loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = a * b %}{% endfor %}{% endfor %}";
    let flood = "{% for a in range(99999) %}{{ t }}{% endfor %}";
    let growing = format!(
        "{{% set x0 = t %}}{}",
        (0..40).map(|i| format!("{{% set x{} = x{i} ~ x{i} %}}", i + 1)).collect::<String>()
    );
    let shared = format!(
        "{{% set x0 = [t] %}}{}{{{{ x40 }}}}",
        (0..40).map(|i| format!("{{% set x{} = [x{i}, x{i}] %}}", i + 1)).collect::<String>()
    );
    for template in [loops, flood, &growing, &shared] {
        let error = made(template, json!({"t": "x".repeat(10_000)})).unwrap_err();
        assert!(error.starts_with("row 7"), "{error}");
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let nest = "{% set x = [[[[[[[[[[x]]]]]]]]]] %}";
    for filter in ["", " | tojson", " | string", " | pprint"] {
        let most = format!("{{% set x = 1 %}}{}{{{{ x{filter} }}}}", nest.repeat(49));
        assert!(made(&most, json!({})).unwrap().contains('1'), "{filter}");
    }
    for (template, cause) in [
        (nest.repeat(51), "its code has 510 brackets, commas and filters, 500 are allowed"),
        ("{% for a in b recursive %}{{ loop([a]) }}{% endfor %}".to_owned(), "recursive loops are not available"),
    ] {
        assert_eq!(Template::compile(&template).unwrap_err().cause(), cause);
    }
    for unavailable in ["{% macro m(n) %}{{ m([n]) }}{% endmacro %}{{ m(1) }}", "{% set ns = namespace() %}{{ ns }}"] {
        made(unavailable, json!({})).unwrap_err();
    }
}

#[test]
fn more_text_than_allowed_is_a_problem() {
    let big = json!({"a": "x".repeat(LONGEST_TEXT / 2 + 1)});
    for template in ["{{ a }}{{ a }}", "{# #}{{ a }}{{ a }}"] {
        let error = made(template, big.clone()).unwrap_err();
        assert!(error.ends_with("the template makes more than 50 MB of it"), "{error}");
    }
}

proptest! {
    #[test]
    fn a_plain_template_gives_what_the_engine_gives(
        parts in proptest::collection::vec(("[^{}]{0,8}", "(a|b|c)"), 0..6), cells in proptest::array::uniform3(".{0,20}"),
    ) {
        let text: String = parts.iter().map(|(literal, name)| format!("{literal}{{{{ {name} }}}}")).collect();
        let [a, b, c] = cells;
        let row = json!({"a": a, "b": b, "c": c});
        prop_assert!(is_plain(&text));
        prop_assert_eq!(made(&text, row.clone()), made(&format!("{text}{{# #}}"), row));
    }

    #[test]
    fn no_text_makes_compiling_panic(text in "([{}%#|. \"'\\[\\]()=-]|for|in|if|end|set|raw|[a-c0-9]){0,40}") {
        if let Ok(template) = Template::compile(&text) {
            let row = object(json!({"a": "x", "b": [1], "c": null}));
            let _ = template.render_into(&Row::object(1, None, &row), &mut String::new());
        }
    }
}
