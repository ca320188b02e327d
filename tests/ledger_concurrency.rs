//! Many at one ledger: nobody is told that it is locked, and nothing that was written is lost.
//!
//! The processes work for 10 seconds; `GEMINI_BATCH_STRESS_SECONDS=60` makes it a minute, with 200 jobs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gemini_batch_mcp::job::{ContentHash, Handle, JobState, Kind};
use gemini_batch_mcp::ledger::lease::Holder;
use gemini_batch_mcp::ledger::steps::Observation;
use gemini_batch_mcp::ledger::{Intended, Ledger, NewJob, NewPart, PartId, Turn};
use serde_json::{Value, json};
use support::program::Server;
use support::world::World;

const MANY: usize = 8;

fn job(name: &str) -> NewJob {
    let model = "gemini-3-flash-preview";
    let content = ContentHash::of_job(name, model, Kind::Generate, 1);
    let parts = vec![NewPart::whole(1_000, None, None)];
    NewJob::new(Handle::new(name, &content), content, model, Kind::Generate, parts)
}

/// Records a job; whether it is new.
fn intend(ledger: &Ledger, name: &str) -> (Handle, bool) {
    match ledger.intend(&job(name), None).unwrap() {
        Intended::New(record) => (record.handle, true),
        Intended::Known(record) => (record.handle, false),
        other => panic!("{other:?}"),
    }
}

fn seen(done: i64) -> Observation {
    let state = JobState::Running;
    Observation { state, wire_state: "RUNNING".into(), done, failed: 0, error: None, ended_at: None }
}

#[test]
fn nothing_that_many_threads_write_with_ledgers_of_their_own_is_lost() {
    const SHARED: usize = 10;
    const ROUNDS: usize = 15;
    let folder = tempfile::tempdir().unwrap();
    let new = AtomicUsize::new(0);
    let leases: [AtomicUsize; SHARED] = std::array::from_fn(|_| AtomicUsize::new(0));
    let held: [AtomicBool; SHARED] = std::array::from_fn(|_| AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..MANY {
            let (new, leases, held, folder) = (&new, &leases, &held, folder.path());
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // Opened anew each time, as short-lived processes do.
                    let ledger = Ledger::open(folder).unwrap();
                    let own = intend(&ledger, &format!("own{thread}-{round}")).0;
                    let n = (thread + round) % SHARED;
                    let (shared, is_new) = intend(&ledger, &format!("shared{n}"));
                    new.fetch_add(usize::from(is_new), Ordering::Relaxed);
                    let part = PartId { handle: &shared, number: 1 };
                    let (lease, owner) = (format!("job {shared}"), format!("{thread}-{round}"));
                    if ledger.lease(&lease, &owner).unwrap() {
                        assert!(!held[n].swap(true, Ordering::SeqCst), "two hold the lease on one job");
                        assert_eq!(
                            ledger.creating(part, Holder { lease: &lease, owner: &owner }, None).unwrap(),
                            Turn::Mine
                        );
                        leases[n].fetch_add(1, Ordering::Relaxed);
                        held[n].store(false, Ordering::SeqCst);
                        ledger.release(&lease, &owner).unwrap();
                    }
                    let done = (round * MANY + thread) as i64;
                    ledger.observe(part, &seen(done)).unwrap();
                    assert!(ledger.job(&shared).unwrap().parts[0].done >= done);
                    ledger.collected(PartId { handle: &own, number: 1 }).unwrap();
                    assert!(ledger.list(&[], None, 5).unwrap().len() >= 2);
                    assert_eq!(ledger.take_notes(), Vec::<String>::new());
                }
            });
        }
    });
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(new.into_inner(), SHARED, "each is new to one of them");
    assert_eq!(ledger.list(&[], None, 10_000).unwrap().len(), SHARED + MANY * ROUNDS);
    for (n, leases) in leases.into_iter().enumerate() {
        let handle = job(&format!("shared{n}")).handle;
        let highest = (0..ROUNDS).flat_map(|round| (0..MANY).map(move |thread| (thread, round)));
        let highest = highest.filter(|(thread, round)| (thread + round) % SHARED == n);
        let highest = highest.map(|(thread, round)| round * MANY + thread).max().unwrap();
        assert_eq!(ledger.job(&handle).unwrap().parts[0].done, highest as i64, "an observation is lost");
        let events = ledger.events(&handle).unwrap();
        let creates = events.iter().filter(|event| event.event == "creating").count();
        assert_eq!(creates, leases.into_inner(), "an event is lost");
    }
    for (thread, round) in (0..MANY).flat_map(|thread| (0..ROUNDS).map(move |round| (thread, round))) {
        assert!(ledger.job(&job(&format!("own{thread}-{round}")).handle).unwrap().collected_at.is_some());
    }
}

/// What one who works on the ledger of a world does, until time is up.
struct Worker<'w> {
    world: &'w World,
    number: usize,
    files: usize,
    until: Instant,
    /// Files that were submitted, and what went wrong.
    submitted: &'w Mutex<BTreeSet<(String, String)>>,
    complaints: &'w Mutex<Vec<String>>,
}

