//! Tokens and price before anything is spent, and what was saved after it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use serde_json::{Value, json};
use support::world::World;

/// Writes a request file of such requests and returns what `create --dry-run` estimates for it.
fn estimate(world: &World, model: &str, requests: &[Value]) -> Value {
    let line = |(n, request): (usize, &Value)| json!({"key": format!("r-{n}"), "request": request}).to_string();
    let lines: Vec<_> = requests.iter().enumerate().map(line).collect();
    world.write("r.jsonl", &lines.join("\n"));
    world.reply(&["create", "r.jsonl", "--model", model, "--dry-run"])["estimate"].clone()
}

fn basis(estimate: &Value) -> &str {
    estimate["basis"].as_str().unwrap()
}

fn with_media(mime: &str, bytes: &[u8]) -> Value {
    let data = STANDARD.encode(bytes);
    json!({"contents": [{"parts": [{"text": "What is this? Say."}, {"inlineData": {"mimeType": mime, "data": data}}]}]})
}

/// The head of a PNG of that size, which is all that has to be there.
fn png(width: u32, height: u32) -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    [head.as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x02\0\0\0", &[0; 500]].concat()
}

#[test]
fn no_number_of_candidates_makes_an_estimate_small() {
    let world = World::new();
    let many = json!({"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"candidateCount": i64::MAX - 7}});
    world.write("r.jsonl", &[1, 2].map(|n| json!({"key": n.to_string(), "request": many}).to_string()).join("\n"));
    let error = world.refusal(&["create", "r.jsonl", "--max-cost-usd", "1"]);
    assert_eq!(error["kind"], "budget", "{error}");
}

#[test]
fn media_inside_the_requests_are_counted_by_the_rules_of_the_model() {
    let world = World::new();
    let text = 5;
    let picture = with_media("image/png", &png(1024, 1024));
    let tokens =
        |model: &str, request: &Value| estimate(&world, model, std::slice::from_ref(request))["input_tokens"].clone();
    assert_eq!(tokens("gemini-2.5-flash-lite", &picture), text + 4 * 258);
    assert_eq!(tokens("gemini-3-flash-preview", &picture), text + 1120);
    let mut low = picture.clone();
    low["generationConfig"] = json!({"mediaResolution": "MEDIA_RESOLUTION_LOW"});
    assert_eq!(tokens("gemini-3-flash-preview", &low), text + 280);

    let pdf = with_media("application/pdf", b"%PDF-1.4 <</Type /Pages /Count 2>> <</Type /Page>> <</Type /Page>>");
    assert_eq!(tokens("gemini-3-flash-preview", &pdf), text + 2 * 560);
    let video = b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x6cmvhd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\xe8\0\0\x27\x10";
    let video = with_media("video/mp4", video);
    assert_eq!(tokens("gemini-3-flash-preview", &video), text + 10 * (70 + 32));
    assert_eq!(tokens("gemini-2.5-flash-lite", &video), text + 10 * (258 + 32));
    let found = estimate(&world, "gemini-3-flash-preview", &[picture, pdf, video]);
    assert!(basis(&found).contains("measured media by Google's rules"), "{found}");
    assert!(!basis(&found).contains("not counted"), "{found}");
}

#[test]
fn the_call_that_a_build_names_is_not_refused_for_its_own_cap() {
    let world = World::new();
    // The first rows, from which the build tells the tokens of all, have fewer of them for their bytes than the others.
    let row = |n: usize| format!("{n},{}\n", if n < 200 { "я".repeat(300) } else { "word ".repeat(120) });
    world.write("rows.csv", &format!("id,text\n{}", (0..1_500).map(row).collect::<String>()));
    let config = r#"{"maxOutputTokens": 1}"#;
    let build = ["build", "rows.csv", "--template", "{{ text }}", "--key", "id", "--model", "gemini-3.1-pro-preview"];
    let built = world.reply(&[&build[..], &["--generation-config", config]].concat());
    let (_, cap) = built["next"].as_str().unwrap().split_once("\"max_cost_usd\": ").unwrap();
    let create = ["create", "rows.requests.jsonl", "--dry-run", "--max-cost-usd"];
    let planned = world.reply(&[&create[..], &[cap.trim_end_matches('}')]].concat());
    let (told, found) = (&built["estimate"]["high_usd"], &planned["estimate"]["high_usd"]);
    assert!(told.as_f64() < found.as_f64(), "{told} {found}");
    let cap: f64 = cap.trim_end_matches('}').parse().unwrap();
    assert!(cap < found.as_f64().unwrap() * 1.2, "{cap} {found}");

    let just_below = (found.as_f64().unwrap() - 0.0004).to_string();
    let refused = world.refusal(&[&create[..], &[&just_below]].concat())["cause"].as_str().unwrap().to_owned();
    let (high, limit) =
        refused.strip_prefix("the high estimate is ").unwrap().split_once(", above max_cost_usd ").unwrap();
    assert_ne!(high, limit);
}

#[test]
fn what_cannot_be_measured_is_said_and_keeps_no_cost_limit() {
    let world = World::new();
    let sound = with_media("audio/mp3", b"ID3\x04 some sound");
    let file =
        json!({"contents": [{"parts": [{"fileData": {"fileUri": "https://x/files/a", "mimeType": "video/mp4"}}]}]});
    let cached = json!({"contents": [{"parts": [{"text": "hi"}]}], "cachedContent": "cachedContents/a"});
    let plain = json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 10}});
    let found = estimate(&world, "gemini-3-flash-preview", &[sound, file, cached, plain.clone()]);
    assert!(basis(&found).contains("media, files or caches of 3 requests are not counted"), "{found}");
    assert!(found["high_usd"].is_null() && found["expected_usd"].is_null(), "{found}");
    let least = found["low_usd"].as_f64().unwrap();
    let text = world.run(&["create", "r.jsonl", "--dry-run"]).stdout;
    assert!(least > 0.0 && text.contains(" input tokens, at least $"), "{text}");
    let refused =
        |arguments: &[&str]| world.refusal(&[&["create", "r.jsonl", "--max-cost-usd", "9"], arguments].concat());
    assert_eq!(refused(&["--dry-run"])["kind"], "budget");

    let mut searching = plain;
    searching["tools"] = json!([{"googleSearch": {}}]);
    let found = estimate(&world, "gemini-3-flash-preview", &[searching.clone()]);
    assert!(
        basis(&found).contains("search is billed apart and not in it: $14 per 1,000 queries, not halved"),
        "{found}"
    );
    assert_eq!(refused(&["--dry-run"])["kind"], "budget");
    assert!(basis(&estimate(&world, "gemini-2.5-flash-lite", &[searching])).contains("$35 per 1,000 prompts"));
}

