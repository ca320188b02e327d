//! What a project may have at a time.

use super::*;

fn status(refusal: &(u16, Value)) -> (u16, &Value) {
    (refusal.0, &refusal.1["error"]["status"])
}

#[tokio::test]
async fn a_create_over_the_enqueued_tokens_is_refused_until_there_is_room() {
    let mut world = World::new(Pace::demo()).await;
    // A question is 10 characters, so 3 tokens.
    world.simulator.limits().set_enqueued_tokens(Some(10));
    let file = json!({"fileName": world.upload(&lines(3)).await});
    let (_, first) = world.create(file.clone()).await;
    let refusal = world.create(file.clone()).await;
    assert_eq!(status(&refusal), (429, &json!("RESOURCE_EXHAUSTED")));
    assert!(refusal.1["error"]["message"].as_str().unwrap().starts_with("You exceeded your current quota"));
    let details = refusal.1["error"]["details"].as_array().unwrap();
    assert_eq!(details.len(), 1);
    assert_eq!(details[0]["@type"], "type.googleapis.com/google.rpc.Help");
    assert_eq!(world.batches_made(), 1);

    let body = json!({"batch": {"inputConfig": file}});
    let other_model = "/v1beta/models/gemini-3.5-flash-lite:batchGenerateContent";
    assert_eq!(world.post(other_model, body).await.0, 200);
    world.key = "of another project";
    world.create_from(&lines(3)).await;
    world.key = "test-key";
    assert_eq!(world.create(file.clone()).await.0, 429);
    world.post(&format!("/v1beta/{}:cancel", first["name"].as_str().unwrap()), json!({})).await;
    assert_eq!(world.create(file.clone()).await.0, 200);
    world.simulator.limits().set_enqueued_tokens(Some(18));
    assert_eq!(world.create(file.clone()).await.0, 200);
    assert_eq!(world.create(file.clone()).await.0, 429);
    world.simulator.limits().set_enqueued_tokens(None);
    assert_eq!(world.create(file).await.0, 200);
}

#[tokio::test]
async fn a_batch_that_alone_is_over_the_limit_never_gets_in() {
    let world = World::with(|options| options.limits.set_enqueued_tokens(Some(8))).await;
    let file = world.upload(&lines(3)).await;
    assert_eq!(world.create(json!({"fileName": file})).await.0, 429);
    let small = world.upload(&lines(2)).await;
    assert_eq!(world.create(json!({"fileName": small})).await.0, 200);
}

#[tokio::test]
async fn batches_that_have_not_ended_are_limited() {
    let world = World::new(Pace::demo()).await;
    world.simulator.limits().set_batches(Some(2));
    let file = json!({"fileName": world.upload(&lines(1)).await});
    for expected in [200, 200, 429] {
        assert_eq!(world.create(file.clone()).await.0, expected);
    }
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.create(file).await.0, 200);
    assert_eq!(world.batches_made(), 3);
}

#[tokio::test]
async fn two_creates_at_once_do_not_take_the_same_room() {
    let world = World::new(Pace::demo()).await;
    ended_batches(&world, 60).await;
    let limits = world.simulator.limits();
    limits.set_batches(Some(1));
    // As slow as the first: what ends at once takes no room.
    let as_slow = |options: &mut Options| (options.pace, options.limits) = (Pace::demo(), limits.clone());
    let other = start(&world.folder, &world.clock, as_slow).await;
    let body = json!({"batch": {"inputConfig": {"fileName": world.upload(&lines(1)).await}}}).to_string();
    let create = |n: usize| {
        let url = if n.is_multiple_of(2) { world.simulator.url() } else { other.url() };
        world.ask(Method::POST, &format!("{url}{CREATE}")).body(body.clone()).send()
    };
    let answers = futures_util::future::join_all((0..8).map(create)).await;
    let made = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 200).count();
    assert_eq!((made, world.batches_made()), (1, 61));
}

/// Batches that have ended: they take no room, but it takes time to look through them.
async fn ended_batches(world: &World, count: usize) {
    let name = world.create_from(&lines(1)).await;
    world.clock.advance(Duration::from_secs(60));
    let first = world.folder.path().join(&name);
    for n in 1..count {
        let copy = world.folder.path().join(format!("{name}-{n}"));
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(first.join("batch.json"), copy.join("batch.json")).unwrap();
    }
}

#[tokio::test]
async fn an_upload_over_the_storage_is_refused_at_its_start_until_there_is_room() {
    let world = World::new(Pace::instant()).await;
    world.simulator.limits().set_storage_bytes(Some(100));
    let first = world.upload(&"x".repeat(60)).await;
    let start = async |length: Option<usize>| {
        let start = world.upload_start();
        let length = length.into_iter().fold(start, |start, n| start.header("x-goog-upload-header-content-length", n));
        read(length.send().await.unwrap()).await
    };
    let refusal = start(Some(41)).await;
    assert_eq!(status(&refusal), (429, &json!("RESOURCE_EXHAUSTED")));
    assert!(refusal.1["error"]["message"].as_str().unwrap().contains("file_storage_bytes, limit: 100"), "{refusal:?}");
    assert_eq!(refusal.1["error"]["details"][0]["violations"][0]["quotaId"], "FileStorageBytesPerProject");
    assert_eq!(std::fs::read_dir(world.folder.path().join("uploads")).unwrap().count(), 1);

    world.upload(&"x".repeat(40)).await;
    assert_eq!(start(None).await.0, 429);
    world.ask(Method::DELETE, &format!("/v1beta/{first}")).send().await.unwrap();
    assert_eq!(start(Some(60)).await.0, 200);
    assert_eq!(start(Some(61)).await.0, 429);
    world.clock.advance(Duration::from_secs(48 * 3600));
    assert_eq!(start(Some(100)).await.0, 200);
    world.simulator.limits().set_storage_bytes(Some(99));
    assert_eq!(start(Some(100)).await.0, 429);
}
