//! An answer before it goes out, so that a fault can still spoil it.

use std::fs::File;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

/// How much of a file is read at a time.
const BLOCK: usize = 256 * 1024;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    content: Content,
    end: End,
}

#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    File(File, u64),
}

/// Where the body ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Whole,
    /// Breaks off, and the connection with it.
    Cut(u64),
    /// Looks complete.
    Early(u64),
}

impl Reply {
    /// JSON with status 200.
    pub(super) fn json(value: &Value) -> Self {
        Self::bytes("application/json; charset=UTF-8", value.to_string().into_bytes())
    }

    /// Bytes of a type, with status 200.
    pub(super) fn bytes(mime: &str, bytes: Vec<u8>) -> Self {
        Self::of(mime, Content::Bytes(bytes))
    }

    /// The content of a file, streamed, with status 200.
    pub(super) fn file(mime: &str, file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::of(mime, Content::File(file, length)))
    }

    fn of(mime: &str, content: Content) -> Self {
        Self { status: 200, headers: vec![("content-type", mime.into())], content, end: End::Whole }
    }

    /// The same with another status.
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, breaking off after so many bytes.
    pub(super) fn cut_after(mut self, bytes: u64) -> Self {
        self.end = End::Cut(bytes);
        self
    }

    /// The same, ending after so many bytes as if it were complete.
    pub(super) fn end_after(mut self, bytes: u64) -> Self {
        self.end = End::Early(bytes);
        self
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// The answer as the server sends it.
    pub(super) fn into_response(self) -> Response {
        let length = self.length();
        let mut response = Response::new(body(self.content, self.end));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        response
    }

    /// The length that is announced.
    fn length(&self) -> u64 {
        let whole = match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, length) => *length,
        };
        match self.end {
            End::Early(bytes) => whole.min(bytes),
            _ => whole,
        }
    }
}

fn body(content: Content, end: End) -> Body {
    match (content, end) {
        (Content::Bytes(bytes), End::Whole) => Body::from(bytes),
        (Content::Bytes(mut bytes), End::Cut(limit) | End::Early(limit)) => {
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            ending(stream::iter([Ok(Bytes::from(bytes))]).boxed(), end)
        }
        (Content::File(file, length), End::Whole) => Body::from_stream(pieces(file, length)),
        (Content::File(file, _), End::Cut(limit) | End::Early(limit)) => ending(pieces(file, limit).boxed(), end),
    }
}

fn pieces(file: File, limit: u64) -> ReaderStream<tokio::io::Take<tokio::fs::File>> {
    ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(limit), BLOCK)
}

fn ending(pieces: BoxStream<'static, io::Result<Bytes>>, end: End) -> Body {
    match end {
        End::Cut(_) => Body::from_stream(pieces.chain(stream::once(break_off()))),
        _ => Body::from_stream(pieces),
    }
}

/// An error after a moment: what was sent before it shall have left the machine.
async fn break_off() -> io::Result<Bytes> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Err(io::ErrorKind::ConnectionReset.into())
}
