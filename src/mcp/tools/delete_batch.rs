//! `delete_batch`: remove a job from the API.

use rmcp::{tool, tool_router};

use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::reply::{Failure, Reply};
use crate::mcp::schema;
use crate::ops::delete::{self, DeleteArgs, DeleteReply};

#[tool_router(router = delete_batch_router, vis = "pub(super)")]
impl BatchServer {
    /// Remove an ended job from the API, once its answers are safe in a local file. Local files stay.
    #[tool(
        title = "Delete batch",
        input_schema = schema::input::<DeleteArgs>(),
        output_schema = schema::output::<DeleteReply>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true)
    )]
    async fn delete_batch(&self, call: Call<DeleteArgs>) -> Result<Reply<DeleteReply>, Failure> {
        Ok(delete::delete(&self.app, call.args()?, call.monitor()).await?.into())
    }
}
