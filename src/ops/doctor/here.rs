//! What can be looked at without the network: the program, its settings, prices, folders, the ledger.

use std::io::ErrorKind;
use std::path::Path;

use super::Check;
use crate::config::Config;
use crate::job::outcome::counted;
use crate::ledger::examine::{Condition, Examined, VERSION, examine};
use crate::ledger::trial;
use crate::ops::app::model_table;
use crate::ops::ready::has_room;
use crate::paths::is_open_to_others;

/// Prices and limits change a few times a year.
const OLD_DAYS: i64 = 90;

pub(super) fn program() -> Check {
    Check::ok("version", format!("gemini-batch-mcp {}, ledgers of version {VERSION}", env!("CARGO_PKG_VERSION")))
}

pub(super) fn settings(config: &Config) -> Check {
    match config.notes.as_slice() {
        [] => Check::ok("settings", "flags and environment can be read"),
        notes => {
            Check::warn("settings", notes.join("; "), "correct them where the program is started, if that is not meant")
        }
    }
}

/// The dated table of models.
pub(super) fn prices(config: &Config) -> Check {
    let table = match model_table(config.models.as_deref()) {
        Ok(table) => table,
        Err(e) => return Check::fail("prices", e.to_string(), "name a file with --models that can be read, or none"),
    };
    let age = (chrono::Utc::now().date_naive() - table.as_of).num_days();
    let found = format!("prices and limits of {} ({} old)", table.as_of, counted(age, "day"));
    match age {
        ..-1 => {
            Check::warn("prices", format!("prices and limits of {}, which is to come", table.as_of), "set the clock")
        }
        -1..=OLD_DAYS => Check::ok("prices", found),
        _ => Check::warn("prices", found, "install a newer version, or give a table of your own with --models FILE"),
    }
}

/// The folders that a server started here may use.
pub(super) fn roots(config: &Config) -> Check {
    let names: Vec<String> = config.roots.iter().map(|root| root.display().to_string()).collect();
    for (root, name) in config.roots.iter().zip(&names) {
        let is_to_be_made = config.own_root.as_ref() == Some(root) && !root.exists();
        if !is_to_be_made && !root.is_dir() {
            let found = format!("{name} is not there, or no folder");
            return Check::fail("roots", found, "create it, or name another with --root (GEMINI_BATCH_ROOTS)");
        }
        if let Err(e) = can_write(first_there(root)) {
            if is_to_be_made {
                let found = format!("{name} cannot be made: {e}");
                return Check::fail("roots", found, "name a folder with --root or GEMINI_BATCH_ROOTS");
            }
            let found = format!("{name} can be read, not written: {e}");
            return Check::warn("roots", found, "allow it, or name a folder for the files with --root");
        }
    }
    Check::ok("roots", format!("a server started here reads and writes below {}", names.join(", ")))
}

pub(super) fn ledger(config: &Config) -> Check {
    if let Err(e) = has_room(first_there(&config.home)) {
        let found = format!("{} cannot be written: {e}", config.home.display());
        if is_full(e.kind()) {
            return Check::fail("ledger", found, "make room on that disk, or name a folder on another with --home");
        }
        return Check::fail("ledger", found, "allow it, or name another folder with --home (GEMINI_BATCH_HOME)");
    }
    let examined = examine(&config.home);
    let file = examined.file.display();
    match &examined.condition {
        Condition::NotThere => {
            let found = format!("none at {file} yet: the first call that needs one makes it");
            with_the_past(private_or_not(found, &config.home), &examined)
        }
        Condition::Sound { version, .. } if *version > VERSION => Check::fail(
            "ledger",
            format!("{file} has version {version}, this program knows versions up to {VERSION}"),
            "use the newer gemini-batch-mcp that wrote it, or name another folder with --home (GEMINI_BATCH_HOME)",
        ),
        Condition::Sound { version, jobs } => {
            if let Err(e) = trial::lock(&config.home) {
                return Check::failed("ledger", &e);
            }
            let age = if *version < VERSION { ", brought up to date by the next call" } else { "" };
            let found = format!("{file} is sound: {}, version {version}{age}", counted(*jobs, "job"));
            with_the_past(private_or_not(found, &config.home), &examined)
        }
        Condition::Damaged(how) => Check::fail(
            "ledger",
            format!("{file} is damaged: {how}"),
            "make any call, such as `gemini-batch-mcp list`: it sets the file aside, keeps what can be read, and looks up \
             the rest at the API",
        ),
        Condition::Unreadable(e) => Check::failed("ledger", e),
    }
}

/// Whether what is kept is this user's alone.
fn private_or_not(found: String, home: &Path) -> Check {
    if is_open_to_others(home) {
        let found = format!("{found}; other users of this machine can read what is kept there");
        return Check::warn("ledger", found, format!("chmod 700 {}", home.display()));
    }
    Check::ok("ledger", found)
}

/// What happened to earlier ledgers.
fn with_the_past(check: Check, examined: &Examined) -> Check {
    if examined.is_incomplete {
        let found = format!("{}; jobs of a damaged or lost one may be missing", check.found);
        return Check::warn("ledger", found, "run `gemini-batch-mcp list` with the key: they are looked up at the API");
    }
    match examined.set_aside.as_slice() {
        [] => check,
        kept => {
            let names: Vec<String> = kept.iter().map(|file| file.display().to_string()).collect();
            let found = format!("{}; damaged ones were set aside: {}", check.found, names.join(", "));
            Check::warn("ledger", found, "see that the disk is sound and has room; remove them when nothing is missed")
        }
    }
}

/// Leaves nothing behind.
fn can_write(folder: &Path) -> std::io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// The folder itself, or the nearest one above it: there it would be made.
fn first_there(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder)
}
