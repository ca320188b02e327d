use super::calls::RemoteCall;
use super::events::Asked;
use super::lease::Holder;
use super::limits::{Enqueued, Learned};
use super::spend::Spending;
use super::steps::Observation;
use super::uploads::{Content, Upload};
use super::*;
use crate::job::{ContentHash, Handle, JobState, Kind};

fn job(name: &str, run: u32) -> NewJob {
    let model = "gemini-3-flash-preview";
    let content = ContentHash::of_job(name, model, Kind::Generate, 1);
    let named = ContentHash::of_job(name, model, Kind::Generate, run);
    let parts = vec![NewPart::whole(3, Some(100), Some(0.5))];
    NewJob {
        run,
        input_path: Some("a.jsonl".into()),
        input_sha256: Some("aa".into()),
        ..NewJob::new(Handle::new(name, &named), content, model, Kind::Generate, parts)
    }
}

/// A job of three parts.
fn in_parts(name: &str) -> NewJob {
    let part = |number| NewPart {
        number,
        of: 3,
        first_byte: u64::from(number - 1) * 10,
        bytes: Some(10),
        requests: 2,
        tokens: Some(100),
        high_usd: Some(0.25),
    };
    NewJob { parts: (1..=3).map(part).collect(), ..job(name, 1) }
}

/// Intends a job without a budget; whether it is new.
fn intend(ledger: &Ledger, job: &NewJob) -> (JobRecord, bool) {
    match ledger.intend(job, None).unwrap() {
        Intended::New(record) => (record, true),
        Intended::Known(record) => (record, false),
        other => panic!("{other:?}"),
    }
}

fn id(handle: &Handle) -> PartId<'_> {
    PartId { handle, number: 1 }
}

fn held_by(owner: &str) -> Holder<'_> {
    Holder { lease: "job", owner }
}

/// Gives a job up, as its sender does.
fn give_up(ledger: &Ledger, handle: &Handle, why: &str) {
    let holder = Holder { lease: "giving up", owner: "its sender" };
    assert!(ledger.lease(holder.lease, holder.owner).unwrap());
    ledger.give_up(handle, holder, why).unwrap();
    ledger.release(holder.lease, holder.owner).unwrap();
}

fn found(remote_name: &str) -> Adoption<'_> {
    Adoption { remote_name, state: JobState::Pending, submitted_at: None }
}

fn seen(state: JobState, done: i64) -> Observation {
    Observation { state, wire_state: state.as_str().into(), done, failed: 0, error: None, ended_at: None }
}

#[test]
fn the_same_content_and_run_is_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (first, new) = intend(&ledger, &job("a", 1));
    assert!(new);
    let (again, new) = intend(&Ledger::open(folder.path()).unwrap(), &job("a", 1));
    assert!(!new);
    assert_eq!(first.handle, again.handle);
    let (second, new) = intend(&ledger, &job("a", 2));
    assert!(new);
    assert_eq!(ledger.newest_run(&job("a", 1).content).unwrap().unwrap().handle, second.handle);
}

#[test]
fn what_is_refused_for_its_cut_stays_held_back() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (record, _) = intend(&ledger, &in_parts("a"));
    ledger.adopt(id(&record.handle), &found("batches/y")).unwrap();
    give_up(&ledger, &record.handle, "given up");
    let mut cut_otherwise = in_parts("a");
    cut_otherwise.parts[0].requests = 3;
    assert!(matches!(ledger.intend(&cut_otherwise, None).unwrap(), Intended::CutOtherwise(_)));
    assert!(ledger.job(&record.handle).unwrap().held);
    // As it was cut, it is wanted again.
    intend(&ledger, &in_parts("a"));
    assert!(!ledger.job(&record.handle).unwrap().held);
}

