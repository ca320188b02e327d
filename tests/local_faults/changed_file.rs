//! The request file is changed on the way: what was checked and estimated is what is paid for, or nothing.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, Fault};

use crate::support::journey::Journey;
use crate::support::requests::{large_file, requests, small_file};
use crate::{ended, error, start, until_under_way, world};

/// How long a call is held up while the file is changed.
const A_WHILE: Duration = Duration::from_millis(1500);

#[test]
fn between_build_and_create_it_is_simply_another_file() {
    let world = world(small_file());
    let first = world.reply(&["create", "r.jsonl", "--dry-run"]);
    world.write("r.jsonl", &requests(6, "other"));
    let other = world.reply(&["create", "r.jsonl"]);
    assert_ne!(first["job"], other["job"]);
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 6);
}

#[test]
fn between_check_and_upload_it_is_refused() {
    let world = world(small_file());
    world.simulator.faults().next(Call::ListBatches, Fault::Delay(A_WHILE));
    let child = start(&world, &["create", "r.jsonl"]);
    until_under_way(&world, Call::ListBatches);
    world.write("r.jsonl", &requests(5, "other"));
    let error = error(&ended(child));
    assert_eq!(error["kind"], "invalid_input", "{error}");
    assert!(error["cause"].as_str().unwrap().contains("changed since it was checked"), "{error}");
    assert_eq!((world.simulator.log().calls(Call::StartUpload), world.jobs_at_the_api()), (0, 0));
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}

#[test]
fn another_file_of_the_same_size_and_time_is_told_by_its_hash() {
    let world = world(&requests(5, "left!"));
    let path = world.path("r.jsonl");
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    world.simulator.faults().next(Call::ListBatches, Fault::Delay(A_WHILE));
    let child = start(&world, &["create", "r.jsonl"]);
    until_under_way(&world, Call::ListBatches);
    world.write("r.jsonl", &requests(5, "right"));
    File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    let error = error(&ended(child));
    assert_eq!(error["kind"], "invalid_input", "{error}");
    assert!(error["cause"].as_str().unwrap().contains("other bytes"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 0);
    Journey::new(&world, &["r.jsonl"]).ends_well(1, 5);
}

#[test]
fn during_the_upload_it_is_refused() {
    let world = world(large_file());
    world.simulator.faults().next(Call::UploadChunk, Fault::Delay(A_WHILE));
    let child = start(&world, &["create", "r.jsonl"]);
    until_under_way(&world, Call::UploadChunk);
    // One letter of the last prompt.
    let mut file = File::options().write(true).open(world.path("r.jsonl")).unwrap();
    file.seek(SeekFrom::End(-100)).unwrap();
    file.write_all(b"W").unwrap();
    drop(file);
    let error = error(&ended(child));
    assert_eq!(error["kind"], "invalid_input", "{error}");
    assert!(error["cause"].as_str().unwrap().contains("changed while it was being sent"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 0);
    Journey::new(&world, &["r.jsonl"]).ends_well(1, large_file().lines().count());
}

#[test]
fn parts_that_are_still_to_be_sent_are_those_that_were_checked() {
    let world = world(&requests(5, "asked"));
    world.simulator.faults().nth(Call::ListBatches, 2, Fault::Delay(A_WHILE));
    let child = start(&world, &["create", "r.jsonl", "--max-part-requests", "2"]);
    until_under_way(&world, Call::ListBatches);
    world.write("r.jsonl", &requests(5, "never"));
    assert_eq!(ended(child).code, 0);
    assert_eq!(world.jobs_at_the_api(), 3);
    let files = std::fs::read_dir(world.path("api").join("files")).unwrap();
    for file in files {
        let sent = std::fs::read_to_string(file.unwrap().path().join("data")).unwrap();
        assert!(sent.contains("asked") && !sent.contains("never"), "{sent}");
    }
}
