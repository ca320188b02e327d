//! README.md, SKILL.md, mcp.json and the map in lib.rs say what is so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The text of all fenced blocks of a language, in order.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if fence == language {
            found.push(block.join("\n"));
        }
    }
    found
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The words of a command line as a shell takes them; single quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (number, part) in line.split('\'').enumerate() {
        if number % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        for (number, piece) in part.split(' ').enumerate() {
            if number > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(piece);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The arguments of every `gemini-batch-mcp` command line in a text's shell blocks.
fn command_lines(markdown: &str) -> Vec<Vec<String>> {
    let shell = blocks(markdown, "sh").join("\n");
    let lines = shell.lines().filter_map(|line| line.strip_prefix("gemini-batch-mcp "));
    lines.map(words).collect()
}

fn run(folder: &Path, arguments: &[String]) -> Output {
    program::program(folder).args(arguments).output().unwrap()
}

/// The name and the description of the frontmatter, and the text after it.
fn skill() -> (String, String, String) {
    let text = read("SKILL.md");
    let (front, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
    let field = |name: &str| {
        let mut lines = front.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next().unwrap().to_owned()
    };
    (field("name"), field("description"), body.to_owned())
}

#[test]
fn every_command_line_is_understood_by_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [read("README.md"), read("SKILL.md")].iter().flat_map(|text| command_lines(text)).collect::<Vec<_>>();
    assert!(lines.len() > 20, "{}", lines.len());
    for mut line in lines {
        line.push("--help".to_owned());
        let output = run(folder.path(), &line);
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_story_runs_as_it_is_told() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("products.csv"), blocks(&readme, "csv")[0].clone() + "\n").unwrap();
    let story = &readme[readme.find("<!-- story -->").unwrap()..];
    let shell = blocks(story, "sh")[0].clone();
    let mut printed = String::new();
    for line in shell.lines() {
        let output = run(folder.path(), &words(line)[1..]);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        printed.push_str(&String::from_utf8(output.stdout).unwrap());
    }
    // The handle and the counts that README shows are those that come out.
    let shown = blocks(story, "text")[0].clone();
    for line in shown.lines().filter(|line| line.starts_with("job ") || line.contains(" input and ")) {
        assert!(printed.contains(line), "{line:?} is not in {printed}");
    }
    let joined = std::fs::read_to_string(folder.path().join("products.answered.csv")).unwrap();
    assert_eq!(joined.lines().next(), Some("sku,name,features,answer,outcome,error,input_tokens,output_tokens"));
    assert_eq!(joined.lines().count(), 4);
}

#[test]
fn every_tool_and_every_command_stands_in_the_table_and_no_other() {
    let readme = read("README.md");
    let section = readme.split("## Tools and commands").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let columns: Vec<Vec<&str>> =
        rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect()).collect();
    let tools: Vec<&str> = columns.iter().map(|row| row[1]).filter(|tool| !tool.is_empty()).collect();
    assert_eq!(tools, program::TOOLS);

    let folder = tempfile::tempdir().unwrap();
    let help = String::from_utf8(run(folder.path(), &["-h".to_owned()]).stdout).unwrap();
    let listed = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut offered: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    offered.retain(|command| *command != "help");
    let mut named: Vec<&str> = columns.iter().map(|row| row[2]).collect();
    offered.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, offered);
}

#[test]
fn every_block_of_json_parses() {
    for text in [read("README.md"), read("SKILL.md")] {
        for block in blocks(&text, "json") {
            let values: Vec<_> = serde_json::Deserializer::from_str(&block).into_iter::<Value>().collect();
            assert!(values.iter().all(Result::is_ok), "{block}: {values:?}");
        }
    }
    for argument in quoted(&read("SKILL.md")).into_iter().filter(|text| text.starts_with("{\"")) {
        assert!(serde_json::from_str::<Value>(argument).is_ok(), "{argument}");
    }
}

#[test]
fn the_client_configuration_starts_the_program_and_names_no_key() {
    let config: Value = serde_json::from_str(&read("mcp.json")).unwrap();
    let server = &config["mcpServers"]["gemini-batch"];
    assert_eq!(server["command"], env!("CARGO_PKG_NAME"));
    assert_eq!(server["args"], serde_json::json!([]));
    // A client that does not expand ${NAME} would hand it over as the key.
    assert!(!config.to_string().contains('$'), "{config}");
}

#[test]
fn the_skill_keeps_the_rules_of_its_format() {
    let (name, description, body) = skill();
    assert_eq!(name, "gemini-batch");
    assert!(description.len() <= 1024 && !description.contains(": "), "{description}");
    let said = description.to_lowercase();
    for trigger in ["batch job", "batch processing", "bulk requests", "jsonl", "async job"] {
        assert!(said.contains(trigger), "{trigger}");
    }
    assert!(body.lines().count() < 200);
    for tool in program::TOOLS {
        assert!(body.contains(&format!("`{tool}`")), "{tool}");
    }
}

#[test]
fn every_path_on_the_map_exists() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let doc: String = read("src/lib.rs").lines().filter(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
    let paths: Vec<&str> = quoted(&doc).into_iter().filter(|text| text.contains('/') && !text.contains(' ')).collect();
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        assert!(source.join(path).exists(), "{path}");
    }
    let module = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    for name in std::fs::read_dir(&source).unwrap().map(|entry| module(entry.unwrap().path())) {
        assert!(name == "lib" || name == "main" || doc.contains(&format!("[`{name}`]")), "{name} is not on the map");
    }
}
