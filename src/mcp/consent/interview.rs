//! How a user is asked: by a request within the call, or by ending the call with the question.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    ErrorData, InputRequest, InputRequiredResult, InputResponses, ProtocolVersion,
};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer, ServiceError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::seal::{Seal, Standing};
use crate::error::{Error, ErrorKind, Result};
use crate::job::text::{clip, one_line};
use crate::mcp::handler::{cannot_push, has_lost_session};
use crate::mcp::tasks::Course;
use crate::progress::BY_THE_CALLER;

/// How long a call waits for its user, and how long a task does. Later the answer is no.
const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_OF_TASK: Duration = Duration::from_secs(3600);
/// Bytes of an answer that is told because it is none.
const MOST_SAID_BYTES: usize = 80;

/// A question that only the user can answer.
#[derive(Debug)]
pub(in crate::mcp) struct Question {
    /// Which of the questions of a call.
    pub(in crate::mcp) name: &'static str,
    /// Exactly what it is about: an answer holds for nothing else.
    pub(in crate::mcp) about: String,
    /// The question.
    pub(in crate::mcp) message: String,
    /// The form of the answer; it has one field, named as the question.
    pub(in crate::mcp) form: ElicitationSchema,
    /// What is an answer: clients hand on whatever was put in.
    pub(in crate::mcp) takes: Takes,
    /// What is not done without an answer.
    pub(in crate::mcp) act: &'static str,
    /// What to do then instead.
    pub(in crate::mcp) hint: String,
    /// What says in the call itself that the user agreed, where they cannot be asked any more.
    pub(in crate::mcp) in_the_call: &'static str,
}

/// What is taken for an answer.
#[derive(Debug)]
pub(in crate::mcp) enum Takes {
    /// A yes: `true`, and nothing that some language takes for it.
    Yes,
    /// One of what was offered.
    OneOf(Vec<String>),
    /// Whatever it is.
    #[cfg(feature = "_conformance")]
    Anything,
}

impl Takes {
    fn takes(&self, answer: &Value) -> bool {
        match self {
            Self::Yes => *answer == Value::Bool(true),
            Self::OneOf(offered) => answer.as_str().is_some_and(|answer| offered.iter().any(|offer| offer == answer)),
            #[cfg(feature = "_conformance")]
            Self::Anything => true,
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Yes => "only true is a yes",
            Self::OneOf(_) => "that was not offered",
            #[cfg(feature = "_conformance")]
            Self::Anything => "that is nothing",
        }
    }
}

impl Question {
    fn declined(&self, why: impl Into<String>) -> Error {
        Error::new(ErrorKind::Declined, self.act, why).hint(&self.hint)
    }

    fn too_late(&self) -> Error {
        self.declined("the user gave no answer in time")
    }

    /// Nobody waits for the answer any more.
    fn given_up(&self) -> Error {
        Error::new(ErrorKind::Cancelled, self.act, BY_THE_CALLER).hint(&self.hint)
    }

    fn unheard(&self) -> Error {
        let hint = format!(
            "{}; {}, or let the user connect this server again, then they are asked",
            self.hint, self.in_the_call
        );
        Error::new(ErrorKind::Declined, self.act, "the session in which the user could be asked has ended").hint(hint)
    }

    fn form(&self) -> ElicitRequestParams {
        ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: self.message.clone(),
            requested_schema: self.form.clone(),
        }
    }

    fn request(&self) -> InputRequest {
        InputRequest::Elicitation(ElicitRequest::new(self.form()))
    }

    /// An answer that did not come as one of its own.
    fn brought(&self, answer: Value) -> Result<Value> {
        let answer: ElicitResult = serde_json::from_value(answer)
            .map_err(|e| self.declined(format!("the client's answer cannot be read: {e}")))?;
        self.heard(&answer)
    }

    /// Only a form that was filled in, and with what was asked for, is an answer.
    fn heard(&self, answer: &ElicitResult) -> Result<Value> {
        match (&answer.action, answer.content.as_ref().and_then(|content| content.get(self.name))) {
            (ElicitationAction::Accept, Some(Value::Bool(false))) | (ElicitationAction::Decline, _) => {
                Err(self.declined("the user said no, or the client said it for them"))
            }
            (ElicitationAction::Accept, Some(value)) if self.takes.takes(value) => Ok(value.clone()),
            (ElicitationAction::Accept, Some(value)) => {
                let said = one_line(&clip(&value.to_string(), MOST_SAID_BYTES));
                Err(self.declined(format!("the answer is {said}, and {}", self.takes.what())))
            }
            _ => Err(self.declined("no answer came from the user, or the client runs without one")),
        }
    }
}

