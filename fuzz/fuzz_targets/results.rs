//! Any bytes as a file of results: no panic, and every key that is in it is found under its own name.
#![no_main]

use std::io::Write;

use gemini_batch_mcp::answers::{Answer, ResultIndex, Window};
use gemini_batch_mcp::jsonl::result::key_of;
use gemini_batch_mcp::progress::Silent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::tempfile().expect("a file for the results");
    file.write_all(bytes).expect("writing the results");
    let Ok(mut index) = ResultIndex::build(vec![file], 4, &Silent::default()) else { return };
    let (mut window, mut other) = (Window::new(), Window::new());
    for number in 0..index.len() {
        let line = index.at(number, &mut window).expect("the file is readable").expect("the line is there").to_owned();
        let key = key_of(&line).expect("it was read before").expect("it has a key").into_owned();
        assert_eq!(index.get(&key, &mut other).expect("the file is readable"), Some(line.as_slice()));
        let _ = Answer::read(&line, number % 2 == 0).complaint();
    }
    assert_eq!(index.strangers().expect("the file is readable").count, 0);
});
