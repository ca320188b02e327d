//! The protocol: what a model sees of this program. The only user of `rmcp`.
//!
//! A tool is one file in `tools/` and one line in `tools/mod.rs`. Everything that all tools share is
//! beside it: how arguments are read (`call`), how replies and failures are written (`reply`), how
//! progress is told (`progress`), what schemas look like (`schema`).

pub mod http;
pub mod stdio;

mod call;
mod progress;
mod reply;
mod schema;
mod tools;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use rmcp::handler::server::tool::{ToolCallContext, ToolRouter};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use crate::ops::{self, App};

/// What a model reads before anything else.
const INSTRUCTIONS: &str = "\
Runs many prompts through the Gemini Batch API at half the price of single calls. Answers come within minutes to \
24 hours: use it for tens to millions of independent prompts that can wait, not for one answer needed now.

Call in this order:
1. build_jsonl: data file + template -> request file, with tokens and price. Try limit: 5 first and read the first requests.
2. create_batch: request file -> job handle. Tell the user the price, and pass max_cost_usd.
3. check_status: where the job stands. Come back after next_check_after_s; do other work meanwhile.
4. get_results: answers -> file, with counts, cost and a few samples.

Pass paths and handles, never data: files are read and written here, replies stay small, and `next` in each reply names \
the next call. Every call is safe to repeat: the same content submitted again is the same job and costs nothing. Set \
new_run only if the user asks to pay for another run. Cancelling a call never cancels a job; cancel_batch does. \
list_batches finds jobs of earlier sessions; \
retry_batch asks again what did not answer.";

/// The server: the verbs of an [`App`] as MCP tools.
///
/// Cheap to clone; HTTP clones it for every request.
#[derive(Clone)]
pub struct BatchServer {
    app: App,
    tools: Arc<Tools>,
}

struct Tools {
    router: ToolRouter<BatchServer>,
    /// In the order in which a job meets them, which is the order they are listed in.
    listed: Vec<Tool>,
}

impl BatchServer {
    /// A server of these verbs. Does nothing yet.
    pub fn new(app: App) -> Self {
        let mut router = ToolRouter::new();
        let mut listed = Vec::new();
        for tool in tools::routers() {
            listed.extend(tool.list_all().into_iter().map(in_one_paragraph));
            router.merge(tool);
        }
        Self { app, tools: Arc::new(Tools { router, listed }) }
    }

    /// The definitions of all tools, in the order in which they are listed.
    pub fn tools(&self) -> &[Tool] {
        &self.tools.listed
    }
}

/// The description without the line breaks of its doc comment.
fn in_one_paragraph(mut tool: Tool) -> Tool {
    tool.description = tool.description.map(|text| text.replace('\n', " ").into());
    tool
}

impl ServerHandler for BatchServer {
    fn get_info(&self) -> ServerConfig {
        let implementation =
            Implementation::new("gemini-batch-mcp", env!("CARGO_PKG_VERSION")).with_title("Gemini Batch");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS)
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
        let name = request.name.clone();
        let call = self.tools.router.call(ToolCallContext::new(self, request, context));
        // Without an answer the client would wait until its own limit.
        let answer = AssertUnwindSafe(call).catch_unwind().await;
        // What waits to be sent goes out behind the calls of whoever is there.
        ops::queue::nudge(&self.app);
        answer.unwrap_or_else(|_panic| {
            Err(ErrorData::internal_error(
                format!("{name}: a bug stopped this call; the log on stderr says where"),
                None,
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::INSTRUCTIONS;

    #[test]
    fn the_instructions_fit_where_clients_cut_them_off() {
        assert!(INSTRUCTIONS.len() < 2_000, "{} bytes", INSTRUCTIONS.len());
    }
}