/// An answer, or that there is none yet.
#[derive(Debug)]
pub(in crate::mcp) enum Heard {
    /// What the user put in.
    Answer(Value),
    /// The question, to be brought to the user. The same call comes back with the answer.
    Later(Box<InputRequiredResult>),
}

/// How the user of this call can be asked.
enum Way {
    /// The client does not ask its user.
    Never,
    /// The client does, and does not know that the session for it has ended.
    Lost,
    /// Up to 2025-11-25: by a request to the client, which answers it.
    Session { peer: Peer<RoleServer>, cancellation: CancellationToken },
    /// From 2026-07-28 on: by ending the call, or by the task that it has become.
    Rounds { seal: Seal, brought: InputResponses, course: Option<Arc<Course>> },
}

/// The questions of one call.
pub(in crate::mcp) struct Interview {
    way: Way,
    standing: Standing,
}

impl Interview {
    /// That of a call which may have brought answers from the round before. Fails if what it brought back as sealed was
    /// not sealed here for this call: such a state is to be rejected (MCP 2026-07-28, multi round-trip requests).
    pub(in crate::mcp) fn new(
        context: &RequestContext<RoleServer>,
        seal: impl FnOnce() -> Seal,
        brought: Option<InputResponses>,
        sealed: Option<&str>,
    ) -> Result<Self, ErrorData> {
        if has_lost_session(context) {
            return Ok(Self { way: Way::Lost, standing: Standing::default() });
        }
        if !context.client_capabilities().is_some_and(|capabilities| can_ask(&capabilities)) {
            return Ok(Self { way: Way::Never, standing: Standing::default() });
        }
        if context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
            let seal = seal();
            let standing = match sealed {
                Some(sealed) => seal.open(sealed).ok_or_else(not_of_this_call)?,
                None => Standing::default(),
            };
            let course = context.extensions.get::<Arc<Course>>().cloned();
            return Ok(Self { way: Way::Rounds { seal, brought: brought.unwrap_or_default(), course }, standing });
        }
        let way = match cannot_push(context) {
            true => Way::Never,
            false => Way::Session { peer: context.peer.clone(), cancellation: context.ct.clone() },
        };
        Ok(Self { way, standing: Standing::default() })
    }

    /// Whether there is a user to ask, now or after the client has connected again.
    pub(super) fn is_possible(&self) -> bool {
        !matches!(self.way, Way::Never)
    }

    /// Whether the user could be asked, but not before the client has connected again.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.way, Way::Lost)
    }

    /// Whether answers come while the call waits for them, minutes after what they were asked for.
    pub(super) fn waits(&self) -> bool {
        match &self.way {
            Way::Session { .. } => true,
            Way::Rounds { course, .. } => course.as_ref().is_some_and(|course| course.left().is_cancelled()),
            Way::Never | Way::Lost => false,
        }
    }

    /// Of a call that may become a task.
    #[cfg(feature = "_conformance")]
    pub(in crate::mcp) fn course(&self) -> Option<Arc<Course>> {
        match &self.way {
            Way::Rounds { course, .. } => course.clone(),
            _ => None,
        }
    }

    /// Asks, unless the same was answered in a round before. Fails if the user does not agree.
    pub(in crate::mcp) async fn ask(&mut self, question: &Question) -> Result<Heard> {
        if let Some((about, answer)) = self.standing.settled.get(question.name)
            && *about == question.about
        {
            return Ok(Heard::Answer(answer.clone()));
        }
        match &mut self.way {
            Way::Never => Err(question.declined("the client does not ask its user")),
            Way::Lost => Err(question.unheard()),
            Way::Session { peer, cancellation } => {
                within_the_call(peer, cancellation, question).await.map(Heard::Answer)
            }
            Way::Rounds { seal, brought, course } => {
                let is_open = self.standing.asked == question.name && self.standing.about == question.about;
                let Some(answer) = brought.remove(question.name).filter(|_| is_open) else {
                    return match course.as_ref().filter(|course| !course.ends_with_question()) {
                        Some(course) => by_the_task(course, question).await.map(Heard::Answer),
                        None => later(seal, &mut self.standing, question),
                    };
                };
                let value = question.brought(answer)?;
                self.standing.settled.insert(question.name.to_owned(), (question.about.clone(), value.clone()));
                Ok(Heard::Answer(value))
            }
        }
    }
}

