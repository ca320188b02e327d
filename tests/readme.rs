//! README.md, SKILL.md, mcp.json and the map in lib.rs say what is so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

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

/// The text below a heading, up to the next one of its rank.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    markdown.split(heading).nth(1).unwrap().split("\n## ").next().unwrap()
}

/// The words of a command line as a shell takes them, up to a `||`; single quotes only.
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
    words.into_iter().take_while(|word| word != "||").collect()
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

/// The simulator as a server whose jobs are done at once; it ends with this value.
struct Simulator(Child, String);

impl Simulator {
    fn start(folder: &Path) -> Self {
        let mut command = program::program(folder);
        command.args(["simulate", "--pace", "instant"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self(child, address.trim().to_owned())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell in a folder, in which `gemini-batch-mcp` is this build of the program.
fn shell(folder: &Path, script: &str) -> Command {
    let program = program::program(folder);
    let path = std::env::join_paths(
        std::iter::once(folder.join("bin")).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command = Command::new("bash");
    command.args(["-eu", "-o", "pipefail", "-c", script]).current_dir(folder).env("PATH", path.unwrap());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The tasks run against a simulator of their own, as its jobs end at once: what is shown is what a real job needs.
#[cfg(unix)]
#[test]
fn every_task_runs_as_it_is_printed() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("bin")).unwrap();
    let program = folder.join("bin").join(env!("CARGO_PKG_NAME"));
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gemini-batch-mcp"), program).unwrap();
    std::fs::write(folder.join("products.csv"), blocks(&readme, "csv")[0].clone() + "\n").unwrap();
    let simulator = Simulator::start(folder);
    let scripts = blocks(section(&readme, "## Tasks"), "sh");
    assert!(scripts.len() > 15, "{}", scripts.len());
    for script in scripts {
        let mut shell = shell(folder, &script);
        let output = shell.env("GOOGLE_GEMINI_BASE_URL", &simulator.1).env("GOOGLE_API_KEY", "any").output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{script}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    }
    // What the text says is there.
    for file in ["photos/A1.png", "photos/media.jsonl", "sounds/hello.wav", "vectors.npy.keys.jsonl", "preview.md"] {
        assert!(folder.join(file).exists(), "{file}");
    }
    let header = |file| std::fs::read_to_string(folder.join(file)).unwrap().lines().next().unwrap().to_owned();
    assert!(header("products.sorted.csv").starts_with("sku,name,features,category,confidence,answer,outcome,"));
    assert!(header("slogans.csv").contains(",stage_1_answer,answer,"), "{}", header("slogans.csv"));
    assert!(header("photos.csv").contains(",media,"), "{}", header("photos.csv"));
}

#[test]
fn every_tool_call_shown_has_arguments_that_the_tool_takes() {
    let mut server = program::Server::start();
    server.initialize("2025-11-25");
    let tools = server.ask(&program::request("tools/list", &json!({})))["result"]["tools"].clone();
    let takes = |tool: &Value, call: &Value| {
        let schema = &tool["inputSchema"];
        let required = schema["required"].as_array().into_iter().flatten();
        call.as_object().unwrap().keys().all(|name| schema["properties"].get(name).is_some())
            && required.into_iter().all(|name| call.get(name.as_str().unwrap()).is_some())
    };
    let (readme, skill) = (read("README.md"), read("SKILL.md"));
    let told = quoted(&skill).into_iter().filter(|text| text.starts_with("{\"")).map(str::to_owned);
    let calls: Vec<String> = blocks(section(&readme, "## Tasks"), "json").into_iter().chain(told).collect();
    assert!(calls.len() > 20, "{}", calls.len());
    for call in calls {
        let call: Value = serde_json::from_str(&call).unwrap();
        assert!(tools.as_array().unwrap().iter().any(|tool| takes(tool, &call)), "{call}");
    }
}

#[test]
fn every_tool_and_every_command_stands_in_the_table_and_no_other() {
    let readme = read("README.md");
    let rows = section(&readme, "## Tools and commands").lines().filter(|line| line.starts_with("| ")).skip(1);
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

/// Every object in a text of JSON, however deep.
fn objects(value: &Value) -> Vec<&Value> {
    let below: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    let deeper = below.into_iter().flat_map(objects);
    value.is_object().then_some(value).into_iter().chain(deeper).collect()
}

#[test]
fn every_client_has_a_row_and_what_it_is_told_starts_this_program() {
    let readme = read("README.md");
    let connecting = section(&readme, "## Connecting a client").split("### Serving over HTTP").next().unwrap();
    let program = env!("CARGO_PKG_NAME");

    let rows: Vec<&str> = connecting.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let clients: Vec<&str> = rows.iter().map(|row| row.split('|').nth(1).unwrap().trim()).collect();
    let named =
        ["Claude Code", "Claude Desktop", "Cursor", "Windsurf", "VS Code", "Codex", "Gemini CLI", "Zed", "opencode"];
    assert_eq!(clients, named);
    for row in &rows {
        let (commands, other): (Vec<&str>, Vec<&str>) =
            quoted(row).into_iter().partition(|text| text.contains(" mcp add "));
        assert!(commands.iter().all(|command| command.ends_with(&format!(" -- {program}"))), "{row}");
        // A client's file, and parts of what stands in one.
        let parts: Vec<&&str> = other.iter().filter(|text| text.starts_with('"')).collect();
        assert!(parts.len() < other.len(), "{row} names no file");
        for part in parts {
            let part: Value = serde_json::from_str(&format!("{{{part}}}")).unwrap_or_else(|e| panic!("{part}: {e}"));
            let key = part["env"]["GOOGLE_API_KEY"].as_str();
            assert!(key.is_some_and(|key| !key.is_empty()) || part["args"].is_array(), "{part}");
        }
        assert!(
            !row.contains("as below")
                || connecting.contains(&format!("\n{}:\n\n```", row.split('|').nth(1).unwrap().trim()))
        );
    }

    let configurations = blocks(connecting, "json");
    assert_eq!(configurations.len(), 6, "{configurations:?}");
    for text in &configurations {
        let configuration: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let objects = objects(&configuration);
        // One client writes the command as a list.
        let written = objects.iter().map(|object| &object["command"]);
        let commands: Vec<&str> = written.filter_map(|command| command.as_str().or(command[0].as_str())).collect();
        assert_eq!(commands.len(), 1, "{text}");
        assert_eq!(commands[0].split(' ').next(), Some(program), "{text}");
    }
    for text in blocks(connecting, "toml") {
        let configuration: toml_edit::DocumentMut = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(configuration["mcp_servers"]["gemini-batch"]["command"].as_str(), Some(program));
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
