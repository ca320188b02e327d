//! Which calls need which scope: tools that only read, and all others.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use rmcp::model::Tool;

use super::message::Spoken;
use super::oauth::{Granted, OAuth, WRITE};
use crate::mcp::only_reads;
use crate::mcp::tasks::LooksOnly;

/// Which tools only read, and who to send a caller to for more.
#[derive(Clone)]
pub(super) struct Scopes {
    read_only: Arc<HashSet<String>>,
    oauth: Arc<OAuth>,
}

impl Scopes {
    pub(super) fn new(tools: &[Tool], oauth: Arc<OAuth>) -> Self {
        let read_only = tools.iter().filter(|tool| only_reads(tool)).map(|tool| tool.name.to_string()).collect();
        Self { read_only: Arc::new(read_only), oauth }
    }

    /// Whether the right to look is enough. Of a message that was not understood nothing is known, so it is not.
    fn only_reads(&self, spoken: Option<&Spoken>) -> bool {
        let Some(spoken) = spoken else { return false };
        match spoken.method.as_deref() {
            Some("tools/call") => {
                let tool = spoken.params.as_ref().and_then(|params| params.name.as_deref());
                tool.is_some_and(|tool| self.read_only.contains(tool))
            }
            // A task is work of a tool that was called before. Whether it may be made again is looked at there.
            Some(method) => !method.starts_with("tasks/") || method == "tasks/get",
            // An answer to a question of the server's.
            None => false,
        }
    }
}

/// Refuses what a caller's token is not good for.
pub(super) async fn enforced(State(scopes): State<Scopes>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Granted>().is_some_and(|granted| granted.write) {
        return next.run(request).await;
    }
    let spoken = request.extensions().get::<Arc<Spoken>>();
    // To listen, and to end a session of one's own.
    let is_harmless = [Method::GET, Method::DELETE].contains(request.method());
    if is_harmless || scopes.only_reads(spoken.map(AsRef::as_ref)) {
        request.extensions_mut().insert(LooksOnly);
        return next.run(request).await;
    }
    scopes.oauth.needs_scope(WRITE, request.uri(), request.headers())
}
