//! `demo`: the whole way of a job on the simulator, without key and cost.
//!
//! Runs the verbs that the MCP tools call, and prints each call with its reply.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Exit;
use super::flags::DemoFlags;
use super::output::{Output, print};
use super::terminal::TerminalMonitor;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ops::{App, build, create, results, status};

/// Nine rows of NASA's Planetary Fact Sheet (metric), a work of the US government in the public domain.
const PLANETS: &str = include_str!("planets.csv");

/// Builds, submits, waits and collects.
pub(super) async fn demo(args: &DemoFlags, output: Output, monitor: &TerminalMonitor) -> Result<Exit> {
    let folder = folder(args.dir.as_deref())?;
    let source = folder.join("planets.csv");
    std::fs::write(&source, PLANETS).map_err(|e| Error::io(format!("writing {}", source.display()), e))?;
    let app = App::new(Config::simulated(folder.join("home"), folder.clone()))?;
    let show = Show { output, monitor };

    show.text(&format!(
        "One batch job from data to answers, on the embedded simulator: no key, no network, no cost.\n\
         The data: {} (Planetary Fact Sheet, NASA, public domain).\n\
         Each step is an MCP tool that an agent calls, and a command for people.",
        source.display()
    ))?;
    let call = json!({
        "source": "planets.csv",
        "key": "{{ name | lower }}",
        "template": "Describe {{ name }} to a child: {{ diameter_km }} km across, {{ moons }} moons, {{ mean_temperature_c }} °C.",
        "generation_config": {"maxOutputTokens": 200},
    });
    let built = show.step("build_jsonl", &call, build::build(&app, parse(&call)?, monitor).await)?;

    let call = json!({"input": "planets.requests.jsonl", "max_cost_usd": 0.01});
    let created = show.step("create_batch", &call, create::create(&app, parse(&call)?, monitor).await)?;

    let call = json!({"jobs": [created.job], "wait": true});
    show.step("check_status", &call, status::status(&app, parse(&call)?, monitor).await)?;

    let call = json!({"job": created.job, "join": true, "output": "planets.answered.csv"});
    let answers = show.step("get_results", &call, results::results(&app, parse(&call)?, monitor).await)?;

    show.text(&format!(
        "\n{} requests, {} answered. Everything is in {}:\n  planets.csv               the data\n  \
         planets.requests.jsonl    one request a row\n  planets.answered.csv      the rows with their answers\n\
         With a key (GOOGLE_API_KEY) the same calls run at Google. Connect an agent: see mcp.json and README.md.",
        built.requests,
        answers.outcomes.answered,
        folder.display()
    ))?;
    Ok(if answers.outcomes.answered == answers.requests { Exit::Success } else { Exit::Incomplete })
}

/// The folder asked for, or a new one that nobody else uses.
fn folder(asked: Option<&Path>) -> Result<PathBuf> {
    let failed = |e| Error::io("making a folder for the demo", e);
    match asked {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(failed)?;
            folder.canonicalize().map_err(failed)
        }
        None => Ok(tempfile::Builder::new().prefix("gemini-batch-demo-").tempdir().map_err(failed)?.keep()),
    }
}

/// The arguments as a tool reads them.
fn parse<T: serde::de::DeserializeOwned>(call: &Value) -> Result<T> {
    serde_json::from_value(call.clone()).map_err(|e| Error::internal("running the demo", e.to_string()))
}

/// Prints the conversation.
struct Show<'a> {
    output: Output,
    monitor: &'a TerminalMonitor,
}

impl Show<'_> {
    fn text(&self, text: &str) -> Result<()> {
        if self.output.json { Ok(()) } else { print(text) }
    }

    fn step<T: Display + serde::Serialize>(&self, tool: &str, call: &Value, reply: Result<T>) -> Result<T> {
        self.monitor.finish();
        self.text(&format!("\n→ {tool} {call}"))?;
        let reply = reply?;
        if self.output.json {
            self.output.reply(&reply)?;
        } else {
            let indented: Vec<_> = reply.to_string().lines().map(|line| format!("  {line}")).collect();
            print(&format!("← {}", indented.join("\n").trim_start()))?;
        }
        Ok(reply)
    }
}
