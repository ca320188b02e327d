//! Request files.

use std::sync::OnceLock;

use serde_json::json;

/// Five short prompts.
pub fn small_file() -> &'static str {
    static FILE: OnceLock<String> = OnceLock::new();
    FILE.get_or_init(|| requests(5, "short"))
}

/// Prompts that take more than two chunks of an upload.
pub fn large_file() -> &'static str {
    static FILE: OnceLock<String> = OnceLock::new();
    FILE.get_or_init(|| requests(70, &"word ".repeat(50_000)))
}

/// So many request lines with such a text.
pub fn requests(count: usize, text: &str) -> String {
    let line = |n| {
        let parts = [json!({"text": format!("{n} {text}")})];
        json!({"key": format!("k{n}"), "request": {"contents": [{"parts": parts}]}})
    };
    (0..count).map(|n| format!("{}\n", line(n))).collect()
}
