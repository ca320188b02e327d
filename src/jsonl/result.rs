//! Result lines: `{"key": …, "response": …}`, or `error` or `status` in place of the response.
//!
//! Everything is borrowed from the line. A line that cannot be read is an item like any other,
//! never the end of the file.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::response::{Response, Text};

/// One result line.
#[derive(Debug, Clone)]
pub struct ResultLine<'a> {
    /// The key of the request that this answers.
    pub key: Option<Cow<'a, str>>,
    /// What came back.
    pub body: ResultBody<'a>,
}

/// What came back for one request.
#[derive(Debug, Clone)]
pub enum ResultBody<'a> {
    /// The model's response.
    Response(Box<Response<'a>>),
    /// The API's refusal.
    Error(WireError<'a>),
    /// Neither of them.
    Nothing,
}

/// A `google.rpc.Status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WireError<'a> {
    /// A gRPC code (3, 8, 13…), where it is a number.
    pub code: Option<i64>,
    /// The code as a word, where one is given.
    pub status: Option<Cow<'a, str>>,
    /// What went wrong, in prose.
    pub message: Cow<'a, str>,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

#[derive(Deserialize)]
struct WireLine<'a> {
    #[serde(borrow)]
    key: Option<Text<'a>>,
    /// Answers to inline requests carry the key in here.
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<Box<Response<'a>>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct KeyOnly<'a> {
    #[serde(borrow)]
    key: Option<Text<'a>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

impl<'a> ResultLine<'a> {
    /// Reads one line, without its terminator.
    pub fn parse(line: &'a [u8]) -> Result<Self, Unreadable> {
        let wire: WireLine<'a> = object(line)?;
        let error = wire.error.or(wire.status);
        let body = match (wire.response, error) {
            (Some(response), Some(error)) if is_bare(&response) => ResultBody::Error(WireError::read(error)),
            (Some(response), _) => ResultBody::Response(response),
            (None, Some(error)) => ResultBody::Error(WireError::read(error)),
            (None, None) => ResultBody::Nothing,
        };
        Ok(Self { key: key_or_metadata(wire.key, wire.metadata), body })
    }
}

impl<'a> WireError<'a> {
    /// Reads an error object; anything else is taken as the message.
    fn read(raw: &'a RawValue) -> Self {
        if !raw.get().starts_with('{') {
            return Self { message: string_or_json(raw), ..Self::default() };
        }
        let Ok(status) = serde_json::from_str::<Status<'a>>(raw.get()) else {
            return Self { message: Cow::Borrowed(raw.get()), ..Self::default() };
        };
        let word = status.code.map(string_or_json);
        let code = word.as_ref().and_then(|word| word.parse().ok());
        let word = word.filter(|_| code.is_none());
        let message = status.message.map_or(Cow::Borrowed(""), |text| text.0);
        Self { code, status: status.status.map(|text| text.0).or(word), message }
    }
}

/// The key of a line: everything else is skipped, and in the usual spellings not even looked at.
///
/// A line that is broken elsewhere may therefore still have a key here; [`ResultLine::parse`] tells.
pub fn key_of(line: &[u8]) -> Result<Option<Cow<'_, str>>, Unreadable> {
    if let Some(key) = key_in_front(line).or_else(|| key_at_the_end(line)) {
        return Ok(Some(Cow::Borrowed(key)));
    }
    let wire: KeyOnly<'_> = object(line)?;
    Ok(key_or_metadata(wire.key, wire.metadata))
}

