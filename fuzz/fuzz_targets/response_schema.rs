//! Any JSON as a schema for answers: no panic, and an object to send or a reason.
#![no_main]

use gemini_batch_mcp::jsonl::notes::Notes;
use gemini_batch_mcp::jsonl::response_schema::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(given) = serde_json::from_slice(text) else { return };
    match read(&given, &mut Notes::default()) {
        Ok(schema) => assert!(schema.sent.is_object() && schema.plain.is_object()),
        Err(fault) => assert!(!fault.told().is_empty() && !fault.hint.is_empty()),
    }
});
