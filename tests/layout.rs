//! The layout of the sources, as rules that they are read against.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each part may import of the others. Arrows point down the list, never up.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("main", &["cli", "config", "error", "mcp", "ops"]),
    ("cli", &["config", "error", "job", "ops", "paths", "progress", "simulator"]),
    ("mcp", &["config", "error", "job", "ops", "paths", "progress"]),
    (
        "ops",
        &["answers", "config", "error", "gemini", "job", "jsonl", "ledger", "paths", "progress", "simulator", "source"],
    ),
    ("answers", &["error", "job", "jsonl", "paths", "progress", "source"]),
    ("source", &["error", "job", "jsonl", "paths", "progress"]),
    ("gemini", &["error", "job", "paths", "progress"]),
    ("jsonl", &["error", "job", "paths", "progress"]),
    ("ledger", &["error", "job", "paths", "progress"]),
    ("config", &["error"]),
    ("job", &["error"]),
    ("paths", &["error"]),
    ("progress", &["error"]),
    ("simulator", &["error"]),
    ("error", &[]),
];

/// Names that belong to one place, and the beginnings of the paths that are that place.
const AT_HOME: [(&str, &[&str]); 8] = [
    ("rmcp", &["mcp/"]),
    ("reqwest", &["gemini/"]),
    ("rusqlite", &["ledger/"]),
    ("indicatif", &["cli/"]),
    ("clap", &["cli/", "config.rs", "config/", "main.rs"]),
    ("std::env", &["config.rs", "main.rs"]),
    ("env!", &["config.rs", "main.rs"]),
    ("option_env!", &["config.rs", "main.rs"]),
];

