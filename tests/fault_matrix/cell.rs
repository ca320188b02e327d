//! One trouble at one step, and what has to hold in the end.

use std::fmt;

use gemini_batch_mcp::simulator::{Call, Fault};

use crate::stage::Stage;
use crate::support::journey::{Journey, Kill, When};
use crate::support::requests::{large_file, small_file};
use crate::support::world::World;
use crate::trouble::Trouble;

/// What goes out in one request.
const CHUNK: u64 = 8 << 20;
/// More often than the client repeats a call.
const OFTEN: u32 = 5;

/// A trouble at a stage.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) stage: Stage,
    pub(crate) trouble: Trouble,
    /// How often it strikes, one time after the other.
    times: u32,
    /// In how many parts the job goes out. It strikes at the second one, if there is one.
    parts: usize,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.stage.name(), self.trouble.name)?;
        if self.times > 1 {
            write!(f, ", {} times", self.times)?;
        }
        if self.parts > 1 { write!(f, ", {} parts", self.parts) } else { Ok(()) }
    }
}

impl Cell {
    /// The trouble once, as often as it takes to be told, and in the middle of a job of several parts.
    pub(crate) fn of(stage: Stage, trouble: Trouble) -> Vec<Self> {
        let cell = |times, parts| Self { stage, trouble: trouble.clone(), times, parts };
        let mut cells = vec![cell(1, 1)];
        if !trouble.kills && !trouble.is_slow {
            cells.push(cell(OFTEN, 1));
        }
        if matches!(stage, Stage::Create | Stage::Finalize) && !trouble.is_slow {
            cells.push(cell(1, 3));
        }
        cells
    }

    /// Whether it strikes once, with the whole of a job in one part.
    pub(crate) fn is_plain(&self) -> bool {
        self.times == 1 && self.parts == 1
    }

    fn is_large(&self) -> bool {
        self.stage.needs_a_large_file() && self.parts == 1
    }

    /// Goes the way of a job, meets the trouble, and looks at what is there in the end.
    pub(crate) fn run(&self) {
        let world = &World::new();
        let requests = if self.is_large() { large_file() } else { small_file() };
        world.write("r.jsonl", requests);
        self.arm(world);
        let arguments: &[&str] = if self.parts > 1 { &["r.jsonl", "--max-part-requests", "2"] } else { &["r.jsonl"] };
        let mut journey = Journey::new(world, arguments);
        let has_struck = move || world.simulator.faults().fired().iter().any(|(call, _)| *call == self.stage.call());
        let has_acted = move || has_struck() && self.effect_is_there(world);
        if self.trouble.kills {
            let acts = matches!(self.trouble.fault, Fault::Delay(_));
            let when = When::Holds(if acts { Box::new(has_acted) } else { Box::new(has_struck) });
            journey.kills.push(Kill { verb: self.stage.verb(), when });
        }
        if self.trouble.is_late() {
            journey.settled = Box::new(has_acted);
        }
        journey.ends_well(self.parts, requests.lines().count());
        let told: Vec<_> = journey.refusals.iter().map(|error| error["kind"].as_str().unwrap()).collect();
        let kinds = self.trouble.kinds(self.stage);
        assert!(told.iter().all(|kind| kinds.contains(kind)), "{kinds:?} may be told: {:?}", journey.refusals);
        self.sent_no_more_than_it_had_to(world, requests.len() as u64);
    }

    fn arm(&self, world: &World) {
        let faults = world.simulator.faults();
        // In a job of several parts each one is looked up and created by itself.
        let mut first = if self.parts > 1 { 2 } else { 1 };
        match self.stage {
            Stage::ChunkLookUp => faults.next(Call::UploadChunk, Fault::ResetAfterReading(3 << 20)),
            Stage::CreateLookUp => {
                faults.next(Call::CreateBatch, Fault::ResetAfterActing);
                first = 2;
            }
            _ => {}
        }
        (first..first + self.times).for_each(|nth| faults.nth(self.stage.call(), nth, self.trouble.fault));
    }

    /// Whether it can be seen that the API has done what it was asked.
    fn effect_is_there(&self, world: &World) -> bool {
        let nth = if self.parts > 1 { 2 } else { 1 };
        match self.stage {
            Stage::Create => world.jobs_at_the_api() >= nth,
            Stage::Finalize => {
                std::fs::read_dir(world.path("api").join("files")).is_ok_and(|files| files.count() >= nth)
            }
            Stage::Chunk => world.simulator.log().received(Call::UploadChunk) >= CHUNK,
            _ => true,
        }
    }

    /// No create but where the one before certainly made nothing; of bytes at most a chunk more for each trouble.
    fn sent_no_more_than_it_had_to(&self, world: &World, bytes: u64) {
        let (log, fired) = (world.simulator.log(), world.simulator.faults().fired());
        let struck = fired.iter().filter(|(call, _)| *call == self.stage.call()).count();
        assert!(struck > 0, "the fault did not strike");
        let in_vain = if self.stage == Stage::Create && !self.trouble.lets_act() { struck } else { 0 };
        assert_eq!(log.calls(Call::CreateBatch), (self.parts + in_vain) as u64, "creates sent");
        let uploaded = log.received(Call::UploadChunk) + log.received(Call::Finalize);
        let again = fired.iter().filter(|(call, _)| matches!(call, Call::UploadChunk | Call::Finalize)).count() as u64;
        assert!(uploaded <= bytes + again * CHUNK, "{uploaded} bytes were sent for a file of {bytes}");
    }
}
