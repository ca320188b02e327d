//! `list_batches`: jobs of this and earlier sessions.

use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::reply::{Failure, Reply};
use crate::mcp::schema;
use crate::ops::list::{self, ListArgs, ListReply};

#[tool_router(router = list_batches_router, vis = "pub(super)")]
impl BatchServer {
    /// List jobs, newest first: those remembered here and those at the API.
    #[tool(
        title = "List batches",
        input_schema = schema::input::<ListArgs>(),
        output_schema = schema::output::<ListReply>(),
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        meta = found_by("jobs history")
    )]
    async fn list_batches(&self, call: Call<ListArgs>) -> Result<Reply<ListReply>, Failure> {
        let reply = list::list(&self.app, call.args()?, call.monitor()).await?;
        Ok(reply.into())
    }
}
