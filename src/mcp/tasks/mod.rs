//! Calls that outlast their answer, for clients that can ask for it later: the extension `io.modelcontextprotocol/tasks`
//! (SEP-2663, revision 2026-07-28).
//!
//! A call of a tool that may take long is answered as any other if it is done within two seconds; otherwise the answer
//! is a task, and the work goes on behind it. What becomes of it is in the ledger, for any server to tell that shares
//! it. A task whose process died is taken up again when its owner asks for it, if that can do no harm (`again`).
//!
//! Only who declares the extension with a request of 2026-07-28 meets any of this. A question to the user that comes up
//! before ends the call, later it is asked by the task (`questions`), by the process that works on it. Changes are not pushed:
//! the SDK knows no `taskIds` in `subscriptions/listen`.

mod again;
mod course;
mod keeper;
mod owner;
mod questions;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CreateTaskResult, DetailedTask, ErrorCode, ErrorData, GetTaskResult,
    InputResponses, JsonObject, ProtocolVersion, ServerCapabilities, TASKS_EXTENSION_ID, Task, TaskPayload, TaskStatus,
};
use rmcp::service::RequestContext;
use serde_json::Value;

pub(super) use course::{Course, Courses};
pub(super) use owner::{LooksOnly, Owner};

use super::{BatchServer, only_reads, unguessable};
use crate::error::Error;
use crate::ops::tasks::{self, Hold, NewTask, TaskRecord, TaskState};
use keeper::{Work, failed, keep};

/// How long a call that may take long is answered as any other.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose tasks this request is about, if its client declares with it that it knows tasks.
fn declared(server: &BatchServer, context: &RequestContext<RoleServer>) -> Option<Owner> {
    let is_modern = context.meta.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    let knows = context.meta.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks());
    if is_modern && knows { Owner::of(server, context) } else { None }
}

/// Whoever would own the task that a call may become.
pub(super) fn owner_of_call(server: &BatchServer, tool: &str, context: &RequestContext<RoleServer>) -> Option<Owner> {
    declared(server, context).filter(|_| again::may_take_long(tool))
}

/// Leaves the extension out of what is told to a client that does not declare it.
pub(super) fn leave_out(
    capabilities: &mut ServerCapabilities,
    server: &BatchServer,
    context: &RequestContext<RoleServer>,
) {
    if declared(server, context).is_none()
        && let Some(extensions) = capabilities.extensions.as_mut()
    {
        extensions.remove(TASKS_EXTENSION_ID);
    }
}

/// Answers a call, or makes a task of it when it takes long.
pub(super) async fn call(
    server: &BatchServer,
    owner: &Owner,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let (tool, arguments) = (request.name.to_string(), request.arguments.clone().unwrap_or_default());
    let (course, given_up) = (Arc::new(Course::new(server.app.ending())), context.ct.clone());
    let mut work = begin(server, request, context, &course);
    let stops_with_the_call = course.stop.clone().drop_guard();
    tokio::select! {
        biased;
        answer = &mut work => return answer.unwrap_or_else(|e| Err(internal(&e.to_string()))),
        () = given_up.cancelled() => {}
        () = tokio::time::sleep(PATIENCE) => match course.leave(|| remembered(server, owner, &tool, &arguments, &course)) {
            Ok(Some((task, hold))) => {
                server.courses.add(&task.id, &course);
                stops_with_the_call.disarm();
                let seed = seed(server, &task);
                server.app.ending().spawn(keep(server.app.clone(), task, hold, work, course));
                return Ok(CreateTaskResult::new(seed).into());
            }
            // It stays a call like any other.
            Ok(None) => {}
            Err(e) => tracing::warn!("no task could be recorded: {e}"),
        },
    }
    tokio::select! {
        biased;
        answer = &mut work => answer,
        () = given_up.cancelled() => {
            course.stop.cancel();
            work.await
        }
    }
    .unwrap_or_else(|e| Err(internal(&e.to_string())))
}

/// Starts the work that a call asks for, so that it does not end with the call.
fn begin(
    server: &BatchServer,
    request: CallToolRequestParams,
    mut context: RequestContext<RoleServer>,
    course: &Arc<Course>,
) -> Work {
    context.ct = course.stop.clone();
    context.extensions.insert(course.clone());
    let server = server.clone();
    server.app.ending().clone().spawn(async move { server.answer(request, context).await })
}

fn remembered(
    server: &BatchServer,
    owner: &Owner,
    tool: &str,
    arguments: &JsonObject,
    course: &Course,
) -> crate::error::Result<Option<(TaskRecord, Hold)>> {
    let id = unguessable().ok_or_else(|| Error::internal("naming a task", "this machine gives no randomness"))?;
    let new = NewTask {
        id,
        owner: owner.as_str().to_owned(),
        tool: tool.to_owned(),
        arguments: again::kept(tool, arguments),
        message: course.words().unwrap_or_else(|| format!("{tool} goes on")),
    };
    let begun = tasks::begin(&server.app, new)?;
    if begun.is_none() {
        tracing::info!("too many tasks: {tool} is answered when it is done");
    }
    Ok(begun)
}

