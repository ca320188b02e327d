//! `history`: what happened to a job and its retries, in plain words.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::counted;
use crate::job::text::{clip, one_line};
use crate::ledger::events::{Asked, Event};
use crate::progress::Monitor;

/// Which job, and how much of its history.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryArgs {
    /// Handle, its unique beginning, or a batches/… name.
    pub job: String,
    /// The newest so many events: 50 unless asked.
    pub limit: Option<i64>,
    /// All of them.
    pub all: bool,
    /// Calls of the API, too.
    pub calls: bool,
}

/// What happened, oldest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HistoryReply {
    /// The job.
    pub job: String,
    /// Events of the job, its parts and its retries, oldest first.
    pub events: Vec<HistoryEvent>,
    /// Older events that are not shown.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub older: i64,
    /// Calls of the API that are not shown.
    #[serde(skip_serializing_if = "crate::job::is_zero")]
    pub calls: i64,
    /// What to call next.
    pub next: String,
}

/// One event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct HistoryEvent {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// The job, part or retry it is about.
    pub job: String,
    /// What happened, in a word.
    pub event: String,
    /// The same in plain words.
    pub words: String,
}

impl fmt::Display for HistoryReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.older > 0 {
            writeln!(f, "({} before these: --all shows them)", counted(self.older, "event"))?;
        }
        let others = self.events.iter().filter(|event| event.job != self.job).map(|event| event.job.len());
        let width = others.max().map(|longest| longest.max(self.job.len()));
        for event in &self.events {
            let time = event.at.get(..19).unwrap_or(&event.at).replace('T', " ") + "Z";
            match width {
                Some(width) => writeln!(f, "{time}  {:width$}  {}", event.job, event.words)?,
                None => writeln!(f, "{time}  {}", event.words)?,
            }
        }
        if self.calls > 0 {
            writeln!(f, "({} of the API besides: --calls shows them)", counted(self.calls, "call"))?;
        }
        write!(f, "next: {}", self.next)
    }
}

const USUAL_LIMIT: usize = 50;
/// Letters of a detail that are shown.
const LONGEST_DETAIL: usize = 300;

/// Tells what happened to a job, its parts and its retries.
pub async fn history(app: &App, args: HistoryArgs, _monitor: &dyn Monitor) -> Result<HistoryReply> {
    let newest = newest(&args)?;
    let job = super::find::job(app, &args.job).await?;
    let ledger = app.ledger()?;
    let mut handles = vec![job.handle.clone()];
    handles.extend(ledger.retries_of(&job.handle)?.into_iter().map(|retry| retry.handle));
    let found = ledger.events_of(&handles, Asked { newest, calls: args.calls })?;
    Ok(HistoryReply {
        job: job.handle.to_string(),
        events: found.events.into_iter().map(told).collect(),
        older: found.older,
        calls: found.calls,
        next: match job.state().is_terminal() && !job.is_withdrawn() {
            true => format!("get_results {{\"job\": \"{}\"}}", job.handle),
            false => format!("check_status {{\"jobs\": [\"{}\"]}}", job.handle),
        },
    })
}

fn newest(args: &HistoryArgs) -> Result<Option<usize>> {
    match args.limit {
        _ if args.all => Ok(None),
        None => Ok(Some(USUAL_LIMIT)),
        Some(limit) => match usize::try_from(limit) {
            Ok(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(Error::new(ErrorKind::InvalidArgument, "telling a job's history", format!("limit is {limit}"))
                .hint("pass a number above 0, or ask for all")),
        },
    }
}

fn told(event: Event) -> HistoryEvent {
    HistoryEvent { words: words(&event), at: event.at, job: event.handle, event: event.event }
}

/// The event as a person says it. One that is not known here is told by its own word.
fn words(event: &Event) -> String {
    let detail = clip(&one_line(&event.detail), LONGEST_DETAIL);
    let (part, detail) = part(&detail);
    let told = match event.event.as_str() {
        "intended" => format!("wanted: {detail}; nothing is sent yet"),
        "uploading" => "upload of the requests begun".to_owned(),
        "uploaded" => format!("requests uploaded as {detail}"),
        "upload lost" => "the uploaded requests are gone: they are sent again".to_owned(),
        "upload deleted" => "uploaded requests deleted at the API".to_owned(),
        "creating" => "create sent".to_owned(),
        "unclear" => "whether it was created is not known: it is looked up, not repeated".to_owned(),
        "absent" => "it is certainly not at the API: it may be sent again".to_owned(),
        "created" => format!("created at the API as {detail}; from here on it costs"),
        "refused" => format!("refused, nothing is spent: {detail}"),
        "waiting" => format!("waits to be sent: {detail}"),
        "held" => format!("not to be sent any more: {detail}"),
        "released" => format!("to be sent after all: {detail}"),
        "adopted" if detail.starts_with("batches/") => format!("found at the API as {detail}; nothing new is paid"),
        "adopted" => format!("recorded anew {detail}"),
        "state" => format!("now {detail}"),
        "settled" => format!("it cost {detail}"),
        "priced" => detail.to_owned(),
        "written" => format!("all answers written to {detail}"),
        "collected" => "all answers are on this machine".to_owned(),
        "deleted" => "deleted at the API".to_owned(),
        "pruned" => format!("removed from the ledger: {detail}"),
        _ => call(event).unwrap_or_else(|| format!("{} {detail}", event.event)),
    };
    let told = told.trim_end_matches([' ', ':']);
    part.map_or(told.to_owned(), |part| format!("{part}: {told}"))
}

/// "part 2: files/abc" in its two halves; the first part goes without saying.
fn part(detail: &str) -> (Option<&str>, &str) {
    let (part, rest) = detail.split_once(": ").unwrap_or((detail, ""));
    match part.strip_prefix("part ").map(str::parse::<u32>) {
        Some(Ok(_)) => (Some(part), rest),
        _ => (None, detail),
    }
}

/// "GET batches/abc: 200 after 84 ms".
fn call(event: &Event) -> Option<String> {
    let call = event.call()?;
    let outcome = match (call.status, &call.class) {
        (Some(status), Some(class)) => format!("{status} ({class})"),
        (Some(status), None) => status.to_string(),
        (None, Some(class)) => format!("no answer ({class})"),
        (None, None) => "no answer".to_owned(),
    };
    Some(format!("{} {}: {outcome} after {} ms", call.method, call.resource, call.ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: &str, detail: &str) -> Event {
        Event { at: String::new(), handle: String::new(), event: event.to_owned(), detail: detail.to_owned() }
    }

    #[test]
    fn events_are_told_in_plain_words_and_unknown_ones_by_their_own() {
        for (word, detail, told) in [
            ("state", "JOB_STATE_RUNNING", "now JOB_STATE_RUNNING"),
            ("refused", "429:\ntoo many", "refused, nothing is spent: 429: too many"),
            ("created", "part 2: batches/a", "part 2: created at the API as batches/a; from here on it costs"),
            ("creating", "part 12", "part 12: create sent"),
            ("released", "", "to be sent after all"),
            ("adopted", "batches/a", "found at the API as batches/a; nothing new is paid"),
            (
                "call",
                r#"{"method":"GET","resource":"batches/a","status":200,"ms":84}"#,
                "GET batches/a: 200 after 84 ms",
            ),
            (
                "call",
                r#"{"method":"POST","resource":"m","ms":5,"class":"timeout"}"#,
                "POST m: no answer (timeout) after 5 ms",
            ),
            ("call", "broken", "call broken"),
            ("something new", "", "something new"),
        ] {
            assert_eq!(words(&event(word, detail)), told);
        }
    }
}
