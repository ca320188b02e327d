//! The clock jumps, forwards and back: what was to be waited for is waited for anew or is over, and nothing is sent twice.

use std::time::Duration;

use chrono::TimeDelta;
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};

use crate::support::journey::{Journey, sigkill};
use crate::support::ledger::move_times;
use crate::support::requests::small_file;
use crate::support::world::World;
use crate::{start, until_under_way, world};

/// How far ahead the clock was before: set back since, or set forward.
const JUMPS: [TimeDelta; 4] = [TimeDelta::days(3650), TimeDelta::days(2), TimeDelta::days(-2), TimeDelta::days(-3650)];

/// A process was killed while the API worked on its create.
fn killed_at_create(fault: Fault) -> World {
    let world = world(small_file());
    world.simulator.faults().next(Call::CreateBatch, fault);
    let mut child = start(&world, &["create", "r.jsonl"]);
    until_under_way(&world, Call::CreateBatch);
    sigkill(&world, &mut child);
    world
}

#[test]
fn after_a_create_that_was_never_made() {
    for jump in JUMPS {
        let world = killed_at_create(Fault::Hang);
        move_times(&world, jump);
        let mut journey = Journey::new(&world, &["r.jsonl"]);
        journey.ends_well(1, 5);
        // Set back, nobody can tell how long ago it was sent: it gets its time from now on.
        let waited = journey.refusals.iter().filter(|error| error["kind"] == "unclear_outcome").count();
        assert_eq!(waited, usize::from(jump > TimeDelta::zero()), "{jump}: {:?}", journey.refusals);
        assert_eq!(world.simulator.log().calls(Call::CreateBatch), 2, "{jump}");
    }
}

#[test]
fn after_a_create_that_arrived() {
    for jump in JUMPS {
        let world = killed_at_create(Fault::Delay(Duration::from_secs(60)));
        while world.jobs_at_the_api() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        move_times(&world, jump);
        Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
        assert_eq!(world.simulator.log().calls(Call::CreateBatch), 1, "{jump}");
    }
}

#[test]
fn while_parts_wait_for_room() {
    for jump in JUMPS {
        let world = world(small_file());
        let full = Fault::Status { code: 429, body: ErrorBody::HelpOnly };
        world.simulator.faults().nth(Call::CreateBatch, 2, full);
        let created = world.reply(&["create", "r.jsonl", "--max-part-requests", "2"]);
        assert_eq!(created["parts"]["waiting"], 2, "{created}");
        move_times(&world, jump);
        Journey::new(&world, &["r.jsonl", "--max-part-requests", "2"]).ends_well(3, 5);
    }
}

#[test]
fn between_create_and_the_answers() {
    for jump in JUMPS {
        let world = world(small_file());
        world.reply(&["create", "r.jsonl"]);
        move_times(&world, jump);
        Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
        assert_eq!(world.simulator.log().calls(Call::CreateBatch), 1, "{jump}");
    }
}
