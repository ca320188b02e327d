use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};

use proptest::prelude::*;

use super::*;
use crate::progress::Silent;

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

fn index_of(contents: &[&[u8]]) -> ResultIndex {
    let files = contents.iter().map(|content| file(content)).collect();
    ResultIndex::build(files, 10, &Silent::default()).unwrap()
}

fn line_of(index: &mut ResultIndex, key: &str) -> Option<String> {
    let mut window = Window::new();
    index.get(key, &mut window).unwrap().map(|line| String::from_utf8(line.to_vec()).unwrap())
}

#[test]
fn a_line_is_found_by_its_key_wherever_it_is() {
    let mut index = index_of(&[
        b"\xEF\xBB\xBF{\"key\":\"a\",\"response\":{}}\r\n\n{\"response\":{},\"key\":\"b\"}\n",
        b"{\"key\":\"c\"}",
    ]);
    assert_eq!(line_of(&mut index, "a").unwrap(), r#"{"key":"a","response":{}}"#);
    assert_eq!(line_of(&mut index, "b").unwrap(), r#"{"response":{},"key":"b"}"#);
    assert_eq!(line_of(&mut index, "c").unwrap(), r#"{"key":"c"}"#);
    assert_eq!(line_of(&mut index, "d"), None);
    assert_eq!((index.len(), &index.problems), (3, &Problems::default()));
}

#[test]
fn the_first_of_two_lines_counts_and_the_second_is_reported() {
    let mut index = index_of(&[b"{\"key\":\"a\",\"x\":1}\n{\"key\":\"a\",\"x\":1}\n", b"{\"key\":\"a\",\"x\":2}\n"]);
    assert_eq!(line_of(&mut index, "a").unwrap(), r#"{"key":"a","x":1}"#);
    assert_eq!(index.len(), 1);
    assert_eq!((index.problems.repeated, index.problems.contradicting), (1, 1));
    assert_eq!(index.problems.repeated_keys, ["a"]);
}

#[test]
fn unreadable_lines_are_counted_and_named_and_do_not_end_the_file() {
    let mut index = index_of(&[b"{\"key\":\"a\"}\nnonsense\n{\"no\":\"key\"}\n{\"key\":\"b\"}\n{\"key\":\"c\",\"resp"]);
    assert!(line_of(&mut index, "b").is_some());
    assert_eq!(index.problems.unreadable, 3);
    let lines: Vec<_> = index.problems.unreadable_lines.iter().map(|bad| (bad.line, bad.cause.as_str())).collect();
    assert_eq!(lines[..2], [(2, "not a JSON object"), (3, "it has no key")]);
    assert_eq!(lines[2].0, 5);
}

#[test]
fn what_is_named_is_bounded() {
    let index = index_of(&["x\n".repeat(1000).as_bytes(), "{\"key\":\"a\"}\n".repeat(1000).as_bytes()]);
    assert_eq!((index.problems.unreadable, index.problems.unreadable_lines.len()), (1000, NAMED));
    assert_eq!((index.problems.repeated, index.problems.repeated_keys.len()), (999, 1));
}

#[test]
fn keys_that_were_never_asked_for_are_strangers() {
    let mut index = index_of(&[b"{\"key\":\"a\"}\n{\"key\":\"b\"}\n{\"key\":\"c\"}\n"]);
    line_of(&mut index, "b");
    assert_eq!(index.strangers().unwrap(), Strangers { count: 2, keys: vec!["a".into(), "c".into()] });
}

#[test]
fn a_wrong_expectation_costs_nothing() {
    let content: String = (0..5000).map(|n| format!("{{\"key\":\"k{n}\"}}\n")).collect();
    for expected in [0, 17, u64::MAX] {
        let mut index = ResultIndex::build(vec![file(content.as_bytes())], expected, &Silent::default()).unwrap();
        assert_eq!(index.len(), 5000);
        assert!(line_of(&mut index, "k4999").is_some());
        let Cells::Memory(entries) = &index.entries else { panic!("{expected}") };
        assert!(entries.capacity() * size_of::<Entry>() <= content.len() * 4, "{expected}");
    }
}

#[test]
fn a_file_that_changed_meanwhile_is_an_error() {
    let mut content = file(b"{\"key\":\"a\"}\n");
    let mut index = ResultIndex::build(vec![content.try_clone().unwrap()], 1, &Silent::default()).unwrap();
    content.seek(SeekFrom::Start(0)).unwrap();
    content.write_all(b"{\"key\":\"b\"}\n").unwrap();
    assert_eq!(index.get("a", &mut Window::new()).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_cancelled_pass_stops() {
    let monitor = Silent::default();
    monitor.cancellation().cancel();
    let error = ResultIndex::build(vec![file(b"{\"key\":\"a\"}\n")], 1, &monitor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn splitting_and_shuffling_the_lines_changes_nothing(
        shuffled in Just((0..120).collect::<Vec<usize>>()).prop_shuffle(),
        asked in Just((0..120).collect::<Vec<usize>>()).prop_shuffle(),
        cuts in proptest::collection::vec(0usize..=120, 0..3),
        padding in 0usize..5000,
        above in 0usize..150,
        expected in 0u64..200,
    ) {
        let line = |n: usize| format!("{{\"response\":{{\"n\":{n},\"pad\":\"{}\"}},\"key\":\"k{n}\"}}", "x".repeat(padding * (n % 3)));
        let mut files = vec![Vec::new(); cuts.len() + 1];
        for (position, n) in shuffled.into_iter().enumerate() {
            let part = cuts.iter().filter(|cut| **cut <= position).count();
            files[part].extend_from_slice(format!("{}\n", line(n)).as_bytes());
        }
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let folder = tempfile::tempdir().unwrap();
        let roots = crate::paths::Roots::new([folder.path().to_owned()]).unwrap();
        let spill = Spill { beside: roots.writable("results").unwrap(), above };
        let opened = files.iter().map(|content| file(content)).collect();
        let mut index = ResultIndex::bounded(opened, expected, spill, &Silent::default()).unwrap();
        prop_assert_eq!(matches!(index.entries, Cells::Disk { .. }), above < 120);
        prop_assert_eq!(index.len(), 120);
        prop_assert!(!index.was_asked("k7").unwrap() && index.has("k7").unwrap() && !index.has("k120").unwrap());
        let mut window = Window::new();
        let mut found = BTreeMap::new();
        for n in asked {
            let bytes = index.get(&format!("k{n}"), &mut window).unwrap().unwrap();
            found.insert(n, String::from_utf8(bytes.to_vec()).unwrap());
        }
        let expected: BTreeMap<_, _> = (0..120).map(|n| (n, line(n))).collect();
        prop_assert_eq!(found, expected);
        prop_assert!(index.was_asked("k7").unwrap());
        prop_assert_eq!(index.strangers().unwrap().count, 0);
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left in the folder");
    }
}
