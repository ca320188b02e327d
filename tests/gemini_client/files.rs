//! Looking up, deleting and downloading files.

use std::io::{self, Write};

use gemini_batch_mcp::error::ErrorKind;
use gemini_batch_mcp::gemini::FileState;
use gemini_batch_mcp::progress::{Monitor, Silent};
use serde_json::json;

use super::scripted;
use super::scripted::Reply;

const RESULT_FILE: &str = "files/batch-o08hk76gv328ihxcssjsgwt3g6omtfysxi46";

fn bytes(body: &[u8]) -> Reply {
    Reply::Answer {
        status: 200,
        headers: vec![("Content-Type".into(), "application/jsonl".into())],
        body: body.to_vec(),
    }
}

#[tokio::test]
async fn a_file_is_read_as_documented() {
    let body = json!({"name": "files/t5sn", "displayName": "in", "mimeType": "application/jsonl", "sizeBytes": "202",
        "expirationTime": "2025-09-12T13:37:39.053649Z", "uri": "https://x/files/t5sn", "state": "PROCESSING", "new": 1});
    let (_server, gemini) = scripted([Reply::json(200, body)]).await;
    let file = gemini.get_file("files/t5sn").await.unwrap();
    assert_eq!((file.bytes, file.state), (Some(202), FileState::Processing));
    assert_eq!(file.expiration_time.unwrap().to_rfc3339(), "2025-09-12T13:37:39.053649+00:00");
}

#[tokio::test]
async fn result_files_are_only_downloaded() {
    let (server, gemini) = scripted([bytes(b"{}\n")]).await;
    for failed in [gemini.get_file(RESULT_FILE).await.unwrap_err(), gemini.delete_file(RESULT_FILE).await.unwrap_err()]
    {
        assert_eq!(failed.kind(), ErrorKind::InvalidArgument);
        assert!(failed.next_step().unwrap().contains("download"), "{failed:?}");
    }
    assert!(server.seen().is_empty());
    let mut sink = Vec::new();
    assert_eq!(gemini.download(RESULT_FILE, &mut sink, &Silent::default()).await.unwrap(), 3);
    assert_eq!(server.seen()[0].target, format!("/v1beta/{RESULT_FILE}:download?alt=media"));
    assert_eq!(server.seen()[0].header("x-server-timeout"), "", "a transfer takes as long as it takes");
    assert_eq!(sink, b"{}\n");
}

#[tokio::test]
async fn a_download_is_repeated_until_it_begins() {
    let (server, gemini) = scripted([Reply::page(503), Reply::HangUp, bytes(b"abc")]).await;
    let mut sink = Vec::new();
    assert_eq!(gemini.download(RESULT_FILE, &mut sink, &Silent::default()).await.unwrap(), 3);
    assert_eq!((server.seen().len(), sink.as_slice()), (3, b"abc".as_slice()));
}

#[tokio::test]
async fn a_download_that_breaks_off_or_stalls_is_an_error() {
    for reply in
        [Reply::CutOff { announced: 10, body: b"abc".to_vec() }, Reply::Stall { announced: 10, body: b"abc".to_vec() }]
    {
        let (server, gemini) = scripted([reply, bytes(b"abcdefghij")]).await;
        let failed = gemini.download(RESULT_FILE, &mut Vec::new(), &Silent::default()).await.unwrap_err();
        assert_eq!((failed.kind(), server.seen().len()), (ErrorKind::Unavailable, 1));
        assert!(failed.cause().contains("broke off after 3 bytes"), "{failed:?}");
    }
}

#[tokio::test]
async fn a_web_page_is_no_result_file() {
    let (_server, gemini) = scripted([Reply::page(200)]).await;
    let mut sink = Vec::new();
    let failed = gemini.download(RESULT_FILE, &mut sink, &Silent::default()).await.unwrap_err();
    assert_eq!((failed.kind(), sink.len()), (ErrorKind::UnexpectedAnswer, 0));
}

#[tokio::test]
async fn a_download_stops_when_it_is_cancelled() {
    let (_server, gemini) = scripted([Reply::Stall { announced: 10, body: b"abc".to_vec() }]).await;
    let monitor = Silent::default();
    let token = monitor.cancellation().clone();
    struct CancelOnWrite(tokio_util::sync::CancellationToken);
    impl Write for CancelOnWrite {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.cancel();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let failed = gemini.download(RESULT_FILE, &mut CancelOnWrite(token), &monitor).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_full_disk_is_an_error_of_this_machine() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_server, gemini) = scripted([bytes(b"abc")]).await;
    let failed = gemini.download(RESULT_FILE, &mut Full, &Silent::default()).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Io);
}