#[test]
fn the_high_estimate_holds_what_the_basis_says_of_the_texts() {
    let world = World::new();
    let vector = json!({"content": {"parts": [{"text": "漢字".repeat(60_000)}]}});
    let found = estimate(&world, "gemini-embedding-001", &[vector]);
    let price = |level: &str| found[level].as_f64().unwrap();
    assert!((price("high_usd") / price("expected_usd") - 1.35).abs() < 0.01, "{found}");
    assert!((price("low_usd") / price("expected_usd") - 0.65).abs() < 0.01, "{found}");
    let text = json!({"contents": [{"parts": [{"text": "word ".repeat(40_000)}]}], "generationConfig": {"maxOutputTokens": 1}});
    let found = estimate(&world, "gemini-3-flash-preview", &[text]);
    let ratio = found["high_usd"].as_f64().unwrap() / found["low_usd"].as_f64().unwrap();
    assert!((ratio - 1.35 / 0.65).abs() < 0.01, "{found}");
}

#[test]
fn an_answer_is_not_dearer_than_the_longest_that_the_model_gives() {
    let world = World::new();
    let request =
        |limit: i64| json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": limit}});
    let high = |model: &str, limit: i64| estimate(&world, model, &[request(limit)])["high_usd"].as_f64().unwrap();
    assert_eq!(high("gemini-3-flash-preview", 999_999_999), high("gemini-3-flash-preview", 65_536));
    assert!(high("gemini-3-flash-preview", 65_536) > high("gemini-3-flash-preview", 65_000));
    assert_eq!(high("gemini-4-argon", 999_999_999), high("gemini-4-argon", 1_048_576));
}

