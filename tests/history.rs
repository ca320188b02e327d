//! What was done for a job, and what was called of the API for it, is told afterwards; secrets are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use support::world::World;

#[test]
fn each_step_and_each_call_of_a_job_is_in_its_history() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "two", "--output", "r.jsonl"]);
    let busy = Fault::Status { code: 503, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().next(Call::Finalize, busy);
    let created = world.reply(&["create", "r.jsonl"]);
    let handle = created["job"].as_str().unwrap();
    world.reply(&["status", handle, "--wait"]);
    world.reply(&["results", handle, "--output", "out.jsonl"]);
    let history = world.reply(&["history", handle, "--all", "--calls"]);
    assert_eq!(history["next"], format!("get_results {{\"job\": \"{handle}\"}}"));
    let events = history["events"].as_array().unwrap();
    let told: Vec<_> =
        events.iter().map(|event| event["event"].as_str().unwrap()).filter(|word| *word != "call").collect();
    assert_eq!(told[..5], ["intended", "uploading", "uploaded", "creating", "created"], "{told:?}");
    for word in ["state", "collected", "settled", "upload deleted"] {
        assert!(told.contains(&word), "{word} in {told:?}");
    }
    let calls: Vec<_> =
        events.iter().filter(|event| event["event"] == "call").map(|event| event["words"].as_str().unwrap()).collect();
    for called in ["batchGenerateContent", "upload", "503", "download", "batches/"] {
        assert!(calls.iter().any(|words| words.contains(called)), "{called} in {calls:?}");
    }
    let printed = world.run(&["history", handle]).stdout;
    let first = printed.lines().find(|line| line.contains("nothing is sent yet")).unwrap();
    assert!(first[..20].ends_with('Z'), "it is told that times are UTC: {first}");
    let export = world.run(&["export"]).stdout;
    for text in [history.to_string(), export] {
        assert!(!text.contains("a-key-for-tests") && !text.contains("upload_id"), "a secret is told");
    }
}
