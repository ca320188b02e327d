//! `retry_batch`: ask again what has no usable answer.

use rmcp::{tool, tool_router};

use crate::mcp::BatchServer;
use crate::mcp::call::Call;
use crate::mcp::reply::{Failure, Reply};
use crate::mcp::schema;
use crate::ops::retry::{self, RetryArgs, RetryReply};

#[tool_router(router = retry_batch_router, vis = "pub(super)")]
impl BatchServer {
    /// Submit the requests of an ended job that have no usable answer again, as a new job, if wanted with other
    /// settings. Repeating the call finds the same job.
    #[tool(
        title = "Retry batch",
        input_schema = schema::input::<RetryArgs>(),
        output_schema = schema::output::<RetryReply>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true)
    )]
    async fn retry_batch(&self, call: Call<RetryArgs>) -> Result<Reply<RetryReply>, Failure> {
        Ok(retry::retry(&self.app, call.args()?, call.monitor()).await?.into())
    }
}
