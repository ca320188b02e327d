//! What the ledger's operations take with 10,000 jobs in it: half of the calls are faster than the first figure, all but
//! one of a hundred faster than the second.
//!
//! `cargo bench --bench ledger`; `LEDGER_JOBS=100000` for more jobs, `LEDGER_ROUNDS=1000` for more calls. A write waits for
//! the disk once a commit: what that alone takes there is the first row, and is taken off before the goal is looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use gemini_batch_mcp::job::{ContentHash, Handle, JobState, Kind};
use gemini_batch_mcp::ledger::calls::RemoteCall;
use gemini_batch_mcp::ledger::events::Asked;
use gemini_batch_mcp::ledger::steps::Observation;
use gemini_batch_mcp::ledger::{Ledger, NewJob, NewPart, PartId};

/// No operation of a call may take longer than this beside the disk, but one of a hundred.
const GOAL: Duration = Duration::from_millis(5);
/// What only reads does not wait for the disk.
const READ: Option<Duration> = Some(Duration::ZERO);

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn job(n: usize) -> NewJob {
    let (name, model) = (format!("products-{n}"), "gemini-3-flash-preview");
    let content = ContentHash::of_job(&name, model, Kind::Generate, 1);
    let parts = vec![NewPart::whole(40_000, Some(3_100_000), Some(4.9))];
    NewJob {
        input_path: Some(format!("/home/someone/data/{name}.requests.jsonl")),
        input_sha256: Some(format!("{n:064x}")),
        ..NewJob::new(Handle::new(&name, &content), content, model, Kind::Generate, parts)
    }
}

fn seen(state: JobState, done: i64) -> Observation {
    Observation { state, wire_state: "BATCH_STATE_RUNNING".into(), done, failed: 0, error: None, ended_at: None }
}

fn call<'a>(method: &'a str, resource: &'a str) -> RemoteCall<'a> {
    RemoteCall { method, resource, status: Some(200), latency: Duration::from_millis(80), class: None, ahead: None }
}

/// A ledger of so many jobs, one in a hundred of which still runs, with some history each.
fn filled(folder: &Path, jobs: usize) -> Ledger {
    let ledger = Ledger::open(folder).unwrap();
    let connection = rusqlite::Connection::open(ledger.file()).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for n in 0..jobs {
        let NewJob { handle, content, model, input_path, input_sha256, .. } = job(n);
        let at = format!("2026-01-01T{:02}:{:02}:{:02}.{:06}Z", n / 3600 % 24, n / 60 % 60, n % 60, n);
        let state = if n % 100 == 0 { "JOB_STATE_RUNNING" } else { "JOB_STATE_SUCCEEDED" };
        let first = (n % 10 == 9).then(|| job(n - 1).handle.to_string());
        connection
            .prepare_cached(
                "INSERT INTO jobs (handle, hash, content_hash, run, model, kind, requests, input_path, input_sha256, origin, \
                 high_usd, retry_of, state, created_at, collected_at) \
                 VALUES (?1, ?2, ?3, 1, ?4, 'generate', 40000, ?5, ?6, 'created', 4.9, ?7, ?8, ?9, ?9)",
            )
            .unwrap()
            .execute(rusqlite::params![
                handle.as_str(),
                handle.hash(),
                content.as_str(),
                model,
                input_path,
                input_sha256,
                first,
                state,
                at
            ])
            .unwrap();
        connection
            .prepare_cached(
                "INSERT INTO parts (handle, part, display_name, requests, high_usd, step, step_at, remote_file, \
                 remote_name, state, sent_at, submitted_at, ended_at, collected_at) \
                 VALUES (?1, 1, ?1, 40000, 4.9, 'created', ?2, ?3, ?4, ?5, ?2, ?2, ?2, ?2)",
            )
            .unwrap()
            .execute(rusqlite::params![handle.as_str(), at, format!("files/{n}"), format!("batches/{n}"), state])
            .unwrap();
        for event in ["intended", "uploaded", "creating", "created", "state", "state", "call", "call", "collected"] {
            connection
                .prepare_cached("INSERT INTO events (at, handle, event, detail) VALUES (?1, ?2, ?3, '')")
                .unwrap()
                .execute([at.as_str(), handle.as_str(), event])
                .unwrap();
        }
    }
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    ledger
}

