//! Eight processes at a time on one ledger, each doing something else: one batch for each file, however many ask for it,
//! nothing that was written is lost, and nobody hears of the database.
//!
//! It takes 15 seconds; `GEMINI_BATCH_CROWD=60 cargo test --test crowd` makes it a minute, and 200 files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{Call, Pace};
use serde_json::Value;
use support::journey::tells_no_secret;
use support::ledger;
use support::requests::requests;
use support::world::{Ran, World};

const WORKERS: u64 = 8;
/// So many of them do nothing but wait for jobs.
const WAITERS: u64 = 2;

/// What the workers share.
struct Crowd {
    world: World,
    files: u64,
    end: Instant,
    /// The handle of each file, as every worker was told it.
    handles: Mutex<BTreeMap<u64, BTreeSet<String>>>,
    /// Jobs that were cancelled.
    cancelled: Mutex<BTreeSet<String>>,
    /// How often a job was said to be created.
    created: AtomicU64,
    /// Calls that may look at a job although somebody looked at it shortly before.
    looks: AtomicU64,
}

/// One of them.
struct Worker<'c> {
    crowd: &'c Crowd,
    number: u64,
    random: fastrand::Rng,
    /// Files that are this worker's to submit: its own, and some that others submit, too.
    files: Vec<u64>,
    jobs: Vec<String>,
}

impl Worker<'_> {
    fn new(crowd: &Crowd, number: u64) -> Worker<'_> {
        let busy = WORKERS - WAITERS;
        let is_mine = |file: &u64| [file % busy, file / 7 % busy].map(|who| who + WAITERS).contains(&number);
        let mut files: Vec<_> = (0..crowd.files).filter(is_mine).collect();
        let mut random = fastrand::Rng::with_seed(number);
        random.shuffle(&mut files);
        Worker { crowd, number, random, files, jobs: Vec::new() }
    }

    fn works(&mut self) {
        while Instant::now() < self.crowd.end {
            if self.number < WAITERS {
                self.runs(&["status", "--wait", "--timeout", "3"]);
                continue;
            }
            let job = self.random.choice(&self.jobs).cloned();
            match (self.random.u8(0..20), job) {
                (0..=9, _) | (_, None) => self.submits_the_next(),
                (10..=12, Some(job)) => drop(self.runs(&["status", &job])),
                (13, _) => drop(self.runs(&["status", "--wait", "--timeout", "3"])),
                (14, _) => drop(self.runs(&["list"])),
                (15, Some(job)) => self.cancels(job),
                (_, Some(job)) => self.asks_for_results(&job),
            }
        }
    }

    fn submits_the_next(&mut self) {
        let Some(file) = self.files.pop() else { return drop(self.runs(&["list", "--local"])) };
        self.submits(file);
    }

    fn submits(&mut self, file: u64) {
        let name = format!("f{file}.jsonl");
        let created = self.runs(&["create", &name]).expect("a job");
        let job = created["job"].as_str().unwrap().to_owned();
        self.crowd.handles.lock().unwrap().entry(file).or_default().insert(job.clone());
        self.crowd.created.fetch_add(u64::from(created["submission"] == "created"), Ordering::Relaxed);
        self.jobs.push(job);
    }

    fn cancels(&self, job: String) {
        if self.runs(&["cancel", &job]).is_some() {
            self.crowd.cancelled.lock().unwrap().insert(job);
        }
    }

    fn asks_for_results(&self, job: &str) {
        let output = format!("{}-{job}.jsonl", self.number);
        self.runs(&["results", job, "--output", &output, "--overwrite"]);
    }

    /// The reply of a command. What may be refused is what is refused at any time.
    fn runs(&self, arguments: &[&str]) -> Option<Value> {
        let mut command: Command = self.crowd.world.command();
        let ran = Ran::of(command.args(arguments).arg("--json").output().unwrap());
        tells_no_secret(&ran);
        self.crowd.looks.fetch_add(u64::from(["results", "cancel"].contains(&arguments[0])), Ordering::Relaxed);
        match ran.code {
            0 | 3 | 4 => Some(ran.json()),
            _ if arguments[0] == "cancel" => {
                assert_eq!(ran.json()["error"]["kind"], "wrong_state", "{ran:?}");
                None
            }
            _ => panic!("{arguments:?}: {ran:?}"),
        }
    }

    /// Everything once more, in peace: it is found, and its answers are there unless it was cancelled before.
    fn checks(&self) {
        let cancelled = self.crowd.cancelled.lock().unwrap().clone();
        for file in (0..self.crowd.files).filter(|file| file % WORKERS == self.number) {
            let Some(known) = self.crowd.handles.lock().unwrap().get(&file).cloned() else { continue };
            assert_eq!(known.len(), 1, "one file is one job: {known:?}");
            let job = known.first().unwrap();
            let again = self.runs(&["create", &format!("f{file}.jsonl")]).unwrap();
            assert_eq!((&again["submission"], &again["job"]), (&"found".into(), &job.as_str().into()), "{again}");
            let status = self.runs(&["status", job, "--wait"]).unwrap()["jobs"][0].clone();
            if !cancelled.contains(job) {
                assert_eq!(status["state"], "JOB_STATE_SUCCEEDED", "{status}");
            }
            if status["state"] == "JOB_STATE_SUCCEEDED" {
                let results = self.runs(&["results", job, "--output", &format!("{job}.jsonl")]).unwrap();
                assert_eq!(results["outcomes"]["answered"], 2, "{results}");
            } else {
                assert_eq!(status["state"], "JOB_STATE_CANCELLED", "{status}");
            }
        }
    }
}

