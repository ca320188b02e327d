//! What a running process uses, as Linux tells it.

use std::process::Child;

/// Memory in use now, and the most there ever was, in bytes. None on other systems.
pub fn memory(child: &Child) -> Option<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    field("VmRSS:").zip(field("VmHWM:"))
}

/// Open files and connections. None on other systems.
pub fn open_files(child: &Child) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{}/fd", child.id())).ok()?.count())
}
