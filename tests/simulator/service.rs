//! Models, keys, projects, and the server itself.

use super::*;

#[tokio::test]
async fn models_are_checked() {
    let world = World::new(Pace::instant()).await;
    let create = async |model: &str, verb: &str| {
        let body = json!({"batch": {"inputConfig": {"fileName": "files/none"}}});
        world.post(&format!("/v1beta/models/{model}:{verb}"), body).await.0
    };
    assert_eq!(create("gemini-9", "batchGenerateContent").await, 404);
    assert_eq!(create("gemini-3-pro-preview", "batchGenerateContent").await, 404);
    assert_eq!(create("gemini-3.1-flash-live-preview", "batchGenerateContent").await, 400);
    assert_eq!(create("gemini-embedding-001", "batchGenerateContent").await, 400);
    assert_eq!(create("gemini-3.8-flash", "asyncBatchEmbedContent").await, 400);
    let (_, models) = world.get("/v1beta/models?pageSize=1000").await;
    assert!(models["models"].as_array().unwrap().len() >= 12);
    let (_, model) = world.get("/v1beta/models/gemini-3-flash-preview").await;
    assert_eq!(model["inputTokenLimit"], 1_048_576);
    let body = json!({"contents": [{"parts": [{"text": "four letters"}]}]});
    let (_, counted) = world.post("/v1beta/models/gemini-3.8-flash:countTokens", body).await;
    assert_eq!(counted["totalTokens"], 3);
}

#[tokio::test]
async fn keys_are_asked_for_and_projects_see_only_their_own() {
    let mut world = World::new(Pace::instant()).await;
    let bare = client().get(format!("{}/v1beta/files", world.simulator.url())).send().await.unwrap();
    assert_eq!(bare.status(), 403);
    let query = client().get(format!("{}/v1beta/files?key=k", world.simulator.url())).send().await.unwrap();
    assert_eq!(query.status(), 200);
    let file = world.upload(&lines(1)).await;
    let name = world.create_from(&lines(1)).await;
    world.key = "invalid";
    let (status, refusal) = world.get("/v1beta/batches").await;
    assert_eq!((status, &refusal["error"]["details"][0]["reason"]), (400, &json!("API_KEY_INVALID")));
    world.key = "of another project";
    assert_eq!(world.get("/v1beta/batches").await, (200, json!({})));
    assert_eq!(world.get(&format!("/v1beta/{name}")).await.0, 404);
    assert_eq!(world.create(json!({"fileName": file})).await.0, 403);
    let written = std::fs::read_dir(world.folder.path().join("files")).unwrap();
    let records = written.map(|entry| std::fs::read_to_string(entry.unwrap().path().join("file.json")).unwrap());
    assert!(records.into_iter().all(|record| !record.contains("test-key")));
}

#[tokio::test]
async fn two_simulators_on_one_folder_show_the_same() {
    let world = World::new(Pace::demo()).await;
    let other = start(&world.folder, &world.clock, |_| {}).await;
    let name = world.create_from(&lines(3)).await;
    let seen = world.get(&format!("{}/v1beta/{name}", other.url())).await;
    assert_eq!(seen, world.get(&format!("/v1beta/{name}")).await);
    assert_eq!(seen.1["metadata"]["state"], "BATCH_STATE_PENDING");
    world.post(&format!("{}/v1beta/{name}:cancel", other.url()), json!({})).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    assert_eq!(batch["metadata"]["state"], "BATCH_STATE_CANCELLED");
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.address = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(Simulator::start(options).await.unwrap_err().to_string().contains("loopback"));
    let simulator = Simulator::start(Options::new(folder.path())).await.unwrap();
    let url = format!("{}/v1beta/models?key=k", simulator.url());
    assert_eq!(client().get(&url).send().await.unwrap().status(), 200);
    simulator.stop().await;
    assert!(client().get(&url).send().await.is_err());
}
