//! Many cases of one story, some at a time: mostly they wait.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

/// How many run at a time.
const AT_A_TIME: usize = 4;

/// Runs each case, and fails with the names of all those that failed, and why.
pub fn side_by_side<T: Display + Send>(cases: Vec<T>, story: impl Fn(&T) + Sync) {
    assert!(!cases.is_empty(), "no such case");
    let (cases, failed) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().next() } {
                    let start = Instant::now();
                    let ended = catch_unwind(AssertUnwindSafe(|| story(&case)));
                    let word = if ended.is_ok() { "ok" } else { "FAILED" };
                    eprintln!("{case}: {word} in {:.1} s", start.elapsed().as_secs_f32());
                    failed.lock().unwrap().extend(ended.err().map(|why| format!("{case}: {}", text(&*why))));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// What was said when it failed.
fn text(why: &(dyn std::any::Any + Send)) -> String {
    let text = why.downcast_ref::<String>().cloned();
    text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