impl Worker<'_> {
    /// Each turn is another file and another verb.
    fn turns(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        let turns = (0..).take_while(|_| Instant::now() < self.until);
        turns.map(|turn| (turn, format!("r{}.jsonl", (turn / 3 + self.number) % self.files)))
    }

    /// A process for each call.
    fn at_the_shell(&self) {
        let output = format!("answers{}.jsonl", self.number);
        let mut last = String::new();
        for (turn, file) in self.turns() {
            let arguments = match turn % 6 {
                0 | 3 => vec!["create", &file],
                1 => vec!["status"],
                2 if !last.is_empty() => vec!["results", &last, "--output", &output, "--overwrite"],
                4 => vec!["list"],
                _ if !last.is_empty() => vec!["status", &last],
                _ => vec!["list", "--local"],
            };
            let ran = self.world.run(&[&arguments[..], &["--json"]].concat());
            if ![0, 3, 4].contains(&ran.code) || !ran.stderr.is_empty() && !ran.stderr.contains("another process") {
                self.complaints.lock().unwrap().push(format!("{arguments:?}: {ran:?}"));
            } else if arguments[0] == "create" {
                last = self.note(&file, &ran.json());
            }
        }
    }

    /// One server for all calls.
    fn at_a_server(&self) {
        let mut server = Server::start_with(|command| {
            command.current_dir(self.world.folder.path()).env("GEMINI_BATCH_HOME", self.world.path("home"));
            command.env("GOOGLE_API_KEY", "a-key-for-tests").env("GOOGLE_GEMINI_BASE_URL", self.world.simulator.url());
            command.stderr(Stdio::null());
        });
        server.initialize("2025-11-25");
        let output = format!("answers{}.jsonl", self.number);
        let mut last = String::new();
        for (turn, file) in self.turns() {
            let (tool, arguments) = match turn % 5 {
                0 | 3 => ("create_batch", json!({"input": file})),
                1 => ("check_status", json!({})),
                2 if !last.is_empty() => ("get_results", json!({"job": last, "output": output, "overwrite": true})),
                _ => ("list_batches", json!({"remote": turn % 2 == 0})),
            };
            let reply = server.call(tool, &arguments);
            if reply["result"]["isError"] == true || reply.get("error").is_some() {
                self.complaints.lock().unwrap().push(format!("{tool} {arguments}: {reply}"));
            } else if tool == "create_batch" {
                last = self.note(&file, &reply["result"]["structuredContent"]);
            }
        }
    }

    fn note(&self, file: &str, reply: &Value) -> String {
        let handle = reply["job"].as_str().unwrap().to_owned();
        self.submitted.lock().unwrap().insert((file.to_owned(), handle.clone()));
        handle
    }
}

#[test]
fn processes_that_do_everything_at_once_are_not_told_of_locks_and_lose_no_job() {
    let seconds = std::env::var("GEMINI_BATCH_STRESS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let files = if seconds < 60 { 30 } else { 200 };
    let world = World::new();
    for n in 0..files {
        let request = json!({"contents": [{"parts": [{"text": format!("prompt {n}")}]}]});
        world.write(&format!("r{n}.jsonl"), &format!("{}\n", json!({"key": "one", "request": request})));
    }
    let (submitted, complaints) = (Mutex::default(), Mutex::default());
    let until = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        for number in 0..MANY {
            let worker = Worker {
                world: &world,
                number: number * files / MANY,
                files,
                until,
                submitted: &submitted,
                complaints: &complaints,
            };
            scope.spawn(move || if number % 2 == 0 { worker.at_the_shell() } else { worker.at_a_server() });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} complaints: {}", complaints.len(), complaints[0]);

    let submitted = submitted.into_inner().unwrap();
    let by_file: BTreeSet<&String> = submitted.iter().map(|(file, _)| file).collect();
    assert!(by_file.len() >= MANY, "{submitted:?}");
    assert_eq!(by_file.len(), submitted.len(), "one file, one job: {submitted:?}");
    assert_eq!(world.jobs_at_the_api(), submitted.len());
    let ledger = Ledger::open(&world.path("home")).unwrap();
    assert_eq!(ledger.list(&[], None, 10_000).unwrap().len(), submitted.len());
    for (file, handle) in &submitted {
        let job = ledger.find(handle).unwrap().unwrap_or_else(|| panic!("{handle} is lost"));
        assert_eq!(job.remote_names().count(), 1, "{file}: {job:?}");
        let events = ledger.events(&job.handle).unwrap();
        let created = events.iter().filter(|event| event.event == "created").count();
        assert_eq!(created, 1, "{file}: {events:?}");
    }
    let check: String = rusqlite::Connection::open(ledger.file())
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |r| r.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let wal = std::fs::metadata(world.path("home/ledger.sqlite3-wal")).map_or(0, |file| file.len());
    assert!(wal < 64 << 20, "{wal} bytes of recent commits are never moved to the ledger");
}
