//! Pictures, speech and vectors: what their requests say, and that they go all the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::world::World;

/// Builds one request of the prompt "Hi" and gives it with the reply.
fn built(world: &World, more: &[&str]) -> (Value, Value) {
    let build = [&["build", "--prompt", "Hi", "--output", "a.jsonl", "--overwrite"], more].concat();
    let reply = world.reply(&build);
    (world.lines("a.jsonl")[0]["request"].clone(), reply)
}

/// Why a build was refused.
fn refused(world: &World, more: &[&str]) -> String {
    let build = [&["build", "--prompt", "Hi", "--output", "a.jsonl", "--overwrite", "--json"], more].concat();
    let ran = world.run(&build);
    assert_eq!(ran.code, 2, "{ran:?}");
    ran.json()["error"]["cause"].as_str().unwrap().to_owned()
}

#[test]
fn image_requests_ask_for_pictures_and_have_a_model_of_their_own() {
    let world = World::new();
    let (request, reply) = built(&world, &["--kind", "image"]);
    assert_eq!(request["generationConfig"], json!({"responseModalities": ["TEXT", "IMAGE"]}));
    assert_eq!(reply["estimate"]["model"], "gemini-3.1-flash-image");
    assert_eq!(reply["warnings"], Value::Null);

    let own = r#"{"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}}"#;
    let (request, _) = built(&world, &["--kind", "image", "--generation-config", own]);
    assert_eq!(request["generationConfig"], serde_json::from_str::<Value>(own).unwrap());
    let (request, _) =
        built(&world, &["--kind", "image", "--generation-config", r#"{"response_modalities": ["IMAGE"]}"#]);
    assert_eq!(request["generationConfig"], json!({"responseModalities": ["IMAGE"]}));
}

#[test]
fn speech_has_one_voice_or_one_for_each_of_two_speakers() {
    let world = World::new();
    let (request, reply) = built(&world, &["--kind", "speech", "--voice", "Kore"]);
    let kore = json!({"prebuiltVoiceConfig": {"voiceName": "Kore"}});
    let speech = json!({"responseModalities": ["AUDIO"], "speechConfig": {"voiceConfig": kore}});
    assert_eq!(request["generationConfig"], speech);
    assert_eq!(reply["estimate"]["model"], "gemini-3.8-flash-tts");

    let (request, _) = built(&world, &["--kind", "speech", "--voice", "Ann=Kore, Dr. Bob = Puck"]);
    let puck = json!({"prebuiltVoiceConfig": {"voiceName": "Puck"}});
    let speakers = json!([{"speaker": "Ann", "voiceConfig": kore}, {"speaker": "Dr. Bob", "voiceConfig": puck}]);
    let config = &request["generationConfig"]["speechConfig"];
    assert_eq!(config, &json!({"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": speakers}}));

    let (request, _) = built(&world, &["--kind", "speech"]);
    assert_eq!(request["generationConfig"], json!({"responseModalities": ["AUDIO"]}));
}

#[test]
fn voices_that_the_api_would_refuse_are_refused_here() {
    let world = World::new();
    let voice = |voice: &str| refused(&world, &["--kind", "speech", "--voice", voice]);
    assert!(voice("A=Kore,B=Puck,C=Zephyr").contains("3 speakers"));
    assert!(voice("A=Kore").contains("1 speaker;"));
    assert!(voice("A=Kore,A=Puck").contains("named twice"));
    assert!(voice("Kore,Puck").contains("\"Kore\" is not SPEAKER=VOICE"));
    assert!(voice("A=,B=Puck").contains("not SPEAKER=VOICE"));
    assert!(voice(" ").contains("empty"));
    assert!(refused(&world, &["--voice", "Kore"]).contains("kind speech"));
    assert!(refused(&world, &["--kind", "image", "--voice", "Kore"]).contains("kind speech"));
    let config = r#"{"speechConfig": {"languageCode": "de-DE"}}"#;
    let both = refused(&world, &["--kind", "speech", "--voice", "Kore", "--generation-config", config]);
    assert!(both.contains("both voice and"), "{both}");
    let schema = refused(&world, &["--kind", "speech", "--response-schema", r#"{"type": "object"}"#]);
    assert!(schema.contains("cannot follow a response_schema"), "{schema}");
    let vectors = refused(&world, &["--kind", "embed", "--response-schema", r#"{"type": "object"}"#]);
    assert_eq!(vectors, "vectors follow no response_schema");
}

#[test]
fn a_voice_may_stand_in_a_column_or_depend_on_one() {
    let world = World::new();
    world.write("lines.csv", "id,text,voice,speaker\n1,Hi,Kore,Ann\n2,Ho,Puck,Bob\n");
    let built = |voice: &str| {
        let flags = ["--kind", "speech", "--template", "{{text}}", "--key", "id", "--overwrite", "--voice", voice];
        let reply = world.reply(&[&["build", "lines.csv"], &flags[..]].concat());
        let config = |line: &Value| line["request"]["generationConfig"]["speechConfig"].clone();
        (world.lines("lines.requests.jsonl").iter().map(config).collect::<Vec<_>>(), reply)
    };
    let named = |name: &str| json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}});
    for voice in ["voice", "{{voice}}", "{{ 'Kore' if speaker == 'Ann' else 'Puck' }}"] {
        assert_eq!(built(voice).0, [named("Kore"), named("Puck")], "{voice}");
    }
    let (configs, reply) = built("Ann=voice,Bob={{ 'Leda' if id == '1' else 'Puck' }}");
    let second = &configs[1]["multiSpeakerVoiceConfig"]["speakerVoiceConfigs"];
    assert_eq!(
        (&second[0]["voiceConfig"], &second[1]["voiceConfig"]),
        (&named("Puck")["voiceConfig"], &named("Puck")["voiceConfig"])
    );
    let told = "2 requests without a line of the speakers of voice (Ann: …, Bob: …)";
    assert!(reply["warnings"].to_string().contains(told), "{reply}");
    let dialogue = ["--kind", "speech", "--voice", "Ann=Kore,Bob=Puck", "--prompt", "Ann: Hi.\nBob: Ho."];
    let reply = world.reply(&[&["build", "--output", "d.jsonl"], &dialogue[..]].concat());
    assert_eq!(reply["warnings"], Value::Null);
}

#[test]
fn a_model_that_is_not_known_is_answered_with_those_that_make_the_same() {
    let world = World::new();
    let (_, reply) = built(&world, &["--kind", "image", "--model", "gemini-2.5-flash-image"]);
    let warnings = reply["warnings"].to_string();
    assert!(warnings.contains("(did you mean gemini-3.1-flash-image or gemini-3.1-flash-lite-image?)"), "{warnings}");
    let error = world.refused(&["create", "a.jsonl", "--max-cost-usd", "1"]);
    let hint =
        "did you mean gemini-3.1-flash-image or gemini-3.1-flash-lite-image? Those have a price. Nothing was sent";
    assert_eq!(error["hint"], hint, "{error}");
    let error = world.refused(&["create", "a.jsonl", "--model", "some-image-9"]);
    assert!(error["hint"].as_str().unwrap().contains("gemini-3.1-flash-image"), "{error}");
}

#[test]
fn a_model_for_something_else_is_warned_of() {
    let world = World::new();
    let warnings = |more: &[&str]| built(&world, more).1["warnings"].to_string();
    let text_for_images = warnings(&["--kind", "image", "--model", "gemini-3.8-flash"]);
    assert!(
        text_for_images.contains("gemini-3.8-flash makes text, and the requests ask for images"),
        "{text_for_images}"
    );
    let speech_for_text = warnings(&["--model", "gemini-3.8-flash-tts"]);
    assert!(speech_for_text.contains("pass kind: \\\"speech\\\""), "{speech_for_text}");
    let refused =
        |more: &[&str]| world.run(&[&["build", "--prompt", "Hi", "--output", "b.jsonl"], more].concat()).stderr;
    assert!(refused(&["--kind", "embed", "--model", "gemini-3.8-flash"]).contains("makes no vectors"));
    assert!(refused(&["--model", "gemini-embedding-001"]).contains("--kind embed"));
    let by_hand = r#"{"responseModalities": ["AUDIO"]}"#;
    assert_eq!(warnings(&["--model", "gemini-3.8-flash-tts", "--generation-config", by_hand]), "null");
    assert_eq!(warnings(&["--kind", "speech", "--model", "gemini-3.8-flash-lite-tts"]), "null");
}

#[test]
fn requests_for_what_the_model_does_not_make_have_no_price_and_are_warned_of_before_they_are_sent() {
    let world = World::new();
    let create = |file: &str, model: &str| world.reply(&["create", file, "--model", model, "--dry-run"]);
    let odd = |reply: &Value| {
        assert!(reply["estimate"]["high_usd"].is_null(), "{reply}");
        reply["warnings"][0].as_str().unwrap().to_owned()
    };
    let fine = |reply: Value| assert!(reply["warnings"].is_null() && reply["estimate"]["high_usd"].is_f64(), "{reply}");
    let build = |file: &str, more: &[&str]| {
        world.reply(&[&["build", "--prompt", "Hi", "--output", file], more].concat());
    };
    build("pictures.jsonl", &["--kind", "image"]);
    build("speech.jsonl", &["--kind", "speech"]);
    build("text.jsonl", &[]);
    build("words.jsonl", &["--generation-config", r#"{"responseModalities": ["TEXT"]}"#]);
    let (text, image, tts) = ("gemini-3-flash-preview", "gemini-3.1-flash-image", "gemini-3.8-flash-tts");
    let says = |warning: String, model: &str, makes: &str, asked: &str, instead: &str| {
        let hint = format!("pass model: \"{instead}\", which does");
        assert_eq!(warning, format!("{model} makes {makes}, and the requests ask for {asked}: {hint}"));
    };
    says(odd(&create("pictures.jsonl", text)), text, "text", "images", image);
    says(odd(&create("speech.jsonl", text)), text, "text", "speech", tts);
    says(odd(&create("speech.jsonl", image)), image, "images", "speech", tts);
    says(odd(&create("text.jsonl", tts)), tts, "speech", "text", text);
    says(odd(&create("text.jsonl", image)), image, "images", "text", text);
    fine(create("words.jsonl", image));
    fine(create("pictures.jsonl", image));
    fine(create("speech.jsonl", tts));

    let capped = ["create", "pictures.jsonl", "--model", text, "--max-cost-usd", "9"];
    let refused = world.refusal(&capped);
    assert_eq!(refused["kind"], "budget");
    assert!(refused["cause"].as_str().unwrap().contains("what that costs is unknown"), "{refused}");
    let sent = world.reply(&capped[..4]);
    assert!(sent["warnings"].to_string().contains("makes text"), "{sent}");

    // Some of them, ready as they are.
    let lines = [world.read("pictures.jsonl"), world.read("text.jsonl").replace("row-1", "row-2")].concat();
    world.write("mixed.jsonl", &lines);
    let mixed = world.reply(&["build", "mixed.jsonl", "--model", text, "--output", "ready.jsonl"]);
    assert!(odd(&mixed).contains("the requests ask for images (1 of 2): pass model:"), "{mixed}");
}

#[test]
fn embeddings_take_their_settings_from_templates_too() {
    let world = World::new();
    world.write("a.csv", "id,title,text\n1,Chairs,A chair is a seat.\n");
    let settings = r#"{"taskType": "RETRIEVAL_DOCUMENT", "title": "{{title | upper}}", "outputDimensionality": 8}"#;
    let build = ["build", "a.csv", "--kind", "embed", "--template", "{{text}}", "--key", "id", "--request", settings];
    let reply = world.reply(&build);
    assert_eq!(reply["warnings"], Value::Null);
    let request = world.lines("a.requests.jsonl")[0]["request"].clone();
    let expected = json!({
        "taskType": "RETRIEVAL_DOCUMENT", "title": "CHAIRS", "outputDimensionality": 8,
        "content": {"parts": [{"text": "A chair is a seat."}]},
    });
    assert_eq!(request, expected);

    let second = ["--model", "gemini-embedding-2", "--overwrite"];
    let reply = world.reply(&[build.as_slice(), &second].concat());
    assert!(reply["warnings"].to_string().contains("does not take taskType"), "{reply}");

    world.reply(&build);
    let job = world.reply(&["create", "a.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let results = world.reply(&["results", &job, "--output", "vectors.jsonl"]);
    assert_eq!(results["outcomes"]["answered"], 1, "{results}");
    assert_eq!(world.lines("vectors.jsonl")[0]["response"]["embedding"].as_array().map(Vec::len), Some(8));
}

#[test]
fn an_image_job_goes_all_the_way_and_can_be_retried() {
    let world = World::new();
    std::fs::write(world.path("a.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    world.write("a.csv", "id,picture\n1,a.png\n2,\n");
    let template = "Draw number {{id}}{% if id == \"2\" %} [[simulate:blocked]]{% endif %}";
    let built = world.reply(&["build", "a.csv", "--kind", "image", "--template", template, "--attach", "picture"]);
    assert!(built["next"].as_str().unwrap().contains("gemini-3.1-flash-image"), "{built}");
    // The model is remembered with the file: nobody has to name it again.
    let created = world.reply(&["create", "a.requests.jsonl"]);
    assert_eq!(created["estimate"]["model"], "gemini-3.1-flash-image");
    let job = created["job"].as_str().unwrap();
    world.run(&["status", job, "--wait"]);
    let results = world.run(&["results", job, "--output", "pictures.jsonl", "--json"]).json();
    assert_eq!(
        (&results["outcomes"]["answered"], &results["outcomes"]["blocked"]),
        (&json!(1), &json!(1)),
        "{results}"
    );
    let first = &world.lines("pictures.jsonl")[0];
    assert!(first.to_string().contains("image/png"), "{first}");
    let manifest: Value = serde_json::from_str(&world.read("pictures.jsonl.manifest.json")).unwrap();
    assert_eq!(manifest["kind"], "image");

    let retried = world.reply(&["retry", job]);
    assert_eq!((&retried["requests"], &retried["estimate"]["model"]), (&json!(1), &created["estimate"]["model"]));
}

#[test]
fn a_speech_job_goes_all_the_way() {
    let world = World::new();
    world.write("a.csv", "id,text\n1,Ann: Hi! Bob: Hello.\n");
    let voices = ["--kind", "speech", "--voice", "Ann=Kore,Bob=Puck", "--template", "{{text}}"];
    world.reply(&[["build", "a.csv"].as_slice(), &voices].concat());
    let job = world.reply(&["create", "a.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let results = world.reply(&["results", &job, "--output", "speech.jsonl"]);
    assert_eq!(results["outcomes"]["answered"], 1, "{results}");
    assert!(world.read("speech.jsonl").contains("audio/"), "{}", world.read("speech.jsonl"));
}

#[test]
fn requests_under_a_name_for_answers_are_told() {
    let world = World::new();
    for (output, is_told) in [("v.npy", true), ("v.CSV", true), ("v.requests.jsonl", false), ("v.json", false)] {
        let reply = world.reply(&["build", "--prompt", "Hi", "--kind", "embed", "--output", output]);
        let warnings = reply["warnings"].to_string();
        assert_eq!(warnings.contains("holds requests, as JSON lines"), is_told, "{output}: {warnings}");
    }
}
