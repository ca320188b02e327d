//! Any bytes as a result line: no panic, and the quick look for the key agrees with the parser.
#![no_main]

use gemini_batch_mcp::answers::Answer;
use gemini_batch_mcp::jsonl::result::{ResultLine, key_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let quick = key_of(line);
    if let Ok(parsed) = ResultLine::parse(line) {
        assert_eq!(quick.expect("a line that parses has a readable key"), parsed.key);
    }
    let answer = Answer::read(line, true);
    let _ = (answer.cell(), answer.complaint());
});
