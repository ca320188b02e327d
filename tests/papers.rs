//! Completions and the manual page name every command that `--help` names, and its flags.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

fn printed(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = program::program(folder.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "{arguments:?} left something behind");
    String::from_utf8(output.stdout).unwrap()
}

fn commands() -> Vec<String> {
    let help = printed(&["-h"]);
    let listed = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn completions_name_every_command_in_every_shell() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for name in commands.iter().map(String::as_str).chain(["max-cost-usd", "read-only", "doctor"]) {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
}

#[cfg(unix)]
#[test]
fn bash_takes_its_completions_and_completes() {
    let script = printed(&["completions", "bash"]);
    let ask = "COMP_WORDS=(gemini-batch-mcp stat); COMP_CWORD=1\n\
               function=$(complete -p gemini-batch-mcp | grep -o '_gemini[a-z_]*')\n\
               $function gemini-batch-mcp stat gemini-batch-mcp\n\
               printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = std::process::Command::new("bash").arg("-c").arg(format!("{script}\n{ask}")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "status\nstatusline\n");
}

#[test]
fn the_manual_page_has_a_section_for_every_command_and_lists_shared_settings_once() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH gemini-batch-mcp 1"), "{page}");
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(page.contains(&format!("\n.SH \"{}\"\n", command.to_uppercase())), "{command}");
    }
    let flag = |name: &str| page.matches(&format!("\\fB\\-\\-{name}\\fR")).count();
    assert_eq!(flag("older\\-than"), 2, "once in a synopsis, once explained");
    assert_eq!(flag("read\\-only"), 2, "once in a synopsis, once explained");
    assert!(page.contains("Exit codes:"));
}
