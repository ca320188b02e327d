//! The protocol: what a model sees of this program. The only user of `rmcp`.
//!
//! A tool is one file in `tools/` and one line in `tools/mod.rs`; a prompt the same in `prompts/`. Everything
//! that all tools share is beside it: how arguments are read (`call`), how replies and failures are written
//! (`reply`), how progress is told (`progress`), what schemas look like (`schema`). What is answered to which
//! request of the protocol stands in `handler`.

pub mod http;
pub mod stdio;

mod call;
mod completion;
mod consent;
#[cfg(feature = "_conformance")]
mod fixtures;
mod handler;
mod notes;
mod places;
mod progress;
mod prompts;
mod reply;
mod resources;
mod schema;
mod stop;
mod subscriptions;
mod tasks;
mod tools;

use std::sync::Arc;

use rmcp::handler::server::tool::ToolRouter;
use rmcp::model::Tool;

use crate::ops::App;
use places::{Places, Share};
use subscriptions::Subscriptions;
use tasks::{Courses, Owner};

/// What is not logged unless it is asked for. The SDK takes note of each refusal, which the client has heard as well,
/// and calls it an error when a client that gave up is gone before its answer.
pub const LEFT_OUT_OF_LOG: &str = "rmcp::service=off";

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
/// Cheap to clone: each connection or session has a clone of its own.
pub struct BatchServer {
    app: App,
    tools: Arc<Tools>,
    /// Those of the client of this connection or session.
    subscriptions: Subscriptions,
    /// What goes on behind the tasks of this process.
    courses: Courses,
    /// Calls that listen.
    listening: Places<Option<Owner>>,
    /// Whose the tasks of a connection are on which nobody logs in.
    owner: Option<Owner>,
}

impl Clone for BatchServer {
    /// The same server for another connection.
    fn clone(&self) -> Self {
        Self {
            app: self.app.clone(),
            tools: self.tools.clone(),
            subscriptions: Subscriptions::default(),
            courses: self.courses.clone(),
            listening: self.listening.clone(),
            owner: self.owner.clone(),
        }
    }
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
        let routers = tools::routers().into_iter();
        #[cfg(feature = "_conformance")]
        let routers = routers.chain(fixtures::routers());
        for tool in routers {
            listed.extend(tool.list_all().into_iter().map(in_one_paragraph));
            router.merge(tool);
        }
        let tools = Arc::new(Tools { router, listed });
        let listening = subscriptions::places(Share::All);
        let (subscriptions, courses) = (Subscriptions::default(), Courses::default());
        Self { app, tools, subscriptions, courses, listening, owner: None }
    }

    /// The same for callers who may have no more than a share each.
    fn shared(self, share: Share) -> Self {
        Self { listening: subscriptions::places(share), ..self }
    }

    /// The same for whoever started this program.
    fn at_home(self) -> Self {
        Self { owner: Some(Owner::at_home(&self.app.config().roots)), ..self }
    }

    /// The definitions of all tools, in the order in which they are listed.
    pub fn tools(&self) -> &[Tool] {
        &self.tools.listed
    }
}

/// 128 bits that nobody can guess.
fn unguessable() -> Option<String> {
    let mut bytes = [0; 16];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(crate::job::id::hex(&bytes))
}

/// Whether a tool changes nothing, by what it says of itself.
fn only_reads(tool: &Tool) -> bool {
    tool.annotations.as_ref().and_then(|hints| hints.read_only_hint) == Some(true)
}

/// The description without the line breaks of its doc comment.
fn in_one_paragraph(mut tool: Tool) -> Tool {
    tool.description = tool.description.map(|text| text.replace('\n', " ").into());
    tool
}

#[cfg(test)]
mod tests {
    use super::INSTRUCTIONS;

    #[test]
    fn the_instructions_fit_where_clients_cut_them_off() {
        assert!(INSTRUCTIONS.len() < 2_000, "{} bytes", INSTRUCTIONS.len());
    }
}
