//! Any bytes as a request line: no panic, columns inside the line, nothing broken let through.
#![no_main]

use gemini_batch_mcp::jsonl::check::check_line;
use gemini_batch_mcp::jsonl::finding::Severity;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let mut findings = Vec::new();
    let facts = check_line(line, 1, &mut findings);
    let last = line.len().max(1) as u64;
    assert!(findings.iter().all(|finding| (1..=last).contains(&finding.column)), "{findings:?}");
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    if !refused {
        let value: serde_json::Value = serde_json::from_slice(line).expect("a line without errors is JSON");
        assert_eq!(facts.key.as_deref(), value["key"].as_str());
        assert!(value["request"].is_object());
    }
});
