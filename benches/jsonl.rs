//! How fast request lines are checked, against reading and hashing the same bytes.
//!
//! `cargo bench --bench jsonl`. The data is made at run time; `GEMINI_BATCH_BENCH_MB` sets its size.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::Write as _;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gemini_batch_mcp::jsonl::validate::{ValidateOptions, validate};
use gemini_batch_mcp::paths::{AllowedPath, Roots};
use gemini_batch_mcp::progress::Silent;
use sha2::{Digest, Sha256};

/// Request lines with texts of about `length` bytes; every tenth has other scripts and escapes.
fn lines(length: usize, bytes: usize) -> String {
    const PLAIN: &str = "Describe this product in two sentences for a shop, and name its main use. ";
    const OTHER: &str = "Décrivez ce produit: 漢字かな, Здравствуй, \\\"quoted\\\" and \\n broken. ";
    let mut text = String::with_capacity(bytes + length);
    for row in 0.. {
        if text.len() >= bytes {
            break;
        }
        let words = if row % 10 == 0 { OTHER } else { PLAIN };
        let prompt = words.repeat(length.div_ceil(words.len()));
        writeln!(
            text,
            r#"{{"key":"row-{row:07}","request":{{"contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}],"generationConfig":{{"maxOutputTokens":256}}}}}}"#
        )
        .unwrap();
    }
    text
}

/// Request lines with a megabyte of inline media each.
fn media_lines(bytes: usize) -> String {
    let data = "QUJD".repeat(1 << 18);
    (0..bytes.div_ceil(data.len()))
        .map(|row| {
            format!(
                r#"{{"key":"row-{row}","request":{{"contents":[{{"parts":[{{"text":"What is it?"}},{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}]}}}}"#
            ) + "\n"
        })
        .collect()
}

fn options(threads: usize) -> ValidateOptions {
    ValidateOptions { threads, max_bytes: None, ..ValidateOptions::default() }
}

fn check(file: &AllowedPath, threads: usize) -> u64 {
    let found = validate(file, &options(threads), None, &Silent::default()).unwrap();
    assert_eq!(found.errors + found.warnings, 0);
    found.requests
}

fn file(folder: &Path, name: &str, text: &str) -> AllowedPath {
    std::fs::write(folder.join(name), text).unwrap();
    Roots::new([folder.to_owned()]).unwrap().existing(name).unwrap()
}

fn validation(c: &mut Criterion) {
    let megabytes = std::env::var("GEMINI_BATCH_BENCH_MB").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let bytes = megabytes << 20;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("small", lines(250, bytes)), ("medium", lines(8000, bytes)), ("large", media_lines(bytes))] {
        let path = file(folder.path(), name, &text);
        drop(text);
        let mut group = c.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Bytes(std::fs::metadata(path.as_path()).unwrap().len()));
        group.bench_function("validate, one thread", |b| b.iter(|| check(&path, 1)));
        group.bench_function("validate, two threads", |b| b.iter(|| check(&path, 2)));
        group.bench_function("sha256 only", |b| b.iter(|| Sha256::digest(std::fs::read(path.as_path()).unwrap())));
        group.finish();
    }
}

criterion_group!(benches, validation);
criterion_main!(benches);
