//! Any text as a template over any row: no panic, an end, and lines that are JSON with the key they were given.
#![no_main]

use gemini_batch_mcp::source::{Skeleton, Source};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|data: (&str, &str, &str)| {
    let (template, key, row) = data;
    let request = json!({"contents": [{"parts": [{"text": template}]}]});
    let Ok(skeleton) = Skeleton::compile(&request) else { return };
    let row: Map<String, Value> = match serde_json::from_str(row) {
        Ok(row) => row,
        Err(_) => Map::from_iter([("a".to_owned(), row.into()), ("b".to_owned(), json!({"c": [1, null, row]}))]),
    };
    let mut rows = Source::inline(vec![row]);
    let row = rows.next_row().expect("rows given here can be read").expect("there is one").expect("it is good");
    let mut line = Vec::new();
    if skeleton.render_line(key, &row, &mut line).is_ok() {
        let line: Value = serde_json::from_slice(&line).expect("a request line is JSON");
        assert_eq!(line["key"], key);
        assert!(line["request"]["contents"][0]["parts"][0]["text"].is_string());
    } else {
        assert!(line.is_empty(), "a row that cannot be used leaves nothing behind");
    }
});