#[test]
fn several_answers_to_a_request_cost_as_many_times_the_output() {
    let world = World::new();
    let request = |config: Value| json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": config});
    let output = |config: Value| {
        let found = estimate(&world, "gemini-3-flash-preview", &[request(config)]);
        (found["output_tokens"].as_i64().unwrap(), found["high_usd"].as_f64().unwrap())
    };
    let (one, high_of_one) = output(json!({}));
    let (three, high_of_three) = output(json!({"candidateCount": 3}));
    assert_eq!(three, 3 * one);
    assert!(high_of_three > 2.9 * high_of_one, "{high_of_three} {high_of_one}");
    let (limited, high) = output(json!({"candidateCount": 3, "maxOutputTokens": 100}));
    assert_eq!(limited, 300);
    assert!((high - 300.0 * 1.5e-6).abs() < 2e-6, "{high}");
}

#[test]
fn pictures_and_speech_have_their_own_output() {
    let world = World::new();
    let request = |modality: &str| {
        json!({"contents": [{"parts": [{"text": "word ".repeat(400)}]}],
            "generationConfig": {"responseModalities": [modality]}})
    };
    let picture = estimate(&world, "gemini-3-pro-image", &[request("IMAGE")]);
    assert_eq!(picture["output_tokens"], 1120);
    // 500 tokens in at $1, 1,120 tokens of picture at $60 a million.
    assert!((picture["expected_usd"].as_f64().unwrap() - 0.0677).abs() < 1e-6, "{picture}");
    assert!(basis(&picture).contains("747 to 1,290 tokens a picture"), "{picture}");
    let speech = estimate(&world, "gemini-3.8-flash-tts", &[request("AUDIO")]);
    assert_eq!(speech["output_tokens"], 500 * 75 / 10);
    assert!(basis(&speech).contains("length of the speech guessed"), "{speech}");
    assert!(!basis(&speech).contains("maxOutputTokens"), "{speech}");
}

#[test]
fn the_build_tells_the_same_of_all_rows_as_the_check_of_the_file() {
    let world = World::new();
    let rows: String = (0..500).map(|n| format!("{}\n", json!({"n": n, "text": "one two three"}))).collect();
    world.write("rows.jsonl", &rows);
    let request = json!({"contents": [{"parts": [{"text": "{{ text }}"},
        {"inlineData": {"mimeType": "image/png", "data": STANDARD.encode(png(10, 10))}}]}]});
    let built = world.reply(&["build", "rows.jsonl", "--request", &request.to_string()]);
    let checked = world.reply(&["create", "rows.requests.jsonl", "--dry-run"]);
    assert_eq!(built["estimate"], checked["estimate"]);
    assert_eq!(built["estimate"]["input_tokens"], 500 * (4 + 1120));
}

#[test]
fn published_token_counts_are_within_the_stated_error() {
    let world = World::new();
    // ai.google.dev/api/tokens: 10 by countTokens, 11 in the answer's usage.
    let fox = json!({"contents": [{"parts": [{"text": "The quick brown fox jumps over the lazy dog."}]}]});
    let tokens = estimate(&world, "gemini-2.5-flash-lite", &[fox])["input_tokens"].as_f64().unwrap();
    assert!((tokens / 10.5 - 1.0).abs() < 0.15, "{tokens}");
}

