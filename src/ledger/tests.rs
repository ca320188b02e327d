use super::builds::BuildOrigin;
use super::steps::Observation;
use super::uploads::{Content, Upload};
use super::*;
use crate::job::{ContentHash, Handle, JobState, Kind};

fn job(name: &str, run: u32) -> NewJob {
    let content = ContentHash::of_job(name, "gemini-3-flash-preview", Kind::Generate, 1);
    let named = ContentHash::of_job(name, "gemini-3-flash-preview", Kind::Generate, run);
    NewJob {
        handle: Handle::new(name, &named),
        content,
        run,
        model: "gemini-3-flash-preview".into(),
        kind: Kind::Generate,
        requests: 3,
        input_path: Some("a.jsonl".into()),
        input_sha256: Some("aa".into()),
        high_usd: Some(0.5),
        retry_of: None,
    }
}

fn seen(state: JobState, done: i64) -> Observation {
    Observation { state, wire_state: state.as_str().into(), done, failed: 0, error: None, ended_at: None }
}

#[test]
fn the_same_content_and_run_is_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (first, new) = ledger.intend(&job("a", 1)).unwrap();
    assert!(new);
    let (again, new) = Ledger::open(folder.path()).unwrap().intend(&job("a", 1)).unwrap();
    assert!(!new);
    assert_eq!(first.handle, again.handle);
    let (second, new) = ledger.intend(&job("a", 2)).unwrap();
    assert!(new);
    assert_eq!(ledger.newest_run(&job("a", 1).content).unwrap().unwrap().handle, second.handle);
}

#[test]
fn many_processes_at_once_record_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let new: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let ledger = Ledger::open(folder.path()).unwrap();
                    (0..20).filter(|n| ledger.intend(&job(&format!("job{n}"), 1)).unwrap().1).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(new, 20);
    assert_eq!(Ledger::open(folder.path()).unwrap().list(&[], None, 100).unwrap().len(), 20);
}

#[test]
fn a_job_goes_through_its_steps_and_the_log_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (record, _) = ledger.intend(&job("a", 1)).unwrap();
    let handle = record.handle;
    assert!(!ledger.creating(&handle, "me").unwrap());
    assert!(!ledger.uploaded(&handle, "me", "files/x", None).unwrap());
    assert!(ledger.lease(&handle, "me").unwrap());
    assert!(ledger.uploaded(&handle, "me", "files/x", None).unwrap());
    assert!(ledger.creating(&handle, "me").unwrap());
    assert_eq!(ledger.job(&handle).unwrap().step, Step::Creating);
    ledger.created(&handle, "batches/y", JobState::Pending, None).unwrap();
    ledger.observe(&handle, &seen(JobState::Running, 2)).unwrap();
    ledger.observe(&handle, &seen(JobState::Succeeded, 3)).unwrap();
    let record = ledger.by_remote_name("batches/y").unwrap().unwrap();
    assert_eq!((record.step, record.state, record.done), (Step::Created, JobState::Succeeded, 3));
    let log: Vec<_> = ledger.events(&handle).unwrap().into_iter().map(|event| event.event).collect();
    assert_eq!(log, ["intended", "uploaded", "creating", "created", "state", "state"]);
}

#[test]
fn a_job_that_has_ended_does_not_come_back_to_life() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (record, _) = ledger.intend(&job("a", 1)).unwrap();
    ledger.observe(&record.handle, &seen(JobState::Cancelled, 1)).unwrap();
    ledger.observe(&record.handle, &seen(JobState::Running, 2)).unwrap();
    let record = ledger.job(&record.handle).unwrap();
    assert_eq!((record.state, record.done), (JobState::Cancelled, 1));
}

#[test]
fn the_readable_part_of_a_handle_names_the_job_that_was_retried_and_no_longer_name() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = |content: &str| Handle::new("toys", &ContentHash::of_job(content, "m", Kind::Generate, 1));
    let first = ledger.intend(&job("toys", 1)).unwrap().0;
    ledger.intend(&job("toys-sample", 1)).unwrap();
    for (name, retry_of) in [("once", first.handle.clone()), ("twice", handle("once"))] {
        let content = ContentHash::of_job(name, "m", Kind::Generate, 1);
        let retry = NewJob { handle: handle(name), content, retry_of: Some(retry_of), ..job(name, 1) };
        ledger.intend(&retry).unwrap();
    }
    assert_eq!(ledger.find("toys").unwrap().unwrap().handle, first.handle);
    assert_eq!(ledger.find("toys-s").unwrap().unwrap().handle.slug(), "toys-sample");
    // Another job of the same name, which repeats nothing.
    let content = ContentHash::of_job("other", "m", Kind::Generate, 1);
    ledger.intend(&NewJob { handle: handle("other"), content, ..job("other", 1) }).unwrap();
    assert!(ledger.find("toys").is_err());
}

#[test]
fn a_unique_beginning_names_a_job_and_an_ambiguous_one_lists_them() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (first, _) = ledger.intend(&job("products", 1)).unwrap();
    ledger.intend(&job("prose", 1)).unwrap();
    assert_eq!(ledger.find("prod").unwrap().unwrap().handle, first.handle);
    assert!(ledger.find("nothing").unwrap().is_none());
    assert!(ledger.find("prod%").unwrap().is_none());
    let error = ledger.find("pro").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.next_step().unwrap().contains(first.handle.as_str()));
}

#[test]
fn a_lease_has_one_owner_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = ledger.intend(&job("a", 1)).unwrap().0.handle;
    assert!(ledger.lease(&handle, "one").unwrap());
    assert!(ledger.lease(&handle, "one").unwrap());
    assert!(!ledger.lease(&handle, "two").unwrap());
    ledger.release(&handle, "two").unwrap();
    assert!(!ledger.lease(&handle, "two").unwrap());
    ledger.release(&handle, "one").unwrap();
    assert!(ledger.lease(&handle, "two").unwrap());
}

