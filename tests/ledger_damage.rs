//! A ledger that is damaged or gone: nothing of it is deleted, what can be read of it goes on, and it is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gemini_batch_mcp::error::ErrorKind;
use gemini_batch_mcp::job::{ContentHash, Handle, JobState, Kind};
use gemini_batch_mcp::ledger::{Adoption, Intended, JobRecord, Ledger, NewJob, NewPart, PartId};
use rusqlite::Connection;

/// The size of a page of the database.
const PAGE: usize = 4096;

fn job(name: &str) -> NewJob {
    let model = "gemini-3-flash-preview";
    let content = ContentHash::of_job(name, model, Kind::Generate, 1);
    let parts = vec![NewPart::whole(3, Some(100), Some(0.5))];
    NewJob {
        input_path: Some(format!("/a/rather/long/path/of/a/file/of/requests/{name}.jsonl")),
        input_sha256: Some("aa".into()),
        ..NewJob::new(Handle::new(name, &content), content, model, Kind::Generate, parts)
    }
}

/// Records a job.
fn intend(ledger: &Ledger, name: &str) -> JobRecord {
    match ledger.intend(&job(name), None).unwrap() {
        Intended::New(record) | Intended::Known(record) => record,
        other => panic!("{other:?}"),
    }
}

/// A ledger of so many jobs in one file, and that file's bytes.
fn ledger_of(folder: &Path, jobs: usize) -> Vec<u8> {
    let ledger = Ledger::open(folder).unwrap();
    for n in 0..jobs {
        let handle = intend(&ledger, &format!("job{n}")).handle;
        let remote_name = &format!("batches/{n}");
        let found = Adoption { remote_name, state: JobState::Pending, submitted_at: None };
        ledger.created(PartId { handle: &handle, number: 1 }, &found).unwrap();
    }
    let file = ledger.file().to_owned();
    drop(ledger);
    assert!(!folder.join("ledger.sqlite3-wal").exists(), "all of it is in one file");
    fs::read(file).unwrap()
}

fn put(folder: &Path, bytes: &[u8]) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("ledger.sqlite3"), bytes).unwrap();
}

/// The files that were set aside, without what SQLite keeps beside them.
fn set_aside(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let damaged = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("ledger.damaged-");
    let mut files: Vec<_> =
        entries.filter(damaged).filter(|path| path.extension().is_some_and(|end| end == "sqlite3")).collect();
    files.sort();
    files
}

fn jobs_in(ledger: &Ledger) -> usize {
    ledger.list(&[], None, 10_000).unwrap().len()
}

/// Writes bytes into a file from another process: closing a file that SQLite has open drops SQLite's locks.
fn overwrite(file: &Path, page: usize, bytes: &[u8]) {
    let piece = file.with_file_name("piece");
    fs::write(&piece, bytes).unwrap();
    let status = Command::new("dd")
        .args(["conv=notrunc", "status=none", &format!("bs={PAGE}"), &format!("seek={page}")])
        .arg(format!("if={}", piece.display()))
        .arg(format!("of={}", file.display()))
        .status();
    assert!(status.unwrap().success());
    fs::remove_file(piece).unwrap();
}

