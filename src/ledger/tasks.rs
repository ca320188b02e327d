//! Calls of tools that outlast their answer: how each stands, and in the end what it answered.
//!
//! An id is a secret of whoever made the call, and a row is shown to nobody else. Whether anybody works on it is told by
//! the lease `task ID`.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::Value;

use super::Ledger;
use super::lease::LEASE;
use super::moment::{text, time};
use crate::error::Result;

/// How many tasks there may be.
struct Most {
    /// Worked on at a time.
    working: i64,
    /// Remembered.
    all: i64,
}

/// Of one owner, so that nobody is kept out by another; and of all together.
const OF_ONE: Most = Most { working: 50, all: 500 };
const OF_ALL: Most = Most { working: 200, all: 2000 };

/// Somebody works on it: between ?1 and ?2 lies the end of any lease that is held.
const HELD: &str =
    "(state = 'working' AND EXISTS (SELECT 1 FROM leases WHERE name = 'task ' || id AND until BETWEEN ?1 AND ?2))";

/// A task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// 32 hexadecimal digits that nobody can guess.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// The tool that was called.
    pub tool: String,
    /// What it was called with, if the call may be made again.
    pub arguments: Option<Value>,
    /// How it stands.
    pub state: TaskState,
    /// The same in words.
    pub message: Option<String>,
    /// When the call became a task.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it is forgotten.
    pub expires_at: DateTime<Utc>,
}

/// How a task stands. All but the first are its end.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskState {
    /// The call goes on.
    Working,
    /// What the tool answered, a failure of its own included.
    Completed(Value),
    /// The error of the protocol that took the place of an answer.
    Failed(Value),
    /// Its owner did not want it any longer.
    Cancelled,
}

impl TaskState {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn outcome(&self) -> Option<&Value> {
        match self {
            Self::Completed(outcome) | Self::Failed(outcome) => Some(outcome),
            Self::Working | Self::Cancelled => None,
        }
    }

    fn read(word: &str, outcome: Value) -> Self {
        match word {
            "completed" => Self::Completed(outcome),
            "failed" => Self::Failed(outcome),
            "cancelled" => Self::Cancelled,
            _ => Self::Working,
        }
    }
}

impl Ledger {
    /// Remembers a new task; `false` if there are too many. Those whose time is up are forgotten first.
    pub fn begin_task(&self, task: &TaskRecord) -> Result<bool> {
        self.write("recording a task", |tx| {
            sweep(tx, task.created_at)?;
            let theirs = to_give_way(tx, &OF_ONE, Some(&task.owner))?;
            let (Some(theirs), Some(all)) = (theirs, to_give_way(tx, &OF_ALL, None)?) else { return Ok(false) };
            give_way(tx, theirs, Some(&task.owner))?;
            give_way(tx, all - theirs, None)?;
            insert(tx, task).map(|()| true)
        })
    }

    /// The task of this id, if it is this owner's and its time is not up.
    pub fn task(&self, id: &str, owner: &str) -> Result<Option<TaskRecord>> {
        let now = text(Utc::now());
        let found = self.read("reading a task", |connection| find(connection, id, owner))?;
        let is_over = found.as_ref().is_some_and(|task| text(task.expires_at) <= now);
        if is_over {
            self.write("forgetting old tasks", |tx| sweep(tx, Utc::now()))?;
        }
        Ok(found.filter(|_| !is_over))
    }

    /// Says how far a task has come. `false` if it has ended.
    pub fn tell_task(&self, id: &str, message: &str) -> Result<bool> {
        self.write("recording how far a task is", |tx| {
            let told = tx.execute(
                "UPDATE tasks SET message = ?2, updated_at = ?3 WHERE id = ?1 AND state = 'working'",
                params![id, message, text(Utc::now())],
            )?;
            Ok(told == 1)
        })
    }

    /// Ends a task. `false` if it has ended before: the first end stays.
    pub fn end_task(&self, id: &str, state: &TaskState, message: &str) -> Result<bool> {
        self.write("recording the end of a task", |tx| {
            let ended = tx.execute(
                "UPDATE tasks SET state = ?2, outcome = ?3, message = ?4, updated_at = ?5, arguments = NULL \
                 WHERE id = ?1 AND state = 'working'",
                params![id, state.as_str(), state.outcome().map(Value::to_string), message, text(Utc::now())],
            )?;
            Ok(ended == 1)
        })
    }
}

/// How many of those whose process died have to go for one more, as they hold no place; `None` if there are not enough.
fn to_give_way(tx: &Transaction<'_>, most: &Most, owner: Option<&str>) -> rusqlite::Result<Option<i64>> {
    let now = Utc::now();
    let count = format!(
        "SELECT count(*), count(*) FILTER (WHERE {HELD}), count(*) FILTER (WHERE state = 'working' AND NOT {HELD}) \
         FROM tasks WHERE (?3 IS NULL OR owner = ?3)"
    );
    tx.query_row(&count, params![text(now), text(now + LEASE), owner], |row| {
        let (all, held, dead): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let too_many = (all - most.all + 1).max(0);
        Ok((held < most.working && too_many <= dead).then_some(too_many))
    })
}

/// Forgets the oldest of those whose process died.
fn give_way(tx: &Transaction<'_>, many: i64, owner: Option<&str>) -> rusqlite::Result<()> {
    let now = Utc::now();
    let dead = format!(
        "SELECT id FROM tasks WHERE (?3 IS NULL OR owner = ?3) AND state = 'working' AND NOT {HELD} ORDER BY updated_at"
    );
    let forget = format!("DELETE FROM tasks WHERE id IN ({dead} LIMIT ?4)");
    tx.execute(&forget, params![text(now), text(now + LEASE), owner, many.max(0)])?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, task: &TaskRecord) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO tasks (id, owner, tool, arguments, state, outcome, message, created_at, updated_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            task.id,
            task.owner,
            task.tool,
            task.arguments.as_ref().map(Value::to_string),
            task.state.as_str(),
            task.state.outcome().map(Value::to_string),
            task.message,
            text(task.created_at),
            text(task.updated_at),
            text(task.expires_at)
        ],
    )?;
    Ok(())
}

fn find(connection: &Connection, id: &str, owner: &str) -> rusqlite::Result<Option<TaskRecord>> {
    connection
        .prepare_cached(
            "SELECT id, owner, tool, arguments, state, outcome, message, created_at, updated_at, expires_at \
             FROM tasks WHERE id = ?1 AND owner = ?2",
        )?
        .query_row(params![id, owner], record)
        .optional()
}

fn record(row: &Row<'_>) -> rusqlite::Result<TaskRecord> {
    let json = |column| {
        let text = row.get::<_, Option<String>>(column)?;
        Ok::<_, rusqlite::Error>(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    let moment = |column| row.get(column).map(|text| time(text).unwrap_or_default());
    Ok(TaskRecord {
        id: row.get(0)?,
        owner: row.get(1)?,
        tool: row.get(2)?,
        arguments: json(3)?,
        state: TaskState::read(&row.get::<_, String>(4)?, json(5)?.unwrap_or_default()),
        message: row.get(6)?,
        created_at: moment(7)?,
        updated_at: moment(8)?,
        expires_at: moment(9)?,
    })
}

/// Forgets tasks whose time is up, and leases that nobody renews.
fn sweep(tx: &Transaction<'_>, now: DateTime<Utc>) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM tasks WHERE expires_at <= ?1", [text(now)])?;
    tx.execute("DELETE FROM leases WHERE name LIKE 'task %' AND until < ?1", [text(now)])?;
    Ok(())
}
