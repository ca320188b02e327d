//! What a command prints: the reply on standard output, everything else on standard error.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::{Value, json};

use super::Exit;
use super::spelling::at_the_shell;
use crate::error::{Error, Result};
use crate::ops::statusline::told;

/// How replies are printed.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// As JSON rather than as text.
    pub(super) json: bool,
    /// Without progress and notes.
    pub(super) quiet: bool,
    /// Whether the simulator stands in for the API: the next step goes there, too.
    pub(super) simulate: bool,
    /// The folder of the ledger of whose jobs somebody reads in the replies.
    pub(super) reader_of: Option<PathBuf>,
    /// What has to leave the terminal first.
    pub(super) bar: ProgressBar,
}

impl Output {
    /// A line of a verb's own words on standard error.
    pub(super) fn tell(&self, line: &str) {
        self.bar.suspend(|| say(&at_the_shell(line, self.simulate)));
    }

    /// Prints a verb's reply.
    pub(super) fn reply<T: Serialize + fmt::Display>(&self, reply: &T) -> Result<Exit> {
        self.bar.finish_and_clear();
        let data = serde_json::to_value(reply).map_err(|e| Error::internal("writing the reply", e.to_string()))?;
        if self.json {
            print(&json_text(&data))?;
        } else {
            print(&for_a_person(&reply.to_string(), self.simulate))?;
        }
        if let Some(folder) = &self.reader_of {
            told(folder, &data);
        }
        Ok(Exit::Success)
    }
}

/// Lines of a reply that quote answers, rows or requests. They are left alone; all others are our own words.
const QUOTES: [&str; 4] = ["| ", "first: ", "problem: ", "mended: "];

/// The reply with the calls that it names spelled as commands.
fn for_a_person(reply: &str, simulate: bool) -> String {
    let quotes = |line: &str| QUOTES.iter().any(|start| line.starts_with(start));
    let spelled = |line: &str| if quotes(line) { line.to_owned() } else { at_the_shell(line, simulate) };
    reply.split('\n').map(spelled).collect::<Vec<_>>().join("\n")
}

/// Prints an error for a person, and with `json` as data too, and says how the process should end.
pub fn report_error(error: &Error, json: bool, simulate: bool) -> Exit {
    if json {
        let mut data = json!({"kind": error.kind(), "act": error.act(), "cause": error.cause()});
        if let (Some(hint), Some(fields)) = (error.next_step(), data.as_object_mut()) {
            fields.insert("hint".to_owned(), hint.into());
        }
        // Nobody is left to be told if this fails.
        let _ = print(&json_text(&json!({ "error": data })));
    }
    say(&format!("error: {error}"));
    if let Some(hint) = error.next_step() {
        say(&format!("hint: {}", at_the_shell(hint, simulate)));
    }
    error.into()
}

/// Prints what is worth knowing at start.
pub fn tell_notes(notes: &[String], quiet: bool) {
    for note in notes.iter().filter(|_| !quiet) {
        say(&format!("note: {note}"));
    }
}

/// Tells someone who started the bare program at a terminal what it is waiting for.
pub fn greet_a_person(quiet: bool) {
    if !quiet && io::stdin().is_terminal() {
        say("MCP server on standard input and output, waiting for a client. For commands: gemini-batch-mcp --help");
    }
}

/// One line on standard error.
pub(super) fn say(line: &str) {
    // Standard error that is gone is no reason to fail.
    let _ = writeln!(io::stderr(), "{line}");
}

/// One text on standard output. A reader that left early, as `head` does, is no error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::io("writing to standard output", e)),
        _ => Ok(()),
    }
}

/// Standard output, for more than one text. A reader that left early is no error here, either.
pub(super) struct LongOutput(BufWriter<io::Stdout>);

impl LongOutput {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }
}

impl Write for LongOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// For a person indented, for a program on one line.
fn json_text(data: &Value) -> String {
    if io::stdout().is_terminal() { format!("{data:#}") } else { data.to_string() }
}
