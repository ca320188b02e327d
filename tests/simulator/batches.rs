//! Batches and their results.

use super::*;

#[tokio::test]
async fn a_batch_moves_through_its_states_and_leaves_zero_counters_out() {
    let world = World::new(Pace::demo()).await;
    let file = world.upload(&lines(60)).await;
    let (_, created) = world.create(json!({"file_name": file})).await;
    let name = created["name"].as_str().unwrap();
    assert_eq!(created["metadata"]["batchStats"], json!({"requestCount": "60", "pendingRequestCount": "60"}));
    assert_eq!(created["metadata"]["state"], "BATCH_STATE_PENDING");
    assert!(created.get("done").is_none());
    let type_name = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch";
    assert_eq!(created["metadata"]["@type"], type_name);

    world.clock.advance(Duration::from_secs(2));
    let (_, running) = world.get(&format!("/v1beta/{name}")).await;
    let expected = json!({"requestCount": "60", "successfulRequestCount": "20", "pendingRequestCount": "40"});
    assert_eq!(running["metadata"]["batchStats"], expected);

    world.clock.advance(Duration::from_secs(2));
    let (_, done) = world.get(&format!("/v1/{name}")).await;
    assert_eq!(done["done"], true);
    let stats = json!({"requestCount": "60", "successfulRequestCount": "60"});
    assert_eq!(done["metadata"]["batchStats"], stats);
    assert_eq!(done["metadata"]["output"]["responsesFile"], done["response"]["responsesFile"]);
    assert_eq!(done["metadata"]["endTime"], "2026-11-22T12:00:04.000000Z");
}

#[tokio::test]
async fn results_are_complete_shuffled_and_the_same_every_time() {
    let world = World::new(Pace::instant()).await;
    let text = lines(300);
    let name = world.create_from(&text).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let results = world.download(batch["response"]["responsesFile"].as_str().unwrap()).await;
    assert_eq!(results, world.download(batch["response"]["responsesFile"].as_str().unwrap()).await);
    let (answered, asked) = (keys(&results), keys(&text));
    assert!(answered.windows(64).all(|window| !asked.windows(64).any(|other| window == other)));
    assert_eq!(answered.len(), 300);
    assert_eq!(answered.into_iter().collect::<BTreeSet<_>>(), asked.into_iter().collect());
}

#[tokio::test]
async fn a_result_file_has_a_name_too_long_for_everything_but_download() {
    let world = World::new(Pace::instant()).await;
    let name = world.create_from(&lines(1)).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let file = batch["response"]["responsesFile"].as_str().unwrap();
    assert_eq!(file.trim_start_matches("files/").len(), 42);
    let (status, refusal) = world.get(&format!("/v1beta/{file}")).await;
    assert_eq!(status, 400);
    assert!(refusal["error"]["message"].as_str().unwrap().contains("cannot be more than 40 characters"));
    assert_eq!(world.ask(Method::DELETE, &format!("/v1beta/{file}")).send().await.unwrap().status(), 400);
    let path = format!("/download/v1beta/{file}:download?alt=media");
    assert_eq!(world.ask(Method::GET, &path).send().await.unwrap().status(), 200);
    let uploaded = world.upload("x").await;
    assert_eq!(world.get(&format!("/v1beta/{uploaded}:download?alt=media")).await.0, 400);
}

#[tokio::test]
async fn markers_change_the_lines_of_the_result_file() {
    let world = World::new(Pace::instant()).await;
    let words = ["failed", "missing", "duplicate", "stranger", "blocked"];
    let text: Vec<_> = words.iter().map(|word| line(word, &format!("Hi [[simulate:{word}]]"))).collect();
    let name = world.create_from(&text.join("\n")).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let stats = json!({"requestCount": "5", "successfulRequestCount": "4", "failedRequestCount": "1"});
    assert_eq!(batch["metadata"]["batchStats"], stats);
    let mut found = keys(&world.download(batch["response"]["responsesFile"].as_str().unwrap()).await);
    found.sort();
    assert_eq!(found, ["blocked", "duplicate", "duplicate", "failed", "nobody-sent-this", "stranger"]);
}

#[tokio::test]
async fn inline_answers_are_nested_twice_and_left_out_of_lists() {
    let world = World::new(Pace::instant()).await;
    let request = |n: u32| json!({"request": {"contents": [{"parts": [{"text": format!("q {n}")}]}]}, "metadata": {"key": format!("r-{n}")}});
    let input = json!({"requests": {"requests": [request(1), request(2)]}});
    let (status, created) = world.create(input).await;
    assert_eq!(status, 200, "{created}");
    let (_, batch) = world.get(&format!("/v1beta/{}", created["name"].as_str().unwrap())).await;
    let answers = batch["response"]["inlinedResponses"]["inlinedResponses"].as_array().unwrap();
    assert_eq!(&batch["metadata"]["output"]["inlinedResponses"]["inlinedResponses"], &json!(answers));
    let keys: BTreeSet<_> = answers.iter().map(|answer| answer["metadata"]["key"].as_str().unwrap()).collect();
    assert_eq!(keys, BTreeSet::from(["r-1", "r-2"]));
    let (_, list) = world.get("/v1beta/batches").await;
    assert!(!list.to_string().contains("inlinedResponses"));
    assert_eq!(list["operations"][0]["done"], true);
}