/// Rows in Chinese, of which the simulator counts four characters a token and the estimate fewer.
fn chinese(world: &World) {
    let rows: String = (0..300).map(|n| format!("{}\n", json!({"n": n, "text": "漢字".repeat(60)}))).collect();
    world.write("rows.jsonl", &rows);
}

#[test]
fn tokens_counted_by_the_api_put_the_estimate_right() {
    let world = World::new();
    chinese(&world);
    let build = ["build", "rows.jsonl", "--template", "{{ text }}"];
    let guessed = world.reply(&build)["estimate"].clone();
    let measured = world.reply(&[&build[..], &["--count-tokens"]].concat())["estimate"].clone();
    assert_eq!(guessed["input_tokens"], 300 * 80);
    assert_eq!(measured["input_tokens"], 300 * 30);
    assert!(
        basis(&measured).contains("measured by countTokens on 10 requests: the local estimate is 167 % high"),
        "{measured}"
    );
    assert!(measured["low_usd"].as_f64() < guessed["low_usd"].as_f64());
    let submitted = world.reply(&["create", "rows.requests.jsonl", "--dry-run"])["estimate"].clone();
    assert_eq!(submitted["input_tokens"], 300 * 30, "what was counted is not forgotten: {submitted}");
    let other = world.reply(&["create", "rows.requests.jsonl", "--dry-run", "--model", "gemini-3.5-flash"]);
    assert_eq!(other["estimate"]["input_tokens"], 300 * 80, "another model counts otherwise: {other}");
    assert_eq!(world.simulator.log().count("POST", ":countTokens"), 10, "nine spread over the file, and the longest");
}

#[test]
fn what_was_counted_of_all_requests_is_not_taken_for_those_that_are_repeated() {
    let world = World::new();
    let long = json!({"text": "漢字".repeat(600)});
    world.write("rows.jsonl", &format!("{long}\n{long}\n{}", json!({"text": "[[simulate:failed]] one"})));
    world.reply(&["build", "rows.jsonl", "--template", "{{ text }}", "--count-tokens"]);
    let created = world.reply(&["create", "rows.requests.jsonl"]);
    assert!(basis(&created["estimate"]).contains("countTokens"), "{created}");
    let job = created["job"].as_str().unwrap();
    world.run(&["status", job, "--wait"]);
    let planned = world.reply(&["retry", job, "--dry-run"]);
    assert!(planned["estimate"]["input_tokens"].as_i64().unwrap() < 20, "{planned}");
    assert!(!basis(&planned["estimate"]).contains("countTokens"), "{planned}");
    assert!(planned["job"].as_str().unwrap().starts_with("rows-"), "it has the name of what it repeats: {planned}");
}

#[test]
fn tokens_of_embeddings_are_counted_too() {
    let world = World::new();
    chinese(&world);
    let reply = world.reply(&["build", "rows.jsonl", "--template", "{{ text }}", "--kind", "embed", "--count-tokens"]);
    assert_eq!(reply["estimate"]["input_tokens"], 300 * 30, "{reply}");
}

#[test]
fn a_count_holds_what_cannot_be_measured_here() {
    let world = World::new();
    let rows: String = (0..20).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    world.write("rows.jsonl", &rows);
    let file = r#"{"contents": [{"parts": [{"fileData": {"fileUri": "https://x/files/{{ n }}"}}]}]}"#;
    let build = ["build", "rows.jsonl", "--request", file, "--overwrite", "--count-tokens"];
    let reply = world.reply(&build);
    assert_eq!(reply["estimate"]["input_tokens"], 20 * 258, "{reply}");
    assert!(!basis(&reply["estimate"]).contains("not counted"), "{reply}");
    world.reply(&["create", "rows.requests.jsonl", "--max-cost-usd", "9"]);
}

