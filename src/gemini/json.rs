//! Reading bodies that may be anything.

use std::fmt;
use std::io::{BufReader, Read, Seek};
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::plain::describe;

/// How much of a body is looked at to say what it is.
const START: u64 = 4096;

/// A `T`, or a list whose first element is one: some answers come wrapped.
pub(super) struct OneOf<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOfVisitor(PhantomData)).map(Self)
    }
}

struct OneOfVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOfVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let first = list.next_element()?.ok_or_else(|| serde::de::Error::custom("an empty list"))?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }
}

/// Reads a body; the error says in plain words what it is instead.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    match serde_json::from_slice::<OneOf<T>>(body) {
        Ok(OneOf(value)) => Ok(value),
        Err(e) if looks_like_json(body) => Err(form(&e)),
        Err(_) => Err(describe(body)),
    }
}

/// Reads a body that is not in memory; the error says in plain words what it is instead.
pub(super) fn read_from<T: DeserializeOwned>(mut source: impl Read + Seek) -> Result<T, String> {
    let read = serde_json::from_reader::<_, OneOf<T>>(BufReader::new(&mut source));
    read.map(|OneOf(value)| value).map_err(|e| misread(source, &e))
}

/// What a body is that could not be read.
pub(super) fn misread(mut source: impl Read + Seek, error: &serde_json::Error) -> String {
    let mut start = Vec::new();
    match source.rewind().and_then(|()| source.take(START).read_to_end(&mut start)) {
        Err(e) => e.to_string(),
        Ok(_) if looks_like_json(&start) => form(error),
        Ok(_) => describe(&start),
    }
}

fn form(error: &serde_json::Error) -> String {
    format!("the answer has an unexpected form: {error}")
}

/// Whether the body starts as the API's answers do.
pub(super) fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// A number or a text, as text.
pub(super) fn number_or_text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// A whole number that may come as a string, as all 64-bit numbers of the API do.
pub(super) fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Reads a [`whole_number`]; anything else counts as absent.
pub(super) fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole_number(&Value::deserialize(deserializer)?))
}

/// Reads a time; anything else counts as absent.
pub(super) fn lenient_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<chrono::DateTime<chrono::Utc>>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

/// JSON on one line: the white space between tokens dropped, every token kept as it is.
pub(super) fn on_one_line(json: &str, into: &mut Vec<u8>) {
    let (mut in_text, mut escaped) = (false, false);
    for byte in json.bytes() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_text = byte == b'"';
        }
        into.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrapped_object_is_unwrapped() {
        assert_eq!(read::<Value>(br#"[{"a":1},{"b":2}]"#).unwrap(), serde_json::json!({"a": 1}));
        assert!(read::<Value>(b"[]").unwrap_err().contains("empty list"));
    }

    #[test]
    fn tokens_keep_their_spelling_on_one_line() {
        let mut line = Vec::new();
        on_one_line("{\n  \"a b\": \"x \\\" \\\\\",\r\n \"n\": [1.0e-3, 100000000000000000000]\n}", &mut line);
        assert_eq!(line, br#"{"a b":"x \" \\","n":[1.0e-3,100000000000000000000]}"#);
    }

    proptest! {
        #[test]
        fn one_line_means_the_same(text in any::<String>(), other in any::<String>()) {
            let value = serde_json::json!({ text.clone(): [other, {"x": text}] });
            let mut line = Vec::new();
            on_one_line(&serde_json::to_string_pretty(&value).unwrap(), &mut line);
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), value);
        }
    }
}