#[test]
fn many_processes_at_once_record_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let new: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let ledger = Ledger::open(folder.path()).unwrap();
                    (0..20).filter(|n| intend(&ledger, &job(&format!("job{n}"), 1)).1).count()
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
    let (record, _) = intend(&ledger, &job("a", 1));
    let handle = record.handle;
    assert!(ledger.creating(id(&handle), held_by("me"), None).unwrap() == Turn::Lost);
    assert!(ledger.uploaded(id(&handle), held_by("me"), "files/x", None).unwrap() == Turn::Lost);
    assert!(ledger.lease("job", "me").unwrap());
    assert!(ledger.uploaded(id(&handle), held_by("me"), "files/x", None).unwrap() == Turn::Mine);
    assert!(ledger.creating(id(&handle), held_by("me"), None).unwrap() == Turn::Mine);
    assert_eq!(ledger.job(&handle).unwrap().parts[0].step, Step::Creating);
    ledger.created(id(&handle), &found("batches/y")).unwrap();
    ledger.observe(id(&handle), &seen(JobState::Running, 2)).unwrap();
    ledger.observe(id(&handle), &seen(JobState::Succeeded, 3)).unwrap();
    let record = ledger.by_remote_name("batches/y").unwrap().unwrap();
    assert_eq!((record.parts[0].step, record.state(), record.done()), (Step::Created, JobState::Succeeded, 3));
    let log: Vec<_> = ledger.events(&handle).unwrap().into_iter().map(|event| event.event).collect();
    assert_eq!(log, ["intended", "uploaded", "creating", "created", "state", "state"]);
}

#[test]
fn a_job_that_has_ended_does_not_come_back_to_life() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (record, _) = intend(&ledger, &job("a", 1));
    ledger.observe(id(&record.handle), &seen(JobState::Cancelled, 1)).unwrap();
    ledger.observe(id(&record.handle), &seen(JobState::Running, 2)).unwrap();
    let record = ledger.job(&record.handle).unwrap();
    assert_eq!((record.state(), record.done()), (JobState::Cancelled, 1));
}

#[test]
fn the_readable_part_of_a_handle_names_the_job_that_was_retried_and_no_longer_name() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = |content: &str| Handle::new("toys", &ContentHash::of_job(content, "m", Kind::Generate, 1));
    let first = intend(&ledger, &job("toys", 1)).0;
    intend(&ledger, &job("toys-sample", 1));
    for (name, retry_of) in [("once", first.handle.clone()), ("twice", handle("once"))] {
        let content = ContentHash::of_job(name, "m", Kind::Generate, 1);
        give_up(&ledger, &retry_of, "given up");
        let retry = NewJob { handle: handle(name), content, retry_of: Some(retry_of), ..job(name, 1) };
        intend(&ledger, &retry);
    }
    assert_eq!(ledger.find("toys").unwrap().unwrap().handle, first.handle);
    assert_eq!(ledger.find("toys-s").unwrap().unwrap().handle.slug(), "toys-sample");
    // Another job of the same name, which repeats nothing.
    let content = ContentHash::of_job("other", "m", Kind::Generate, 1);
    intend(&ledger, &NewJob { handle: handle("other"), content, ..job("other", 1) });
    assert!(ledger.find("toys").is_err());
}

#[test]
fn what_is_about_to_be_sent_or_under_way_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let first = intend(&ledger, &in_parts("a")).0;
    let part = |number| PartId { handle: &first.handle, number };
    let retry = NewJob { retry_of: Some(first.handle.clone()), ..job("b", 1) };
    let is_too_early = || matches!(ledger.would_intend(&retry, None).unwrap(), Intended::TooEarly(_));
    assert!(is_too_early(), "all of it is about to be sent");
    ledger.created(part(1), &found("batches/1")).unwrap();
    give_up(&ledger, &first.handle, "given up");
    assert!(is_too_early(), "a part is under way");
    ledger.observe(part(1), &seen(JobState::Succeeded, 2)).unwrap();
    assert!(!is_too_early(), "the rest was given up");
    ledger.unclear(part(2)).unwrap();
    assert!(is_too_early(), "a part may be there");
    assert_eq!(ledger.absent(part(2), held_by("me")).unwrap(), Turn::Lost, "only who holds the lease can tell");
    assert!(is_too_early());
    assert!(ledger.lease("job", "me").unwrap());
    assert_eq!(ledger.absent(part(2), held_by("me")).unwrap(), Turn::Mine);
    assert!(intend(&ledger, &retry).1);
    // And what is repeated is not sent after all.
    intend(&ledger, &in_parts("a"));
    assert!(ledger.job(&first.handle).unwrap().held);
    // A retry that is there is found, whatever becomes of the first job.
    ledger.created(id(&retry.handle), &found("batches/2")).unwrap();
    assert!(!intend(&ledger, &retry).1);
}