#[test]
fn when_the_api_does_not_count_the_estimate_stays_and_the_reason_is_said() {
    let world = World::new();
    chinese(&world);
    world.simulator.faults().always(Call::CountTokens, Fault::Status { code: 400, body: ErrorBody::HelpOnly });
    let build = ["build", "rows.jsonl", "--template", "{{ text }}", "--count-tokens"];
    let reply = world.reply(&build);
    assert_eq!(reply["estimate"]["input_tokens"], 300 * 80);
    assert!(reply["warnings"].to_string().contains("not counted by the API"), "{reply}");
    assert!(basis(&reply["estimate"]).contains("estimated from text length"), "{reply}");

    let mut command = world.command();
    command.env_remove("GOOGLE_API_KEY").args(build).arg("--json");
    let ran: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert!(ran["warnings"].to_string().contains("no API key is set"), "{ran}");
}

#[test]
fn what_is_saved_is_the_price_of_single_calls_less_that_of_the_batch() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "[[simulate:image]] two", "--output", "r.jsonl"]);
    let handle =
        world.reply(&["create", "r.jsonl", "--model", "gemini-3.1-flash-image"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &handle, "--wait"]);
    let reply = world.reply(&["results", &handle, "--output", "out.jsonl"]);
    assert_eq!(reply["usage"]["image_tokens"], 1290, "{reply}");
    let cost = reply["cost_usd"].as_f64().unwrap();
    assert!(cost > 1290.0 * 30e-6, "{reply}");
    assert_eq!(reply["saved_usd"], cost, "nothing was cached, so a batch costs half");
}

#[test]
fn one_long_prompt_among_short_ones_is_in_the_high_estimate_at_its_price() {
    let world = World::new();
    let line = |key: usize, words: usize| {
        let text = "word ".repeat(words);
        json!({"key": format!("k{key}"), "request": {"contents": [{"parts": [{"text": text}]}]}}).to_string()
    };
    let long = line(0, 240_000);
    world.write("long.jsonl", &format!("{long}\n"));
    let short: Vec<_> = (1..3).map(|key| line(key, 10)).collect();
    world.write("mixed.jsonl", &format!("{long}\n{}\n", short.join("\n")));
    let high = |file: &str| {
        let reply = world.reply(&["create", file, "--dry-run", "--model", "gemini-3.1-pro-preview"]);
        reply["estimate"]["high_usd"].as_f64().unwrap()
    };
    assert!(high("mixed.jsonl") > high("long.jsonl"), "the prompts of a job are not of one length");
}

#[test]
fn what_may_be_a_mistake_in_a_request_file_is_told_before_it_is_paid_for() {
    let world = World::new();
    let line = |key: usize, text: &str, category: &str| {
        let setting = json!({"category": category, "threshold": "BLOCK_NONE"});
        let request = json!({"contents": [{"parts": [{"text": text}]}], "safetySettings": [setting]});
        json!({"key": key.to_string(), "request": request}).to_string()
    };
    let warnings = |lines: &[String]| {
        world.write("r.jsonl", &lines.join("\n"));
        world.reply(&["create", "r.jsonl", "--dry-run"])["warnings"].to_string()
    };
    let usual = "HARM_CATEGORY_HARASSMENT";
    assert_eq!(warnings(&[line(1, "Hi", usual)]), "null");
    let new = warnings(&[line(1, "Hi", usual), line(2, "Hi", "HARM_CATEGORY_NEW"), line(3, "Hi", "HARM_CATEGORY_NEW")]);
    assert!(new.contains("HARM_CATEGORY_NEW") && new.contains("(2 times, first in line 2)"), "{new}");
    let long = warnings(&[line(1, &"word ".repeat(1_200_000), usual)]);
    assert!(
        long.contains("the longest prompt has about 1,5") && long.contains("Gemini models take 1,048,576"),
        "{long}"
    );
}
