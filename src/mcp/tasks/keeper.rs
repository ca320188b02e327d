//! Whoever keeps the record of a task true while its work goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rmcp::model::{CallToolResponse, ErrorData};
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::course::Course;
use crate::ops::App;
use crate::ops::tasks::{self, Hold, TaskRecord, TaskState};

/// Work that answers a call.
pub(super) type Work = JoinHandle<Result<CallToolResponse, ErrorData>>;

/// How often it is looked whether the task is still wanted, and how often it is told at most how far it is.
const LOOK: Duration = Duration::from_secs(1);
const TELL: Duration = Duration::from_secs(5);

/// Sees the work to its end and writes down what it answered. Stops it when its owner, or its time, has ended the task.
/// Of what the end of this server has stopped nothing is written down: it is as if its process had died.
pub(super) async fn keep(app: App, mut task: TaskRecord, hold: Hold, mut work: Work, course: Arc<Course>) {
    let mut told = Instant::now();
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut work => break answer,
            () = tokio::time::sleep(LOOK), if !course.stop.is_cancelled() => {}
        }
        if !is_wanted(&app, &task) {
            course.stop.cancel();
        }
        let words = course.words().filter(|words| Some(words) != task.message.as_ref());
        if let Some(words) = words.filter(|_| told.elapsed() >= TELL) {
            logged(tasks::tell(&app, &task.id, &words));
            told = Instant::now();
            task.message = Some(words);
        }
    };
    let answer = answer.unwrap_or_else(|e| Err(ErrorData::internal_error(format!("{}: {e}", task.tool), None)));
    if app.ending().stop().is_cancelled() && !has_succeeded(&answer) {
        return;
    }
    let (state, words) = end(answer);
    // If that fails, as on a full disk, the task is taken for one whose process died.
    logged(tasks::end(&app, &task.id, &state, &words));
    drop(hold);
}

/// A ledger that cannot be read just now, or that has lost the task, says nothing.
fn is_wanted(app: &App, task: &TaskRecord) -> bool {
    let found = tasks::find(app, &task.id, &task.owner).ok().flatten();
    app.now() < task.expires_at && found.is_none_or(|found| found.state == TaskState::Working)
}

fn has_succeeded(answer: &Result<CallToolResponse, ErrorData>) -> bool {
    matches!(answer, Ok(CallToolResponse::Complete(result)) if result.is_error != Some(true))
}

/// What an answer makes of a task.
fn end(answer: Result<CallToolResponse, ErrorData>) -> (TaskState, String) {
    match answer {
        Ok(CallToolResponse::Complete(result)) => {
            let words = if result.is_error == Some(true) { "the call failed; the result says why" } else { "done" };
            (TaskState::Completed(json(&result)), words.to_owned())
        }
        // A task asks by itself.
        Ok(_) => failed(&ErrorData::internal_error("the call ended with a question", None)),
        Err(error) => failed(&error),
    }
}

/// The end of a task by an error of the protocol.
pub(super) fn failed(error: &ErrorData) -> (TaskState, String) {
    (TaskState::Failed(json(error)), error.message.to_string())
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn logged<T>(written: crate::error::Result<T>) {
    if let Err(e) = written {
        tracing::warn!("a task could not be recorded: {e}");
    }
}
