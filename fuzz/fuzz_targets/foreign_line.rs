//! Any JSON as a request line in any form: no panic, and a reason for what is refused.
#![no_main]

use gemini_batch_mcp::jsonl::mend::{Form, mend};
use gemini_batch_mcp::jsonl::notes::Notes;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|line: &[u8]| {
    let Ok(row) = serde_json::from_slice::<Map<String, Value>>(line) else { return };
    let _ = (Form::of(&row), Form::key(&row));
    let mut notes = Notes::default();
    let mended = Form::request(&row, &mut notes).and_then(|mut request| mend(&mut request, &mut notes));
    if let Err(fault) = mended {
        assert!(!fault.told().is_empty() && !fault.hint.is_empty());
    }
});
