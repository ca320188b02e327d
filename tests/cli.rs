//! The commands, as a person or a script meets them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::process::Stdio;
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use serde_json::Value;

/// What one run of the program left behind.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let output = program::program(folder.path()).args(arguments).assert().get_output().clone();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn help_tells_the_story_and_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    // Help shows the values that are set in the environment.
    let help = program::program(folder.path()).arg("--help").env_remove("GEMINI_BATCH_HOME").output().unwrap();
    insta::assert_snapshot!("help", String::from_utf8(help.stdout).unwrap());
}

#[test]
fn every_command_and_every_flag_explains_itself() {
    for command in [
        "serve", "build", "create", "status", "results", "list", "cancel", "delete", "history", "export", "prune",
        "demo", "simulate",
    ] {
        let help = run(&[command, "-h"]);
        assert_eq!(help.code, Some(0), "{command}");
        for line in help.stdout.lines().filter(|line| line.trim_start().starts_with('-')) {
            let flag = line.trim();
            assert!(flag.contains("  "), "{command}: {flag:?} says nothing");
        }
    }
}

#[test]
fn formats_are_named_as_the_library_has_them() {
    let data: Vec<_> = gemini_batch_mcp::source::Format::ALL.iter().map(|format| format.as_str()).collect();
    let answers: Vec<_> = gemini_batch_mcp::answers::Format::ALL.iter().map(|format| format.as_str()).collect();
    for (words, formats) in [(["build", "rows"], data), (["results", "job"], answers)] {
        let run = run(&[&words[..], &["--format", "nothing"]].concat());
        assert!(run.stderr.contains(&format!("possible values: {}", formats.join(", "))), "{}", run.stderr);
    }
}

#[test]
fn the_spellings_of_the_first_version_are_understood() {
    for arguments in [
        vec!["create", "FILE", "--model", "m", "--name", "n", "--help"],
        vec!["create", "FILE", "-m", "m", "-n", "n", "--help"],
        vec!["status", "JOB", "--wait", "--help"],
        vec!["status", "JOB", "-w", "--help"],
        vec!["results", "JOB", "--output", "o", "--help"],
        vec!["results", "JOB", "-o", "o", "--help"],
    ] {
        assert_eq!(run(&arguments).code, Some(0), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_prints_nothing_on_standard_output() {
    for arguments in [
        vec!["brew"],
        vec!["create"],
        vec!["build"],
        vec!["build", "a.csv", "--prompt", "Hi"],
        vec!["build", "a.csv", "--limit", "0"],
        vec!["build", "a.csv", "--kind", "poem"],
        vec!["status", "--timeout", "5"],
        vec!["results", "a", "--outcome", "lost"],
        vec!["results", "a", "--limit", "51"],
        vec!["simulate", "--pace", "slow"],
        vec!["build", "a.csv", "--request", "[1]"],
    ] {
        let run = run(&arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn an_error_is_a_line_and_a_hint_for_people_and_an_object_for_programs() {
    let arguments = ["build", "a.csv", "--template", "@nowhere.txt"];
    let plain = run(&arguments);
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(1), ""));
    let lines: Vec<&str> = plain.stderr.lines().collect();
    assert!(lines[0].starts_with("error: reading nowhere.txt for --template: "), "{lines:?}");
    assert_eq!(lines[1], "hint: --template takes the text itself, or @ and the path of a file with it");

    let json = run(&[&arguments[..], &["--json"]].concat());
    assert_eq!((json.code, json.stdout.lines().count()), (Some(1), 1));
    let error = &serde_json::from_str::<Value>(&json.stdout).unwrap()["error"];
    assert_eq!(
        (error["kind"].as_str(), error["act"].as_str()),
        (Some("not_found"), Some("reading nowhere.txt for --template"))
    );
    assert!(error["cause"].is_string() && error["hint"].is_string(), "{error}");
}

/// A folder with a job of three requests, just submitted to the simulator; and its handle.
fn submitted() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let prompts = ["--prompt", "Mars?", "--prompt", "Venus?", "--prompt", "Earth?"];
    let built = simulated(&folder, &[&["build", "-o", "planets.jsonl"], &prompts[..]].concat());
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let created = simulated(&folder, &["create", "planets.jsonl", "--json"]);
    let job = serde_json::from_str::<Value>(&created.stdout).unwrap()["job"].as_str().unwrap().to_owned();
    (folder, job)
}

fn simulated(folder: &tempfile::TempDir, arguments: &[&str]) -> Run {
    let output = program::program(folder.path()).arg("--simulate").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn exit_codes_tell_a_job_that_runs_from_one_that_is_done() {
    let (folder, job) = submitted();
    assert_eq!(simulated(&folder, &["status", &job]).code, Some(3));
    assert_eq!(simulated(&folder, &["results", &job]).code, Some(3));
    let waited = simulated(&folder, &["status", &job, "--wait", "--timeout", "1"]);
    assert_eq!(waited.code, Some(3), "{}{}", waited.stdout, waited.stderr);
    assert_eq!(simulated(&folder, &["status", &job, "-w"]).code, Some(0));
    let results = simulated(&folder, &["results", &job, "-o", "answers.csv", "--json"]);
    assert_eq!(results.code, Some(0), "{}", results.stderr);
    assert_eq!(serde_json::from_str::<Value>(&results.stdout).unwrap()["outcomes"]["answered"], 3);
    assert!(folder.path().join("answers.csv").is_file());
    assert_eq!(simulated(&folder, &["status", "no-such-job"]).code, Some(1));
}

#[test]
fn a_cancelled_job_ends_with_4() {
    let (folder, job) = submitted();
    assert_eq!(simulated(&folder, &["cancel", &job]).code, Some(0));
    let waited = simulated(&folder, &["status", &job, "--wait"]);
    assert_eq!(waited.code, Some(4), "{}{}", waited.stdout, waited.stderr);
}

/// Waits until a process listens for Ctrl-C instead of dying of it.
#[cfg(target_os = "linux")]
fn wait_for_handler(process: u32) {
    let started = std::time::Instant::now();
    let is_caught = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 0b10 != 0
    };
    while !is_caught() {
        assert!(started.elapsed() < program::PATIENCE, "no handler");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_wait_says_that_the_job_goes_on() {
    let (folder, job) = submitted();
    let mut command = program::program(folder.path());
    command.args(["--simulate", "status", &job, "--wait"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_for_handler(child.id());
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("go on at Google"));
    assert_eq!(simulated(&folder, &["status", &job, "--wait"]).code, Some(0));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::program(folder.path());
    let mut child = command.args(["--simulate", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn variables_that_are_set_to_nothing_are_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::program(folder.path());
    command.args(["list", "--local", "--json"]);
    for name in [
        "GOOGLE_API_KEY",
        "GEMINI_BATCH_ROOTS",
        "GEMINI_BATCH_MODELS",
        "GEMINI_BATCH_SIMULATE",
        "GEMINI_BATCH_READ_ONLY",
    ] {
        command.env(name, "");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let on = program::program(folder.path())
        .env("GEMINI_BATCH_READ_ONLY", "1")
        .args(["create", "r.jsonl"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&on.stderr).contains("read-only"), "{on:?}");
}
