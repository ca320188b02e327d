//! Files as people really have them, and files made to trip a checker up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use gemini_batch_mcp::error::ErrorKind;
use gemini_batch_mcp::jsonl::finding::Severity;
use gemini_batch_mcp::jsonl::validate::{ValidateOptions, Validation, validate};
use gemini_batch_mcp::paths::Roots;
use gemini_batch_mcp::progress::{Monitor, Silent};

const GOOD: &str = r#"{"key":"good","request":{"contents":[{"parts":[{"text":"hi"}]}]}}"#;

fn line(key: &str) -> String {
    GOOD.replace("good", key)
}

fn run(bytes: &[u8], options: &ValidateOptions) -> Validation {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.jsonl"), bytes).unwrap();
    let file = Roots::new([folder.path().to_owned()]).unwrap().existing("in.jsonl").unwrap();
    validate(&file, options, None, &Silent::default()).unwrap()
}

fn check(bytes: impl AsRef<[u8]>) -> Validation {
    run(bytes.as_ref(), &ValidateOptions::default())
}

/// What is said of a bad line that stands between two good ones.
fn between(bad: impl AsRef<[u8]>) -> Vec<String> {
    let bytes = [line("first").as_bytes(), bad.as_ref(), line("last").as_bytes()].join(b"\n".as_slice());
    let found = check(bytes);
    assert_eq!(found.requests, 3);
    assert!(found.findings.iter().all(|f| f.line == 2), "{:#?}", found.findings);
    found.findings.iter().map(|f| f.message.clone()).collect()
}

