//! `cancel_batch`: stop a job.

use rmcp::{tool, tool_router};

use super::found_by;
use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::reply::{Failure, Reply};
use crate::mcp::schema;
use crate::ops::cancel::{self, CancelArgs, CancelReply};

#[tool_router(router = cancel_batch_router, vis = "pub(super)")]
impl BatchServer {
    /// Stop a job that has not ended. Requests already answered are paid for and may still be fetched.
    #[tool(
        title = "Cancel batch",
        input_schema = schema::input::<CancelArgs>(),
        output_schema = schema::output::<CancelReply>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true),
        meta = found_by("stop job")
    )]
    async fn cancel_batch(&self, call: Call<CancelArgs>) -> Result<Reply<CancelReply>, Failure> {
        Ok(cancel::cancel(&self.app, call.args()?, call.monitor()).await?.into())
    }
}
