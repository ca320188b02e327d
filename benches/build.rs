//! Building request lines from a CSV file: rows in, lines out, nothing written to disk.
//!
//! `cargo bench --bench build`. The goal is 13 times the speed of Python's csv and json.dumps with a
//! plain template, 6 times with logic.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gemini_batch_mcp::paths::Roots;
use gemini_batch_mcp::source::{self, KeyRule, Skeleton, generate_request};

const ROWS: usize = 20_000;
const PLAIN: &str =
    "Write a description of {{ name }} for our shop.\nCategory: {{ category }}\nFeatures: {{ features }}";
const LOGIC: &str = "Write a description of {{ name | upper }} for our shop.\nCategory: {{ category }}\n\
                     Features: {{ features | split(';') | join(', ') }}";

/// A product list of about 225 bytes a row.
fn products(folder: &std::path::Path) -> u64 {
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("products.csv")).unwrap());
    writeln!(file, "sku,name,category,features,price").unwrap();
    for i in 0..ROWS {
        let features = "light; \"\"soft\"\" to the touch; machine washable at 30 degrees; made of recycled wool; ";
        writeln!(file, "SKU-{i:07},Product number {i},Clothing > Knitwear,\"{features}{features}\",{}.99", i % 200)
            .unwrap();
    }
    file.into_inner().unwrap().metadata().unwrap().len()
}

fn build(roots: &Roots, template: &str) -> usize {
    let mut source = source::open(&roots.existing("products.csv").unwrap(), &source::Reading::default()).unwrap();
    let keys = KeyRule::parse(Some("sku"), source.columns()).unwrap();
    let skeleton = Skeleton::compile(&generate_request(template, None)).unwrap();
    let (mut line, mut buffer, mut bytes) = (Vec::new(), String::new(), 0);
    while let Some(row) = source.next_row().unwrap() {
        let row = row.unwrap();
        line.clear();
        skeleton.render_line(keys.key(&row, &mut buffer).unwrap(), &row, &mut line).unwrap();
        bytes += line.len() + 1;
    }
    bytes
}

fn benchmarks(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = products(folder.path());
    let roots = Roots::new([folder.path().to_path_buf()]).unwrap();
    let mut group = criterion.benchmark_group("build");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    group.bench_function("plain template", |bench| bench.iter(|| build(&roots, PLAIN)));
    group.bench_function("template with logic", |bench| bench.iter(|| build(&roots, LOGIC)));
    group.finish();
}

criterion_group!(all, benchmarks);
criterion_main!(all);
