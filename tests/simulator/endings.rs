//! Batches that are stuck, expire, or end half done; and some fields of a batch only.

use super::*;

/// The state of a batch and how many of its requests have answers.
async fn seen(world: &World, name: &str) -> (String, String) {
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let word = |value: &Value| value.as_str().unwrap_or("0").trim_start_matches("BATCH_STATE_").to_owned();
    (word(&batch["metadata"]["state"]), word(&batch["metadata"]["batchStats"]["successfulRequestCount"]))
}

#[tokio::test]
async fn stuck_batches_stand_still_until_they_expire() {
    let world = World::new(Pace::demo()).await;
    let pending = world.create_from(&(lines(3) + &line("a", "[[simulate:job-pending]]"))).await;
    let stuck = world.create_from(&(lines(5) + &line("a", "[[simulate:job-stuck]]"))).await;
    // After 1, 41 and 47 hours.
    for hours in [1, 40, 6] {
        world.clock.advance(Duration::from_secs(hours * 3600));
        assert_eq!(seen(&world, &pending).await, ("PENDING".into(), "0".into()));
        assert_eq!(seen(&world, &stuck).await, ("RUNNING".into(), "3".into()));
    }
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(seen(&world, &pending).await.0, "EXPIRED");
    let (_, batch) = world.get(&format!("/v1beta/{stuck}")).await;
    assert_eq!(batch["metadata"]["state"], "BATCH_STATE_EXPIRED");
    assert!(batch["metadata"].get("output").is_none() && batch.get("response").is_none());
}

#[tokio::test]
async fn half_of_a_partial_batch_can_be_downloaded_however_it_ends() {
    let world = World::new(Pace::demo()).await;
    let text = |word: &str| lines(5) + &line("p", "[[simulate:partial]]") + "\n" + &line("w", word);
    let cancelled = world.create_from(&text("hi")).await;
    let stuck = world.create_from(&text("[[simulate:job-stuck]]")).await;
    let (_, running) = world.get(&format!("/v1beta/{cancelled}")).await;
    assert!(running["metadata"].get("output").is_none());
    world.post(&format!("/v1beta/{cancelled}:cancel"), json!({})).await;
    world.clock.advance(Duration::from_secs(48 * 3600));
    for (name, state) in [(cancelled, "BATCH_STATE_CANCELLED"), (stuck, "BATCH_STATE_EXPIRED")] {
        let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
        assert_eq!(batch["metadata"]["state"], state);
        let stats = json!({"requestCount": "7", "successfulRequestCount": "4", "pendingRequestCount": "3"});
        assert_eq!(batch["metadata"]["batchStats"], stats);
        assert!(batch["error"]["code"].is_u64() && batch.get("response").is_none());
        let file = batch["metadata"]["output"]["responsesFile"].as_str().unwrap();
        assert_eq!(keys(&world.download(file).await).len(), 4);
    }
}

#[tokio::test]
async fn only_the_fields_asked_for_are_shown() {
    let world = World::new(Pace::instant()).await;
    let request = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let (_, created) = world.create(json!({"requests": {"requests": [{"request": request}]}})).await;
    let path = format!("/v1beta/{}", created["name"].as_str().unwrap());
    let (_, whole) = world.get(&path).await;
    assert!(whole["metadata"]["output"]["inlinedResponses"].is_object());
    let (_, shown) = world.get(&format!("{path}?fields=done,response,metadata(state,batchStats/requestCount)")).await;
    let metadata = json!({"batchStats": {"requestCount": "1"}, "state": "BATCH_STATE_SUCCEEDED"});
    assert_eq!(shown, json!({"metadata": metadata, "done": true, "response": whole["response"]}));
    let (_, list) = world.get("/v1beta/batches?fields=operations/metadata/display_name").await;
    assert_eq!(list, json!({"operations": [{"metadata": {"displayName": "b"}}]}));
    assert_eq!(world.get(&format!("{path}?fields=dest")).await.0, 400);
    assert_eq!(world.get(&format!("{path}?fields=name,")).await.0, 400);
}
