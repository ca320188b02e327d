//! The answers of a batch: computed from its requests, in a shuffled order, written once.
//!
//! The input is cut into windows. The windows come in a shuffled order, and so do the lines of each:
//! no line stays where it was, and memory holds one window, or the longest line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::answer_lines;
use super::batch::Batch;
use super::lines::{INPUT, Lines};
use super::store::{Shelf, Store, temporary_beside};

/// A window ends after so many lines,
const WINDOW_LINES: u64 = 64;
/// or so many bytes.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// A piece of the input.
#[derive(Debug, Clone, Copy)]
struct Window {
    offset: u64,
    length: u64,
}

/// The result file of a batch that has ended, with answers to so many requests, made on first need.
pub(super) fn ready(store: &Store, batch: &Batch, finished: u64) -> io::Result<PathBuf> {
    let place = store.place(Shelf::Batches, &batch.id);
    let path = place.join("results.jsonl");
    if !path.try_exists()? {
        let temporary = temporary_beside(&path);
        write_answers(batch, finished, &place.join(INPUT), &temporary)?;
        std::fs::rename(temporary, &path)?;
    }
    Ok(path)
}

/// The answers as they are shown inside the batch.
pub(super) fn inline(store: &Store, batch: &Batch, finished: u64) -> io::Result<Vec<Value>> {
    let mut lines = Lines::of(File::open(ready(store, batch, finished)?)?);
    let mut answers = Vec::new();
    while let Some((_, line)) = lines.next()? {
        answers.push(serde_json::from_slice(line).unwrap_or_else(|_| json!({})));
    }
    Ok(answers)
}

fn write_answers(batch: &Batch, finished: u64, input: &Path, output: &Path) -> io::Result<()> {
    let mut order = fastrand::Rng::with_seed(seed(&batch.id));
    let mut windows = windows(input)?;
    order.shuffle(&mut windows);
    let mut source = File::open(input)?;
    let mut answers = BufWriter::with_capacity(256 * 1024, File::create(output)?);
    let mut left = finished;
    for window in windows {
        let mut requests = read_window(&mut source, window)?;
        order.shuffle(&mut requests);
        for request in requests {
            if left == 0 {
                break;
            }
            left -= 1;
            let request: Value = serde_json::from_slice(&request)?;
            for answer in answer_lines(batch.kind, &batch.model, &request) {
                writeln!(answers, "{answer}")?;
            }
        }
    }
    answers.flush()
}

fn windows(input: &Path) -> io::Result<Vec<Window>> {
    let mut reader = BufReader::with_capacity(256 * 1024, File::open(input)?);
    let mut windows = Vec::new();
    let (mut window, mut lines) = (Window { offset: 0, length: 0 }, 0);
    loop {
        let length = reader.skip_until(b'\n')? as u64;
        lines += 1;
        window.length += length;
        if length == 0 || lines == WINDOW_LINES || window.length >= WINDOW_BYTES {
            windows.push(window);
            (window, lines) = (Window { offset: window.offset + window.length, length: 0 }, 0);
        }
        if length == 0 {
            return Ok(windows);
        }
    }
}

fn read_window(source: &mut File, window: Window) -> io::Result<Vec<Vec<u8>>> {
    source.seek(SeekFrom::Start(window.offset))?;
    let mut lines = Lines::of(source.take(window.length));
    let mut requests = Vec::new();
    while let Some((_, line)) = lines.next()? {
        requests.push(line.to_vec());
    }
    Ok(requests)
}

/// A number that is always the same for the same text.
pub(super) fn seed(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::batch::tests::sample;

    /// The numbers of the requests in the order of their answers.
    fn answered(count: usize) -> Vec<usize> {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        let line = |n| json!({"key": n, "request": {"contents": [{"parts": [{"text": "hi"}]}]}}).to_string();
        std::fs::write(&input, (0..count).map(line).collect::<Vec<_>>().join("\n")).unwrap();
        write_answers(&sample(), u64::MAX, &input, &output).unwrap();
        let text = std::fs::read_to_string(output).unwrap();
        let key = |line| serde_json::from_str::<Value>(line).unwrap()["key"].as_u64().unwrap() as usize;
        text.lines().map(key).collect()
    }

    #[test]
    fn windows_are_shuffled_and_so_are_their_lines() {
        let order = answered(64 * 20);
        let windows: Vec<_> = order.chunks(64).map(|window| window[0] / 64).collect();
        assert!(order.chunks(64).all(|window| window.iter().all(|n| n / 64 == window[0] / 64) && !window.is_sorted()));
        assert!(!windows.is_sorted());
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64 * 20).collect::<Vec<_>>());
        assert_eq!(order, answered(64 * 20));
    }
}