#[test]
fn a_unique_beginning_names_a_job_and_an_ambiguous_one_lists_them() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (first, _) = intend(&ledger, &job("products", 1));
    intend(&ledger, &job("prose", 1));
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
    assert!(ledger.lease("job", "one").unwrap());
    assert!(ledger.lease("job", "one").unwrap());
    assert!(!ledger.lease("job", "two").unwrap());
    ledger.release("job", "two").unwrap();
    assert!(!ledger.lease("job", "two").unwrap());
    ledger.release("job", "one").unwrap();
    assert!(ledger.lease("job", "two").unwrap());
}

#[test]
fn a_process_that_slept_past_its_lease_cannot_submit_what_another_one_did() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = intend(&ledger, &job("a", 1)).0.handle;
    assert!(ledger.lease("job", "sleeper").unwrap());
    let run_out = "UPDATE leases SET until = '2000-01-01T00:00:00.000000Z'";
    ledger.write("letting the lease run out", |tx| tx.execute(run_out, [])).unwrap();
    assert!(ledger.renew("job", "sleeper").unwrap(), "nobody took it");
    ledger.write("letting the lease run out", |tx| tx.execute(run_out, [])).unwrap();
    assert!(ledger.lease("job", "other").unwrap());
    assert!(ledger.uploaded(id(&handle), held_by("other"), "files/x", None).unwrap() == Turn::Mine);
    assert!(ledger.creating(id(&handle), held_by("other"), None).unwrap() == Turn::Mine);
    ledger.created(id(&handle), &found("batches/y")).unwrap();
    ledger.release("job", "other").unwrap();

    assert!(!ledger.renew("job", "sleeper").unwrap());
    assert!(ledger.uploaded(id(&handle), held_by("sleeper"), "files/z", None).unwrap() == Turn::Lost);
    assert!(ledger.creating(id(&handle), held_by("sleeper"), None).unwrap() == Turn::Lost);
    ledger.give_up(&handle, held_by("sleeper"), "another process took over").unwrap();
    assert!(!ledger.job(&handle).unwrap().held, "who lost the lease gives up nothing");
    let record = ledger.job(&handle).unwrap();
    assert_eq!((record.parts[0].step, record.parts[0].remote_file.as_deref()), (Step::Created, Some("files/x")));
}

#[test]
fn a_create_that_ended_unclear_settles_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = intend(&ledger, &job("a", 1)).0.handle;
    ledger.lease("job", "me").unwrap();
    ledger.creating(id(&handle), held_by("me"), None).unwrap();
    let sent = ledger.job(&handle).unwrap().parts.remove(0);
    ledger.unclear(id(&handle)).unwrap();
    let ended = ledger.job(&handle).unwrap().parts.remove(0);
    assert_eq!(ended.step, Step::Unclear);
    assert!(ended.step_at > sent.step_at);
}

#[test]
fn jobs_are_listed_by_state_newest_first_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handles: Vec<_> = (0..5).map(|n| intend(&ledger, &job(&format!("j{n}"), 1)).0.handle).collect();
    ledger.observe(id(&handles[1]), &seen(JobState::Running, 1)).unwrap();
    let page = ledger.list(&[], None, 3).unwrap();
    assert_eq!(page.iter().map(|job| &job.handle).collect::<Vec<_>>(), [&handles[4], &handles[3], &handles[2]]);
    let rest = ledger.list(&[], Some(page[2].created_at), 3).unwrap();
    assert_eq!(rest.iter().map(|job| &job.handle).collect::<Vec<_>>(), [&handles[1], &handles[0]]);
    assert_eq!(ledger.list(&[JobState::Running], None, 9).unwrap().len(), 1);
}

