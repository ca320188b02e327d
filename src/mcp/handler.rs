//! What the server answers to each request of the protocol.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CustomRequest, CustomResult, DiscoverResult, ErrorCode, ErrorData, GetPromptRequestParams, GetPromptResponse,
    GetSkillRequestParams, GetSkillResult, GetTaskParams, GetTaskResult, Implementation, InitializeRequestParams,
    InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use tokio_util::task::AbortOnDropHandle;

use super::http::{InSession, LostSession};
use super::progress::McpMonitor;
use super::tasks::LooksOnly;
use super::{BatchServer, INSTRUCTIONS, completion, notes, prompts, reply, resources, subscriptions, tasks};
use crate::ops::{self, Ending};

/// The methods that are answered here, and may come with parameters that are none of theirs.
const WITH_PARAMETERS: [&str; 15] = [
    "completion/complete",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "server/discover",
    "skills/get",
    "skills/list",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
    "tools/call",
    "tools/list",
];
/// Those that clients up to 2025-11-25 know besides.
const WITH_PARAMETERS_ONCE: [&str; 3] = ["initialize", "resources/subscribe", "resources/unsubscribe"];

impl ServerHandler for BatchServer {
    fn get_info(&self) -> ServerConfig {
        let implementation =
            Implementation::new("gemini-batch-mcp", env!("CARGO_PKG_VERSION")).with_title("Gemini Batch");
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_skills()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(INSTRUCTIONS)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        tasks::leave_out(&mut result.capabilities, self, &context);
        if let Some(resources) = result.capabilities.resources.as_mut().filter(|_| cannot_push(&context)) {
            resources.subscribe = None;
        }
        Ok(result)
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let mut info = self.get_info();
        tasks::leave_out(&mut info.capabilities, self, &context);
        Ok(DiscoverResult::from_server_info(self.supported_protocol_versions().into_owned(), info))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.listed.clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.router.get(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.tools.router.get(&request.name).is_none() {
            let tools: Vec<_> = self.tools.listed.iter().map(|tool| tool.name.as_ref()).collect();
            let words = format!("there is no tool {}; there are {}", request.name, tools.join(", "));
            return Err(ErrorData::invalid_params(words, None));
        }
        match tasks::owner_of_call(self, &request.name, &context) {
            Some(owner) => tasks::call(self, &owner, request, context).await,
            None => self.answer(request, context).await,
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        sound("tasks/get", async { tasks::get(self, &request.task_id, context) }).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        sound("tasks/update", async { tasks::update(self, &request.task_id, request.input_responses, &context) }).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        sound("tasks/cancel", async { tasks::cancel(self, &request.task_id, &context) }).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        sound("resources/list", resources::list(&self.app, request, &McpMonitor::new(&context))).await
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _until_answered = stopped_with_the_server(&mut context, self.app.ending());
        let monitor = McpMonitor::new(&context);
        sound("resources/read", resources::read(&self.app, &request.uri, shows_files(&context), &monitor))
            .await
            .map(Into::into)
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(prompts::list())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        #[cfg(feature = "_conformance")]
        if let Some(prompt) = super::fixtures::prompt(&request) {
            return Ok(prompt);
        }
        sound("prompts/get", async { prompts::get(request) }).await.map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let shows_files = shows_files(&context);
        sound("completion/complete", async { completion::complete(&self.app, &request, shows_files) }).await
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if cannot_push(&context) {
            let hint =
                "there is no session, or no more: connect again to be told of changes, or read the resource again";
            return Err(ErrorData::invalid_request(hint, None));
        }
        let session = session(&context).cloned();
        self.subscriptions.add(&self.app, &request.uri, context.peer, session)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscriptions.remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(subscriptions::accepted(&self.app, requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        subscriptions::listen(self, context).await
    }

    /// What the SDK knows no such request of, by its method and parameters together.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        let is_modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let is_known = |known: &[&str]| known.contains(&method.as_str());
        if is_known(&WITH_PARAMETERS) || (!is_modern && is_known(&WITH_PARAMETERS_ONCE)) {
            let words = format!(
                "the parameters of {method} cannot be read: one is missing, or of another type than the protocol says"
            );
            return Err(ErrorData::invalid_params(words, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
    }

    async fn list_skills(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        Ok(resources::list_skills())
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        resources::get_skill(&request.uri)
    }
}

impl BatchServer {
    /// What a call of a tool is answered.
    pub(super) async fn answer(
        &self,
        request: CallToolRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _until_answered_too = stopped_with_the_server(&mut context, self.app.ending());
        let (name, _until_answered) = (request.name.clone(), self.app.ending().wait_for_this());
        let answer = sound(&name, self.tools.router.call(ToolCallContext::new(self, request, context))).await;
        // What waits to be sent goes out behind the calls of whoever is there.
        ops::queue::nudge(&self.app);
        if let Ok(CallToolResponse::Complete(CallToolResult { structured_content: Some(told), .. })) = &answer {
            ops::statusline::told(&self.app.config().home, told);
        }
        let answer = if self.app.ending().stop().is_cancelled() { answer.map(reply::told_of_the_end) } else { answer };
        answer.map(|response| notes::with_notes(response, &self.app, self.tools.router.get(&name)))
    }
}

/// Has a call stopped by its client or by the end of the server, whichever comes first. It is answered even then, so its
/// transport is not what ends it.
fn stopped_with_the_server(context: &mut RequestContext<RoleServer>, ending: &Ending) -> AbortOnDropHandle<()> {
    let (order, stop) = (context.ct.child_token(), ending.stop().clone());
    context.ct = order.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        stop.cancelled().await;
        order.cancel();
    }))
}

/// What files there are is nothing that the right to look is about.
fn shows_files(context: &RequestContext<RoleServer>) -> bool {
    !LooksOnly::is_in(context)
}

/// Whether nothing can be said to the client but the answer, as at `/mcp` without a session.
pub(super) fn cannot_push(context: &RequestContext<RoleServer>) -> bool {
    context.extensions.get::<http::request::Parts>().is_some() && session(context).is_none()
}

/// Whether the user could be asked in a session at `/mcp` that is not there any more.
pub(super) fn has_lost_session(context: &RequestContext<RoleServer>) -> bool {
    let parts = context.extensions.get::<http::request::Parts>();
    parts.is_some_and(|parts| parts.extensions.get::<LostSession>().is_some())
}

/// The session at `/mcp` that a request is made in.
fn session(context: &RequestContext<RoleServer>) -> Option<&InSession> {
    context.extensions.get::<http::request::Parts>()?.extensions.get()
}

/// The answer, also when a bug stops it: without one the client would wait until its own limit.
async fn sound<T>(what: &str, work: impl Future<Output = Result<T, ErrorData>>) -> Result<T, ErrorData> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_panic| {
        let text = format!("{what}: a bug stopped this call; the log on stderr says where");
        Err(ErrorData::internal_error(text, None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bug_is_answered() {
        let answer = sound::<()>("tools/call", async { panic!("a bug") }).await;
        assert!(answer.unwrap_err().message.contains("a bug stopped this call"));
    }
}