#[test]
fn whatever_the_damage_the_file_is_kept_a_new_one_works_and_it_is_said_once() {
    let made = tempfile::tempdir().unwrap();
    let good = ledger_of(made.path(), 60);
    let garbage = |from: usize, to: usize| {
        let mut bytes = good.clone();
        bytes[from..to].fill(0xA5);
        bytes
    };
    let damages = [
        ("no database at all", vec![b'x'; 8192]),
        ("its first page is garbage", garbage(0, PAGE)),
        ("only the first bytes are garbage", garbage(0, 16)),
        (
            "the version is zero",
            garbage(60, 64).iter().enumerate().map(|(at, b)| if (60..64).contains(&at) { 0 } else { *b }).collect(),
        ),
        ("all but the first page is garbage", garbage(PAGE, good.len())),
        ("it ends in the middle", good[..good.len() / 2].to_vec()),
        ("it ends within a page", good[..good.len() - 1000].to_vec()),
        ("it ends after its first page", good[..PAGE].to_vec()),
        ("it ends within its first page", good[..200].to_vec()),
    ];
    for (what, bytes) in damages {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &bytes);
        let ledger = Ledger::open(folder.path()).unwrap_or_else(|e| panic!("{what}: {e:?}"));
        let notes = ledger.take_notes();
        let kept = set_aside(folder.path());
        assert_eq!(kept.len(), 1, "{what}: {notes:?}");
        assert!(fs::read(&kept[0]).unwrap() == bytes, "{what}: it is kept as it was");
        assert!(notes.len() == 1 && notes[0].contains(kept[0].to_str().unwrap()), "{what}: {notes:?}");
        assert!(ledger.is_incomplete(), "{what}");
        let own: Vec<_> = ledger.own_events().unwrap().into_iter().map(|event| event.event).collect();
        assert!(own == ["set aside"] && ledger.lost_at().unwrap().is_some(), "{what}: {own:?}");
        intend(&ledger, "new");
        drop(ledger);
        let again = Ledger::open(folder.path()).unwrap();
        assert_eq!((again.take_notes().len(), set_aside(folder.path()).len()), (0, 1), "{what}: said once");
        assert!(jobs_in(&again) >= 1);
        let check: String =
            Connection::open(again.file()).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "{what}");
    }
}

#[test]
fn one_page_of_garbage_costs_no_more_than_the_jobs_on_it() {
    const JOBS: usize = 120;
    let made = tempfile::tempdir().unwrap();
    let good = ledger_of(made.path(), JOBS);
    let pages = good.len() / PAGE;
    let mut most_lost = 0;
    let mut roots = 0;
    for page in 1..pages {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = good.clone();
        bytes[page * PAGE..(page + 1) * PAGE].fill(0xA5);
        put(folder.path(), &bytes);
        let ledger = Ledger::open(folder.path()).unwrap();
        let found = ledger.list(&[], None, 10_000).map_or(0, |jobs| jobs.len());
        // Damage in the middle shows when it is met: by now it was, or nothing is wrong with the jobs.
        let lost = JOBS - jobs_in(&ledger).max(found);
        if lost > 40 {
            roots += 1
        } else {
            most_lost = most_lost.max(lost)
        }
        let known = ledger.list(&[], None, 10_000).unwrap();
        assert!(known.iter().all(|job| job.remote_names().count() == 1), "page {page}");
    }
    assert!(roots <= 4, "{roots} of {pages} pages cost nearly all jobs: roots of two tables and the schema may");
    assert!((1..=30).contains(&most_lost), "{most_lost} jobs on one page");
}

#[test]
fn a_row_of_which_a_value_cannot_be_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    ledger_of(folder.path(), 3);
    let file = folder.path().join("ledger.sqlite3");
    // The tables take no such value as long as they are what they are.
    let as_if = |from: &str, to: &str, then: &str| {
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, "writable_schema", true).unwrap();
        let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?1, ?2) WHERE type = 'table'";
        connection.execute(sql, [from, to]).unwrap();
        drop(connection);
        Connection::open(&file).unwrap().execute_batch(then).unwrap();
    };
    as_if(") STRICT", ") ", "UPDATE jobs SET requests = 'many' WHERE handle LIKE 'job1-%'");
    as_if(") ", ") STRICT", "PRAGMA user_version = 0");
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!((ledger.take_notes().len(), jobs_in(&ledger)), (1, 2));
    assert!(matches!(ledger.intend(&job("job1"), None).unwrap(), Intended::New(_)));
}

#[test]
fn a_job_of_which_half_is_lost_can_be_recorded_again() {
    let folder = tempfile::tempdir().unwrap();
    ledger_of(folder.path(), 2);
    let connection = Connection::open(folder.path().join("ledger.sqlite3")).unwrap();
    // As if pages were lost: with the first page's version gone, the ledger counts as damaged.
    let lost = "PRAGMA foreign_keys = OFF; DELETE FROM parts WHERE handle LIKE 'job0-%'; \
                DELETE FROM jobs WHERE handle LIKE 'job1-%'; PRAGMA user_version = 0";
    connection.execute_batch(lost).unwrap();
    drop(connection);
    let ledger = Ledger::open(folder.path()).unwrap();
    for name in ["job0", "job1"] {
        assert!(matches!(ledger.intend(&job(name), None).unwrap(), Intended::New(_)), "{name}");
    }
}