#[tokio::test]
async fn a_bad_line_refuses_the_whole_create_and_leaves_nothing_behind() {
    let world = World::new(Pace::instant()).await;
    let bad = r#"{"key":"b","request":{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"maxTokens":1}}}"#;
    let file = world.upload(&format!("{}\n{bad}\n", line("a", "hi"))).await;
    let (status, refusal) = world.create(json!({"fileName": file})).await;
    assert_eq!(status, 400);
    let message = refusal["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Error on line 2: invalid JSON, near column "), "{message}");
    assert!(message.ends_with("no such field: 'maxTokens'"), "{message}");
    assert_eq!(world.get("/v1beta/batches").await, (200, json!({})));
}

#[tokio::test]
async fn batches_are_listed_in_pages_newest_first() {
    let world = World::new(Pace::instant()).await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.insert(0, world.create_from(&lines(1)).await);
        world.clock.advance(Duration::from_secs(1));
    }
    let (_, first) = world.get("/v1beta/batches?pageSize=2").await;
    let token = first["nextPageToken"].as_str().unwrap();
    let (_, second) = world.get(&format!("/v1beta/batches?pageSize=2&pageToken={token}")).await;
    let shown = [&first, &second].into_iter().flat_map(|page| page["operations"].as_array().unwrap());
    assert_eq!(shown.map(|batch| batch["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn a_cancelled_batch_is_terminal_and_a_deleted_one_is_gone() {
    let world = World::new(Pace::demo()).await;
    let name = world.create_from(&lines(4)).await;
    let cancel = format!("/v1beta/{name}:cancel");
    assert_eq!(world.post(&cancel, json!({})).await, (200, json!({})));
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    assert_eq!((&batch["done"], &batch["error"]["code"]), (&json!(true), &json!(1)));
    assert_eq!(batch["metadata"]["state"], "BATCH_STATE_CANCELLED");
    let (status, refusal) = world.post(&cancel, json!({})).await;
    assert_eq!((status, &refusal["error"]["status"]), (400, &json!("FAILED_PRECONDITION")));
    let delete = || world.ask(Method::DELETE, &format!("/v1beta/{name}")).send();
    assert_eq!(delete().await.unwrap().status(), 200);
    assert_eq!(delete().await.unwrap().status(), 404);
    assert_eq!(world.get(&format!("/v1beta/{name}")).await.0, 404);
}

#[tokio::test]
async fn batches_fail_and_expire_on_demand() {
    let world = World::new(Pace::demo()).await;
    let failing = world.create_from(&line("a", "[[simulate:job-failed]]")).await;
    let expiring = world.create_from(&line("a", "[[simulate:job-expired]]")).await;
    world.clock.advance(Duration::from_secs(48 * 3600));
    for (name, state) in [(failing, "BATCH_STATE_FAILED"), (expiring, "BATCH_STATE_EXPIRED")] {
        let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
        assert_eq!(batch["metadata"]["state"], state);
        assert!(batch["error"]["code"].is_u64() && batch.get("response").is_none());
    }
}

#[tokio::test]
async fn the_priority_of_a_batch_can_be_changed() {
    let world = World::new(Pace::demo()).await;
    let name = world.create_from(&lines(1)).await;
    let path = format!("/v1beta/{name}:updateGenerateContentBatch?updateMask=priority");
    let answer = world.ask(Method::PATCH, &path).body(r#"{"priority":"-3"}"#).send().await.unwrap();
    assert_eq!(read(answer).await.1["priority"], "-3");
    assert_eq!(world.get(&format!("/v1beta/{name}")).await.1["metadata"]["priority"], "-3");
}

#[tokio::test]
async fn embeddings_are_batched_too() {
    let world = World::new(Pace::instant()).await;
    let request = json!({"content": {"parts": [{"text": "a"}]}, "output_dimensionality": 3});
    let file = world.upload(&json!({"key": "e-1", "request": request}).to_string()).await;
    let body = json!({"batch": {"inputConfig": {"fileName": file}}});
    let (status, created) = world.post("/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent", body).await;
    assert_eq!(status, 200, "{created}");
    let (_, batch) = world.get(&format!("/v1beta/{}", created["name"].as_str().unwrap())).await;
    assert!(batch["response"]["@type"].as_str().unwrap().ends_with("v1main.EmbedContentBatchOutput"));
    let results = world.download(batch["response"]["responsesFile"].as_str().unwrap()).await;
    let answer: Value = serde_json::from_str(&results).unwrap();
    assert_eq!(answer["response"]["embedding"]["values"].as_array().unwrap().len(), 3);
}
