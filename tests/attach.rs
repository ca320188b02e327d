//! Media attached to rows: inline or uploaded, once per content, and never quietly left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, ManualClock};
use serde_json::{Value, json};
use support::world::World;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const PDF: &[u8] = b"%PDF-1.7\n";
const LARGE: usize = 700 * 1024;

fn large(head: &[u8], seed: u8) -> Vec<u8> {
    let noise = (0..LARGE).map(|at| (at / 3 % 251) as u8 ^ seed);
    head.iter().copied().chain(noise).collect()
}

/// Writes bytes below the world's folder.
fn put(world: &World, name: &str, bytes: &[u8]) {
    let path = world.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The MIME types of the media at the API, whatever the client believes.
fn at_the_api(world: &World) -> Vec<String> {
    let files = std::fs::read_dir(world.path("api/files"));
    let records = files.into_iter().flatten().map(|entry| entry.unwrap().path().join("file.json"));
    let read = |path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let mimes = records.map(read).map(|record| record["mime"].as_str().unwrap().to_owned());
    let mut mimes: Vec<_> = mimes.filter(|mime| mime != "application/jsonl").collect();
    mimes.sort();
    mimes
}

fn parts(line: &Value) -> &Value {
    &line["request"]["contents"][0]["parts"]
}

/// A CSV with a picture in each row, and the flags to build it.
const BUILD: [&str; 7] = ["build", "a.csv", "--template", "What is {{id}}?", "--attach", "picture", "--overwrite"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [BUILD.as_slice(), more].concat()
}

#[test]
fn small_files_go_into_the_request_before_its_prompt() {
    let world = World::new();
    put(&world, "a.png", PNG);
    put(&world, "docs/1.pdf", PDF);
    put(&world, "docs/2.pdf", b"# Notes");
    put(&world, "notes.md", b"# Notes");
    world.write("a.csv", "id,picture\n1,a.png\n2,\n");
    let reply = world.reply(&with(&["--attach", "docs/{{id}}.pdf", "--attach", "notes.md"]));
    let lines = world.lines("a.requests.jsonl");
    let inline = |mime: &str, bytes: &[u8]| json!({"inlineData": {"mimeType": mime, "data": STANDARD.encode(bytes)}});
    let notes = inline("text/markdown", b"# Notes");
    assert_eq!(
        parts(&lines[0]),
        &json!([inline("image/png", PNG), inline("application/pdf", PDF), notes, {"text": "What is 1?"}])
    );
    // By content, not by name: the second PDF is text.
    assert_eq!(parts(&lines[1]), &json!([inline("text/plain", b"# Notes"), notes, {"text": "What is 2?"}]));
    assert!(reply["estimate"]["basis"].as_str().unwrap().contains("media"), "{reply}");
    assert_eq!(at_the_api(&world), Vec::<String>::new());
}

#[test]
fn files_of_every_kind_in_a_folder_are_rows_and_go_along_by_their_paths() {
    let world = World::new();
    let files: [(&str, &[u8], &str); 7] = [
        ("code.rs", b"fn main() {}\n", "text/plain"),
        ("film.mp4", b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2", "video/mp4"),
        ("notes.md", b"# Notes\n", "text/markdown"),
        ("paper.pdf", PDF, "application/pdf"),
        ("photo.png", PNG, "image/png"),
        ("song.mp3", b"ID3\x03\0\0\0\0\0\0", "audio/mp3"),
        ("voice.wav", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "audio/wav"),
    ];
    files.iter().for_each(|(name, bytes, _)| put(&world, &format!("all/{name}"), bytes));
    let reply = world.reply(&["build", "all", "--template", "What is {{ name }}?", "--attach", "path"]);
    assert_eq!((&reply["requests"], &reply["source_format"]), (&json!(7), &json!("files")), "{reply}");
    for (line, (name, bytes, mime)) in world.lines("all.requests.jsonl").iter().zip(files) {
        let inline = json!({"inlineData": {"mimeType": mime, "data": STANDARD.encode(bytes)}});
        assert_eq!((&line["key"], parts(line)), (&json!(name), &json!([inline, {"text": format!("What is {name}?")}])));
    }
}

#[test]
fn a_large_file_is_uploaded_once_for_all_rows_and_builds() {
    let world = World::new();
    put(&world, "a.png", &large(PNG, 0));
    put(&world, "copy of a.png", &large(PNG, 0));
    put(&world, "b.pdf", &large(PDF, 1));
    world.write("a.csv", "id,picture\n1,a.png\n2,copy of a.png\n3,b.pdf\n4,a.png\n");
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world), ["application/pdf", "image/png"]);
    let first = world.read("a.requests.jsonl");
    let lines = world.lines("a.requests.jsonl");
    let file = &parts(&lines[0])[0]["fileData"];
    assert_eq!(file["mimeType"], "image/png");
    assert!(file["fileUri"].as_str().unwrap().starts_with(world.simulator.url()), "{file}");
    assert_eq!(parts(&lines[0])[0], parts(&lines[1])[0]);
    assert_eq!(parts(&lines[0])[0], parts(&lines[3])[0]);
    assert_ne!(parts(&lines[0])[0], parts(&lines[2])[0]);

    // Built again, even elsewhere, nothing is sent again.
    let reply = world.reply(&with(&[]));
    assert_eq!(reply["unchanged"], true, "{reply}");
    world.reply(&with(&["--output", "b.jsonl"]));
    assert_eq!(world.read("b.jsonl"), first);
    assert_eq!(at_the_api(&world).len(), 2);

    // A file deleted at the API is sent again.
    std::fs::remove_dir_all(world.path("api/files")).unwrap();
    std::fs::create_dir(world.path("api/files")).unwrap();
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 2);
    assert_ne!(world.read("a.requests.jsonl"), first);
}

