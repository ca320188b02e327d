//! Results to CSV: index the result lines, fetch each by its key, classify it, write it as a table row.
//!
//! `cargo bench --bench answers`; `ANSWERS_LINES=200000` for a larger file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gemini_batch_mcp::answers::{Answer, AnswerWriter, Format, Record, ResultIndex, Shape, Summary, Window};
use gemini_batch_mcp::paths::{AllowedPath, Roots};
use gemini_batch_mcp::progress::Silent;

/// About 730 bytes a line, two in a hundred of them errors, every fifth text with escapes.
fn result_lines(count: usize) -> String {
    let mut lines = String::new();
    for n in 0..count {
        if n % 50 == 7 {
            writeln!(lines, r#"{{"key":"row-{n}","error":{{"code":13,"message":"Internal error encountered."}}}}"#)
                .unwrap();
            continue;
        }
        let text = if n % 5 == 0 { r#"Größe: 4\nSaid \"so\", "# } else { "A plain sentence, and then " }.repeat(16);
        writeln!(
            lines,
            r#"{{"response":{{"responseId":"6VFkaIDwEPXVjMcP4-{n}","usageMetadata":{{"promptTokenCount":8,"candidatesTokenCount":11,"thoughtsTokenCount":829,"totalTokenCount":848,"promptTokensDetails":[{{"modality":"TEXT","tokenCount":8}}]}},"candidates":[{{"content":{{"role":"model","parts":[{{"text":"{text}"}}]}},"finishReason":"STOP","index":0}}],"modelVersion":"gemini-3-flash-preview"}},"key":"row-{n}"}}"#
        )
        .unwrap();
    }
    lines
}

fn index(results: &AllowedPath, count: usize) -> ResultIndex {
    ResultIndex::build(vec![results.open().unwrap()], count as u64, &Silent::default()).unwrap()
}

fn results_to_csv(results: &AllowedPath, output: &AllowedPath, count: usize) -> i64 {
    let mut index = index(results, count);
    let mut writer = AnswerWriter::create(output.clone(), Format::Csv, &Shape::default(), true).unwrap();
    let mut summary = Summary::new(500);
    let mut window = Window::new();
    let mut key = String::new();
    for n in 0..count {
        key.clear();
        write!(key, "row-{n}").unwrap();
        let raw = index.get(&key, &mut window).unwrap();
        let answer = raw.map_or_else(Answer::missing, |line| Answer::read(line, false));
        writer.write(&Record { key: &key, asked: true, answer: &answer, raw, source: &[], media: &[] }).unwrap();
        summary.add(&key, &answer, None);
    }
    writer.finish().unwrap();
    summary.outcomes.answered
}

fn classify(lines: &str) -> usize {
    lines.lines().filter(|line| Answer::read(line.as_bytes(), false).text.is_some()).count()
}

fn benches(c: &mut Criterion) {
    let count = std::env::var("ANSWERS_LINES").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots::new([folder.path().to_owned()]).unwrap();
    let (results, output) = (roots.writable("results.jsonl").unwrap(), roots.writable("answers.csv").unwrap());
    let lines = result_lines(count);
    std::fs::write(results.as_path(), &lines).unwrap();

    let mut group = c.benchmark_group("answers");
    group.sample_size(10).throughput(Throughput::Bytes(lines.len() as u64));
    group.bench_function("index", |b| b.iter(|| index(black_box(&results), count).len()));
    group.bench_function("classify", |b| b.iter(|| classify(black_box(&lines))));
    group.bench_function("index, classify, write csv", |b| b.iter(|| results_to_csv(&results, &output, count)));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