/// How a task stands (`tasks/get`). One on which nobody works any more is taken up again, or ended.
pub(super) fn get(
    server: &BatchServer,
    id: &str,
    context: RequestContext<RoleServer>,
) -> Result<GetTaskResult, ErrorData> {
    let mut task = known(server, id, &context)?;
    if let Some(hold) = tasks::take_up(&server.app, &task).map_err(|e| internal(&e.to_string()))? {
        match task.arguments.clone() {
            Some(Value::Object(arguments)) if may_call(server, &task.tool, &context) => {
                begin_again(server, &task, arguments, hold, context);
            }
            // Whoever may call the tool takes it up.
            Some(_) => {
                let (state, words) = failed(&internal(&again::advice(&task.tool)));
                task = TaskRecord { state, message: Some(words), ..task };
            }
            None => {
                let (state, words) = failed(&internal(&again::advice(&task.tool)));
                tasks::end(&server.app, &task.id, &state, &words).map_err(|e| internal(&e.to_string()))?;
                task = known(server, id, &context)?;
            }
        }
    }
    let asked = server.courses.of(id).map(|course| course.questions.open()).unwrap_or_default();
    if task.state == TaskState::Working && !asked.is_empty() {
        task.message = Some("waits for an answer of its user".to_owned());
    }
    let seed = seed(server, &task);
    let payload = match task.state {
        TaskState::Working if !asked.is_empty() => TaskPayload::InputRequired { input_requests: asked },
        TaskState::Working => TaskPayload::Working,
        TaskState::Completed(result) => TaskPayload::Completed { result: object(result) },
        TaskState::Failed(error) => TaskPayload::Failed { error: object(error) },
        TaskState::Cancelled => TaskPayload::Cancelled,
    };
    Ok(GetTaskResult::new(DetailedTask::new(seed, payload)))
}

/// Whether this request has the right to what the tool does, beyond that to look.
fn may_call(server: &BatchServer, tool: &str, context: &RequestContext<RoleServer>) -> bool {
    !LooksOnly::is_in(context) || server.tools.router.get(tool).is_some_and(only_reads)
}

fn begin_again(
    server: &BatchServer,
    task: &TaskRecord,
    arguments: JsonObject,
    hold: Hold,
    context: RequestContext<RoleServer>,
) {
    tracing::info!("{} is made again: the process that worked on its task ended", task.tool);
    let course = Arc::new(Course::of_task(server.app.ending()));
    let request = CallToolRequestParams::new(task.tool.clone()).with_arguments(arguments);
    let work = begin(server, request, context, &course);
    server.courses.add(&task.id, &course);
    server.app.ending().spawn(keep(server.app.clone(), task.clone(), hold, work, course));
}

/// Ends a task (`tasks/cancel`): what waits for a job or collects it stops, the job goes on.
pub(super) fn cancel(server: &BatchServer, id: &str, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    let task = known(server, id, context)?;
    let words =
        "stopped as asked; the same call goes on where it stopped. Jobs go on at the API: cancel_batch stops one";
    let ended =
        tasks::end(&server.app, &task.id, &TaskState::Cancelled, words).map_err(|e| internal(&e.to_string()))?;
    // Whoever works on it elsewhere finds out within a moment.
    if let Some(course) = server.courses.of(id).filter(|_| ended) {
        course.stop.cancel();
    }
    Ok(())
}

/// Takes answers to questions of a task (`tasks/update`). What was not asked is ignored (SEP-2663).
pub(super) fn update(
    server: &BatchServer,
    id: &str,
    answers: InputResponses,
    context: &RequestContext<RoleServer>,
) -> Result<(), ErrorData> {
    let task = known(server, id, context)?;
    if !may_call(server, &task.tool, context) {
        let words = format!("who may not call {} cannot answer what it asks", task.tool);
        return Err(ErrorData::invalid_request(words, None));
    }
    if let Some(course) = server.courses.of(id).filter(|_| task.state == TaskState::Working) {
        course.questions.answer(answers);
    }
    Ok(())
}

/// The task, if it is the caller's. Of another's nobody learns that it is there.
fn known(server: &BatchServer, id: &str, context: &RequestContext<RoleServer>) -> Result<TaskRecord, ErrorData> {
    let Some(owner) = declared(server, context) else {
        return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "tasks are not offered here", None));
    };
    let found = tasks::find(&server.app, id, owner.as_str()).map_err(|e| internal(&e.to_string()))?;
    found.ok_or_else(|| {
        let words = "there is no such task, or its time is up: call the tool again with the same arguments";
        ErrorData::invalid_params(words, None)
    })
}

/// A task as the protocol tells it.
fn seed(server: &BatchServer, task: &TaskRecord) -> Task {
    let status = TaskStatus::Working;
    // As exactly as the ledger keeps them: it is the same task whoever tells of it.
    let told = |moment: DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::Micros, true);
    let (created, updated) = (told(task.created_at), told(task.updated_at));
    let life = (task.expires_at - task.created_at).num_milliseconds().unsigned_abs();
    let pause = tasks::pause(task, server.app.now()).as_millis();
    let told = Task::new(task.id.clone(), status, created, updated)
        .with_ttl_ms(life)
        .with_poll_interval_ms(pause.try_into().unwrap_or(u64::MAX));
    match &task.message {
        Some(message) => told.with_status_message(message.clone()),
        None => told,
    }
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

fn internal(cause: &str) -> ErrorData {
    ErrorData::internal_error(cause.to_owned(), None)
}
