//! Calls that name the wrong job, the wrong model or the wrong file: each a clear answer, and nothing is paid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;
use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use serde_json::{Value, json};
use support::ledger::{open, time_passes};
use support::program::Server;
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
fn a_list_of_requests_is_told_from_a_table_and_an_office_file_from_both() {
    let world = World::new();
    world.write("list.json", r#"[{"key": "a", "request": {"contents": [{"parts": [{"text": "Hi"}]}]}}]"#);
    let hint = text(&world.refusal(&["create", "list.json"]), "hint").to_owned();
    assert!(hint.contains("list.json\"} writes a mended file of these requests"), "{hint}");
    world.reply(&["build", "list.json"]);
    world.write("rows.json", r#"[{"id": "a", "text": "Hi"}]"#);
    assert!(text(&world.refusal(&["create", "rows.json"]), "hint").contains("\"template\""));

    let zip = b"PK\x03\x04\x14\0\0\0\x08\0 anything".as_slice();
    for (name, bytes, what, act) in [
        ("a.xlsx", zip, "workbook", "save the sheet as CSV"),
        ("a.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".as_slice(), "workbook", "save the sheet as CSV"),
        ("a.docx", zip, "text program", "save it as plain text"),
        ("a.zip", zip, "ZIP archive", "unpack it"),
    ] {
        std::fs::write(world.path(name), bytes).unwrap();
        for call in [&["create", name][..], &["build", name, "--template", "{{ a }}"]] {
            let error = world.refusal(call);
            assert!(text(&error, "cause").contains(what) && text(&error, "hint").contains(act), "{call:?}: {error}");
        }
    }
}

#[test]
fn only_addresses_that_google_notifies_are_taken() {
    let world = World::new();
    world.reply(&["build", "--prompt", "Hi", "--output", "r.jsonl"]);
    let create = |url: &str, real: bool| {
        let mut command = world.command();
        if real {
            command.env_remove("GOOGLE_GEMINI_BASE_URL");
        }
        let ran = command.args(["create", "r.jsonl", "--dry-run", "--json", "--webhook-url", url]).output().unwrap();
        serde_json::from_slice::<Value>(&ran.stdout).unwrap()
    };
    for url in ["http://example.com/hook", "example.com/hook", "https://"] {
        let error = create(url, true)["error"].clone();
        assert_eq!(error["kind"], "invalid_argument", "{url}: {error}");
        assert!(text(&error, "cause").contains("is no https:// address"), "{error}");
    }
    assert_eq!(create("https://example.com/hook", true)["submission"], "dry_run");
    assert_eq!(create("http://127.0.0.1:9/hook", false)["submission"], "dry_run", "the simulator tells this machine");
}

#[test]
fn jobs_of_one_name_are_told_with_their_models() {
    let world = World::new();
    world.reply(&["build", "--prompt", "Hi", "--output", "r.jsonl"]);
    let create = |model: &str| world.reply(&["create", "r.jsonl", "--model", model])["job"].clone();
    let models = ["gemini-3.8-flash", "gemini-3.5-flash-lite"];
    let jobs = models.map(create);
    let error = world.refused(&["status", "r"]);
    for (job, model) in jobs.iter().zip(models) {
        let named = format!("{} ({model})", job.as_str().unwrap());
        assert!(text(&error, "hint").contains(&named), "{error}");
    }
}

#[test]
fn rows_given_for_requests_are_told_from_requests_that_are_wrong() {
    let world = World::new();
    world.write("rows.jsonl", "{\"id\": 1, \"name\": \"Lamp\"}\n{\"id\": 2, \"name\": \"Desk\"}\n");
    let rows = text(&world.refusal(&["create", "rows.jsonl"]), "hint").to_owned();
    assert!(rows.contains("look like rows of data") && rows.contains("rows.jsonl\", \"template\""), "{rows}");
    // A form that a build can mend, and two that say too little.
    for (name, line, hint) in [
        ("openai.jsonl", r#"{"custom_id": "a", "body": {"messages": []}}"#, "writes a mended file"),
        ("half.jsonl", r#"{"key": "a"}"#, "mend these lines"),
        ("answers.jsonl", r#"{"key": "a", "response": {"text": "b"}}"#, "mend these lines"),
    ] {
        world.write(name, line);
        let error = world.refusal(&["create", name]);
        assert!(text(&error, "hint").contains(hint), "{name}: {error}");
    }
}

#[test]
fn wrong_requests_of_a_call_are_told_by_their_number_and_not_by_a_file_of_ours() {
    let world = World::new();
    let mut agent = Server::start_with(|command| {
        command.current_dir(world.folder.path()).env("GEMINI_BATCH_HOME", world.path("home"));
    });
    agent.initialize("2025-11-25");
    let good = json!({"key": "a", "request": {"contents": [{"parts": [{"text": "hi"}]}]}});
    let wrong = json!({"key": "b", "request": {"contents": "hi"}});
    let answer = agent.call("create_batch", &json!({"requests": [good, wrong], "dry_run": true}));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let told = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("request 2: ") && !told.contains("line 2"), "{told}");
    assert!(!told.contains("home") && !told.contains(".jsonl"), "{told}");
    assert!(told.contains("put them right in the call") && told.contains("build_jsonl"), "{told}");
}

#[test]
fn an_edited_file_is_another_job_and_no_retry_is_made_of_it() {
    let (world, job) = world();
    // A file too large to be kept is lost to whoever writes into it.
    std::fs::remove_file(world.path("home/jobs").join(&job).join("submitted.requests.jsonl")).unwrap();
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
    let cause = text(&error, "cause");
    assert!(cause.starts_with("its request file was at ") && cause.contains("products.jsonl"), "{error}");
    assert!(text(&error, "hint").starts_with("put the file back there, unchanged; "), "{error}");
    assert_eq!(world.results(&[&job, "--limit", "1"])["outcomes"]["answered"], 1, "as the hint says");
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
    assert!(!text(&live, "hint").contains("did you mean"), "it is no slip: {live}");
    let none = error("gemini-3.8-flahs");
    assert!(text(&none, "cause").contains("no such model"), "{none}");
    assert!(text(&none, "hint").starts_with("did you mean gemini-3.8-flash"), "{none}");
    assert!(text(&error("gemini-embedding-001"), "cause").contains("makes vectors"));
    assert_eq!((world.jobs_at_the_api(), world.simulator.log().count("POST", "/upload/")), (0, 0));
    assert_eq!(world.reply(&["list", "--local"])["jobs"].as_array().unwrap().len(), 0);
}

#[test]
fn a_slip_in_the_model_is_not_answered_by_giving_up_the_limit() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    for (model, told) in [
        ("gemini-3.8-flahs", "did you mean gemini-3.8-flash"),
        ("gpt-9", "models with a price are gemini-3-flash-preview, gemini-"),
    ] {
        let error = world.refusal(&["create", "r.jsonl", "--model", model, "--max-cost-usd", "5"]);
        assert_eq!(error["kind"], "budget");
        assert!(text(&error, "cause").starts_with(&format!("{model} is not in the price table of ")), "{error}");
        assert!(text(&error, "hint").starts_with(told) && !text(&error, "hint").contains("max_cost_usd"), "{error}");
    }
    assert!(world.simulator.log().entries().is_empty());
    let warned = world.reply(&["build", "--prompt", "one", "--output", "s.jsonl", "--model", "gemini-3.8-flahs"]);
    assert!(warned["warnings"].to_string().contains("(did you mean gemini-3.8-flash"), "{warned}");
}

#[test]
fn who_asks_with_another_key_takes_no_job_from_whoever_sends_it() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--output", "r.jsonl"]);
    world.simulator.faults().next(Call::Finalize, Fault::Delay(Duration::from_secs(3)));
    let create = |key: &str| {
        let mut command = world.command();
        command.env("GOOGLE_API_KEY", key).args(["create", "r.jsonl", "--json"]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let sender = create("a-key");
    let started = std::time::Instant::now();
    while std::fs::read_dir(world.path("api").join("files")).unwrap().count() == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "no upload was sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    let other = Ran::of(create("another-key").wait_with_output().unwrap());
    let sender = Ran::of(sender.wait_with_output().unwrap()).json();
    assert_eq!((&sender["submission"], world.jobs_at_the_api()), (&"created".into(), 1), "{sender}");
    assert_eq!(other.json()["submission"], "found", "{other:?}");
    let owners = |sql: &str| -> i64 { open(&world).query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(owners("SELECT count(DISTINCT owner) FROM jobs"), 1);
    let with = |key: &str, arguments: &[&str]| {
        let mut command = world.command();
        Ran::of(command.env("GOOGLE_API_KEY", key).args(arguments).arg("--json").output().unwrap())
    };
    let job = sender["job"].as_str().unwrap();
    assert_eq!(with("a-key", &["status", job, "--wait"]).code, 0, "it is the sender's");
    // The answers are to be had with that key only: who collects with the other one is not held up by them.
    let idle = with("another-key", &["run", "--collect", "theirs"]);
    assert_eq!((idle.code, idle.json()["collected"].as_array().unwrap().len()), (0, 0), "{idle:?}");
    let collected = with("a-key", &["run", "--collect", "ours"]);
    assert_eq!((collected.code, collected.json()["collected"].as_array().unwrap().len()), (0, 1), "{collected:?}");
    // Written once, wherever that was moved since.
    std::fs::rename(world.path("ours"), world.path("elsewhere")).unwrap();
    let again = with("a-key", &["run", "--collect", "ours"]);
    assert_eq!((again.code, &again.json()["collected"]), (0, &json!([])), "{again:?}");
}

#[test]
fn the_rest_of_a_job_is_left_to_the_key_that_sent_some_of_it() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let create = ["create", "r.jsonl", "--max-part-requests", "1"];
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().nth(Call::CreateBatch, 2, full);
    let created = world.reply(&create);
    assert_eq!((&created["parts"]["running"], &created["parts"]["waiting"]), (&1.into(), &1.into()), "{created}");
    let before = world.simulator.log().entries().len();
    let other = |arguments: &[&str]| {
        let mut command = world.command();
        Ran::of(command.env("GOOGLE_API_KEY", "another-key").args(arguments).arg("--json").output().unwrap())
    };
    let refused = other(&create).json();
    assert!(text(&refused["error"], "cause").contains("some of it was sent with another key"), "{refused}");
    assert_eq!(world.simulator.log().entries().len(), before, "nothing is asked with the other key");
    // It was nobody's to give up: it goes out by itself.
    assert_eq!(world.run(&["run", "--watch"]).code, 0);
    assert_eq!(world.jobs_at_the_api(), 2);
    // What is sent is found, whoever asks; it is nothing to be refused.
    assert_eq!(other(&create).json()["submission"], "found");
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
    // Who only looks after the queue with another key pays nothing for it, and gives nothing up.
    time_passes(&world, Duration::from_secs(120));
    let ran = other(&["run", "--watch"]);
    assert_eq!((ran.code, world.jobs_at_the_api()), (0, 0), "{ran:?}");
    let waits = world.run(&["list", "--local", "--state", "queued", "--json"]).json();
    assert_eq!(waits["jobs"].as_array().unwrap().len(), 1, "{waits}");
    // Who asks for it with that key does. What was uploaded with the first key is nothing to the second.
    let created = other(&["create", "r.jsonl"]).json();
    let job = created["job"].as_str().unwrap();
    assert_eq!((&created["submission"], world.jobs_at_the_api()), (&"created".into(), 1), "{created}");
    assert_eq!(other(&["status", job, "--wait"]).code, 0);
    let error = world.run(&["results", job, "--limit", "1", "--json"]).json();
    assert!(error["error"]["cause"].as_str().unwrap().contains("submitted with another key"), "{error}");
    assert_eq!(other(&["results", job, "--limit", "1"]).code, 0);
}

#[test]
fn the_version_of_the_api_is_the_one_that_was_set() {
    let world = World::new();
    for (version, calls) in [("v1alpha", 1), ("", 0)] {
        let before = world.simulator.log().count("GET", "/v1alpha/batches");
        let output =
            world.command().env("GOOGLE_GENAI_API_VERSION", version).args(["list", "--json"]).output().unwrap();
        assert_eq!(world.simulator.log().count("GET", "/v1alpha/batches") - before, calls, "{version}: {output:?}");
    }
}
