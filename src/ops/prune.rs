//! `prune`: old jobs that are done with are forgotten: in the ledger, and with their answers on this machine.
//!
//! Shows what would go, unless told to do it.

use std::fmt;

use chrono::{SecondsFormat, TimeDelta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::vault::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Handle;
use crate::job::outcome::counted;
use crate::ledger::prune::Prunable;
use crate::progress::Monitor;

/// Which jobs, and whether to do it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PruneArgs {
    /// Jobs that ended more than so many days ago, 1 at least.
    pub older_than_days: i64,
    /// Do it. Otherwise only say what would go.
    pub yes: bool,
    /// File to write what is remembered of these jobs to, first.
    pub export: Option<String>,
}

/// What went, or would go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PruneReply {
    /// The jobs, oldest first.
    pub jobs: Vec<PrunedJob>,
    /// Nothing was removed: these would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Bytes of keys and answers that were removed with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The file that what was remembered of them is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<String>,
    /// Things to know.
    pub warnings: Vec<String>,
    /// What to call next.
    pub next: String,
}

/// A job that went, or would go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PrunedJob {
    /// Its handle.
    pub job: String,
    /// How it ended.
    pub state: String,
    /// Requests in it.
    pub requests: i64,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// Jobs named in a text.
const MOST_NAMED: usize = 100;

impl fmt::Display for PruneReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = counted(i64::try_from(self.jobs.len()).unwrap_or(i64::MAX), "job");
        match (self.jobs.is_empty(), self.dry_run) {
            (true, _) => writeln!(f, "no job is old enough, ended, and collected or deleted")?,
            (false, true) => writeln!(f, "{jobs} would be removed, with the answers kept on this machine:")?,
            (false, false) => writeln!(f, "{jobs} removed, with the answers kept on this machine:")?,
        }
        for job in self.jobs.iter().take(MOST_NAMED) {
            let ended = job.ended.as_deref().map_or(String::new(), |ended| format!(", ended {ended}"));
            writeln!(f, "  {} {} {}{ended}", job.job, job.state, counted(job.requests, "request"))?;
        }
        if self.jobs.len() > MOST_NAMED {
            writeln!(f, "  … and {} more", self.jobs.len() - MOST_NAMED)?;
        }
        if let Some(exported) = &self.exported {
            writeln!(f, "what was remembered of them is in {exported}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        write!(f, "next: {}", self.next)
    }
}

const FORGOTTEN: &str = "the same content submitted again is then no longer known here: it is looked up at the API, and \
                         if it is gone there too, it is submitted and paid again";

/// Forgets jobs that ended long ago, or says which would go.
pub async fn prune(app: &App, args: PruneArgs, monitor: &dyn Monitor) -> Result<PruneReply> {
    let act = "removing old jobs";
    if args.older_than_days < 1 {
        let cause = format!("older_than_days is {}", args.older_than_days);
        return Err(Error::new(ErrorKind::InvalidArgument, act, cause).hint("pass 1 or more"));
    }
    if args.yes {
        app.allow_changes(act)?;
    }
    let age = TimeDelta::try_days(args.older_than_days);
    // What is older than time itself is nothing.
    let before = age.and_then(|age| app.now().checked_sub_signed(age)).unwrap_or_default();
    let ledger = app.ledger()?;
    let found = ledger.prunable(before)?;
    if !args.yes || found.is_empty() {
        return Ok(shown(found, &args));
    }
    let handles: Vec<Handle> = found.iter().map(|job| job.handle.clone()).collect();
    monitor.check(act)?;
    let exported = match &args.export {
        Some(output) => Some(super::export::to_file(app, output, false, Some(&handles))?.0),
        None => None,
    };
    let gone = ledger.prune(&handles, before)?;
    let mut warnings = vec![FORGOTTEN.to_owned()];
    let mut bytes = 0;
    let folders = gone.handles.iter().map(|handle| Vault::remove(app, handle));
    for removed in folders.chain(gone.inputs.iter().map(|input| Vault::remove_inline(app, input))) {
        match removed {
            Ok(removed) => bytes += removed,
            Err(e) => warnings.push(e.to_string()),
        }
    }
    let jobs = found.into_iter().filter(|job| gone.handles.contains(&job.handle)).map(listed).collect();
    Ok(PruneReply { jobs, dry_run: false, bytes: Some(bytes), exported, warnings, next: "nothing".to_owned() })
}

fn shown(found: Vec<Prunable>, args: &PruneArgs) -> PruneReply {
    let (warnings, next) = match found.is_empty() {
        true => (Vec::new(), "nothing"),
        false if args.export.is_some() => {
            (vec![FORGOTTEN.to_owned()], "the same with --yes writes the export, then removes them")
        }
        false => (vec![FORGOTTEN.to_owned()], "the same with --yes removes them"),
    };
    let jobs: Vec<_> = found.into_iter().map(listed).collect();
    PruneReply { dry_run: !args.yes, jobs, bytes: None, exported: None, warnings, next: next.to_owned() }
}

fn listed(job: Prunable) -> PrunedJob {
    PrunedJob {
        job: job.handle.to_string(),
        state: job.state.to_string(),
        requests: job.requests,
        ended: job.ended_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
    }
}