/// `{"key":"…",` … `}`, without escapes in the key.
fn key_in_front(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(br#"{"key":"#)?.trim_ascii_start().strip_prefix(b"\"")?;
    let (key, _) = rest.split_at_checked(memchr::memchr2(b'"', b'\\', rest)?)?;
    let whole = line.trim_ascii_end().last() == Some(&b'}');
    let closed = rest.get(key.len()) == Some(&b'"');
    if whole && closed { plain(key) } else { None }
}

/// `{` … `,"key":"…"}`, without escapes in the key.
///
/// The brace that ends the line closes the line's object, so the string before it is a value in that
/// object; and none of the four quotes looked at has a backslash before it, so none is inside a string.
fn key_at_the_end(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(b"{")?.trim_ascii_end().strip_suffix(b"}")?;
    let rest = rest.trim_ascii_end().strip_suffix(b"\"")?;
    let at = memchr::memrchr2(b'"', b'\\', rest)?;
    let (before, key) = rest.split_at_checked(at)?;
    let key = key.strip_prefix(b"\"")?;
    let before = before.trim_ascii_end().strip_suffix(b":")?;
    let before = before.trim_ascii_end().strip_suffix(b"\"key\"")?;
    match before.trim_ascii_end().last() {
        None | Some(b',') => plain(key),
        Some(_) => None,
    }
}

/// Bytes between two quotes, as the string they spell if nothing in them needs decoding.
fn plain(bytes: &[u8]) -> Option<&str> {
    if bytes.iter().any(u8::is_ascii_control) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Whether a response says nothing at all.
fn is_bare(response: &Response<'_>) -> bool {
    response.candidates.is_none() && response.prompt_feedback.is_none() && response.embedding.is_none()
}

fn key_or_metadata<'a>(key: Option<Text<'a>>, metadata: Option<&'a RawValue>) -> Option<Cow<'a, str>> {
    let key = key.or_else(|| serde_json::from_str::<KeyOnly<'a>>(metadata?.get()).ok()?.key)?;
    Some(key.0)
}

/// A JSON string decoded; any other value as its JSON.
fn string_or_json(raw: &RawValue) -> Cow<'_, str> {
    serde_json::from_str::<Text<'_>>(raw.get()).map_or(Cow::Borrowed(raw.get()), |text| text.0)
}

/// Reads a line that has to be one JSON object in UTF-8.
///
/// serde_json checks neither: it lets bad UTF-8 through in values that are skipped, and takes an array
/// for a struct.
fn object<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Unreadable> {
    let text = simdutf8::basic::from_utf8(line).map_err(|_| Unreadable("not UTF-8".to_owned()))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Unreadable("not a JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|e| unreadable(&e))
}

/// A JSON error with the place in the line: "trailing characters, at byte 17".
fn unreadable(error: &serde_json::Error) -> Unreadable {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    Unreadable(format!("{what}, at byte {}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(line: &str) -> WireError<'_> {
        match ResultLine::parse(line.as_bytes()).unwrap().body {
            ResultBody::Error(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_is_read_whatever_the_order_of_its_properties() {
        let line = br#"{"response":{"candidates":[{"content":{"role":"model","parts":[{"text":"4"}]},"index":0}]},"key":"r-1"}"#;
        let line = ResultLine::parse(line).unwrap();
        assert_eq!(line.key.as_deref(), Some("r-1"));
        assert!(matches!(line.body, ResultBody::Response(r) if r.candidates.as_ref().unwrap().len() == 1));
    }

    #[test]
    fn response_counts_before_error_and_error_before_status() {
        let both = br#"{"key":"a","response":{"candidates":[]},"error":{"code":3}}"#;
        assert!(matches!(ResultLine::parse(both).unwrap().body, ResultBody::Response(_)));
        assert_eq!(error(r#"{"error":{"code":3},"status":{"code":8}}"#).code, Some(3));
        assert_eq!(error(r#"{"response":null,"status":{"code":8,"message":"no"}}"#).message, "no");
        assert_eq!(error(r#"{"response":{},"error":{"code":13}}"#).code, Some(13));
        assert!(matches!(ResultLine::parse(br#"{"key":"a"}"#).unwrap().body, ResultBody::Nothing));
    }

    #[test]
    fn error_codes_are_numbers_strings_or_words() {
        assert_eq!(error(r#"{"error":{"code":"8"}}"#).code, Some(8));
        let worded = error(r#"{"error":{"code":"invalid_request","message":"a \"b\""}}"#);
        assert_eq!((worded.code, worded.status.as_deref()), (None, Some("invalid_request")));
        assert_eq!(worded.message, "a \"b\"");
        assert_eq!(error(r#"{"error":"boom"}"#).message, "boom");
        assert_eq!(error(r#"{"error":[1]}"#).message, "[1]");
    }

    #[test]
    fn the_key_of_an_inline_answer_is_in_its_metadata() {
        let line = br#"{"response":{},"metadata":{"key":"r-1"}}"#;
        assert_eq!(key_of(line).unwrap().as_deref(), Some("r-1"));
        assert_eq!(ResultLine::parse(line).unwrap().key.as_deref(), Some("r-1"));
    }

    #[test]
    fn an_unreadable_line_says_why_and_where() {
        let cause = |line: &[u8]| ResultLine::parse(line).unwrap_err().to_string();
        assert_eq!(cause(b"[1]"), "not a JSON object");
        assert_eq!(cause(b"{\"key\":\"\xff\"}"), "not UTF-8");
        assert_eq!(cause(br#"{"key":"a"} x"#), "trailing characters, at byte 13");
        assert!(cause(br#"{"key":"a","response":{"cand"#).starts_with("EOF while parsing"));
    }

    #[test]
    fn text_that_looks_like_a_key_is_not_one() {
        for line in [
            r#"{"response":{"key":"wrong"},"key":"right"}"#,
            r#"{"note":",\"key\":\"wrong\"}","key":"right"}"#,
            r#"{"key":"right","note":"\",\"key\":\"wrong"}"#,
            r#"{"key" : "right", "response":{"key":"wrong"}}"#,
            r#"{"metadata":{"key":"right"},"response":{"a":1,"key":"wrong"}}"#,
            r#"{ "key":"right","a\"key":"wrong"}"#,
            r#"{ "key":"right","note":"a\\","akey":"wrong"}"#,
        ] {
            assert_eq!(key_of(line.as_bytes()).unwrap().as_deref(), Some("right"), "{line}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_finds_the_key_that_the_parser_finds(
            key in ".*", text in ".*", first in any::<bool>(), space in "[ \t]{0,2}",
        ) {
            let (key_json, text) = (serde_json::to_string(&key).unwrap(), serde_json::to_string(&text).unwrap());
            let line = if first {
                format!("{{\"key\":{space}{key_json},\"x\":{text}{space}}}{space}")
            } else {
                format!("{{\"x\":{text},{space}\"key\"{space}:{space}{key_json}{space}}}")
            };
            let parsed = ResultLine::parse(line.as_bytes()).unwrap();
            prop_assert_eq!(parsed.key.as_deref(), Some(key.as_str()));
            let quick = key_of(line.as_bytes()).unwrap();
            prop_assert_eq!(quick.as_deref(), Some(key.as_str()));
        }

        #[test]
        fn garbage_never_panics_and_a_readable_line_has_one_key(
            bytes in proptest::collection::vec(prop_oneof![
                Just(&b"{\"key\":"[..]), Just(&b"\"a\""[..]), Just(&b"\\"[..]), Just(&b"\""[..]), Just(&b"}"[..]),
                Just(&b","[..]), Just(&b"\"response\":{"[..]), Just(&b"\"error\":"[..]), Just(&b"\xff"[..]), Just(&b"\"key\":\"b\""[..]),
            ], 0..12),
        ) {
            let line = bytes.concat();
            let key = key_of(&line);
            if let Ok(parsed) = ResultLine::parse(&line) {
                prop_assert_eq!(key.unwrap(), parsed.key);
            }
        }
    }
}