/// Whether a client can ask its user. One that says nothing of forms means forms (MCP 2025-11-25, elicitation).
pub(in crate::mcp) fn can_ask(capabilities: &ClientCapabilities) -> bool {
    capabilities.elicitation.as_ref().is_some_and(|known| known.form.is_some() || known.url.is_none())
}

fn not_of_this_call() -> ErrorData {
    let text = "requestState is not of this caller and this call with these arguments, or was made more than an hour ago or before the \
                server was started anew; make the call again without it";
    ErrorData::invalid_params(text, None)
}

async fn within_the_call(
    peer: &Peer<RoleServer>,
    cancellation: &CancellationToken,
    question: &Question,
) -> Result<Value> {
    tokio::select! {
        answer = peer.create_elicitation_with_timeout(question.form(), Some(PATIENCE)) => match answer {
            Ok(answer) => question.heard(&answer),
            Err(ServiceError::Timeout { .. }) => Err(question.too_late()),
            Err(e) => Err(question.declined(format!("the client could not ask the user: {e}"))),
        },
        () = cancellation.cancelled() => Err(question.given_up()),
    }
}

/// Asks while the task of the call waits.
pub(in crate::mcp) async fn by_the_task(course: &Course, question: &Question) -> Result<Value> {
    tokio::select! {
        biased;
        () = course.stopped() => Err(question.given_up()),
        answer = tokio::time::timeout(PATIENCE_OF_TASK, course.ask(question.name, question.request())) => match answer {
            Ok(answer) => question.brought(answer),
            Err(_) => Err(question.too_late()),
        },
    }
}

/// Ends the call with the question.
fn later(seal: &Seal, standing: &mut Standing, question: &Question) -> Result<Heard> {
    question.name.clone_into(&mut standing.asked);
    standing.about.clone_from(&question.about);
    let sealed = seal.close(standing).ok_or_else(|| question.declined("there is no randomness for a seal"))?;
    let requests = [(question.name.to_owned(), question.request())].into();
    Ok(Heard::Later(Box::new(InputRequiredResult::new(Some(requests), Some(sealed)))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ops::Ending;

    fn about(what: &str) -> Question {
        Question {
            name: "pay",
            about: what.to_owned(),
            message: String::new(),
            form: ElicitationSchema::builder().build().unwrap(),
            takes: Takes::Yes,
            act: "submitting the job",
            hint: String::new(),
            in_the_call: "",
        }
    }

    #[tokio::test]
    async fn a_yes_that_was_brought_holds_for_what_it_was_about() {
        let brought = [("pay".to_owned(), json!({"action": "accept", "content": {"pay": true}}))].into();
        let seal = Seal::of(None, "create_batch", &serde_json::Map::new());
        let course = Some(Arc::new(Course::of_task(&Ending::default())));
        let standing = Standing { asked: "pay".to_owned(), about: "a job".to_owned(), ..Standing::default() };
        let mut interview = Interview { way: Way::Rounds { seal, brought, course }, standing };
        for _ in 0..2 {
            assert!(matches!(interview.ask(&about("a job")).await, Ok(Heard::Answer(Value::Bool(true)))));
        }
        let another = about("another job");
        let asked = tokio::time::timeout(Duration::from_millis(50), interview.ask(&another)).await;
        assert!(asked.is_err(), "the task asks anew, and waits: {asked:?}");
    }
}