#[test]
fn a_process_that_slept_past_its_lease_cannot_submit_what_another_one_did() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = ledger.intend(&job("a", 1)).unwrap().0.handle;
    assert!(ledger.lease(&handle, "sleeper").unwrap());
    let run_out = "UPDATE parts SET lease_until = '2000-01-01T00:00:00.000000Z'";
    ledger.write("letting the lease run out", |tx| tx.execute(run_out, [])).unwrap();
    assert!(ledger.renew(&handle, "sleeper").unwrap(), "nobody took it");
    ledger.write("letting the lease run out", |tx| tx.execute(run_out, [])).unwrap();
    assert!(ledger.lease(&handle, "other").unwrap());
    assert!(ledger.uploaded(&handle, "other", "files/x", None).unwrap());
    assert!(ledger.creating(&handle, "other").unwrap());
    ledger.created(&handle, "batches/y", JobState::Pending, None).unwrap();
    ledger.release(&handle, "other").unwrap();

    assert!(!ledger.renew(&handle, "sleeper").unwrap());
    assert!(!ledger.uploaded(&handle, "sleeper", "files/z", None).unwrap());
    assert!(!ledger.creating(&handle, "sleeper").unwrap());
    let record = ledger.job(&handle).unwrap();
    assert_eq!((record.step, record.remote_file.as_deref()), (Step::Created, Some("files/x")));
}

#[test]
fn a_create_that_ended_unclear_settles_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = ledger.intend(&job("a", 1)).unwrap().0.handle;
    ledger.lease(&handle, "me").unwrap();
    ledger.creating(&handle, "me").unwrap();
    let sent = ledger.job(&handle).unwrap();
    ledger.unclear(&handle).unwrap();
    let ended = ledger.job(&handle).unwrap();
    assert_eq!(ended.step, Step::Unclear);
    assert!(ended.step_at > sent.step_at);
}

#[test]
fn jobs_are_listed_by_state_newest_first_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handles: Vec<_> = (0..5).map(|n| ledger.intend(&job(&format!("j{n}"), 1)).unwrap().0.handle).collect();
    ledger.observe(&handles[1], &seen(JobState::Running, 1)).unwrap();
    let page = ledger.list(&[], None, 3).unwrap();
    assert_eq!(page.iter().map(|job| &job.handle).collect::<Vec<_>>(), [&handles[4], &handles[3], &handles[2]]);
    let rest = ledger.list(&[], Some(page[2].created_at), 3).unwrap();
    assert_eq!(rest.iter().map(|job| &job.handle).collect::<Vec<_>>(), [&handles[1], &handles[0]]);
    assert_eq!(ledger.list(&[JobState::Running], None, 9).unwrap().len(), 1);
}

#[test]
fn a_build_is_remembered_by_the_hash_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let origin = BuildOrigin {
        source: Some("a.csv".into()),
        reading: serde_json::json!({"format": "csv"}),
        source_hash: None,
        key: None,
        model: None,
        kind: Kind::Embed,
        expects_json: false,
        response_schema: None,
        media_expires: None,
        counted: None,
        sample_of: None,
    };
    ledger.remember_build("aa", &origin).unwrap();
    assert_eq!(ledger.build_origin("aa").unwrap(), Some(origin));
    assert_eq!(ledger.build_origin("bb").unwrap(), None);
}

#[test]
fn a_ledger_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = Ledger::open(folder.path()).unwrap().file().to_owned();
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Ledger::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ledger);
    assert!(error.cause().contains("99"), "{error}");
}

#[test]
fn a_damaged_ledger_is_told_from_a_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ledger.sqlite3"), vec![b'x'; 8192]).unwrap();
    let error = Ledger::open(folder.path()).unwrap_err();
    assert!(error.next_step().unwrap().contains("damaged"), "{error:?}");
}

#[test]
fn an_upload_is_found_by_content_and_owner_while_it_lives_in_an_older_ledger_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = Ledger::open(folder.path()).unwrap().file().to_owned();
    let old = Connection::open(&file).unwrap();
    old.execute_batch("DROP TABLE uploads; PRAGMA user_version = 1").unwrap();

    let ledger = Ledger::open(folder.path()).unwrap();
    let now = chrono::Utc::now();
    let hours = chrono::TimeDelta::hours;
    let content = Content { sha256: "aa", owner: "me", mime: "image/png" };
    let upload =
        Upload { name: "files/1".into(), uri: "https://x/files/1".into(), bytes: 7, expires_at: now + hours(48) };
    ledger.remember_upload(content, &upload, now).unwrap();
    let found = |content, until| ledger.upload_of(content, until).unwrap().map(|upload| upload.name);
    assert_eq!(found(content, now + hours(47)).as_deref(), Some("files/1"));
    assert_eq!(found(content, now + hours(49)), None);
    for other in [
        Content { sha256: "ab", ..content },
        Content { owner: "you", ..content },
        Content { mime: "image/webp", ..content },
    ] {
        assert_eq!(found(other, now), None);
    }
    // What expired is forgotten with the next one; a newer upload takes the place of an older one.
    let second = Upload { name: "files/2".into(), expires_at: now + hours(96), ..upload };
    ledger.remember_upload(content, &second, now).unwrap();
    assert_eq!(found(content, now).as_deref(), Some("files/2"));
    let other = Content { sha256: "ab", ..content };
    ledger.remember_upload(other, &Upload { name: "files/3".into(), ..second }, now + hours(97)).unwrap();
    assert_eq!(found(content, now), None);
    ledger.forget_upload("files/3").unwrap();
    assert_eq!(found(other, now), None);
}
