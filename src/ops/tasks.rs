//! Calls that outlast their answer: remembered, for whoever made them, beyond the process that works on them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::App;
use super::lease::Lease;
use crate::error::Result;
use crate::job::schedule;
use crate::job::text::{clip, one_line};
pub use crate::ledger::tasks::{TaskRecord, TaskState};

/// How long a task is remembered: the longest life of a batch, and a day to fetch what became of it.
const LIFE: TimeDelta = TimeDelta::hours(72);
/// Bytes of the words that say how far it is.
const MOST_MESSAGE_BYTES: usize = 400;

/// A call that is to become a task.
#[derive(Debug)]
pub struct NewTask {
    /// Its name, which nobody can guess.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// The tool that was called.
    pub tool: String,
    /// What it was called with, if it may be called once more should this process die.
    pub arguments: Option<Value>,
    /// How far it is.
    pub message: String,
}

/// Tasks on which this process works. A lease runs out while a machine sleeps; the work goes on when it wakes.
static HERE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The right to work on a task, among all processes, until it is dropped.
pub struct Hold {
    id: String,
    _lease: Lease,
}

impl Drop for Hold {
    fn drop(&mut self) {
        here().remove(&self.id);
    }
}

fn here() -> MutexGuard<'static, BTreeSet<String>> {
    HERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a task that is worked on here. `None` if there are too many.
pub fn begin(app: &App, new: NewTask) -> Result<Option<(TaskRecord, Hold)>> {
    // First the right to it: nobody is to find it and think that its process died.
    let Some(hold) = hold(app, &new.id)? else { return Ok(None) };
    let now = app.now();
    let task = TaskRecord {
        id: new.id,
        owner: new.owner,
        tool: new.tool,
        arguments: new.arguments,
        state: TaskState::Working,
        message: Some(in_bounds(&new.message)),
        created_at: now,
        updated_at: now,
        expires_at: now + LIFE,
    };
    Ok(app.ledger()?.begin_task(&task)?.then_some((task, hold)))
}

/// The task of this id, as its owner may see it.
pub fn find(app: &App, id: &str, owner: &str) -> Result<Option<TaskRecord>> {
    app.ledger()?.task(id, owner)
}

/// The right to a task on which nobody works any more, although it has not ended.
pub fn take_up(app: &App, task: &TaskRecord) -> Result<Option<Hold>> {
    if task.state != TaskState::Working
        || here().contains(&task.id)
        || app.ledger()?.is_leased(&lease_name(&task.id))?
    {
        return Ok(None);
    }
    let Some(hold) = hold(app, &task.id)? else { return Ok(None) };
    // Whoever had it may have ended it just now.
    let now = find(app, &task.id, &task.owner)?;
    Ok(now.is_some_and(|now| now.state == TaskState::Working).then_some(hold))
}

/// Says how far a task is.
pub fn tell(app: &App, id: &str, message: &str) -> Result<bool> {
    app.ledger()?.tell_task(id, &in_bounds(message))
}

/// Ends a task. `false` if it has ended before: the first end stays.
pub fn end(app: &App, id: &str, state: &TaskState, message: &str) -> Result<bool> {
    app.ledger()?.end_task(id, state, &in_bounds(message))
}

/// How soon it is worth to ask for a task again: by its age, as batches are.
pub fn pause(task: &TaskRecord, now: DateTime<Utc>) -> Duration {
    let until = if task.state == TaskState::Working { now } else { task.updated_at };
    schedule::pause((until - task.created_at).to_std().unwrap_or_default())
}

fn hold(app: &App, id: &str) -> Result<Option<Hold>> {
    let Some(lease) = Lease::if_free(app, lease_name(id))? else { return Ok(None) };
    here().insert(id.to_owned());
    Ok(Some(Hold { id: id.to_owned(), _lease: lease }))
}

fn lease_name(id: &str) -> String {
    format!("task {id}")
}

fn in_bounds(message: &str) -> String {
    one_line(&clip(message, MOST_MESSAGE_BYTES))
}