/// Measures so many calls and prints a row. `disk` is what the disk may take of them; without it there is no goal.
fn row(name: &str, rounds: usize, disk: Option<Duration>, mut operation: impl FnMut(usize)) -> Duration {
    let mut times: Vec<_> = (0..rounds)
        .map(|round| {
            let start = Instant::now();
            operation(round);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let goal = match disk {
        None => "",
        Some(disk) if at(99).saturating_sub(disk) <= GOAL => "met",
        Some(_) => "missed",
    };
    println!("| {name} | {:.3} | {:.3} | {goal} |", millis(at(50)), millis(at(99)));
    at(99)
}

fn main() {
    let (jobs, rounds) = (number("LEDGER_JOBS", 10_000), number("LEDGER_ROUNDS", 300));
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(folder.path(), jobs);
    // Spread over the ledger, in no order.
    let any = |round: usize| job(round * 7_919 % jobs);
    let pid = std::process::id();
    println!("{jobs} jobs, {rounds} calls each, milliseconds\n\n| Operation | p50 | p99 | goal |\n|---|---|---|---|");

    let mut plain = std::fs::File::create(folder.path().join("plain")).unwrap();
    let disk = row("(append 4 KB and fdatasync)", rounds, None, |_| {
        plain.write_all(&[0; 4096]).unwrap();
        plain.sync_data().unwrap();
    });
    let (once, twice) = (Some(disk), Some(2 * disk));
    row("open", rounds, READ, |_| drop(Ledger::open(folder.path()).unwrap()));
    row("intend, new", rounds, once, |round| drop(ledger.intend(&job(jobs + round), Some(1e9)).unwrap()));
    row("intend, known", rounds, once, |round| drop(ledger.intend(&any(round), Some(1e9)).unwrap()));
    row("newest_run", rounds, READ, |round| drop(ledger.newest_run(&any(round).content).unwrap()));
    row("lease and release", rounds, twice, |round| {
        let (lease, owner) = (format!("job {}", any(round).handle), format!("{pid}-{round}"));
        ledger.lease(&lease, &owner).unwrap();
        ledger.release(&lease, &owner).unwrap();
    });
    row("observe, running", rounds, once, |round| {
        let part = PartId { handle: &job(round * 100 % jobs).handle, number: 1 };
        ledger.observe(part, &seen(JobState::Running, round as i64)).unwrap();
    });
    row("find by handle", rounds, READ, |round| drop(ledger.find(any(round).handle.as_str()).unwrap()));
    row("find by beginning", rounds, READ, |round| {
        let handle = any(round).handle;
        drop(ledger.find(&handle.as_str()[..handle.as_str().len() - 4]).unwrap());
    });
    row("by_remote_name", rounds, READ, |round| {
        drop(ledger.by_remote_name(&format!("batches/{}", round % jobs)).unwrap())
    });
    row("list, newest 20", rounds, READ, |_| drop(ledger.list(&[], None, 20).unwrap()));
    row("list, unfinished 100", rounds, READ, |_| drop(ledger.list(&[JobState::Running], None, 100).unwrap()));
    row("to_be_sent", rounds, READ, |_| drop(ledger.to_be_sent().unwrap()));
    row("spending_today", rounds, READ, |_| {
        black_box(ledger.spending_today().unwrap());
    });
    row("past", rounds, READ, |round| {
        let like = ledger.job(&any(round).handle).unwrap();
        drop(ledger.past(&like, 40_000).unwrap());
    });
    row("retries_of", rounds, READ, |round| drop(ledger.retries_of(&any(round).handle).unwrap()));
    row("events_of, newest 50", rounds, READ, |round| {
        let asked = Asked { newest: Some(50), calls: false };
        drop(ledger.events_of(&[any(round).handle], asked).unwrap());
    });
    row("record_call, GET batches/…", rounds, READ, |round| {
        ledger.record_call(&call("GET", &format!("batches/{}", round % jobs)), None).unwrap();
    });
    row("record_call, GET files/…", rounds, READ, |round| {
        ledger.record_call(&call("GET", &format!("files/{}", round % jobs)), None).unwrap();
    });
    row("record_call, POST", rounds, once, |_| {
        ledger.record_call(&call("POST", "models/m:batchGenerateContent"), None).unwrap();
    });
    row("prunable", rounds.min(20), None, |_| drop(ledger.prunable(chrono::Utc::now()).unwrap()));
    row("export", 1, None, |_| {
        black_box(ledger.export(&mut std::io::sink(), None).unwrap());
    });
}
