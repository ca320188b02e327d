//! What goes wrong on this machine: a full disk, a locked ledger, a clock that jumps, a key that is revoked, a file that
//! is changed meanwhile, an API that cannot be reached. Each is told in the right words, and ends in one job and all
//! answers when it is over.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "local_faults/changed_file.rs"]
mod changed_file;
#[path = "local_faults/clock.rs"]
mod clock;
#[path = "local_faults/full_disk.rs"]
mod full_disk;
#[path = "local_faults/locked_ledger.rs"]
mod locked_ledger;
#[path = "local_faults/revoked_key.rs"]
mod revoked_key;
mod support;
#[path = "local_faults/unreachable.rs"]
mod unreachable;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::Call;
use serde_json::Value;
use support::world::{Ran, World};

/// Longer than anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// A world with this request file.
fn world(requests: &str) -> World {
    let world = World::new();
    world.write("r.jsonl", requests);
    world
}

/// Starts a command whose end is waited for later.
fn start(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command();
    command.args(arguments).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: Child) -> Ran {
    Ran::of(child.wait_with_output().unwrap())
}

/// Waits until such a call is being answered, and the fault planned for it has struck.
fn until_under_way(world: &World, call: Call) {
    let started = Instant::now();
    while world.simulator.log().under_way(call) == 0 || world.simulator.faults().due() > 0 {
        assert!(started.elapsed() < PATIENCE, "{call:?} was not sent");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The error of a command that has to fail, told with a next step.
fn error(ran: &Ran) -> Value {
    assert_eq!(ran.code, 1, "{ran:?}");
    support::journey::tells_no_secret(ran);
    let error = ran.json()["error"].clone();
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "an error without a next step: {error}");
    error
}