#[test]
fn an_upload_is_used_only_with_the_key_that_made_it() {
    let world = World::new();
    put(&world, "a.png", &large(PNG, 0));
    world.write("a.csv", "id,picture\n1,a.png\n");
    world.reply(&with(&[]));
    let other = world.command().args(with(&[])).env("GOOGLE_API_KEY", "another-key").output().unwrap();
    assert!(other.status.success(), "{other:?}");
    assert_eq!(at_the_api(&world).len(), 2);
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 2, "each key has its own");
}

#[test]
fn an_upload_that_soon_expires_is_made_again_and_the_job_warned_of() {
    // The API's clock is 30 hours behind: what it keeps for 48 hours is gone in 18.
    let clock = ManualClock::new(Utc::now() - chrono::TimeDelta::hours(30));
    let world = World::with(|options| options.clock = Arc::new(clock.clone()));
    put(&world, "a.png", &large(PNG, 0));
    world.write("a.csv", "id,picture\n1,a.png\n");
    world.reply(&with(&[]));
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 2);
    let reply = world.reply(&["create", "a.requests.jsonl", "--dry-run"]);
    assert!(reply["warnings"].to_string().contains("in 17 h; the job may not have run by then"), "{reply}");

    clock.advance(Duration::from_secs(30 * 3600));
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 3);
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 3, "this one lives long enough");
    let reply = world.reply(&["create", "a.requests.jsonl", "--dry-run"]);
    assert!(reply["warnings"].to_string().contains("in 47 h; requests that have not run by then"), "{reply}");
}

