//! What the work of a task asks its user: shown by `tasks/get`, answered by `tasks/update` (SEP-2663, input requests).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::{InputRequest, InputRequests, InputResponses};
use serde_json::Value;
use tokio::sync::oneshot;

/// Questions that nobody has answered yet.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// How many there have been.
    count: usize,
    open: BTreeMap<String, (InputRequest, oneshot::Sender<Value>)>,
}

impl Questions {
    /// Asks. The question goes when the caller does not wait any more.
    pub(super) async fn ask(&self, name: &str, question: InputRequest) -> Value {
        let (sender, answer) = oneshot::channel();
        let key = {
            let mut asked = self.lock();
            asked.count += 1;
            // No other question of this task has this key: an answer that comes late is none to a later question.
            let key = format!("{name}-{}", asked.count);
            asked.open.insert(key.clone(), (question, sender));
            key
        };
        let _open = Open { questions: self, key };
        match answer.await {
            Ok(answer) => answer,
            // Nobody drops it unanswered but `Open`.
            Err(_) => std::future::pending().await,
        }
    }

    /// All that are open.
    pub(super) fn open(&self) -> InputRequests {
        self.lock().open.iter().map(|(key, (question, _))| (key.clone(), question.clone())).collect()
    }

    /// Hands answers on; what was not asked, or was answered, is ignored.
    pub(super) fn answer(&self, answers: InputResponses) {
        for (key, answer) in answers {
            let asked = self.lock().open.remove(&key);
            if let Some((_question, waiting)) = asked {
                let _nobody_waits_any_more = waiting.send(answer);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question, as long as somebody waits for its answer.
struct Open<'a> {
    questions: &'a Questions,
    key: String,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.questions.lock().open.remove(&self.key);
    }
}
