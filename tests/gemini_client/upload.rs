//! The resumable upload: chunks, breaks, MIME types.

use std::io::{Seek, Write};
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gemini_batch_mcp::error::{Error, ErrorKind};
use gemini_batch_mcp::gemini::{FileRange, Gemini, NewFile, RemoteFile};
use gemini_batch_mcp::progress::{Monitor, Progress, Silent};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::scripted::{Reply, Request};
use super::{scripted, texts};

pub(crate) const SECRET: &str = "upload_id=SECRETSESSION";
pub(crate) const CONTENT: &[u8] = b"0123456789abcdefghi\n";

pub(crate) fn started() -> Reply {
    Reply::empty(200)
        .with("X-Goog-Upload-Status", "active")
        .with("X-Goog-Upload-URL", format!("https://elsewhere.example/upload/v1beta/files?{SECRET}"))
        .with("X-Goog-Upload-Chunk-Granularity", 4)
}

pub(crate) fn more() -> Reply {
    Reply::empty(200).with("X-Goog-Upload-Status", "active")
}

pub(crate) fn received(bytes: u64) -> Reply {
    more().with("X-Goog-Upload-Size-Received", bytes)
}

pub(crate) fn done() -> Reply {
    let file = json!({"file": {"name": "files/new", "state": "ACTIVE", "sizeBytes": "20"}});
    Reply::json(200, file).with("X-Goog-Upload-Status", "final")
}

pub(crate) fn mime_refusal() -> Reply {
    let error =
        json!({"error": {"code": 400, "message": "Unsupported MIME type: jsonl", "status": "INVALID_ARGUMENT"}});
    Reply::json(200, error).with("X-Goog-Upload-Status", "final")
}

