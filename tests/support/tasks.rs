//! A job that ends when the test says so, and requests of a client that knows tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{ManualClock, Pace};
use serde_json::{Value, json};

use super::program::{PATIENCE, modern};
use super::world::World;

/// A request of a client that declares the extension with it.
pub fn knowing(method: &str, params: Value) -> Value {
    let mut request = modern(method, params);
    let declared = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = declared;
    request
}

/// A call of such a client.
pub fn call(tool: &str, arguments: &Value) -> Value {
    knowing("tools/call", json!({"name": tool, "arguments": arguments}))
}

/// A request about a task.
pub fn about(method: &str, id: &str) -> Value {
    knowing(method, json!({"taskId": id}))
}

/// The id of the task that an answer is.
#[track_caller]
pub fn id_of(answer: &Value) -> String {
    assert_eq!(answer["result"]["resultType"], "task", "{answer}");
    answer["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A world with a job that has not ended, and a clock that can end it.
pub struct WaitingWorld {
    pub world: World,
    pub job: String,
    clock: ManualClock,
}

impl WaitingWorld {
    pub fn new() -> Self {
        let clock = ManualClock::new(chrono::Utc::now());
        let world = World::with(|options| {
            options.clock = Arc::new(clock.clone());
            options.pace = Pace::realistic();
        });
        world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
        let created = world.reply(&["create", "requests.jsonl", "--model", "gemini-3-flash-preview"]);
        Self { world, job: created["job"].as_str().unwrap().to_owned(), clock }
    }

    /// The job ends at the API.
    pub fn job_ends(&self) {
        self.clock.advance(Duration::from_secs(3600));
    }

    /// How often the job was asked for at the API.
    pub fn polls(&self) -> usize {
        self.world.simulator.log().count("GET", "/batches/")
    }

    /// The state of the job, as a look at it tells.
    pub fn state(&self) -> String {
        self.world.run(&["status", &self.job, "--json"]).json()["jobs"][0]["state"].as_str().unwrap().to_owned()
    }
}

/// Asks until a task has ended; how it stands then.
#[track_caller]
pub fn ended(mut ask: impl FnMut() -> Value) -> Value {
    let start = Instant::now();
    loop {
        let answer = ask();
        let task = &answer["result"];
        if task["status"] != "working" {
            assert!(task["status"].is_string(), "{answer}");
            return task.clone();
        }
        assert!(start.elapsed() < PATIENCE, "the task does not end: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
