//! A call of a tool as replies name it: JSON, whatever quotes and backslashes the names in it have.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// `create_batch {"input": "a.jsonl"}`. What is null is not given.
pub(super) fn call(tool: &str, mut arguments: Value) -> String {
    if let Value::Object(arguments) = &mut arguments {
        arguments.retain(|_, value| !value.is_null());
    }
    let mut json = Vec::new();
    // Nothing that is a value already, written to memory, fails.
    _ = arguments.serialize(&mut Serializer::with_formatter(&mut json, Spaced));
    format!("{tool} {}", String::from_utf8_lossy(&json))
}

/// JSON on one line as a person writes it, with spaces.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_is_json_in_the_order_it_was_written() {
        let arguments = json!({"jobs": ["a", "b\"\\"], "wait": true, "job": null, "cap": {"usd": 0.05}});
        let call = call("check_status", arguments);
        assert_eq!(call, r#"check_status {"jobs": ["a", "b\"\\"], "wait": true, "cap": {"usd": 0.05}}"#);
    }
}
