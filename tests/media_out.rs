//! Pictures and sounds in answers become files, whole and once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use support::world::World;

/// Submits `rows.csv` with these rows of `id,text`; the handle of the finished job.
fn finished(world: &World, rows: &str, build: &[&str]) -> String {
    world.write("rows.csv", &format!("id,text\n{rows}"));
    world.reply(&[&["build", "rows.csv", "--template", "{{ text }}", "--key", "id"], build].concat());
    let handle = world.reply(&["create", "rows.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &handle, "--wait"]);
    handle
}

fn png(world: &World, path: &str) -> imagesize::ImageSize {
    let bytes = std::fs::read(world.path(path)).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "{path}");
    imagesize::blob_size(&bytes).unwrap()
}

const IMAGES: &str =
    "A1,[[simulate:image]] a kettle\nB/2,[[simulate:image]] a lamp\nC3,no picture\nD4,[[simulate:failed]]\n";

#[test]
fn the_call_that_asks_about_pictures_keeps_their_keys() {
    let world = World::new();
    let handle = finished(&world, "A1,[[simulate:image]] a kettle\n", &[]);
    for (output, join, key) in [("plain.csv", None, "key"), ("joined.csv", Some("--join"), "id")] {
        let words = [Some("--output"), Some(output), join].into_iter().flatten();
        let next = world.results(&[&[handle.as_str()], &words.collect::<Vec<_>>()[..]].concat())["next"].clone();
        let call = next.as_str().unwrap().strip_prefix("done; build_jsonl ").unwrap().to_owned();
        let call: Value = serde_json::from_str(call.strip_suffix(" asks about these files").unwrap()).unwrap();
        assert_eq!((&call["key"], &call["attach"]), (&json!(key), &json!(["media"])));
        let source = call["source"].as_str().unwrap();
        world.reply(&[
            "build",
            source,
            "--key",
            key,
            "--attach",
            "media",
            "--template",
            "x",
            "--output",
            "n.jsonl",
            "--overwrite",
        ]);
        assert_eq!(world.lines("n.jsonl")[0]["key"], "A1");
    }
}

#[test]
fn pictures_become_files_named_by_their_keys() {
    let world = World::new();
    let handle = finished(&world, IMAGES, &[]);
    let reply = world.results(&[&handle, "--output", "out.jsonl"]);
    let folder = format!("{handle}.media");
    assert!(reply["media"].as_str().unwrap().ends_with(&format!("{folder} (2 files)")), "{reply}");
    assert_eq!(png(&world, &format!("{folder}/A1.png")).width, 8);

    let lines = world.lines("out.jsonl");
    let medium = &lines[0]["response"]["media"][0];
    assert_eq!(medium["file"], format!("{folder}/A1.png"), "by the way from the answers");
    assert_eq!(medium["mime_type"], "image/png");
    let second = lines[1]["response"]["media"][0]["file"].as_str().unwrap();
    assert!(second.starts_with(&format!("{folder}/B_2-")), "{second}");
    png(&world, second);
    assert!(lines[2]["response"]["media"].is_null());

    let manifest = world.lines(&format!("{folder}/media.jsonl"));
    let bytes = std::fs::read(world.path(second)).unwrap();
    let told = &manifest[1];
    assert_eq!((&told["key"], &told["bytes"]), (&json!("B/2"), &json!(bytes.len())));
    assert_eq!((&told["width"], &told["height"]), (&json!(8), &json!(8)));
    assert_eq!(told["sha256"].as_str().unwrap(), sha256(&bytes));
    assert_eq!(manifest.len(), 2);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_table_has_a_column_for_them_and_no_base64() {
    let world = World::new();
    let handle = finished(&world, IMAGES, &[]);
    let reply = world.results(&[&handle, "--format", "source", "--media-dir", "pictures"]);
    assert_eq!(reply["samples"][0]["text"], "pictures/A1.png");
    let text = world.read("rows.answered.csv");
    assert!(!text.contains("iVBOR"), "{text}");
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let header = table.headers().unwrap().clone();
    let media = header.iter().position(|name| name == "media").unwrap();
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    assert_eq!(&rows[0][media], "pictures/A1.png");
    png(&world, &rows[1][media]);
    assert_eq!(&rows[2][media], "");
    // A job without any has no such column.
    let plain = finished(&world, "X,only text\n", &["--overwrite"]);
    world.results(&[&plain, "--output", "plain.csv"]);
    assert!(!world.read("plain.csv").contains("media"));
    assert!(!world.path(&format!("{plain}.media")).exists());
}

#[test]
fn speech_becomes_a_sound_that_any_player_knows() {
    let world = World::new();
    let config = r#"{"responseModalities": ["AUDIO"]}"#;
    let handle = finished(&world, "hello,Say hello\n", &["--generation-config", config]);
    world.results(&[&handle, "--output", "out.csv"]);
    let wav = std::fs::read(world.path(&format!("{handle}.media/hello.wav"))).unwrap();
    assert_eq!((&wav[..4], &wav[8..16], &wav[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
    let number = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().unwrap());
    assert_eq!(number(4) as usize, wav.len() - 8);
    assert_eq!(number(24), 24_000, "samples a second");
    assert_eq!(number(40) as usize, wav.len() - 44);
    let manifest = world.lines(&format!("{handle}.media/media.jsonl"));
    assert_eq!(manifest[0]["seconds"], 0.25);
    assert_eq!(manifest[0]["mime_type"], "audio/wav");
}

/// Replaces the kept answer of a job whose only key is A1 by one of these parts.
fn answer_with(world: &World, handle: &str, parts: &[(&str, &[u8])]) {
    world.results(&[handle, "--limit", "0"]);
    let part = |(mime, bytes): &(&str, &[u8])| json!({"inlineData": {"mimeType": mime, "data": BASE64_STANDARD.encode(bytes)}});
    let parts: Vec<_> = parts.iter().map(part).collect();
    let candidate = json!({"content": {"parts": parts}, "finishReason": "STOP"});
    let line = json!({"key": "A1", "response": {"candidates": [candidate]}});
    std::fs::write(world.path(&format!("home/jobs/{handle}/results.jsonl")), format!("{line}\n")).unwrap();
}

#[test]
fn several_media_of_one_answer_keep_their_types_rates_and_channels() {
    let world = World::new();
    let handle = finished(&world, "A1,x\n", &[]);
    let jpeg =
        b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xFF\xC0\0\x0B\x08\0\x05\0\x07\x01\x01\x11\0\xFF\xD9";
    let sound = [1, 2, 3, 4].repeat(4_000);
    let parts: [(&str, &[u8]); 3] =
        [("image/png", jpeg), ("audio/L16;codec=pcm;rate=16000;channels=2", &sound), ("image/jpeg", jpeg)];
    answer_with(&world, &handle, &parts);
    let reply = world.results(&[&handle, "--output", "out.csv"]);
    let folder = format!("{handle}.media");
    assert!(reply["media"].as_str().unwrap().ends_with("(3 files)"), "{reply}");
    let manifest = world.lines(&format!("{folder}/media.jsonl"));
    let told = |field: &str| manifest.iter().map(|entry| entry[field].clone()).collect::<Vec<_>>();
    assert_eq!(told("mime_type"), ["image/jpeg", "audio/wav", "image/jpeg"], "by what is in it");
    assert_eq!(told("file"), ["A1.jpg", "A1-2.wav", "A1-3.jpg"]);
    assert_eq!((&manifest[0]["width"], &manifest[0]["height"]), (&json!(7), &json!(5)));
    assert_eq!(manifest[1]["seconds"], 0.25);
    assert_eq!(std::fs::read(world.path(&format!("{folder}/A1-3.jpg"))).unwrap(), jpeg);
    let wav = std::fs::read(world.path(&format!("{folder}/A1-2.wav"))).unwrap();
    let number = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().unwrap());
    assert_eq!((wav[22], number(24), number(28), wav[32]), (2, 16_000, 64_000, 4));
    assert_eq!(&wav[44..], sound);
    let table = world.read("out.csv");
    assert!(
        ["A1.jpg", "A1-2.wav", "A1-3.jpg"].iter().all(|file| table.contains(&format!("{folder}/{file}"))),
        "{table}"
    );
}

#[test]
fn a_disk_that_fills_up_leaves_no_half_of_a_picture() {
    let world = World::new();
    let handle = finished(&world, "A1,x\n", &[]);
    let large = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 300_000]].concat();
    answer_with(&world, &handle, &[("image/png", &large)]);
    let ran = world.with_files_of(100, &["results", &handle, "--output", "out.jsonl"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("too large"), "{ran:?}");
    let folder = format!("{handle}.media");
    assert_eq!(std::fs::read_dir(world.path(&folder)).map_or(0, |files| files.count()), 0, "no half is left");
    assert!(!world.path("out.jsonl").exists());
    world.results(&[&handle, "--output", "out.jsonl"]);
    assert_eq!(std::fs::read(world.path(&format!("{folder}/A1.png"))).unwrap(), large);
}

#[test]
fn again_is_no_conflict_and_a_changed_file_is_kept() {
    let world = World::new();
    let handle = finished(&world, IMAGES, &[]);
    let file = format!("{handle}.media/A1.png");
    let arguments = [handle.as_str(), "--output", "out.jsonl"];
    world.results(&arguments);
    let before = std::fs::metadata(world.path(&file)).unwrap().modified().unwrap();
    world.results(&arguments);
    assert_eq!(std::fs::metadata(world.path(&file)).unwrap().modified().unwrap(), before);
    assert_eq!(std::fs::read_dir(world.path(&format!("{handle}.media"))).unwrap().count(), 3);

    std::fs::write(world.path(&file), "mine").unwrap();
    let refusal = world.run(&["results", &handle, "--output", "out.jsonl", "--json"]);
    assert_eq!(refusal.json()["error"]["kind"], "already_exists");
    assert_eq!(world.read(&file), "mine");
    world.results(&[&handle, "--output", "out.jsonl", "--overwrite"]);
    png(&world, &file);
}

#[test]
fn pictures_that_were_asked_about_are_not_replaced() {
    let world = World::new();
    std::fs::create_dir(world.path("photos")).unwrap();
    world.write("photos/A1.png", "what was asked about");
    let handle = finished(&world, IMAGES, &[]);
    let error = world.refusal(&["results", &handle, "--output", "o.csv", "--media-dir", "photos", "--overwrite"]);
    assert_eq!(error["kind"], "already_exists", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("name another media_dir"), "{error}");
    assert_eq!(world.read("photos/A1.png"), "what was asked about");
}

#[test]
fn only_what_the_filters_let_through_is_written() {
    let world = World::new();
    let handle = finished(&world, IMAGES, &[]);
    let shown = world.results(&[&handle, "--key", "A1"]);
    assert!(shown["media"].is_null(), "{shown}");
    assert!(!shown.to_string().contains("iVBOR"), "{shown}");
    assert!(!world.path(&format!("{handle}.media")).exists());
    world.results(&[&handle, "--outcome", "failed", "--output", "failed.jsonl"]);
    assert!(!world.path(&format!("{handle}.media")).exists());
    world.results(&[&handle, "--key", "A1", "--output", "one.jsonl"]);
    assert_eq!(world.lines(&format!("{handle}.media/media.jsonl")).len(), 1);
    world.results(&[&handle, "--output", "raw.jsonl", "--format", "raw"]);
    assert_eq!(world.lines(&format!("{handle}.media/media.jsonl")).len(), 1, "raw holds them already");
    world.results(&[&handle, "--output", "all.jsonl"]);
    assert_eq!(world.lines(&format!("{handle}.media/media.jsonl")).len(), 2);
}

#[test]
fn the_folder_stays_where_files_may_be_written() {
    let world = World::new();
    let handle = finished(&world, IMAGES, &[]);
    let outside = tempfile::tempdir().unwrap();
    for folder in [outside.path().to_str().unwrap(), "nowhere/below", "rows.csv"] {
        let root = world.folder.path().to_str().unwrap();
        let ran = world.run(&["results", &handle, "-o", "o.csv", "--media-dir", folder, "--root", root, "--json"]);
        assert!([1, 2].contains(&ran.code), "{folder}: {ran:?}");
        assert!(!world.path("o.csv").exists());
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}