#[test]
fn damage_that_is_met_later_is_treated_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = ledger_of(folder.path(), 60);
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(jobs_in(&ledger), 60);
    for page in 1..bytes.len() / PAGE {
        overwrite(ledger.file(), page, &[0xA5; PAGE]);
    }
    // Another one has nothing in memory; the first one follows it.
    let other = Ledger::open(folder.path()).unwrap();
    assert_eq!(other.take_notes().len(), 1);
    intend(&other, "new");
    intend(&ledger, "newer");
    assert_eq!(jobs_in(&other), jobs_in(&ledger));
    assert!(ledger.job(&job("new").handle).is_ok() && other.job(&job("newer").handle).is_ok());
    assert_eq!(ledger.take_notes(), Vec::<String>::new(), "the other one said it");
    assert_eq!(set_aside(folder.path()).len(), 1);
}

#[test]
fn damage_is_met_by_the_call_that_reads_it_and_the_call_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = ledger_of(folder.path(), 300);
    let ledger = Ledger::open(folder.path()).unwrap();
    let before = ledger.list(&[], None, 1).unwrap();
    assert_eq!(before.len(), 1);
    // Pages in the middle, of which the ends of the tables know nothing.
    for page in bytes.len() / PAGE / 3..bytes.len() / PAGE / 2 {
        overwrite(ledger.file(), page, &[0xA5; PAGE]);
    }
    let left = jobs_in(&ledger);
    assert!((100..300).contains(&left), "{left} jobs");
    assert_eq!((ledger.take_notes().len(), set_aside(folder.path()).len()), (1, 1));
    assert!(ledger.is_incomplete());
    intend(&ledger, "new");
    assert_eq!(jobs_in(&ledger), left + 1);
}

#[test]
fn many_who_open_a_damaged_ledger_at_once_set_it_aside_once_and_lose_nothing() {
    for damaged in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let bytes = ledger_of(folder.path(), 60);
        if damaged {
            put(folder.path(), &bytes[..bytes.len() - PAGE]);
        } else {
            fs::remove_file(folder.path().join("ledger.sqlite3")).unwrap();
        }
        let notes: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let folder = folder.path();
                    scope.spawn(move || {
                        let ledger = Ledger::open(folder).unwrap();
                        for n in 0..5 {
                            intend(&ledger, &format!("new{thread}-{n}"));
                        }
                        ledger.take_notes().len()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((notes, set_aside(folder.path()).len()), (usize::from(damaged), usize::from(damaged)));
        let ledger = Ledger::open(folder.path()).unwrap();
        for n in (0..8).flat_map(|thread| (0..5).map(move |n| format!("new{thread}-{n}"))) {
            assert!(ledger.job(&job(&n).handle).is_ok(), "{n} is lost");
        }
        if damaged {
            assert!(jobs_in(&ledger) > 40 + 30, "{}", jobs_in(&ledger));
        }
    }
}

#[test]
fn a_ledger_that_is_gone_is_missed_if_there_were_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    assert!(!ledger.is_incomplete() && ledger.lost_at().unwrap().is_none(), "the first day");
    fs::create_dir_all(folder.path().join("jobs").join(job("a").handle.as_str())).unwrap();
    // Removed while it is in use.
    fs::remove_file(ledger.file()).unwrap();
    intend(&ledger, "a");
    assert!(ledger.is_incomplete());
    assert!(ledger.take_notes()[0].contains("was gone"));
    assert_eq!(jobs_in(&Ledger::open(folder.path()).unwrap()), 1);
    ledger.completed("1 job").unwrap();
    assert!(!ledger.is_incomplete());

    let file = ledger.file().to_owned();
    drop(ledger);
    fs::write(file, "").unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    assert!(ledger.is_incomplete(), "an empty file is a lost ledger, too");
}

