//! What is made of the command line's own description: completions for shells, and the manual page.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::output::LongOutput;
use super::{Cli, Exit};
use crate::error::{Error, Result};

/// Completions for a shell, on standard output.
pub(super) fn completions(shell: Shell) -> Result<Exit> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    write_out(&script)
}

/// The manual page, on standard output: the program, then each command in a section of its own.
pub(super) fn man() -> Result<Exit> {
    let mut page = Vec::new();
    pages(&mut page).map_err(|e| Error::internal("writing the manual page", e.to_string()))?;
    write_out(&page)
}

fn pages(page: &mut Vec<u8>) -> std::io::Result<()> {
    let command = Cli::command();
    let name = command.get_name().to_owned();
    let man = Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    // Not those of the built command: each of them would list the settings that all share.
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        writeln!(page, ".SH \"{}\"", command.get_name().to_uppercase())?;
        let full = format!("{name} {}", command.get_name());
        let man = Man::new(command.clone().bin_name(&full).display_name(full));
        sections_below(page, |section| {
            man.render_synopsis_section(section)?;
            man.render_description_section(section)?;
            man.render_options_section(section)
        })?;
    }
    man.render_extra_section(page)
}

/// What it writes, as sections of the one before.
fn sections_below(page: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut section = Vec::new();
    write(&mut section)?;
    let lines = section.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        match line.strip_prefix(b".SH ") {
            Some(title) => page.extend([b".SS ", title].concat()),
            None => page.extend(line),
        }
        page.push(b'\n');
    }
    Ok(())
}

fn write_out(text: &[u8]) -> Result<Exit> {
    let mut out = LongOutput::new();
    out.write_all(text).and_then(|()| out.flush()).map_err(|e| Error::io("writing to standard output", e))?;
    Ok(Exit::Success)
}
