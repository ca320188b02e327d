//! Uploads and files.

use super::*;

#[tokio::test]
async fn a_file_is_uploaded_in_chunks_whose_offsets_are_checked() {
    let world = World::new(Pace::instant()).await;
    let bytes = vec![b'x'; 2500];
    let url = world.start_upload(bytes.len(), "application/jsonl").await;
    let first = world.chunk(&url, "upload", 0, &bytes[..2048]).send().await.unwrap();
    assert_eq!(first.headers()["x-goog-upload-status"], "active");
    for offset in [0, 1024, 2049] {
        let wrong = world.chunk(&url, "upload", offset, b"").send().await.unwrap();
        assert_eq!(wrong.status(), 400);
    }
    let query = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(query.headers()["x-goog-upload-size-received"], "2048");
    let last = world.chunk(&url, "upload, finalize", 2048, &bytes[2048..]).send().await.unwrap();
    assert_eq!(last.headers()["x-goog-upload-status"], "final");
    let (_, body) = read(last).await;
    assert_eq!(body["file"]["sizeBytes"], "2500");
    assert_eq!(body["file"]["state"], "ACTIVE");
    let again = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(again.headers()["x-goog-upload-status"], "final");
}

#[tokio::test]
async fn a_hash_is_the_base64_of_its_hexadecimal_text() {
    let world = World::new(Pace::instant()).await;
    let file = world.upload("abc").await;
    let (_, shown) = world.get(&format!("/v1beta/{file}")).await;
    let expected = "YmE3ODE2YmY4ZjAxY2ZlYTQxNDE0MGRlNWRhZTIyMjNiMDAzNjFhMzk2MTc3YTljYjQxMGZmNjFmMjAwMTVhZA==";
    assert_eq!(shown["sha256Hash"], expected);
}

#[tokio::test]
async fn uploads_of_a_wrong_length_or_in_crooked_chunks_are_refused() {
    let world = World::new(Pace::instant()).await;
    let url = world.start_upload(3000, "text/plain").await;
    assert_eq!(world.chunk(&url, "upload", 0, &[b'x'; 1000]).send().await.unwrap().status(), 400);
    let query = world.chunk(&url, "query", 0, b"").send().await.unwrap();
    assert_eq!(query.headers()["x-goog-upload-size-received"], "0");
    let short = world.chunk(&url, "upload, finalize", 0, &[b'x'; 2999]).send().await.unwrap();
    assert_eq!(short.status(), 400);
    let other = world.start_upload(10, "text/plain").await;
    assert_eq!(world.chunk(&other, "upload, finalize", 0, &[b'x'; 11]).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_refused_mime_type_is_an_error_inside_a_success() {
    let world = World::new(Pace::instant()).await;
    let url = world.start_upload(1, "jsonl").await;
    let (status, body) = read(world.chunk(&url, "upload, finalize", 0, b"x").send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(body["error"]["message"], "Unsupported MIME type: jsonl");
    world.simulator.faults().next(Call::Finalize, Fault::UnsupportedMime);
    let url = world.start_upload(1, "text/plain").await;
    let (_, body) = read(world.chunk(&url, "upload, finalize", 0, b"x").send().await.unwrap()).await;
    assert_eq!(body["error"]["message"], "Unsupported MIME type: text/plain");
}

#[tokio::test]
async fn files_are_listed_in_pages_newest_first_and_deleted() {
    let world = World::new(Pace::instant()).await;
    assert_eq!(world.get("/v1/files").await, (200, json!({})));
    let mut names = Vec::new();
    for n in 0..12 {
        names.insert(0, world.upload(&format!("file {n}")).await);
        world.clock.advance(Duration::from_secs(1));
    }
    let (_, first) = world.get("/v1beta/files").await;
    let (_, second) = world.get(&format!("/v1beta/files?pageToken={}", first["nextPageToken"].as_str().unwrap())).await;
    let shown = [&first, &second].into_iter().flat_map(|page| page["files"].as_array().unwrap());
    assert_eq!(shown.map(|file| file["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), names);
    assert_eq!(first["files"].as_array().unwrap().len(), 10);
    assert!(second.get("nextPageToken").is_none());

    let (status, _) = read(world.ask(Method::DELETE, &format!("/v1beta/{}", names[0])).send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(world.get(&format!("/v1beta/{}", names[0])).await.0, 403);
}

#[tokio::test]
async fn a_file_dies_after_48_hours_and_its_batch_goes_on() {
    let world = World::new(Pace::realistic()).await;
    let file = world.upload(&lines(2)).await;
    world.clock.advance(Duration::from_secs(48 * 3600 - 1));
    let (_, batch) = world.create(json!({"fileName": file})).await;
    world.clock.advance(Duration::from_secs(1));
    let (status, refusal) = world.get(&format!("/v1beta/{file}")).await;
    assert_eq!((status, &refusal["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
    assert_eq!(world.create(json!({"fileName": file})).await.0, 403);
    world.clock.advance(Duration::from_secs(24 * 3600));
    let (_, done) = world.get(&format!("/v1beta/{}", batch["name"].as_str().unwrap())).await;
    assert_eq!(done["metadata"]["state"], "BATCH_STATE_SUCCEEDED");
    assert_eq!(world.download(done["response"]["responsesFile"].as_str().unwrap()).await.lines().count(), 2);
}

#[tokio::test]
async fn an_upload_goes_on_at_another_simulator_of_the_folder() {
    let world = World::new(Pace::instant()).await;
    let url = world.start_upload(1500, "text/plain").await;
    world.chunk(&url, "upload", 0, &[b'x'; 1024]).send().await.unwrap();
    let other = start(&world.folder, &world.clock, |_| {}).await;
    let url = url.replace(world.simulator.url(), other.url());
    let last = world.chunk(&url, "upload, finalize", 1024, &[b'x'; 476]).send().await.unwrap();
    assert_eq!(read(last).await.1["file"]["sizeBytes"], "1500");
}