#[test]
fn recent_commits_beside_a_ledger_that_is_gone_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    intend(&ledger, "a");
    let wal = folder.path().join("ledger.sqlite3-wal");
    let commits = fs::read(&wal).unwrap();
    assert!(!commits.is_empty());
    fs::remove_file(ledger.file()).unwrap();
    let other = Ledger::open(folder.path()).unwrap();
    assert!(other.is_incomplete());
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with(".sqlite3-wal")).collect();
    assert!(kept.iter().any(|path| fs::read(path).unwrap() == commits), "{kept:?}");
}

#[test]
fn a_rescue_that_was_interrupted_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    ledger_of(folder.path(), 3);
    let ledger = folder.path().join("ledger.sqlite3");
    // Died after the damaged file was away and before the new one was in place.
    fs::rename(&ledger, folder.path().join("ledger.rescued.sqlite3")).unwrap();
    fs::write(folder.path().join("ledger.incomplete"), "").unwrap();
    let opened = Ledger::open(folder.path()).unwrap();
    assert_eq!(jobs_in(&opened), 3);
    assert!(opened.is_incomplete());
    drop(opened);
    // Died while the new one was made: the damaged one is still there, and it starts over.
    let bytes = fs::read(&ledger).unwrap();
    put(folder.path(), &bytes[..bytes.len() - PAGE]);
    fs::write(folder.path().join("ledger.rescued.part"), "half").unwrap();
    let opened = Ledger::open(folder.path()).unwrap();
    assert_eq!((jobs_in(&opened), set_aside(folder.path()).len()), (3, 1));
    assert!(!folder.path().join("ledger.rescued.part").exists());
}

#[test]
fn what_is_no_damage_is_left_where_it_is() {
    let made = tempfile::tempdir().unwrap();
    let good = ledger_of(made.path(), 60);
    // A newer version, damaged or not, is not this program's to mend.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for bytes in [newer.clone(), newer[..newer.len() - PAGE].to_vec()] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &bytes);
        let error = Ledger::open(folder.path()).unwrap_err();
        assert!(error.kind() == ErrorKind::Ledger && error.cause().contains("99"), "{error:?}");
        assert_eq!(set_aside(folder.path()), Vec::<PathBuf>::new());
        assert!(!folder.path().join("ledger.incomplete").exists());
        assert!(fs::read(folder.path().join("ledger.sqlite3")).unwrap() == bytes);
    }
    // One that another program holds is waited for.
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &good);
    let holder = Connection::open(folder.path().join("ledger.sqlite3")).unwrap();
    holder.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM events; COMMIT").unwrap();
    let opening = std::thread::spawn({
        let folder = folder.path().to_owned();
        move || jobs_in(&Ledger::open(&folder).unwrap())
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(holder);
    assert_eq!(opening.join().unwrap(), 60);
    assert_eq!(set_aside(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_ledger_without_one_of_its_tables_is_set_aside() {
    for table in ["jobs", "parts", "builds", "events", "uploads", "leases", "limits", "tasks", "clock"] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &ledger_of(tempfile::tempdir().unwrap().path(), 3));
        let connection = rusqlite::Connection::open(folder.path().join("ledger.sqlite3")).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection.execute_batch(&format!("DROP TABLE {table}")).unwrap();
        drop(connection);
        let ledger = Ledger::open(folder.path()).unwrap();
        let notes = ledger.take_notes();
        assert!(notes.len() == 1 && notes[0].contains(&format!("its table {table} is gone")), "{notes:?}");
        assert_eq!(set_aside(folder.path()).len(), 1, "{table}");
        // What does not hang on it is still there.
        assert_eq!(jobs_in(&ledger), if ["jobs", "parts"].contains(&table) { 0 } else { 3 }, "{table}");
        intend(&ledger, "new");
    }
}

#[test]
fn what_is_no_file_is_an_error_and_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("ledger.sqlite3");
    fs::create_dir(&place).unwrap();
    assert!(Ledger::open(folder.path()).is_err());
    assert!(place.is_dir() && set_aside(folder.path()).is_empty());
}