/// Everything that may lie at the top.
const TOP_LEVEL: [&str; 18] = [
    ".cargo",
    ".ci",
    ".claude-plugin",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SKILL.md",
    "benches",
    "deny.toml",
    "fuzz",
    "mcp.json",
    "packaging",
    "rustfmt.toml",
    "src",
    "tests",
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["common", "helper", "helpers", "lib_utils", "misc", "shared", "util", "utils"];

const LONGEST_FILE: usize = 500;

/// A file below `src/`.
struct SourceFile {
    /// Its path there, with `/` on every system.
    path: String,
    text: String,
}

impl SourceFile {
    fn all() -> Vec<Self> {
        let root = top().join("src");
        let read = |path: PathBuf| Self {
            path: path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"),
            text: fs::read_to_string(&path).unwrap(),
        };
        rust_files(&root).into_iter().map(read).collect()
    }

    /// The part of the program that it belongs to: a folder or a file of the crate's root.
    fn part(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
    }

    /// How many modules it is below the crate's root.
    fn depth(&self) -> usize {
        let names = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { names - 1 } else { names }
    }

    /// The text without comments.
    fn code(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// First names of everything it takes from the crate's root, however that is spelt.
    fn imports(&self) -> BTreeSet<String> {
        let code = self.code();
        let roots = ["crate::".to_owned(), "gemini_batch_mcp::".to_owned(), "super::".repeat(self.depth())];
        roots.iter().flat_map(|root| after(&code, root)).flat_map(first_names).collect()
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// What follows each place where the words stand by themselves.
fn after<'a>(code: &'a str, words: &str) -> Vec<&'a str> {
    let alone = |at: usize| !code[..at].ends_with(|c: char| is_word(c) || c == ':');
    code.match_indices(words).filter(|(at, _)| alone(*at)).map(|(at, found)| &code[at + found.len()..]).collect()
}

/// The first name, or of a group in braces the first name of each member.
fn first_names(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| is_word(*c)).collect::<String>();
    let Some(group) = code.strip_prefix('{') else { return vec![word(code)] };
    let (mut names, mut depth, mut at_start) = (Vec::new(), 0, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if depth == 0 && at_start && is_word(c) => {
                names.push(word(&group[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

/// Whether the code uses a name, alone or out of a group in braces.
fn uses(code: &str, name: &str) -> bool {
    match name.split_once("::") {
        Some((from, name)) => after(code, &format!("{from}::")).into_iter().flat_map(first_names).any(|n| n == name),
        // What Cargo itself knows at build time is no setting.
        None => {
            after(code, name).into_iter().any(|rest| !rest.starts_with(is_word) && !rest.starts_with("(\"CARGO_PKG_"))
        }
    }
}

#[track_caller]
fn assert_none(rule: &str, violations: Vec<String>) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

#[test]
fn parts_import_only_what_is_below_them() {
    let mut violations = Vec::new();
    let parts: Vec<&str> = MAY_IMPORT.iter().map(|(part, _)| *part).collect();
    for file in SourceFile::all().iter().filter(|file| file.part() != "lib") {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(part, _)| *part == file.part()) else {
            violations.push(format!("src/{}: {} is a new part: say what it may import", file.path, file.part()));
            continue;
        };
        let imports = file.imports();
        let others = imports.iter().filter(|name| *name != file.part() && parts.contains(&name.as_str()));
        let upward = others.filter(|name| !allowed.contains(&name.as_str()));
        violations.extend(upward.map(|name| format!("src/{} imports {name}", file.path)));
    }
    assert_none(
        "main -> {cli, mcp} -> ops -> {gemini, ledger, source, answers, jsonl} -> {job, paths, progress} -> error",
        violations,
    );
}

#[test]
fn the_root_only_names_its_modules() {
    let root = SourceFile { path: "lib.rs".to_owned(), text: fs::read_to_string(top().join("src/lib.rs")).unwrap() };
    let logic = ["fn ", "struct ", "enum ", "impl ", "use "];
    let lines = root.text.lines().filter(|line| logic.iter().any(|word| line.trim_start().starts_with(word)));
    assert_none("src/lib.rs is the map: no logic in it", lines.map(str::to_owned).collect());
}

#[test]
fn crates_and_the_environment_are_used_in_one_place() {
    let mut violations = Vec::new();
    for file in SourceFile::all() {
        let code = file.code();
        let abroad = AT_HOME.iter().filter(|(_, homes)| !homes.iter().any(|home| file.path.starts_with(home)));
        let used = abroad.filter(|(name, _)| uses(&code, name));
        violations
            .extend(used.map(|(name, homes)| format!("src/{} uses {name}, which belongs to {homes:?}", file.path)));
    }
    assert_none("each of these names has one home", violations);
}

#[test]
fn names_of_files_say_what_is_inside() {
    let root = top().join("src");
    let files = rust_files(&root).into_iter().chain(rust_files(&top().join("tests")));
    let says_nothing = |path: &PathBuf| {
        let names = path.strip_prefix(top()).unwrap().iter().map(|name| name.to_str().unwrap().trim_end_matches(".rs"));
        names.into_iter().any(|name| EMPTY_NAMES.contains(&name))
    };
    assert_none(
        "names come from the domain",
        files.filter(says_nothing).map(|path| path.display().to_string()).collect(),
    );
}

#[test]
fn files_are_short() {
    let files = SourceFile::all().into_iter().filter(|file| !file.is_test());
    let long = files.map(|file| (file.text.lines().count(), file.path)).filter(|(lines, _)| *lines > LONGEST_FILE);
    let violations = long.map(|(lines, path)| format!("src/{path}: {lines} lines")).collect();
    assert_none(&format!("no file is longer than {LONGEST_FILE} lines"), violations);
}

#[test]
fn paths_in_the_crate_doc_exist() {
    let text = fs::read_to_string(top().join("src/lib.rs")).unwrap();
    let doc: String = text.lines().filter_map(|line| line.strip_prefix("//!")).flat_map(|line| [line, "\n"]).collect();
    let missing = paths_in(&doc).into_iter().filter(|path| !exists(path));
    assert_none("src/lib.rs: its doc names what is not there", missing.collect());
}

/// What a text in backticks names as a place in the sources: `ops/`, `ops/create.rs` or `ops::create`.
fn paths_in(doc: &str) -> Vec<String> {
    let quoted = doc.split('`').skip(1).step_by(2);
    let in_words = quoted.filter(|text| text.chars().all(|c| is_word(c) || "/:.".contains(c)));
    let is_path = |text: &&str| text.ends_with('/') || text.ends_with(".rs") || text.contains("::");
    let outside =
        |text: &str| ["std::", "rmcp::", "tests/", "benches/", "fuzz/"].iter().any(|name| text.starts_with(name));
    in_words.filter(is_path).filter(|text| !outside(text)).map(str::to_owned).collect()
}

/// Whether a path is a file or folder of `src/`; the last names of `a::b` may be items of the module.
fn exists(path: &str) -> bool {
    let src = top().join("src");
    let plain = path.trim_start_matches("crate::").replace("::", "/");
    let plain = plain.trim_end_matches('/').trim_end_matches(".rs");
    let is_module = |path: &str| src.join(path).is_dir() || src.join(format!("{path}.rs")).is_file();
    if is_module(plain) {
        return true;
    }
    let (module, item) = plain.rsplit_once('/').unwrap_or(("", plain));
    let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
    let defines = |text: String| text.split(|c| !is_word(c)).any(|word| word == item);
    path.contains("::") && files.iter().any(|file| fs::read_to_string(src.join(file)).is_ok_and(defines))
}

#[test]
fn nothing_else_lies_at_the_top() {
    let options = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(options).current_dir(top()).output().expect("git lists the project's files");
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names: BTreeSet<&str> = listed.lines().map(|path| path.split('/').next().unwrap()).collect();
    assert!(names.contains("Cargo.toml"), "{names:?}");
    let strange = names.into_iter().filter(|name| !TOP_LEVEL.contains(name));
    assert_none("a new file at the top has to earn its place in this test", strange.map(str::to_owned).collect());
}

#[test]
fn an_import_is_found_however_it_is_spelt() {
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    let spellings = [
        ("ops/create.rs", "use crate::mcp::http;"),
        ("ops/create.rs", "fn f() { crate::mcp::http::serve(); }"),
        ("ops/create.rs", "use crate::{\n    error::{Error, Result},\n    mcp::http,\n};"),
        ("ops/create.rs", "use super::super::mcp;"),
        ("ops/mod.rs", "use super::mcp;"),
        ("progress.rs", "pub(super) use super::{error, mcp};"),
        ("main.rs", "use gemini_batch_mcp::mcp;"),
    ];
    for (path, text) in spellings {
        assert!(file(path, text).imports().contains("mcp"), "{path}: {text}");
    }
    for (path, text) in [
        ("ops/create.rs", "// use crate::mcp;"),
        ("ops/create.rs", "use super::mcp;"),
        ("ops/create.rs", "use crate::{error::{mcp}};"),
        ("ops/create.rs", "use other_crate::mcp;"),
    ] {
        assert!(!file(path, text).imports().contains("mcp"), "{path}: {text}");
    }
}

#[test]
fn a_path_in_a_doc_is_told_from_other_words() {
    let doc = "`ops/` and `ops::create`, `jsonl/check.rs`, not `build_jsonl` or `serve --http ADDR` or `std::env`";
    assert_eq!(paths_in(doc), ["ops/", "ops::create", "jsonl/check.rs"]);
    for there in ["ops/", "ops::create", "jsonl/check.rs", "jsonl::check::check_line", "crate::ops::App", "config.rs"] {
        assert!(exists(there), "{there}");
    }
    for gone in ["shop/", "ops::crate_batch", "jsonl/cheque.rs", "jsonl::check::check_poem"] {
        assert!(!exists(gone), "{gone}");
    }
}
