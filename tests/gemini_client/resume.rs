//! Uploads that another process goes on with, and what is checked of them at the end.

use std::sync::Mutex;

use gemini_batch_mcp::error::{Error, ErrorKind};
use gemini_batch_mcp::gemini::{FileRange, Gemini, NewFile, RemoteFile, Settings, UploadSession};
use gemini_batch_mcp::progress::{Monitor, Progress, Silent};
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault, Options, Simulator};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::scripted::{Reply, Scripted};
use super::upload::{CONTENT, SECRET, done, file, mime_refusal, more, received, started, step, story, whole};
use super::{scripted, settings, texts};

/// What a ledger would keep: the texts of all sessions.
#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl Kept {
    fn keep(&self, session: &UploadSession) -> Result<(), Error> {
        self.0.lock().unwrap().push(session.to_secret_text().expose_secret().to_owned());
        Ok(())
    }

    fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn last(&self) -> UploadSession {
        UploadSession::from_secret_text(self.texts().last().unwrap()).unwrap()
    }
}

async fn upload(gemini: &Gemini, resume: Option<UploadSession>, kept: &Kept) -> Result<RemoteFile, Error> {
    let new = NewFile { range: whole(file(CONTENT)), display_name: "x", sha256: None };
    gemini.upload(new, resume, &|session| kept.keep(session), &Silent::default()).await
}

/// A session of an upload that was started and then left.
async fn left() -> UploadSession {
    let (_server, gemini) = scripted([started(), Reply::page(400)]).await;
    let kept = Kept::default();
    upload(&gemini, None, &kept).await.unwrap_err();
    kept.last()
}

/// The same session with one thing changed.
async fn left_with(field: &str, value: Value) -> UploadSession {
    let mut text: Value = serde_json::from_str(left().await.to_secret_text().expose_secret()).unwrap();
    assert!(text.get(field).is_some(), "{text}");
    text[field] = value;
    UploadSession::from_secret_text(&text.to_string()).unwrap()
}

fn starts(server: &Scripted) -> usize {
    server.seen().iter().filter(|request| request.header("x-goog-upload-command") == "start").count()
}

fn whole_story() -> Vec<(String, String, String)> {
    vec![step("upload", "0", "01234567"), step("upload", "8", "89abcdef"), step("upload, finalize", "16", "ghi\n")]
}

#[tokio::test]
async fn a_session_is_kept_before_the_first_byte_is_sent() {
    let (server, gemini) = scripted([started(), more(), more(), done()]).await;
    let kept = Kept::default();
    let new = NewFile { range: whole(file(CONTENT)), display_name: "x", sha256: None };
    let on_session = |session: &UploadSession| {
        assert_eq!(server.seen().len(), 1, "the start, and nothing else");
        assert!(!format!("{session:?}").contains("SECRET"));
        kept.keep(session)
    };
    gemini.upload(new, None, &on_session, &Silent::default()).await.unwrap();
    assert_eq!(kept.texts().len(), 1);

    let (server, gemini) = scripted([started(), more()]).await;
    let new = NewFile { range: whole(file(CONTENT)), display_name: "x", sha256: None };
    let full = |_: &UploadSession| Err(Error::new(ErrorKind::Ledger, "keeping it", "the disk is full"));
    let failed = gemini.upload(new, None, &full, &Silent::default()).await.unwrap_err();
    assert_eq!((failed.kind(), server.seen().len()), (ErrorKind::Ledger, 1));
}

#[tokio::test]
async fn another_process_asks_first_and_sends_the_rest() {
    let session = left().await;
    let (server, gemini) = scripted([received(8), more(), done()]).await;
    let kept = Kept::default();
    assert_eq!(upload(&gemini, Some(session), &kept).await.unwrap().name, "files/new");
    assert_eq!(
        story(&server.seen()),
        [step("query", "", ""), step("upload", "8", "89abcdef"), step("upload, finalize", "16", "ghi\n")]
    );
    assert!(server.seen().iter().all(|request| request.target == format!("/upload/v1beta/files?{SECRET}")));
    assert!(kept.texts().is_empty(), "no other session was started");
}