#[test]
fn a_job_whose_media_are_gone_is_refused_unless_it_was_submitted_before() {
    let clock = ManualClock::new(Utc::now() - chrono::TimeDelta::hours(50));
    let world = World::with(|options| options.clock = Arc::new(clock.clone()));
    put(&world, "a.png", &large(PNG, 0));
    world.write("a.csv", "id,picture\n1,a.png\n");
    world.reply(&with(&[]));
    let error = world.refusal(&["create", "a.requests.jsonl"]);
    assert_eq!(error["kind"], "invalid_input");
    assert!(error["hint"].as_str().unwrap().contains("overwrite: true"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 0);

    clock.advance(Duration::from_secs(50 * 3600));
    world.reply(&with(&[]));
    let job = world.reply(&["create", "a.requests.jsonl"])["job"].clone();
    assert!(age_media(&world));
    let found = world.reply(&["create", "a.requests.jsonl"]);
    assert_eq!((&found["job"], &found["submission"]), (&job, &json!("found")));
    // A retry sends the same addresses: they are gone.
    let error = world.refusal(&["retry", job.as_str().unwrap(), "--outcome", "answered"]);
    assert!(error["cause"].as_str().unwrap().contains("dropped by the API"), "{error}");
}

/// Makes the ledger believe that the media of every build are gone.
fn age_media(world: &World) -> bool {
    let ledger = rusqlite::Connection::open(world.path("home/ledger.sqlite3")).unwrap();
    let aged = "UPDATE builds SET origin = json_set(origin, '$.media_expires', '2026-01-01T00:00:00Z') \
                WHERE json_extract(origin, '$.media_expires') IS NOT NULL";
    ledger.execute(aged, []).unwrap() > 0
}

#[test]
fn what_cannot_be_attached_is_named_with_its_row_path_and_reason() {
    let world = World::new();
    put(&world, "good.png", PNG);
    put(&world, "empty.png", b"");
    put(&world, "a.gif", b"GIF89a\x01\0");
    put(&world, "latin.txt", b"caf\xe9");
    std::fs::create_dir(world.path("folder.png")).unwrap();
    let huge = std::fs::File::create(world.path("huge.pdf")).unwrap();
    std::io::Write::write_all(&mut &huge, PDF).unwrap();
    huge.set_len(60 * 1024 * 1024).unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.png"), PNG).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.png"), world.path("link.png")).unwrap();
    let above = format!("../{}/secret.png", outside.path().file_name().unwrap().to_str().unwrap());
    let cases = [
        ("missing.png", "No such file"),
        ("empty.png", "the file is empty"),
        ("a.gif", "Gemini does not take image/gif"),
        ("latin.txt", "no known type"),
        ("folder.png", "it is a folder"),
        ("huge.pdf", "it has 60 MB, Gemini takes 50 MB of a PDF"),
        ("link.png", "outside the allowed folders"),
        (above.as_str(), "outside the allowed folders"),
        ("http://example.org/a.png", "only https:// and gs://"),
        ("https://example.org/a b.png", "an address holds no spaces"),
    ];
    let rows: String = cases.iter().map(|(place, _)| format!("x,{place}\n")).collect();
    world.write("a.csv", &format!("id,picture\n1,good.png\n{rows}"));
    // A person may read any file; an agent's server stays below its roots.
    let error = world.refusal(&with(&["--root", "."]));
    let message = error["cause"].as_str().unwrap();
    for (at, (place, cause)) in cases.iter().enumerate() {
        let line = message.lines().find(|line| line.contains(&format!("cannot attach {place}: ")));
        let line = line.unwrap_or_else(|| panic!("{place}: {message}"));
        assert!(line.starts_with(&format!("row {}", at + 2)) && line.contains(cause), "{line}");
    }
    assert!(!world.path("a.requests.jsonl").exists());

    let reply = world.reply(&with(&["--skip-bad-rows", "--root", "."]));
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(1), &json!(10)));
}

#[test]
fn a_picture_needs_no_words_beside_it() {
    let world = World::new();
    put(&world, "good.png", PNG);
    world.write("a.csv", "id,picture,text\n1,good.png,\n2,,\n");
    let call = ["build", "a.csv", "--template", "{{ text }}", "--attach", "picture", "--skip-bad-rows"];
    let reply = world.reply(&call);
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(1), &json!(1)), "{reply}");
    assert!(reply["problems"][0].as_str().unwrap().contains("row 2 (line 3): nothing to attach"), "{reply}");
    let refused = world.refusal(&[&call[..6], &["--output", "b.jsonl"]].concat());
    assert!(refused["cause"].as_str().unwrap().contains("row 2 (line 3): its prompt is empty"), "{refused}");
    // So that the picture is uploaded before the build.
    put(&world, "good.png", &large(PNG, 0));
    let reply = world.reply(&[&call[..], &["--overwrite"]].concat());
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(1), &json!(1)), "{reply}");
}