pub(crate) fn file(content: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

async fn upload(gemini: &Gemini) -> Result<RemoteFile, Error> {
    send(gemini, whole(file(CONTENT)), &Silent::default()).await
}

/// Uploads without anything to go on with, and keeps nothing for it.
async fn send(gemini: &Gemini, range: FileRange, monitor: &dyn Monitor) -> Result<RemoteFile, Error> {
    let new = NewFile { range, display_name: "requests.jsonl", sha256: None };
    gemini.upload(new, None, &|_| Ok(()), monitor).await
}

pub(crate) fn whole(file: std::fs::File) -> FileRange {
    FileRange::whole(file).unwrap()
}

/// Command, offset and body of every request after the start.
pub(crate) fn story(seen: &[Request]) -> Vec<(String, String, String)> {
    let said = |request: &Request| {
        let text = |name| request.header(name).to_owned();
        (
            text("x-goog-upload-command"),
            text("x-goog-upload-offset"),
            String::from_utf8_lossy(&request.body).into_owned(),
        )
    };
    seen.iter().map(said).filter(|(command, ..)| command != "start").collect()
}

pub(crate) fn step(command: &str, offset: &str, body: &str) -> (String, String, String) {
    (command.into(), offset.into(), body.into())
}

#[tokio::test]
async fn a_file_goes_out_in_chunks_to_the_host_of_the_base() {
    let (server, gemini) = scripted([started(), more(), more(), done()]).await;
    assert_eq!(upload(&gemini).await.unwrap().name, "files/new");
    let seen = server.seen();
    assert_eq!(seen[0].target, "/upload/v1beta/files");
    assert_eq!(seen[0].header("x-goog-upload-protocol"), "resumable");
    assert_eq!(seen[0].header("x-goog-upload-header-content-length"), "20");
    assert_eq!(seen[0].header("x-goog-upload-header-content-type"), "application/jsonl");
    assert_eq!(seen[0].json()["file"]["displayName"], "requests.jsonl");
    assert_eq!(seen[1].target, format!("/upload/v1beta/files?{SECRET}"));
    assert_eq!(
        story(&seen),
        [step("upload", "0", "01234567"), step("upload", "8", "89abcdef"), step("upload, finalize", "16", "ghi\n")]
    );
}

#[tokio::test]
async fn chunks_are_multiples_of_the_granularity() {
    let coarse = |granule| {
        Reply::empty(200).with("X-Goog-Upload-URL", "{base}/up").with("X-Goog-Upload-Chunk-Granularity", granule)
    };
    for (granule, first) in [(5, 5), (8, 8), (16, 16), (3, 6)] {
        let (server, gemini) = scripted([coarse(granule), more(), more(), more(), more()]).await;
        let _ = upload(&gemini).await;
        assert_eq!(server.seen()[1].body.len(), first, "granularity {granule}");
    }
}

#[tokio::test]
async fn after_a_break_the_server_is_asked_where_to_continue() {
    for broken in [Reply::HangUp, Reply::page(503), Reply::empty(408), Reply::empty(429), Reply::empty(200)] {
        let (server, gemini) = scripted([started(), more(), broken, received(12), done()]).await;
        upload(&gemini).await.unwrap();
        assert_eq!(
            story(&server.seen()),
            [
                step("upload", "0", "01234567"),
                step("upload", "8", "89abcdef"),
                step("query", "", ""),
                step("upload, finalize", "12", "cdefghi\n"),
            ]
        );
        assert_eq!(server.seen()[3].header("content-length"), "0");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_gets_the_same_chunk_again() {
    for answer in [Reply::empty(400), Reply::empty(501), more()] {
        let (server, gemini) = scripted([started(), Reply::HangUp, answer, more(), more(), done()]).await;
        upload(&gemini).await.unwrap();
        let story = story(&server.seen());
        assert_eq!(story[0], story[2]);
        assert_eq!(story.len(), 5);
    }
}

#[tokio::test]
async fn a_lost_last_answer_is_asked_for() {
    let (server, gemini) = scripted([started(), more(), more(), Reply::HangUp, done()]).await;
    assert_eq!(upload(&gemini).await.unwrap().name, "files/new");
    assert_eq!(server.left(), 0);

    // All bytes are there but the end was not heard: only the end is said again.
    let (server, gemini) = scripted([started(), more(), more(), Reply::page(502), received(20), done()]).await;
    upload(&gemini).await.unwrap();
    assert_eq!(story(&server.seen()).last().unwrap(), &step("finalize", "20", ""));
}

#[tokio::test]
async fn a_file_whose_name_was_lost_is_found_by_its_hash_or_sent_again() {
    let ended = || Reply::empty(200).with("X-Goog-Upload-Status", "final");
    let listed = |name: &str, about: Value| {
        let sha256 = STANDARD.encode(Sha256::digest(CONTENT));
        let mut file = json!({"name": name, "displayName": "requests.jsonl", "sizeBytes": "20", "state": "ACTIVE"});
        file["sha256Hash"] = sha256.into();
        file.as_object_mut().unwrap().extend(about.as_object().unwrap().clone());
        file
    };
    let other_hash = STANDARD.encode(Sha256::digest("other"));
    let others = [
        listed("files/a", json!({"sha256Hash": other_hash})),
        listed("files/b", json!({"sha256Hash": null})),
        listed("files/c", json!({"sizeBytes": "21"})),
        listed("files/d", json!({"displayName": "other"})),
        listed("files/e", json!({"state": "FAILED"})),
        listed("files/f", json!({"expirationTime": "2020-01-01T00:00:00Z"})),
    ];
    let first = Reply::json(200, json!({"files": others, "nextPageToken": "2"}));
    let second = |files: &[Value]| Reply::json(200, json!({"files": files}));

    let there = second(&[listed("files/there", json!({}))]);
    let script = [started(), more(), more(), Reply::HangUp, ended(), first, there];
    let (server, gemini) = scripted(script).await;
    assert_eq!(upload(&gemini).await.unwrap().name, "files/there");
    assert_eq!(server.left(), 0);

    for list in [second(&others), second(&[]), Reply::page(400)] {
        let script = [started(), more(), more(), Reply::HangUp, ended(), list, started(), more(), more(), done()];
        let (server, gemini) = scripted(script).await;
        assert_eq!(upload(&gemini).await.unwrap().name, "files/new");
        assert_eq!(server.left(), 0);
    }
}

#[tokio::test]
async fn breaks_without_progress_are_bounded() {
    let script = std::iter::once(started()).chain([Reply::HangUp, received(0)].into_iter().cycle().take(40));
    let (server, gemini) = scripted(script).await;
    let failed = upload(&gemini).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert_eq!(story(&server.seen()).len(), 5, "three chunks and two questions");
    assert!(!texts(&failed).contains("SECRETSESSION"), "{failed:?}");
}

#[tokio::test]
async fn breaks_with_progress_do_not_add_up() {
    let pieces = [4, 8, 12, 16].into_iter().flat_map(|bytes| [Reply::HangUp, received(bytes)]);
    let (_server, gemini) = scripted(std::iter::once(started()).chain(pieces).chain([done()])).await;
    upload(&gemini).await.unwrap();
}

#[tokio::test]
async fn an_unsupported_mime_type_is_followed_by_the_next_one() {
    let plain_400 =
        Reply::json(400, json!({"error": {"code": 400, "message": "Unsupported MIME type: application/jsonl"}}));
    for first in [plain_400, mime_refusal()] {
        mime_types_are_tried_in_order(first).await;
    }
}

async fn mime_types_are_tried_in_order(first: Reply) {
    let script = [first, started(), more(), more(), mime_refusal(), started(), more(), more(), done()];
    let (server, gemini) = scripted(script).await;
    upload(&gemini).await.unwrap();
    let types: Vec<_> = server
        .seen()
        .iter()
        .map(|request| request.header("x-goog-upload-header-content-type").to_owned())
        .filter(|mime_type| !mime_type.is_empty())
        .collect();
    assert_eq!(types, ["application/jsonl", "text/plain", "application/json"]);
}

#[tokio::test]
async fn another_refusal_is_not_tried_with_other_types() {
    let refusal = Reply::json(400, json!({"error": {"code": 400, "message": "File is too large"}}));
    let (server, gemini) = scripted([refusal, started()]).await;
    let failed = upload(&gemini).await.unwrap_err();
    assert_eq!((failed.kind(), server.seen().len()), (ErrorKind::Refused, 1));
}

#[tokio::test]
async fn an_error_inside_a_success_is_an_error() {
    let error = json!({"error": {"code": 403, "message": "storage is full", "status": "PERMISSION_DENIED"}});
    let inside = Reply::json(200, error).with("X-Goog-Upload-Status", "final");
    let (_server, gemini) = scripted([started(), more(), more(), inside]).await;
    let failed = upload(&gemini).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Auth);
    assert!(failed.cause().contains("storage is full"), "{failed:?}");
}

#[tokio::test]
async fn a_start_without_a_url_and_a_cancelled_session_are_errors() {
    let cancelled = Reply::empty(200).with("X-Goog-Upload-Status", "cancelled");
    for script in [vec![Reply::empty(200)], vec![started(), cancelled]] {
        let (_server, gemini) = scripted(script).await;
        assert_eq!(upload(&gemini).await.unwrap_err().kind(), ErrorKind::UnexpectedAnswer);
    }
}

#[tokio::test]
async fn a_file_is_waited_for_until_it_can_be_used() {
    let file = |state: &str| json!({"name": "files/new", "state": state, "error": {"message": "bad file"}});
    let processing = Reply::json(200, json!({"file": file("PROCESSING")})).with("X-Goog-Upload-Status", "final");
    for (end, kind) in [("ACTIVE", None), ("FAILED", Some(ErrorKind::Refused))] {
        let polls = [Reply::json(200, file("PROCESSING")), Reply::json(200, file(end))];
        let script = [started(), more(), more(), processing.clone()].into_iter().chain(polls);
        let (server, gemini) = scripted(script).await;
        assert_eq!(upload(&gemini).await.err().map(|error| error.kind()), kind);
        assert_eq!(server.left(), 0);
    }
}

#[tokio::test]
async fn a_part_of_a_file_goes_out_alone() {
    let end = json!({"file": {"name": "files/new", "sizeBytes": "10"}});
    let end = Reply::json(200, end).with("X-Goog-Upload-Status", "final");
    let (server, gemini) = scripted([started(), more(), end]).await;
    let part = FileRange { file: file(CONTENT), start: 5, bytes: 10 };
    send(&gemini, part, &Silent::default()).await.unwrap();
    assert_eq!(server.seen()[0].header("x-goog-upload-header-content-length"), "10");
    assert_eq!(story(&server.seen()), [step("upload", "0", "56789abc"), step("upload, finalize", "8", "de")]);
}

#[tokio::test]
async fn an_empty_range_or_one_beyond_the_file_is_not_sent() {
    let (server, gemini) = scripted([]).await;
    for (content, start, bytes) in [(b"".as_slice(), 0, 0), (b"abc", 0, 4), (b"abc", 1, 3), (b"abc", u64::MAX, 2)] {
        let range = FileRange { file: file(content), start, bytes };
        let failed = send(&gemini, range, &Silent::default()).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::InvalidInput);
    }
    assert!(server.seen().is_empty());
}

/// Changes the file, or cancels, once something was sent.
struct Meddler<F> {
    token: CancellationToken,
    reports: Mutex<Vec<u64>>,
    act: F,
}

impl<F: Fn(&CancellationToken) + Send + Sync> Monitor for Meddler<F> {
    fn report(&self, progress: &Progress) {
        self.reports.lock().unwrap().push(progress.done);
        if progress.done == 8 {
            (self.act)(&self.token);
        }
    }

    fn cancellation(&self) -> &CancellationToken {
        &self.token
    }
}

fn meddler<F: Fn(&CancellationToken) + Send + Sync>(act: F) -> Meddler<F> {
    Meddler { token: CancellationToken::new(), reports: Mutex::default(), act }
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_never_finished() {
    let source = file(CONTENT);
    let longer = meddler({
        let file = Mutex::new(source.try_clone().unwrap());
        move |_: &CancellationToken| {
            let mut file = file.lock().unwrap();
            file.seek(std::io::SeekFrom::End(0)).unwrap();
            file.write_all(b"more").unwrap();
        }
    });
    let (server, gemini) = scripted([started(), more(), more(), done()]).await;
    // What is behind the range counts as well: who writes there may have written before.
    let failed = send(&gemini, FileRange { file: source, start: 0, bytes: 18 }, &longer).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::InvalidInput);
    assert!(failed.cause().contains("changed"), "{failed:?}");
    assert!(story(&server.seen()).iter().all(|(command, ..)| command == "upload"));
}

#[tokio::test]
async fn an_upload_stops_when_it_is_cancelled() {
    let (server, gemini) = scripted([started(), more(), more(), done()]).await;
    let monitor = meddler(|token: &CancellationToken| token.cancel());
    let failed = send(&gemini, whole(file(CONTENT)), &monitor).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Cancelled);
    assert!(server.left() > 0);
}

#[tokio::test]
async fn progress_is_told_and_never_goes_back() {
    let (_server, gemini) = scripted([started(), more(), Reply::HangUp, received(8), more(), done()]).await;
    let monitor = meddler(|_: &CancellationToken| ());
    send(&gemini, whole(file(CONTENT)), &monitor).await.unwrap();
    assert_eq!(*monitor.reports.lock().unwrap(), [0, 8, 8, 16, 20]);
}
