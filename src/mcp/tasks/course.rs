//! The course of a call that may become a task: how far it is, what it asks, and the order to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rmcp::model::InputRequest;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::questions::Questions;
use crate::mcp::progress;
use crate::ops::Ending;
use crate::progress::Progress;

/// Shared by the call and whoever watches it.
#[derive(Debug)]
pub(in crate::mcp) struct Course {
    /// The order to stop.
    pub(super) stop: CancellationToken,
    /// What its user is asked once it is a task.
    pub(super) questions: Questions,
    latest: watch::Sender<Option<Progress>>,
    stage: Mutex<Stage>,
    /// It has become a task: nobody hears of its progress by the call any more.
    left: CancellationToken,
}

/// What a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may become a task.
    Call,
    /// It ends with a question to its user, and becomes none.
    Asking,
    /// It has become one.
    Task,
}

impl Course {
    /// A course that goes on until it is told to stop, or the server ends.
    pub(super) fn new(ending: &Ending) -> Self {
        Self {
            stop: ending.stop().child_token(),
            questions: Questions::default(),
            latest: watch::Sender::new(None),
            stage: Mutex::new(Stage::Call),
            left: CancellationToken::new(),
        }
    }

    /// That of a call which is a task already.
    pub(in crate::mcp) fn of_task(ending: &Ending) -> Self {
        let course = Self::new(ending);
        *course.stage() = Stage::Task;
        course.left.cancel();
        course
    }

    /// Takes note of progress.
    pub(in crate::mcp) fn report(&self, progress: &Progress) {
        self.latest.send_replace(Some(progress.clone()));
    }

    /// Makes a task of the call, if that can be recorded, and unless it is about to end with a question.
    pub(super) fn leave<T, E>(&self, record: impl FnOnce() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
        let mut stage = self.stage();
        if *stage == Stage::Asking {
            return Ok(None);
        }
        let recorded = record()?;
        if recorded.is_some() {
            *stage = Stage::Task;
            self.left.cancel();
        }
        Ok(recorded)
    }

    /// Whether a question may end the call, which then becomes no task. One that is a task asks by that.
    pub(in crate::mcp) fn ends_with_question(&self) -> bool {
        let mut stage = self.stage();
        if *stage == Stage::Call {
            *stage = Stage::Asking;
        }
        *stage == Stage::Asking
    }

    /// Cancelled once it is a task.
    pub(in crate::mcp) fn left(&self) -> &CancellationToken {
        &self.left
    }

    /// Asks the user of the task, and waits for the answer.
    pub(in crate::mcp) async fn ask(&self, name: &str, question: InputRequest) -> Value {
        self.questions.ask(name, question).await
    }

    /// When it is told to stop.
    pub(in crate::mcp) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// How far it is, in words.
    pub(super) fn words(&self) -> Option<String> {
        self.latest.borrow().as_ref().map(progress::words)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The courses of the tasks on which this process works, by their ids. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::mcp) struct Courses(Arc<Mutex<HashMap<String, Weak<Course>>>>);

impl Courses {
    /// Adds one, until it has come to its end.
    pub(super) fn add(&self, id: &str, course: &Arc<Course>) {
        let mut all = self.lock();
        all.retain(|_, course| course.strong_count() > 0);
        all.insert(id.to_owned(), Arc::downgrade(course));
    }

    /// That of a task, if this process works on it.
    pub(super) fn of(&self, id: &str) -> Option<Arc<Course>> {
        self.lock().get(id)?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Course>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
