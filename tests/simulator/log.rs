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