#[test]
fn nothing_is_uploaded_for_a_build_that_fails_or_rows_left_out() {
    let world = World::new();
    put(&world, "a.png", &large(PNG, 0));
    put(&world, "b.png", &large(PNG, 1));
    world.write("a.csv", "id,picture\n1,a.png\n2,b.png\n3,missing.png\n");
    let error = world.refusal(&with(&[]));
    assert!(error["cause"].as_str().unwrap().contains("1 bad row"), "{error}");
    assert!(error["cause"].as_str().unwrap().contains("missing.png"), "{error}");
    assert_eq!(at_the_api(&world), Vec::<String>::new());
    world.reply(&with(&["--limit", "1"]));
    assert_eq!(at_the_api(&world), ["image/png"]);
    world.reply(&with(&["--skip-bad-rows"]));
    assert_eq!(at_the_api(&world), ["image/png", "image/png"]);
}

#[test]
fn without_a_key_small_files_are_built_and_a_large_one_is_named() {
    let world = World::new();
    put(&world, "a.png", PNG);
    put(&world, "b.png", &large(PNG, 0));
    world.write("a.csv", "id,picture\n1,a.png\n");
    let built = world.command().args(with(&[])).env_remove("GOOGLE_API_KEY").output().unwrap();
    assert!(built.status.success(), "{built:?}");
    world.write("a.csv", "id,picture\n1,b.png\n");
    let refused = world.command().args(with(&["--json"])).env_remove("GOOGLE_API_KEY").output().unwrap();
    let error: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "key_missing");
    assert!(error["error"]["cause"].as_str().unwrap().contains("b.png"), "{error}");
    let read_only = world.command().args(["--read-only"]).args(with(&["--json"])).output().unwrap();
    assert!(!read_only.status.success());
    assert_eq!(at_the_api(&world), Vec::<String>::new());
}

#[test]
fn addresses_are_passed_on_as_they_are() {
    let world = World::new();
    let addresses = [
        ("gs://bucket/a%20b/film.mp4", Some("video/mp4")),
        ("https://example.org/a.jpg?size=2", Some("image/jpeg")),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc", None),
        ("https://example.md", None),
    ];
    let rows: String = addresses.iter().map(|(address, _)| format!("1{},{address}\n", address.len())).collect();
    world.write("a.csv", &format!("id,picture\n{rows}"));
    world.reply(&with(&[]));
    for (line, (address, mime)) in world.lines("a.requests.jsonl").iter().zip(addresses) {
        let file = &parts(line)[0]["fileData"];
        assert_eq!((file["fileUri"].as_str(), file["mimeType"].as_str()), (Some(address), mime));
    }
}

#[test]
fn a_file_in_processing_is_waited_for() {
    let world = World::new();
    world.simulator.faults().next(Call::Finalize, Fault::StillProcessing);
    world.simulator.faults().next(Call::GetFile, Fault::StillProcessing);
    put(&world, "a.mp4", &large(b"\0\0\0\x18ftypisom", 0));
    world.write("a.csv", "id,picture\n1,a.mp4\n");
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world), ["video/mp4"]);
    assert_eq!(world.simulator.log().count("GET", "/files/"), 2);
}

