//! Servers that are silent, late, or done with a caller before it has said all.

use super::*;

/// Starts to create a batch of one request, and does not wait for the answer.
async fn creating(world: &World) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
    let body = json!({"batch": {"inputConfig": {"fileName": world.upload(&lines(1)).await}}});
    let creating = tokio::spawn(world.ask(Method::POST, CREATE).body(body.to_string()).send());
    until(|| world.simulator.log().received(Call::CreateBatch) > 0).await;
    creating
}

#[tokio::test]
async fn a_status_can_come_before_the_request_was_read() {
    let world = World::new(Pace::instant()).await;
    let fault = Fault::StatusBeforeReading { code: 503, body: ErrorBody::Html };
    world.simulator.faults().next(Call::CreateBatch, fault);
    let host = world.simulator.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head =
        format!("POST {CREATE} HTTP/1.1\r\nhost: {host}\r\nx-goog-api-key: k\r\ncontent-length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Not a byte of the body was sent, and the connection ends all the same.
    let mut reply = String::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    assert_eq!(world.simulator.log().received(Call::CreateBatch), 0);
}

#[tokio::test]
async fn a_call_that_hangs_does_nothing_and_ends_when_the_simulator_stops() {
    let world = World::new(Pace::instant()).await;
    world.simulator.faults().next(Call::CreateBatch, Fault::Hang);
    let creating = creating(&world).await;
    assert_eq!(world.batches_made(), 0);
    world.simulator.stop().await;
    assert!(tokio::time::timeout(Duration::from_secs(10), creating).await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn a_call_acts_late_although_its_caller_is_gone() {
    let world = World::new(Pace::instant()).await;
    world.simulator.faults().next(Call::CreateBatch, Fault::DelayBeforeActing(Duration::from_millis(300)));
    creating(&world).await.abort();
    until(|| world.batches_made() == 1).await;
    world.simulator.faults().next(Call::ListBatches, Fault::DelayBeforeActing(Duration::from_millis(1)));
    assert_eq!(world.get("/v1beta/batches").await.1["operations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_to_act_later_has_not_acted_and_never_will_once_the_simulator_stops() {
    let world = World::new(Pace::instant()).await;
    world.simulator.faults().next(Call::CreateBatch, Fault::DelayBeforeActing(Duration::from_secs(3600)));
    let creating = creating(&world).await;
    assert_eq!(world.get("/v1beta/batches").await.1, json!({}));
    let World { simulator, folder, .. } = world;
    simulator.stop().await;
    assert!(tokio::time::timeout(Duration::from_secs(10), creating).await.unwrap().unwrap().is_err());
    assert_eq!(std::fs::read_dir(folder.path().join("batches")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_call_can_act_and_then_hang() {
    let world = World::new(Pace::instant()).await;
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(3600)));
    let creating = creating(&world).await;
    until(|| world.batches_made() == 1).await;
    assert!(!creating.is_finished());
    creating.abort();
    until(|| world.simulator.log().under_way(Call::CreateBatch) == 0).await;
}

#[tokio::test]
async fn a_key_is_revoked_midway_and_restored() {
    let world = World::new(Pace::instant()).await;
    let name = world.create_from(&lines(1)).await;
    let url = world.start_upload(1024, "text/plain").await;
    world.simulator.revoke_key(world.key).unwrap();
    let (status, refusal) = world.get(&format!("/v1beta/{name}")).await;
    assert_eq!((status, &refusal["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert_eq!(refusal["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let chunk = world.chunk(&url, "upload, finalize", 0, &[b'x'; 1024]).header("x-goog-api-key", world.key);
    assert_eq!(chunk.send().await.unwrap().status(), 400);
    let other = start(&world.folder, &world.clock, |_| {}).await;
    assert_eq!(world.get(&format!("{}/v1beta/batches", other.url())).await.0, 400);
    let another = client().get(format!("{}/v1beta/batches?key=another", world.simulator.url())).send().await.unwrap();
    assert_eq!(another.status(), 200);

    world.simulator.revoke_key(world.key).unwrap();
    world.simulator.restore_key(world.key).unwrap();
    assert_eq!(world.get(&format!("/v1beta/{name}")).await.0, 200);
    world.simulator.restore_key(world.key).unwrap();
}
