//! `doctor`: whether everything is there that work needs, and what to mend. Changes nothing.

mod api;
mod here;

use std::fmt;

use serde::Serialize;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::job::text::one_line;

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether no check failed.
    pub ok: bool,
    /// One by one.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in one word.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Work is possible, but somebody should know.
    Warn,
    /// Work that needs it will fail.
    Fail,
}

/// Looks at everything. Settings that cannot be read are a finding, too.
pub async fn doctor(settings: Result<Config>) -> Report {
    let mut checks = vec![here::program()];
    match settings {
        Err(e) => checks.push(Check::failed("settings", &e)),
        Ok(config) => {
            checks.extend([here::settings(&config), here::prices(&config)]);
            checks.extend(api::checks(&config).await);
            checks.extend([here::roots(&config), here::ledger(&config)]);
        }
    }
    Report { ok: checks.iter().all(|check| check.verdict != Verdict::Fail), checks }
}

impl Check {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, found: found.into(), mend: Some(mend.into()) }
    }

    fn failed(check: &'static str, error: &Error) -> Self {
        let mend = error.next_step().map(str::to_owned);
        Self { check, verdict: Verdict::Fail, found: error.to_string(), mend }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        let count = |verdict| self.checks.iter().filter(|check| check.verdict == verdict).count();
        match (count(Verdict::Fail), count(Verdict::Warn)) {
            (0, 0) => write!(f, "all is well"),
            (0, warned) => write!(f, "nothing fails; to look at: {warned}"),
            (failed, warned) => write!(f, "to mend: {failed}; to look at: {warned}"),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        write!(f, "{verdict:<5} {:<9} {}", self.check, one_line(&self.found))?;
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, "; mend: {}", one_line(mend)))
    }
}