#[test]
fn a_file_that_could_not_be_processed_is_sent_anew_by_the_next_build() {
    let world = World::new();
    world.simulator.faults().next(Call::Finalize, Fault::CannotBeProcessed);
    put(&world, "a.mp4", &large(b"\0\0\0\x18ftypisom", 0));
    world.write("a.csv", "id,picture\n1,a.mp4\n");
    let error = world.refusal(&with(&[]));
    assert!(error["cause"].as_str().unwrap().contains("a.mp4"), "{error}");
    assert!(!world.path("a.requests.jsonl").exists());
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 2, "the first one is of no use");
    // What is of use is sent once, also where it cannot be looked at for a moment.
    world.simulator.faults().next(Call::GetFile, Fault::Status { code: 404, body: ErrorBody::Empty });
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 3, "it may be gone");
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 3);
}

#[test]
fn what_arrived_before_a_failure_is_not_sent_again() {
    let world = World::new();
    let refused = Fault::Status { code: 403, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().nth(Call::StartUpload, 2, refused);
    let rows: String = (0..6)
        .map(|seed| {
            put(&world, &format!("{seed}.png"), &large(PNG, seed));
            format!("{seed},{seed}.png\n")
        })
        .collect();
    world.write("a.csv", &format!("id,picture\n{rows}"));
    let error = world.refusal(&with(&[]));
    assert_eq!(error["kind"], "auth");
    assert!(!world.path("a.requests.jsonl").exists());
    let arrived = at_the_api(&world).len();
    assert!((1..=5).contains(&arrived), "{arrived}");
    world.reply(&with(&[]));
    assert_eq!(at_the_api(&world).len(), 6);
}

#[test]
fn a_type_that_the_api_refuses_is_a_problem_of_its_rows() {
    let world = World::with(|options| options.refused_mime_types = vec!["application/pdf".to_owned()]);
    put(&world, "a.pdf", &large(PDF, 0));
    put(&world, "b.png", &large(PNG, 0));
    world.write("a.csv", "id,picture\n1,a.pdf\n2,b.png\n");
    let reply = world.reply(&with(&["--skip-bad-rows"]));
    assert_eq!((&reply["requests"], &reply["skipped"]), (&json!(1), &json!(1)));
    assert!(reply["problems"][0].as_str().unwrap().contains("a.pdf: Unsupported MIME type"), "{reply}");
}

#[test]
fn a_file_that_arrives_changed_is_a_problem_of_its_rows() {
    let world = World::new();
    world.simulator.faults().always(Call::Finalize, Fault::WrongHash);
    put(&world, "a.png", &large(PNG, 0));
    world.write("a.csv", "id,picture\n1,a.png\n");
    let error = world.refusal(&with(&[]));
    assert!(error["cause"].as_str().unwrap().contains("a.png: the API has other bytes than the file"), "{error}");
}

#[test]
fn what_would_not_fit_into_one_request_file_is_uploaded() {
    let world = World::new();
    let picture = [PNG, &vec![1; 500 * 1024]].concat();
    put(&world, "a.png", &picture);
    let rows: String = (1..2200).map(|id| format!("{id},a.png\n")).collect();
    world.write("a.csv", &format!("id,picture\n{rows}"));
    let reply = world.reply(&with(&[]));
    assert_eq!(at_the_api(&world), ["image/png"]);
    assert!(reply["bytes"].as_i64().unwrap() < 1024 * 1024, "{reply}");
    assert!(reply["warnings"].to_string().contains("the API drops the uploaded media on"), "{reply}");

    // Nor may one request hold too much.
    let many: Vec<_> = (0..40).map(|_| "a.png").collect();
    let rows = json!([{"id": 1, "picture": many}]).to_string();
    world.write("b.json", &rows);
    world.reply(&["build", "b.json", "--template", "{{id}}", "--attach", "picture"]);
    let line = &world.lines("b.requests.jsonl")[0];
    let inline = parts(line).as_array().unwrap().iter().filter(|part| part["inlineData"].is_object()).count();
    assert_eq!((inline, parts(line).as_array().unwrap().len()), (28, 41));
}

#[test]
fn a_large_file_without_lines_is_refused_before_it_is_read_whole() {
    let world = World::new();
    std::fs::File::create(world.path("a.jsonl")).unwrap().set_len(2 * 1024 * 1024 * 1024 + 1).unwrap();
    let error = world.refusal(&["create", "a.jsonl"]);
    assert!(error["cause"].as_str().unwrap().contains("a line of more than 128 MB"), "{error}");
}

#[test]
fn media_can_be_embedded_and_stand_in_the_users_own_turns() {
    let world = World::new();
    put(&world, "a.png", PNG);
    world.write("a.csv", "id,picture\n1,a.png\n");
    let embed =
        ["build", "a.csv", "--kind", "embed", "--request", r#"{"content":{"parts":[]}}"#, "--attach", "picture"];
    world.reply(&embed);
    assert_eq!(world.lines("a.requests.jsonl")[0]["request"]["content"]["parts"].as_array().unwrap().len(), 1);

    let turns =
        r#"{"contents":[{"role":"user","parts":[{"text":"{{id}}"}]},{"role":"model","parts":[{"text":"So"}]}]}"#;
    world.reply(&["build", "a.csv", "--request", turns, "--attach", "picture", "--output", "b.jsonl"]);
    let line = &world.lines("b.jsonl")[0];
    assert!(parts(line)[0]["inlineData"].is_object() && parts(line)[1]["text"] == "1", "{line}");

    let no_user = r#"{"contents":[{"role":"model","parts":[{"text":"{{id}}"}]}]}"#;
    let usage = |arguments: &[&str]| world.run(&[arguments, &["--output", "c.jsonl", "--json"]].concat()).json();
    let error = &usage(&["build", "a.csv", "--request", no_user, "--attach", "picture"])["error"];
    assert!(error["cause"].as_str().unwrap().contains("no turn of the user"), "{error}");
    let error = &usage(&["build", "a.csv", "--template", "x", "--attach", "pictures"])["error"];
    assert!(error["hint"].as_str().unwrap().contains("id, picture"), "{error}");
}

#[test]
fn a_reply_shows_no_base64() {
    let world = World::new();
    let picture = [PNG, &[7; 3000]].concat();
    put(&world, "a.png", &picture);
    world.write("a.csv", "id,picture\n1,a.png\n");
    let ran = world.run(&with(&["--json"]));
    assert!(!ran.stdout.contains("BwcHBwcH"), "{}", ran.stdout);
    assert!(ran.stdout.contains("What is 1?"), "{}", ran.stdout);
}

#[test]
fn rows_that_bring_nothing_along_are_told() {
    let world = World::new();
    put(&world, "a.png", PNG);
    world.write("a.csv", "id,picture\n1,a.png\n2,\n3,  \n");
    let reply = world.reply(&with(&[]));
    assert!(
        reply["warnings"].to_string().contains("2 rows without anything to attach (rows 2, 3): the cell"),
        "{reply}"
    );
    assert_eq!(reply["requests"], 3);
    let reply = world.reply(&with(&["--skip-bad-rows"]));
    assert_eq!((&reply["requests"], &reply["skipped"], &reply["warnings"]), (&json!(1), &json!(2), &Value::Null));
    let problem = "row 2 (line 3): nothing to attach: picture is empty (and row 3)";
    assert_eq!(reply["problems"], json!([problem]));
}

#[test]
fn the_list_in_a_folder_of_pictures_is_no_picture() {
    let world = World::new();
    put(&world, "pics/a.png", PNG);
    world.write("pics/media.jsonl", "{\"key\":\"a\",\"file\":\"a.png\",\"bytes\":268}\n");
    let build =
        ["build", "pics", "--attach", "path", "--key", "stem", "--template", "What is it?", "--output", "p.jsonl"];
    assert_eq!(world.reply(&build)["requests"], 1);
    // One that somebody else wrote is a file like any other.
    world.write("pics/media.jsonl", "{\"mine\": 1}\n");
    assert_eq!(world.reply(&[&build[..], &["--overwrite"]].concat())["requests"], 2);
}
