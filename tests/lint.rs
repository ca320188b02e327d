//! Requests as people write them: mended and told, or refused with the way out. Through the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::world::World;

fn world() -> World {
    let world = World::new();
    world.write("rows.csv", "id,name\na,Oslo\nb,Rome\n");
    world
}

/// The reply to a build with these arguments, and the first request in it.
fn built(more: &[&str]) -> (Value, Value) {
    let world = world();
    let reply = world.reply(&[&["build", "rows.csv", "--key", "id"], more].concat());
    let request = world.lines("rows.requests.jsonl")[0]["request"].clone();
    (reply, request)
}

fn asked(name: &str, value: &str) -> (Value, Value) {
    built(&["--template", "About {{ name }}", name, value])
}

fn refused(name: &str, value: &str) -> Value {
    let world = world();
    let error = world.refused(&["build", "rows.csv", "--key", "id", "--template", "About {{ name }}", name, value]);
    assert!(!error["hint"].as_str().unwrap_or_default().is_empty(), "{error}");
    assert!(!world.path("rows.requests.jsonl").exists());
    error
}

fn has(list: &Value, text: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|line| line.as_str().unwrap().contains(text)))
}

#[test]
fn an_sdks_config_is_spread() {
    let config = r#"{"config": {"temperature": 0.2, "system_instruction": "Be brief", "thinking_config": {"thinking_level": "LOW"},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], "http_options": {"timeout": 5}}}"#;
    let (reply, request) = asked("--request", config);
    let expected = json!({"contents": [{"parts": [{"text": "About Oslo"}]}],
        "generationConfig": {"temperature": 0.2, "thinkingConfig": {"thinkingLevel": "LOW"}},
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]});
    assert_eq!(request, expected);
    assert!(has(&reply["fixes"], "as the SDKs spell it"), "{reply}");
    assert!(has(&reply["warnings"], "`http_options`: it speaks to the SDK, left out"), "{reply}");
}

