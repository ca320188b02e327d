//! Calls that name the wrong job, the wrong model or the wrong file: each a clear answer, and nothing is paid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use serde_json::Value;
use support::world::{Ran, World};

/// A world with a job called products, and its handle.
fn world() -> (World, String) {
    let world = World::new();
    world.reply(&["build", "--prompt", "[[simulate:failed]] one", "--prompt", "two", "--output", "products.jsonl"]);
    let job = world.reply(&["create", "products.jsonl"])["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job, "--wait"]);
    (world, job)
}

fn text<'e>(error: &'e Value, field: &str) -> &'e str {
    error[field].as_str().unwrap_or_default()
}

#[test]
fn a_handle_that_is_not_there_is_told_with_the_nearest() {
    let (world, job) = world();
    let slip = format!("{}z{}", &job[..10], &job[11..]);
    for asked in ["prodcts", "Product", &slip] {
        for verb in ["status", "results", "retry", "cancel", "delete"] {
            let error = world.refusal(&[verb, asked]);
            assert_eq!(error["kind"], "not_found", "{verb} {asked}: {error}");
            assert!(text(&error, "hint").starts_with(&format!("did you mean {job}? ")), "{verb} {asked}: {error}");
        }
    }
    let error = world.refusal(&["status", "something-else"]);
    assert!(text(&error, "hint").contains("shows all jobs") && !text(&error, "hint").contains(&job), "{error}");
}

#[test]
fn a_job_of_another_projects_key_is_told_as_such_and_left_alone() {
    let (world, job) = world();
    let error = |arguments: &[&str]| {
        let mut command = world.command();
        let output =
            command.env("GOOGLE_API_KEY", "of-another-project").args(arguments).arg("--json").output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"].clone()
    };
    for verb in ["results", "retry", "delete"] {
        let error = error(&[verb, &job]);
        assert!(text(&error, "cause").contains("submitted with another key"), "{verb}: {error}");
        assert!(text(&error, "hint").contains("keys of its own project"), "{verb}: {error}");
    }
    // With the answers here it can be read, and is not taken for gone.
    world.results(&[&job, "--limit", "1"]);
    assert!(text(&error(&["delete", &job]), "cause").contains("submitted with another key"));
    assert_eq!(world.jobs_at_the_api(), 1);
    assert_eq!(world.reply(&["delete", &job])["removed"].as_array().unwrap().len(), 1);
    let name = error(&["status", "batches/ofsomebodyelse0000000000000000000000"]);
    assert!(text(&name, "hint").contains("project"), "{name}");
}

#[test]
fn a_file_that_is_no_request_file_is_refused_before_anything_is_sent() {
    let world = World::new();
    let (csv, array) = ("id,text\na,one\n", r#"[{"key": "a", "request": {}}]"#);
    let files: [(&str, &[u8], &str); 5] = [
        ("data.csv", csv.as_bytes(), "build_jsonl"),
        ("list.jsonl", array.as_bytes(), "build"),
        ("picture.jsonl", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ""),
        ("empty.jsonl", b"", ""),
        ("text.jsonl", b"please answer this\n", ""),
    ];
    for (name, bytes, hint) in files {
        std::fs::write(world.path(name), bytes).unwrap();
        let error = world.refusal(&["create", name]);
        assert_eq!(error["kind"], "invalid_input", "{name}: {error}");
        assert!(text(&error, "cause").contains("error") && !text(&error, "hint").is_empty(), "{name}: {error}");
        assert!(text(&error, "hint").contains(hint) || text(&error, "hint").contains("build "), "{name}: {error}");
    }
    assert_eq!(world.refusal(&["create", "nothing.jsonl"])["kind"], "not_found");
    assert!(world.simulator.log().entries().is_empty());
}

#[test]
fn an_edited_file_is_another_job_and_no_retry_is_made_of_it() {
    let (world, job) = world();
    let before = world.read("products.jsonl");
    world.write("products.jsonl", &before.replace("two", "three"));
    let error = world.refusal(&["retry", &job]);
    assert_eq!(error["kind"], "invalid_input");
    assert!(text(&error, "cause").contains("was changed since the job was submitted"), "{error}");
    assert!(text(&error, "hint").contains("create"), "{error}");
    let edited = world.reply(&["create", "products.jsonl", "--name", "products"]);
    assert_eq!(edited["submission"], "created");
    assert_ne!(edited["job"], job.as_str(), "other content, other handle");
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 1, "the old job is what it was");

    std::fs::remove_file(world.path("products.jsonl")).unwrap();
    let error = world.refusal(&["retry", &job]);
    assert_eq!(error["kind"], "not_found", "{error}");
    world.write("products.jsonl", &before);
    assert_eq!(world.reply(&["retry", &job])["submission"], "created");
}

#[test]
fn a_model_without_batches_is_refused_before_the_upload() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    let error = |model: &str| world.refused(&["create", "r.jsonl", "--model", model]);
    let live = error("gemini-3.1-flash-live-preview");
    assert_eq!(live["kind"], "invalid_argument", "{live}");
    assert!(text(&live, "cause").contains("it takes no batches"), "{live}");
    assert!(text(&live, "hint").contains("gemini-3-flash-preview"), "{live}");
    let none = error("gemini-9-nobody");
    assert!(text(&none, "cause").contains("no such model"), "{none}");
    assert!(text(&error("gemini-embedding-001"), "cause").contains("makes vectors"));
    assert_eq!((world.jobs_at_the_api(), world.simulator.log().count("POST", "/upload/")), (0, 0));
    assert_eq!(world.reply(&["list", "--local"])["jobs"].as_array().unwrap().len(), 0);
}

#[test]
fn a_job_is_of_the_key_that_it_was_sent_with() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    assert_eq!(world.reply(&["create", "r.jsonl"])["submission"], "queued");
    let other = |arguments: &[&str]| {
        let mut command = world.command();
        Ran::of(command.env("GOOGLE_API_KEY", "another-key").args(arguments).arg("--json").output().unwrap())
    };
    // What was uploaded with the first key is nothing to the second: that is seen, and made up for.
    other(&["create", "r.jsonl"]);
    let created = other(&["create", "r.jsonl"]).json();
    let job = created["job"].as_str().unwrap();
    assert_eq!(world.jobs_at_the_api(), 1, "{created}");
    assert_eq!(other(&["status", job, "--wait"]).code, 0);
    let error = world.run(&["results", job, "--limit", "1", "--json"]).json();
    assert!(error["error"]["cause"].as_str().unwrap().contains("submitted with another key"), "{error}");
    assert_eq!(other(&["results", job, "--limit", "1"]).code, 0);
}
