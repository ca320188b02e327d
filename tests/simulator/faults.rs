//! What goes wrong on demand.

use super::*;

#[tokio::test]
async fn a_create_whose_reply_is_lost_was_made_all_the_same() {
    let world = World::new(Pace::instant()).await;
    let file = world.upload(&lines(1)).await;
    let body = json!({"batch": {"displayName": "once", "inputConfig": {"fileName": file}}}).to_string();
    let create = || world.ask(Method::POST, CREATE).body(body.clone()).send();
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetBeforeActing);
    assert!(create().await.is_err());
    assert_eq!(world.get("/v1beta/batches").await.1, json!({}));
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetAfterActing);
    assert!(create().await.is_err());
    let (_, list) = world.get("/v1beta/batches").await;
    assert_eq!(list["operations"][0]["metadata"]["displayName"], "once");
    assert_eq!(list["operations"].as_array().unwrap().len(), 1);
    assert_eq!(create().await.unwrap().status(), 200);
}

#[tokio::test]
async fn error_bodies_come_in_every_form() {
    let world = World::new(Pace::instant()).await;
    let faults = world.simulator.faults();
    let forms = [
        ErrorBody::Google { retry_after: Some(Duration::from_millis(36_500)) },
        ErrorBody::HelpOnly,
        ErrorBody::Array,
        ErrorBody::Html,
        ErrorBody::Empty,
        ErrorBody::Malformed,
        ErrorBody::DailyQuota,
        ErrorBody::SpendingCap,
        ErrorBody::Google { retry_after: None },
    ];
    let mut seen = Vec::new();
    for body in forms {
        faults.next(Call::ListBatches, Fault::Status { code: 429, body });
        let (status, answer) = world.get("/v1/batches").await;
        assert_eq!(status, 429);
        seen.push(answer);
    }
    assert_eq!(seen[0]["error"]["details"][1]["retryDelay"], "36.5s");
    assert_eq!(seen[1]["error"]["details"].as_array().unwrap().len(), 1);
    assert_eq!(seen[2][0]["error"]["status"], "RESOURCE_EXHAUSTED");
    assert!(seen[3].as_str().unwrap().starts_with("<html>"));
    assert_eq!(seen[4], "");
    assert_eq!(seen[5], "{\"error\":{\"code\":");
    let daily = &seen[6]["error"]["details"];
    assert!(daily[0]["violations"][0]["quotaId"].as_str().unwrap().contains("PerDay"), "{daily}");
    assert_eq!(daily[2]["retryDelay"], "36s");
    assert!(seen[7]["error"]["message"].as_str().unwrap().contains("monthly spending cap"));
    assert!(seen[7]["error"].get("details").is_none() && seen[8]["error"].get("details").is_none());
    assert_eq!(world.get("/v1/batches").await.0, 200);
}

#[tokio::test]
async fn downloads_break_off_or_end_early_on_demand() {
    let world = World::new(Pace::instant()).await;
    let name = world.create_from(&lines(20)).await;
    let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
    let file = batch["response"]["responsesFile"].as_str().unwrap();
    let whole = world.download(file).await;
    let path = format!("/v1beta/{file}:download?alt=media");
    world.simulator.faults().next(Call::Download, Fault::CutBodyAfter(100));
    let cut = world.ask(Method::GET, &path).send().await.unwrap();
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    assert!(cut.bytes().await.is_err());
    world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(100));
    assert_eq!(world.download(file).await, whole[..100]);
    assert_eq!(world.download(file).await, whole);
}

#[tokio::test]
async fn an_upload_that_breaks_off_keeps_what_has_arrived() {
    let world = World::new(Pace::instant()).await;
    let bytes = vec![b'x'; 4096];
    let url = world.start_upload(bytes.len(), "text/plain").await;
    world.simulator.faults().next(Call::Finalize, Fault::ResetAfterReading(1500));
    assert!(world.chunk(&url, "upload, finalize", 0, &bytes).send().await.is_err());
    let query = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(query.headers()["x-goog-upload-size-received"], "1500");
    let rest = world.chunk(&url, "upload, finalize", 1500, &bytes[1500..]).send().await.unwrap();
    assert_eq!(rest.status(), 200);
    world.simulator.faults().next(Call::GetFile, Fault::WrongLength);
    let (_, body) = read(rest).await;
    let (_, shown) = world.get(&format!("/v1beta/{}", body["file"]["name"].as_str().unwrap())).await;
    assert_eq!(shown["sizeBytes"], "4097");
}

#[tokio::test]
async fn success_can_be_shown_before_the_output_is_there() {
    let world = World::new(Pace::instant()).await;
    let name = world.create_from(&lines(1)).await;
    world.simulator.faults().next_times(Call::GetBatch, 2, Fault::SucceededWithoutOutput);
    for expected in [false, false, true] {
        let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
        assert_eq!(batch["metadata"]["state"], "BATCH_STATE_SUCCEEDED");
        assert_eq!(batch.pointer("/response/responsesFile").is_some(), expected);
        assert_eq!(batch["metadata"].get("output").is_some(), expected);
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_caller_who_reads_only_after_sending_all() {
    let world = World::new(Pace::instant()).await;
    let large = vec![b'x'; 24 * 1024 * 1024];
    let url = world.start_upload(large.len(), "text/plain").await;
    let upload = url.replace(world.simulator.url(), "");
    let chunk = "x-goog-upload-command: upload\r\nx-goog-upload-offset: 7\r\n";
    assert!(world.send_then_read(&upload, chunk, &large).await.starts_with("HTTP/1.1 400 "));
    world.simulator.faults().next(Call::UploadChunk, Fault::Status { code: 503, body: ErrorBody::Empty });
    assert!(world.send_then_read(&upload, chunk, &large).await.starts_with("HTTP/1.1 503 "));
    let create = "/v1beta/models/gemini-3.8-flash:batchGenerateContent?key=k";
    let refusal = world.send_then_read(create, "", &large).await;
    assert!(refusal.starts_with("HTTP/1.1 400 "));
    assert!(refusal.contains("payload size exceeds the limit"));
}
