//! Files of requests made elsewhere: converted and mended, each thing told once, and what cannot be mended named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::world::World;

/// A world with these lines in `old.jsonl`.
fn world(lines: &[Value]) -> World {
    let world = World::new();
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    world.write("old.jsonl", &lines.join("\n"));
    world
}

/// The reply to a build of these lines, and the lines it made.
fn mended(lines: &[Value]) -> (Value, Vec<Value>) {
    let world = world(lines);
    let reply = world.reply(&["build", "old.jsonl"]);
    // What comes out is taken by the API.
    let made = world.lines("old.requests.jsonl");
    let created = world.run(&["create", "old.requests.jsonl", "--json"]);
    assert_eq!(created.code, 0, "{created:?}");
    assert_eq!(world.jobs_at_the_api(), 1);
    (reply, made)
}

fn has(list: &Value, text: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|line| line.as_str().unwrap().contains(text)))
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "parts": [{"text": text}]}])
}

#[test]
fn lines_without_a_flaw_come_out_as_they_went_in() {
    let line = |key: &str| json!({"key": key, "request": {"contents": [{"parts": [{"text": format!("{{{{ not a template }}}} {key}")}]}]}});
    let (reply, made) = mended(&[line("a"), line("b")]);
    assert_eq!(made, [line("a"), line("b")]);
    assert!(reply["fixes"].is_null() && reply["warnings"].is_null(), "{reply}");
}

#[test]
fn minor_flaws_are_mended_and_told_with_their_number() {
    let line = |n: i32, system: Value| json!({"key": format!("k{n}"), "request": {"contents": [{"parts": [{"text": format!("q{n}")}]}], "system_instruction": system, "temperature": 0.5}});
    let tidy = json!({"parts": [{"text": "s"}]});
    let (reply, made) = mended(&[line(1, json!("s")), line(2, tidy.clone()), line(3, json!("s"))]);
    for line in &made {
        assert_eq!(line["request"]["systemInstruction"], tidy);
        assert_eq!(line["request"]["generationConfig"], json!({"temperature": 0.5}));
    }
    assert!(has(&reply["fixes"], "2 requests: `systemInstruction` was a string: made an object"), "{reply}");
    assert!(has(&reply["fixes"], "3 requests: `temperature` in the wrong place: moved to generationConfig"), "{reply}");
}

#[test]
fn bare_requests_are_wrapped_and_named() {
    let (reply, made) = mended(&[json!({"contents": "one"}), json!({"contents": ["two"]})]);
    assert_eq!(made[1], json!({"key": "row-2", "request": {"contents": user("two")}}));
    assert!(has(&reply["fixes"], "2 requests: the request was not wrapped"), "{reply}");
    let (_, made) =
        mended(&[json!({"id": 7, "contents": [{"parts": [{"text": "x"}]}], "config": {"max_output_tokens": 5}})]);
    let expected = json!({"key": "7", "request": {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"maxOutputTokens": 5}}});
    assert_eq!(made, [expected]);
}

#[test]
fn vertex_lines_and_lines_with_metadata_become_ours() {
    let request = json!({"contents": user("x")});
    let (reply, made) = mended(&[json!({"request": request, "url": "kept elsewhere"})]);
    assert_eq!(made, [json!({"key": "row-1", "request": request})]);
    assert!(has(&reply["warnings"], "1 request: `url` beside `request`: left out"), "{reply}");
    let (_, made) = mended(&[json!({"metadata": {"key": "m"}, "request": request})]);
    assert_eq!(made, [json!({"key": "m", "request": request})]);
}

