//! A user's plain way through a job: `create`, `status --wait`, `results`; the same again until all answers are there.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::ledger::{self, time_passes};
use super::world::{Ran, World};

/// How often the user comes back.
const ROUNDS: usize = 12;
/// When the user comes back after an error.
const A_MINUTE: Duration = Duration::from_secs(61);
/// When the user comes back to what waits for room.
const AN_HOUR: Duration = Duration::from_secs(3600);
/// When a lease of a process that died has run out.
const A_LEASE: Duration = Duration::from_secs(31);
/// When a create of unknown outcome would have shown up at the API.
const A_CREATE: Duration = Duration::from_secs(481);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// A command that is killed.
pub struct Kill<'w> {
    /// Which.
    pub verb: &'static str,
    pub when: When<'w>,
}

/// A moment.
pub enum When<'w> {
    /// As soon as this holds.
    Holds(Box<dyn Fn() -> bool + 'w>),
    /// So long after the start, if it has not ended before.
    After(Duration),
}

/// The way, and what was met on it.
pub struct Journey<'w> {
    world: &'w World,
    /// What stands behind `create`.
    create: Vec<&'w str>,
    /// What is killed, in this order.
    pub kills: Vec<Kill<'w>>,
    /// Waits until what the API still works on has happened.
    pub settled: Box<dyn Fn() -> bool + 'w>,
    /// Every error, in order.
    pub refusals: Vec<Value>,
    /// Every set of results that was not complete.
    pub incomplete: Vec<Value>,
    /// What lay in the user's folder at the start.
    before: BTreeSet<String>,
}

impl<'w> Journey<'w> {
    /// A way that starts with `create` and these arguments.
    pub fn new(world: &'w World, create: &[&'w str]) -> Self {
        let before = names(world);
        let settled = Box::new(|| true);
        Self {
            world,
            create: create.to_vec(),
            kills: Vec::new(),
            settled,
            refusals: Vec::new(),
            incomplete: Vec::new(),
            before,
        }
    }

    /// Goes the way until all answers are there; the last reply of `results`.
    pub fn until_answered(&mut self) -> Value {
        for _ in 0..ROUNDS {
            if let Some(results) = self.round() {
                return results;
            }
        }
        panic!("not done after {ROUNDS} rounds: {:?}", self.refusals);
    }

    fn round(&mut self) -> Option<Value> {
        let create = [&["create"], self.create.as_slice()].concat();
        let created = self.run(&create)?;
        let job = created["job"].as_str().unwrap().to_owned();
        if !created["waits_for"].is_null() {
            time_passes(self.world, AN_HOUR);
        }
        self.run(&["status", &job, "--wait", "--timeout", "5"])?;
        self.run(&["results", &job, "--output", "out.jsonl", "--overwrite"])
    }

    /// The reply of a command that did all it should. Otherwise the user comes back later.
    fn run(&mut self, arguments: &[&str]) -> Option<Value> {
        let verb = arguments[0];
        if self.kills.first().is_some_and(|kill| kill.verb == verb) {
            let kill = self.kills.remove(0);
            self.killed(arguments, &kill);
            return None;
        }
        let ran = self.finished(arguments);
        let reply = ran.json();
        match ran.code {
            0 => return Some(reply),
            3 => time_passes(self.world, AN_HOUR),
            4 if verb == "results" => self.incomplete.push(reply),
            _ => self.refused(verb, &ran),
        }
        None
    }

    fn finished(&self, arguments: &[&str]) -> Ran {
        let mut command = self.world.command();
        command.args(arguments).arg("--json");
        let ran = Ran::of(command.output().unwrap());
        tells_no_secret(&ran);
        ran
    }

    /// An error is told in the right form, and nothing of a result is there.
    fn refused(&mut self, verb: &str, ran: &Ran) {
        assert_eq!(ran.code, 1, "{verb}: {ran:?}");
        let error = ran.json()["error"].clone();
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "an error without a next step: {error}");
        if self.incomplete.is_empty() {
            assert_eq!(self.strangers(), BTreeSet::new(), "after {error}");
        }
        let is_unclear = error["kind"] == "unclear_outcome";
        self.refusals.push(error);
        if is_unclear {
            self.wait_until("the API has done what it was sent", &*self.settled);
        }
        time_passes(self.world, if is_unclear { A_CREATE } else { A_MINUTE });
    }

    fn killed(&self, arguments: &[&str], kill: &Kill<'_>) {
        let mut command = self.world.command();
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        match &kill.when {
            When::Holds(holds) => self.wait_until("the process is where it is to be killed", &**holds),
            When::After(time) => std::thread::sleep(*time),
        }
        sigkill(self.world, &mut child);
        time_passes(self.world, A_LEASE);
    }

    fn wait_until(&self, what: &str, holds: &dyn Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What holds in the end, however many troubles were met: `parts` batches at the API, an answer to every one of
    /// `requests`, nothing that should not be there.
    pub fn ends_well(&mut self, parts: usize, requests: usize) {
        let results = self.until_answered();
        assert_eq!(self.world.jobs_at_the_api(), parts, "batches at the API");
        assert_eq!(results["outcomes"]["answered"], requests, "{results}");
        assert_eq!(results["outcomes"].as_object().unwrap().len(), 1, "{results}");
        let lines = self.world.lines("out.jsonl");
        let keys: BTreeSet<_> = lines.iter().map(|line| line["key"].as_str().unwrap()).collect();
        assert_eq!((lines.len(), keys.len()), (requests, requests), "each answer is there once");
        let expected = ["out.jsonl", "out.jsonl.manifest.json"].map(str::to_owned).into();
        assert_eq!(self.strangers(), expected, "what is new in the user's folder");
        let again = self.run(&[&["create"], self.create.as_slice()].concat()).unwrap();
        assert_eq!((&again["submission"], &again["job"]), (&"found".into(), &results["job"]), "{again}");
        assert_eq!(self.world.jobs_at_the_api(), parts, "batches at the API after another create");
        assert_eq!(half_written(self.world), Vec::<PathBuf>::new());
        assert!(ledger::is_sound(self.world));
    }

    /// What is new in the user's folder, what the program and the API keep there left aside.
    fn strangers(&self) -> BTreeSet<String> {
        names(self.world).difference(&self.before).filter(|name| *name != "home").cloned().collect()
    }
}

/// Ends a process so that it cannot do anything about it. What it was writing grows old: while it is young, it may
/// belong to somebody.
pub fn sigkill(world: &World, child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
    let before = SystemTime::now() - Duration::from_secs(120);
    half_written(world).iter().for_each(|path| File::open(path).unwrap().set_modified(before).unwrap());
}

/// What is half-written, in the user's folder and where results are kept.
pub fn half_written(world: &World) -> Vec<PathBuf> {
    let kept = std::fs::read_dir(world.path("home").join("jobs")).into_iter().flatten();
    let folders = kept.map(|folder| folder.unwrap().path()).chain([world.folder.path().to_owned()]);
    let paths = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".gemini-batch")).collect()
}

/// Neither the key nor an address that can be written to, nor the words of the database.
pub fn tells_no_secret(ran: &Ran) {
    for secret in ["a-key-for-tests", "upload_id", "database is locked"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret} in {ran:?}");
    }
}

fn names(world: &World) -> BTreeSet<String> {
    let entries = std::fs::read_dir(world.folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
