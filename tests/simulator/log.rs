//! What the log tells.

use super::*;

#[tokio::test]
async fn the_log_tells_what_was_asked_without_keys() {
    let world = World::new(Pace::instant()).await;
    world.get("/v1beta/files?key=secret").await;
    world.simulator.faults().next(Call::GetBatch, Fault::ResetBeforeActing);
    world.ask(Method::GET, "/v1beta/batches/abc").send().await.unwrap_err();
    let url = world.start_upload(5, "text/plain").await;
    world.chunk(&url, "upload, finalize", 0, b"12345").send().await.unwrap();
    let entries = world.simulator.log().entries();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.path.as_str(), entry.status)).collect();
    assert_eq!(seen[..2], [("/v1beta/files", Some(200)), ("/v1beta/batches/abc", None)]);
    assert_eq!(entries.last().unwrap().received, 5);
    assert_eq!(world.simulator.log().count("POST", "/upload/"), 2);
}

#[tokio::test]
async fn a_request_is_in_the_log_from_the_moment_it_begins() {
    let world = World::new(Pace::instant()).await;
    world.simulator.faults().next(Call::CreateBatch, Fault::Hang);
    let body = json!({"batch": {}}).to_string();
    let asking = tokio::spawn(world.ask(Method::POST, CREATE).body(body.clone()).send());
    let log = world.simulator.log();
    until(|| log.received(Call::CreateBatch) == body.len() as u64).await;
    assert_eq!((log.calls(Call::CreateBatch), log.under_way(Call::CreateBatch)), (1, 1));
    assert_eq!(log.count("POST", ":batchGenerateContent"), 1);
    let entry = &log.entries()[0];
    assert_eq!((entry.call, entry.status, entry.ended), (Some(Call::CreateBatch), None, None));
    assert_eq!(entry.received, body.len() as u64);

    world.clock.advance(Duration::from_secs(7));
    asking.abort();
    until(|| log.under_way(Call::CreateBatch) == 0).await;
    let entry = &log.entries()[0];
    assert_eq!((entry.ended.unwrap() - entry.time).num_seconds(), 7);
    assert_eq!(log.calls(Call::CreateBatch), 1);
}

#[tokio::test]
async fn bytes_are_added_up_by_call() {
    let world = World::new(Pace::instant()).await;
    let url = world.start_upload(2500, "text/plain").await;
    world.chunk(&url, "upload", 0, &[b'x'; 1024]).send().await.unwrap();
    world.chunk(&url, "upload", 1024, &[b'x'; 1024]).send().await.unwrap();
    world.chunk(&url, "upload, finalize", 2048, &[b'x'; 452]).send().await.unwrap();
    let log = world.simulator.log();
    assert_eq!((log.calls(Call::UploadChunk), log.received(Call::UploadChunk)), (2, 2048));
    assert_eq!((log.calls(Call::Finalize), log.received(Call::Finalize)), (1, 452));
    log.clear();
    assert_eq!((log.calls(Call::UploadChunk), log.received(Call::UploadChunk)), (0, 0));
    assert!(log.entries().is_empty());
}