#[test]
fn a_call_is_an_event_of_the_job_whose_batch_or_file_it_was_about() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let handle = intend(&ledger, &in_parts("a")).0.handle;
    assert!(ledger.lease("job", "me").unwrap());
    let second = PartId { handle: &handle, number: 2 };
    assert_eq!(ledger.uploaded(second, held_by("me"), "files/x", None).unwrap(), Turn::Mine);
    ledger.created(id(&handle), &found("batches/y")).unwrap();
    let call = |method, resource| RemoteCall {
        method,
        resource,
        status: Some(200),
        latency: std::time::Duration::from_millis(12),
        class: None,
        ahead: None,
    };
    let asked = [
        ("GET", "batches/y", None),
        ("POST", "/v1beta/batches/y:cancel", None),
        ("DELETE", "files/x", None),
        ("GET", "batches/z", None),
        ("GET", "batches", None),
        ("POST", "models/m:batchGenerateContent", Some(&handle)),
    ];
    for (method, resource, of) in asked {
        ledger.record_call(&call(method, resource), of).unwrap();
    }
    ledger
        .record_call(&RemoteCall { status: None, class: Some("timed_out"), ..call("GET", "batches/y") }, None)
        .unwrap();

    let all = |calls, newest| ledger.events_of(std::slice::from_ref(&handle), Asked { newest, calls }).unwrap();
    let resources: Vec<_> = all(true, None).events.iter().filter_map(|e| Some(e.call()?.resource)).collect();
    let expected = ["batches/y", "batches/y:cancel", "files/x", "models/m:batchGenerateContent", "batches/y"];
    assert_eq!(resources, expected);
    let last = all(true, Some(1)).events[0].call().unwrap();
    assert_eq!((last.status, last.class.as_deref(), last.ms), (None, Some("timed_out"), 12));
    let without = all(false, None);
    assert_eq!((without.events.len(), without.older, without.calls), (3, 0, 5));
    let newest = all(true, Some(2));
    assert_eq!((newest.events.len(), newest.older, newest.calls), (2, 6, 0));
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
fn an_upload_is_found_by_content_and_owner_while_it_lives_in_an_older_ledger_too() {
    let folder = tempfile::tempdir().unwrap();
    drop(schema::of_version(folder.path(), 1));
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

#[test]
fn a_job_of_parts_is_one_job_whose_state_follows_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let job = intend(&ledger, &in_parts("a")).0;
    let part = |number| PartId { handle: &job.handle, number };
    assert_eq!((job.requests, job.parts.len(), job.high_usd()), (6, 3, Some(0.75)));
    assert_eq!(job.parts[1].display_name, format!("{}-p2of3", job.handle));
    ledger.created(part(1), &found("batches/1")).unwrap();
    ledger.observe(part(1), &seen(JobState::Succeeded, 2)).unwrap();
    let listed = |state| ledger.list(&[state], None, 9).unwrap().len();
    assert_eq!((listed(JobState::Running), listed(JobState::Succeeded)), (1, 0));
    let now = ledger.job(&job.handle).unwrap();
    assert_eq!(now.waiting().map(|part| part.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(ledger.by_remote_name("batches/1").unwrap().unwrap().handle, job.handle);

    give_up(&ledger, &job.handle, "given up");
    assert_eq!(listed(JobState::Succeeded), 1, "what was given up does not keep it open");
    assert!(ledger.to_be_sent().unwrap().is_empty());
    assert_eq!(ledger.creating(part(2), held_by("me"), None).unwrap(), Turn::Lost);

    // Wanted again: what is there stays, the rest goes out.
    assert!(!intend(&ledger, &in_parts("a")).1);
    assert_eq!(ledger.to_be_sent().unwrap().len(), 1);
    for number in 1..=3 {
        ledger.collected(part(number)).unwrap();
        assert_eq!(ledger.job(&job.handle).unwrap().collected_at.is_some(), number == 3);
    }
}

#[test]
fn a_daily_budget_counts_what_is_sent_and_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let over = |job: &NewJob, budget| match ledger.intend(job, Some(budget)).unwrap() {
        Intended::OverBudget(today) => Some(today.total_usd()),
        _ => None,
    };
    assert_eq!(over(&job("a", 1), 0.4), Some(0.0), "0.50 at most");
    assert_eq!(over(&job("a", 1), 0.6), None);
    assert_eq!(over(&job("a", 1), 0.6), None, "the same job counts once");
    assert_eq!(over(&job("b", 1), 0.9), Some(0.5));
    assert_eq!(over(&job("b", 1), 1.0), None);
    let first = ledger.find("a").unwrap().unwrap();
    ledger.lease("job", "me").unwrap();
    assert_eq!(ledger.creating(id(&first.handle), held_by("me"), Some(0.4)).unwrap(), Turn::OverBudget);
    assert_eq!(ledger.creating(id(&first.handle), held_by("me"), Some(0.5)).unwrap(), Turn::Mine);
    ledger.created(id(&first.handle), &found("batches/a")).unwrap();
    assert_eq!(ledger.spending_today().unwrap(), Spending { sent_usd: 0.5, waiting_usd: 0.5, unknown: 0 });
    ledger.settle(&first.handle, 0.1).unwrap();
    assert_eq!(ledger.spending_today().unwrap().sent_usd, 0.1);
    assert_eq!(over(&job("c", 1), 1.1), None);
    give_up(&ledger, &ledger.find("b").unwrap().unwrap().handle, "");
    assert_eq!(ledger.spending_today().unwrap().waiting_usd, 0.5, "what is not to be sent costs nothing");

    // A job that is wanted again fits beside what was sent of it.
    let parted = intend(&ledger, &in_parts("parts")).0;
    ledger.creating(id(&parted.handle), held_by("me"), None).unwrap();
    ledger.created(id(&parted.handle), &found("batches/parts")).unwrap();
    give_up(&ledger, &parted.handle, "");
    let (others, sent) = (0.6, 0.25);
    assert_eq!(over(&in_parts("parts"), others + 0.5 + 0.01), Some(others + sent));
    assert_eq!(over(&in_parts("parts"), others + sent + 0.5), None);

    let unknown = NewJob { parts: vec![NewPart::whole(1, None, None)], ..job("d", 1) };
    assert!(over(&unknown, 99.0).is_some(), "an unknown price keeps no budget");
    assert!(intend(&ledger, &unknown).1);
    assert!(over(&job("e", 1), 99.0).is_some(), "nor does any beside it");
}

#[test]
fn a_refusal_teaches_how_much_may_be_enqueued_and_a_success_that_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let first = intend(&ledger, &job("a", 1)).0;
    ledger.created(id(&first.handle), &found("batches/a")).unwrap();
    let model = first.model.as_str();
    assert_eq!(ledger.enqueued(model, "me").unwrap(), Enqueued { batches: 1, tokens: 100 });
    assert_eq!(ledger.enqueued("another", "me").unwrap(), Enqueued { batches: 1, tokens: 0 });

    let until = ledger.no_room(model, "me", (0, Some(50)), None).unwrap();
    assert!(until > chrono::Utc::now());
    assert_eq!(ledger.learned(model, "me").unwrap().too_many, None, "alone it says nothing of a sum");
    let later = ledger.no_room(model, "me", (100, Some(50)), None).unwrap();
    assert!(later - until > chrono::TimeDelta::seconds(30), "pauses grow");
    assert_eq!(ledger.learned(model, "me").unwrap().too_many, Some(150));
    assert_eq!(ledger.learned(model, "you").unwrap(), Learned::default());
    // What was learned long ago is not learned again by a refusal that teaches nothing.
    let long_ago = "UPDATE limits SET learned_at = '2020-01-01T00:00:00.000000Z'";
    ledger.write("letting time pass", |tx| tx.execute(long_ago, [])).unwrap();
    ledger.no_room(model, "me", (0, Some(50)), None).unwrap();
    assert_eq!(ledger.learned(model, "me").unwrap().too_many, None);
    ledger.no_room(model, "me", (100, Some(50)), None).unwrap();
    ledger.had_room(model, "me", 120).unwrap();
    assert_eq!(ledger.learned(model, "me").unwrap(), Learned { too_many: Some(150), pause_until: None });
    ledger.had_room(model, "me", 150).unwrap();
    assert_eq!(ledger.learned(model, "me").unwrap().too_many, None);

    ledger.observe(id(&first.handle), &seen(JobState::Failed, 0)).unwrap();
    assert_eq!(ledger.enqueued(model, "me").unwrap(), Enqueued::default());
}

#[test]
fn a_part_is_all_here_when_it_was_collected_or_had_nothing_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let (mut record, _) = intend(&ledger, &in_parts("a"));
    for (at, failed) in [1, 2, 4].into_iter().enumerate() {
        record.parts[at].failed = failed;
    }
    assert_eq!(record.failed(), 7);
    let part = &mut record.parts[0];
    part.step = Step::Created;
    for (state, done, failed, here) in [
        (JobState::Running, 0, 0, false),
        (JobState::Succeeded, 2, 0, false),
        (JobState::Succeeded, 2, 2, false),
        (JobState::Succeeded, 0, 0, false),
        (JobState::Expired, 2, 1, false),
        (JobState::Expired, 1, 1, true),
        (JobState::Failed, 0, 0, true),
    ] {
        (part.state, part.done, part.failed) = (state, done, failed);
        assert_eq!(part.is_all_here(), here, "{state} {done} {failed}");
        let collected = PartRecord { collected_at: part.step_at.into(), ..part.clone() };
        assert_eq!(collected.is_all_here(), state.is_terminal(), "{state}");
    }
    part.wire_state = Some(record::GONE.to_owned());
    assert!(!part.is_all_here(), "nobody knows what it gave");
}