#[tokio::test]
async fn what_had_all_arrived_is_only_ended() {
    let (server, gemini) = scripted([received(20), done()]).await;
    upload(&gemini, Some(left().await), &Kept::default()).await.unwrap();
    assert_eq!(story(&server.seen()), [step("query", "", ""), step("finalize", "20", "")]);

    let (server, gemini) = scripted([done()]).await;
    assert_eq!(upload(&gemini, Some(left().await), &Kept::default()).await.unwrap().name, "files/new");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_session_that_is_of_no_use_is_followed_by_a_new_one() {
    let ended = |status| Reply::empty(200).with("X-Goog-Upload-Status", status);
    let named = |about: Value| {
        let mut file = json!({"file": {"name": "files/old", "state": "ACTIVE"}});
        file["file"].as_object_mut().unwrap().extend(about.as_object().unwrap().clone());
        Reply::json(200, file).with("X-Goog-Upload-Status", "final")
    };
    for answer in [
        Reply::json(404, json!({"error": {"code": 404, "message": "no such upload"}})),
        Reply::empty(410),
        Reply::empty(400),
        ended("cancelled"),
        ended("cancelled").with("X-Goog-Upload-Size-Received", 8),
        more(),
        received(21),
        named(json!({"sizeBytes": "19"})),
        named(json!({"sizeBytes": "20", "expirationTime": "2020-01-01T00:00:00Z"})),
    ] {
        let label = format!("{answer:?}");
        let (server, gemini) = scripted([answer, started(), more(), more(), done()]).await;
        let kept = Kept::default();
        assert_eq!(upload(&gemini, Some(left().await), &kept).await.unwrap().name, "files/new", "{label}");
        assert_eq!(story(&server.seen())[1..], whole_story(), "{label}");
        assert_eq!(kept.texts().len(), 1, "{label}");
    }
}

#[tokio::test]
async fn a_session_of_something_else_is_not_even_asked_for() {
    for (field, value) in [
        ("url", json!("http://elsewhere.example/upload?upload_id=x")),
        ("url", json!("http://127.0.0.1.example/upload?upload_id=x")),
        ("url", json!("nonsense")),
        ("bytes", json!(19)),
        ("sha256", json!("00")),
        ("key_mark", json!("another")),
        ("mime_type", json!("image/png")),
        ("granule", json!(1_u64 << 40)),
    ] {
        let (server, gemini) = scripted([started(), more(), more(), done()]).await;
        upload(&gemini, Some(left_with(field, value).await), &Kept::default()).await.unwrap();
        assert_eq!(story(&server.seen()), whole_story(), "{field}");
    }
}

#[tokio::test]
async fn bytes_of_the_dead_that_arrive_late_cost_a_question() {
    let mismatch = Reply::json(400, json!({"error": {"code": 400, "message": "offset 4 does not match"}}));
    let (server, gemini) = scripted([received(4), mismatch, received(8), more(), done()]).await;
    upload(&gemini, Some(left().await), &Kept::default()).await.unwrap();
    assert_eq!((starts(&server), server.left()), (0, 0));
}

#[tokio::test]
async fn a_session_that_takes_nothing_is_given_up() {
    let refusal = || Reply::json(400, json!({"error": {"code": 400, "message": "no"}}));
    let script = [received(4), refusal(), received(4), refusal(), started(), more(), more(), done()];
    let (server, gemini) = scripted(script).await;
    upload(&gemini, Some(left().await), &Kept::default()).await.unwrap();
    assert_eq!((starts(&server), server.left()), (1, 0));
}

#[tokio::test]
async fn a_server_that_is_down_is_no_reason_to_start_anew() {
    let (server, gemini) = scripted(vec![Reply::page(503); 9]).await;
    let kept = Kept::default();
    let failed = upload(&gemini, Some(left().await), &kept).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert_eq!((starts(&server), server.seen().len()), (0, 3));
    assert!(kept.texts().is_empty());
    assert!(!texts(&failed).contains("SECRET"), "{failed:?}");
}

#[tokio::test]
async fn a_session_keeps_its_mime_type_and_falls_back_to_the_next() {
    let session = left_with("mime_type", json!("text/plain")).await;
    let (server, gemini) = scripted([received(16), mime_refusal(), started(), more(), more(), done()]).await;
    let kept = Kept::default();
    upload(&gemini, Some(session), &kept).await.unwrap();
    let types: Vec<_> =
        server.seen().iter().map(|seen| seen.header("x-goog-upload-header-content-type").to_owned()).collect();
    assert_eq!(types.concat(), "application/json", "the one after text/plain");
    assert!(kept.texts()[0].contains("application/json"));
}

/// A server of the real protocol that takes chunks of 64 bytes.
struct Api {
    _folder: tempfile::TempDir,
    simulator: Simulator,
}

impl Api {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        options.granularity = 64;
        Self { simulator: Simulator::start(options).await.unwrap(), _folder: folder }
    }

    /// A new process.
    fn client(&self) -> Gemini {
        Gemini::new(Settings { chunk_bytes: 64, ..settings(self.simulator.url()) }).unwrap()
    }

    fn received(&self) -> u64 {
        self.simulator.log().entries().iter().map(|entry| entry.received).sum()
    }
}

fn content() -> Vec<u8> {
    (0..1000_u32).map(|n| b'a' + (n * n % 23) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn part<'a>(sha256: &'a str) -> NewFile<'a> {
    let range = FileRange { file: file(&content()), start: 100, bytes: 800 };
    NewFile { range, display_name: "x-p1of3", sha256: Some(sha256) }
}

/// Tells when so many bytes are through.
struct Watch {
    token: CancellationToken,
    reached: Notify,
    bytes: u64,
}

impl Monitor for Watch {
    fn report(&self, progress: &Progress) {
        if progress.done >= self.bytes {
            self.reached.notify_one();
        }
    }