#[test]
fn sixteen_traps_are_refused_and_each_only_for_itself() {
    let traps: [(&[u8], &str); 16] = [
        (b"{\"key\":\"a\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"\xFF\"}]}]}}", "not valid UTF-8"),
        (b"{\"key\":\"a\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"\xED\xA0\x80\"}]}]}}", "not valid UTF-8"),
        (br#"["a",{"contents":[{"parts":[{"text":"hi"}]}]}]"#, "must be an object, not an array"),
        (br#"{"key":"a","request":[[{"parts":[{"text":"hi"}]}]]}"#, "`request` must be an object"),
        (br#"{"key":"a","request":{"contents":[{"parts":[{"text":"\ud800"}]}]}}"#, "half of a surrogate pair"),
        (br#"{"key":"a","request":{"contents":[{"parts":[{"text":"\udc00x"}]}]}}"#, "half of a surrogate pair"),
        (
            br#"{"key":"a","request":{"contents":[{"parts":[{"partMetadata":{"x":"\ud800\u0041"}}]}]}}"#,
            "surrogate pair",
        ),
        (br#"{"key":"a","key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}]}}"#, "`key` is given twice"),
        (br#"{"key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}]}} x"#, "after the end of the object"),
        (
            br#"{"key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}]}}{"key":"b"}"#,
            "after the end of the object",
        ),
        (br#"{"key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}]},}"#, "not valid JSON: trailing comma"),
        (br#"{"key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}"#, "ends inside the JSON"),
        (b"{\"key\":\"a\0\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}}", "control character"),
        (b"\0\0\0\0", "not valid JSON"),
        (
            br#"{"key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}],"labels":{"n":"1"},"store":01}}"#,
            "not valid JSON",
        ),
        (br#"{'key':'a'}"#, "not valid JSON"),
    ];
    for (bad, message) in traps {
        let said = between(bad);
        let shown = String::from_utf8_lossy(bad);
        assert!(said.len() == 1 && said[0].contains(message), "{shown}: {said:?}");
    }
}

#[test]
fn ten_thousand_levels_are_a_finding_and_not_a_crash() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        let said = between(format!(
            r#"{{"key":"a","request":{{"contents":[{{"parts":[{{"functionCall":{{"args":{deep}}}}}]}}]}}}}"#
        ));
        assert!(said.iter().any(|m| m.contains("nested more than 127 levels")), "{said:?}");
    }
}

#[test]
fn an_empty_file_is_an_error_of_the_file() {
    for bytes in ["", "\n\n", "\u{FEFF}"] {
        let found = check(bytes);
        assert_eq!((found.requests, found.errors, found.warnings, found.findings[0].line), (0, 1, 0, 0), "{bytes:?}");
        assert_eq!(found.findings[0].message, "the file has no requests");
    }
}

#[test]
fn folders_and_pipes_are_told_apart_from_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let roots = Roots::new([folder.path().to_owned()]).unwrap();
    for (name, cause) in [("sub", "folder"), ("pipe", "pipe")] {
        let file = roots.existing(name).unwrap();
        let error = validate(&file, &ValidateOptions::default(), None, &Silent::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.cause().contains(cause) && error.next_step().is_some(), "{error:?}");
    }
}

#[test]
fn byte_order_marks_carriage_returns_and_a_missing_last_line_feed_are_no_mistakes() {
    let found = check(format!("\u{FEFF}{}\r\n{}\r\n{}", line("a"), line("b"), line("c")));
    assert_eq!((found.requests, found.errors, found.warnings), (3, 0, 0), "{:#?}", found.findings);
}

#[test]
fn blank_lines_are_a_warning_inside_and_nothing_at_the_end() {
    let found = check(format!("\n{}\n \n\n{}\n\n\n", line("a"), line("b")));
    assert_eq!((found.requests, found.errors, found.warnings), (2, 0, 3));
    assert_eq!(found.findings.iter().map(|f| f.line).collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn other_encodings_are_named() {
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(GOOD.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let gzip = b"\x1F\x8B\x08\0\0\0\0\0\0\x03\xFF".to_vec();
    for (bytes, hint) in [(utf16, "UTF-16"), (gzip, "compressed")] {
        let found = check(bytes);
        assert!(found.findings[0].hint.as_deref().unwrap().contains(hint), "{:#?}", found.findings);
    }
}

#[test]
fn repeated_keys_are_told_with_both_lines_whatever_their_spelling() {
    let lines = ["a", "b", r"\u0061", "c", "b", "b"].map(line).join("\n");
    let found = check(lines);
    let pairs: Vec<_> = found.duplicates.first.iter().map(|d| (d.key.as_str(), d.first_line, d.line)).collect();
    assert_eq!(pairs, [("a", 1, 3), ("b", 2, 5), ("b", 2, 6)]);
    assert_eq!((found.duplicates.count, found.errors), (3, 3));
    assert_eq!(found.findings.iter().map(|f| f.line).collect::<Vec<_>>(), [3, 5, 6]);
    assert!(found.findings[0].hint.as_deref().unwrap().contains("line 1"));
    assert_eq!(found.groups.iter().find(|g| g.message == "the key is given twice").unwrap().count, 3);
}

#[test]
fn a_hundred_thousand_times_the_same_key_is_counted_in_full() {
    let found = check(format!("{}\n", line("x")).repeat(100_000));
    assert_eq!((found.duplicates.count, found.errors), (99_999, 99_999));
    assert_eq!(found.groups.iter().map(|g| g.count).sum::<u64>(), 99_999);
}

#[test]
fn a_file_of_two_kinds_names_the_first_request_of_the_other() {
    let embed = r#"{"key":"e","request":{"content":{"parts":[{"text":"hi"}]}}}"#;
    let found = check([line("a").as_str(), embed, line("b").as_str()].join("\n"));
    assert_eq!((found.errors, found.findings[0].line), (1, 2), "{:#?}", found.findings);
    assert_eq!((found.totals.generate, found.totals.embed), (2, 1));
    let asked = ValidateOptions { kind: gemini_batch_mcp::job::Kind::parse("embed"), ..ValidateOptions::default() };
    assert_eq!(run(line("a").as_bytes(), &asked).errors, 1);
    assert_eq!(run(embed.as_bytes(), &asked).errors, 0);
}

#[test]
fn a_file_the_api_would_not_take_is_an_error_unless_it_is_to_be_split() {
    let file = GOOD.as_bytes();
    let small = ValidateOptions { max_bytes: Some(10), ..ValidateOptions::default() };
    let found = run(file, &small);
    assert_eq!(found.errors, 1);
    assert!(found.findings[0].message.contains("the API takes 10"));
    assert_eq!(run(file, &ValidateOptions { max_bytes: None, ..small }).errors, 0);
}

#[test]
fn a_line_of_many_megabytes_is_read_whole() {
    let long = GOOD.replace("hi", &"word".repeat(5_000_000));
    let found = check([long.as_str(), &line("b")].join("\n"));
    assert_eq!((found.requests, found.errors, found.totals.input_tokens), (2, 0, 5_000_001));
}

#[test]
fn the_keys_are_written_out_in_order_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let text = [line(r#"a\"b"#), "broken".into(), line("c")].join("\n");
    let mut keys = Vec::new();
    std::fs::write(folder.path().join("in.jsonl"), text).unwrap();
    let file = Roots::new([folder.path().to_owned()]).unwrap().existing("in.jsonl").unwrap();
    validate(&file, &ValidateOptions::default(), Some(&mut keys), &Silent::default()).unwrap();
    assert_eq!(String::from_utf8(keys).unwrap(), "\"a\\\"b\"\n\"c\"\n");
}

#[test]
fn a_cancelled_check_stops() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.jsonl"), format!("{GOOD}\n").repeat(60_000)).unwrap();
    let file = Roots::new([folder.path().to_owned()]).unwrap().existing("in.jsonl").unwrap();
    let monitor = Silent::default();
    monitor.cancellation().cancel();
    let error = validate(&file, &ValidateOptions::default(), None, &monitor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn what_is_counted_does_not_depend_on_the_number_of_threads() {
    let mut text = String::new();
    for row in 0..30_000i32 {
        match row % 1000 {
            0 => text.push('\n'),
            1 => text.push_str("{broken\n"),
            2 => text += &format!("{}\n", line(&format!("row-{}", (row - 500i32).max(0)))),
            _ => {
                text += &format!("{}\n", line(&format!("row-{row}")).replace("hi", &"words ".repeat(row as usize % 40)))
            }
        }
    }
    let runs = [1, 2, 4].map(|threads| {
        let options = ValidateOptions { threads, keep_findings: 200, ..ValidateOptions::default() };
        run(text.as_bytes(), &options)
    });
    assert!(text.len() > 3 << 20 && runs[0].errors > 50);
    for other in &runs[1..] {
        assert_eq!(format!("{:?}", runs[0]), format!("{other:?}"));
    }
    let lines: Vec<_> = runs[0].findings.iter().map(|f| f.line).collect();
    assert!(lines.is_sorted() && lines[0] == 1 && runs[0].findings[0].severity == Severity::Warning);
}

#[test]
fn what_the_writer_wrote_is_valid_and_has_the_hash_it_told() {
    use gemini_batch_mcp::jsonl::writer::RequestWriter;
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots::new([Path::new(folder.path()).to_owned()]).unwrap();
    let mut writer = RequestWriter::create(roots.writable("out.jsonl").unwrap(), false).unwrap();
    for row in 0..1000 {
        writer.push(line(&format!("row-{row}")).as_bytes()).unwrap();
    }
    let written = writer.finish().unwrap();
    let found = validate(&roots.existing("out.jsonl").unwrap(), &ValidateOptions::default(), None, &Silent::default());
    let found = found.unwrap();
    assert_eq!((found.requests, found.bytes, found.errors, found.warnings), (written.requests, written.bytes, 0, 0));
    assert_eq!(found.sha256, written.sha256);
}