/// A job lasts three seconds here and is looked at once a second at most, once more when it has ended, and once when its
/// results are fetched; beside that when it is cancelled, and when two fetch the same results at the same moment.
fn most_looks(crowd: &Crowd, jobs: u64) -> u64 {
    jobs * 6 + crowd.looks.load(Ordering::Relaxed) / 4
}

#[test]
fn a_crowd_at_one_ledger_pays_each_job_once_and_loses_nothing() {
    let asked = std::env::var("GEMINI_BATCH_CROWD").ok().map(|text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(asked.unwrap_or(15));
    let world = World::with(|options| options.pace = Pace::demo());
    let files = if asked.is_some() { 200 } else { 60 };
    (0..files).for_each(|file| world.write(&format!("f{file}.jsonl"), &requests(2, &format!("of {file}"))));
    let (handles, cancelled) = (Mutex::default(), Mutex::default());
    let (created, looks) = (AtomicU64::new(0), AtomicU64::new(0));
    let crowd = Crowd { world, files, end, handles, cancelled, created, looks };
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            let crowd = &crowd;
            scope.spawn(move || {
                let mut worker = Worker::new(crowd, number);
                worker.works();
            });
        }
    });
    let jobs = crowd.handles.lock().unwrap().len() as u64;
    let log = crowd.world.simulator.log();
    assert_eq!(crowd.world.jobs_at_the_api() as u64, jobs);
    assert_eq!(log.calls(Call::CreateBatch), jobs);
    // Whoever waits for jobs sends what is to be sent, too: then nobody's create did it.
    assert!(crowd.created.load(Ordering::Relaxed) <= jobs);
    let (polls, most) = (log.calls(Call::GetBatch), most_looks(&crowd, jobs));
    eprintln!("{jobs} jobs, {} requests, {polls} looks at jobs, {most} at most", log.entries().len());
    assert!(polls <= most, "{polls} looks at {jobs} jobs, {most} at most");
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            let crowd = &crowd;
            scope.spawn(move || Worker::new(crowd, number).checks());
        }
    });
    assert_eq!(log.calls(Call::CreateBatch), jobs);
    let sent = "SELECT count(*) FROM parts WHERE step = 'created' AND remote_name IS NOT NULL";
    let sent: i64 = ledger::open(&crowd.world).query_row(sent, [], |row| row.get(0)).unwrap();
    assert_eq!(sent.cast_unsigned(), jobs, "the ledger has them all");
    assert!(ledger::is_sound(&crowd.world));
}