#[test]
fn an_openai_chat_becomes_a_request() {
    let body = json!({"model": "gpt-4o", "max_completion_tokens": 50, "stop": "END", "temperature": 0.1, "top_p": 0.9, "n": 1, "seed": 4,
        "user": "u", "response_format": {"type": "json_schema", "json_schema": {"name": "c", "strict": true,
            "schema": {"type": "object", "properties": {"c": {"type": "string"}}, "required": ["c"], "additionalProperties": false}}},
        "tools": [{"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "developer", "content": "And kind"},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"q\": \"x\"}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "found"},
            {"role": "user", "content": "So?"}]});
    let (reply, made) =
        mended(&[json!({"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body})]);
    let schema = json!({"type": "OBJECT", "properties": {"c": {"type": "STRING"}}, "required": ["c"]});
    let expected = json!({"key": "one", "request": {
        "contents": [
            {"role": "user", "parts": [{"text": "What is it?"}, {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"q": "x"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": "found"}}}, {"text": "So?"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief"}, {"text": "And kind"}]},
        "generationConfig": {"maxOutputTokens": 50, "stopSequences": ["END"], "temperature": 0.1, "topP": 0.9, "candidateCount": 1, "seed": 4,
            "responseMimeType": "application/json", "responseSchema": schema},
        "tools": [{"functionDeclarations": [{"name": "look", "description": "d", "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}}}});
    assert_eq!(made, [expected]);
    assert!(has(&reply["fixes"], "1 request: the model of the OpenAI request: left out"), "{reply}");
    assert!(has(&reply["fixes"], "1 request: an OpenAI request: written as a Gemini request"), "{reply}");
    assert!(has(&reply["warnings"], "`user` of the OpenAI request: left out"), "{reply}");
}

#[test]
fn reasoning_effort_is_said_in_the_apis_words_or_it_is_told_that_it_was_left_out() {
    let line = |effort: Value| json!({"messages": [{"role": "user", "content": "x"}], "reasoning_effort": effort});
    let config = |effort: Value| mended(&[line(effort)]).1[0]["request"]["generationConfig"].clone();
    assert_eq!(config(json!("none")), json!({"thinkingConfig": {"thinkingBudget": 0}}));
    for (word, level) in [("minimal", "MINIMAL"), ("low", "LOW"), ("xhigh", "XHIGH")] {
        assert_eq!(config(json!(word)), json!({"thinkingConfig": {"thinkingLevel": level}}));
    }
    let (reply, _) = mended(&[line(Value::Null)]);
    assert!(!reply.to_string().contains("reasoning_effort"), "{reply}");
    for (given, told) in [(json!("extreme"), "extreme"), (json!(3), "3")] {
        let (reply, made) = mended(&[line(given)]);
        assert_eq!(made[0]["request"]["generationConfig"], Value::Null);
        let told = format!("1 request: reasoning_effort `{told}` of the OpenAI request: left out");
        assert!(has(&reply["warnings"], &told), "{reply}");
    }
}

#[test]
fn one_setting_under_two_names_is_merged_or_the_row_is_bad() {
    let line = |more: i64| {
        let messages = json!([{"role": "user", "content": "x"}]);
        json!({"messages": messages, "max_tokens": 50, "max_completion_tokens": more, "n": 2})
    };
    let (reply, made) = mended(&[line(50)]);
    assert_eq!(made[0]["request"]["generationConfig"], json!({"maxOutputTokens": 50, "candidateCount": 2}));
    assert!(has(&reply["warnings"], "`candidateCount` is 2 (all of them are paid for"), "{reply}");
    let world = world(&[line(60)]);
    let error = world.refusal(&["build", "old.jsonl"]);
    assert!(error["cause"].as_str().unwrap().contains("maxOutputTokens: it is given twice"), "{error}");
}

#[test]
fn what_was_done_to_a_row_that_is_left_out_is_not_told() {
    let bare = |part: Value| json!({"contents": [part], "config": {"max_output_tokens": 5}});
    let both = json!({"parts": [{"text": "b", "functionCall": {"name": "x"}}]});
    let world = world(&[bare(json!({"text": "a"})), bare(both)]);
    let reply = world.reply(&["build", "old.jsonl", "--skip-bad-rows"]);
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(1), &json!(1)), "{reply}");
    assert!(has(&reply["fixes"], "1 request: the request was not wrapped"), "{reply}");
}

#[test]
fn an_anthropic_line_becomes_a_request() {
    let params = json!({"model": "claude-x", "max_tokens": 50, "temperature": 0.1, "top_k": 3, "stop_sequences": ["END"], "thinking": {},
        "system": [{"type": "text", "text": "Be brief", "cache_control": {}}], "tool_choice": {"type": "tool", "name": "look"},
        "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}]},
            {"role": "assistant", "content": "A cat"}, {"role": "user", "content": "Sure?"}]});
    let line = json!({"custom_id": "one", "params": params});
    let (reply, made) = mended(std::slice::from_ref(&line));
    let expected = json!({"key": "one", "request": {
        "contents": [{"role": "user", "parts": [{"text": "What?"}, {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]},
            {"role": "model", "parts": [{"text": "A cat"}]}, {"role": "user", "parts": [{"text": "Sure?"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "generationConfig": {"temperature": 0.1, "topK": 3, "maxOutputTokens": 50, "stopSequences": ["END"]},
        "tools": [{"functionDeclarations": [{"name": "look", "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}}}});
    assert_eq!(made, [expected]);
    assert!(has(&reply["fixes"], "1 request: an Anthropic request: written as a Gemini request"), "{reply}");
    assert!(has(&reply["warnings"], "`thinking` of the Anthropic request: left out"), "{reply}");

    let world = world(&[line]);
    let error = world.refusal(&["create", "old.jsonl"]);
    assert!(error["cause"].as_str().unwrap().contains("a batch request of OpenAI or Anthropic"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("writes a mended file of these requests"), "{error}");
}

#[test]
fn openai_embeddings_become_requests_for_vectors() {
    let body = json!({"model": "text-embedding-3-small", "input": "hello", "dimensions": 256});
    let (reply, made) = mended(&[json!({"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": body})]);
    assert_eq!(
        made,
        [json!({"key": "e", "request": {"content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 256}})]
    );
    assert_eq!(reply["kind"], "embed");
}

#[test]
fn a_line_that_cannot_be_converted_is_a_problem_of_its_row() {
    let chat = |id: &str, content: Value| json!({"custom_id": id, "body": {"messages": [{"role": "user", "content": content}]}});
    let elsewhere = json!([{"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]);
    let vectors = json!({"custom_id": "v", "url": "/v1/embeddings", "body": {"input": "x"}});
    let lines = [chat("a", json!("x")), chat("b", elsewhere), json!({"other": 1}), chat("c", json!("y")), vectors];
    let world = world(&lines);
    let error = world.refusal(&["build", "old.jsonl"]);
    let cause = error["cause"].as_str().unwrap();
    assert!(cause.contains("row 2 (line 2): messages.0: it refers to a picture or file elsewhere"), "{error}");
    assert!(cause.contains("row 3 (line 3): ") && cause.contains("row 5 (line 5): one file holds one kind"), "{error}");
    let reply = world.reply(&["build", "old.jsonl", "--skip-bad-rows"]);
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(2), &json!(3)));
}

#[test]
fn settings_of_the_call_are_set_in_each_request() {
    let world = world(&[
        json!({"key": "a", "request": {"contents": user("x"), "generationConfig": {"topP": 1, "temperature": 1},
            "systemInstruction": {"role": "user", "parts": [{"text": "Be long"}]}}}),
    ]);
    let schema = r#"{"type": "object", "properties": {"n": {"type": "integer"}}}"#;
    let settings =
        ["--generation-config", r#"{"temperature": 0}"#, "--response-schema", schema, "--system", "Be brief"];
    world.reply(&[&["build", "old.jsonl"], &settings[..]].concat());
    let request = world.lines("old.requests.jsonl")[0]["request"].clone();
    assert_eq!(request["generationConfig"]["temperature"], 0);
    assert_eq!(request["generationConfig"]["topP"], 1);
    assert_eq!(request["generationConfig"]["responseSchema"]["type"], "OBJECT");
    assert_eq!(request["systemInstruction"], json!({"parts": [{"text": "Be brief"}]}));
    let template = world.run(&["build", "old.jsonl", "--system", "For {{ name }}", "--overwrite"]);
    assert!(template.stderr.contains("requests already"), "{template:?}");
}

#[test]
fn a_create_of_a_flawed_or_foreign_file_names_the_call_that_mends_it() {
    let flawed = json!({"key": "a", "request": {"contents": user("x"), "systemInstruction": "s"}});
    let foreign = json!({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "x"}]}});
    for line in [flawed, foreign] {
        let world = world(&[line]);
        let error = world.refusal(&["create", "old.jsonl"]);
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("build_jsonl {\"source\": \"") && hint.contains("old.jsonl"), "{error}");
        world.reply(&["build", "old.jsonl"]);
        world.reply(&["create", "old.requests.jsonl"]);
        assert_eq!(world.jobs_at_the_api(), 1);
    }
}

#[test]
fn a_data_set_without_a_template_is_still_asked_for_one() {
    for row in [
        json!({"id": 1, "content": "text", "request": "a column"}),
        json!({"id": 1, "body": {"html": "a mail"}}),
        json!({"key": "a", "response": {"text": "an answer"}, "request": {"contents": []}}),
    ] {
        let ran = world(&[row]).run(&["build", "old.jsonl", "--json"]);
        assert!(ran.stderr.contains("nothing says what to ask"), "{ran:?}");
    }
}

#[test]
fn a_copy_of_a_request_file_leaves_the_job_its_rows() {
    let world = World::new();
    world.write("towns.csv", "id,name\nt1,Bonn\n");
    world.reply(&["build", "towns.csv", "--key", "id", "--template", "Where is {{name}}?"]);
    let job = world.reply(&["create", "towns.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let copy = world.reply(&["build", "towns.requests.jsonl", "-o", "copy.jsonl"]);
    assert_eq!(world.read("copy.jsonl"), world.read("towns.requests.jsonl"), "{copy}");
    world.reply(&["results", &job, "--join", "-o", "joined.csv"]);
    assert!(world.read("joined.csv").starts_with("id,name,answer,"), "{}", world.read("joined.csv"));
}

#[test]
fn answers_are_held_against_what_all_ready_requests_ask_of_them() {
    let json_of = |schema: Value| json!({"responseMimeType": "application/json", "responseSchema": schema});
    let object =
        |field: &str| json!({"type": "OBJECT", "properties": {field: {"type": "STRING"}}, "required": [field]});
    let (name, size) = (json_of(object("name")), json_of(object("size")));
    // The answer is JSON, and has no name.
    for (configs, invalid) in [
        ([&name, &name], json!(2)),
        ([&name, &size], Value::Null),
        ([&size, &size], Value::Null),
        ([&name, &json!({})], Value::Null),
    ] {
        let world = World::new();
        let line = |(key, config): (&str, &Value)| {
            let text = if *config == json!({}) { "plain words" } else { "{\"size\": \"small\"}" };
            let prompt = json!({"text": format!("[[simulate:echo]] {text}")});
            json!({"key": key, "request": {"contents": [{"role": "user", "parts": [prompt]}], "generationConfig": config}})
                .to_string()
        };
        let lines: Vec<_> = ["a", "b"].into_iter().zip(configs).map(line).collect();
        world.write("ready.jsonl", &lines.join("\n"));
        world.reply(&["build", "ready.jsonl", "--output", "r.jsonl"]);
        let job = world.reply(&["create", "r.jsonl"])["job"].as_str().unwrap().to_owned();
        world.run(&["status", &job, "--wait"]);
        let results = world.results(&[&job, "--limit", "2"]);
        assert_eq!(results["outcomes"].get("invalid").cloned().unwrap_or_default(), invalid, "{configs:?}: {results}");
    }
}

#[test]
fn answers_of_ready_requests_are_held_against_all_that_a_schema_says() {
    let object = |more: Value| {
        let mut schema = json!({"type": "object", "properties": {"size": {"type": "string"}}});
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema.to_string()
    };
    // What the API's dialect has no word for, too.
    for (schema, invalid) in [
        (object(json!({})), Value::Null),
        (object(json!({"maxProperties": 0})), json!(1)),
        (object(json!({"not": {}})), json!(1)),
    ] {
        let world =
            world(&[json!({"key": "a", "request": {"contents": user("[[simulate:echo]] {\"size\": \"small\"}")}})]);
        world.reply(&["build", "old.jsonl", "--response-schema", &schema]);
        let job = world.reply(&["create", "old.requests.jsonl"])["job"].as_str().unwrap().to_owned();
        world.run(&["status", &job, "--wait"]);
        let results = world.results(&[&job, "--limit", "1"]);
        assert_eq!(results["outcomes"].get("invalid").cloned().unwrap_or_default(), invalid, "{schema}: {results}");
    }
}

#[test]
fn settings_that_are_given_twice_are_merged_and_what_is_asked_is_said_once() {
    let world = World::new();
    world.write("a.csv", "id,text\n1,one\n");
    let build =
        ["build", "a.csv", "--template", "{{ text }}", "--generation-config", r#"{"temperature": 0.1}"#, "--request"];
    world.reply(&[&build[..], &[r#"{"generation_config": {"temperature": 0.9, "topK": 3}}"#]].concat());
    let config = world.lines("a.requests.jsonl")[0]["request"]["generationConfig"].clone();
    assert_eq!(config, json!({"temperature": 0.1, "topK": 3}), "those of their own argument win");
    let error =
        world.refused(&[&build[..], &[r#"{"contents": [{"parts": [{"text": "Hi"}]}]}"#, "--overwrite"]].concat());
    assert!(error["cause"].as_str().unwrap().contains("both template and request.contents"), "{error}");
}
