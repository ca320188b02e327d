//! What the packages say of the program is so: version, names, files. Their own tools look at them in `.ci/packages`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};

use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The instructions of the Dockerfile, continued lines joined.
fn instructions() -> Vec<String> {
    let text = read("packaging/Dockerfile").replace("\\\n", " ");
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// What follows an instruction, each time.
fn after(instruction: &str) -> Vec<String> {
    let lines = instructions().into_iter();
    lines.filter_map(|line| line.strip_prefix(&format!("{instruction} ")).map(str::to_owned)).collect()
}

#[test]
fn all_are_of_this_version() {
    assert_eq!(json(".claude-plugin/plugin.json")["version"], VERSION);
    // A plugin's own version counts; two could differ.
    assert!(json(".claude-plugin/marketplace.json")["plugins"][0].get("version").is_none());
    let server = json("packaging/server.json");
    assert_eq!(server["version"], VERSION);
    for package in server["packages"].as_array().unwrap() {
        assert!(package["identifier"].as_str().unwrap().ends_with(&format!(":{VERSION}")), "{package}");
    }
    assert!(after("LABEL").contains(&format!("org.opencontainers.image.version=\"{VERSION}\"")));
    assert!(read("CHANGELOG.md").contains(&format!("\n## {VERSION}")));
}

#[test]
fn the_plugin_is_made_of_the_files_that_are_there() {
    let plugin = json(".claude-plugin/plugin.json");
    let marketplace = json(".claude-plugin/marketplace.json");
    assert_eq!(marketplace["plugins"].as_array().unwrap().len(), 1);
    assert_eq!(marketplace["plugins"][0]["name"], plugin["name"]);
    let root = path(marketplace["plugins"][0]["source"].as_str().unwrap());
    assert_eq!(root.join(plugin["mcpServers"].as_str().unwrap()).canonicalize().unwrap(), path("mcp.json"));
    let skills = plugin["skills"].as_array().unwrap();
    let found: Vec<PathBuf> = skills
        .iter()
        .map(|folder| root.join(folder.as_str().unwrap()).join("SKILL.md").canonicalize().unwrap())
        .collect();
    assert_eq!(found, [path("SKILL.md")]);
    assert!(read("SKILL.md").contains(&format!("\nname: {}\n", plugin["name"].as_str().unwrap())));
    assert!(read("README.md").contains(&format!(
        "claude plugin install {}@{}",
        plugin["name"].as_str().unwrap(),
        marketplace["name"].as_str().unwrap()
    )));
}

/// What the registry refuses, by its schema and by rules beside it (MCP reference §D2).
#[test]
fn the_registry_takes_the_entry() {
    let server = json("packaging/server.json");
    let name = server["name"].as_str().unwrap();
    let (space, own) = name.split_once('/').unwrap();
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    assert!(plain(space) && plain(own) && own == env!("CARGO_PKG_NAME"), "{name}");
    let description = server["description"].as_str().unwrap();
    assert!((1..=100).contains(&description.chars().count()), "{description}");
    for package in server["packages"].as_array().unwrap() {
        assert_eq!(package["transport"]["type"], "stdio");
        for refused in ["version", "registryBaseUrl", "fileSha256"] {
            assert!(package.get(refused).is_none(), "an image's identifier says it all: {refused}");
        }
        for variable in package["environmentVariables"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            assert!(read("README.md").contains(&format!("`{name}`")), "{name} is no setting");
            assert_eq!(variable["isSecret"] == true, name.ends_with("KEY"), "{variable}");
        }
    }
    assert!(after("LABEL").contains(&format!("io.modelcontextprotocol.server.name=\"{name}\"")));
}

#[test]
fn the_image_is_built_of_what_is_there_and_does_not_run_as_root() {
    let allowed = read("packaging/Dockerfile.dockerignore");
    let allowed: Vec<&str> = allowed.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copied = after("COPY");
    let mut sources: Vec<&str> = copied
        .iter()
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' '))
        .collect();
    for source in &sources {
        assert!(path(source).exists(), "{source}");
    }
    let mut given = allowed.clone();
    sources.sort_unstable();
    given.sort_unstable();
    assert_eq!(sources, given, "what is copied is what is let through");
    assert!(sources.contains(&"SKILL.md"), "it is compiled in");

    let from = after("FROM");
    assert!(from[0].starts_with(&format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"))), "{from:?}");
    assert_eq!(from.last().unwrap(), "scratch");
    let user = after("USER");
    assert!(user.last().is_some_and(|user| user.split(':').all(|id| id.parse::<u32>().unwrap() > 0)), "{user:?}");
    // Whoever it runs as, by --user, can keep jobs there; server.json asks for it, as the user's folder is mounted.
    assert!(after("RUN").iter().any(|run| run.contains("chmod 1777 /image/tmp /image/ledger")));
    let arguments = json("packaging/server.json")["packages"][0]["runtimeArguments"].clone();
    assert!(arguments.as_array().unwrap().iter().any(|argument| argument["name"] == "--user"), "{arguments}");
    assert_eq!(after("ENTRYPOINT"), ["[\"/gemini-batch-mcp\"]"]);
}