    fn cancellation(&self) -> &CancellationToken {
        &self.token
    }
}

#[tokio::test]
async fn a_killed_upload_goes_on_and_at_most_one_chunk_is_sent_twice() {
    let hash = sha256(&content()[100..900]);
    // Not while the last chunk is on its way: the API may make the file of it, and tells its name only once.
    for chunks in [0, 1, 5, 11] {
        let api = Api::start().await;
        let kept = Kept::default();
        let watch = Watch { token: CancellationToken::new(), reached: Notify::new(), bytes: chunks * 64 };
        let on_session = |session: &UploadSession| {
            // From here on only bytes of the file are counted.
            api.simulator.log().clear();
            kept.keep(session)
        };
        let gemini = api.client();
        let uploading = gemini.upload(part(&hash), None, &on_session, &watch);
        tokio::select! {
            biased;
            () = watch.reached.notified() => {}
            done = uploading => panic!("{done:?}"),
        }
        let new = api.client();
        let file = new.upload(part(&hash), Some(kept.last()), &on_session, &Silent::default()).await.unwrap();
        assert_eq!((file.bytes, file.sha256.as_deref()), (Some(800), Some(hash.as_str())));
        let sent = api.received();
        assert!((800..=864).contains(&sent), "{sent} bytes after {chunks} chunks");
        assert_eq!(kept.texts().len(), 1, "one session");
    }
}

#[tokio::test]
async fn an_upload_that_broke_within_a_chunk_goes_on_there() {
    let hash = sha256(&content()[100..900]);
    let api = Api::start().await;
    let kept = Kept::default();
    let faults = api.simulator.faults();
    faults.nth(Call::UploadChunk, 3, Fault::ResetAfterReading(30));
    faults.always(Call::QueryUpload, Fault::Status { code: 503, body: ErrorBody::Empty });
    let on_session = |session: &UploadSession| {
        api.simulator.log().clear();
        kept.keep(session)
    };
    let gemini = api.client();
    let failed = gemini.upload(part(&hash), None, &on_session, &Silent::default()).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    faults.clear();
    api.client().upload(part(&hash), Some(kept.last()), &on_session, &Silent::default()).await.unwrap();
    assert_eq!(api.received(), 800);
}

#[tokio::test]
async fn a_file_that_arrived_otherwise_is_never_used() {
    let hash = sha256(&content()[100..900]);
    for (fault, found) in [(Fault::WrongLength, "801 instead of 800"), (Fault::WrongHash, hash.as_str())] {
        let api = Api::start().await;
        api.simulator.faults().next(Call::Finalize, fault);
        let kept = Kept::default();
        let on_session = |session: &UploadSession| kept.keep(session);
        let gemini = api.client();
        let failed = gemini.upload(part(&hash), None, &on_session, &Silent::default()).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::InvalidInput);
        assert!(failed.cause().contains("the API has other bytes than the file"), "{failed:?}");
        assert!(failed.cause().contains(found), "{failed:?}");
        // The list of files shows it as it is: the next process need not send it again.
        gemini.upload(part(&hash), Some(kept.last()), &on_session, &Silent::default()).await.unwrap();
        assert_eq!(kept.texts().len(), 1);
    }
}

#[tokio::test]
async fn what_is_said_of_a_file_after_its_processing_counts_too() {
    let processing = json!({"file": {"name": "files/new", "state": "PROCESSING"}});
    let processing = Reply::json(200, processing).with("X-Goog-Upload-Status", "final");
    let other = Reply::json(200, json!({"name": "files/new", "state": "ACTIVE", "sizeBytes": "21"}));
    let (_server, gemini) = scripted([started(), more(), more(), processing, other]).await;
    let failed = upload(&gemini, None, &Kept::default()).await.unwrap_err();
    assert!(failed.cause().contains("21 instead of 20"), "{failed:?}");
}

#[tokio::test]
async fn a_hash_counts_in_both_spellings() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let digest = Sha256::digest(CONTENT);
    let (right, wrong) = (sha256(CONTENT), sha256(b"other"));
    for (said, fits) in [
        (STANDARD.encode(digest), true),
        (STANDARD.encode(&right), true),
        (STANDARD.encode(right.to_uppercase()), true),
        (STANDARD.encode(Sha256::digest(b"other")), false),
        (STANDARD.encode(&wrong), false),
        // Not a hash at all: nothing is said.
        ("?".to_owned(), true),
    ] {
        let end = json!({"file": {"name": "files/new", "sizeBytes": "20", "sha256Hash": said}});
        let end = Reply::json(200, end).with("X-Goog-Upload-Status", "final");
        let (_server, gemini) = scripted([started(), more(), more(), end]).await;
        let new = NewFile { range: whole(file(CONTENT)), display_name: "x", sha256: Some(&right) };
        let uploaded = gemini.upload(new, None, &|_| Ok(()), &Silent::default()).await;
        assert_eq!(uploaded.is_ok(), fits, "{said}");
    }
}