#[test]
fn a_system_instruction_may_be_a_string_a_list_or_an_object() {
    let expected = json!({"parts": [{"text": "For Oslo"}]});
    for (given, was) in [
        (r#"{"systemInstruction": "For {{ name }}"}"#, "`systemInstruction` was a string: made an object"),
        (r#"{"system_instruction": ["For {{ name }}"]}"#, "`systemInstruction` was a list: made an object"),
        (r#"{"systemInstruction": {"text": "For {{ name }}"}}"#, "made an object"),
        (r#"{"systemInstruction": {"parts": [{"text": "For {{ name }}"}]}}"#, ""),
    ] {
        let (reply, request) = asked("--request", given);
        assert_eq!(request["systemInstruction"], expected, "{given}");
        assert_eq!(reply["fixes"].is_null(), was.is_empty(), "{reply}");
        assert!(was.is_empty() || has(&reply["fixes"], was), "{reply}");
    }
}

#[test]
fn fields_in_the_wrong_place_are_moved() {
    let given = r#"{"temperature": 1, "thinkingConfig": {"thinkingBudget": 0}, "generationConfig": {"cachedContent": "cachedContents/c", "maxTokens": 9}}"#;
    let (reply, request) = asked("--request", given);
    assert_eq!(request["cachedContent"], "cachedContents/c");
    let config = json!({"temperature": 1, "thinkingConfig": {"thinkingBudget": 0}, "maxOutputTokens": 9});
    assert_eq!(request["generationConfig"], config);
    for fix in [
        "`temperature` in the wrong place: moved to generationConfig",
        "`cachedContent` in the wrong place: moved to the request itself",
        "`maxTokens`: written as `maxOutputTokens`",
    ] {
        assert!(has(&reply["fixes"], fix), "{reply}");
    }
}

#[test]
fn a_cache_beside_what_it_holds_is_refused() {
    for beside in [r#""systemInstruction": "s""#, r#""tools": [{"googleSearch": {}}]"#, r#""tool_config": {}"#] {
        let error = refused("--request", &format!(r#"{{"cachedContent": "cachedContents/c", {beside}}}"#));
        assert!(error["cause"].as_str().unwrap().contains("cachedContent: it cannot stand beside"), "{error}");
    }
}

#[test]
fn empty_tools_are_left_out() {
    let (reply, request) = asked("--request", r#"{"tools": [{}], "cachedContent": "cachedContents/c"}"#);
    assert!(request.get("tools").is_none() && has(&reply["fixes"], "an empty tool {}: left out"), "{reply}");
}

#[test]
fn one_field_in_both_spellings_is_merged_or_refused() {
    let (_, request) = asked("--request", r#"{"generationConfig": {"topP": 0.5, "top_p": 0.5}}"#);
    assert_eq!(request["generationConfig"], json!({"topP": 0.5}));
    let error = refused("--request", r#"{"generationConfig": {"topP": 0.5, "top_p": 0.6}}"#);
    assert!(error["cause"].as_str().unwrap().contains("`topP` and `top_p` are the same field, and differ"), "{error}");
}

#[test]
fn thinking_that_leaves_no_room_for_an_answer_is_refused() {
    let error =
        refused("--generation-config", r#"{"maxOutputTokens": 1000, "thinking_config": {"thinking_budget": 4096}}"#);
    assert!(error["hint"].as_str().unwrap().contains("raise maxOutputTokens above 4096"), "{error}");
    let error =
        refused("--generation-config", r#"{"thinkingConfig": {"thinkingBudget": 100, "thinkingLevel": "LOW"}}"#);
    assert!(error["cause"].as_str().unwrap().contains("exclude each other"), "{error}");
}

#[test]
fn fields_of_vertex_alone_are_refused() {
    for given in [
        r#"{"routingConfig": {}}"#,
        r#"{"tools": [{"enterprise_web_search": {}}]}"#,
        r#"{"safetySettings": [{"method": "SEVERITY"}]}"#,
    ] {
        assert!(refused("--request", given)["cause"].as_str().unwrap().contains("only Vertex AI has"), "{given}");
    }
}

#[test]
fn an_unknown_field_is_a_warning_with_the_nearest_name() {
    let (reply, _) = asked("--generation-config", r#"{"temprature": 1}"#);
    assert!(has(&reply["warnings"], "`temprature` is not a known field (did you mean `temperature`?)"), "{reply}");
}

#[test]
fn settings_that_cannot_be_right_are_warned_of() {
    let config = |config: &str| asked("--generation-config", config).0["warnings"].clone();
    assert!(has(&config(r#"{"maxOutputTokens": 0}"#), "`maxOutputTokens` is 0 (no answer has room in that"));
    assert!(has(&config(r#"{"temperature": 2.5}"#), "`temperature` is 2.5 (the API takes 0 to 2)"));
    assert!(has(&config(r#"{"temperature": -1}"#), "`temperature` is -1"));
    for count in ["3", "\"3\""] {
        let told =
            "`candidateCount` is 3 (all of them are paid for, and results show the first: the format raw has all)";
        assert!(has(&config(&format!(r#"{{"candidateCount": {count}}}"#)), told));
    }
    let most = "maxOutputTokens is 100,000, and gemini-3-flash-preview gives 65,536 tokens at most";
    assert!(has(&config(r#"{"maxOutputTokens": 100000}"#), most));
    assert_eq!(config(r#"{"maxOutputTokens": 65536, "temperature": 2, "candidateCount": 1}"#), Value::Null);
    let vectors = |count: &str| {
        let request = format!(r#"{{"outputDimensionality": {count}}}"#);
        built(&["--template", "{{ name }}", "--kind", "embed", "--request", &request]).0["warnings"].clone()
    };
    assert!(has(&vectors("5000"), "outputDimensionality is 5,000, and gemini-embedding-001 gives 3,072 dimensions"));
    assert_eq!(vectors("3072"), Value::Null);
}

#[test]
fn few_shot_turns_are_templates_with_roles() {
    let turns = r#"{"contents": [{"role": "user", "parts": [{"text": "Paris"}]}, {"role": "model", "parts": [{"text": "France"}]},
        {"role": "user", "parts": [{"text": "{{ name }}"}]}]}"#;
    let (reply, request) = built(&["--request", turns]);
    assert_eq!(request["contents"].as_array().unwrap().len(), 3);
    assert_eq!(request["contents"][2], json!({"role": "user", "parts": [{"text": "Oslo"}]}));
    assert!(reply["fixes"].is_null() && reply["warnings"].is_null(), "{reply}");

    let (reply, request) = built(&["--request", r#"{"contents": ["Where is", "{{ name }}?"]}"#]);
    assert_eq!(request["contents"], json!([{"role": "user", "parts": [{"text": "Where is"}, {"text": "Oslo?"}]}]));
    assert!(has(&reply["fixes"], "made a list of objects"), "{reply}");

    let (reply, _) =
        built(&["--request", r#"{"contents": [{"parts": ["{{ name }}"]}, {"role": "assistant", "parts": ["x"]}]}"#]);
    assert!(has(&reply["warnings"], "the last turn is the model's"), "{reply}");
    assert!(has(&reply["fixes"], "the role `assistant`: written as `model`"), "{reply}");
}

#[test]
fn a_template_that_makes_the_same_of_every_row_is_warned_about() {
    let world = World::new();
    world.write("rows.csv", "id,name,kind\na,Oslo,city\nb,Rome,city\nc,Bonn,city\n");
    let reply = world.reply(&["build", "rows.csv", "--key", "id", "--template", "What is a {{ kind }}?"]);
    assert!(has(&reply["warnings"], "every request is the same"), "{reply}");
    let rows: String = (0..100).map(|n| format!("{n},{},x\n", n / 2)).collect();
    world.write("half.csv", &format!("id,name,kind\n{rows}"));
    let reply = world.reply(&["build", "half.csv", "--key", "id", "--template", "{{ name }}"]);
    assert!(has(&reply["warnings"], "50 of the first 100 requests repeat another one"), "{reply}");
    let reply = world.reply(&["build", "half.csv", "--key", "id", "--template", "{{ name }} {{ id }}", "--overwrite"]);
    assert!(reply["warnings"].is_null(), "{reply}");
}

#[test]
fn secrets_are_pointed_out_and_never_shown() {
    let world = World::new();
    let secret = "AIzaSyA0123456789abcdefghijklmnopqrstuv";
    let rows: String = (0..300).map(|n| format!("{n},harmless\n")).collect();
    world.write("rows.csv", &format!("id,text\n{rows}300,my key is {secret}!\n"));
    let ran = world.run(&["build", "rows.csv", "--key", "id", "--template", "{{ id }} {{ text }}", "--json"]);
    let reply = ran.json();
    assert!(has(&reply["warnings"], "1 request holds what looks like a Google API key"), "{reply}");
    assert!(has(&reply["warnings"], "first in \"300\""), "{reply}");
    assert!(!ran.stdout.contains(secret));
}

#[test]
fn a_prompt_over_the_models_limit_is_a_problem_of_its_row() {
    let world = World::new();
    let text = |tokens: usize| "word".repeat(tokens);
    let rows = [
        json!({"id": "ok", "t": "short"}),
        json!({"id": "near", "t": text(1_000_000)}),
        json!({"id": "far", "t": text(1_700_000)}),
    ];
    world.write("rows.jsonl", &rows.map(|row| row.to_string()).join("\n"));
    let arguments = ["build", "rows.jsonl", "--key", "id", "--template", "{{ t }}"];
    let error = world.refused(&arguments);
    assert!(
        error["cause"].as_str().unwrap().contains("row 3 (line 3): the prompt has about 1,700,000 tokens"),
        "{error}"
    );
    let reply = world.reply(&[&arguments[..], &["--skip-bad-rows"]].concat());
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(2), &json!(1)));
    assert!(has(&reply["warnings"], "1 prompt near or over the model's input limit of 1,048,576 tokens"), "{reply}");
}

#[test]
fn a_model_that_does_not_do_what_is_asked_is_refused() {
    let world = world();
    let build = |more: &[&str]| world.refused(&[&["build", "rows.csv", "--template", "{{ name }}"], more].concat());
    let error = build(&["--model", "gemini-embedding-001"]);
    assert!(error["cause"].as_str().unwrap().contains("makes vectors, not text"), "{error}");
    let error = build(&["--model", "gemini-3.8-flash", "--kind", "embed"]);
    assert!(error["cause"].as_str().unwrap().contains("makes no vectors"), "{error}");
    let error = build(&["--model", "gemini-3-pro-preview"]);
    assert!(error["hint"].as_str().unwrap().contains("gemini-3.1-pro-preview"), "{error}");
    world.reply(&["build", "rows.csv", "--template", "{{ name }}", "--key", "id"]);
    let error = world.refused(&["create", "rows.requests.jsonl", "--model", "gemini-embedding-001"]);
    assert!(error["cause"].as_str().unwrap().contains("makes vectors, not text"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 0);
}

#[test]
fn a_syntax_error_of_a_template_has_line_and_column() {
    for (name, value, place) in [
        ("--template", "Hello\n  {{ name }", "line 2, column 11"),
        ("--template", "a\nb {% if name %}\nc", "line 2, column 16"),
        ("--template", "a {{ name | nofilter }}", "line 1, column 13"),
        ("--system", "x\n{% endfor %}", "line 2, column 4"),
    ] {
        let world = world();
        let mut arguments = vec!["build", "rows.csv", name, value];
        if name != "--template" {
            arguments.extend(["--template", "{{ name }}"]);
        }
        let error = world.refused(&arguments);
        let told = error.to_string();
        assert!(told.contains(place), "{place}: {told}");
    }
}

#[test]
fn what_no_row_could_do_is_a_mistake_of_the_call_and_not_of_its_rows() {
    let world = world();
    let refused = |words: &[&str]| {
        let error = world.refused(&[&["build", "rows.csv"], words].concat());
        assert_eq!(error["kind"], "invalid_argument", "{error}");
        (error["cause"].as_str().unwrap().to_owned(), error["hint"].as_str().unwrap().to_owned())
    };
    let (cause, hint) = refused(&["--template", "{{ name | uper }}"]);
    assert!(cause.contains("there is no filter \"uper\"") && hint.contains("did you mean {{ … | upper }}?"), "{hint}");
    let (cause, _) = refused(&["--template", "{{ name.split(',') }}"]);
    assert!(cause.contains("values have no methods, such as .split()"), "{cause}");
    let config = r#"{"temperature": 0.2}"#;
    let (cause, hint) = refused(&["--kind", "embed", "--template", "{{ name }}", "--generation-config", config]);
    assert!(cause == "vectors take no generation_config" && hint.contains("outputDimensionality"), "{cause}: {hint}");
    let schema = r#"{"type": "object", "properties": {"mood": {"type": "string", "enum": []}}}"#;
    let (cause, hint) = refused(&["--template", "{{ name }}", "--response-schema", schema]);
    assert!(cause.contains("properties.mood: its enum is empty") && hint.contains("leave enum out"), "{cause}: {hint}");
}

#[test]
fn columns_in_the_braces_of_other_languages_are_not_paid_for() {
    let world = world();
    for written in ["{name}", "${name}", "<name>"] {
        let error = world.refused(&["build", "rows.csv", "--template", &format!("About {written}")]);
        let cause = format!("template: {written} is sent as it stands, and {{{{ name }}}} would be the column");
        assert_eq!(error["cause"], cause);
        assert!(error["hint"].as_str().unwrap().starts_with(&format!("write {{{{ name }}}} in place of {written}")));
        assert!(!world.path("rows.requests.jsonl").exists());
    }
    let build = ["build", "rows.csv", "--overwrite", "--template"];
    let reply = world.reply(&[&build[..], &["{{ id }}: {name}", "--system", "For {id}"]].concat());
    assert!(has(&reply["warnings"], "template: {name} is sent as it stands"), "{reply}");
    assert!(has(&reply["warnings"], "system: {id} is sent as it stands"), "{reply}");
    for text in ["{% raw %}{name}{% endraw %} {\"a\": {}}", "{other} <name>x</name>", "<name>{{ name }}</name>"] {
        world.reply(&[&build[..], &[text]].concat());
    }
}
